package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// What the functions behind a URL have in common.

// newFunctionLogs makes the log group of a function: where Lambda would look for
// it, if the function has a name.
func newFunctionLogs(scope constructs.Construct, functionName string, retentionDays int) awslogs.LogGroup {
	var name *string
	if functionName != "" {
		name = jsii.String("/aws/lambda/" + functionName)
	}
	return newLogGroup(scope, "Logs", name, retentionDays)
}

// newLogGroup makes a log group that stays when its stack is deleted, and when a
// first deployment is rolled back, whose error may have the link to a log in it: for
// the sake of the next attempt it should have no name then.
func newLogGroup(scope constructs.Construct, id string, name *string, retentionDays int) awslogs.LogGroup {
	logs := awslogs.NewLogGroup(scope, &id, &awslogs.LogGroupProps{LogGroupName: name})
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(retentionDays))
	return logs
}

// grantReadSecret lets a role read the value of a secret, and nothing else of it.
func grantReadSecret(role awsiam.Role, secret awssecretsmanager.ISecret) {
	arn := secret.SecretFullArn()
	if arn == nil { // known by name only: the ARN has six more characters
		arn = jsii.String(*secret.SecretArn() + "-??????")
	}
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("secretsmanager:GetSecretValue"),
		Resources: &[]*string{arn},
	}))
	if key := secret.EncryptionKey(); key != nil {
		role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:   jsii.Strings("kms:Decrypt"),
			Resources: &[]*string{key.KeyArn()},
			Conditions: &map[string]any{"StringEquals": map[string]any{
				"kms:ViaService": "secretsmanager." + *awscdk.Stack_Of(role).Region() + ".amazonaws.com",
			}},
		}))
	}
}

// pointers are variables as the CDK takes them.
func pointers(variables map[string]string) *map[string]*string {
	pointers := make(map[string]*string, len(variables))
	for name, value := range variables {
		pointers[name] = &value
	}
	return &pointers
}

// unresolved tells whether text is, or has in it, a token that the CDK fills in
// later.
func unresolved(text string) bool { return strings.Contains(text, "${Token[") }
