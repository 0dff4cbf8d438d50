package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Cluster is an ECS cluster with its capacities. What each field means is told
// at constructs.RunnerClusterProps.
type Cluster struct {
	ClusterName         string              `json:"clusterName"`
	ContainerInsights   string              `json:"containerInsights"`
	InstanceRoleName    string              `json:"instanceRoleName"`
	InstanceProfileName string              `json:"instanceProfileName"`
	SessionManager      bool                `json:"sessionManager"`
	DefaultCapacity     Capacity            `json:"defaultCapacity"`
	Capacities          map[string]Capacity `json:"capacities"`
}

// ECS's values of the cluster setting containerInsights.
const (
	InsightsDisabled = "disabled"
	InsightsEnabled  = "enabled"
	InsightsEnhanced = "enhanced"
)

var (
	containerInsights = []string{InsightsDisabled, InsightsEnabled, InsightsEnhanced}
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateCluster.html
	clusterName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)
	iamName     = regexp.MustCompile(`^[A-Za-z0-9+=,.@_-]{1,64}$`)
	constructID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
)

// WithDefaults returns a copy with every absent value filled in, those of the
// capacities included.
func (c Cluster) WithDefaults() Cluster {
	set(&c.ContainerInsights, InsightsDisabled)
	c.DefaultCapacity = c.DefaultCapacity.WithDefaults()
	setPointer(&c.DefaultCapacity.Weight, 1)
	capacities := make(map[string]Capacity, len(c.Capacities))
	for id, capacity := range c.Capacities {
		capacities[id] = capacity.WithAddedDefaults()
	}
	c.Capacities = capacities
	return c
}

// WithAddedDefaults returns WithDefaults of a capacity that is not the default
// one: tasks that name no capacity go there only if it has a Weight or Base.
func (c Capacity) WithAddedDefaults() Capacity {
	c = c.WithDefaults()
	weight := 0
	if c.Base > 0 {
		weight = 1
	}
	setPointer(&c.Weight, weight)
	return c
}

// Names that the cluster itself uses in the tree of constructs.
var clusterIDs = []string{
	"CapacityProviders", "Cluster", "DefaultCapacity", "InstanceProfile", "InstanceRole", "SecurityGroup", "Vpc",
}

// Validate names every value that cannot work, those of the capacities
// included. It expects WithDefaults to have been called.
func (c Cluster) Validate() Problems {
	var ps Problems
	if c.ClusterName != "" && !unresolved(c.ClusterName) && !clusterName.MatchString(c.ClusterName) {
		ps.Add("ClusterName", c.ClusterName, "at most 255 letters, digits, - and _")
	}
	if c.InstanceRoleName != "" && !unresolved(c.InstanceRoleName) && !iamName.MatchString(c.InstanceRoleName) {
		ps.Add("InstanceRoleName", c.InstanceRoleName, "at most 64 letters, digits and + = , . @ _ -")
	}
	if c.InstanceProfileName != "" && !unresolved(c.InstanceProfileName) && !iamName.MatchString(c.InstanceProfileName) {
		ps.Add("InstanceProfileName", c.InstanceProfileName, "at most 64 letters, digits and + = , . @ _ -")
	}
	if !slices.Contains(containerInsights, c.ContainerInsights) {
		ps.Add("ContainerInsights", c.ContainerInsights, oneOf(containerInsights))
	}
	ps.Under("DefaultCapacity", c.DefaultCapacity.Validate())
	earlier := []Capacity{c.DefaultCapacity}
	base := ""
	if c.DefaultCapacity.Base > 0 {
		base = "DefaultCapacity"
	}
	for _, id := range slices.Sorted(maps.Keys(c.Capacities)) {
		if !constructID.MatchString(id) || slices.Contains(clusterIDs, id) {
			ps.Add("Capacities", id, "ids of letters and digits that begin with a letter, other than "+oneOf(clusterIDs))
		}
		path := fmt.Sprintf("Capacities[%q]", id)
		ps.Under(path, c.Capacities[id].Validate())
		ps.Under(path, c.Capacities[id].SharedNames(earlier))
		earlier = append(earlier, c.Capacities[id])
		switch b := c.Capacities[id].Base; {
		case b > 0 && base != "":
			ps.Add(path+".Base", b, fmt.Sprintf("0, because %s has the base already and a cluster has one", base))
		case b > 0:
			base = path
		}
	}
	return ps
}
