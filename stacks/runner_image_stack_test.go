package stacks_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/cdktest"
	"github.com/ecs-github-runners/ecsrunners/snapshottest"
	"github.com/ecs-github-runners/ecsrunners/stacks"
	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// richImage is an image as a large organization might configure it.
const richImage = `{
	"stackName": "BuildFarm",
	"account": "111122223333",
	"region": "eu-central-1",
	"tags": {"team": "developer-experience"},
	"image": {
		"source": {"gitHub": {
			"repository": "octo-org/runner-image",
			"connectionArn": "arn:aws:codeconnections:eu-central-1:111122223333:connection/01234567-89ab-cdef-0123-456789abcdef"
		}},
		"architectures": ["x64", "arm64"],
		"channel": "stable",
		"repositoryName": "build-farm/runner",
		"maxImageCount": 50,
		"projectName": "runner-image",
		"computeType": "large"
	}
}`

func imageScenarios(t *testing.T) []scenario {
	t.Helper()
	return []scenario{{"default", committed(t)}, {"rich", richImage}}
}

// buildImage makes the app and its image stack as cmd/app does.
func (s scenario) buildImage(t *testing.T, context map[string]any) (awscdk.App, *stacks.RunnerImageStack) {
	t.Helper()
	merged := maps.Clone(context)
	if merged == nil {
		merged = map[string]any{}
	}
	merged[config.Key] = s.configuration
	app := snapshottest.NewApp(t, merged)
	c, err := config.Parse(app.Node().TryGetContext(jsii.String(config.Key)))
	require.NoError(t, err)
	return app, stacks.NewRunnerImageStack(app, c)
}

func TestRunnerImageStack_Snapshots(t *testing.T) {
	for _, s := range imageScenarios(t) {
		app, stack := s.buildImage(t, nil)
		snapshottest.Compare(t, s.name, stack)
		assert.Emptyf(t, cdktest.Warnings(stack), "%s: cdk synth --strict would fail", s.name)
		assert.Emptyf(t, app.Synth(nil).Manifest().Missing, "%s: synthesis would need credentials", s.name)
	}
}

func TestRunnerImageStack_TellsWhereThingsAre(t *testing.T) {
	_, stack := imageScenarios(t)[0].buildImage(t, nil)
	assert.Equal(t, "GitHubRunnersImage", *stack.StackName())
	outputs := cdktest.Template(stack)["Outputs"].(map[string]any)
	pipeline := stack.Pipeline()
	assert.Same(t, pipeline, stack.Node().FindChild(jsii.String("Image")))
	for name, want := range map[string]*string{
		"RepositoryURI":   pipeline.Repository().RepositoryUri(),
		"CloneURL":        pipeline.SourceRepository().RepositoryCloneUrlHttp(),
		"BuildProjectX64": pipeline.Project(constructs.X64).ProjectName(),
	} {
		assert.Equal(t, stack.Resolve(want), cdktest.At(outputs, name+".Value"), name)
		assert.Nil(t, cdktest.At(outputs, name+".Export"), "CloudFormation would refuse to change what another stack imports")
	}
	assert.Len(t, outputs, 3)

	_, stack = imageScenarios(t)[1].buildImage(t, nil)
	outputs = cdktest.Template(stack)["Outputs"].(map[string]any)
	assert.Contains(t, outputs, "BuildProjectArm64")
	assert.NotContains(t, outputs, "CloneURL", "GitHub tells that")
	got := map[string]string{}
	for key, value := range *stack.Tags().TagValues() {
		got[key] = *value
	}
	assert.Equal(t, map[string]string{"team": "developer-experience"}, got)
}

