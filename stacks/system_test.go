package stacks_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/snapshottest"
	"github.com/ecs-github-runners/ecsrunners/stacks"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// system makes both stacks of a configuration, as cmd/app does, and returns their
// templates.
func system(t *testing.T, configuration any) (runners, image map[string]any) {
	t.Helper()
	app := snapshottest.NewApp(t, map[string]any{config.Key: configuration})
	c, err := config.Parse(app.Node().TryGetContext(jsii.String(config.Key)))
	require.NoError(t, err)
	imageStack := stacks.NewRunnerImageStack(app, c)
	stack := stacks.NewRunnersStack(app, c, imageStack.Pipeline().Image())
	return cdktest.Template(stack), cdktest.Template(imageStack)
}

// peerResources is the number of resources of the nearest peer: an app of
// CloudSnorkel/cdk-github-runners v0.15.4 with an ECS provider and nothing else.
const peerResources = 71

func TestSystem_IsSmallerThanItsPeer(t *testing.T) {
	runners, image := system(t, committed(t))
	count := func(template map[string]any) int { return len(template["Resources"].(map[string]any)) }
	total := count(runners) + count(image)
	t.Logf("the default app with one fleet has %d resources: %d to run jobs, %d to build the image; the nearest peer "+
		"has %d", total, count(runners), count(image), peerResources)
	assert.Less(t, total, peerResources, "what is more needs a reason")

	assertReadmeSays(t, fmt.Sprintf("%d resources (%d to run jobs, %d to build the image)", total, count(runners),
		count(image)))
}

// What an idle deployment costs a month, in us-east-1, by the price lists of
// November 2026. What is charged by use is charged for the daily check of the
// image, the only thing that happens at rest.
var prices = []struct {
	resource string
	what     string
	dollars  func(properties map[string]any) float64
}{
	{"AWS::SecretsManager::Secret", "a secret: $0.40", func(map[string]any) float64 { return 0.40 }},
	{
		"AWS::CodeBuild::Project", "thirty checks of a minute, two at the most, on general1.small: $0.005 a minute",
		func(map[string]any) float64 { return 30 * 2 * 0.005 },
	},
	{
		"AWS::ECR::Repository", "six images of 0.4 GB, few of whose layers differ: $0.10 a GB",
		func(map[string]any) float64 { return 6 * 0.4 * 0.10 },
	},
	{"AWS::ECS::CapacityProvider", "the two alarms that managed scaling keeps: $0.10 each", func(map[string]any) float64 {
		return 2 * 0.10
	}},
	{"AWS::CloudWatch::Alarm", "an alarm: $0.10", func(map[string]any) float64 { return 0.10 }},
}

// free are resources that cost nothing at rest, and why.
var free = map[string]string{
	"AWS::AutoScaling::AutoScalingGroup":            "free; its instances are not, and there are none",
	"AWS::CodeCommit::Repository":                   "five active users are free",
	"AWS::DynamoDB::Table":                          "on demand: by the request, and less than a cent of storage",
	"AWS::EC2::InternetGateway":                     "by traffic",
	"AWS::EC2::LaunchTemplate":                      "free",
	"AWS::EC2::Route":                               "free",
	"AWS::EC2::RouteTable":                          "free",
	"AWS::EC2::SecurityGroup":                       "free",
	"AWS::EC2::Subnet":                              "free",
	"AWS::EC2::SubnetRouteTableAssociation":         "free",
	"AWS::EC2::VPC":                                 "free",
	"AWS::EC2::VPCGatewayAttachment":                "free",
	"AWS::ECS::Cluster":                             "free without Container Insights",
	"AWS::ECS::ClusterCapacityProviderAssociations": "free",
	"AWS::ECS::TaskDefinition":                      "free",
	"AWS::Events::EventBus":                         "by the event",
	"AWS::Events::Rule":                             "free; those of AWS's own events too",
	"AWS::IAM::InstanceProfile":                     "free",
	"AWS::IAM::Policy":                              "free",
	"AWS::IAM::Role":                                "free",
	"AWS::Lambda::Function":                         "by the call",
	"AWS::Lambda::Permission":                       "free",
	"AWS::Lambda::Url":                              "free",
	"AWS::Logs::LogGroup":                           "by the line; a daily check writes a few kilobytes",
	"AWS::SQS::Queue":                               "by the request",
	"AWS::SQS::QueuePolicy":                         "free",
	"AWS::SSM::Parameter":                           "standard parameters are free",
	"Custom::RunnerImage":                           "a call of its function at each deployment",
	"AWS::CloudFormation::CustomResource":           "a call of its function at each deployment",
	"AWS::CodeStarConnections::Connection":          "free",
	"AWS::CodeConnections::Connection":              "free",
	"AWS::Lambda::EventInvokeConfig":                "free",
	"AWS::AutoScaling::WarmPool":                    "the default app has none",
	"AWS::EventSchemas::Discoverer":                 "the default app has none",
}

