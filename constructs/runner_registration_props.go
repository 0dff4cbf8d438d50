package constructs

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// RunnerScope says where at GitHub runners are registered. Values are made by
// [Organization], [Repository] and [Enterprise].
type RunnerScope struct{ scope registrationcontract.Scope }

// Organization registers runners for an organization, by its login: they run jobs
// of the repositories that their runner group is open to.
func Organization(login string) RunnerScope {
	return RunnerScope{registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: login}}
}

// Repository registers runners for one repository, by its full name such as
// "my-org/app".
func Repository(fullName string) RunnerScope {
	owner, name, _ := strings.Cut(fullName, "/")
	return RunnerScope{registrationcontract.Scope{Kind: registrationcontract.ScopeRepository, Owner: owner, Repository: name}}
}

// Enterprise registers runners for an enterprise, by its slug. GitHub lets no App
// do that: it takes [GitHubToken] with a classic personal access token.
func Enterprise(slug string) RunnerScope {
	return RunnerScope{registrationcontract.Scope{Kind: registrationcontract.ScopeEnterprise, Owner: slug}}
}

// hasOwner reports whether repositories of an owner may be in the scope.
func (s RunnerScope) hasOwner(owner string) bool {
	return s.scope.Kind == registrationcontract.ScopeEnterprise || strings.EqualFold(s.scope.Owner, owner)
}

// mayServe reports whether a pattern of repositories may match one in the scope.
func (s RunnerScope) mayServe(pattern string) bool {
	switch s.scope.Kind {
	case registrationcontract.ScopeEnterprise:
		return true
	case registrationcontract.ScopeRepository:
		return matches(pattern, s.scope.Owner+"/"+s.scope.Repository)
	default:
		return matchesOwner(pattern, s.scope.Owner)
	}
}

// repositories are those in the scope, in words.
func (s RunnerScope) repositories() string {
	if s.scope.Kind == registrationcontract.ScopeRepository {
		return strconv.Quote(s.scope.Owner + "/" + s.scope.Repository)
	}
	return "repositories of " + strconv.Quote(s.scope.Owner)
}

// GitHubCredential is the credential that registers runners. Values are made by
// [GitHubApp] and [GitHubToken].
type GitHubCredential struct {
	token  bool
	secret awssecretsmanager.ISecret
}

// GitHubApp is a GitHub App that is installed in the scope. It needs, for an
// organization, the organization permission "Self-hosted runners" (write), for a
// repository the repository permission "Administration" (write), and for both
// "Actions" (read). The secret holds JSON:
//
//	{"app_id": 12345, "private_key": "-----BEGIN RSA PRIVATE KEY-----\n…"}
//
// The app_id is the App's id or its client id.
//
// Without a secret an empty one is made, to be filled by
// [RunnerRegistration.CredentialCommand]; until then runners wait and are refused.
func GitHubApp(secret awssecretsmanager.ISecret) GitHubCredential {
	return GitHubCredential{secret: secret}
}

// GitHubToken is a personal access token: for an organization or a repository a
// fine-grained one with the permissions that [GitHubApp] names, or a classic one
// with the scopes admin:org and repo, or repo alone; for an enterprise a classic one
// with manage_runners:enterprise and repo. Without repo GitHub does not report jobs
// in private repositories: runners are registered for jobs that are over, and jobs
// whose runner took another wait. The secret holds JSON:
//
//	{"token": "…"}
//
// Without a secret an empty one is made, as by [GitHubApp].
func GitHubToken(secret awssecretsmanager.ISecret) GitHubCredential {
	return GitHubCredential{token: true, secret: secret}
}