func TestRunnerImageStack_TakesItsSourceFromTheConfiguration(t *testing.T) {
	folder, err := filepath.Abs("../runner-image")
	require.NoError(t, err)
	for name, test := range map[string]struct{ source, kind, location, made, branch string }{
		"nothing said": {`{}`, "CODECOMMIT", "Fn::GetAtt", "main", "main"},
		"a new repository": {
			`{"codeCommit": {"repositoryName": "dockerfile", "branch": "trunk"}}`, "CODECOMMIT",
			"Fn::GetAtt", "trunk", "trunk",
		},
		"an existing one": {
			`{"codeCommit": {"repositoryName": "dockerfile", "existing": true, "branch": "trunk"}}`,
			"CODECOMMIT", "/v1/repos/dockerfile", "", "trunk",
		},
		"a folder": {fmt.Sprintf(`{"folder": {"path": %q}}`, folder), "S3", ".zip", "", ""},
		"a repository at GitHub": {
			`{"gitHub": {"repository": "o/r", "branch": "next", "connectionArn": ` +
				`"arn:aws:codeconnections:eu-central-1:111122223333:connection/01234567-89ab-cdef-0123-456789abcdef"}}`, "GITHUB",
			"https://github.com/o/r.git", "", "next",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, stack := scenario{name, `{"image": {"source": ` + test.source + `}}`}.buildImage(t, nil)
			template := cdktest.Template(stack)
			project := cdktest.Resource(t, template, "AWS::CodeBuild::Project")
			source := cdktest.At(project, "SecondarySources.0")
			branch, _ := cdktest.At(project, "SecondarySourceVersions.0.SourceVersion").(string)
			assert.Equal(t, test.branch, branch, "another branch is built")
			assert.Equal(t, test.kind, cdktest.At(source, "Type"))
			assert.Contains(t, fmt.Sprint(cdktest.At(source, "Location")), test.location)
			repositories := cdktest.Resources(template, "AWS::CodeCommit::Repository")
			if test.made == "" {
				assert.Empty(t, repositories)
				return
			}
			require.Len(t, repositories, 1)
			for _, repository := range repositories {
				assert.Equal(t, test.made, cdktest.At(repository, "Code.BranchName"))
			}
		})
	}
}

func TestRunnerImageStack_BuildsInTheVPCOfTheConfiguration(t *testing.T) {
	_, stack := scenario{
		"vpc",
		`{"account": "111122223333", "region": "eu-central-1", "vpc": {"id": "vpc-0123456789abcdef0", "availabilityZones": ["eu-central-1a"],
		"subnetIds": ["subnet-0123456789abcdef0"]}, "image": {"buildInVpc": true}}`,
	}.buildImage(t, nil)
	projects := cdktest.Resources(cdktest.Template(stack), "AWS::CodeBuild::Project")
	require.Len(t, projects, 1)
	for _, project := range projects {
		assert.Equal(t, "vpc-0123456789abcdef0", cdktest.At(project, "VpcConfig.VpcId"))
		assert.Equal(t, []any{"subnet-0123456789abcdef0"}, cdktest.At(project, "VpcConfig.Subnets"))
	}
}

func TestRunnerImageStack_TakesWhatTheConfigurationNames(t *testing.T) {
	const key = "arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
	const failures, alarms = "arn:aws:sns:eu-central-1:111122223333:failures",
		"arn:aws:sns:eu-central-1:111122223333:alarms"
	_, stack := scenario{"topics", `{"image": {"failureTopicArn": "` + failures + `", "alarmTopicArn": "` + alarms +
		`", "maxImageAge": "720h", "encryptionKeyArn": "` + key + `"}}`}.buildImage(t, nil)
	template := cdktest.Template(stack)
	found := cdktest.Resources(template, "AWS::CloudWatch::Alarm")
	require.Len(t, found, 4)
	for id, alarm := range found {
		assert.Equal(t, []any{alarms}, alarm["AlarmActions"], id)
		if alarm["MetricName"] == "ImageAge" {
			assert.Equal(t, 30.0, alarm["Threshold"])
		}
	}
	for _, repository := range cdktest.Resources(template, "AWS::ECR::Repository") {
		assert.Equal(t, map[string]any{"EncryptionType": "KMS", "KmsKey": key}, repository["EncryptionConfiguration"])
	}
	told := false
	for _, rule := range cdktest.Resources(template, "AWS::Events::Rule") {
		told = told || cdktest.At(rule, "Targets.0.Arn") == failures
	}
	assert.True(t, told, "nobody hears of a build that fails")
}

func TestRunnerImageStack_HasNoFindingOfCdkNagThatIsNotExplained(t *testing.T) {
	built := map[string]awscdk.Stack{}
	for _, s := range imageScenarios(t) {
		_, stack := s.buildImage(t, nagContext)
		built[s.name] = stack
	}
	assertExplained(t, []acceptance{
		{
			"AwsSolutions-CB4", "Image/Build.../Resource",
			"the key would encrypt artifacts, and the builds leave none: the image goes to ECR, which has its own",
		},
		{
			"AwsSolutions-IAM5[Resource::*]", "Image/BuildRole/DefaultPolicy/Resource",
			"ecr:GetAuthorizationToken knows no resources",
		},
	}, built)
}