func TestSystem_CostsUnderTwoDollarsAMonthAtRest(t *testing.T) {
	runners, image := system(t, committed(t))
	total := 0.0
	for _, template := range []map[string]any{runners, image} {
		inventory := cdktest.Inventory(template)
		for _, kind := range slices.Sorted(maps.Keys(inventory)) {
			charged := false
			for _, price := range prices {
				if price.resource != kind {
					continue
				}
				charged = true
				for _, properties := range cdktest.Resources(template, kind) {
					total += price.dollars(properties)
				}
				t.Logf("%d × %s: %s", inventory[kind], kind, price.what)
			}
			assert.Truef(t, charged != (free[kind] != ""), "%s: say what it costs at rest, in prices or in free", kind)
		}
	}
	t.Logf("an idle deployment with one fleet costs $%.2f a month", total)
	assert.Less(t, total, 2.0, "the promise is less than two dollars")
	assertReadmeSays(t, fmt.Sprintf("$%.2f a month", total))
}

func assertReadmeSays(t *testing.T, text string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	assert.Truef(t, strings.Contains(string(readme), text), "README.md does not say %q", text)
}

// fleetsOf returns the committed configuration with other fleets.
func fleetsOf(t *testing.T, fleets ...map[string]any) map[string]any {
	t.Helper()
	configuration := maps.Clone(committed(t))
	configuration["fleets"] = fleets
	return configuration
}

// changed are the logical ids of the resources that two templates do not have in
// common, or not alike.
func changed(before, after map[string]any) map[string]bool {
	ids := map[string]bool{}
	one, other := before["Resources"].(map[string]any), after["Resources"].(map[string]any)
	for id := range one {
		if !assert.ObjectsAreEqual(one[id], other[id]) {
			ids[id] = true
		}
	}
	for id := range other {
		if _, found := one[id]; !found {
			ids[id] = true
		}
	}
	return ids
}

func TestSystem_AddingAFleetTouchesNothingButTheRouteTables(t *testing.T) {
	linux := map[string]any{"name": "linux-x64", "labels": []string{"self-hosted", "linux", "x64"}}
	gpu := map[string]any{"name": "gpu", "labels": []string{"self-hosted", "gpu"}}
	before, _ := system(t, fleetsOf(t, linux))
	after, _ := system(t, fleetsOf(t, linux, gpu))
	again, _ := system(t, fleetsOf(t, linux))
	assert.Equal(t, before, again, "removing the fleet leaves something")
	assert.Equal(t, before["Outputs"], after["Outputs"])

	kinds := map[string]int{}
	for id := range changed(before, after) {
		kinds[fmt.Sprint(cdktest.At(after, "Resources."+id+".Type"))]++
	}
	assert.Equal(t, 1, kinds["AWS::Events::Rule"], "%v", kinds)
	assert.Equal(t, 1, kinds["AWS::ECS::TaskDefinition"], "%v", kinds)
	assert.Equal(t, 2, kinds["AWS::Lambda::Function"], "webhook and registration must hear of it: %v", kinds)
	for id := range changed(before, after) {
		one, other := cdktest.At(before, "Resources."+id), cdktest.At(after, "Resources."+id)
		if one == nil {
			assert.Containsf(t, id, "gpu", "a resource was added that is not the new fleet's")
			continue
		}
		if cdktest.At(one, "Type") == "AWS::IAM::Policy" { // by which the task roles register
			for _, policy := range []any{one, other} {
				delete(cdktest.At(policy, "Properties").(map[string]any), "Roles")
			}
			assert.Equalf(t, one, other, "%s changed in more than the roles that have it", id)
			continue
		}
		require.Equalf(t, "AWS::Lambda::Function", cdktest.At(one, "Type"), "%s is not the new fleet's, and changed", id)
		// The functions know their fleets by one variable; and the webhook's waits for
		// the fleets' rules.
		for _, function := range []any{one, other} {
			variables := cdktest.At(function, "Properties.Environment.Variables").(map[string]any)
			delete(variables, webhookcontract.EnvRoutes)
			delete(variables, registrationcontract.EnvFleets)
			delete(function.(map[string]any), "DependsOn")
		}
		assert.Equalf(t, one, other, "%s changed in more than its route table", id)
	}
}

