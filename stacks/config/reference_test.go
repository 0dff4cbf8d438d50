package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/internal/enum"
	"github.com/ecs-github-runners/ecsrunners/internal/problem"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md and cdk.schema.json")

const root = "../.."

// The reference and the schema are what platform engineers configure by. Both are
// made of the types and their doc comments: make generate.
func TestReference_IsThatOfTheTypes(t *testing.T) {
	r := newReference(t)
	for file, want := range map[string][]byte{
		"docs/configuration.md": r.markdown(t),
		"cdk.schema.json":       r.schema(t),
	} {
		path := filepath.Join(root, file)
		if *update {
			require.NoError(t, os.WriteFile(path, want, 0o644))
			continue
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		if !bytes.Equal(want, got) {
			t.Errorf("%s is not what the types say; run: make generate\n%s", file, firstDifference(string(got), string(want)))
		}
	}
}

// firstDifference shows one line, not a file.
func firstDifference(got, want string) string {
	gots, wants := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(gots), len(wants)) {
		if gots[i] != wants[i] {
			return fmt.Sprintf("line %d\n  is:        %s\n  should be: %s", i+1, gots[i], wants[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(gots), len(wants))
}

// The committed cdk.json is what the schema describes: an editor
// that marks their keys as wrong would be turned off.
func TestReference_SchemaNamesTheKeysOfEveryConfiguration(t *testing.T) {
	var schema map[string]any
	data, err := os.ReadFile(filepath.Join(root, "cdk.schema.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &schema))
	data, err = os.ReadFile(filepath.Join(root, "cdk.json"))
	require.NoError(t, err)
	var file map[string]any
	require.NoError(t, json.Unmarshal(data, &file))
	assert.Equal(t, "./cdk.schema.json", file["$schema"])
	definitions := schema["definitions"].(map[string]any)
	var check func(path string, value any, schema map[string]any)
	check = func(path string, value any, schema map[string]any) {
		if ref, ok := schema["$ref"].(string); ok {
			schema = definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
		}
		switch value := value.(type) {
		case map[string]any:
			properties, _ := schema["properties"].(map[string]any)
			for key, child := range value {
				of, ok := properties[key].(map[string]any)
				if !ok {
					of, ok = schema["additionalProperties"].(map[string]any)
				}
				if ok {
					check(path+"."+key, child, of)
					continue
				}
				assert.NotEqualf(t, false, schema["additionalProperties"], "%s has no key %s in the schema", path, key)
			}
		case []any:
			for _, child := range value {
				check(path+"[]", child, schema["items"].(map[string]any))
			}
		}
	}
	check("", file, schema)
}

// reference knows the configuration with its defaults and the doc comments.
type reference struct {
	complete reflect.Value
	comments map[string]string // by Type.Field, and by Type
}

// Defaults that depend on more than the keys of their object.
var otherDefaults = map[string]string{
	"fleets[].name":      "required",
	"fleets[].cpu":       "all of the capacity's smallest instance type; 2048 if the library doesn't know its size",
	"fleets[].memoryMiB": "all of the capacity's smallest instance type, in steps of 256; 7168 if the library doesn't know its size",
	"cluster.defaultCapacity.imageId": "AWS's parameter for the recommended ECS-optimized Amazon Linux 2023, which " +
		"EC2 reads at each launch: " +
		"a capacity that starts from zero gets fixes without a deployment",
	"cluster.defaultCapacity.maximumScalingStepSize": "`maxInstances`",
	"cluster":                 "`{}`",
	"cluster.defaultCapacity": "`{}`", "cluster.defaultCapacity.agent": "`{}`",
	"image.source":       "`{}`: a new CodeCommit repository",
	"cluster.capacities": "none",
}

func newReference(t *testing.T) reference {
	t.Helper()
	r := reference{complete: reflect.ValueOf(complete()), comments: map[string]string{}}
	for _, folder := range []string{"constructs", "stacks/config"} {
		//nolint:staticcheck // no types needed
		packages, err := parser.ParseDir(token.NewFileSet(), filepath.Join(root, folder), func(file os.FileInfo) bool {
			return !strings.HasSuffix(file.Name(), "_test.go")
		}, parser.ParseComments)
		require.NoError(t, err)
		for _, pkg := range packages {
			for _, file := range pkg.Files {
				r.collect(file)
			}
		}
	}
	return r
}

func (r reference) collect(file *ast.File) {
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			named, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			r.comments[named.Name.Name] = general.Doc.Text()
			if of, ok := named.Type.(*ast.StructType); ok {
				for _, field := range of.Fields.List {
					for _, name := range field.Names {
						r.comments[named.Name.Name+"."+name.Name] = field.Doc.Text()
					}
				}
			}
		}
	}
}

// key is one key of the configuration.
type key struct {
	path, kind, fallback, meaning string
	choices                       []string
	required                      bool
	of                            reflect.Type
}

// keys lists the keys of a type in the order of its fields.
func (r reference) keys(t *testing.T, prefix string, v reflect.Value) []key {
	t.Helper()
	var keys []key
	for _, field := range slices.SortedFunc(maps.Values(fieldsOf(v.Type())), func(a, b reflect.StructField) int {
		return slices.Compare(a.Index, b.Index)
	}) {
		keys = append(keys, r.key(t, prefix+field.Tag.Get("json"), v, field))
	}
	return keys
}

func (r reference) key(t *testing.T, path string, in reflect.Value, field reflect.StructField) key {
	t.Helper()
	owner := in.Type()
	for _, i := range field.Index[:len(field.Index)-1] {
		owner = owner.Field(i).Type
	}
	name := owner.Name() + "." + field.Name
	comment := r.comments[name]
	require.NotEmptyf(t, comment, "%s has no doc comment", name)
	meaning, fallback, optional := strings.Cut(comment, "\nDefault: ")
	k := key{path: path, kind: kindOf(t, path, field.Type), of: field.Type, required: strings.Contains(meaning,
		"Required.")}
	require.Truef(t, optional || k.required || path == "cluster",
		"the doc comment of %s must end with its Default, or say that it is Required", name)
	if tag := field.Tag.Get("enum"); tag != "" {
		k.choices = strings.Split(tag, ",")
	}
	k.meaning = r.meaning(t, field.Name, meaning, in.Type(), k.choices)
	k.fallback = r.fallback(t, name, strings.TrimSuffix(oneLine(fallback), "."), in.FieldByIndex(field.Index), k)
	return k
}

// fallback is the default as the doc comment says it, held to what WithDefaults does.
func (r reference) fallback(t *testing.T, name, said string, v reflect.Value, k key) string {
	t.Helper()
	if other, ok := otherDefaults[k.path]; ok {
		return other
	}
	if k.required {
		return "required"
	}
	if k.kind == "object" || k.kind == "list of objects" {
		return "none" + strings.TrimPrefix("; "+r.prose(said, nil), "; none")
	}
	actual := encode(v)
	spelled := ""
	switch actual := actual.(type) {
	case nil, map[string]any:
	case []any:
		for i, element := range actual {
			actual[i] = fmt.Sprint(element)
			spelled += ", " + fmt.Sprint(element)
		}
		spelled = strings.TrimPrefix(spelled, ", ")
	default:
		spelled = fmt.Sprint(actual)
	}
	if spelled == "" || v.IsZero() && v.Kind() != reflect.Bool && !strings.HasPrefix(said, spelled) {
		return r.prose(said, k.choices)
	}
	rest, ok := cutValue(said, spelled)
	require.Truef(t, ok, "the doc comment of %s says that the default is %q, and WithDefaults that it is %q", name,
		said, spelled)
	code, err := json.Marshal(actual)
	require.NoError(t, err)
	if rest = r.prose(rest, k.choices); rest != "" && !strings.ContainsAny(rest[:1], ",;.") {
		rest = " " + rest
	}
	return "`" + string(code) + "`" + rest
}

var goDuration = regexp.MustCompile(`^(?:(\d+) days?)?(?: ?(\d+) hours?)?(?: ?(\d+) minutes?)?(?: ?(\d+) seconds?)?`)

// cutValue takes a value off the front of what a doc comment says.
func cutValue(said, value string) (rest string, ok bool) {
	if d, err := time.ParseDuration(value); err == nil && value != "0" {
		m := goDuration.FindStringSubmatch(said)
		var got time.Duration
		for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
			var n int
			_, _ = fmt.Sscan(m[i+1], &n) // 0 where the unit is missing
			got += time.Duration(n) * unit
		}
		return strings.TrimPrefix(said, m[0]), got == d
	}
	for _, spelled := range []string{value, enum.CDK(value), strings.ToUpper(value)} {
		if rest, ok := strings.CutPrefix(said, spelled); ok {
			return rest, true
		}
	}
	return said, false
}

func kindOf(t *testing.T, path string, of reflect.Type) string {
	t.Helper()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch {
	case of == reflect.TypeFor[time.Duration]():
		return "duration"
	case of.Kind() == reflect.Struct:
		return "object"
	case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Struct:
		return "list of objects"
	case of.Kind() == reflect.Slice:
		return "list of text"
	case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Struct:
		return "map of objects"
	case of.Kind() == reflect.Map && of.Elem().Kind() == reflect.Int:
		return "map of whole numbers"
	case of.Kind() == reflect.Map:
		return "map of text"
	case of.Kind() == reflect.String:
		return "text"
	case of.Kind() == reflect.Int:
		return "whole number"
	case of.Kind() == reflect.Bool:
		return "true or false"
	}
	require.Failf(t, "a new kind of key", "%s is of type %s: say here what the reference calls it", path, of)
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

var (
	docLink = regexp.MustCompile(`\[(?:constructs\.)?([\w.]+)\]`)
	word    = regexp.MustCompile(`[A-Za-z0-9_]+(?:\.[A-Z]\w+)*`)
)

var notAllowedWith = regexp.MustCompile(` Not allowed with(?:out)? (\w+)[^.]*\.`)

// meaning is what a doc comment says of a field, for readers of the configuration.
func (r reference) meaning(t *testing.T, name, comment string, in reflect.Type, choices []string) string {
	t.Helper()
	text := strings.TrimSpace(strings.ReplaceAll(oneLine(comment), "Required.", ""))
	// What only Go can give is nothing that a configuration could have beside it.
	text = notAllowedWith.ReplaceAllStringFunc(text, func(sentence string) string {
		if _, isKey := fieldsOf(in)[problem.JSONName(notAllowedWith.FindStringSubmatch(sentence)[1])]; isKey {
			return sentence
		}
		return ""
	})
	// "RepositoryName is the name of" begins with the key, which stands beside it.
	rest, named := strings.CutPrefix(text, name+" ")
	verb, object, _ := strings.Cut(rest, " ")
	switch {
	case !named || !strings.HasSuffix(verb, "s") && verb != "are":
		t.Errorf("the comment of %s.%s must begin with its name and a verb: %q", in.Name(), name, text)
	case verb == "is" || verb == "are":
		text = object
	default:
		text = rest
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	for key, field := range fieldsOf(in) {
		if key == strings.ToLower(field.Name) && !slices.Contains(properNames, field.Name) {
			text = regexp.MustCompile(`([a-z,] )`+field.Name+`\b`).ReplaceAllString(text, "${1}`"+key+"`")
		}
	}
	return r.prose(text, choices)
}

// Names of fields that are first of all names of something else.
var properNames = []string{"ARN", "CPU", "CodeCommit", "Enterprise", "GitHub", "ID", "Spot", "VPC"}

// prose is text with keys in place of the names of fields, and AWS's names in place
// of the CDK's.
func (r reference) prose(text string, choices []string) string {
	fields, members := map[string]bool{}, map[string]string{
		"X64": "x64", "ARM64": "arm64", "RETAIN": "retain",
		"DESTROY": "destroy",
	}
	for name := range r.comments {
		if _, field, ok := strings.Cut(name, "."); ok {
			fields[field] = true
		}
	}
	for _, choice := range choices {
		members[enum.CDK(choice)] = choice
	}
	return word.ReplaceAllStringFunc(docLink.ReplaceAllString(oneLine(text), "$1"), func(w string) string {
		if member, ok := members[w]; ok {
			return "`" + member + "`"
		}
		parts := strings.Split(w, ".")
		last := parts[len(parts)-1]
		inner := strings.ContainsFunc(last[1:], func(c rune) bool { return 'A' <= c && c <= 'Z' })
		if !fields[last] || slices.Contains(properNames, w) || !inner && len(parts) == 1 {
			return w
		}
		for i := range parts {
			if fields[parts[i]+"ARN"] { // AlarmTopic is AlarmTopicARN in the configuration
				parts[i] += "ARN"
			}
			parts[i] = problem.JSONName(parts[i])
		}
		return "`" + strings.Join(parts, ".") + "`"
	})
}

const introduction = `<!-- Generated from the Go types and their doc comments by make generate. Do not edit. -->

# Configuration

The app reads the object ` + "`ecsrunners`" + ` of the CDK context: from ` + "`cdk.json`" +
	`, or from the command line as
` + "`-c ecsrunners='{…}'`" +
	`. An unknown key, a value of the wrong type or out of range is an error that names the key, the value
and what is allowed; all problems are reported at once. [cdk.schema.json](../cdk.schema.json) lets editors complete and check
the same keys.

A duration is text such as ` + "`90s`, `10m` or `168h`" +
	`. A default in words is what happens when the key is absent. In Go, each
object is a struct of package ` + "`constructs`" + `, whose fields have the same names with a capital letter.
`

func (r reference) markdown(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(introduction)
	r.section(t, &b, "", r.complete)
	return b.Bytes()
}

// section writes the table of an object, and then those of the objects in it.
func (r reference) section(t *testing.T, b *bytes.Buffer, path string, v reflect.Value) {
	t.Helper()
	fmt.Fprintf(b, "\n## %s\n\n| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n",
		strings.TrimSuffix("ecsrunners."+path, "."))
	prefix := path
	if prefix != "" {
		prefix += "."
	}
	keys := r.keys(t, prefix, v)
	for _, k := range keys {
		kind := k.kind
		if len(k.choices) > 0 && kind == "text" {
			kind = "`" + strings.Join(k.choices, "`, `") + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", strings.TrimPrefix(k.path, prefix), kind, k.fallback, k.meaning)
	}
	for _, k := range keys {
		child := v.FieldByName(fieldOf(v.Type(), strings.TrimPrefix(k.path, prefix)))
		switch k.kind {
		case "object":
			r.section(t, b, k.path, reflect.Indirect(child))
		case "list of objects":
			r.section(t, b, k.path+"[]", child.Index(0))
		}
	}
}

func fieldOf(of reflect.Type, key string) string { return fieldsOf(of)[key].Name }

func (r reference) schema(t *testing.T) []byte {
	t.Helper()
	definitions := map[string]any{}
	object := map[string]any{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "cdk.json of an ecsrunners app",
		"type":        "object",
		"definitions": definitions,
		"properties": map[string]any{"context": map[string]any{
			"type":       "object",
			"properties": map[string]any{Key: r.define(t, definitions, "", r.complete)},
		}},
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(object))
	return b.Bytes()
}

// define adds the schema of an object, and those of the objects in it, to the
// definitions, and refers to it.
func (r reference) define(t *testing.T, definitions map[string]any, path string, v reflect.Value) map[string]any {
	t.Helper()
	name := strings.TrimSuffix(v.Type().Name(), "Props")
	reference := map[string]any{"$ref": "#/definitions/" + name}
	if definitions[name] != nil { // capacities are as the default one
		return reference
	}
	properties, required := map[string]any{}, []string{}
	object := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	definitions[name] = object
	prefix := strings.TrimPrefix(path+".", ".")
	for _, k := range r.keys(t, prefix, v) {
		short := strings.TrimPrefix(k.path, prefix)
		property := r.property(t, definitions, k, v.FieldByName(fieldOf(v.Type(), short)))
		description := k.meaning + " Default: " + k.fallback + "."
		if k.fallback == "required" {
			required = append(required, short)
			description = k.meaning
		}
		property["description"] = strings.ReplaceAll(description, "`", "")
		properties[short] = property
	}
	if len(required) > 0 {
		object["required"] = required
	}
	maps.Copy(object, constraints[name])
	return reference
}

// constraints are what a schema says of several keys of an object together.
var constraints = map[string]map[string]any{
	"ImageSource": {"maxProperties": 1},
	"Registration": {"oneOf": []any{
		map[string]any{"required": []string{"organization"}},
		map[string]any{"required": []string{"repository"}},
		map[string]any{"required": []string{"enterprise"}},
	}},
}

func (r reference) property(t *testing.T, definitions map[string]any, k key, v reflect.Value) map[string]any {
	t.Helper()
	text := map[string]any{"type": "string"}
	if len(k.choices) > 0 {
		text["enum"] = k.choices
	}
	switch k.kind {
	case "text":
		return text
	case "duration":
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}
	case "whole number":
		return map[string]any{"type": "integer"}
	case "true or false":
		return map[string]any{"type": "boolean"}
	case "list of text":
		return map[string]any{"type": "array", "items": text}
	case "list of objects":
		return map[string]any{"type": "array", "items": r.define(t, definitions, k.path+"[]", v.Index(0))}
	case "map of objects":
		return map[string]any{"type": "object", "additionalProperties": r.define(t, definitions, k.path+"{}",
			v.MapIndex(reflect.ValueOf(anyKey)))}
	case "map of whole numbers":
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "integer"}}
	case "map of text":
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
	}
	return map[string]any{"allOf": []any{r.define(t, definitions, k.path, reflect.Indirect(v))}}
}
