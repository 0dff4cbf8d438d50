package labels

import (
	"errors"
	"fmt"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
)

// MaxFleetNameLength is the most characters a fleet's name may have: it is part
// of the names of its runners, and GitHub limits those.
const MaxFleetNameLength = 24

var (
	// ErrFleetName says that a fleet's name is too long or has characters it
	// cannot have.
	ErrFleetName = errors.New("fleet name is not valid")
	// ErrDuplicateFleet says that two fleets have the same name.
	ErrDuplicateFleet = errors.New("fleet name is taken")
)

// Routes is a route table: the fleets in the order they are asked.
type Routes struct {
	fleets []contract.Fleet
}

// NewRoutes makes a route table. Its error names everything wrong with the
// fleets: names, duplicates, labels.
func NewRoutes(fleets []contract.Fleet) (*Routes, error) {
	var errs []error
	routes := &Routes{}
	taken := make(map[string]bool, len(fleets))
	for _, fleet := range fleets {
		if !IsFleetName(fleet.Name) {
			errs = append(errs, fmt.Errorf("%w: %q, want lower-case letters, digits and single hyphens, beginning with a letter, at most %d characters",
				ErrFleetName, fleet.Name, MaxFleetNameLength))
		}
		if taken[fleet.Name] {
			errs = append(errs, fmt.Errorf("%w: %q", ErrDuplicateFleet, fleet.Name))
		}
		taken[fleet.Name] = true
		if err := Validate(fleet.Labels); err != nil {
			errs = append(errs, fmt.Errorf("fleet %q: %w", fleet.Name, err))
		}
		routes.fleets = append(routes.fleets, contract.Fleet{Name: fleet.Name, Labels: Normalize(fleet.Labels)})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return routes, nil
}

// Fleet returns the name of the first fleet that covers a job with these labels.
// A job without labels is covered by none.
func (r *Routes) Fleet(job []string) (name string, ok bool) {
	for _, fleet := range r.fleets {
		if Covers(fleet.Labels, job) {
			return fleet.Name, true
		}
	}
	return "", false
}

// Nearest returns the fleet that lacks the fewest labels of a job, the first of them,
// and which those are. It returns false if there is no fleet.
func (r *Routes) Nearest(job []string) (name string, lacks []string, ok bool) {
	for _, fleet := range r.fleets {
		missing := Lacking(fleet.Labels, job)
		if !ok || len(missing) < len(lacks) {
			name, lacks, ok = fleet.Name, missing, true
		}
	}
	return name, lacks, ok
}

// Shadow is a fleet that never gets a job, because an earlier one covers every
// job that it covers.
type Shadow struct {
	Fleet   string // never asked
	Earlier string // takes its jobs
}

// Shadows returns the fleets that never get a job. A table with such fleets
// works, but hardly as its author meant it.
func (r *Routes) Shadows() []Shadow {
	var shadows []Shadow
	for i, fleet := range r.fleets {
		for _, earlier := range r.fleets[:i] {
			if Covers(earlier.Labels, fleet.Labels) {
				shadows = append(shadows, Shadow{Fleet: fleet.Name, Earlier: earlier.Name})
				break
			}
		}
	}
	return shadows
}

// IsFleetName reports whether a fleet can have a name: one that may stand in the
// names of runners, roles and rules without any quoting.
func IsFleetName(name string) bool {
	if name == "" || len(name) > MaxFleetNameLength || name[0] < 'a' || name[0] > 'z' || name[len(name)-1] == '-' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && name[i-1] != '-':
		default:
			return false
		}
	}
	return true
}
