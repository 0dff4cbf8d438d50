package main

import (
	"encoding/json"
	"io"
	"sync"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

// console is the log of the container. The supervisor and the listener write to
// it in turns, until the last line.
type console struct {
	mu     sync.Mutex
	w      io.Writer
	closed bool
}

// Write writes whole lines. What comes after the last line is dropped.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return len(p), nil
	}
	return c.w.Write(p)
}

// report is the last line of the log.
type report struct {
	Message  string `json:"msg"`
	Contract int    `json:"contract"`
	Fleet    string `json:"fleet,omitempty"`
	// JobID is the job the task was started for. GitHub may have given it another.
	JobID string `json:"job_id,omitempty"`
	lifecycle.Summary
}

// last writes the last line.
func (c *console) last(config runnercontract.Config, summary lifecycle.Summary) {
	line, err := json.Marshal(report{
		Message:  "runner ended",
		Contract: runnercontract.Version,
		Fleet:    config.Fleet,
		JobID:    config.JobID,
		Summary:  summary,
	})
	if err != nil { // it holds strings and numbers only
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_, _ = c.w.Write(append(line, '\n')) // there is nowhere left to complain to
}
