package constructs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	awsconstructs "github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	imagebuildcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/imagebuild"
)

const connection = "arn:aws:codeconnections:eu-central-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"

// statements are those of the only policy of a role.
func statements(t *testing.T, template map[string]any, role awsconstructs.IConstruct) []any {
	t.Helper()
	id := cdktest.LogicalID(t, role)
	var found []any
	for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
		if cdktest.At(policy, "Roles.0.Ref") == id {
			found = append(found, cdktest.At(policy, "PolicyDocument.Statement").([]any)...)
		}
	}
	return found
}

// variables are those of a CodeBuild project.
func variables(project map[string]any) map[string]any {
	found := map[string]any{}
	for _, variable := range cdktest.At(project, "Environment.EnvironmentVariables").([]any) {
		found[fmt.Sprint(cdktest.At(variable, "Name"))] = cdktest.At(variable, "Value")
	}
	return found
}

// library is the hash of what the library contributes to the image. That it stands
// for the sources is shown in TestRunnerImagePipeline_HandsOverTheSources.
func library(t *testing.T, template map[string]any) string {
	t.Helper()
	hash, _ := cdktest.Resource(t, template, "Custom::RunnerImage")["Library"].(string)
	require.Regexp(t, "^[0-9a-f]{64}$", hash)
	return hash
}

func TestRunnerImagePipeline_ByDefaultBuildsOurDockerfileAndKeepsItFresh(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	template := cdktest.Template(stack)

	assert.Equal(t, map[string]int{
		"AWS::CodeBuild::Project":     1,
		"AWS::CodeCommit::Repository": 1,
		"AWS::ECR::Repository":        1,
		"AWS::Events::Rule":           3, // a push, the daily check, the end of a build
		"AWS::IAM::Policy":            3,
		"AWS::IAM::Role":              3,
		"AWS::Lambda::Function":       1,
		"AWS::Lambda::Permission":     1,
		"AWS::Logs::LogGroup":         2,
		"Custom::RunnerImage":         1,
	}, cdktest.Inventory(template), "what is new here costs money or opens a door")

	project := cdktest.Properties(t, template, pipeline.Project(constructs.X64))
	assertAt(t, project, []expectation{
		{"Name", nil, "a second stack would collide"},
		{"Environment.Type", "LINUX_CONTAINER", ""},
		{"Environment.Image", "aws/codebuild/amazonlinux-x86_64-standard:5.0", ""},
		{"Environment.ComputeType", "BUILD_GENERAL1_SMALL", "larger machines cost more"},
		{"Environment.PrivilegedMode", true, "Docker would not start"},
		{"Source.Type", "S3", "the library's part must come first: CodeBuild takes the build specification from it"},
		{"Source.BuildSpec", "runner-image/buildspec.yml", ""},
		{"SecondarySources.0.Type", "CODECOMMIT", ""},
		{"SecondarySources.0.SourceIdentifier", "image", "build.sh finds the Dockerfile by this name"},
		{"SecondarySources.0.Location", resolved(stack, pipeline.SourceRepository().RepositoryCloneUrlHttp()), ""},
		{
			"SecondarySourceVersions",
			[]any{map[string]any{"SourceIdentifier": "image", "SourceVersion": "main"}},
			"another branch would be built than the one that is pushed",
		},
		{"Artifacts.Type", "NO_ARTIFACTS", ""},
		{"Cache", map[string]any{"Type": "LOCAL", "Modes": []any{"LOCAL_DOCKER_LAYER_CACHE"}}, ""},
		{
			"LogsConfig.CloudWatchLogs",
			map[string]any{"Status": "ENABLED", "GroupName": resolved(stack, pipeline.LogGroup(constructs.X64).LogGroupName())},
			"CodeBuild would make a log group that keeps logs forever",
		},
		{
			"ServiceRole", resolved(stack, pipeline.BuildRole().RoleArn()),
			"by its name CodeBuild would not find a role with a path",
		},
		{"TimeoutInMinutes", 30.0, ""},
		{"QueuedTimeoutInMinutes", 15.0, "CloudFormation would give up before the build began"},
		{"VpcConfig", nil, ""},
	})
	assert.Contains(t, fmt.Sprint(cdktest.At(project, "Source.Location")), library(t, template)+".zip")
	assert.Equal(t, map[string]any{
		"REPOSITORY_URI": resolved(stack, pipeline.Repository().RepositoryUri()),
		"CHANNEL":        "latest-x64",
	}, variables(project))

	repository := cdktest.Definition(t, template, pipeline.Repository())
	assertAt(t, repository, []expectation{
		{
			"DeletionPolicy", "RetainExceptOnCreate",
			"the images would go with the stack, or a first deployment that failed could not be repeated",
		},
		{"UpdateReplacePolicy", "Retain", ""},
		{"Properties.EmptyOnDelete", true, "a first deployment that fails after a push could not be rolled back"},
		{"Properties.ImageScanningConfiguration.ScanOnPush", true, "nobody would know of vulnerabilities"},
		{
			"Properties.ImageTagMutability", "IMMUTABLE_WITH_EXCLUSION",
			"whoever can push could replace an image that was checked",
		},
		{"Properties.ImageTagMutabilityExclusionFilters", []any{
			map[string]any{
				"ImageTagMutabilityExclusionFilterType":  "WILDCARD",
				"ImageTagMutabilityExclusionFilterValue": "latest-x64",
			},
		}, "the channel tag could not be moved"},
		{"Properties.EncryptionConfiguration", nil, "AES256 is what ECR does without"},
	})
	var lifecycle map[string]any
	require.NoError(t,
		json.Unmarshal([]byte(cdktest.At(repository, "Properties.LifecyclePolicy.LifecyclePolicyText").(string)), &lifecycle))
	rule := func(priority float64, description string, selection map[string]any) any {
		return map[string]any{
			"rulePriority": priority, "description": description, "selection": selection,
			"action": map[string]any{"type": "expire"},
		}
	}
	assert.Equal(t, []any{
		rule(1, "Tasks start from latest-x64", map[string]any{
			"tagStatus": "tagged", "tagPatternList": []any{"latest-x64"},
			"countType": "imageCountMoreThan", "countNumber": 1.0,
		}),
		rule(2, "Nothing refers to images without a tag", map[string]any{
			"tagStatus": "untagged",
			"countType": "sinceImagePushed", "countNumber": 7.0, "countUnit": "days",
		}),
		rule(3, "Some images to go back to", map[string]any{
			"tagStatus": "any", "countType": "imageCountMoreThan",
			"countNumber": 5.0,
		}),
	}, lifecycle["rules"], "the image in use would expire, or old ones be paid for forever")

	source := cdktest.Definition(t, template, pipeline.SourceRepository())
	assertAt(t, source, []expectation{
		{"DeletionPolicy", "RetainExceptOnCreate", "the customer's Dockerfile would go with the stack"},
		{"Properties.RepositoryName", "Test-Image-1EAB812B", "CodeCommit needs a name"},
		{"Properties.Code.BranchName", "main", "the branch that is built would not exist"},
	})
	for _, logs := range []awsconstructs.IConstruct{pipeline.LogGroup(constructs.X64), pipeline.FunctionLogGroup()} {
		assertAt(t, cdktest.Definition(t, template, logs), []expectation{
			{"Properties.RetentionInDays", 30.0, "logs would be kept, and paid for, forever"},
			{
				"Properties.LogGroupName", nil,
				"it stays when a first deployment is rolled back, and the next could not make it again",
			},
			{"DeletionPolicy", "Retain", "the link in the error of a deployment would lead nowhere"},
		})
	}
	assert.Equal(t, []constructs.Architecture{constructs.X64}, pipeline.Architectures())
	assert.Empty(t, cdktest.Warnings(stack), "the defaults must not need an excuse")
}

