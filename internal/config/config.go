// Package config reads the app's configuration: the "ecsrunners" object of the
// CDK context, from cdk.json or the command line.
package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// Key is the context key that holds the configuration.
const Key = "ecsrunners"

// Config is the whole configuration of the app. README.md explains each key; a
// test holds its table against these types.
type Config struct {
	StackName string            `json:"stackName"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Tags      map[string]string `json:"tags"`
	VPC       *VPC              `json:"vpc"`
	Image     *settings.Image   `json:"image"`
	Webhook   *settings.Webhook `json:"webhook"`
	Cluster   settings.Cluster  `json:"cluster"`

	Registration *settings.Registration `json:"registration"`
	Fleets       []settings.Fleet       `json:"fleets"`
}

// VPC is an existing VPC, told in full so that synthesis looks nothing up.
type VPC struct {
	ID                string   `json:"id"`
	AvailabilityZones []string `json:"availabilityZones"`
	SubnetIDs         []string `json:"subnetIds"`
	Public            bool     `json:"public"`
}

// WithDefaults returns a copy with every absent value filled in.
func (c Config) WithDefaults() Config {
	if c.StackName == "" {
		c.StackName = "GitHubRunners"
	}
	if c.Image != nil {
		image := c.Image.WithDefaults()
		c.Image = &image
	}
	if c.Webhook != nil {
		webhook := c.Webhook.WithDefaults()
		c.Webhook = &webhook
	}
	c.Cluster = c.Cluster.WithDefaults()
	if c.Registration != nil {
		registration := c.Registration.WithDefaults()
		c.Registration = &registration
	}
	c.Fleets = slices.Clone(c.Fleets)
	for i := range c.Fleets {
		c.Fleets[i] = c.Fleets[i].WithDefaults()
	}
	return c
}

// ImageStackName is the name of the stack that builds the image.
func (c Config) ImageStackName() string { return c.StackName + "Image" }

var (
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
	stackName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	tagText          = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+@-]+$`)
	reservedTag      = regexp.MustCompile(`(?i)^aws:`)
	account          = regexp.MustCompile(`^[0-9]{12}$`)
	region           = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)
	vpcID            = regexp.MustCompile(`^vpc-[0-9a-f]{8,17}$`)
	subnetID         = regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`)
	availabilityZone = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+([a-z]|-[a-z0-9-]+)$`)
)

// Validate names every value that cannot work, with the path of its key. It
// expects WithDefaults to have been called.
func (c Config) Validate() settings.Problems {
	var ps settings.Problems
	if !stackName.MatchString(c.StackName) || settings.ReservedName(c.StackName) {
		ps.Add("stackName", c.StackName, "at most 128 letters, digits and -, beginning with a letter, but not with aws, ecs or fargate in any case: ECS refuses capacity providers that CloudFormation names after such a stack")
	}
	if c.Account != "" && !account.MatchString(c.Account) {
		ps.Add("account", c.Account, "12 digits")
	}
	if c.Region != "" && !region.MatchString(c.Region) {
		ps.Add("region", c.Region, `a region such as "eu-central-1"`)
	}
	if (c.Account == "") != (c.Region == "") {
		ps.Add("account, region", settings.Words(fmt.Sprintf("%q and %q", c.Account, c.Region)), "both or neither")
	}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		if value := c.Tags[key]; !tagText.MatchString(key) || len(key) > 128 || len(value) > 256 || value != "" && !tagText.MatchString(value) || reservedTag.MatchString(key) {
			ps.Add(fmt.Sprintf("tags[%q]", key), value, "keys of 1 to 128 and values of up to 256 letters, digits, spaces and + - = . _ : / @, keys not beginning with aws:")
		}
	}
	if c.VPC != nil {
		ps.Under("vpc", c.VPC.validate())
		for i, zone := range c.VPC.AvailabilityZones {
			if c.Region != "" && availabilityZone.MatchString(zone) && !strings.HasPrefix(zone, c.Region) {
				ps.Add(fmt.Sprintf("vpc.availabilityZones[%d]", i), zone, "zones of region "+c.Region)
			}
		}
	}
	if c.Image != nil {
		if len(c.ImageStackName()) > 128 {
			ps.Add("stackName", c.StackName, "at most 123 letters, digits and - with an image, whose stack has Image after that name")
		}
		ps.Under("image", c.Image.Validate().JSON())
		if c.Image.BuildInVPC && (c.VPC == nil || c.VPC.Public) {
			ps.Add("image.buildInVpc", true, "true together with vpc whose subnets are not public: CodeBuild gives builds no public address")
		}
	}
	if c.Webhook != nil {
		ps.Under("webhook", c.Webhook.Validate().JSON())
	}
	ps.Under("cluster", c.Cluster.Validate().JSON())
	if !c.weighted() {
		ps.Add("cluster.defaultCapacity.weight", 0, "1 to 1000, here or in one of capacities: ECS refuses a default strategy without a weight")
	}
	if c.Registration != nil {
		ps.Under("registration", c.Registration.Validate().JSON())
	}
	c.validateFleets(&ps)
	return ps
}

