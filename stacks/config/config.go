// Package config reads the app's configuration: the "ecsrunners" object of the
// CDK context, from cdk.json or the command line.
package config

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/awsname"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// Key is the context key that holds the configuration.
const Key = "ecsrunners"

// Config is the whole configuration of the app: the props of the constructs, and in
// place of the references in them the names of what the app makes or finds. Each key
// is described in docs/configuration.md, which is generated from these types.
type Config struct {
	// StackName is the name of the stack that runs jobs; that of the
	// image's stack ends in "Image". It must not begin with aws, ecs or fargate in any case.
	//
	// Default: GitHubRunners.
	StackName string `json:"stackName"`

	// Account is the account into which the stacks are deployed. It needs Region.
	//
	// Default: that of the credentials with which the app is deployed.
	Account string `json:"account"`

	// Region is the region into which the stacks are deployed. It needs Account.
	//
	// Default: that of the credentials with which the app is deployed.
	Region string `json:"region"`

	// Tags are the tags of the stacks and of everything in them that can have tags.
	//
	// Default: none.
	Tags map[string]string `json:"tags"`

	// VPC is an existing VPC in which the instances run.
	//
	// Default: a new VPC without a NAT gateway.
	VPC *VPC `json:"vpc"`

	// Image builds the image in which jobs run, in a stack of its own.
	//
	// Default: none; each fleet names an image.
	Image *Image `json:"image"`

	// Webhook takes GitHub's deliveries. Fleets need it.
	//
	// Default: none.
	Webhook *constructs.WebhookIngressProps `json:"webhook"`

	// Cluster is the ECS cluster on which jobs run.
	Cluster Cluster `json:"cluster"`

	// Registration registers runners at GitHub. Fleets need it.
	//
	// Default: none.
	Registration *Registration `json:"registration"`

	// Fleets are the kinds of runners. A job goes to the first that has all its labels.
	//
	// Default: none.
	Fleets []Fleet `json:"fleets"`
}

// VPC is an existing VPC, described in full so that synthesis looks nothing up.
type VPC struct {
	// ID is the id of the VPC. Required.
	ID string `json:"id"`
	// AvailabilityZones are the availability zones of the subnets, in their order.
	// Required.
	AvailabilityZones []string `json:"availabilityZones"`
	// SubnetIDs are the ids of the subnets in which the instances run. They need a
	// way out to GitHub and to AWS. Required.
	SubnetIDs []string `json:"subnetIds"`
	// Public says that the subnets are public, with a route to an internet gateway.
	//
	// Default: false.
	Public bool `json:"public"`
}

// Image is a [constructs.RunnerImagePipeline].
type Image struct {
	constructs.RunnerImagePipelineProps

	// Source is where the Dockerfile comes from: at most one of its keys.
	//
	// Default: a new CodeCommit repository that starts with this library's Dockerfile.
	Source ImageSource `json:"source"`

	// EncryptionKeyARN is the KMS key that encrypts the images of the new repository.
	//
	// Default: encryption by keys that Amazon S3 manages (SSE-S3).
	EncryptionKeyARN string `json:"encryptionKeyArn"`

	// BuildInVPC builds the image in VPC, whose subnets must not be public. Docker's
	// layers are not cached then.
	//
	// Default: false.
	BuildInVPC bool `json:"buildInVpc"`

	// FailureTopicARN is an SNS topic for a message with the link to the log when a
	// build has failed. It must let events.amazonaws.com publish.
	//
	// Default: none.
	FailureTopicARN string `json:"failureTopicArn"`

	// AlarmTopicARN is an SNS topic for alarms on builds that fail, on an image older
	// than MaxImageAge, and on daily checks that do not take place.
	//
	// Default: none, and no alarms.
	AlarmTopicARN string `json:"alarmTopicArn"`
}

// ImageSource is where the Dockerfile comes from: at most one field is set.
type ImageSource struct {
	// CodeCommit is a repository of AWS CodeCommit. A push starts a build.
	//
	// Default: a new one, unless another source is given.
	CodeCommit *CodeCommitSource `json:"codeCommit"`

	// Folder is a folder of the machine that synthesizes. A deployment after a
	// change builds.
	//
	// Default: none.
	Folder *FolderSource `json:"folder"`

	// GitHub is a repository at GitHub. The daily check finds what has been pushed.
	//
	// Default: none.
	GitHub *constructs.GitHubSourceProps `json:"gitHub"`
}