func TestRunnerImagePipeline_ADeploymentWaitsForTheImage(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Timeout: 20 * time.Minute,
	})
	template := cdktest.Template(stack)

	function := cdktest.Properties(t, template, pipeline.Function())
	assertAt(t, function, []expectation{
		{"Runtime", "provided.al2023", ""},
		{"Architectures", []any{"arm64"}, "x86 costs a fifth more"},
		{"Handler", "bootstrap", ""},
		{"Timeout", 120, "what it tries again takes up to a minute and a half"},
		{"ReservedConcurrentExecutions", nil, ""},
		{"LoggingConfig.LogGroup", resolved(stack, pipeline.FunctionLogGroup().LogGroupName()), ""},
	})
	variables, _ := cdktest.At(function, "Environment.Variables").(map[string]any)
	configuration, err := imagebuildcontract.Parse(func(name string) (string, bool) {
		value, found := variables[name]
		return cdktest.Text(t, value), found
	})
	require.NoError(t, err, "the program would not start")
	assert.Equal(t, []imagebuildcontract.Project{{
		Project:    "${" + cdktest.LogicalID(t, pipeline.Project(constructs.X64)) + "}",
		Parameter:  "/ecsrunners/waiting/${" + cdktest.LogicalID(t, pipeline.Project(constructs.X64)) + "}",
		Repository: "${" + cdktest.LogicalID(t, pipeline.Repository()) + "}",
		Tag:        "latest-x64",
	}}, configuration.Projects)

	ended := pipeline.Node().FindChild(jsii.String("Ended"))
	assertAt(t, cdktest.Properties(t, template, ended), []expectation{
		{"EventPattern", map[string]any{
			"source": []any{"aws.codebuild"}, "detail-type": []any{"CodeBuild Build State Change"},
			"detail": map[string]any{
				"project-name": []any{resolved(stack, pipeline.Project(constructs.X64).ProjectName())},
				"build-status": []any{"SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED"},
			},
		}, "nobody would hear of the end of a build, and the deployment would wait for an hour"},
		{"Targets.0.Arn", resolved(stack, pipeline.Function().FunctionArn()), ""},
	})
	assertAt(t, cdktest.Resource(t, template, "AWS::Lambda::Permission"), []expectation{
		{"Principal", "events.amazonaws.com", ""},
		{
			"SourceArn",
			map[string]any{"Fn::GetAtt": []any{cdktest.LogicalID(t, ended), "Arn"}},
			"rules of others could invoke the function",
		},
	})

	var image map[string]any
	for _, resource := range template["Resources"].(map[string]any) {
		if cdktest.At(resource, "Type") == "Custom::RunnerImage" {
			image = resource.(map[string]any)
		}
	}
	assert.Equal(t, map[string]any{
		"ServiceToken":   resolved(stack, pipeline.Function().FunctionArn()),
		"ServiceTimeout": "2280", // 20 minutes of building, 15 in the queue, 3 for the news
		"Project":        resolved(stack, pipeline.Project(constructs.X64).ProjectName()),
		"Image":          resolved(stack, pipeline.Repository().RepositoryUriForTag(jsii.String("latest-x64"))),
		"Library":        library(t, template),
		"Source":         resolved(stack, jsii.String(*pipeline.SourceRepository().RepositoryArn()+" main")),
		"Arguments":      "{}",
	}, image["Properties"], "a change of what goes into the image would not build it")
	needs := fmt.Sprint(image["DependsOn"])
	assert.Contains(t, needs, "ImageBuildRoleDefaultPolicy", "the build could start before it may do anything")
	assert.Contains(t, needs, cdktest.LogicalID(t, ended), "the build could end before anybody listens")
	assert.Contains(t, needs, "ImageEndedAllowEventRule", "the build could end before the function may be told")
}

