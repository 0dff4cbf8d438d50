package constructs

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/fleettable"
)

var nonAlphanumeric = regexp.MustCompile(`[^A-Za-z0-9]`)

// fleetTable is where a function finds its fleets: in a variable of its own while
// they fit, and in parameters of Systems Manager beyond.
type fleetTable struct {
	function   awslambda.Function
	role       awsiam.IRole
	variable   string
	parameters []awsssm.CfnParameter
}

// fleetRow is a fleet in a table.
type fleetRow struct {
	json    string // may have tokens
	literal string // with something literal, as long as it may become, in place of tokens
}

// set writes the table. fits says whether the variable has room for it.
func (t *fleetTable) set(scope constructs.Construct, rows []fleetRow, fits bool) error {
	if fits && len(t.parameters) == 0 {
		t.setVariable(fleettable.List(jsonOf(rows)))
		return nil
	}
	counts, err := split(rows)
	if err != nil {
		return err
	}
	var names []string
	for i, n := range counts {
		parameter := t.parameter(scope, i)
		parameter.SetValue(jsii.String(fleettable.List(jsonOf(rows[:n]))))
		// A table never changes under a function that has read its name: another one is
		// another parameter, and CloudFormation removes the old one last.
		parameter.OverrideLogicalId(jsii.String(logicalID(scope, i, rows[:n])))
		names, rows = append(names, *parameter.Ref()), rows[n:]
	}
	value, err := fleettable.Refer(names)
	if err == nil {
		t.setVariable(value)
	}
	return err
}

// split returns how many rows each parameter holds.
func split(rows []fleetRow) ([]int, error) {
	lengths := make([]int, len(rows))
	for i, row := range rows {
		lengths[i] = len(row.literal)
	}
	return fleettable.Split(lengths)
}

func (t *fleetTable) setVariable(value string) {
	t.function.AddEnvironment(&t.variable, &value, nil)
}

// parameter is the i-th parameter, new or made before.
func (t *fleetTable) parameter(scope constructs.Construct, i int) awsssm.CfnParameter {
	if i < len(t.parameters) {
		return t.parameters[i]
	}
	parameter := awsssm.NewCfnParameter(scope, jsii.String("Fleets"+strconv.Itoa(i+1)), &awsssm.CfnParameterProps{
		Type:        jsii.String("String"),
		Value:       jsii.String("[]"),
		Description: jsii.String("Fleets of a function, which are too many for its environment"),
	})
	t.parameters = append(t.parameters, parameter)
	t.role.AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("ssm:GetParameters"),
		Resources: &[]*string{awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ssm"), Resource: jsii.String("parameter"), ResourceName: parameter.Ref(),
		})},
	}))
	return parameter
}

// logicalID is that of the i-th parameter with these fleets.
func logicalID(scope constructs.Construct, i int, rows []fleetRow) string {
	content := sha256.New()
	for _, row := range rows {
		fmt.Fprintln(content, row.literal)
	}
	id := nonAlphanumeric.ReplaceAllString(*scope.Node().Path(), "")
	return fmt.Sprintf("%sFleets%d%X", id[max(0, len(id)-100):], i+1, content.Sum(nil)[:4])
}

func jsonOf(rows []fleetRow) []string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = row.json
	}
	return texts
}