// CodeCommitSource is a CodeCommit repository, new or existing.
type CodeCommitSource struct {
	constructs.CodeCommitSourceProps

	// Existing says that RepositoryName is the name of an existing repository.
	//
	// Default: false.
	Existing bool `json:"existing"`
}

// FolderSource is a folder of the machine that synthesizes.
type FolderSource struct {
	// Path is the path of the folder, which has a Dockerfile. Required.
	Path string `json:"path"`
}

// Cluster is a [constructs.RunnerCluster].
type Cluster struct {
	constructs.RunnerClusterProps

	// Capacities are capacities beside the default one, by ids of letters and digits
	// that fleets name. Each has the keys of DefaultCapacity.
	//
	// Default: none.
	Capacities map[string]constructs.RunnerCapacityProps `json:"capacities"`
}

// Registration is a [constructs.RunnerRegistration]. Exactly one of Organization,
// Repository and Enterprise is required.
type Registration struct {
	constructs.RunnerRegistrationProps

	// Organization is the organization in which runners are registered, by its
	// login.
	//
	// Default: none.
	Organization string `json:"organization"`

	// Repository is the repository in which runners are registered, by its full
	// name.
	//
	// Default: none.
	Repository string `json:"repository"`

	// Enterprise is the enterprise in which runners are registered, by its slug. It
	// needs a token.
	//
	// Default: none.
	Enterprise string `json:"enterprise"`

	// Credential is the kind of the credential for GitHub: app or token.
	//
	// Default: app.
	Credential string `json:"credential" enum:"app,token"`

	// SecretARN is the complete ARN of an existing secret with the credential. Not
	// allowed with SecretName.
	//
	// Default: a new secret, to be filled in after the first deployment.
	SecretARN string `json:"secretArn"`
}

// Fleet is a [constructs.RunnerFleet].
type Fleet struct {
	constructs.RunnerFleetProps

	// Capacity is the capacity on which the tasks run: one of the ids in
	// Cluster.Capacities.
	//
	// Default: the cluster's default capacity.
	Capacity string `json:"capacity"`

	// Image is the image in which jobs run: the name of an image that can be pulled
	// without logging in.
	//
	// Default: the image that ecsrunners.image builds.
	Image string `json:"image"`
}

// WithDefaults returns a copy with the defaults filled in.
func (c Config) WithDefaults() Config {
	c.StackName = cmp.Or(c.StackName, "GitHubRunners")
	if c.Image != nil {
		image := c.Image.withDefaults()
		c.Image = &image
	}
	if c.Webhook != nil {
		webhook := c.Webhook.WithDefaults()
		c.Webhook = &webhook
	}
	c.Cluster = c.Cluster.withDefaults()
	if c.Registration != nil {
		registration := c.Registration.withDefaults()
		c.Registration = &registration
	}
	c.Fleets = slices.Clone(c.Fleets)
	for i := range c.Fleets {
		c.Fleets[i].RunnerFleetProps = c.Fleets[i].WithDefaults()
	}
	return c
}

func (i Image) withDefaults() Image {
	i.RunnerImagePipelineProps = i.WithDefaults()
	if i.Source.chosen() == 0 {
		i.Source.CodeCommit = &CodeCommitSource{}
	}
	if i.Source.CodeCommit != nil {
		source := *i.Source.CodeCommit
		source.CodeCommitSourceProps = source.WithDefaults()
		i.Source.CodeCommit = &source
	}
	if i.Source.GitHub != nil {
		source := i.Source.GitHub.WithDefaults()
		i.Source.GitHub = &source
	}
	return i
}

func (c Cluster) withDefaults() Cluster {
	c.RunnerClusterProps = c.WithDefaults()
	capacities := make(map[string]constructs.RunnerCapacityProps, len(c.Capacities))
	for id, capacity := range c.Capacities {
		capacities[id] = capacity.WithDefaults()
	}
	c.Capacities = capacities
	return c
}