func TestRunnerImagePipeline_RolesCanDoNothingElse(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	template := cdktest.Template(stack)
	bucket := map[string]any{"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}
	arn := func(rest ...any) map[string]any {
		return map[string]any{"Fn::Join": []any{"", append([]any{
			"arn:",
			map[string]any{"Ref": "AWS::Partition"},
			":s3:::",
			bucket,
		}, rest...)}}
	}

	assertAt(t, cdktest.Properties(t, template, pipeline.BuildRole()), []expectation{
		{"ManagedPolicyArns", nil, ""},
		{"Path", "/service-role/", ""},
		{"AssumeRolePolicyDocument.Statement", []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "codebuild.amazonaws.com"},
			"Condition": map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{
				"Ref": "AWS::AccountId",
			}}},
		}}, "a project of another account could use the role"},
	})
	assert.ElementsMatch(t, []any{
		map[string]any{
			"Effect": "Allow", "Action": []any{"s3:GetObject", "s3:GetObjectVersion"},
			"Resource": arn("/" + library(t, template) + ".zip"),
		},
		map[string]any{"Effect": "Allow", "Action": []any{"s3:GetBucketAcl", "s3:GetBucketLocation"}, "Resource": arn()},
		map[string]any{"Effect": "Allow", "Action": "codecommit:GitPull", "Resource": resolved(stack,
			pipeline.SourceRepository().RepositoryArn())},
		map[string]any{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
		map[string]any{"Effect": "Allow", "Action": []any{
			"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
			"ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
		}, "Resource": resolved(stack, pipeline.Repository().RepositoryArn())},
		map[string]any{
			"Effect": "Allow", "Action": []any{"logs:CreateLogStream", "logs:PutLogEvents"},
			"Resource": resolved(stack, pipeline.LogGroup(constructs.X64).LogGroupArn()),
		},
	}, statements(t, template, pipeline.BuildRole()), "whoever takes over a build gets what it can do")

	functionRole := pipeline.Node().FindChild(jsii.String("FunctionRole"))
	assert.ElementsMatch(t, []any{
		map[string]any{
			"Effect": "Allow", "Action": []any{"codebuild:BatchGetBuilds", "codebuild:StartBuild"},
			"Resource": resolved(stack, pipeline.Project(constructs.X64).ProjectArn()),
		},
		map[string]any{
			"Effect": "Allow", "Action": []any{"ssm:DeleteParameter", "ssm:GetParameter", "ssm:PutParameter"},
			"Resource": map[string]any{"Fn::Join": []any{"", []any{
				"arn:",
				map[string]any{"Ref": "AWS::Partition"},
				":ssm:",
				map[string]any{"Ref": "AWS::Region"},
				":",
				map[string]any{"Ref": "AWS::AccountId"},
				":parameter/ecsrunners/waiting/",
				map[string]any{"Ref": cdktest.LogicalID(t, pipeline.Project(constructs.X64))},
			}}},
		},
		map[string]any{"Effect": "Allow", "Action": "ecr:DescribeImages", "Resource": resolved(stack,
			pipeline.Repository().RepositoryArn())},
		map[string]any{"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": map[string]any{
			"Ref": "AWS::StackId",
		}},
		map[string]any{
			"Effect": "Allow", "Action": []any{"logs:CreateLogStream", "logs:PutLogEvents"},
			"Resource": resolved(stack, pipeline.FunctionLogGroup().LogGroupArn()),
		},
	}, statements(t, template, functionRole))
	assert.NotContains(t, fmt.Sprint(cdktest.Properties(t, template, pipeline.Project(constructs.X64))), "waiting",
		"the steps of a Dockerfile could find the address at which CloudFormation takes answers")

	var eventsRoles []any
	for id, role := range cdktest.Resources(template, "AWS::IAM::Role") {
		if cdktest.At(role, "AssumeRolePolicyDocument.Statement.0.Principal.Service") == "events.amazonaws.com" {
			eventsRoles = append(eventsRoles, role)
			assert.Equal(t, map[string]any{
				"StringEquals": map[string]any{"aws:SourceAccount": map[string]any{"Ref": "AWS::AccountId"}},
				"ArnLike": map[string]any{"aws:SourceArn": resolved(stack, stack.FormatArn(&awscdk.ArnComponents{
					Service: jsii.String("events"), Resource: jsii.String("rule"), ResourceName: jsii.String("*"),
				}))},
			}, cdktest.At(role, "AssumeRolePolicyDocument.Statement.0.Condition"), "any account's rule could start builds")
			for _, policy := range cdktest.Resources(template, "AWS::IAM::Policy") {
				if cdktest.At(policy, "Roles.0.Ref") == id {
					assert.Equal(t, []any{map[string]any{
						"Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": resolved(stack,
							pipeline.Project(constructs.X64).ProjectArn()),
					}}, cdktest.At(policy, "PolicyDocument.Statement"))
				}
			}
		}
	}
	assert.Len(t, eventsRoles, 1)
}

func TestRunnerImagePipeline_BuildsOnPushAndDaily(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Source:        constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{Branch: "release"}),
		Architectures: []constructs.Architecture{constructs.ARM64, constructs.X64},
		Schedule:      "rate(12 hours)",
	})
	template := cdktest.Template(stack)
	targets := func(rule map[string]any) map[string]any {
		found := map[string]any{}
		for _, target := range rule["Targets"].([]any) {
			found[fmt.Sprint(cdktest.At(target, "Arn.Fn::GetAtt.0"))] = cdktest.At(target, "Input")
		}
		return found
	}
	projects := []string{cdktest.LogicalID(t, pipeline.Project(constructs.ARM64)), cdktest.LogicalID(t,
		pipeline.Project(constructs.X64))}

	schedule := cdktest.Properties(t, template, pipeline.Node().FindChild(jsii.String("Schedule")))
	assert.Equal(t, "rate(12 hours)", schedule["ScheduleExpression"])
	const input = `{"environmentVariablesOverride":[{"name":"TRIGGER","type":"PLAINTEXT","value":"schedule"}]}`
	assert.Equal(t, map[string]any{projects[0]: input, projects[1]: input}, targets(schedule),
		"a check that finds nothing new would undo a rollback")

	push := cdktest.Properties(t, template, pipeline.SourceRepository().Node().FindChild(jsii.String("Push")))
	assertAt(t, push, []expectation{
		{"EventPattern.detail.referenceName", []any{"release"}, "pushes of other branches would start builds"},
		{"EventPattern.resources", []any{resolved(stack, pipeline.SourceRepository().RepositoryArn())}, ""},
	})
	assert.Equal(t, map[string]any{projects[0]: nil, projects[1]: nil}, targets(push),
		"the channel would not be moved to what was pushed")
	assertAt(t, cdktest.Properties(t, template, pipeline.Project(constructs.ARM64)), []expectation{
		{"Environment.Type", "ARM_CONTAINER", ""},
		{"Environment.Image", "aws/codebuild/amazonlinux-aarch64-standard:3.0", ""},
		{"Cache.Type", "NO_CACHE", "CodeBuild has no cache of Docker's layers on ARM"},
	})
	assert.Equal(t, "latest-arm64", variables(cdktest.Properties(t, template,
		pipeline.Project(constructs.ARM64)))["CHANNEL"])
	assert.Equal(t, 2, cdktest.Inventory(template)["Custom::RunnerImage"], "a deployment must wait for both images")
	assert.Len(t, cdktest.At(cdktest.Properties(t, template, pipeline.Repository()),
		"ImageTagMutabilityExclusionFilters"), 2)

	quiet := constructs.NewRunnerImagePipeline(stack, "Quiet", &constructs.RunnerImagePipelineProps{Schedule: "none"})
	assert.Nil(t, quiet.Node().TryFindChild(jsii.String("Schedule")))
}

