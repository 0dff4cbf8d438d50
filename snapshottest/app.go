package snapshottest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// The jsii client took its copy of the environment when the packages of the CDK
// were initialized, before this one. It has not started Node.js yet; once closed,
// it begins again, with the environment of now.
func init() {
	if os.Getenv("CDK_VALIDATION") != "" {
		return
	}
	if err := os.Setenv("CDK_VALIDATION", "false"); err != nil {
		panic(err)
	}
	jsii.Close() //nolint:forbidigo // no test runs yet
}

// NewApp makes an app as the CDK CLI would for this folder, but for assets, which
// are not bundled: nothing is compiled. Templates are the same as with bundling.
//
// Its context, with the feature flags in it, is that of the next cdk.json, in the
// folder of the test or one above, if there is any. The given context, which may be
// nil, is laid over that.
func NewApp(t testing.TB, context map[string]any) awscdk.App {
	t.Helper()
	merged, err := contextOf(".")
	if err != nil {
		t.Fatal(err)
	}
	merged["aws:cdk:bundling-stacks"] = []any{}
	maps.Copy(merged, context)
	return awscdk.NewApp(&awscdk.AppProps{
		Context:            &merged,
		AnalyticsReporting: jsii.Bool(false),
		Outdir:             jsii.String(t.TempDir()),
	})
}

// contextOf is the context in the next cdk.json, in a folder or one above.
func contextOf(folder string) (map[string]any, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("looking for cdk.json: %w", err)
	}
	for {
		file := filepath.Join(folder, "cdk.json")
		content, err := os.ReadFile(file)
		above := filepath.Dir(folder)
		switch {
		case err == nil:
			settings := struct{ Context map[string]any }{Context: map[string]any{}}
			if err := json.Unmarshal(content, &settings); err != nil {
				return nil, fmt.Errorf("reading %s: %w", file, err)
			}
			return settings.Context, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("reading context: %w", err)
		case above == folder:
			return map[string]any{}, nil
		}
		folder = above
	}
}
