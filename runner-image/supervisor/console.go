package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	runnercontract "github.com/ecs-github-runners/ecsrunners/internal/contract/runner"
	"github.com/ecs-github-runners/ecsrunners/runner-image/supervisor/lifecycle"
)

const (
	// maxWaiting is how many bytes of log wait for a reader, before lines are dropped.
	maxWaiting = 1 << 20
	// lastWord is how long the last line may take, with all that is before it. The
	// supervisor ends even if nobody reads its log.
	lastWord = time.Second
)

// console is the log of the container. The supervisor and the listener write to
// it in turns, until the last line. Nobody who writes waits for the reader: a
// goroutine of the console's own does, and lines for which there is no room are
// dropped and counted.
type console struct {
	w    io.Writer
	wake chan struct{} // has room for one
	done chan struct{} // closed when the last line is written

	mu      sync.Mutex
	lines   [][]byte
	size    int // of lines, and of what is being written
	dropped int
	closed  bool
}

func newConsole(w io.Writer) *console {
	c := &console{w: w, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go c.copy()
	return c
}

// Write takes whole lines. What comes after the last line is dropped.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.size+len(p) > maxWaiting:
		c.dropped++
	default:
		c.tellDropped()
		c.add(append([]byte(nil), p...))
	}
	return len(p), nil
}

// tellDropped says in the log how many lines are missing here.
func (c *console) tellDropped() {
	if c.dropped > 0 {
		c.add(fmt.Appendf(nil, "{\"level\":\"WARN\",\"msg\":\"lines of the log were dropped: nobody reads it\",\"lines\":%d}\n", c.dropped))
		c.dropped = 0
	}
}

func (c *console) add(line []byte) {
	c.lines, c.size = append(c.lines, line), c.size+len(line)
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// copy writes the lines until the last.
func (c *console) copy() {
	defer close(c.done)
	for range c.wake {
		for {
			c.mu.Lock()
			lines, closed := c.lines, c.closed
			c.lines = nil
			c.mu.Unlock()
			for _, line := range lines {
				_, _ = c.w.Write(line) // there is nobody to complain to
				c.mu.Lock()
				c.size -= len(line)
				c.mu.Unlock()
			}
			if closed {
				return
			}
			if len(lines) == 0 {
				break
			}
		}
	}
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

// last writes the last line, and waits until all is written or nobody reads it.
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
	c.tellDropped()
	c.add(append(line, '\n'))
	c.closed = true
	c.mu.Unlock()
	select {
	case <-c.done:
	case <-time.After(lastWord):
	}
}
