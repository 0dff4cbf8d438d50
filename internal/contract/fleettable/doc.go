// Package fleettable says where a function finds the table of its fleets: in an
// environment variable, as a JSON list, or, when that does not fit, in parameters of
// AWS Systems Manager to which the variable refers.
package fleettable
