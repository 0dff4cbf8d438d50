package constructs

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

// functionProps are what the functions of this library differ in.
type functionProps struct {
	program             string // the folder of its main package
	name, description   string
	architecture        Architecture
	memorySizeMiB       int
	timeout             time.Duration
	reservedConcurrency *int
	tracing             bool
	environment         map[string]string
	logs                awslogs.ILogGroup
	role                awsiam.IRole
	code                awslambda.Code // instead of the program, if not nil
}

func newFunction(scope constructs.Construct, p functionProps) awslambda.Function {
	if p.code == nil {
		p.code = programCode(scope, p.program, p.architecture)
	}
	tracing := awslambda.Tracing_DISABLED
	if p.tracing {
		tracing = awslambda.Tracing_ACTIVE
	}
	function := awslambda.NewFunction(scope, jsii.String("Function"), &awslambda.FunctionProps{
		FunctionName:                 optional(p.name),
		Description:                  &p.description,
		Runtime:                      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:                 lambdaArchitecture[p.architecture](),
		Handler:                      jsii.String(bundle.Binary),
		Code:                         p.code,
		Environment:                  pointers(p.environment),
		MemorySize:                   jsii.Number(p.memorySizeMiB),
		Timeout:                      seconds(p.timeout),
		ReservedConcurrentExecutions: number(p.reservedConcurrency),
		Tracing:                      tracing,
		LogGroup:                     p.logs,
		LoggingFormat:                awslambda.LoggingFormat_JSON,
		Role:                         p.role,
	})
	// The CDK makes a function depend on its role, to which it refers anyway.
	function.Node().DefaultChild().(awslambda.CfnFunction).AddMetadata(jsii.String("cfn-lint"), map[string]any{
		"config": map[string]any{"ignore_checks": []string{"W3005"}},
	})
	return function
}

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