func TestRunnerImagePipeline_TakesWhatItIsGiven(t *testing.T) {
	stack := cdktest.NewStack(t)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	checksums := map[constructs.Architecture]string{
		constructs.X64:   strings.Repeat("a", 64),
		constructs.ARM64: strings.Repeat("b", 64),
	}
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Source: constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{
			RepositoryName: "dockerfile",
			Branch:         "trunk",
		}),
		Architectures:    []constructs.Architecture{constructs.X64, constructs.ARM64},
		RunnerVersion:    "2.330.0",
		RunnerSHA256:     checksums,
		RunnerReleases:   "https://mirror.example.com/runner",
		BaseImage:        "registry.example.com/debian:12",
		Sudo:             true,
		Channel:          "stable",
		RepositoryName:   "github-actions-self-hosted-runner-debian",
		MaxImageCount:    50,
		UntaggedImageAge: 24 * time.Hour,
		EncryptionKey:    key,
		EmptyOnDelete:    true,
		RemovalPolicy:    awscdk.RemovalPolicy_DESTROY,
		ProjectName:      "image-build",
		BuildRoleName:    "image-build-role",
		BuildRolePath:    "/ci/",
		ComputeType:      awscodebuild.ComputeType_X_LARGE,
		Timeout:          40 * time.Minute,
		LogRetentionDays: 90,
		FunctionName:     "image-build",
	})
	template := cdktest.Template(stack)

	for architecture, name := range map[constructs.Architecture]string{
		constructs.X64:   "image-build",
		constructs.ARM64: "image-build-arm64",
	} {
		project := cdktest.Properties(t, template, pipeline.Project(architecture))
		assertAt(t, project, []expectation{
			{"Name", name, "the series names its project"},
			{"Environment.ComputeType", "BUILD_GENERAL1_XLARGE", ""},
			{"TimeoutInMinutes", 40.0, ""},
			{"SecondarySourceVersions.0.SourceVersion", "trunk", ""},
		})
		assert.Equal(t, map[string]any{
			"REPOSITORY_URI":  resolved(stack, pipeline.Repository().RepositoryUri()),
			"CHANNEL":         "stable-" + string(architecture),
			"RUNNER_VERSION":  "2.330.0",
			"RUNNER_SHA256":   checksums[architecture],
			"RUNNER_RELEASES": "https://mirror.example.com/runner",
			"BASE_IMAGE":      "registry.example.com/debian:12",
			"SUDO":            "true",
		}, variables(project), "the checksums differ by architecture")
		assertAt(t, cdktest.Properties(t, template, pipeline.LogGroup(architecture)),
			[]expectation{{"RetentionInDays", 90.0, ""}})
	}
	assertAt(t, cdktest.Definition(t, template, pipeline.Repository()), []expectation{
		{"DeletionPolicy", "Delete", ""},
		{"Properties.RepositoryName", "github-actions-self-hosted-runner-debian", ""},
		{"Properties.EncryptionConfiguration", map[string]any{"EncryptionType": "KMS", "KmsKey": resolved(stack,
			key.KeyArn())}, ""},
		{"Properties.EmptyOnDelete", true, ""},
	})
	lifecycle := fmt.Sprint(cdktest.At(cdktest.Properties(t, template, pipeline.Repository()),
		"LifecyclePolicy.LifecyclePolicyText"))
	assert.Contains(t, lifecycle, `"tagPatternList":["stable-x64"]`)
	assert.Contains(t, lifecycle, `"tagPatternList":["stable-arm64"]`)
	assert.Contains(t, lifecycle, `"countNumber":50}`)
	assert.Contains(t, lifecycle, `"countNumber":1,"countUnit":"days"}`)
	assertAt(t, cdktest.Definition(t, template, pipeline.SourceRepository()), []expectation{
		{"DeletionPolicy", "Delete", ""},
		{"Properties.RepositoryName", "dockerfile", ""},
		{"Properties.Code.BranchName", "trunk", ""},
	})
	assertAt(t, cdktest.Properties(t, template, pipeline.BuildRole()), []expectation{
		{"RoleName", "image-build-role", ""},
		{"Path", "/ci/", ""},
	})
	assertAt(t, cdktest.Properties(t, template, pipeline.Function()), []expectation{{"FunctionName", "image-build", ""}})
	for id, architecture := range map[string]constructs.Architecture{
		"ImageX64":   constructs.X64,
		"ImageArm64": constructs.ARM64,
	} {
		assertAt(t, cdktest.Properties(t, template, pipeline.Node().FindChild(&id)), []expectation{
			{"ServiceTimeout", "3480", "CloudFormation allows an hour"},
			{
				"Arguments",
				`{"BASE_IMAGE":"registry.example.com/debian:12","RUNNER_RELEASES":"https://mirror.example.com/runner","RUNNER_SHA256":"` + checksums[architecture] + `","RUNNER_VERSION":"2.330.0","SUDO":"true"}`, "another version or base would not be built when it is deployed",
			},
		})
	}
	destroyed := constructs.NewRunnerImagePipeline(stack, "Destroyed", &constructs.RunnerImagePipelineProps{
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	assert.Nil(t, destroyed.Repository().Node().DefaultChild().(awsecr.CfnRepository).EmptyOnDelete(),
		"images are deleted only by those who say so")
}

func TestRunnerImagePipeline_BuildsInAVPC(t *testing.T) {
	stack := cdktest.NewStack(t)
	vpc := awsec2.Vpc_FromVpcAttributes(stack, jsii.String("Vpc"), &awsec2.VpcAttributes{
		VpcId: jsii.String("vpc-1"), AvailabilityZones: jsii.Strings("a", "b"),
		PrivateSubnetIds: jsii.Strings("subnet-1", "subnet-2"), PublicSubnetIds: jsii.Strings("subnet-3", "subnet-4"),
		PrivateSubnetRouteTableIds: jsii.Strings("rtb-1", "rtb-2"), PublicSubnetRouteTableIds: jsii.Strings("rtb-3", "rtb-4"),
	})
	group := awsec2.SecurityGroup_FromSecurityGroupId(stack, jsii.String("Group"), jsii.String("sg-1"), nil)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{VPC: vpc})
	chosen := constructs.NewRunnerImagePipeline(stack, "Chosen", &constructs.RunnerImagePipelineProps{
		VPC: vpc, Subnets: &awsec2.SubnetSelection{SubnetType: awsec2.SubnetType_PUBLIC},
		SecurityGroups: []awsec2.ISecurityGroup{group},
	})
	template := cdktest.Template(stack)

	assertAt(t, cdktest.Properties(t, template, pipeline.Project(constructs.X64)), []expectation{
		{"VpcConfig.VpcId", "vpc-1", ""},
		{"VpcConfig.Subnets", []any{"subnet-1", "subnet-2"}, "builds have no public addresses"},
		{"Cache.Type", "NO_CACHE", "CodeBuild refuses local caches in a VPC"},
	})
	ec2 := func(resource string) any {
		return map[string]any{"Fn::Join": []any{"", []any{
			"arn:",
			map[string]any{"Ref": "AWS::Partition"},
			":ec2:",
			map[string]any{"Ref": "AWS::Region"},
			":",
			map[string]any{"Ref": "AWS::AccountId"},
			":" + resource,
		}}}
	}
	own := statements(t, template, pipeline.BuildRole())
	assert.Contains(t, own, map[string]any{
		"Effect": "Allow", "Action": "ec2:CreateNetworkInterfacePermission", "Resource": ec2("network-interface/*"),
		"Condition": map[string]any{"StringEquals": map[string]any{
			"ec2:AuthorizedService": "codebuild.amazonaws.com", "ec2:Subnet": []any{
				ec2("subnet/subnet-1"),
				ec2("subnet/subnet-2"),
			},
		}},
	})
	assert.Contains(t, fmt.Sprint(own), "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeDhcpOptions")
	assert.Equal(t, 1, cdktest.Inventory(template)["AWS::EC2::SecurityGroup"], "one was given")
	assertAt(t, cdktest.Properties(t, template, chosen.Project(constructs.X64)), []expectation{
		{"VpcConfig.Subnets", []any{"subnet-3", "subnet-4"}, ""},
		{"VpcConfig.SecurityGroupIds", []any{"sg-1"}, ""},
	})
}

