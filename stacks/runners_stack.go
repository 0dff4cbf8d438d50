// Package stacks composes the constructs into the stacks that the app deploys.
package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// RunnersStack holds everything that runs jobs: the cluster, the ingress that takes
// GitHub's deliveries, the registration of runners, and the fleets.
type RunnersStack struct {
	awscdk.Stack // filled by NewStack_Override

	cluster      *constructs.RunnerCluster
	ingress      *constructs.WebhookIngress
	registration *constructs.RunnerRegistration
	fleets       []*constructs.RunnerFleet
}

// NewRunnersStack adds the stack that the configuration describes. The
// configuration must come from config.Parse. image may be nil if no fleet takes
// its image from there.
func NewRunnersStack(scope awsconstructs.Construct, c config.Config, image constructs.RunnerImage) *RunnersStack {
	s := &RunnersStack{}
	initialize(s, scope, c.StackName, "Ephemeral, autoscaling GitHub Actions runners on Amazon ECS", c)
	s.cluster = s.newCluster(c)
	output(s, "ClusterName", "The ECS cluster on which jobs run", s.cluster.Cluster().ClusterName())
	if c.Webhook != nil {
		s.ingress = constructs.NewWebhookIngress(s, "Ingress", c.Webhook)
		output(s, "WebhookURL", "Payload URL for the webhook at GitHub", s.ingress.URL())
		output(s, "WebhookSecretCommand", "Prints the secret for the webhook at GitHub", jsii.String(
			"aws secretsmanager get-secret-value --query SecretString --output text --secret-id "+*s.ingress.Secret().SecretArn()))
	}
	if c.Registration != nil {
		s.registration = s.newRegistration(*c.Registration)
		output(s, "GitHubCredentialCommand", "Fills in GitHub's credential from a file credential.json", s.registration.CredentialCommand())
	}
	for _, fleet := range c.Fleets {
		s.addFleet(fleet, image)
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

// Registration registers runners at GitHub. It is nil when none is configured.
func (s *RunnersStack) Registration() *constructs.RunnerRegistration { return s.registration }

// Fleets are the fleets, in the order in which jobs are offered to them.
func (s *RunnersStack) Fleets() []*constructs.RunnerFleet { return slices.Clone(s.fleets) }

func (s *RunnersStack) newRegistration(r config.Registration) *constructs.RunnerRegistration {
	props := r.RunnerRegistrationProps
	props.Cluster = s.cluster
	if r.SecretARN != "" {
		secret := awssecretsmanager.Secret_FromSecretCompleteArn(s, jsii.String("Credential"), &r.SecretARN)
		props.Credential = r.GitHubCredential(secret)
	}
	return constructs.NewRunnerRegistration(s, "Registration", &props)
}

func (s *RunnersStack) addFleet(f config.Fleet, image constructs.RunnerImage) {
	props := f.RunnerFleetProps
	props.Registration, props.Image = s.registration, image
	if f.Image != "" {
		props.Image = constructs.RegistryImage(f.Image)
	}
	for _, capacity := range s.cluster.Capacities() {
		if *capacity.Node().Id() == f.Capacity {
			props.Capacity = capacity
		}
	}
	fleet := constructs.NewRunnerFleet(s, "Fleet-"+f.Name, &props)
	s.fleets = append(s.fleets, fleet)
	s.ingress.AddFleet(fleet)
}

func (s *RunnersStack) newCluster(c config.Config) *constructs.RunnerCluster {
	props := c.Cluster.RunnerClusterProps
	if c.VPC != nil {
		props.VPC, props.Subnets = existingVPC(s, c.VPC)
	}
	cluster := constructs.NewRunnerCluster(s, "Cluster", &props)
	for _, id := range slices.Sorted(maps.Keys(c.Cluster.Capacities)) {
		capacity := c.Cluster.Capacities[id]
		cluster.AddCapacity(id, &capacity)
	}
	return cluster
}
