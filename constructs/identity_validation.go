package constructs

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// identityValidation finds at synthesis what would let a job pass for another
// task. The registration believes two things of a call: that AWS has checked the
// role, which holds only for calls through its URL, and that the name of the
// session is the id of a task, which holds only while nobody but ECS can assume
// the role. For the first there is a second line: each call needs a proof, too.
type identityValidation struct{ registration *RunnerRegistration }

// Validate implements constructs.IValidation.
func (v *identityValidation) Validate() *[]*string {
	messages := []*string{}
	policies := v.policies()
	for _, fleet := range slices.Sorted(maps.Keys(v.registration.taskRole)) {
		role := v.registration.taskRole[fleet]
		if n := *role.AssumeRolePolicy().StatementCount(); n != 1 {
			messages = append(messages, jsii.String(fmt.Sprintf(
				"fleet %s: the trust policy of its task role must have one statement, for ecs-tasks.amazonaws.com, got %v: whoever else assumes the role can pass for any task of the fleet", fleet, n)))
		} else if document := trustOf(role); !reflect.DeepEqual(document, v.registration.trust[fleet]) {
			messages = append(messages, jsii.String(fmt.Sprintf(
				"fleet %s: the trust policy of its task role must be %v, got %v: whoever else assumes the role can pass for any task of the fleet", fleet, v.registration.trust[fleet], document)))
		}
		for _, reason := range v.opened(role, policies) {
			messages = append(messages, jsii.String(fmt.Sprintf(
				"fleet %s: %s lets jobs call lambda:InvokeFunction on the registration function past its URL, where they could pass for any task; grant it on other functions only", fleet, reason)))
		}
	}
	return &messages
}

// trustOf is the trust policy of a role as its resource has it.
func trustOf(role awsiam.Role) any {
	return awscdk.Stack_Of(role).Resolve(role.Node().DefaultChild().(awsiam.CfnRole).AssumeRolePolicyDocument())
}

// invokingManagedPolicy is one of AWS's own that let their roles invoke any function.
var invokingManagedPolicy = regexp.MustCompile(`:policy/(?:\S*/)?(AdministratorAccess|PowerUserAccess|AWSLambda_FullAccess|AWSLambdaRole)\b`)

// policy is a policy somewhere in the app that is attached to roles. Most are
// attached to others than the task roles: what is in them is not asked for, because
// each call into the CDK takes time.
type policy struct {
	resource awscdk.CfnResource
	stack    awscdk.Stack
	roles    []any
	document func() any
}

// policies are those of the app. The role's own default policy is one of them.
func (v *identityValidation) policies() []policy {
	var found []policy
	for _, construct := range *v.registration.Node().Root().Node().FindAll(constructs.ConstructOrder_PREORDER) {
		switch p := construct.(type) {
		case awsiam.CfnPolicy:
			found = append(found, newPolicy(p, p.Roles(), p.PolicyDocument))
		case awsiam.CfnRolePolicy:
			found = append(found, newPolicy(p, &[]*string{p.RoleName()}, p.PolicyDocument))
		case awsiam.CfnManagedPolicy:
			found = append(found, newPolicy(p, p.Roles(), p.PolicyDocument))
		}
	}
	return found
}

func newPolicy(p awscdk.CfnResource, roles *[]*string, document func() any) policy {
	stack := p.Stack()
	resolved, _ := stack.Resolve(roles).([]any)
	return policy{p, stack, resolved, document}
}

