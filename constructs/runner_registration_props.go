package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// RunnerScope says where at GitHub runners are registered. Values are made by
// [Organization], [Repository] and [Enterprise].
type RunnerScope interface {
	scope(*settings.Registration)
}

type scopeFunc func(*settings.Registration)

func (f scopeFunc) scope(s *settings.Registration) { f(s) }

// Organization registers runners for an organization, by its login: they run jobs
// of the repositories that their runner group is open to.
func Organization(login string) RunnerScope {
	return scopeFunc(func(s *settings.Registration) { s.Organization = login })
}

// Repository registers runners for one repository, by its full name such as
// "my-org/app".
func Repository(fullName string) RunnerScope {
	return scopeFunc(func(s *settings.Registration) { s.Repository = fullName })
}

// Enterprise registers runners for an enterprise, by its slug. GitHub lets no App
// do that: it takes [GitHubToken] with a classic personal access token.
func Enterprise(slug string) RunnerScope {
	return scopeFunc(func(s *settings.Registration) { s.Enterprise = slug })
}

// GitHubCredential says with what runners are registered. Values are made by
// [GitHubApp] and [GitHubToken].
type GitHubCredential interface {
	credential() (kind string, secret awssecretsmanager.ISecret)
}

type gitHubCredential struct {
	kind   string
	secret awssecretsmanager.ISecret
}

func (c gitHubCredential) credential() (string, awssecretsmanager.ISecret) { return c.kind, c.secret }

// GitHubApp is a GitHub App that is installed in the scope. It needs, for an
// organization, the organization permission "Self-hosted runners" (write), for a
// repository the repository permission "Administration" (write), and for both
// "Actions" (read). The secret holds JSON:
//
//	{"app_id": 12345, "private_key": "-----BEGIN RSA PRIVATE KEY-----\n…"}
//
// Without a secret an empty one is made, to be filled by
// [RunnerRegistration.CredentialCommand]; until then runners wait and are refused.
func GitHubApp(secret awssecretsmanager.ISecret) GitHubCredential {
	return gitHubCredential{settings.CredentialApp, secret}
}

// GitHubToken is a personal access token: for an organization or a repository a
// fine-grained one with the permissions that [GitHubApp] names, or a classic one
// with the scopes admin:org and repo, or repo alone; for an enterprise a classic one
// with manage_runners:enterprise and repo. Without repo GitHub does not tell of jobs
// in private repositories: runners are registered for jobs that are over, and jobs
// whose runner took another wait. The secret holds JSON:
//
//	{"token": "…"}
//
// Without a secret an empty one is made, as by [GitHubApp].
func GitHubToken(secret awssecretsmanager.ISecret) GitHubCredential {
	return gitHubCredential{settings.CredentialToken, secret}
}

// RunnerRegistrationProps are the settings of a [RunnerRegistration]. Scope and
// Cluster are required.
type RunnerRegistrationProps struct {
	// Scope is where runners are registered. Required.
	Scope RunnerScope

	// Cluster on which the tasks of all fleets run that use this registration.
	// Required.
	Cluster *RunnerCluster

	// Credential for GitHub.
	//
	// Default: GitHubApp(nil).
	Credential GitHubCredential

	// GitHubURL is the address of GitHub: of an enterprise with data residency, such
	// as "https://my-enterprise.ghe.com", or of a GitHub Enterprise Server.
	//
	// Default: https://github.com.
	GitHubURL string

	// SecretName is the physical name of the new secret. Not allowed with a
	// Credential that has a secret.
	//
	// Default: named by CloudFormation.
	SecretName string

	// Deployment begins the names of the runners, at most 8 lower-case letters and
	// digits. It keeps apart the runners of two deployments in one organization.
	//
	// Default: the first part of the stack's unique id.
	Deployment string

	// TableName is the physical name of the ledger table.
	//
	// Default: named by CloudFormation.
	TableName string

	// EncryptionKey encrypts the ledger table, which holds names of repositories and
	// labels.
	//
	// Default: a key of DynamoDB's own.
	EncryptionKey awskms.IKey

	// PointInTimeRecovery keeps continuous backups of the ledger, charged by its
	// size.
	//
	// Default: false.
	PointInTimeRecovery bool

	// RemovalPolicy is what becomes of the ledger table when the stack is deleted:
	// DESTROY or RETAIN. What is in it is worth little then: GitHub knows each job's
	// state, and items expire within days.
	//
	// Default: DESTROY.
	RemovalPolicy awscdk.RemovalPolicy

	// FunctionName is the physical name of the Lambda function.
	//
	// Default: named by CloudFormation.
	FunctionName string

	// MemorySizeMiB of the function, 128 to 10240. Its share of a processor grows
	// with it.
	//
	// Default: 256.
	MemorySizeMiB int

	// ReservedConcurrency bounds the function. A runner that is turned away asks
	// again for ten minutes. 0 turns registration off.
	//
	// Default: none.
	ReservedConcurrency *int

	// LogRetentionDays of the function's log group, one of the values of CloudWatch
	// Logs. The log group stays when the stack is deleted.
	//
	// Default: 30.
	LogRetentionDays int

	// Code replaces the function's program, for those who build it elsewhere. It
	// must hold an executable named bootstrap for arm64.
	//
	// Default: our program, built at synthesis.
	Code awslambda.Code
}

// settings are the props without their references to other resources, with
// defaults, and what is wrong with either.
func (p *RunnerRegistrationProps) settings() (settings.Registration, awssecretsmanager.ISecret, settings.Problems) {
	s := settings.Registration{
		GitHubURL:           p.GitHubURL,
		SecretName:          p.SecretName,
		Deployment:          p.Deployment,
		TableName:           p.TableName,
		PointInTimeRecovery: p.PointInTimeRecovery,
		RemovalPolicy:       strings.ToLower(string(p.RemovalPolicy)),
		FunctionName:        p.FunctionName,
		MemorySizeMiB:       p.MemorySizeMiB,
		ReservedConcurrency: p.ReservedConcurrency,
		LogRetentionDays:    p.LogRetentionDays,
	}
	var problems settings.Problems
	if p.Cluster == nil {
		problems.Add("Cluster", settings.Words("none"), "the cluster on which the tasks run")
	}
	var secret awssecretsmanager.ISecret
	if p.Credential != nil {
		s.Credential, secret = p.Credential.credential()
	}
	if secret != nil && p.SecretName != "" {
		problems.Add("SecretName", p.SecretName, "a name for the new secret only: leave out SecretName or the secret in Credential")
	}
	if p.Scope != nil {
		p.Scope.scope(&s)
	}
	s = s.WithDefaults()
	checked := s.Validate()
	if p.Scope == nil {
		checked = slicesWithout(checked, "Organization, Repository, Enterprise")
		problems.Add("Scope", settings.Words("none"), "Organization, Repository or Enterprise: where the runners are registered")
	}
	return s, secret, append(checked, problems...)
}

// slicesWithout drops the problems with a path.
func slicesWithout(problems settings.Problems, path string) settings.Problems {
	var rest settings.Problems
	for _, p := range problems {
		if p.Path != path {
			rest = append(rest, p)
		}
	}
	return rest
}
