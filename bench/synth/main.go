package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bareEnv makes this program the bare app, with so many parameters in each stack.
const bareEnv = "ECSRUNNERS_BENCH_BARE"

func main() {
	runs := flag.Int("runs", 5, "rounds, in each of which every app is synthesized once")
	app := flag.String("app", "", "a built app to measure instead of ./cmd/app, such as one of another commit")
	flag.Parse()
	var err error
	if counts := os.Getenv(bareEnv); counts != "" {
		err = synthesizeBare(counts)
	} else {
		err = benchmark(context.Background(), *runs, *app)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// subject is an app in a state of the machine.
type subject struct {
	name  string
	app   string
	env   []string
	cold  bool // without programs that were built before
	times []time.Duration
}

func benchmark(ctx context.Context, runs int, app string) error {
	folder, err := os.MkdirTemp("", "bench-synth")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if app == "" {
		app = filepath.Join(folder, "app")
		if output, err := exec.CommandContext(ctx, "go", "build", "-o", app, "./cmd/app").CombinedOutput(); err != nil {
			return fmt.Errorf("building the app: %w\n%s", err, output)
		}
	}
	s, err := newSession(ctx, folder)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	resources, err := s.resources(ctx, app) // fills the caches, too
	if err != nil {
		return err
	}
	bare := subject{name: "bare app", app: self, env: []string{bareEnv + "=" + strings.Trim(fmt.Sprint(resources), "[]")}}
	warm := subject{name: "app, programs in the cache", app: app}
	cold := subject{name: "app, programs not in the cache", app: app, cold: true}
	for range runs {
		for _, subject := range []*subject{&bare, &warm, &cold} {
			took, err := s.synthesize(ctx, *subject, filepath.Join(folder, "cdk.out"))
			if err != nil {
				return err
			}
			subject.times = append(subject.times, took)
		}
	}
	fmt.Printf("resources by stack: %v\n", resources)
	for _, subject := range []subject{bare, warm, cold} {
		fmt.Printf("%-30s %.2f s (%.2f–%.2f), %.2f times the bare app\n", subject.name, median(subject.times).Seconds(),
			slices.Min(subject.times).Seconds(), slices.Max(subject.times).Seconds(), median(subject.times).Seconds()/median(bare.times).Seconds())
	}
	return nil
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// session is what all runs have in common.
type session struct {
	env   []string
	cache string // of built programs
}

func newSession(ctx context.Context, folder string) (session, error) {
	content, err := os.ReadFile("cdk.json")
	if err != nil {
		return session{}, fmt.Errorf("reading the app's context: %w", err)
	}
	var cdkJSON struct{ Context map[string]any }
	if err := json.Unmarshal(content, &cdkJSON); err != nil {
		return session{}, fmt.Errorf("reading the app's context: %w", err)
	}
	// As the CDK CLI adds them.
	maps.Copy(cdkJSON.Context, map[string]any{
		"aws:cdk:enable-path-metadata": true, "aws:cdk:enable-asset-metadata": true, "aws:cdk:version-reporting": false,
		"aws:cdk:bundling-stacks": []string{"**"},
	})
	values, err := json.Marshal(cdkJSON.Context)
	if err != nil {
		return session{}, fmt.Errorf("writing the app's context: %w", err)
	}
	goCache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return session{}, fmt.Errorf("reading go env: %w", err)
	}
	// The compiler's cache stays the user's.
	caches := filepath.Join(folder, "caches")
	return session{
		cache: filepath.Join(caches, "ecsrunners"),
		env: append(os.Environ(), "CDK_CONTEXT_JSON="+string(values), "XDG_CACHE_HOME="+caches,
			"GOCACHE="+strings.TrimSpace(string(goCache))),
	}, nil
}

// synthesize runs an app into a new folder, which is removed, and returns how long
// it took.
func (s session) synthesize(ctx context.Context, subject subject, assembly string) (time.Duration, error) {
	if subject.cold {
		if err := os.RemoveAll(s.cache); err != nil {
			return 0, fmt.Errorf("emptying the cache: %w", err)
		}
	}
	command := exec.CommandContext(ctx, subject.app)
	command.Env = slices.Concat(s.env, subject.env, []string{"CDK_OUTDIR=" + assembly})
	begun := time.Now()
	output, err := command.CombinedOutput()
	took := time.Since(begun)
	if err != nil {
		return 0, fmt.Errorf("synthesizing %s: %w\n%s", subject.name, err, output)
	}
	return took, os.RemoveAll(assembly)
}

// resources synthesizes an app and counts those in each of its templates.
func (s session) resources(ctx context.Context, app string) ([]int, error) {
	assembly, err := os.MkdirTemp("", "bench-synth")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(assembly) }()
	command := exec.CommandContext(ctx, app)
	command.Env = append(slices.Clone(s.env), "CDK_OUTDIR="+assembly)
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("synthesizing the app: %w\n%s", err, output)
	}
	templates, err := filepath.Glob(filepath.Join(assembly, "*.template.json"))
	if err != nil || len(templates) == 0 {
		return nil, errors.Join(errors.New("the app has no template"), err)
	}
	var counts []int
	for _, file := range templates {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("counting resources: %w", err)
		}
		var template struct{ Resources map[string]any }
		if err := json.Unmarshal(content, &template); err != nil {
			return nil, fmt.Errorf("counting resources: %w", err)
		}
		counts = append(counts, len(template.Resources))
	}
	return counts, nil
}
