package config

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/ecs-github-runners/ecsrunners/internal/settings"
)

// Parse turns the context value under Key into a configuration with defaults.
// The value is what the CDK hands out: an object from cdk.json, or the text of
// one from the command line (-c ecsrunners='{…}'); nil means nothing is
// configured.
//
// It is strict. The error names every unknown key, with the nearest known one,
// and every value of the wrong type or outside what is allowed, one a line.
func Parse(value any) (Config, error) {
	var c Config
	tree, err := toTree(value)
	if err != nil {
		return c, fmt.Errorf("reading context key %q: %w", Key, err)
	}
	var ps settings.Problems
	if _, ok := tree.(map[string]any); !ok && tree != nil {
		ps.Add(Key, show(tree), "an object")
	} else {
		decode(tree, reflect.ValueOf(&c).Elem(), reflect.ValueOf(defaults()), "", &ps)
	}
	if len(ps) == 0 { // values that could not be read would be reported twice
		c = c.WithDefaults()
		ps = c.Validate()
	}
	if err := ps.Err(); err != nil {
		return Config{}, fmt.Errorf("context key %q:\n%w", Key, err)
	}
	return c, nil
}

// anyKey stands in defaults for every key of a map.
const anyKey = ""

// defaults is a configuration in which every optional part is there.
func defaults() Config {
	c := Config{VPC: &VPC{}, Webhook: &settings.Webhook{}, Registration: &settings.Registration{}, Fleets: make([]settings.Fleet, 1), Image: &settings.Image{Source: settings.ImageSource{
		CodeCommit: &settings.CodeCommitSource{}, Folder: &settings.FolderSource{}, GitHub: &settings.GitHubSource{},
	}}}
	c.Cluster.Capacities = map[string]settings.Capacity{anyKey: {Spot: &settings.Spot{}, WarmPool: &settings.WarmPool{}}}
	c.Cluster.DefaultCapacity.Spot = &settings.Spot{}
	c.Cluster.DefaultCapacity.WarmPool = &settings.WarmPool{}
	return c.WithDefaults()
}

// toTree decodes JSON into maps, slices and json.Number.
func toTree(value any) (any, error) {
	text, isText := value.(string)
	if !isText {
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("encoding JSON: %w", err)
		}
		text = string(encoded)
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("decoding JSON: more than one value")
	}
	return tree, nil
}

// decode fills to from a JSON tree. def has the default of each field, to refuse
// a zero that would silently become that default; it is invalid where there is
// none, and where a pointer tells zero from absent.
func decode(from any, to, def reflect.Value, path string, ps *settings.Problems) {
	if from == nil { // null is as good as absent
		return
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		if def.IsValid() && to.Elem().Kind() == reflect.Struct {
			def = def.Elem()
		} else {
			def = reflect.Value{}
		}
		decode(from, to.Elem(), def, path, ps)
		return
	}
	if text, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		s, isString := from.(string)
		if !isString || text.UnmarshalText([]byte(s)) != nil {
			ps.Add(path, show(from), `a duration such as "90s", "10m" or "168h"`)
		}
		return
	}
	wrong := func(allowed string) { ps.Add(path, show(from), allowed) }
	switch to.Kind() {
	case reflect.Struct:
		object, ok := from.(map[string]any)
		if !ok {
			wrong("an object")
			return
		}
		decodeStruct(object, to, def, path, ps)
	case reflect.Map:
		object, ok := from.(map[string]any)
		if !ok {
			wrong("an object")
			return
		}
		to.Set(reflect.MakeMap(to.Type()))
		var elementDefault reflect.Value
		if def.IsValid() {
			elementDefault = def.MapIndex(reflect.ValueOf(anyKey).Convert(to.Type().Key()))
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if looksSecret(key) {
				ps.Add(path, secretKey, noSecrets)
				continue
			}
			element := reflect.New(to.Type().Elem()).Elem()
			decode(object[key], element, elementDefault, fmt.Sprintf("%s[%q]", path, key), ps)
			to.SetMapIndex(reflect.ValueOf(key).Convert(to.Type().Key()), element)
		}
	case reflect.Slice:
		list, ok := from.([]any)
		if !ok {
			wrong("a list")
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		var elementDefault reflect.Value
		if def.IsValid() && to.Type().Elem().Kind() == reflect.Struct {
			elementDefault = def.Index(0)
		}
		for i, element := range list {
			decode(element, to.Index(i), elementDefault, fmt.Sprintf("%s[%d]", path, i), ps)
		}
	case reflect.String:
		s, ok := from.(string)
		if !ok {
			wrong("text")
			return
		}
		if looksSecret(s) {
			ps.Add(path, redacted, noSecrets)
			return
		}
		to.SetString(s)
	case reflect.Bool:
		b, ok := from.(bool)
		if !ok {
			wrong("true or false")
			return
		}
		to.SetBool(b)
	case reflect.Int:
		number, _ := from.(json.Number)
		n, err := number.Int64()
		if err != nil {
			wrong("a whole number")
			return
		}
		if n == 0 && def.IsValid() && !def.IsZero() {
			ps.Add(path, n, fmt.Sprintf("not 0; leave the key out for the default, %v", def))
			return
		}
		to.SetInt(n)
	default:
		panic(fmt.Sprintf("config: no decoding for %s at %s", to.Type(), path))
	}
}

func decodeStruct(object map[string]any, to, def reflect.Value, path string, ps *settings.Problems) {
	fields := map[string]int{}
	for i := range to.NumField() {
		fields[to.Type().Field(i).Tag.Get("json")] = i
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		i, known := fields[key]
		if !known {
			unknown(path, key, fields, ps)
			continue
		}
		element := reflect.Value{}
		if def.IsValid() {
			element = def.Field(i)
		}
		decode(object[key], to.Field(i), element, join(path, key), ps)
	}
}

// A key that can stand in a path as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func unknown(path, key string, known map[string]int, ps *settings.Problems) {
	if looksSecret(key) {
		ps.Add(cmp.Or(path, Key), secretKey, noSecrets)
		return
	}
	sub := key
	if !plainKey.MatchString(key) {
		sub = strconv.Quote(key)
	}
	ps.Add(join(path, sub), settings.Words("an unknown key"), "a known key; the nearest is "+nearest(key, known))
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

func nearest(key string, known map[string]int) string {
	best, distance := "", -1
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		d := levenshtein.ComputeDistance(strings.ToLower(key), strings.ToLower(candidate))
		if distance < 0 || d < distance {
			best, distance = candidate, d
		}
	}
	return fmt.Sprintf("%q", best)
}

// What is said of a secret, which is never repeated itself.
const (
	redacted  settings.Words = "what looks like a secret"
	secretKey settings.Words = "a key that looks like a secret"
	noSecrets                = "no secrets: cdk.json is committed and the template is readable; put it into AWS Secrets Manager"
)

// Tokens of GitHub and AWS, private keys, and addresses with a password.
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
var secretPattern = regexp.MustCompile(`gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]*:[^/\s@]+@|\bA[KS]IA[A-Z0-9]{16}\b`)

func looksSecret(s string) bool { return secretPattern.MatchString(s) }

func show(v any) any {
	switch v := v.(type) {
	case string:
		if looksSecret(v) {
			return redacted
		}
		return v
	case map[string]any:
		return settings.Words("an object")
	case []any:
		return settings.Words("a list")
	default:
		return v
	}
}
