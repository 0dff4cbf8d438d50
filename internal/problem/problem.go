// Package problem collects what is wrong with the props of a construct or with a
// configuration, so that a user learns of everything at once, each problem in one
// line that names the field, the value, and what is allowed.
package problem

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ecs-github-runners/ecsrunners/internal/contract/credential"
	"github.com/ecs-github-runners/ecsrunners/internal/enum"
)

// Words describe a value in its place; unlike text, they are not quoted.
type Words string

// Problem is one value that cannot be used.
type Problem struct {
	// Path is the field, such as "Spot.OnDemandBase".
	Path string
	// Rule is what the field does not comply with, as it follows the path in the
	// message. Other fields that it names are in braces: "must be less than {CPU}".
	Rule string
	// Got is the value, quoted when it is text. Empty if the rule says it.
	Got string
	// Reason for the rule, or what to do instead. May be empty.
	Reason string
}

// Error implements error, on one line. What looks like a credential is not repeated.
func (p Problem) Error() string {
	message := p.Path + " " + unbrace.Replace(p.Rule)
	if p.Got != "" {
		message += ", got " + p.Got
	}
	if p.Reason != "" {
		message += ": " + unbrace.Replace(p.Reason)
	}
	return credential.Hide(message)
}

var unbrace = strings.NewReplacer("{", "", "}", "")

// List is what is wrong, in the order found. As an error it has a line for each
// problem.
type List []Problem

// Error implements error.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, p := range l {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is the list as an error, or nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Of is the list that an error of Err is. It panics with any other error, which must
// not get lost.
func Of(err error) List {
	l, ok := err.(List) //nolint:errorlint // a wrapped list would lose the text around it
	if err != nil && !ok {
		panic(err)
	}
	return l
}

// Required reports that a field without a default is empty.
func (l *List) Required(path, what string) { l.Refused(path, "is required: "+what) }

// Invalid reports a value; want completes "must be", and the reason may follow after
// a colon. A string is quoted.
func (l *List) Invalid(path string, got any, want string) {
	want, reason, _ := strings.Cut(want, ": ")
	*l = append(*l, Problem{path, "must be " + want, Show(got), reason})
}

// Range reports a value that is below low or above high.
func Range[T cmp.Ordered](l *List, path string, got, low, high T) {
	if got < low || got > high {
		l.Invalid(path, got, Show(low)+" to "+Show(high))
	}
}

// OneOf reports a value that is not among the allowed ones.
func (l *List) OneOf(path, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		l.Invalid(path, got, Or(allowed))
	}
}

// Choices reports each field of a struct whose value is not among those that its
// tag "enum" lists, in AWS's names. It looks into the elements of lists, and into
// structs below that do not validate themselves.
func (l *List) Choices(of any) { l.choices("", reflect.Indirect(reflect.ValueOf(of))) }

var validator = reflect.TypeFor[interface{ Validate() error }]()

func (l *List) choices(prefix string, of reflect.Value) {
	for i := range of.NumField() {
		field, path := of.Type().Field(i), prefix+of.Type().Field(i).Name
		value := reflect.Indirect(of.Field(i))
		switch tag := field.Tag.Get("enum"); {
		case tag != "" && value.Kind() == reflect.Slice:
			for i := range value.Len() {
				l.choice(fmt.Sprintf("%s[%d]", path, i), value.Index(i), strings.Split(tag, ","))
			}
		case tag != "":
			l.choice(path, value, strings.Split(tag, ","))
		case value.Kind() == reflect.Struct && field.Tag.Get("json") != "-" && !value.Type().Implements(validator):
			l.choices(path+".", value)
		}
	}
}

func (l *List) choice(path string, value reflect.Value, allowed []string) {
	isAllowed := func(name string) bool {
		if enum.Is(value.Type()) {
			return value.String() == enum.CDK(name)
		}
		return value.String() == name
	}
	if slices.ContainsFunc(allowed, isAllowed) {
		return
	}
	got, want := value.String(), Or(allowed)
	if enum.Is(value.Type()) {
		got = enum.AWS(value.String())
		if slices.Contains(allowed, got) { // spelled by hand
			got, want = value.String(), "the CDK's constant for "+want
		}
	}
	l.Invalid(path, got, want)
}

// Secrets reports each text in a struct that looks like a credential, keys of maps
// included. It looks into what the struct consists of, but not into structs that
// validate themselves, those of other modules, and what it only refers to.
func (l *List) Secrets(of any) { l.secrets("", reflect.Indirect(reflect.ValueOf(of))) }

const noSecrets = "has what looks like a secret: templates are readable; put it into AWS Secrets Manager"