func TestRunnerImagePipeline_TakesAnExistingRepository(t *testing.T) {
	stack := cdktest.NewStack(t)
	images := awsecr.Repository_FromRepositoryName(stack, jsii.String("Images"), jsii.String("runner"))
	dockerfile := awscodecommit.Repository_FromRepositoryName(stack, jsii.String("Dockerfile"), jsii.String("dockerfile"))
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Repository: images,
		Source:     constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{Repository: dockerfile}),
	})
	template := cdktest.Template(stack)

	assert.Same(t, images, pipeline.Repository())
	assert.Same(t, dockerfile, pipeline.SourceRepository())
	inventory := cdktest.Inventory(template)
	assert.Zero(t, inventory["AWS::ECR::Repository"])
	assert.Zero(t, inventory["AWS::CodeCommit::Repository"], "the customer's repository must not be made, or seeded")
	assert.Contains(t, statements(t, template, pipeline.BuildRole()), map[string]any{
		"Effect": "Allow", "Action": "codecommit:GitPull", "Resource": resolved(stack, dockerfile.RepositoryArn()),
	})
	assert.Equal(t, 3, inventory["AWS::Events::Rule"], "a push must start a build here too")
}

func TestRunnerImagePipeline_BuildsFromAFolder(t *testing.T) {
	folder := t.TempDir()
	synthesize := func(dockerfile string) (project, image map[string]any, pipeline *constructs.RunnerImagePipeline) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(dockerfile), 0o600))
		stack := cdktest.NewStack(t)
		pipeline = constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
			Source: constructs.FolderSource(folder),
		})
		template := cdktest.Template(stack)
		assert.Equal(t, 2, cdktest.Inventory(template)["AWS::Events::Rule"], "nothing is pushed")
		return cdktest.Properties(t, template, pipeline.Project(constructs.X64)), cdktest.Resource(t, template,
			"Custom::RunnerImage"), pipeline
	}
	project, image, pipeline := synthesize("FROM debian\n")
	assertAt(t, project, []expectation{
		{"SecondarySources.0.Type", "S3", ""},
		{"SecondarySources.0.SourceIdentifier", "image", ""},
	})
	assert.Nil(t, pipeline.SourceRepository())
	assert.Contains(t, fmt.Sprint(cdktest.At(project, "SecondarySources.0.Location")), image["Source"])

	_, changed, _ := synthesize("FROM debian:12\n")
	assert.NotEqual(t, image["Source"], changed["Source"], "a change of the Dockerfile would not be built")
	delete(image, "Source")
	delete(changed, "Source")
	assert.Equal(t, image, changed)
}

func TestRunnerImagePipeline_BuildsFromGitHub(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Source: constructs.GitHubSource(&constructs.GitHubSourceProps{
			Repository:    "my-org/runner-image",
			ConnectionARN: connection, Branch: "stable",
		}),
	})
	template := cdktest.Template(stack)
	project := cdktest.Properties(t, template, pipeline.Project(constructs.X64))
	assertAt(t, project, []expectation{
		{"SecondarySources.0", map[string]any{
			"Type": "GITHUB", "Location": "https://github.com/my-org/runner-image.git", "SourceIdentifier": "image",
			"GitCloneDepth": 1.0, "ReportBuildStatus": false,
			"Auth": map[string]any{"Type": "CODECONNECTIONS", "Resource": connection},
		}, "CodeBuild could not read the repository"},
		{"SecondarySourceVersions.0.SourceVersion", "stable", ""},
		{"Triggers", nil, ""},
	})
	assert.Contains(t, statements(t, template, pipeline.BuildRole()), map[string]any{"Effect": "Allow", "Action": []any{
		"codeconnections:GetConnection", "codeconnections:GetConnectionToken", "codeconnections:UseConnection",
		"codestar-connections:GetConnection", "codestar-connections:GetConnectionToken", "codestar-connections:UseConnection",
	}, "Resource": connection})
	assertAt(t, cdktest.Resource(t, template, "Custom::RunnerImage"),
		[]expectation{{"Source", "github.com/my-org/runner-image stable", ""}})

	token := awscdk.NewCfnParameter(stack, jsii.String("Connection"), nil).ValueAsString()
	assert.NotPanics(t, func() {
		constructs.NewRunnerImagePipeline(stack, "Later", &constructs.RunnerImagePipelineProps{
			Source: constructs.GitHubSource(&constructs.GitHubSourceProps{Repository: "o/r", ConnectionARN: *token}),
		})
	}, "a connection that the app makes has no ARN yet")
}

// What is in the assembly is what CodeBuild gets.
func TestRunnerImagePipeline_HandsOverTheSources(t *testing.T) {
	app := cdktest.NewApp(t, nil)
	stack := awscdk.NewStack(app, jsii.String("Test"), nil)
	constructs.NewRunnerImagePipeline(stack, "Image", nil)
	template := cdktest.Template(stack)

	files := func(folder string) []string {
		var found []string
		require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				path, err = filepath.Rel(folder, path)
				found = append(found, filepath.ToSlash(path))
			}
			return err
		}))
		return found
	}
	var names []string
	folders, err := filepath.Glob(filepath.Join(*app.AssetOutdir(), "asset.*"))
	require.NoError(t, err)
	for _, folder := range folders {
		found := files(folder)
		switch {
		case slices.Contains(found, bundle.BuildSpec):
			names = append(names, "library")
			assert.Equal(t, "asset."+library(t, template), filepath.Base(folder),
				"a release of the library would not build the image")
			tree, err := bundle.LibraryTree(ecsrunners.Sources)
			require.NoError(t, err)
			assert.ElementsMatch(t, tree.Files, found)
		case slices.Contains(found, "Dockerfile"):
			names = append(names, "seed")
			tree, err := bundle.CustomerTree(ecsrunners.Sources)
			require.NoError(t, err)
			assert.ElementsMatch(t, tree.Files, found)
		}
	}
	assert.ElementsMatch(t, []string{"library", "seed"}, names)
}