// validateFleets names what is wrong with the fleets, or with what they need.
func (c Config) validateFleets(ps *settings.Problems) {
	if len(c.Fleets) == 0 {
		return
	}
	fleets := settings.Words(fmt.Sprintf("%d fleets", len(c.Fleets)))
	if c.Registration == nil {
		ps.Add("fleets", fleets, "fleets together with registration, which gives their tasks runners")
	}
	if c.Webhook == nil {
		ps.Add("fleets", fleets, "fleets together with webhook, which starts their tasks")
	}
	for i, fleet := range c.Fleets {
		path := fmt.Sprintf("fleets[%d]", i)
		problems := fleet.Validate()
		if slices.ContainsFunc(c.Fleets[:i], func(earlier settings.Fleet) bool { return earlier.Name == fleet.Name }) {
			problems.Add("Name", fleet.Name, "a name that no other fleet has")
		}
		capacity, found := c.FleetCapacity(fleet)
		if !found {
			problems.Add("Capacity", fleet.Capacity, fmt.Sprintf("one of cluster.capacities (%s), or none for cluster.defaultCapacity", strings.Join(slices.Sorted(maps.Keys(c.Cluster.Capacities)), ", ")))
			ps.Under(path, problems.JSON())
			continue
		}
		if fleet.Image == "" && (c.Image == nil || !slices.Contains(c.Image.Architectures, capacity.Architecture)) {
			problems.Add("Image", settings.Words("none"), fmt.Sprintf("the name of an image, or image.architectures with %q, for which one is built", capacity.Architecture))
		}
		surroundings := settings.Surroundings{Capacity: capacity, PublicSubnets: c.VPC == nil || c.VPC.Public}
		if c.Registration != nil {
			surroundings.Scope = c.Registration.Scope()
		}
		_, misfits := fleet.Fit(surroundings)
		ps.Under(path, append(problems, misfits...).JSON())
	}
}

// FleetCapacity is the capacity on which a fleet's tasks run, and false if there
// is none of that id.
func (c Config) FleetCapacity(fleet settings.Fleet) (settings.Capacity, bool) {
	if fleet.Capacity == "" {
		return c.Cluster.DefaultCapacity, true
	}
	capacity, found := c.Cluster.Capacities[fleet.Capacity]
	return capacity, found
}

// weighted tells whether any capacity has a weight in the default strategy.
func (c Config) weighted() bool {
	weighted := *c.Cluster.DefaultCapacity.Weight != 0
	for _, capacity := range c.Cluster.Capacities {
		weighted = weighted || *capacity.Weight != 0
	}
	return weighted
}

func (v VPC) validate() settings.Problems {
	var ps settings.Problems
	if !vpcID.MatchString(v.ID) {
		ps.Add("id", v.ID, `a VPC such as "vpc-0123456789abcdef0"`)
	}
	if len(v.SubnetIDs) == 0 || len(v.SubnetIDs) != len(v.AvailabilityZones) {
		ps.Add("subnetIds", v.SubnetIDs, fmt.Sprintf("at least one subnet, and one for each of the %d availabilityZones, in their order", len(v.AvailabilityZones)))
	}
	for i, id := range v.SubnetIDs {
		if !subnetID.MatchString(id) {
			ps.Add(fmt.Sprintf("subnetIds[%d]", i), id, `a subnet such as "subnet-0123456789abcdef0"`)
		}
	}
	for i, zone := range v.AvailabilityZones {
		if !availabilityZone.MatchString(zone) {
			ps.Add(fmt.Sprintf("availabilityZones[%d]", i), zone, `a zone such as "eu-central-1a"`)
		}
	}
	return ps
}
