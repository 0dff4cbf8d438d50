// Package enum translates between the names that the CDK gives to the members of
// an enumeration and AWS's own, which the configuration uses.
package enum

import "strings"

// awsvpc is the one name that does not follow the rule.
const (
	awsVPC = "awsvpc"
	cdkVPC = "AWS_VPC"
)

// AWS is the name of a member at AWS: LOWEST_PRICE is lowest-price.
func AWS[T ~string](member T) string {
	if member == cdkVPC {
		return awsVPC
	}
	return strings.ToLower(strings.ReplaceAll(string(member), "_", "-"))
}

// CDK is the member with a name of AWS's: lowest-price is LOWEST_PRICE.
func CDK(name string) string {
	if name == awsVPC {
		return cdkVPC
	}
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}
