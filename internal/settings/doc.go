// Package settings is the pure half of the constructs and of the app's
// configuration: literal values, their defaults and their checks, free of the
// CDK so that every rule is tested in microseconds.
//
// Each type is used twice. The constructs turn their props into it, the app
// decodes the "ecsrunners" object of the CDK context into it (see package
// config). Both get the same defaults and the same complaints: fields carry the
// Go names of the props, and their JSON name is the Go name with a small first
// letter.
package settings