// The names of the variables are an agreement between two files that no compiler
// looks at together.
func TestRunnerImagePipeline_BuildScriptKnowsTheVariables(t *testing.T) {
	script, err := ecsrunners.Sources.ReadFile(bundle.BuildScript)
	require.NoError(t, err)
	for _, name := range []string{
		imagebuildcontract.EnvRepositoryURI, imagebuildcontract.EnvChannel, imagebuildcontract.EnvTrigger,
		imagebuildcontract.EnvRunnerVersion, imagebuildcontract.EnvRunnerSHA256, imagebuildcontract.EnvRunnerReleases,
		imagebuildcontract.EnvBase, imagebuildcontract.EnvSudo,
		"CODEBUILD_SRC_DIR_" + imagebuildcontract.SourceIdentifier,
	} {
		assert.Regexp(t, `\$\{`+name+`:`, string(script), "the build would not hear of it")
	}
	assert.Contains(t, string(script), `"$trigger" = `+imagebuildcontract.TriggerSchedule)
}

func TestRunnerImagePipeline_TellsOfBuildsThatFailOrDoNotTakePlace(t *testing.T) {
	stack := cdktest.NewStack(t)
	failures := awssns.NewTopic(stack, jsii.String("Failures"), nil)
	alarms := awssns.NewTopic(stack, jsii.String("Alarms"), nil)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Architectures: []constructs.Architecture{constructs.X64, constructs.ARM64}, FailureTopic: failures,
		AlarmTopic: alarms,
	})
	quiet := constructs.NewRunnerImagePipeline(stack, "Quiet", &constructs.RunnerImagePipelineProps{
		Schedule: "rate(7 days)", AlarmTopic: alarms, MaxImageAge: 90 * 24 * time.Hour,
	})
	template := cdktest.Template(stack)

	assertAt(t, cdktest.Properties(t, template, pipeline.Node().FindChild(jsii.String("Failed"))), []expectation{
		{"EventPattern.detail", map[string]any{
			"project-name": []any{
				resolved(stack, pipeline.Project(constructs.X64).ProjectName()),
				resolved(stack, pipeline.Project(constructs.ARM64).ProjectName()),
			},
			"build-status": []any{"FAILED", "FAULT", "TIMED_OUT"},
		}, ""},
		{"Targets.0.Arn", resolved(stack, failures.TopicArn()), ""},
		{"Targets.0.InputTransformer", map[string]any{
			"InputPathsMap": map[string]any{
				"detail-project-name": "$.detail.project-name", "detail-build-status": "$.detail.build-status",
				"detail-additional-information-logs-deep-link": "$.detail.additional-information.logs.deep-link",
			},
			"InputTemplate": `"Building the runner image with project <detail-project-name> ended with ` +
				`<detail-build-status>. Tasks start from the image before. Its log: ` +
				`<detail-additional-information-logs-deep-link>"`,
		}, "who is woken wants the link to the log"},
	})
	assert.Equal(t, 1, cdktest.Inventory(template)["AWS::SNS::TopicPolicy"], "EventBridge could not publish")

	alarm := func(id string) map[string]any {
		return cdktest.Properties(t, template, pipeline.Node().FindChild(&id))
	}
	assertAt(t, alarm("FunctionFails"), []expectation{
		{"Namespace", "AWS/Lambda", ""},
		{"MetricName", "Errors", ""},
		{"Statistic", "Sum", ""},
		{"Dimensions", []any{map[string]any{"Name": "FunctionName", "Value": resolved(stack,
			pipeline.Function().FunctionName())}}, ""},
		{"ComparisonOperator", "GreaterThanOrEqualToThreshold", ""},
		{"Threshold", 1.0, "a deployment would wait for nothing until it times out"},
		{"TreatMissingData", "notBreaching", ""},
		{"AlarmActions", []any{resolved(stack, alarms.TopicArn())}, ""},
	})
	for id, architecture := range map[string]constructs.Architecture{"X64": constructs.X64, "Arm64": constructs.ARM64} {
		dimensions := []any{map[string]any{"Name": "ProjectName", "Value": resolved(stack,
			pipeline.Project(architecture).ProjectName())}}
		assertAt(t, alarm("BuildsFail"+id), []expectation{
			{"Namespace", "AWS/CodeBuild", ""},
			{"MetricName", "FailedBuilds", ""},
			{"Statistic", "Sum", ""},
			{"Dimensions", dimensions, ""},
			{"ComparisonOperator", "GreaterThanOrEqualToThreshold", ""},
			{"Threshold", 1.0, ""},
			{"EvaluationPeriods", 1.0, ""},
			{"TreatMissingData", "notBreaching", "no build is no failure"},
			{"AlarmActions", []any{resolved(stack, alarms.TopicArn())}, ""},
		})
		assertAt(t, alarm("ImageOld"+id), []expectation{
			{"Namespace", imagebuildcontract.MetricNamespace, ""},
			{"MetricName", imagebuildcontract.MetricImageAge, ""},
			{"Statistic", "Maximum", ""},
			{"Dimensions", dimensions, ""},
			{"ComparisonOperator", "GreaterThanOrEqualToThreshold", ""},
			{"Threshold", 60.0, "GitHub turns runners away 30 days after a release, and one comes at least every seven weeks"},
			{"Period", 86400.0, ""},
			{"TreatMissingData", "ignore", "the age is known when a build has ended"},
			{"AlarmActions", []any{resolved(stack, alarms.TopicArn())}, ""},
		})
		assertAt(t, alarm("ImageUnchecked"+id), []expectation{
			{"Namespace", "AWS/CodeBuild", ""},
			{"MetricName", "SucceededBuilds", ""},
			{"Statistic", "Sum", ""},
			{"Dimensions", dimensions, ""},
			{"ComparisonOperator", "LessThanThreshold", ""},
			{"Threshold", 1.0, ""},
			{"Period", 86400.0, ""},
			{"EvaluationPeriods", 3.0, ""},
			{"TreatMissingData", "breaching", "a check that no longer takes place would not be noticed until GitHub turns " +
				"the runners away"},
			{"AlarmActions", []any{resolved(stack, alarms.TopicArn())}, ""},
		})
	}
	assert.Equal(t, 10, cdktest.Inventory(template)["AWS::CloudWatch::Alarm"],
		"with a rarer schedule three days without a check are as they should be")
	assert.Nil(t, quiet.Node().TryFindChild(jsii.String("ImageUncheckedX64")))
	assert.Equal(t, 90.0, cdktest.Properties(t, template, quiet.Node().FindChild(jsii.String("ImageOldX64")))["Threshold"])
}

