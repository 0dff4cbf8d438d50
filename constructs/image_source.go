package constructs

import (
	"path/filepath"
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
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// ImageSource says where the Dockerfile of the runner image comes from, with what
// is beside it. The Dockerfile is in the root of the source. Values are made by
// [ImageSourceCodeCommit], [ImageSourceFolder] and [ImageSourceGitHub].
//
// The supervisor in the image and the way it is built are not part of the source:
// they come from this library, with each deployment.
type ImageSource interface {
	// settings are the source without its references to other resources, and what
	// they do not tell.
	settings() (settings.ImageSource, settings.Problems)
	// bind makes the source's resources, below the pipeline.
	bind(p *RunnerImagePipeline, s settings.ImageSource) boundSource
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

// ImageSourceCodeCommitProps are the settings of a source in AWS CodeCommit. All
// are optional.
type ImageSourceCodeCommitProps struct {
	// Repository is an existing repository.
	//
	// Default: a new one, which starts with the Dockerfile of this library. It is
	// yours from then on: later releases of this library leave it alone.
	Repository awscodecommit.IRepository

	// RepositoryName is the physical name of the new repository. Not allowed with
	// Repository.
	//
	// Default: derived from the names of stack and construct.
	RepositoryName string

	// Branch that is built, and whose pushes start a build.
	//
	// Default: main.
	Branch string
}

// ImageSourceCodeCommit is a repository of AWS CodeCommit, new by default. A push
// starts a build. props may be nil.
func ImageSourceCodeCommit(props *ImageSourceCodeCommitProps) ImageSource {
	if props == nil {
		props = &ImageSourceCodeCommitProps{}
	}
	return codeCommitSource{*props}
}

type codeCommitSource struct{ props ImageSourceCodeCommitProps }

func (c codeCommitSource) settings() (settings.ImageSource, settings.Problems) {
	var ps settings.Problems
	if c.props.Repository != nil && c.props.RepositoryName != "" {
		ps.Add("Source.CodeCommit.RepositoryName", c.props.RepositoryName, "a name for the new repository only: leave out Repository or RepositoryName")
	}
	return settings.ImageSource{CodeCommit: &settings.CodeCommitSource{
		RepositoryName: c.props.RepositoryName, Branch: c.props.Branch,
	}}, ps
}

func (c codeCommitSource) bind(p *RunnerImagePipeline, s settings.ImageSource) boundSource {
	branch := &s.CodeCommit.Branch
	repository := c.props.Repository
	if repository == nil {
		repository = p.newSourceRepository(s.CodeCommit)
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
func (p *RunnerImagePipeline) newSourceRepository(s *settings.CodeCommitSource) awscodecommit.IRepository {
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

// ImageSourceFolder is a folder of the machine on which the app is synthesized. A
// deployment after a change builds the image.
func ImageSourceFolder(path string) ImageSource { return folderSource(path) }

type folderSource string

func (f folderSource) settings() (settings.ImageSource, settings.Problems) {
	var ps settings.Problems
	if f != "" && !exists(filepath.Join(string(f), "Dockerfile")) {
		ps.Add("Source.Folder.Path", string(f), "a folder with a Dockerfile")
	}
	return settings.ImageSource{Folder: &settings.FolderSource{Path: string(f)}}, ps
}

func (f folderSource) bind(p *RunnerImagePipeline, _ settings.ImageSource) boundSource {
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

// ImageSourceGitHubProps are the settings of a source at GitHub. Repository and
// ConnectionARN are required.
type ImageSourceGitHubProps struct {
	// Repository is the full name of the repository, such as "my-org/runner-image".
	// Required.
	Repository string

	// ConnectionARN is the ARN of the connection of AWS CodeConnections through
	// which the repository is read. Required.
	ConnectionARN *string

	// Branch that is built.
	//
	// Default: main.
	Branch string
}

// ImageSourceGitHub is a repository at GitHub. The daily check finds what has been
// pushed; a push itself starts no build.
func ImageSourceGitHub(props *ImageSourceGitHubProps) ImageSource {
	if props == nil {
		props = &ImageSourceGitHubProps{}
	}
	return gitHubSource{*props}
}

type gitHubSource struct{ props ImageSourceGitHubProps }

func (g gitHubSource) settings() (settings.ImageSource, settings.Problems) {
	arn := ""
	if g.props.ConnectionARN != nil {
		arn = *g.props.ConnectionARN
	}
	if arn != "" && *awscdk.Token_IsUnresolved(arn) {
		arn = settings.SomeConnectionARN // that of a connection in the app is known when it is deployed
	}
	return settings.ImageSource{GitHub: &settings.GitHubSource{
		Repository: g.props.Repository, ConnectionARN: arn, Branch: g.props.Branch,
	}}, nil
}

func (g gitHubSource) bind(_ *RunnerImagePipeline, s settings.ImageSource) boundSource {
	owner, name, _ := strings.Cut(g.props.Repository, "/")
	return boundSource{
		source: awscodebuild.Source_GitHub(&awscodebuild.GitHubSourceProps{
			Identifier:        jsii.String(imagebuildcontract.SourceIdentifier),
			Owner:             &owner,
			Repo:              &name,
			BranchOrRef:       &s.GitHub.Branch,
			CloneDepth:        jsii.Number(1),
			ReportBuildStatus: jsii.Bool(false),
			Webhook:           jsii.Bool(false),
		}),
		connection: g.props.ConnectionARN,
		location:   jsii.String("github.com/" + g.props.Repository + " " + s.GitHub.Branch),
		grantRead: func(grantee awsiam.IGrantable) {
			// Connections made before 2024 have ARNs, and actions, with the older name.
			// https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html
			awsiam.Grant_AddToPrincipal(&awsiam.GrantOnPrincipalOptions{
				Grantee: grantee,
				Actions: jsii.Strings(
					"codeconnections:GetConnection", "codeconnections:GetConnectionToken", "codeconnections:UseConnection",
					"codestar-connections:GetConnection", "codestar-connections:GetConnectionToken", "codestar-connections:UseConnection"),
				ResourceArns: &[]*string{g.props.ConnectionARN},
			})
		},
	}
}
