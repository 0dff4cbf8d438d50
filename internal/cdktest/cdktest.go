// Package cdktest lets tests synthesize CDK apps as deployments see them.
//
// jsii is not safe for concurrent use: tests that call this package must not
// run in parallel, and must not call jsii.Close.
package cdktest

import (
	"fmt"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/aws-cdk-go/awscdk/v2/cxapi"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/snapshottest"
)

// NewApp makes an app with the context of the module's cdk.json, overlaid with the
// given one, that builds no assets.
func NewApp(t testing.TB, context map[string]any) awscdk.App {
	t.Helper()
	return snapshottest.NewApp(t, context)
}

// NewStack makes a stack in a new app. It is in no particular account and region.
func NewStack(t testing.TB) awscdk.Stack {
	t.Helper()
	return awscdk.NewStack(NewApp(t, nil), jsii.String("Test"), nil)
}

// Template synthesizes the app of a stack and returns its template.
func Template(stack awscdk.Stack) map[string]any {
	return *assertions.Template_FromStack(stack, nil).ToJSON()
}

// Warnings synthesizes the app of a stack and returns the warnings in it, each
// with the path of its construct in front.
func Warnings(stack awscdk.Stack) []string {
	return annotated(assertions.Annotations_FromStack(stack).FindWarning)
}

// Errors synthesizes the app of a stack and returns the errors annotated in it,
// each with the path of its construct in front.
func Errors(stack awscdk.Stack) []string {
	return annotated(assertions.Annotations_FromStack(stack).FindError)
}

func annotated(find func(path *string, message any) *[]*cxapi.SynthesisMessage) []string {
	var found []string
	for _, message := range *find(jsii.String("*"), assertions.Match_AnyValue()) {
		found = append(found, fmt.Sprintf("%s: %v", *message.Id, message.Entry.Data))
	}
	return found
}

// PanicMessage returns what f panics with: jsii and our constructors panic with
// errors, jsii sometimes with a string. It fails the test when f returns.
func PanicMessage(t testing.TB, f func()) (message string) {
	t.Helper()
	defer func() {
		t.Helper()
		switch v := recover().(type) {
		case nil:
			t.Fatal("nothing was refused")
		case error:
			message = v.Error()
		default:
			message = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}