func TestRunnerImagePipeline_Metrics(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	project := resolved(stack, pipeline.Project(constructs.X64).ProjectName())
	for _, test := range []struct {
		metric                     func(constructs.Architecture, *awscloudwatch.MetricOptions) awscloudwatch.Metric
		namespace, name, statistic string
	}{
		{pipeline.MetricImageAge, "ECSRunners/Image", "ImageAge", "Maximum"},
		{pipeline.MetricSucceededBuilds, "AWS/CodeBuild", "SucceededBuilds", "Sum"},
		{pipeline.MetricFailedBuilds, "AWS/CodeBuild", "FailedBuilds", "Sum"},
	} {
		metric := test.metric(constructs.X64, nil)
		assert.Equal(t, test.namespace, *metric.Namespace())
		assert.Equal(t, test.name, *metric.MetricName())
		assert.Equal(t, test.statistic, *metric.Statistic())
		assert.Equal(t, map[string]any{"ProjectName": project}, stack.Resolve(metric.Dimensions()),
			"an alarm would watch a metric that nobody writes")
		assert.Equal(t, "Average", *test.metric(constructs.X64, &awscloudwatch.MetricOptions{Statistic: jsii.String(
			"Average")}).Statistic())
		assert.Equal(t, `RunnerImagePipeline "Image": architecture must be one of [x64], got "arm64"`,
			cdktest.PanicMessage(t, func() { test.metric(constructs.ARM64, nil) }))
	}
}

// container adds a task that runs an image, as a fleet does, and returns the image
// and what the task definition waits for.
func container(t *testing.T, stack awscdk.Stack, image constructs.RunnerImage) (name any, waitsFor string) {
	t.Helper()
	task := awsecs.NewEc2TaskDefinition(stack, jsii.String("Task"), nil)
	task.AddContainer(jsii.String("Runner"), &awsecs.ContainerDefinitionOptions{
		Image: constructs.BindImage(image, task, constructs.X64), MemoryLimitMiB: jsii.Number(512),
	})
	definition := cdktest.Definition(t, cdktest.Template(stack), task)
	return cdktest.At(definition, "Properties.ContainerDefinitions.0.Image"), fmt.Sprint(definition["DependsOn"])
}

func TestRunnerImage_OfAPipelineIsItsChannelTag(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	name, waitsFor := container(t, stack, pipeline.Image())
	assert.Equal(t, resolved(stack, pipeline.Repository().RepositoryUriForTag(jsii.String("latest-x64"))), name)
	assert.Contains(t, waitsFor, "ImageImageX64", "a fleet would start from an image that is not there")
	assert.True(t, constructs.SupportsArchitecture(pipeline.Image(), constructs.X64))
	assert.False(t, constructs.SupportsArchitecture(pipeline.Image(), constructs.ARM64))
}

// A digest would make every new image a new revision of the task definition, and
// an export that cannot change.
func TestRunnerImage_CrossesStacksWithoutADigest(t *testing.T) {
	app := cdktest.NewApp(t, nil)
	images := awscdk.NewStack(app, jsii.String("Images"), nil)
	fleets := awscdk.NewStack(app, jsii.String("Fleets"), nil)
	pipeline := constructs.NewRunnerImagePipeline(images, "Image", nil)
	name, _ := container(t, fleets, pipeline.Image())
	assert.Contains(t, fmt.Sprint(name), ":latest-x64")
	outputs := cdktest.Template(images)["Outputs"].(map[string]any)
	assert.Len(t, outputs, 2)
	for _, output := range outputs {
		assert.Contains(t, fmt.Sprint(cdktest.At(output, "Value")), cdktest.LogicalID(t, pipeline.Repository()),
			"only the repository's own name and ARN may cross stacks")
	}
	assert.Len(t, *fleets.Dependencies(), 1)
}

func TestRunnerImage_OfThoseWhoBuildElsewhere(t *testing.T) {
	stack := cdktest.NewStack(t)
	repository := awsecr.Repository_FromRepositoryName(stack, jsii.String("Images"), jsii.String("runner"))
	name, waitsFor := container(t, stack, constructs.RepositoryImage(repository, "stable"))
	assert.Equal(t, resolved(stack, repository.RepositoryUriForTag(jsii.String("stable"))), name)
	assert.Equal(t, "<nil>", waitsFor)

	name, _ = container(t, cdktest.NewStack(t), constructs.RegistryImage("registry.example.com/runner:stable"))
	assert.Equal(t, "registry.example.com/runner:stable", name)
	for _, image := range []constructs.RunnerImage{
		constructs.RepositoryImage(repository, "stable"),
		constructs.RegistryImage("x"),
	} {
		assert.True(t, constructs.SupportsArchitecture(image, constructs.ARM64), "nobody but the customer knows")
	}
}

func TestRunnerImagePipeline_ReplacedCodeBuildsNothing(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", &constructs.RunnerImagePipelineProps{
		Code: awslambda.Code_FromBucket(awss3.Bucket_FromBucketName(stack, jsii.String("Artifacts"),
			jsii.String("artifacts")), jsii.String("wait.zip"), nil),
	})
	assertAt(t, cdktest.Properties(t, cdktest.Template(stack), pipeline.Function()), []expectation{
		{
			"Code",
			map[string]any{"S3Bucket": "artifacts", "S3Key": "wait.zip"},
			"the customer's program must be deployed, not ours",
		},
	})
}

func TestRunnerImagePipeline_TheTemplateIsTheSameWhetherOrNotTheProgramIsBuilt(t *testing.T) {
	synthesize := func(bundling []any) (template, assembly string) {
		app := cdktest.NewApp(t, map[string]any{"aws:cdk:bundling-stacks": bundling})
		stack := awscdk.NewStack(app, jsii.String("Test"), nil)
		constructs.NewRunnerImagePipeline(stack, "Image", nil)
		encoded, err := json.Marshal(cdktest.Template(stack))
		require.NoError(t, err)
		return string(encoded), *app.AssetOutdir()
	}
	skipped, _ := synthesize([]any{})
	built, assembly := synthesize([]any{"**"})
	assert.Equal(t, skipped, built)
	binaries, err := filepath.Glob(filepath.Join(assembly, "asset.*", "bootstrap"))
	require.NoError(t, err)
	assert.Len(t, binaries, 1, "the assembly must hold the program that Lambda starts")
}

