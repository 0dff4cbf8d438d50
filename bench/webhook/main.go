package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract"
	webhookcontract "github.com/ecs-github-runners/ecsrunners/internal/contract/webhook"
	"github.com/ecs-github-runners/ecsrunners/internal/lambdatest"
)

const (
	program = "./lambda/webhook"
	secret  = "benchmark-secret"
)

// payload is a workflow_job payload of the usual size.
//
//go:embed testdata/workflow_job.json
var payload []byte

func main() {
	role := flag.String("role", "", "for the processes the command starts itself")
	events := flag.Int("events", 3000, "deliveries to measure")
	warmup := flag.Int("warmup", 300, "deliveries before those")
	starts := flag.Int("starts", 9, "starts of the program to measure")
	flag.Parse()
	var err error
	switch *role {
	case "":
		err = benchmark(context.Background(), *events, *warmup, *starts)
	case roleServices:
		err = serveServices(os.Stdin, os.Stdout)
	case roleBare:
		err = serveBare(os.Stdin, os.Stdout)
	case roleEmpty:
		startEmpty()
	default:
		err = fmt.Errorf("no role %q", *role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook benchmark:", err)
		os.Exit(1)
	}
}

// benchmark measures everything and prints the results.
func benchmark(ctx context.Context, events, warmup, starts int) error {
	folder, err := os.MkdirTemp("", "webhook-bench-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	bootstrap := filepath.Join(folder, "bootstrap")
	if err := lambdatest.Build(ctx, program, bootstrap); err != nil {
		return err
	}
	services, err := startServices(filepath.Join(folder, "ca.pem"))
	if err != nil {
		return err
	}
	defer services.stop()
	env, err := environment()
	if err != nil {
		return err
	}
	env = append(env, services.environment()...)
	event, err := delivery()
	if err != nil {
		return err
	}

	fmt.Printf("%d deliveries of %d bytes, after %d to warm up\n\n", events, len(payload), warmup)
	first, err := measureStarts(ctx, bootstrap, env, event, starts)
	if err != nil {
		return err
	}
	bare, err := measureBare(services, env, events, warmup)
	if err != nil {
		return fmt.Errorf("measuring bare PutEvents: %w", err)
	}
	// The webhook gives itself one processor, so the floor under it is measured
	// with one.
	single := append(slices.Clone(env), "GOMAXPROCS=1")
	bareSingle, err := measureBare(services, single, events, warmup)
	if err != nil {
		return fmt.Errorf("measuring bare PutEvents: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	empty, err := measureFunction(ctx, services, events, warmup, event, single, self, "-role", roleEmpty)
	if err != nil {
		return fmt.Errorf("measuring the empty function: %w", err)
	}
	webhook, err := measureFunction(ctx, services, events, warmup, event, env, bootstrap)
	if err != nil {
		return fmt.Errorf("measuring the webhook: %w", err)
	}

	fmt.Printf("%-22s %9s %9s %9s %9s %7s %7s %9s\n", "", "p50 ms", "p99 ms", "CPU ms", "conns", "files", "after", "peak MB")
	bare.print("bare PutEvents")
	bareSingle.print("same, one processor")
	empty.print("empty function, same")
	webhook.print("webhook")
	fmt.Printf("\nratio to bare PutEvents: p50 %.2f, p99 %.2f, CPU %.2f\n",
		ratio(webhook.percentile(50), bare.percentile(50)), ratio(webhook.percentile(99), bare.percentile(99)), ratio(webhook.cpu, bare.cpu))
	fmt.Printf("CPU beyond PutEvents and the empty function on one processor: %.3f ms\n", milliseconds(webhook.cpu-bareSingle.cpu-empty.cpu))
	fmt.Printf("start to first answer: median %.1f ms, worst of %d %.1f ms\n", milliseconds(first[len(first)/2]), len(first), milliseconds(first[len(first)-1]))
	return printSizes(bootstrap)
}

// environment returns the settings of the program.
func environment() ([]string, error) {
	settings, err := webhookcontract.Config{
		EventBus: "runners",
		SecretID: "webhook",
		Owners:   []string{"my-org"},
		Routes: []contract.Fleet{
			{Name: "linux-arm64", Labels: []string{"self-hosted", "linux", "arm64"}},
			{Name: "linux-x64", Labels: []string{"self-hosted", "linux", "x64"}},
		},
	}.Environment()
	if err != nil {
		return nil, fmt.Errorf("making the environment: %w", err)
	}
	var env []string
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env, nil
}

// delivery returns the function URL event of a signed delivery.
func delivery() ([]byte, error) {
	now := []byte(time.Now().UTC().Format(time.RFC3339))
	payload := bytes.ReplaceAll(payload, []byte("2023-04-19T21:12:12Z"), now) // a day later it would be a kept delivery
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	return lambdatest.Post(map[string]string{
		"accept":              "*/*",
		"content-length":      fmt.Sprint(len(payload)),
		"content-type":        "application/json",
		"host":                "abcdefghij.lambda-url.eu-central-1.on.aws",
		"user-agent":          "GitHub-Hookshot/0000000",
		"x-amzn-trace-id":     "Root=1-5759e988-bd862e3fe1be46a994272793",
		"x-forwarded-for":     "140.82.115.1",
		"x-forwarded-port":    "443",
		"x-forwarded-proto":   "https",
		"x-github-delivery":   "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"x-github-event":      "workflow_job",
		"x-github-hook-id":    "292430182",
		"x-hub-signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	}, payload)
}

// measureStarts returns the sorted times from the start of the program to its
// first answer.
func measureStarts(ctx context.Context, bootstrap string, env []string, event []byte, starts int) ([]time.Duration, error) {
	var times []time.Duration
	for range starts {
		f, err := startFunction(env, bootstrap)
		if err != nil {
			return nil, err
		}
		begin := f.started
		err = f.invoke(ctx, event)
		times = append(times, time.Since(begin))
		f.stop()
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(times)
	return times, nil
}

// measureFunction measures a program that serves a function URL.
func measureFunction(ctx context.Context, services *services, events, warmup int, event []byte, env []string, command ...string) (*measurement, error) {
	f, err := startFunction(env, command...)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	return measure(f.process, services, events, warmup, func() error { return f.invoke(ctx, event) })
}

// function is a program under a runtime API of its own.
type function struct {
	*process
	runtime *lambdatest.Runtime
}

func startFunction(env []string, command ...string) (*function, error) {
	runtime, err := lambdatest.NewRuntime()
	if err != nil {
		return nil, err
	}
	p, err := start(append(slices.Clone(env), runtime.Environment("webhook")...), nil, nil, command...)
	if err != nil {
		_ = runtime.Close()
		return nil, err
	}
	return &function{process: p, runtime: runtime}, nil
}

func (f *function) invoke(ctx context.Context, event []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	answer, err := f.runtime.Invoke(ctx, event)
	if err != nil {
		return err
	}
	var response lambdatest.Response
	if err := json.Unmarshal(answer, &response); err != nil {
		return fmt.Errorf("decoding response: %w", err)
	}
	if response.StatusCode/100 != 2 || !strings.Contains(response.Body, "linux-x64") {
		return fmt.Errorf("unexpected response %d: %s", response.StatusCode, response.Body)
	}
	return nil
}

func (f *function) stop() {
	f.process.stop()
	_ = f.runtime.Close()
}

// printSizes prints the size of the program and of the archive Lambda gets.
func printSizes(bootstrap string) error {
	content, err := os.ReadFile(bootstrap)
	if err != nil {
		return fmt.Errorf("reading the program: %w", err)
	}
	var archive counter
	w := zip.NewWriter(&archive)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	file, err := w.Create("bootstrap")
	if err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	if _, err := file.Write(content); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	fmt.Printf("program %.1f MB, zipped %.1f MB\n", float64(len(content))/1e6, float64(archive)/1e6)
	return nil
}

// counter counts what is written to it.
type counter int

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
