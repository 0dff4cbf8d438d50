package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Problem is one value that cannot be used.
type Problem struct {
	Path    string // the field, such as "Spot.OnDemandBase"
	Got     string // the value as given, quoted when it is text
	Allowed string // what would be accepted
}

// Error implements error: path, value got, what is allowed, on one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s: got %s; allowed: %s", p.Path, p.Got, p.Allowed)
}

// Problems collects what is wrong, so that a user hears of everything at once.
type Problems []Problem

// Words are a description in place of a value; unlike text, not quoted.
type Words string

// Add notes one problem. A string is quoted.
func (ps *Problems) Add(path string, got any, allowed string) {
	*ps = append(*ps, Problem{Path: path, Got: show(got), Allowed: allowed})
}

// Under notes the problems of a part under that part's path. The parts of a
// path are joined with a dot, an index follows directly.
func (ps *Problems) Under(path string, part Problems) {
	for _, p := range part {
		p.Path = join(path, p.Path)
		*ps = append(*ps, p)
	}
}

// Err joins the problems into one error, a line each, or returns nil. Each
// Problem can be reached with errors.As.
func (ps Problems) Err() error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// JSON renames the paths from Go field names to the keys of the configuration:
// "Spot.OnDemandBase" becomes "spot.onDemandBase".
func (ps Problems) JSON() Problems {
	renamed := make(Problems, len(ps))
	for i, p := range ps {
		p.Path = pathPart.ReplaceAllStringFunc(p.Path, func(part string) string {
			if strings.HasPrefix(part, `"`) { // the key of a map
				return part
			}
			return JSONName(part)
		})
		renamed[i] = p
	}
	return renamed
}

// A path is made of names, indexes and quoted keys.
var pathPart = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[A-Za-z0-9]+`)

var initialisms = strings.NewReplacer("ARN", "Arn", "CPU", "Cpu", "ID", "Id", "IP", "Ip", "SHA", "Sha", "URL", "Url", "VPC", "Vpc")

// JSONName is the configuration key of a Go field: ImageID becomes imageId.
func JSONName(field string) string {
	field = initialisms.Replace(field)
	return strings.ToLower(field[:1]) + field[1:]
}

// Warning is a value that works but is probably not what was meant. ID is
// stable: it is what awscdk.Annotations' AcknowledgeWarning takes.
type Warning struct {
	ID      string
	Message string
}

// Duration is a time.Duration that JSON spells as Go does: "90s", "10m", "168h".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("parsing duration: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String spells the duration without the zero parts that time.Duration appends
// ("2m", not "2m0s").
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func join(path, rest string) string {
	if strings.HasPrefix(rest, "[") {
		return path + rest
	}
	return path + "." + rest
}

func show(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		if len(v) == 0 {
			return "an empty list"
		}
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}

func oneOf(values []string) string { return strings.Join(values, ", ") }
