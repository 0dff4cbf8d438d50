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
		capacity = capacity.WithDefaults()
		setPointer(&capacity.Weight, 0)
		capacities[id] = capacity
	}
	c.Capacities = capacities
	return c
}

// Validate names every value that cannot work, those of the capacities
// included. It expects WithDefaults to have been called.
func (c Cluster) Validate() Problems {
	var ps Problems
	if c.ClusterName != "" && !clusterName.MatchString(c.ClusterName) {
		ps.Add("ClusterName", c.ClusterName, "at most 255 letters, digits, - and _")
	}
	if c.InstanceRoleName != "" && !iamName.MatchString(c.InstanceRoleName) {
		ps.Add("InstanceRoleName", c.InstanceRoleName, "at most 64 letters, digits and + = , . @ _ -")
	}
	if c.InstanceProfileName != "" && !iamName.MatchString(c.InstanceProfileName) {
		ps.Add("InstanceProfileName", c.InstanceProfileName, "at most 64 letters, digits and + = , . @ _ -")
	}
	if !slices.Contains(containerInsights, c.ContainerInsights) {
		ps.Add("ContainerInsights", c.ContainerInsights, oneOf(containerInsights))
	}
	ps.Under("DefaultCapacity", c.DefaultCapacity.Validate())
	base := ""
	if c.DefaultCapacity.Base > 0 {
		base = "DefaultCapacity"
	}
	for _, id := range slices.Sorted(maps.Keys(c.Capacities)) {
		if !constructID.MatchString(id) || id == "DefaultCapacity" {
			ps.Add("Capacities", id, `ids of letters and digits that begin with a letter, other than "DefaultCapacity"`)
		}
		path := fmt.Sprintf("Capacities[%q]", id)
		ps.Under(path, c.Capacities[id].Validate())
		switch b := c.Capacities[id].Base; {
		case b > 0 && base != "":
			ps.Add(path+".Base", b, fmt.Sprintf("0, because %s has the base already and a cluster has one", base))
		case b > 0:
			base = path
		}
	}
	return ps
}