// The CDK takes a folder for built that is there.
func TestProgramCode_RemovesWhatAFailedBuildLeft(t *testing.T) {
	assembly := filepath.Join(t.TempDir(), "home[1]") // no pattern
	for _, folder := range []string{"asset.failed", "asset.built/bootstrap", "sources.1"} {
		require.NoError(t, os.MkdirAll(filepath.Join(assembly, filepath.FromSlash(folder)), 0o750))
	}
	require.NoError(t, os.WriteFile(filepath.Join(assembly, "asset.txt"), nil, 0o600))
	constructs.RemoveEmptyAssets(assembly)
	entries, err := os.ReadDir(assembly)
	require.NoError(t, err)
	var left []string
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	assert.Equal(t, []string{"asset.built", "asset.txt", "sources.1"}, left)
	assert.NotPanics(t, func() { constructs.RemoveEmptyAssets(filepath.Join(assembly, "none")) })
}

func TestRunnerImagePipeline_FailsWhen(t *testing.T) {
	stack := cdktest.NewStack(t)
	images := awsecr.Repository_FromRepositoryName(stack, jsii.String("Images"), jsii.String("runner"))
	dockerfile := awscodecommit.Repository_FromRepositoryName(stack, jsii.String("Dockerfile"), jsii.String("dockerfile"))
	group := awsec2.SecurityGroup_FromSecurityGroupId(stack, jsii.String("Group"), jsii.String("sg-1"), nil)
	key := awskms.NewKey(stack, jsii.String("Key"), nil)
	empty := t.TempDir()
	before := paths(stack)
	for _, test := range []struct {
		name  string
		props *constructs.RunnerImagePipelineProps
		want  string
	}{
		{"literals do not fit", &constructs.RunnerImagePipelineProps{
			Architectures: []constructs.Architecture{"riscv"}, RunnerVersion: "latest",
			RemovalPolicy: awscdk.RemovalPolicy_SNAPSHOT,
			ComputeType:   awscodebuild.ComputeType_LAMBDA_1GB, Timeout: time.Hour, Schedule: "daily",
		}, `Architectures[0] must be x64 or arm64, got "riscv"
RemovalPolicy must be retain or destroy, got "snapshot"
ComputeType must be small, medium, large, x-large or x2-large, got "lambda-1gb"
RunnerVersion must be a release of actions/runner such as "2.330.0", got "latest"
Timeout must be 5m to 40m in whole minutes, because a deployment waits for the build and CloudFormation waits an hour at most, got 1h
Schedule must be an expression such as "cron(23 3 * * ? *)" or "rate(1 day)", or "none", got "daily"`},
		{"a given repository has settings", &constructs.RunnerImagePipelineProps{
			Repository: images, RepositoryName: "runner", MaxImageCount: 3, UntaggedImageAge: 24 * time.Hour,
			EncryptionKey: key, EmptyOnDelete: true, RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		}, `RepositoryName cannot be used with Repository: it is a setting of the new repository
MaxImageCount cannot be used with Repository: it is a setting of the new repository
UntaggedImageAge cannot be used with Repository: it is a setting of the new repository
EncryptionKey cannot be used with Repository: it is a setting of the new repository
EmptyOnDelete cannot be used with Repository: it is a setting of the new repository`},
		{"the network has no VPC", &constructs.RunnerImagePipelineProps{
			Subnets: &awsec2.SubnetSelection{}, SecurityGroups: []awsec2.ISecurityGroup{group},
		}, `Subnets needs the VPC from which it selects
SecurityGroups needs the VPC of the security groups`},
		{"a given source is named", &constructs.RunnerImagePipelineProps{
			Source: constructs.CodeCommitSource(&constructs.CodeCommitSourceProps{
				Repository: dockerfile, RepositoryName: "d",
				Branch: "a b",
			}),
		}, `Source.CodeCommit.RepositoryName cannot be used with Repository: it names the new repository
Source.CodeCommit.Branch must be the name of a branch, such as "main", got "a b"`},
		{
			"the folder has no Dockerfile", &constructs.RunnerImagePipelineProps{Source: constructs.FolderSource(empty)},
			fmt.Sprintf(`Source.Folder.Path must be a folder with a Dockerfile, got %q`, empty),
		},
		{
			"there is no folder", &constructs.RunnerImagePipelineProps{Source: constructs.FolderSource("")},
			`Source.Folder.Path must be a folder with a Dockerfile, got ""`,
		},
		{
			"a source at GitHub is not told", &constructs.RunnerImagePipelineProps{Source: constructs.GitHubSource(nil)},
			`Source.GitHub.Repository is required: the full name of a repository, such as "my-org/runner-image"
Source.GitHub.ConnectionARN must be the ARN of a connection, such as ` + connection + `, got ""`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, "RunnerImagePipeline \"Image\":\n"+test.want, cdktest.PanicMessage(t, func() {
				constructs.NewRunnerImagePipeline(stack, "Image", test.props)
			}))
			assert.Equal(t, before, paths(stack), "what was refused has left constructs in the tree")
		})
	}
}

func TestRunnerImagePipeline_IsAConstructLikeAnyOther(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	second := constructs.NewRunnerImagePipeline(stack, "Second", nil)
	second.Node().AddDependency(pipeline)
	awscdk.Tags_Of(pipeline).Add(jsii.String("team"), jsii.String("builds"), nil)
	assert.Same(t, pipeline, stack.Node().FindChild(jsii.String("Image")), "the tree must hold our own object")

	template := cdktest.Template(stack)
	for _, tagged := range []awsconstructs.IConstruct{
		pipeline.Project(constructs.X64), pipeline.Repository(),
		pipeline.SourceRepository(), pipeline.BuildRole(), pipeline.Function(),
	} {
		assertAt(t, cdktest.Properties(t, template, tagged), []expectation{
			{"Tags", []any{map[string]any{"Key": "team", "Value": "builds"}}, ""},
		})
	}
	given := &constructs.RunnerImagePipelineProps{Architectures: []constructs.Architecture{constructs.X64}}
	third := constructs.NewRunnerImagePipeline(stack, "Third", given)
	third.Architectures()[0] = constructs.ARM64
	given.Architectures[0] = constructs.ARM64
	assert.Equal(t, []constructs.Architecture{constructs.X64}, third.Architectures())
	assert.NotEmpty(t, maps.Keys(template))
}

// CodeBuild tries at creation what the role may do in a VPC and with a connection.
func TestRunnerImagePipeline_ProjectsAreMadeAfterThePermissionsOfTheirRole(t *testing.T) {
	stack := cdktest.NewStack(t)
	pipeline := constructs.NewRunnerImagePipeline(stack, "Image", nil)
	template := cdktest.Template(stack)
	policy := pipeline.BuildRole().Node().FindChild(jsii.String("DefaultPolicy"))
	assert.Contains(t, cdktest.Definition(t, template, pipeline.Project(constructs.X64))["DependsOn"],
		cdktest.LogicalID(t, policy),
		"the first deployment would fail or not, as chance has it")
}