// opened names the policies of a role that allow what no task may do.
func (v *identityValidation) opened(role awsiam.Role, policies []policy) []string {
	var reasons []string
	roleName := role.RoleName()
	names := map[awscdk.Stack]string{} // the role's, as each stack refers to it
	for _, p := range policies {
		name, known := names[p.stack]
		if !known {
			name = fmt.Sprint(p.stack.Resolve(roleName))
			names[p.stack] = name
		}
		if !slices.ContainsFunc(p.roles, func(r any) bool { return fmt.Sprint(r) == name }) {
			continue
		}
		document, _ := p.stack.Resolve(p.document()).(map[string]any)
		statements, _ := document["Statement"].([]any)
		function := newARN(p.stack.Resolve(v.registration.function.FunctionArn()))
		if slices.ContainsFunc(statements, func(s any) bool { return invokes(s, function) }) {
			reasons = append(reasons, *p.resource.Node().Path())
		}
	}
	resource := role.Node().DefaultChild().(awsiam.CfnRole)
	managed, _ := awscdk.Stack_Of(role).Resolve(resource.ManagedPolicyArns()).([]any)
	for _, arn := range managed {
		if name := invokingManagedPolicy.FindStringSubmatch(fmt.Sprint(arn)); name != nil {
			reasons = append(reasons, "the managed policy "+name[1])
		}
	}
	return reasons
}

// invokes reports whether a statement lets its role invoke a function past its URL.
func invokes(statement any, function arn) bool {
	s, _ := statement.(map[string]any)
	if s["Effect"] != "Allow" {
		return false
	}
	if _, everythingElse := s["NotAction"]; everythingElse {
		return true
	}
	if !slices.ContainsFunc(list(s["Action"]), func(action any) bool { return glob(strings.ToLower(fmt.Sprint(action)), "lambda:invokefunction") }) {
		return false
	}
	conditions, _ := s["Condition"].(map[string]any)
	viaURL, _ := conditions["Bool"].(map[string]any)
	if fmt.Sprint(viaURL["lambda:InvokedViaFunctionUrl"]) == "true" {
		return false
	}
	if _, everythingElse := s["NotResource"]; everythingElse {
		return true
	}
	return slices.ContainsFunc(list(s["Resource"]), func(resource any) bool { return newARN(resource).covers(function) })
}

func list(value any) []any {
	if values, ok := value.([]any); ok {
		return values
	}
	return []any{value}
}

// arn is an ARN as far as synthesis knows it: what is filled in later stands in it
// as a mark. literal is false for one that is all filled in later.
type arn struct {
	text    string
	literal bool
}

// later marks what CloudFormation fills in.
const later = "\x00"

func newARN(resolved any) arn {
	if text, ok := resolved.(string); ok {
		return arn{text, true}
	}
	function, _ := resolved.(map[string]any)
	join, _ := function["Fn::Join"].([]any)
	if len(join) != 2 {
		return arn{fmt.Sprint(resolved), false}
	}
	parts := list(join[1])
	if _, text := parts[0].(string); !text && len(parts) == 2 { // an attribute, and what follows it, as in function.Arn:*
		return arn{fmt.Sprint(parts[0]), false}
	}
	var text strings.Builder
	for i, part := range parts {
		if i > 0 {
			fmt.Fprint(&text, join[0])
		}
		if literal, ok := part.(string); ok {
			text.WriteString(literal)
		} else {
			text.WriteString(later)
		}
	}
	return arn{text.String(), true}
}

// covers reports whether a resource in a policy may be the function: it is the same
// reference, or a pattern that may come to match it.
func (a arn) covers(function arn) bool {
	if !a.literal {
		return a.text == function.text
	}
	if a.text == "*" {
		return true
	}
	parts, want := strings.SplitN(a.text, ":", 7), []string{"arn", later, "lambda", later, later, "function"}
	for i, part := range parts {
		switch {
		case i < len(want) && want[i] != later:
			if part != later && !glob(part, want[i]) {
				return false
			}
		case i >= len(want) && !strings.ContainsAny(part, "*?") && part != later:
			return false // the name of another function
		}
		if strings.HasSuffix(part, "*") && i == len(parts)-1 {
			return true
		}
	}
	return true
}

// glob matches as IAM does: * stands for any characters.
func glob(pattern, text string) bool {
	matches, err := path.Match(pattern, text)
	return err == nil && matches
}