func TestSystem_ChangingAFleetsMemoryChangesItsTaskDefinitionAlone(t *testing.T) {
	fleet := map[string]any{"name": "linux-x64", "labels": []string{"self-hosted", "linux", "x64"}}
	before, imageBefore := system(t, fleetsOf(t, fleet))
	smaller := maps.Clone(fleet)
	smaller["memoryMiB"] = 4096
	after, imageAfter := system(t, fleetsOf(t, smaller))
	assert.Equal(t, imageBefore, imageAfter)
	require.Len(t, changed(before, after), 1)
	for id := range changed(before, after) {
		assert.Equalf(t, "AWS::ECS::TaskDefinition", cdktest.At(before, "Resources."+id+".Type"),
			"%s refers to a revision of the task definition: it would be replaced with it, or go stale", id)
	}
}

func TestRunnersStack_RegistersRunnersWhereTheConfigurationSays(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:github/runners-AbCdEf"
	for _, test := range []struct{ registration, scope, secret string }{
		{`{"organization": "octo"}`, "orgs/octo", ""},
		{`{"repository": "octo/app"}`, "repos/octo/app", ""},
		{`{"enterprise": "globo", "credential": "token", "secretArn": "` + arn + `"}`, "enterprises/globo", arn},
	} {
		runners, _ := system(t, `{"image": {}, "webhook": {"owners": ["octo"]}, "registration": `+test.registration+`}`)
		variables := registrationVariables(t, runners)
		assert.Equal(t, test.scope, variables[registrationcontract.EnvScope])
		secrets := len(cdktest.Resources(runners, "AWS::SecretsManager::Secret"))
		if test.secret == "" {
			assert.Equal(t, 2, secrets)
			continue
		}
		assert.Equal(t, test.secret, variables[registrationcontract.EnvCredentialID])
		assert.Equal(t, 1, secrets, "a secret that nobody reads")
	}
}

func registrationVariables(t *testing.T, template map[string]any) map[string]any {
	t.Helper()
	for _, function := range cdktest.Resources(template, "AWS::Lambda::Function") {
		if variables, _ := cdktest.At(function,
			"Environment.Variables").(map[string]any); variables[registrationcontract.EnvScope] != nil {
			return variables
		}
	}
	require.Fail(t, "no function has "+registrationcontract.EnvScope)
	return nil
}

func TestRunnersStack_RichFleetsHaveWhatTheConfigurationSays(t *testing.T) {
	_, stack := scenario{"rich", rich}.build(t, nil)
	template := cdktest.Template(stack)
	require.Len(t, stack.Fleets(), 3)
	linux, graviton, spot := stack.Fleets()[0], stack.Fleets()[1], stack.Fleets()[2]
	assert.Equal(t, []constructs.Architecture{constructs.X64, constructs.ARM64, constructs.X64},
		[]constructs.Architecture{
			linux.Capacity().Architecture(), graviton.Capacity().Architecture(),
			spot.Capacity().Architecture(),
		})
	container := func(fleet *constructs.RunnerFleet) any {
		return cdktest.At(cdktest.Properties(t, template, fleet.TaskDefinition()), "ContainerDefinitions.0")
	}
	assert.Equal(t, "registry.example.com/runner:stable", cdktest.At(container(spot), "Image"))
	assert.Contains(t, fmt.Sprint(cdktest.At(container(graviton), "Image")), ":latest-arm64")
	assert.Contains(t, fmt.Sprint(cdktest.At(container(linux), "Image")), ":latest-x64")
	assert.Same(t, stack.Registration(), stack.Node().FindChild(jsii.String("Registration")))
}

