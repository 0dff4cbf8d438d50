package constructs

import (
	"reflect"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// warn annotates a construct with a warning that its id acknowledges. Since some
// version after 2.270.0, AddWarningV2 takes options as well, which a call in the
// source would have to give or to leave out.
func warn(scope constructs.IConstruct, id, message string) {
	method := reflect.ValueOf(awscdk.Annotations_Of(scope)).MethodByName("AddWarningV2")
	arguments := []reflect.Value{reflect.ValueOf(&id), reflect.ValueOf(&message)}
	for i := len(arguments); i < method.Type().NumIn(); i++ {
		arguments = append(arguments, reflect.Zero(method.Type().In(i)))
	}
	method.Call(arguments)
}

// optional leaves an empty string out of the template.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// number leaves an absent number out of the template.
func number(n *int) *float64 {
	if n == nil {
		return nil
	}
	return jsii.Number(*n)
}

// nonZero is a number that is absent when it is 0.
func nonZero(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

func seconds(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}

func minutes(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Minutes(jsii.Number(d.Minutes()))
}

// days of a duration that is whole days.
func days(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Days(jsii.Number(d.Hours() / 24))
}

// pointers are variables as the CDK takes them.
func pointers(variables map[string]string) *map[string]*string {
	pointers := make(map[string]*string, len(variables))
	for name, value := range variables {
		pointers[name] = &value
	}
	return &pointers
}