func (r Registration) withDefaults() Registration {
	r.Credential = cmp.Or(r.Credential, credentialApp)
	r.RunnerRegistrationProps = r.WithDefaults()
	r.Scope = r.scope()
	r.RunnerRegistrationProps.Credential = r.GitHubCredential(nil)
	return r
}

// Kinds of credential.
const (
	credentialApp   = "app"
	credentialToken = "token"
)

// GitHubCredential is the credential of the configured kind, with a secret.
func (r Registration) GitHubCredential(secret awssecretsmanager.ISecret) constructs.GitHubCredential {
	if r.Credential == credentialToken {
		return constructs.GitHubToken(secret)
	}
	return constructs.GitHubApp(secret)
}

// scope is where runners are registered; it is empty unless exactly one of
// Organization, Repository and Enterprise is set.
func (r Registration) scope() constructs.RunnerScope {
	switch {
	case r.scopes() != 1:
		return constructs.RunnerScope{}
	case r.Organization != "":
		return constructs.Organization(r.Organization)
	case r.Repository != "":
		return constructs.Repository(r.Repository)
	default:
		return constructs.Enterprise(r.Enterprise)
	}
}

func (r Registration) scopes() int {
	return count(r.Organization != "", r.Repository != "", r.Enterprise != "")
}

func (s ImageSource) chosen() int {
	return count(s.CodeCommit != nil, s.Folder != nil, s.GitHub != nil)
}

func count(conditions ...bool) int {
	n := 0
	for _, condition := range conditions {
		if condition {
			n++
		}
	}
	return n
}

// ImageStackName is the name of the stack that builds the image.
func (c Config) ImageStackName() string { return c.StackName + "Image" }

