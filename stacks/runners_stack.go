// Package stacks composes the constructs into the stacks that the app deploys.
package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/config"
)

// RunnersStack holds everything that runs jobs. So far that is the cluster, and
// the ingress that puts GitHub's deliveries on the event bus.
type RunnersStack struct {
	awscdk.Stack // filled by NewStack_Override

	cluster *constructs.RunnerCluster
	ingress *constructs.WebhookIngress
}

// NewRunnersStack adds the stack that the configuration describes. The
// configuration must come from config.Parse.
func NewRunnersStack(scope awsconstructs.Construct, c config.Config) *RunnersStack {
	s := &RunnersStack{}
	initialize(s, scope, c.StackName, "Ephemeral, autoscaling GitHub Actions runners on Amazon ECS", c)
	s.cluster = s.newCluster(c)
	output(s, "ClusterName", "The ECS cluster on which jobs run", s.cluster.Cluster().ClusterName())
	if c.Webhook != nil {
		s.ingress = constructs.NewWebhookIngress(s, "Ingress", webhookProps(*c.Webhook))
		output(s, "WebhookURL", "Payload URL for the webhook at GitHub", s.ingress.URL())
		output(s, "WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
			"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*s.ingress.Secret().SecretArn()))
	}
	return s
}

// AvailabilityZones overrides the CDK's, which asks AWS when account and region
// are known. These are two that CloudFormation finds at deployment, as in a stack
// without either: synthesis needs no credentials, and its template does not
// depend on who has asked AWS before.
func (s *RunnersStack) AvailabilityZones() *[]*string {
	all := awscdk.Fn_GetAzs(nil)
	return &[]*string{awscdk.Fn_Select(jsii.Number(0), all), awscdk.Fn_Select(jsii.Number(1), all)}
}

// Cluster is the cluster on which jobs run.
func (s *RunnersStack) Cluster() *constructs.RunnerCluster { return s.cluster }

// Ingress takes GitHub's deliveries. It is nil when no webhook is configured.
func (s *RunnersStack) Ingress() *constructs.WebhookIngress { return s.ingress }

func (s *RunnersStack) newCluster(c config.Config) *constructs.RunnerCluster {
	props := clusterProps(c.Cluster)
	if c.VPC != nil {
		props.VPC, props.Subnets = s.existingVPC(c.VPC)
	}
	cluster := constructs.NewRunnerCluster(s, "Cluster", props)
	for _, id := range slices.Sorted(maps.Keys(c.Cluster.Capacities)) {
		cluster.AddCapacity(id, capacityProps(c.Cluster.Capacities[id]))
	}
	return cluster
}

func (s *RunnersStack) existingVPC(v *config.VPC) (awsec2.IVpc, *awsec2.SubnetSelection) {
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