// security.md tells reviewers what each role may do. What it leaves out, they do
// not review.
func TestSecurity_TheIAMTableIsTrue(t *testing.T) {
	runners, image := system(t, committed(t))
	want := map[string]bool{}
	for _, template := range []map[string]any{runners, image} {
		names := map[string]string{}
		for id, role := range cdktest.Resources(template, "AWS::IAM::Role") {
			names[id] = roleName(t, id)
			policies, _ := role["Policies"].([]any)
			for _, policy := range policies {
				addRows(want, names[id], cdktest.At(policy, "PolicyDocument"))
			}
		}
		for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
			addRows(want, names[fmt.Sprint(cdktest.At(policy, "Roles.0.Ref"))], policy["PolicyDocument"])
		}
	}
	file, err := os.ReadFile("../docs/security.md")
	require.NoError(t, err)
	_, rest, begins := strings.Cut(string(file), "<!-- BEGIN permissions -->\n")
	table, _, ends := strings.Cut(rest, "<!-- END permissions -->\n")
	require.True(t, begins && ends, "docs/security.md has no table of permissions")
	got := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 4 || strings.TrimSpace(cells[0]) == "Role" || strings.HasPrefix(strings.TrimSpace(cells[0]), "---") {
			continue
		}
		for _, action := range strings.Split(cells[1], ",") {
			action = strings.Trim(strings.TrimSpace(action), "`")
			row := strings.TrimSpace(cells[0]) + ": " + action
			if strings.Contains(cells[2], "`"+action+"` supports no resource-level permissions") {
				row += everywhere
			}
			got[row] = true
		}
	}
	for row := range want {
		assert.Truef(t, got[row], "docs/security.md does not list %s", row)
	}
	for row := range got {
		assert.Truef(t, want[row], "docs/security.md lists %s, which no template has", row)
	}
}

// A service that acts for whoever configures it is trusted only as far as it acts
// for this account, and for what it names.
func TestSecurity_EventsStartNothingForOthers(t *testing.T) {
	runners, image := system(t, committed(t))
	found := 0
	for _, template := range []map[string]any{runners, image} {
		for id, role := range cdktest.Resources(template, "AWS::IAM::Role") {
			statements, _ := cdktest.At(role, "AssumeRolePolicyDocument.Statement").([]any)
			for _, statement := range statements {
				switch cdktest.At(statement, "Principal.Service") {
				case "events.amazonaws.com", "ecs-tasks.amazonaws.com":
					found++
					condition, _ := cdktest.At(statement, "Condition").(map[string]any)
					account, _ := condition["StringEquals"].(map[string]any)
					source, _ := condition["ArnLike"].(map[string]any)
					assert.NotNil(t, account["aws:SourceAccount"], "%s can be used for another account", id)
					assert.NotNil(t, source["aws:SourceArn"], "%s can be used for anything", id)
				}
			}
		}
	}
	assert.Equal(t, 4, found, "a rule's, a task's two, and the image triggers'")
}

// roleName is what security.md calls a role.
func roleName(t *testing.T, id string) string {
	t.Helper()
	for pattern, name := range map[string]string{
		`^ClusterInstanceRole`: "instances", `^IngressRole[0-9A-F]`: "webhook function",
		`^IngressRuleRole`:  "rule of a fleet",
		`^RegistrationRole`: "registration function", `^RegistrationTaskRole`: "task (jobs)",
		`ExecutionRole`:   "task execution (ECS agent)",
		`^ImageBuildRole`: "image builds", `^ImageFunctionRole`: "image function",
		`^ImageTriggerRole`: "image triggers",
	} {
		if regexp.MustCompile(pattern).MatchString(id) {
			return name
		}
	}
	require.Fail(t, "a role that docs/security.md does not know: "+id)
	return ""
}

// everywhere marks an action that is allowed on all resources.
const everywhere = " on *"