var (
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
	stackName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	tagText     = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]+$`)
	reservedTag = regexp.MustCompile(`(?i)^aws:`)
	account     = regexp.MustCompile(`^[0-9]{12}$`)
	region      = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)
	vpcID       = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
	subnetID    = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	// The path of what has such an id is the value of a tag, of at most 256 characters.
	constructID      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,99}$`)
	keyARN           = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$`)
	topicARN         = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
	secretARN        = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$`)
	availabilityZone = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+([a-z]|-[a-z0-9-]+)$`)
)

// Validate returns an error that names every value that cannot work, with the path
// of its key, or nil. It expects the defaults to be filled in.
func (c Config) Validate() error {
	var l problem.List
	c.validateStack(&l)
	if c.VPC != nil {
		c.VPC.validate(&l, c.Region)
	}
	if c.Image != nil {
		if len(c.ImageStackName()) > 128 {
			l.Invalid("stackName", c.StackName, "at most 123 letters, digits and - with an image, whose stack has Image after that name")
		}
		l.Under("image", c.Image.validate())
		if c.Image.BuildInVPC && (c.VPC == nil || c.VPC.Public) {
			l.Refused("image.buildInVpc", "needs vpc with subnets that are not public: CodeBuild gives builds no public address")
		}
	}
	if c.Webhook != nil {
		l.Under("webhook", problem.Of(c.Webhook.Validate()).JSON())
	}
	l.Under("cluster", c.Cluster.validate())
	if c.Registration != nil {
		l.Under("registration", c.Registration.validate())
	}
	if c.Webhook != nil && c.Registration != nil {
		l.Under("webhook", problem.Of(c.Webhook.ValidateFor(c.Registration.Scope)).JSON())
	}
	c.validateFleets(&l)
	return l.Err()
}

func (c Config) validateStack(l *problem.List) {
	if !stackName.MatchString(c.StackName) || awsname.IsReserved(c.StackName) {
		l.Invalid("stackName", c.StackName, "at most 128 letters, digits and -, beginning with a letter, but not with aws, ecs or fargate in any case: ECS refuses capacity providers that CloudFormation names after such a stack")
	}
	l.Match("account", c.Account, account, "12 digits")
	l.Match("region", c.Region, region, `a region such as "eu-central-1"`)
	if (c.Account == "") != (c.Region == "") {
		l.Invalid("account, region", problem.Words(fmt.Sprintf("%q and %q", c.Account, c.Region)), "given both or neither")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		if value := c.Tags[key]; !tagText.MatchString(key) || len(key) > 128 || len(value) > 256 || value != "" && !tagText.MatchString(value) || reservedTag.MatchString(key) {
			l.Invalid(fmt.Sprintf("tags[%q]", key), value, "a key of 1 to 128 and a value of up to 256 letters, digits, spaces and +-=._:/@, the key not beginning with aws:")
		}
	}
}

func (i Image) validate() (l problem.List) {
	l = append(l, problem.Of(i.RunnerImagePipelineProps.Validate()).JSON()...)
	if n := i.Source.chosen(); n > 1 {
		l.Refused("source", fmt.Sprintf("must have one source, or none for a new CodeCommit repository, got %d", n))
	}
	if s := i.Source.CodeCommit; s != nil {
		l.Under("source.codeCommit", problem.Of(s.Validate()).JSON())
		if s.Existing && s.RepositoryName == "" {
			l.Required("source.codeCommit.repositoryName", "the name of the existing repository")
		}
	}
	if s := i.Source.Folder; s != nil && s.Path == "" {
		l.Required("source.folder.path", "a folder with a Dockerfile")
	}
	if s := i.Source.GitHub; s != nil {
		l.Under("source.gitHub", problem.Of(s.Validate()).JSON())
	}
	l.Match("encryptionKeyArn", i.EncryptionKeyARN, keyARN, "the ARN of a KMS key")
	l.Match("failureTopicArn", i.FailureTopicARN, topicARN, "the ARN of an SNS topic")
	l.Match("alarmTopicArn", i.AlarmTopicARN, topicARN, "the ARN of an SNS topic")
	return l
}

// Ids that the cluster itself uses in the tree of constructs.
var clusterIDs = []string{
	"CapacityProviders", "Cluster", "DefaultCapacity", "InstanceProfile", "InstanceRole", "SecurityGroup", "Vpc",
}

func (c Cluster) validate() (l problem.List) {
	l = append(l, problem.Of(c.RunnerClusterProps.Validate()).JSON()...)
	earlier := map[string]constructs.RunnerCapacityProps{"DefaultCapacity": *c.DefaultCapacity}
	weighted := *c.DefaultCapacity.Weight != 0
	for _, id := range slices.Sorted(maps.Keys(c.Capacities)) {
		capacity := c.Capacities[id]
		if !constructID.MatchString(id) || slices.Contains(clusterIDs, id) {
			l.Invalid("capacities", id, "ids of at most 100 letters and digits that begin with a letter, other than "+problem.Or(clusterIDs))
		}
		path := fmt.Sprintf("capacities[%q]", id)
		l.Under(path, problem.Of(capacity.Validate()).JSON())
		l.Under(path, problem.Of(capacity.ValidateBeside(earlier)).JSON())
		earlier[id] = capacity
		weighted = weighted || *capacity.Weight != 0
	}
	if !weighted {
		l.Invalid("defaultCapacity.weight", 0, "1 to 1000 here or in one of capacities: ECS refuses a default strategy without a weight")
	}
	return l
}

func (r Registration) validate() (l problem.List) {
	for _, p := range problem.Of(r.Validate()) {
		if p.Path != "Scope" && p.Path != "Credential" { // reported below, by their keys
			l = append(l, problem.List{p}.JSON()...)
		}
	}
	if n := r.scopes(); n != 1 {
		got := map[int]string{0: "none of them", 2: "two of them", 3: "all of them"}[n]
		l.Refused("organization, repository, enterprise", "must be given exactly once, because runners belong to an organization, a repository or an enterprise, got "+got)
	}
	if r.Organization != "" && !contract.IsOwner(r.Organization) {
		l.Invalid("organization", r.Organization, "the login of an organization")
	}
	if r.Repository != "" && !contract.IsRepositoryName(r.Repository) {
		l.Invalid("repository", r.Repository, `the full name of a repository, such as "my-org/app"`)
	}
	if r.Enterprise != "" && !contract.IsOwner(r.Enterprise) {
		l.Invalid("enterprise", r.Enterprise, "the slug of an enterprise")
	}
	l.OneOf("credential", r.Credential, credentialApp, credentialToken)
	if r.Enterprise != "" && r.Credential == credentialApp {
		l.Invalid("credential", r.Credential, "token with enterprise: GitHub lets no App register runners of an enterprise")
	}
	l.Match("secretArn", r.SecretARN, secretARN, "the complete ARN of a secret, with the six characters at its end")
	if r.SecretARN != "" && r.SecretName != "" {
		l.Conflict("secretName", "secretArn", "it names the new secret")
	}
	return l
}

// validateFleets names what is wrong with the fleets, or with what they need.
func (c Config) validateFleets(l *problem.List) {
	if len(c.Fleets) == 0 {
		return
	}
	if c.Registration == nil {
		l.Required("registration", "it registers the runners of the fleets")
	}
	switch {
	case c.Webhook == nil:
		l.Required("webhook", "it starts the tasks of the fleets")
	case !c.Webhook.AcceptsJobs():
		l.Invalid("webhook.events", c.Webhook.Events, `a list with workflow_job, or "*": no job reaches a fleet otherwise`)
	}
	for i, fleet := range c.Fleets {
		path := fmt.Sprintf("fleets[%d]", i)
		l.Under(path, problem.Of(fleet.Validate()).JSON())
		if slices.ContainsFunc(c.Fleets[:i], func(earlier Fleet) bool { return earlier.Name == fleet.Name }) {
			l.Invalid(path+".name", fleet.Name, "a name that no other fleet has")
		}
		l.Match(path+".image", fleet.Image, awsname.Image, `an image such as "registry.example.com/runner:stable"`)
		capacity, found := c.FleetCapacity(fleet)
		if !found {
			l.OneOf(path+".capacity", fleet.Capacity, append(slices.Sorted(maps.Keys(c.Cluster.Capacities)), "left out for the default capacity")...)
			continue
		}
		if fleet.Image == "" && (c.Image == nil || !slices.Contains(c.Image.Architectures, capacity.Architecture)) {
			why := "there is no image that is built; add the key image, or name one here"
			if c.Image != nil {
				why = fmt.Sprintf("image.architectures does not have %q, so none is built", capacity.Architecture)
			}
			l.Required(path+".image", why)
		}
		place := constructs.Placement{Capacity: capacity, PublicSubnets: c.VPC == nil || c.VPC.Public}
		if c.Registration != nil {
			place.Scope = c.Registration.Scope
		}
		_, misfits := fleet.Fit(place)
		l.Under(path, problem.Of(misfits).JSON())
	}
}

// FleetCapacity is the capacity on which a fleet's tasks run, and false if there
// is none of that id.
func (c Config) FleetCapacity(fleet Fleet) (constructs.RunnerCapacityProps, bool) {
	if fleet.Capacity == "" {
		return *c.Cluster.DefaultCapacity, true
	}
	capacity, found := c.Cluster.Capacities[fleet.Capacity]
	return capacity, found
}

func (v VPC) validate(l *problem.List, region string) {
	if v.ID == "" {
		l.Required("vpc.id", "the id of the VPC")
	} else if !vpcID.MatchString(v.ID) {
		l.Invalid("vpc.id", v.ID, `a VPC such as "vpc-0123456789abcdef0"`)
	}
	if len(v.SubnetIDs) == 0 || len(v.SubnetIDs) != len(v.AvailabilityZones) {
		l.Invalid("vpc.subnetIds", v.SubnetIDs, fmt.Sprintf("at least one subnet, and one for each of the %d availabilityZones, in their order", len(v.AvailabilityZones)))
	}
	for i, id := range v.SubnetIDs {
		if !subnetID.MatchString(id) {
			l.Invalid(fmt.Sprintf("vpc.subnetIds[%d]", i), id, `a subnet such as "subnet-0123456789abcdef0"`)
		}
	}
	for i, zone := range v.AvailabilityZones {
		path := fmt.Sprintf("vpc.availabilityZones[%d]", i)
		if !availabilityZone.MatchString(zone) {
			l.Invalid(path, zone, `a zone such as "eu-central-1a"`)
		} else if region != "" && !strings.HasPrefix(zone, region) {
			l.Invalid(path, zone, "a zone of region "+region)
		}
	}
}
