package constructs

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/ecs-github-runners/ecsrunners"
	"github.com/ecs-github-runners/ecsrunners/internal/bundle"
)

// programCode is the code of a program of this library: built at synthesis from the
// sources that travel with this library, by the go command, or in a container
// where that is missing. The asset's hash is over the sources, so a template is
// the same whether or not they were built.
func programCode(scope constructs.Construct, folder string, architecture Architecture) awslambda.Code {
	// Inside the assembly: what is outside may be gone when it is deployed.
	assembly := *awscdk.Stage_Of(scope).AssetOutdir()
	program, err := bundle.NewProgram(ecsrunners.Sources, folder, string(architecture))
	var hash, sources string
	if err == nil {
		hash, err = program.Hash()
		sources = filepath.Join(assembly, "sources."+hash)
	}
	if err == nil {
		err = program.Extract(sources)
	}
	if err != nil {
		panic(fmt.Errorf("bundling %s: %w", folder, err))
	}
	environment := map[string]*string{"GOCACHE": jsii.String("/tmp/go-build"), "GOPATH": jsii.String("/tmp/go")}
	maps.Copy(environment, *pointers(program.Environment))
	removeEmptyAssets(assembly)
	return awslambda.Code_FromAsset(&sources, &awss3assets.AssetOptions{
		AssetHash:     &hash,
		AssetHashType: awscdk.AssetHashType_CUSTOM,
		Bundling: &awscdk.BundlingOptions{
			Local:       &localBuild{program},
			Image:       awscdk.DockerImage_FromRegistry(jsii.String("public.ecr.aws/docker/library/golang:" + strings.TrimPrefix(program.Environment["GOTOOLCHAIN"], "go"))),
			Command:     jsii.Strings(program.Command("/asset-output/" + bundle.Binary)...),
			Environment: &environment,
		},
	})
}

// removeEmptyAssets removes the folders of builds that left nothing, which the CDK
// keeps and would take for built the next time.
func removeEmptyAssets(assembly string) {
	entries, err := os.ReadDir(assembly)
	if err != nil {
		return // there is none yet
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), "asset.") {
			_ = os.Remove(filepath.Join(assembly, entry.Name())) // if it is empty
		}
	}
}

var lambdaArchitecture = map[Architecture]func() awslambda.Architecture{
	X64:   awslambda.Architecture_X86_64,
	ARM64: awslambda.Architecture_ARM_64,
}

// localBuild builds with the go command of this machine, or takes what that has
// built before.
type localBuild struct{ program bundle.Program }

// TryBundle implements awscdk.ILocalBundling. It returns false, upon which the
// CDK builds in a container, only where there is no Go: a failed build would
// fail there too, and panics with the compiler's output.
func (b *localBuild) TryBundle(output *string, _ *awscdk.BundlingOptions) *bool {
	err := bundle.Default.Build(b.program, *output)
	if errors.Is(err, bundle.ErrNoGo) {
		return jsii.Bool(false)
	}
	if err != nil {
		panic(err)
	}
	return jsii.Bool(true)
}
