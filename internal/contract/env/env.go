// Package env is how a program's configuration travels in environment variables.
package env

import "errors"

// MaxSize is the most that our environment variables may take together. Lambda
// allows 4 KiB; the rest is for what is added to a function from outside.
const MaxSize = 3584

var (
	// ErrMissing says that a required setting of the webhook is missing.
	ErrMissing = errors.New("is required")
	// ErrInvalid says that a setting of the webhook has a value it cannot have.
	ErrInvalid = errors.New("is not valid")
	// ErrTooLarge says that the settings do not fit into the environment.
	ErrTooLarge = errors.New("environment is too large")
)

// Size is what a set of environment variables counts towards Lambda's
// limit: the bytes of all names and values.
func Size(env map[string]string) int {
	size := 0
	for name, value := range env {
		size += len(name) + len(value)
	}
	return size
}

// Variable describes an environment variable to people.
type Variable struct {
	Name string
	Text string
}
