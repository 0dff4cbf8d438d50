package constructs

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/env"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerRegistration registers runners at GitHub for tasks that ask: a Lambda
// function behind a URL that only the task roles of its fleets may call, a table
// in which the function keeps who works on which job, and the credential for
// GitHub, which nothing but the function can read.
//
// A task proves who it is by its role and the name of its session, both of which
// AWS vouches for. It gets a just-in-time configuration: a runner that takes one
// job.
type RunnerRegistration struct {
	constructs.Construct // filled by NewConstruct_Override

	props    RunnerRegistrationProps // with defaults
	service  registrationcontract.Config
	cluster  *RunnerCluster
	secret   awssecretsmanager.ISecret
	ledger   awsdynamodb.Table
	logGroup awslogs.LogGroup
	function awslambda.Function
	table    fleetTable
	register awsiam.Policy // of the task roles
	url      awslambda.FunctionUrl
	taskRole map[string]awsiam.Role // by fleet
	trust    map[string]any         // the trust policies of taskRole
}

var _ awsiam.IGrantable = (*RunnerRegistration)(nil)

// registrationTimeout is that of the function: no longer than a runner waits for
// one answer.
const registrationTimeout = 30 * time.Second

// NewRunnerRegistration adds a registration to the scope. It panics with an error
// that names every prop that cannot be used.
func NewRunnerRegistration(scope constructs.Construct, id string, props *RunnerRegistrationProps) *RunnerRegistration {
	if props == nil {
		props = &RunnerRegistrationProps{}
	}
	p := props.WithDefaults()
	problems := problem.Of(p.Validate())
	if p.Cluster == nil {
		problems.Required("Cluster", "the cluster on which the tasks run")
	}
	if err := problems.Err(); err != nil {
		panic(fmt.Errorf("RunnerRegistration %q:\n%w", id, err))
	}

	r := &RunnerRegistration{props: p, cluster: p.Cluster, secret: p.Credential.secret, taskRole: map[string]awsiam.Role{}, trust: map[string]any{}}
	constructs.NewConstruct_Override(r, scope, &id)
	if r.secret == nil {
		r.secret = r.newSecret()
	}
	r.ledger = r.newLedger()
	r.service = registrationcontract.Config{
		Deployment:   r.deployment(),
		Cluster:      *r.cluster.cluster.ClusterArn(),
		Ledger:       *r.ledger.TableName(),
		CredentialID: *r.secret.SecretArn(),
		GitHubURL:    p.GitHubURL,
		Scope:        p.Scope.scope,
	}
	role := r.newRole()
	r.function = r.newFunction(role)
	r.table = fleetTable{function: r.function, role: role, variable: registrationcontract.EnvFleets}
	r.url = r.function.AddFunctionUrl(&awslambda.FunctionUrlOptions{
		AuthType:   awslambda.FunctionUrlAuthType_AWS_IAM,
		InvokeMode: awslambda.InvokeMode_BUFFERED,
	})
	r.Node().AddValidation(&identityValidation{r})
	return r
}

// URL is the address at which tasks register.
func (r *RunnerRegistration) URL() *string { return r.url.Url() }

// Ledger is the table with an item for each job.
func (r *RunnerRegistration) Ledger() awsdynamodb.ITable { return r.ledger }

// Credential is the secret with GitHub's credential, made or given.
func (r *RunnerRegistration) Credential() awssecretsmanager.ISecret { return r.secret }

// CredentialCommand is the command that fills the secret from a file
// credential.json, in the form that [GitHubApp] and [GitHubToken] document.
func (r *RunnerRegistration) CredentialCommand() *string {
	return jsii.String("aws secretsmanager put-secret-value --secret-string file://credential.json --secret-id " + *r.secret.SecretArn())
}

// Function is the Lambda function.
func (r *RunnerRegistration) Function() awslambda.IFunction { return r.function }

// LogGroup is the log group of the function.
func (r *RunnerRegistration) LogGroup() awslogs.ILogGroup { return r.logGroup }

// GrantPrincipal is the role of the function.
func (r *RunnerRegistration) GrantPrincipal() awsiam.IPrincipal { return r.function.GrantPrincipal() }

