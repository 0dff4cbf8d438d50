package env

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxSize is the most bytes that our environment variables may take together.
// Lambda allows 4 KiB; the rest is for what is added to a function from outside.
const MaxSize = 3584

var (
	// ErrMissing says that a required variable is not set, or says nothing.
	ErrMissing = errors.New("is required")
	// ErrInvalid says that a variable has a value it cannot have.
	ErrInvalid = errors.New("is not valid")
	// ErrTooLarge says that the variables do not fit into the environment.
	ErrTooLarge = errors.New("environment is too large")
)

// Missing returns the error for a required variable, or a part of one, that is
// not set.
func Missing(name string) error { return fmt.Errorf("%s %w", name, ErrMissing) }

// Invalid returns the error for a variable, or a part of one, that cannot have the
// value it got.
func Invalid(name, got, want string) error {
	return fmt.Errorf("%s %w: %q, want %s", name, ErrInvalid, got, want)
}

// Variable is an environment variable that carries one field of a configuration.
type Variable struct {
	Name string
	// Text says what the variable means.
	Text string
	// Required makes a variable that says nothing an error.
	Required bool
	// Default is the value of a variable that says nothing. Default: none.
	Default string
	Value   Value
}

// Table lists the variables of a program.
type Table []Variable

// Parse returns the configuration whose variables it reads with a function like
// os.LookupEnv. Its error names every variable that is missing or wrong.
func Parse[C any](table func(*C) Table, lookup func(string) (string, bool)) (C, error) {
	var parsed, none C
	var errs []error
	for _, v := range table(&parsed) {
		text, _ := lookup(v.Name)
		text = cmp.Or(strings.TrimSpace(text), v.Default)
		var err error
		if text != "" {
			if err = v.Value.Set(v.Name, text); err == nil {
				err = v.Value.Check(v.Name)
			}
		}
		if err == nil && v.Required && (text == "" || v.Value.String() == "") {
			err = Missing(v.Name)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return none, fmt.Errorf("reading the environment: %w", err)
	}
	return parsed, nil
}

// Render returns the variables that carry the fields, without those that say
// nothing. Its error names every variable that is missing or wrong.
func (t Table) Render() (map[string]string, error) {
	variables := make(map[string]string, len(t))
	var errs []error
	for _, v := range t {
		text, err := cmp.Or(v.Value.String(), v.Default), v.Value.Check(v.Name)
		if err == nil && v.Required && text == "" {
			err = Missing(v.Name)
		}
		errs = append(errs, err)
		if text != "" {
			variables[v.Name] = text
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return variables, nil
}

// RenderFunction is Render for a Lambda function, which counts the bytes of all
// names and values. It fails with ErrTooLarge and the advice if they are more than
// MaxSize.
func (t Table) RenderFunction(advice string) (map[string]string, error) {
	variables, err := t.Render()
	size := 0
	for name, value := range variables {
		size += len(name) + len(value)
	}
	if size > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d: %s", ErrTooLarge, size, MaxSize, advice)
	}
	return variables, err
}

// Usage prints what the variables mean.
func (t Table) Usage(w io.Writer) {
	for _, v := range t {
		note := ""
		switch {
		case v.Required:
			note = " (required)"
		case v.Default != "":
			note = " (default " + v.Default + ")"
		}
		fmt.Fprintf(w, "  %s\n    \t%s%s\n", v.Name, v.Text, note)
	}
}
