package constructs

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// ImageSource says where the Dockerfile of the runner image comes from, with what
// is beside it. The Dockerfile is in the root of the source. Values are made by
// [CodeCommitSource], [FolderSource] and [GitHubSource].
//
// The supervisor in the image and the way it is built are not part of the source:
// they come from this library, with each deployment.
type ImageSource interface {
	// validate names what cannot be used.
	validate() problem.List
	// bind makes the source's resources, below the pipeline.
	bind(p *RunnerImagePipeline) boundSource
}

// boundSource is a source as far as a build must know it.
type boundSource struct {
	source     awscodebuild.ISource
	connection *string // of a source at GitHub
	location   *string // with what identifies its content, where that is known
	grantRead  func(grantee awsiam.IGrantable)
	// onPush adds a rule for what is pushed; nil where no rule can be had.
	onPush     func() awsevents.Rule
	repository awscodecommit.IRepository
}

// CodeCommitSourceProps are the settings of a source in AWS CodeCommit. All
// are optional.
type CodeCommitSourceProps struct {
	// Repository is an existing repository.
	//
	// Default: a new one, which starts with the Dockerfile of this library. It is
	// yours from then on: later releases of this library leave it alone.
	Repository awscodecommit.IRepository `json:"-"`

	// RepositoryName is the physical name of the new repository. Not allowed with
	// Repository.
	//
	// Default: derived from the names of stack and construct.
	RepositoryName string `json:"repositoryName"`

	// Branch is the branch that is built, and whose pushes start a build.
	//
	// Default: main.
	Branch string `json:"branch"`
}

// CodeCommitSource is a repository of AWS CodeCommit, new by default. A push
// starts a build. props may be nil.
func CodeCommitSource(props *CodeCommitSourceProps) ImageSource {
	if props == nil {
		props = &CodeCommitSourceProps{}
	}
	return codeCommitSource{props.WithDefaults()}
}

const defaultBranch = "main"

