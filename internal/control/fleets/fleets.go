// Package fleets loads the table of fleets, for every function in the same way.
package fleets

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/fleettable"
)

// Store is the part of the client of Systems Manager that Load needs.
type Store interface {
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
}

// Load returns a function like os.LookupEnv in which the named variable holds the
// whole table of fleets. It is for the start of a program: if the table is in
// parameters it reads them, in one call. A changed table is in other parameters, so
// an instance of a function sees one table, that of its version. connect is not
// called unless there is something to read.
func Load(ctx context.Context, lookup func(string) (string, bool), variable string, connect func() Store) (func(string) (string, bool), error) {
	value, _ := lookup(variable)
	names, err := fleettable.Parameters(value)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", variable, err)
	}
	if names == nil {
		return lookup, nil
	}
	output, err := connect().GetParameters(ctx, &ssm.GetParametersInput{Names: names})
	if err != nil {
		return nil, fmt.Errorf("reading the fleets of %s: %w", variable, err)
	}
	values := make(map[string]string, len(output.Parameters))
	for _, parameter := range output.Parameters {
		if parameter.Name != nil && parameter.Value != nil {
			values[*parameter.Name] = *parameter.Value
		}
	}
	lists := make([]string, len(names))
	for i, name := range names {
		list, found := values[name]
		if !found {
			return nil, fmt.Errorf("reading the fleets of %s: there is no parameter %s", variable, name)
		}
		lists[i] = list
	}
	table, err := fleettable.Join(lists)
	if err != nil {
		return nil, fmt.Errorf("reading the fleets of %s: %w", variable, err)
	}
	return func(name string) (string, bool) {
		if name == variable {
			return table, true
		}
		return lookup(name)
	}, nil
}