// RunnerRegistrationProps are the settings of a [RunnerRegistration]. Scope and
// Cluster are required.
type RunnerRegistrationProps struct {
	// Scope is where runners are registered. Required.
	Scope RunnerScope `json:"-"`

	// Cluster on which the tasks of all fleets run that use this registration.
	// Required.
	Cluster *RunnerCluster `json:"-"`

	// Credential for GitHub.
	//
	// Default: GitHubApp(nil).
	Credential GitHubCredential `json:"-"`

	// GitHubURL is the address of GitHub: of an enterprise with data residency, such
	// as "https://my-enterprise.ghe.com", or of a GitHub Enterprise Server.
	//
	// Default: https://github.com.
	GitHubURL string `json:"gitHubUrl"`

	// SecretName is the physical name of the new secret. Not allowed with a
	// Credential that has a secret.
	//
	// Default: named by CloudFormation.
	SecretName string `json:"secretName"`

	// Deployment begins the names of the runners, at most 8 lower-case letters and
	// digits. It keeps apart the runners of two deployments in one organization.
	//
	// Default: the first part of the stack's unique id.
	Deployment string `json:"deployment"`

	// TableName is the physical name of the ledger table.
	//
	// Default: named by CloudFormation.
	TableName string `json:"tableName"`

	// EncryptionKey encrypts the ledger table, which holds names of repositories and
	// labels.
	//
	// Default: a key of DynamoDB's own.
	EncryptionKey awskms.IKey `json:"-"`

	// PointInTimeRecovery keeps continuous backups of the ledger, charged by its
	// size.
	//
	// Default: false.
	PointInTimeRecovery bool `json:"pointInTimeRecovery"`

	// RemovalPolicy is what becomes of the ledger table when the stack is deleted:
	// DESTROY or RETAIN. What is in it is worth little then: GitHub knows each job's
	// state, and items expire within days.
	//
	// Default: DESTROY.
	RemovalPolicy awscdk.RemovalPolicy `json:"removalPolicy" enum:"retain,destroy"`

	// FunctionName is the physical name of the Lambda function.
	//
	// Default: named by CloudFormation.
	FunctionName string `json:"functionName"`

	// MemorySizeMiB is the memory of the function in MiB, 128 to 10240. Its share of a
	// processor grows with it.
	//
	// Default: 256.
	MemorySizeMiB int `json:"memorySizeMiB"`

	// ReservedConcurrency bounds the function. A runner that is turned away asks
	// again for ten minutes. 0 turns registration off.
	//
	// Default: none.
	ReservedConcurrency *int `json:"reservedConcurrency"`

	// LogRetentionDays is how many days events stay in the function's log group, one of
	// the values of CloudWatch Logs. The log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int `json:"logRetentionDays"`

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for arm64.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code `json:"-"`
}

// WithDefaults returns a copy with the defaults filled in.
func (p RunnerRegistrationProps) WithDefaults() RunnerRegistrationProps {
	p.GitHubURL = strings.TrimSuffix(cmp.Or(p.GitHubURL, registrationcontract.DefaultGitHubURL), "/")
	p.RemovalPolicy = cmp.Or(p.RemovalPolicy, awscdk.RemovalPolicy_DESTROY)
	p.MemorySizeMiB = cmp.Or(p.MemorySizeMiB, 256)
	p.ReservedConcurrency = clone(p.ReservedConcurrency)
	p.LogRetentionDays = cmp.Or(p.LogRetentionDays, 30)
	return p
}

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
var tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)

// Validate returns an error that names every value that cannot work, or nil. Limits come from the API references of
// DynamoDB, Secrets Manager and Lambda. Whether Cluster is given is left to
// NewRunnerRegistration.
func (p RunnerRegistrationProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Choices(p)
	l.Secrets(p)
	p.validateScope(&l)
	if !problem.Unresolved(p.GitHubURL) && (!registrationcontract.IsGitHubURL(p.GitHubURL) || !strings.HasPrefix(p.GitHubURL, "https://")) {
		l.Invalid("GitHubURL", p.GitHubURL, `an https address without a path, such as "https://github.com", "https://my-enterprise.ghe.com" or "https://github.example.com"`)
	}
	if p.Scope.scope.Kind == registrationcontract.ScopeEnterprise && !p.Credential.token {
		l.Refused("Credential", "must be a token for an enterprise: GitHub lets no App register runners of an enterprise")
	}
	l.Match("SecretName", p.SecretName, secretName, secretNameRule)
	if p.Credential.secret != nil && p.SecretName != "" {
		l.Conflict("SecretName", "Credential", "it names the new secret, and the credential has one")
	}
	if p.Deployment != "" && !problem.Unresolved(p.Deployment) && !registrationcontract.IsDeployment(p.Deployment) {
		l.Invalid("Deployment", p.Deployment, "1 to 8 lower-case letters and digits")
	}
	l.Match("TableName", p.TableName, tableName, "3 to 255 letters, digits and _ . -")
	validateFunction(&l, p.FunctionName, p.MemorySizeMiB, p.ReservedConcurrency, p.LogRetentionDays)
	return l.Err()
}

func (p RunnerRegistrationProps) validateScope(l *problem.List) {
	switch s := p.Scope.scope; s.Kind {
	case registrationcontract.ScopeOrganization:
		if !contract.IsOwner(s.Owner) {
			l.Invalid("Scope", s.Owner, "the login of an organization")
		}
	case registrationcontract.ScopeRepository:
		if name := s.Owner + "/" + s.Repository; !contract.IsRepositoryName(name) {
			l.Invalid("Scope", strings.TrimSuffix(name, "/"), `the full name of a repository, such as "my-org/app"`)
		}
	case registrationcontract.ScopeEnterprise:
		if !contract.IsOwner(s.Owner) {
			l.Invalid("Scope", s.Owner, "the slug of an enterprise")
		}
	default:
		l.Required("Scope", "the organization, repository or enterprise in which the runners are registered")
	}
}
