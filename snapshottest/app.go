package snapshottest

import (
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

// NewApp makes an app as the CDK CLI would in the folder of the next cdk.json, but for
// assets, which are not bundled: nothing is compiled. Templates are the same as with
// bundling.
//
// The next cdk.json is in the folder of the test or one above, if there is any. The
// app's context is the one in it, with the feature flags, laid over that in
// cdk.context.json beside it, where the CLI keeps what stacks have looked up. The
// given context, which may be nil, is laid over both. The user's own settings, in
// ~/.cdk.json, do not count.
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

// contextOf is the context in the next cdk.json, in a folder or one above, and in the
// cdk.context.json beside it.
func contextOf(folder string) (map[string]any, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("looking for cdk.json: %w", err)
	}
	var settings struct{ Context map[string]any }
	for {
		err := readJSON(filepath.Join(folder, "cdk.json"), &settings)
		if err == nil {
			break
		}
		above := filepath.Dir(folder)
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("reading context: %w", err)
		case above == folder:
			return map[string]any{}, nil
		}
		folder = above
	}
	context := map[string]any{}
	err = readJSON(filepath.Join(folder, "cdk.context.json"), &context)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading context: %w", err)
	}
	if context == nil { // the file says null
		context = map[string]any{}
	}
	maps.Copy(context, settings.Context)
	return context, nil
}