// GrantRegister lets a grantee call the URL, and only through the URL: past it, the
// function could be told that anybody calls. Fleets do it for their tasks. Other
// callers are answered 403, because the function does not know them.
func (r *RunnerRegistration) GrantRegister(grantee awsiam.IGrantable) awsiam.Grant {
	grant := r.url.GrantInvokeUrl(grantee)
	// A grant that somebody adds later must not open the way past the URL either.
	// Where the key is missing, the call did not come through a URL.
	grantee.GrantPrincipal().AddToPrincipalPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect:     awsiam.Effect_DENY,
		Actions:    jsii.Strings("lambda:InvokeFunction", "lambda:InvokeAsync"),
		Resources:  &[]*string{r.function.FunctionArn(), jsii.String(*r.function.FunctionArn() + ":*")},
		Conditions: &map[string]any{"BoolIfExists": map[string]any{"lambda:InvokedViaFunctionUrl": false}},
	}))
	return grant
}

// RegistrationOutcome is one of the values below: what became of a request of a task.
type RegistrationOutcome struct{ name string }

// The outcomes of requests, with the status codes that the task gets.
var (
	RegistrationRegistered  = RegistrationOutcome{"registered"}  // 200: a runner for a job
	RegistrationStarted     = RegistrationOutcome{"started"}     // 204: the runner starts
	RegistrationReleased    = RegistrationOutcome{"released"}    // 204: the runner is removed
	RegistrationNoWork      = RegistrationOutcome{"no_work"}     // 204: the fleet has no open job
	RegistrationBusy        = RegistrationOutcome{"busy"}        // 409: the runner has a job
	RegistrationRefused     = RegistrationOutcome{"refused"}     // 400 to 426: asking again is of no use
	RegistrationThrottled   = RegistrationOutcome{"throttled"}   // 429: GitHub's rate limit
	RegistrationUnavailable = RegistrationOutcome{"unavailable"} // 503: the task asks again
	RegistrationFailed      = RegistrationOutcome{"failed"}      // 500: a defect of the program
)

// MetricRequests is the number of requests with an outcome.
func (r *RunnerRegistration) MetricRequests(outcome RegistrationOutcome, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.metric(registrationcontract.MetricRequests, map[string]*string{contract.DimensionOutcome: &outcome.name}, "Sum", props)
}

// MetricJobCheckFailures is the number of runners that were registered although
// GitHub did not report the state of their jobs.
func (r *RunnerRegistration) MetricJobCheckFailures(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.metric(registrationcontract.MetricJobCheckFailures, nil, "Sum", props)
}

// MetricSwappedJobs is the number of jobs that GitHub gave to a runner registered
// for another job. That is no fault: the other job's turn comes.
func (r *RunnerRegistration) MetricSwappedJobs(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.metric(registrationcontract.MetricSwappedJobs, nil, "Sum", props)
}

// MetricRateLimitRemaining is the least that was left of any of GitHub's rate limits.
// At zero tasks ask again for ten minutes and then end, and their jobs wait.
func (r *RunnerRegistration) MetricRateLimitRemaining(props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	return r.metric(registrationcontract.MetricRateLimitRemaining, nil, "Minimum", props)
}

func (r *RunnerRegistration) metric(name string, dimensions map[string]*string, statistic string, props *awscloudwatch.MetricOptions) awscloudwatch.Metric {
	all := map[string]*string{contract.DimensionFunction: r.function.FunctionName()}
	maps.Copy(all, dimensions)
	return metric{namespace: registrationcontract.MetricNamespace, name: name, dimensions: all, statistic: statistic}.of(r, props)
}

// deployment is the first part of the stack's unique id, eight hexadecimal digits,
// unless a prop tells another:
// arn:aws:cloudformation:eu-central-1:111122223333:stack/Name/51af3dc0-da77-11e4-872e-1234567db123.
func (r *RunnerRegistration) deployment() string {
	if r.props.Deployment != "" {
		return r.props.Deployment
	}
	unique := awscdk.Fn_Select(jsii.Number(2), awscdk.Fn_Split(jsii.String("/"), awscdk.Aws_STACK_ID(), nil))
	return *awscdk.Fn_Select(jsii.Number(0), awscdk.Fn_Split(jsii.String("-"), unique, nil))
}

