package settings

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	registrationcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/registration"
)

// Registration is the service that registers runners at GitHub. What each field
// means is told at constructs.RunnerRegistrationProps.
type Registration struct {
	Organization string `json:"organization"`
	Repository   string `json:"repository"`
	Enterprise   string `json:"enterprise"`
	GitHubURL    string `json:"gitHubUrl"`

	Credential string `json:"credential"`
	SecretName string `json:"secretName"`
	SecretARN  string `json:"secretArn"`
	Deployment string `json:"deployment"`

	TableName           string `json:"tableName"`
	PointInTimeRecovery bool   `json:"pointInTimeRecovery"`
	RemovalPolicy       string `json:"removalPolicy"`

	FunctionName        string `json:"functionName"`
	MemorySizeMiB       int    `json:"memorySizeMiB"`
	ReservedConcurrency *int   `json:"reservedConcurrency"`
	LogRetentionDays    int    `json:"logRetentionDays"`
}

// Kinds of credential.
const (
	CredentialApp   = "app"
	CredentialToken = "token"
)

var credentials = []string{CredentialApp, CredentialToken}

// WithDefaults returns a copy with every absent value filled in.
func (r Registration) WithDefaults() Registration {
	set(&r.GitHubURL, registrationcontract.DefaultGitHubURL)
	r.GitHubURL = strings.TrimSuffix(r.GitHubURL, "/")
	set(&r.Credential, CredentialApp)
	set(&r.RemovalPolicy, RemovalDestroy)
	set(&r.MemorySizeMiB, 256)
	own(&r.ReservedConcurrency)
	set(&r.LogRetentionDays, 30)
	return r
}

// Scope is where runners are registered: what Organization, Repository and
// Enterprise say. It is the zero scope unless exactly one of them is set.
func (r Registration) Scope() registrationcontract.Scope {
	var scopes []registrationcontract.Scope
	if r.Organization != "" {
		scopes = append(scopes, registrationcontract.Scope{Kind: registrationcontract.ScopeOrganization, Owner: r.Organization})
	}
	if r.Repository != "" {
		owner, name, _ := strings.Cut(r.Repository, "/")
		scopes = append(scopes, registrationcontract.Scope{Kind: registrationcontract.ScopeRepository, Owner: owner, Repository: name})
	}
	if r.Enterprise != "" {
		scopes = append(scopes, registrationcontract.Scope{Kind: registrationcontract.ScopeEnterprise, Owner: r.Enterprise})
	}
	if len(scopes) != 1 {
		return registrationcontract.Scope{}
	}
	return scopes[0]
}

var (
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
	tableName = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	secretARN = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$`)
)

// Validate names every value that cannot work. It expects WithDefaults to have
// been called. Limits come from the API references of DynamoDB, Secrets Manager
// and Lambda.
func (r Registration) Validate() Problems {
	var ps Problems
	r.validateScope(&ps)
	if !unresolved(r.GitHubURL) && (!registrationcontract.IsGitHubURL(r.GitHubURL) || !strings.HasPrefix(r.GitHubURL, "https://")) {
		ps.Add("GitHubURL", r.GitHubURL, `an https address without a path, such as "https://github.com", "https://my-enterprise.ghe.com" or "https://github.example.com"`)
	}
	if !slices.Contains(credentials, r.Credential) {
		ps.Add("Credential", r.Credential, oneOf(credentials))
	} else if r.Enterprise != "" && r.Credential == CredentialApp {
		ps.Add("Credential", r.Credential, "token with Enterprise: GitHub lets no App register runners of an enterprise")
	}
	validateName(&ps, "SecretName", r.SecretName, secretName, "at most 512 letters, digits and / _ + = . @ -")
	validateName(&ps, "SecretARN", r.SecretARN, secretARN, "the complete ARN of a secret, with the six characters at its end")
	if r.SecretARN != "" && r.SecretName != "" {
		ps.Add("SecretName", r.SecretName, "a name for the new secret only: leave out SecretARN or SecretName")
	}
	if r.Deployment != "" && !unresolved(r.Deployment) && !registrationcontract.IsDeployment(r.Deployment) {
		ps.Add("Deployment", r.Deployment, "1 to 8 lower-case letters and digits")
	}
	validateName(&ps, "TableName", r.TableName, tableName, "3 to 255 letters, digits and _ . -")
	if !slices.Contains(removalPolicies, r.RemovalPolicy) {
		ps.Add("RemovalPolicy", r.RemovalPolicy, oneOf(removalPolicies))
	}
	validateFunction(&ps, r.FunctionName, r.MemorySizeMiB, r.ReservedConcurrency, r.LogRetentionDays)
	return ps
}

func (r Registration) validateScope(ps *Problems) {
	n := 0
	for _, level := range []string{r.Organization, r.Repository, r.Enterprise} {
		if level != "" {
			n++
		}
	}
	if n != 1 {
		got := map[int]string{0: "none of them", 2: "two of them", 3: "all of them"}[n]
		ps.Add("Organization, Repository, Enterprise", Words(got), "exactly one: runners belong to an organization, a repository or an enterprise")
	}
	if r.Organization != "" && !contract.IsOwner(r.Organization) {
		ps.Add("Organization", r.Organization, "the login of an organization")
	}
	if r.Repository != "" && !contract.IsRepositoryName(r.Repository) {
		ps.Add("Repository", r.Repository, `the full name of a repository, such as "my-org/app"`)
	}
	if r.Enterprise != "" && !contract.IsOwner(r.Enterprise) {
		ps.Add("Enterprise", r.Enterprise, "the slug of an enterprise")
	}
}

// validateName checks a physical name that may be left out.
func validateName(ps *Problems, path, got string, pattern *regexp.Regexp, allowed string) {
	if got != "" && !unresolved(got) && !pattern.MatchString(got) {
		ps.Add(path, got, allowed)
	}
}