var (
	// https://docs.aws.amazon.com/codecommit/latest/userguide/limits.html
	codeCommitName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	branchName     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,200}$`)
)

// WithDefaults returns a copy with the defaults filled in.
func (p CodeCommitSourceProps) WithDefaults() CodeCommitSourceProps {
	p.Branch = cmp.Or(p.Branch, defaultBranch)
	return p
}

// Validate returns an error that names every value that cannot work, or nil.
func (p CodeCommitSourceProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Secrets(p)
	if p.RepositoryName != "" && (!codeCommitName.MatchString(p.RepositoryName) || strings.HasSuffix(p.RepositoryName, ".git")) {
		l.Invalid("RepositoryName", p.RepositoryName, "at most 100 letters, digits and . _ -, not ending in .git")
	}
	if p.Repository != nil && p.RepositoryName != "" {
		l.Conflict("RepositoryName", "Repository", "it names the new repository")
	}
	validateBranch(&l, p.Branch)
	return l.Err()
}

func validateBranch(l *problem.List, branch string) {
	if !branchName.MatchString(branch) || strings.HasPrefix(branch, "-") || strings.Contains(branch, "..") {
		l.Invalid("Branch", branch, `the name of a branch, such as "main"`)
	}
}

type codeCommitSource struct{ props CodeCommitSourceProps }

func (c codeCommitSource) validate() (l problem.List) {
	l.Under("CodeCommit", problem.Of(c.props.Validate()))
	return l
}

func (c codeCommitSource) bind(p *RunnerImagePipeline) boundSource {
	branch := &c.props.Branch
	repository := c.props.Repository
	if repository == nil {
		repository = p.newSourceRepository(c.props)
	}
	return boundSource{
		source: awscodebuild.Source_CodeCommit(&awscodebuild.CodeCommitSourceProps{
			Identifier:  jsii.String(imagebuildcontract.SourceIdentifier),
			Repository:  repository,
			BranchOrRef: branch,
			CloneDepth:  jsii.Number(1),
		}),
		location:   jsii.String(*repository.RepositoryArn() + " " + *branch),
		grantRead:  func(grantee awsiam.IGrantable) { repository.Grant(grantee, jsii.String("codecommit:GitPull")) },
		repository: repository,
		onPush: func() awsevents.Rule {
			return repository.OnCommit(jsii.String("Push"), &awscodecommit.OnCommitOptions{
				CrossStackScope: p,
				Description:     jsii.String("Builds the runner image when its Dockerfile is pushed"),
				Branches:        &[]*string{branch},
			})
		},
	}
}

// newSourceRepository makes a repository that starts with our Dockerfile.
func (p *RunnerImagePipeline) newSourceRepository(s CodeCommitSourceProps) awscodecommit.IRepository {
	tree, err := bundle.CustomerTree(ecsrunners.Sources)
	seed := p.treeAsset("Seed", tree, err)
	name := s.RepositoryName
	if name == "" {
		name = *awscdk.Names_UniqueResourceName(p, &awscdk.UniqueResourceNameOptions{MaxLength: jsii.Number(100), Separator: jsii.String("-")})
	}
	repository := awscodecommit.NewRepository(p, jsii.String("Source"), &awscodecommit.RepositoryProps{
		RepositoryName: &name,
		Description:    jsii.String("Dockerfile of the GitHub Actions runners"),
		Code:           awscodecommit.Code_FromAsset(seed, &s.Branch),
	})
	repository.ApplyRemovalPolicy(p.removalPolicy())
	return repository
}

// FolderSource is a folder of the machine on which the app is synthesized. A
// deployment after a change builds the image.
func FolderSource(path string) ImageSource { return folderSource(path) }

type folderSource string

func (f folderSource) validate() (l problem.List) {
	if _, err := os.Stat(filepath.Join(string(f), "Dockerfile")); f == "" || err != nil {
		l.Invalid("Folder.Path", string(f), "a folder with a Dockerfile")
	}
	return l
}

func (f folderSource) bind(p *RunnerImagePipeline) boundSource {
	asset := awss3assets.NewAsset(p, jsii.String("Source"), &awss3assets.AssetProps{Path: jsii.String(string(f))})
	return boundSource{
		source: awscodebuild.Source_S3(&awscodebuild.S3SourceProps{
			Identifier: jsii.String(imagebuildcontract.SourceIdentifier),
			Bucket:     asset.Bucket(),
			Path:       asset.S3ObjectKey(),
		}),
		location:  asset.AssetHash(),
		grantRead: func(grantee awsiam.IGrantable) { grantReadAsset(grantee, asset) },
	}
}

// GitHubSourceProps are the settings of a source at GitHub. Repository and
// ConnectionARN are required.
type GitHubSourceProps struct {
	// Repository is the full name of the repository, such as "my-org/runner-image".
	// Required.
	Repository string `json:"repository"`

	// ConnectionARN is the ARN of the connection of AWS CodeConnections through
	// which the repository is read. Required.
	ConnectionARN string `json:"connectionArn"`

	// Branch is the branch that is built.
	//
	// Default: main.
	Branch string `json:"branch"`
}

// GitHubSource is a repository at GitHub. The daily check finds what has been
// pushed; a push itself starts no build.
func GitHubSource(props *GitHubSourceProps) ImageSource {
	if props == nil {
		props = &GitHubSourceProps{}
	}
	return gitHubSource{props.WithDefaults()}
}

var connectionARN = regexp.MustCompile(`^arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[0-9a-f-]{36}$`)

// WithDefaults returns a copy with the defaults filled in.
func (p GitHubSourceProps) WithDefaults() GitHubSourceProps {
	p.Branch = cmp.Or(p.Branch, defaultBranch)
	return p
}

// Validate returns an error that names every value that cannot work, or nil.
func (p GitHubSourceProps) Validate() error {
	p = p.WithDefaults()
	var l problem.List
	l.Secrets(p)
	if p.Repository == "" {
		l.Required("Repository", `the full name of a repository, such as "my-org/runner-image"`)
	} else if !contract.IsRepositoryName(p.Repository) {
		l.Invalid("Repository", p.Repository, `the full name of a repository, such as "my-org/runner-image"`)
	}
	if !problem.Unresolved(p.ConnectionARN) && !connectionARN.MatchString(p.ConnectionARN) {
		l.Invalid("ConnectionARN", p.ConnectionARN, "the ARN of a connection, such as arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef")
	}
	validateBranch(&l, p.Branch)
	return l.Err()
}

type gitHubSource struct{ props GitHubSourceProps }

func (g gitHubSource) validate() (l problem.List) {
	l.Under("GitHub", problem.Of(g.props.Validate()))
	return l
}

func (g gitHubSource) bind(*RunnerImagePipeline) boundSource {
	owner, name, _ := strings.Cut(g.props.Repository, "/")
	return boundSource{
		source: awscodebuild.Source_GitHub(&awscodebuild.GitHubSourceProps{
			Identifier:        jsii.String(imagebuildcontract.SourceIdentifier),
			Owner:             &owner,
			Repo:              &name,
			BranchOrRef:       &g.props.Branch,
			CloneDepth:        jsii.Number(1),
			ReportBuildStatus: jsii.Bool(false),
			Webhook:           jsii.Bool(false),
		}),
		connection: &g.props.ConnectionARN,
		location:   jsii.String("github.com/" + g.props.Repository + " " + g.props.Branch),
		grantRead: func(grantee awsiam.IGrantable) {
			// Connections made before 2024 have ARNs, and actions, with the older name.
			// https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html
			awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
				Grantee: grantee,
				Actions: jsii.Strings(
					"codeconnections:GetConnection", "codeconnections:GetConnectionToken", "codeconnections:UseConnection",
					"codestar-connections:GetConnection", "codestar-connections:GetConnectionToken", "codestar-connections:UseConnection"),
				ResourceArns: &[]*string{&g.props.ConnectionARN},
			})
		},
	}
}