// newSecret makes a secret without a value: what is not filled in yet is not
// mistaken for a credential.
func (r *RunnerRegistration) newSecret() awssecretsmanager.ISecret {
	secret := awssecretsmanager.NewSecret(r, jsii.String("Credential"), &awssecretsmanager.SecretProps{
		SecretName:  optional(r.props.SecretName),
		Description: jsii.String("GitHub's credential of the runners, to be filled in as JSON"),
	})
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
	secret.Node().DefaultChild().(awssecretsmanager.CfnSecret).AddPropertyDeletionOverride(jsii.String("GenerateSecretString"))
	return secret
}

func (r *RunnerRegistration) newLedger() awsdynamodb.Table {
	options := &awsdynamodb.TableProps{
		TableName:           optional(r.props.TableName),
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String(registrationcontract.LedgerKey), Type: awsdynamodb.AttributeType_STRING},
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		TimeToLiveAttribute: jsii.String(registrationcontract.LedgerExpires),
		RemovalPolicy:       awscdk.RemovalPolicy_DESTROY,
	}
	if r.props.RemovalPolicy == awscdk.RemovalPolicy_RETAIN {
		options.RemovalPolicy = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE
	}
	if r.props.PointInTimeRecovery {
		options.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)}
	}
	if r.props.EncryptionKey != nil {
		options.Encryption, options.EncryptionKey = awsdynamodb.TableEncryption_CUSTOMER_MANAGED, r.props.EncryptionKey
	}
	table := awsdynamodb.NewTable(r, jsii.String("Ledger"), options)
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:    jsii.String(registrationcontract.LedgerIndex),
		PartitionKey: &awsdynamodb.Attribute{Name: jsii.String(registrationcontract.LedgerFleetState), Type: awsdynamodb.AttributeType_STRING},
		SortKey:      &awsdynamodb.Attribute{Name: jsii.String(registrationcontract.LedgerQueuedAt), Type: awsdynamodb.AttributeType_NUMBER},
	})
	return table
}

func (r *RunnerRegistration) newFunction(role awsiam.Role) awslambda.Function {
	environment, err := registrationEnvironment(r.service)
	if err != nil {
		panic(fmt.Errorf("RunnerRegistration %q: %w", *r.Node().Id(), err))
	}
	return newFunction(r, functionProps{
		program:             bundle.Registration,
		name:                r.props.FunctionName,
		description:         "Registers runners at GitHub for the tasks that ask",
		architecture:        ARM64,
		memorySizeMiB:       r.props.MemorySizeMiB,
		timeout:             registrationTimeout,
		reservedConcurrency: r.props.ReservedConcurrency,
		environment:         environment,
		logs:                r.logGroup,
		role:                role,
		code:                r.props.Code,
	})
}

// newRole lets the function see the cluster's tasks, keep its ledger and read the
// credential.
func (r *RunnerRegistration) newRole() awsiam.Role {
	role := awsiam.NewRole(r, jsii.String("Role"), &awsiam.RoleProps{
		Description: jsii.String("Runner registration: see tasks, keep the ledger, read the GitHub credential"),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	r.logGroup = newFunctionLogs(r, r.props.FunctionName, r.props.LogRetentionDays)
	r.logGroup.GrantWrite(role)
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions: jsii.Strings("ecs:DescribeTasks"),
		Resources: &[]*string{awscdk.Stack_Of(r).FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("ecs"), Resource: jsii.String("task"), ResourceName: jsii.String(*r.cluster.cluster.ClusterName() + "/*"),
		})},
		Conditions: &map[string]any{"ArnEquals": map[string]any{"ecs:cluster": r.cluster.cluster.ClusterArn()}},
	}))
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("dynamodb:GetItem", "dynamodb:PutItem"),
		Resources: &[]*string{r.ledger.TableArn()},
	}))
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("dynamodb:Query"),
		Resources: &[]*string{jsii.String(*r.ledger.TableArn() + "/index/" + registrationcontract.LedgerIndex)},
	}))
	if key := r.ledger.EncryptionKey(); key != nil {
		key.GrantEncryptDecrypt(role)
	}
	grantReadSecret(role, r.secret)
	return role
}

