// Package enum translates between the names that the CDK gives to the members of
// an enumeration and AWS's own, which the configuration uses.
package enum

import (
	"reflect"
	"strings"
)

// Is reports whether a type is one of the CDK's enumerations.
func Is(t reflect.Type) bool {
	return t.Kind() == reflect.String && strings.HasPrefix(t.PkgPath(), "github.com/aws/aws-cdk-go/")
}

// awsvpc is the one name that does not follow the rule.
const (
	awsVPC = "awsvpc"
	cdkVPC = "AWS_VPC"
)

// noMember begins what stands for text that names no member.
const noMember = "not a member: "

// AWS is the name of a member at AWS: LOWEST_PRICE is lowest-price. What is no member
// keeps its text.
func AWS[T ~string](member T) string {
	if text, ok := strings.CutPrefix(string(member), noMember); ok {
		return text
	}
	if member == cdkVPC {
		return awsVPC
	}
	return strings.ToLower(strings.ReplaceAll(string(member), "_", "-"))
}

// CDK is the member with a name of AWS's: lowest-price is LOWEST_PRICE. Text that AWS
// does not write so, such as LOWEST_PRICE or Lowest-Price, is no member.
func CDK(name string) string {
	if name != strings.ToLower(name) || strings.Contains(name, "_") {
		return noMember + name
	}
	if name == awsVPC {
		return cdkVPC
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
