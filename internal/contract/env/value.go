package env

import (
	"encoding/json"
	"errors"
	"fmt"
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

// Of returns the value of a field that format writes and parse reads; want says in
// an error what parse accepts.
func Of[T comparable](p *T, format func(T) string, parse func(string) (T, error), want string) Value {
	return &field[T]{p, format, parse, want}
}

type field[T comparable] struct {
	p      *T
	format func(T) string
	parse  func(string) (T, error)
	want   string
}

func (f *field[T]) String() string {
	var unset T
	if *f.p == unset {
		return ""
	}
	return f.format(*f.p)
}

func (f *field[T]) Set(name, text string) error {
	v, err := f.parse(text)
	if err != nil {
		return Invalid(name, text, f.want)
	}
	*f.p = v
	return nil
}

func (f *field[T]) Check(name string) error {
	if text := f.String(); text != "" {
		if _, err := f.parse(text); err != nil {
			return Invalid(name, text, f.want)
		}
	}
	return nil
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

// List returns the value of texts that valid accepts, which takes none with a
// comma; want says in an error what it accepts. Commas separate them.
func List(p *[]string, valid func(string) bool, want string) Value { return &list{p, valid, want} }

type list struct {
	p     *[]string
	valid func(string) bool
	want  string
}

func (l *list) String() string { return strings.Join(*l.p, ",") }

func (l *list) Set(_, text string) error {
	*l.p = nil
	for element := range strings.SplitSeq(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			*l.p = append(*l.p, element)
		}
	}
	return nil
}

func (l *list) Check(name string) error {
	var errs []error
	for _, element := range *l.p {
		if !l.valid(element) {
			errs = append(errs, Invalid(name, element, l.want))
		}
	}
	return errors.Join(errs...)
}

// JSON returns the value of a list that is written as JSON, such as the example.
// T is made of texts and numbers. Check, which may be nil, reports what is wrong
// with an element, by its name.
func JSON[T any](p *[]T, example string, check func(name string, element T) error) Value {
	return &jsonList[T]{p, example, check}
}

type jsonList[T any] struct {
	p       *[]T
	example string
	check   func(name string, element T) error
}

func (j *jsonList[T]) String() string {
	if len(*j.p) == 0 {
		return ""
	}
	text, err := json.Marshal(*j.p)
	if err != nil { // it is texts and numbers
		panic(err)
	}
	return string(text)
}

func (j *jsonList[T]) Set(name, text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(j.p); err != nil || decoder.More() {
		return Invalid(name, text, "JSON such as "+j.example)
	}
	return nil
}

func (j *jsonList[T]) Check(name string) error {
	if j.check == nil {
		return nil
	}
	var errs []error
	for i, element := range *j.p {
		errs = append(errs, j.check(fmt.Sprintf("%s[%d]", name, i), element))
	}
	return errors.Join(errs...)
}