// addFleet makes the function serve a fleet's tasks, and makes the role by which
// it knows them. The role is here and not with the fleet: the function refers to
// it, and the fleet to the function, which CloudFormation allows in one direction
// only where the two are in different stacks.
func (r *RunnerRegistration) addFleet(f RunnerFleetProps, family string) (awsiam.Role, error) {
	id := "TaskRole-" + f.Name
	if r.Node().TryFindChild(&id) != nil {
		var problems problem.List
		problems.Invalid("Name", f.Name, "a name that no other fleet of the registration has")
		return nil, problems.Err()
	}
	service := r.service
	service.Fleets = append(slices.Clone(service.Fleets), registrationcontract.Fleet{
		Name:         f.Name,
		Labels:       f.Labels,
		RoleID:       someRoleID,
		Family:       family,
		RunnerGroup:  f.RunnerGroup,
		LeaseSeconds: leaseSeconds(f),
	})
	if err := r.setTable(service, false); err != nil { // before anything is in the tree
		return nil, err
	}
	role := awsiam.NewRole(r, &id, &awsiam.RoleProps{
		RoleName:    optional(f.TaskRoleName),
		Description: jsii.String("Jobs of the runner fleet " + f.Name),
		AssumedBy:   ecsTasks(r),
	})
	service.Fleets[len(service.Fleets)-1].RoleID = *role.RoleId()
	if err := r.setTable(service, true); err != nil {
		return nil, err
	}
	r.service = service
	r.letRegister(role)
	r.taskRole[f.Name], r.trust[f.Name] = role, trustOf(role)
	return role, nil
}

// letRegister adds a role to the one policy by which all task roles may register: a
// policy for each would be another resource for each fleet.
func (r *RunnerRegistration) letRegister(role awsiam.Role) {
	if r.register == nil {
		r.register = awsiam.NewPolicy(r, jsii.String("Register"), nil)
		r.GrantRegister(r.register)
	}
	r.register.AttachToRole(role)
}

// setTable writes the table of fleets, or only checks that it can be written.
func (r *RunnerRegistration) setTable(service registrationcontract.Config, write bool) error {
	rows := make([]fleetRow, len(service.Fleets))
	for i, fleet := range service.Fleets {
		text, err := json.Marshal(fleet)
		if err != nil {
			return fmt.Errorf("encoding fleet %s: %w", fleet.Name, err)
		}
		if problem.Unresolved(fleet.RoleID) {
			fleet.RoleID = someRoleID
		}
		literal, err := json.Marshal(fleet)
		if err != nil {
			return fmt.Errorf("encoding fleet %s: %w", fleet.Name, err)
		}
		rows[i] = fleetRow{string(text), string(literal)}
	}
	_, err := registrationEnvironment(service)
	fits := err == nil
	if err != nil && !errors.Is(err, env.ErrTooLarge) {
		return err
	}
	if write {
		return r.table.set(r, rows, fits)
	}
	if !fits {
		_, err = split(rows)
	}
	return err
}

// registrationEnvironment returns the function's variables. Names that are not
// known yet count with the most they may take, because what does not fit would
// fail only when it is deployed.
func registrationEnvironment(service registrationcontract.Config) (map[string]string, error) {
	largest := service
	for value, most := range map[*string]int{
		&largest.Deployment: registrationcontract.MaxDeployment, &largest.Cluster: 300, &largest.Ledger: 255, &largest.CredentialID: 256,
	} {
		if problem.Unresolved(*value) {
			*value = strings.Repeat("x", most)
		}
	}
	largest.Fleets = slices.Clone(service.Fleets)
	for i := range largest.Fleets {
		if problem.Unresolved(largest.Fleets[i].RoleID) {
			largest.Fleets[i].RoleID = someRoleID
		}
	}
	if _, err := largest.Environment(); err != nil {
		return nil, err
	}
	deployment := service.Deployment
	if problem.Unresolved(deployment) { // what it will be is allowed
		service.Deployment = largest.Deployment
	}
	environment, err := service.Environment()
	if err != nil {
		return nil, err
	}
	environment[registrationcontract.EnvDeployment] = deployment
	return environment, nil
}

// someRoleID is as long as the unique id of a role: it is an example of AWS's.
const someRoleID = "AROACKCEVSQ6C2EXAMPLE"
