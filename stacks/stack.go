package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// initialize registers a stack of this package, with the configuration's environment and
// tags: on the stack, and on everything in it that can have them.
func initialize(s awscdk.Stack, scope awsconstructs.Construct, name, description string, c config.Config) {
	props := &awscdk.StackProps{Description: &description}
	if len(c.Fleets) > 30 { // with indentation the template would come near CloudFormation's limit of 1 MB
		props.SuppressTemplateIndentation = jsii.Bool(true)
	}
	if c.Account != "" {
		props.Env = &awscdk.Environment{Account: &c.Account, Region: &c.Region}
	}
	startBuilds(scope, c)
	awscdk.NewStack_Override(s, scope, &name, props)
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		s.AddStackTag(&key, jsii.String(c.Tags[key]))
		awscdk.Tags_Of(s).Add(&key, jsii.String(c.Tags[key]), nil)
	}
}

// output adds an output to a stack.
func output(s awscdk.Stack, id, description string, value *string) {
	awscdk.NewCfnOutput(s, &id, &awscdk.CfnOutputProps{Description: &description, Value: value})
}

// existingVPC is the VPC that the configuration names, and its subnets.
func existingVPC(s awscdk.Stack, v *config.VPC) (awsec2.IVpc, *awsec2.SubnetSelection) {
	attributes := &awsec2.VpcAttributes{VpcId: &v.ID, AvailabilityZones: jsii.Strings(v.AvailabilityZones...)}
	selection := &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PRIVATE_WITH_EGRESS}
	if v.Public {
		attributes.PublicSubnetIds = jsii.Strings(v.SubnetIDs...)
		selection.SubnetType = awsec2.SubnetType_PUBLIC
	} else {
		attributes.PrivateSubnetIds = jsii.Strings(v.SubnetIDs...)
	}
	vpc := awsec2.Vpc_FromVpcAttributes(s, jsii.String("Vpc"), attributes)
	awscdk.Annotations_Of(vpc).AcknowledgeWarning(jsii.String("@aws-cdk/aws-ec2:noSubnetRouteTableId"),
		jsii.String("nothing here needs the route tables of the subnets"))
	return vpc, selection
}
