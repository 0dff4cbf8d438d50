package env

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Value is a field of a configuration, as text.
type Value interface {
	// String returns the field as text, empty if the field is not set.
	String() string
	// Set sets the field. Text is not empty, and name is for the error.
	Set(name, text string) error
	// Check fails if the field is set to what it cannot be. Name is for the error.
	Check(name string) error
}

type value[T any] struct {
	p      *T
	format func(T) string
	parse  func(name, text string) (T, error)
	check  func(name string, v T) error
}

func (v value[T]) String() string { return v.format(*v.p) }

func (v value[T]) Set(name, text string) error {
	parsed, err := v.parse(name, text)
	if err == nil {
		*v.p = parsed
	}
	return err
}

func (v value[T]) Check(name string) error { return v.check(name, *v.p) }

// Of returns the value of a field that format writes and parse reads; want says in
// an error what parse accepts.
func Of[T comparable](p *T, format func(T) string, parse func(string) (T, error), want string) Value {
	v := value[T]{p: p}
	v.format = func(t T) string {
		var unset T
		if t == unset {
			return ""
		}
		return format(t)
	}
	v.parse = func(name, text string) (T, error) {
		t, err := parse(text)
		if err != nil {
			err = Invalid(name, text, want)
		}
		return t, err
	}
	v.check = func(name string, t T) error {
		text := v.format(t)
		if text == "" {
			return nil
		}
		_, err := v.parse(name, text)
		return err
	}
	return v
}

// Text returns the value of any text.
func Text(p *string) Value { return TextOf(p, func(string) bool { return true }, "") }

// TextOf returns the value of a text that valid accepts; want says in an error what
// it accepts.
func TextOf(p *string, valid func(string) bool, want string) Value {
	return Of(p, func(s string) string { return s }, func(s string) (string, error) {
		if !valid(s) {
			return "", ErrInvalid
		}
		return s, nil
	}, want)
}

// Bool returns the value of true or false.
func Bool(p *bool) Value { return Of(p, strconv.FormatBool, strconv.ParseBool, "true or false") }

// Duration returns the value of a duration, such as 5m, that is not below least.
func Duration(p *time.Duration, least time.Duration) Value {
	return Of(p, time.Duration.String, func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < least {
			err = ErrInvalid
		}
		return d, err
	}, "a duration of at least "+least.String()+", such as 5m")
}

// List returns the value of texts, separated by commas, that valid accepts; want
// says in an error what it accepts, which must not be a text with a comma.
func List(p *[]string, valid func(string) bool, want string) Value {
	return value[[]string]{
		p:      p,
		format: func(elements []string) string { return strings.Join(elements, ",") },
		parse: func(_, text string) (elements []string, err error) {
			for element := range strings.SplitSeq(text, ",") {
				if element = strings.TrimSpace(element); element != "" {
					elements = append(elements, element)
				}
			}
			return elements, nil
		},
		check: each(func(name string, _ int, element string) error {
			if !valid(element) {
				return Invalid(name, element, want)
			}
			return nil
		}),
	}
}

// JSON returns the value of a list that is written as JSON, such as the example.
// T is made of texts and numbers. Check reports what is wrong with an element, by
// its name; nil accepts every one.
func JSON[T any](p *[]T, example string, check func(name string, element T) error) Value {
	return value[[]T]{
		p: p,
		format: func(elements []T) string {
			if len(elements) == 0 {
				return ""
			}
			text, err := json.Marshal(elements)
			if err != nil { // it is texts and numbers
				panic(err)
			}
			return string(text)
		},
		parse: func(name, text string) (elements []T, err error) {
			decoder := json.NewDecoder(strings.NewReader(text))
			decoder.DisallowUnknownFields()
			err = decoder.Decode(&elements)
			if _, end := decoder.Token(); err != nil || end != io.EOF {
				err = Invalid(name, text, "JSON such as "+example)
			}
			return elements, err
		},
		check: each(func(name string, i int, element T) error {
			if check == nil {
				return nil
			}
			return check(fmt.Sprintf("%s[%d]", name, i), element)
		}),
	}
}

// each returns the check of a list that checks its elements.
func each[T any](check func(name string, i int, element T) error) func(string, []T) error {
	return func(name string, elements []T) error {
		errs := make([]error, len(elements))
		for i, element := range elements {
			errs[i] = check(name, i, element)
		}
		return errors.Join(errs...)
	}
}