func addRows(rows map[string]bool, role string, document any) {
	statements, _ := cdktest.At(document, "Statement").([]any)
	for _, statement := range statements {
		effect := ""
		if cdktest.At(statement, "Effect") == "Deny" {
			effect = "not "
		}
		actions, isList := cdktest.At(statement, "Action").([]any)
		if !isList {
			actions = []any{cdktest.At(statement, "Action")}
		}
		for _, action := range actions {
			row := role + ": " + effect + fmt.Sprint(action)
			if cdktest.At(statement, "Resource") == "*" {
				row += everywhere
			}
			rows[row] = true
		}
	}
}

// No credential may be in what CloudFormation, and whoever may read its
// templates, gets to see.
func TestSystem_NoTemplateHoldsACredential(t *testing.T) {
	secret := regexp.MustCompile(`gh[pousr]_[A-Za-z0-9]{16,}|github_pat_|-----BEGIN|AKIA[A-Z0-9]{16}|SecretString"`)
	require.Regexp(t, secret, `"SecretString": "x"`)
	for _, configuration := range []any{committed(t), rich} {
		runners, image := system(t, configuration)
		for _, template := range []map[string]any{runners, image} {
			text, err := json.Marshal(template["Resources"])
			require.NoError(t, err)
			text = []byte(strings.ReplaceAll(string(text), `"GenerateSecretString"`, ""))
			assert.NotRegexp(t, secret, string(text))
		}
	}
}

// Past its URL, with lambda:InvokeFunction, anybody could tell the registration that
// he is any task. What IAM says to a job that tries, by the rules of
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func TestSystem_AJobCannotInvokeTheRegistrationPastItsURL(t *testing.T) {
	runners, _ := system(t, committed(t))
	var statements []any
	for id, policy := range cdktest.Resources(runners, "AWS::IAM::Policy") {
		if strings.HasPrefix(id, "RegistrationTaskRole") || strings.HasPrefix(id, "RegistrationRegister") {
			statements = append(statements, cdktest.At(policy, "PolicyDocument.Statement").([]any)...)
		}
	}
	require.NotEmpty(t, statements)
	everything := map[string]any{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
	viaURL := map[string]any{"lambda:FunctionUrlAuthType": "AWS_IAM", "lambda:InvokedViaFunctionUrl": "true"}
	for _, given := range [][]any{statements, append(slices.Clone(statements), everything)} {
		assert.True(t, allows(t, given, "lambda:InvokeFunctionUrl", viaURL), "tasks could not register")
		assert.True(t, allows(t, given, "lambda:InvokeFunction", viaURL), "tasks could not register")
		for _, past := range []map[string]any{{}, {"lambda:InvokedViaFunctionUrl": "false"}} {
			assert.False(t, allows(t, given, "lambda:InvokeFunction", past), "a job could pass for any task")
			assert.False(t, allows(t, given, "lambda:InvokeAsync", past), "a job could pass for any task")
		}
	}
	assert.True(t, allows(t, []any{everything}, "lambda:InvokeFunction", map[string]any{}), "the test would not notice")
}

// allows tells what IAM decides on an action on the resource that the statements are
// about.
func allows(t *testing.T, statements []any, action string, context map[string]any) bool {
	t.Helper()
	allowed := false
	for _, statement := range statements {
		actions, isList := cdktest.At(statement, "Action").([]any)
		if !isList {
			actions = []any{cdktest.At(statement, "Action")}
		}
		matches := slices.ContainsFunc(actions, func(a any) bool {
			ok, err := path.Match(fmt.Sprint(a), action)
			return err == nil && ok
		})
		conditions, _ := cdktest.At(statement, "Condition").(map[string]any)
		for operator, keys := range conditions {
			for key, want := range keys.(map[string]any) {
				got, present := context[key]
				switch operator {
				case "Bool", "StringEquals":
					matches = matches && present && got == fmt.Sprint(want)
				case "BoolIfExists":
					matches = matches && (!present || got == fmt.Sprint(want))
				default:
					require.Fail(t, "say here what IAM makes of "+operator)
				}
			}
		}
		if matches && cdktest.At(statement, "Effect") == "Deny" {
			return false
		}
		allowed = allowed || matches
	}
	return allowed
}
