package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/ecs-github-runners/ecsrunners/constructs"
	"github.com/ecs-github-runners/ecsrunners/internal/contract/credential"
	"github.com/ecs-github-runners/ecsrunners/internal/enum"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

// Parse turns the context value under Key into a configuration with defaults.
// The value is what the CDK hands out: an object from cdk.json, or the text of
// one from the command line (-c ecsrunners='{…}'); nil means nothing is
// configured.
//
// It is strict. The error names every unknown key, with the nearest known one,
// and every value of the wrong type or outside what is allowed, one a line.
func Parse(value any) (Config, error) {
	c, err := decodeConfig(value)
	if err != nil {
		return Config{}, err
	}
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("context key %q:\n%w", Key, err)
	}
	return c, nil
}

// decodeConfig is Parse without defaults and checks.
func decodeConfig(value any) (Config, error) {
	tree, err := toTree(value)
	if err != nil {
		return Config{}, fmt.Errorf("reading context key %q: %w", Key, err)
	}
	var c Config
	var l problem.List
	if _, ok := tree.(map[string]any); !ok && tree != nil {
		wrong(&l, Key, tree, "an object")
	} else {
		decode(tree, reflect.ValueOf(&c).Elem(), reflect.ValueOf(complete()), "", &l)
	}
	if err := l.Err(); err != nil { // values that could not be read would be reported twice
		return Config{}, fmt.Errorf("context key %q:\n%w", Key, err)
	}
	return c, nil
}

// anyKey stands in complete for every key of a map.
const anyKey = ""

// complete is a configuration with its defaults in which every optional part is
// there.
func complete() Config {
	capacity := constructs.RunnerCapacityProps{Spot: &constructs.SpotOptions{}, WarmPool: &constructs.WarmPoolOptions{}}
	c := Config{
		VPC: &VPC{},
		Image: &Image{Source: ImageSource{
			CodeCommit: &CodeCommitSource{}, Folder: &FolderSource{}, GitHub: &constructs.GitHubSourceProps{},
		}},
		Webhook:      &constructs.WebhookIngressProps{},
		Registration: &Registration{},
		// What a zero would become that is not given. CPU and memory depend on the capacity.
		Fleets: []Fleet{{RunnerFleetProps: constructs.RunnerFleetProps{CPU: 2048, MemoryMiB: 7168, ShmSizeMiB: 64}}},
	}
	c.Cluster.DefaultCapacity = &capacity
	c.Cluster.Capacities = map[string]constructs.RunnerCapacityProps{anyKey: capacity}
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
func decode(from any, to, def reflect.Value, path string, l *problem.List) {
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
		decode(from, to.Elem(), def, path, l)
		return
	}
	switch to.Kind() {
	case reflect.Struct, reflect.Map:
		object, ok := from.(map[string]any)
		switch {
		case !ok:
			wrong(l, path, from, "an object")
		case to.Kind() == reflect.Struct:
			decodeStruct(object, to, def, path, l)
		default:
			decodeMap(object, to, def, path, l)
		}
	case reflect.Slice:
		list, ok := from.([]any)
		if !ok {
			wrong(l, path, from, "a list")
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		var elementDefault reflect.Value
		if def.IsValid() && to.Type().Elem().Kind() == reflect.Struct {
			elementDefault = def.Index(0)
		}
		for i, element := range list {
			decode(element, to.Index(i), elementDefault, fmt.Sprintf("%s[%d]", path, i), l)
		}
	default:
		decodeScalar(from, to, def, path, l)
	}
}

func decodeScalar(from any, to, def reflect.Value, path string, l *problem.List) {
	switch {
	case to.Type() == reflect.TypeFor[time.Duration]():
		text, _ := from.(string)
		d, err := time.ParseDuration(text)
		if err != nil {
			wrong(l, path, from, `a duration such as "90s", "10m" or "168h"`)
			return
		}
		to.SetInt(int64(d))
	case to.Kind() == reflect.String:
		text, ok := from.(string)
		switch {
		case !ok:
			wrong(l, path, from, "text")
		case credential.In(text):
			l.Refused(path, noSecrets)
		case enum.Is(to.Type()):
			to.SetString(enum.CDK(text))
		default:
			to.SetString(text)
		}
	case to.Kind() == reflect.Bool:
		b, ok := from.(bool)
		if !ok {
			wrong(l, path, from, "true or false")
		}
		to.SetBool(b)
	case to.Kind() == reflect.Int:
		number, _ := from.(json.Number)
		n, err := number.Int64()
		if err != nil {
			wrong(l, path, from, "a whole number")
			return
		}
		to.SetInt(n)
	default:
		panic(fmt.Sprintf("config: no decoding for %s at %s", to.Type(), path))
	}
	if number := to.CanInt(); number && to.IsZero() && def.IsValid() && !def.IsZero() {
		l.Refused(path, "must not be 0; leave the key out for the default, "+problem.Show(def.Interface()))
	}
}

func decodeMap(object map[string]any, to, def reflect.Value, path string, l *problem.List) {
	to.Set(reflect.MakeMap(to.Type()))
	var elementDefault reflect.Value
	if def.IsValid() {
		elementDefault = def.MapIndex(reflect.ValueOf(anyKey).Convert(to.Type().Key()))
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if credential.In(key) {
			l.Refused(path, noSecrets)
			continue
		}
		element := reflect.New(to.Type().Elem()).Elem()
		decode(object[key], element, elementDefault, fmt.Sprintf("%s[%q]", path, key), l)
		to.SetMapIndex(reflect.ValueOf(key).Convert(to.Type().Key()), element)
	}
}

func decodeStruct(object map[string]any, to, def reflect.Value, path string, l *problem.List) {
	fields := fieldsOf(to.Type())
	for _, key := range slices.Sorted(maps.Keys(object)) {
		field, known := fields[key]
		if !known {
			unknown(l, path, key, slices.Sorted(maps.Keys(fields)))
			continue
		}
		element := reflect.Value{}
		if def.IsValid() {
			element = def.FieldByIndex(field.Index)
		}
		decode(object[key], to.FieldByIndex(field.Index), element, join(path, key), l)
	}
}

// fieldsOf are the fields of a struct that the configuration can set, by their keys,
// those of embedded structs included.
func fieldsOf(of reflect.Type) map[string]reflect.StructField {
	found := map[string]reflect.StructField{}
	for _, field := range reflect.VisibleFields(of) {
		if key := field.Tag.Get("json"); key != "" && key != "-" {
			found[key] = field
		}
	}
	return found
}

// A key that can stand in a path as it is.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func unknown(l *problem.List, path, key string, known []string) {
	if credential.In(key) {
		l.Refused(cmp.Or(path, Key), noSecrets)
		return
	}
	part := key
	if !plainKey.MatchString(key) {
		part = strconv.Quote(key)
	}
	l.Unknown(join(path, part), nearest(key, known), known)
}

// nearest is the key that was probably meant, or empty if none resembles it.
func nearest(key string, known []string) string {
	best, least := "", len(key)/2+2
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(key), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

func join(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// What is said of a secret, which is never repeated itself.
const noSecrets = "has what looks like a secret: cdk.json is committed and the template is readable; put it into AWS Secrets Manager"

// wrong reports a value of the wrong type.
func wrong(l *problem.List, path string, got any, want string) {
	switch v := got.(type) {
	case string:
		if credential.In(v) {
			l.Refused(path, noSecrets)
			return
		}
	case map[string]any:
		got = problem.Words("an object")
	case []any:
		got = problem.Words("a list")
	}
	l.Invalid(path, got, want)
}