func (l *List) secrets(path string, of reflect.Value) {
	switch of.Kind() {
	case reflect.String:
		if credential.In(of.String()) {
			l.Refused(path, noSecrets)
		}
	case reflect.Interface:
		if part := of.Elem(); part.IsValid() && strings.HasPrefix(part.Type().PkgPath(), module) {
			l.secrets(path, part)
		}
	case reflect.Slice:
		for i := range of.Len() {
			l.secrets(fmt.Sprintf("%s[%d]", path, i), of.Index(i))
		}
	case reflect.Map:
		for _, key := range slices.SortedFunc(slices.Values(of.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
			if credential.In(key.String()) {
				l.Refused(path, noSecrets)
				continue
			}
			l.secrets(fmt.Sprintf("%s[%q]", path, key.String()), of.MapIndex(key))
		}
	case reflect.Struct:
		for i := range of.NumField() {
			l.fieldSecrets(path, of.Type().Field(i), of.Field(i))
		}
	}
}

func (l *List) fieldSecrets(path string, field reflect.StructField, value reflect.Value) {
	if key := field.Tag.Get("json"); value.Kind() == reflect.Pointer && key != "" && key != "-" {
		value = value.Elem()
	}
	if value.Kind() == reflect.Struct && !ownStruct(value.Type()) {
		return
	}
	if field.IsExported() {
		l.secrets(strings.TrimPrefix(path+"."+field.Name, "."), value)
		return
	}
	var part List // of what users see as one
	part.secrets("", value)
	if len(part) > 0 {
		l.Refused(path, noSecrets)
	}
}

// ownStruct reports whether a type is a struct of this module that does not validate
// itself.
func ownStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), module) && !t.Implements(validator)
}

const module = "github.com/ecs-github-runners/ecsrunners/"

// Match reports text that is neither empty nor of a pattern; want completes "must
// be". Text with a CDK token in it is not known yet and passes.
func (l *List) Match(path, got string, pattern *regexp.Regexp, want string) {
	if got != "" && !Unresolved(got) && !pattern.MatchString(got) {
		l.Invalid(path, got, want)
	}
}

// Conflict reports a field that cannot be used together with another; hint says
// why, or what to do.
func (l *List) Conflict(path, with, hint string) {
	l.Refused(path, "cannot be used with {"+with+"}: "+hint)
}

// Refused reports a field for a reason that the other methods cannot express.
func (l *List) Refused(path, rule string) { *l = append(*l, Problem{Path: path, Rule: rule}) }

// Unknown reports a key; nearest is the known one that was probably meant, or empty.
func (l *List) Unknown(path, nearest string, known []string) {
	if nearest != "" {
		l.Refused(path, fmt.Sprintf("is not a known key; did you mean %q?", nearest))
		return
	}
	l.Refused(path, "is not a known key; known are "+strings.Join(known, ", "))
}

// Under appends the problems of a part, below that part's path. The parts of a
// path are joined with a dot; an index follows directly.
func (l *List) Under(path string, part List) {
	for _, p := range part {
		if !strings.HasPrefix(p.Path, "[") {
			p.Path = "." + p.Path
		}
		p.Path = path + p.Path
		*l = append(*l, p)
	}
}

// JSON renames fields to the keys of the configuration: "Spot.OnDemandBase"
// becomes "spot.onDemandBase".
func (l List) JSON() List {
	renamed := make(List, len(l))
	for i, p := range l {
		renamed[i] = Problem{keys(p.Path), braced.ReplaceAllStringFunc(p.Rule, keys), p.Got, braced.ReplaceAllStringFunc(p.Reason, keys)}
	}
	return renamed
}

var (
	// A path is made of names, indexes and quoted keys.
	pathPart = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[A-Za-z0-9]+`)
	braced   = regexp.MustCompile(`\{[A-Za-z.]+\}`)
)

func keys(path string) string {
	return pathPart.ReplaceAllStringFunc(path, func(part string) string {
		if strings.HasPrefix(part, `"`) { // the key of a map
			return part
		}
		return JSONName(part)
	})
}

var initialisms = strings.NewReplacer("ARN", "Arn", "CPU", "Cpu", "ID", "Id", "IP", "Ip", "SHA", "Sha", "URL", "Url", "VPC", "Vpc")

// JSONName is the configuration key of a Go field: ImageID becomes imageId.
func JSONName(field string) string {
	field = initialisms.Replace(field)
	return strings.ToLower(field[:1]) + field[1:]
}

// Unresolved reports whether text is or contains a token that the CDK fills in
// later, such as the value of a parameter.
func Unresolved(text string) bool { return strings.Contains(text, "${Token[") }

// Or lists alternatives: "a, b or c".
func Or(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// Duration spells a duration without the zero parts that time.Duration appends:
// "2m", not "2m0s".
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Show is a value as messages have it: text in quotes, a duration as in Duration.
func Show(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		if len(v) == 0 {
			return "an empty list"
		}
		return fmt.Sprintf("%q", v)
	case time.Duration:
		return Duration(v)
	default:
		return fmt.Sprint(v)
	}
}
