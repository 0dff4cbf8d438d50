package constructs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/constructs"
)

// propsTypes are all types that a caller fills in, with the constructs whose tests
// synthesize them.
var propsTypes = []struct {
	of         reflect.Type
	constructs string
}{
	{reflect.TypeFor[constructs.RunnerClusterProps](), "runner_cluster"},
	{reflect.TypeFor[constructs.RunnerCapacityProps](), "runner_capacity"},
	{reflect.TypeFor[constructs.SpotOptions](), "runner_capacity"},
	{reflect.TypeFor[constructs.WarmPoolOptions](), "runner_capacity"},
	{reflect.TypeFor[constructs.AgentOptions](), "runner_capacity"},
	{reflect.TypeFor[constructs.RunnerImagePipelineProps](), "runner_image_pipeline"},
	{reflect.TypeFor[constructs.CodeCommitSourceProps](), "runner_image_pipeline"},
	{reflect.TypeFor[constructs.GitHubSourceProps](), "runner_image_pipeline"},
	{reflect.TypeFor[constructs.RunnerRegistrationProps](), "runner_registration"},
	{reflect.TypeFor[constructs.RunnerFleetProps](), "runner_fleet"},
	{reflect.TypeFor[constructs.MountOptions](), "runner_fleet"},
	{reflect.TypeFor[constructs.WebhookIngressProps](), "webhook_ingress runner_fleet"}, // AddFleet
}

// A prop is one field, and the field is all that there is to forget: it must be
// decoded from the configuration if it is a literal, documented, used outside of its
// own file, and set in a test that synthesizes.
func TestProps_EachFieldIsDecodedDocumentedUsedAndTested(t *testing.T) {
	sources := readSources(t)
	listed := map[string]bool{}
	for _, props := range propsTypes {
		listed[props.of.Name()] = true
		for i := range props.of.NumField() {
			field := props.of.Field(i)
			name := props.of.Name() + "." + field.Name
			key, tagged := field.Tag.Lookup("json")
			if props.of.Name() != "MountOptions" { // volumes come from code only
				assert.Truef(t, tagged, "%s is not decoded: it needs a json tag, \"-\" if it is a reference", name)
				assert.Equalf(t, isReference(field.Type), key == "-",
					"%s is not decoded: literals need a key, and references have \"-\"", name)
			}
			comment := sources.comments[name]
			assert.Truef(t, strings.HasPrefix(comment, field.Name+" "),
				"%s is not documented: its comment must begin with its name", name)
			assert.Truef(t, strings.Contains(comment, "Required.") != strings.Contains(comment, "\nDefault: "),
				"%s is not documented: its comment must say \"Required.\" or end with \"Default: …\"", name)
			assert.Truef(t, sources.used[name], "%s is not used: nothing but its defaults and checks reads it", name)
			assert.Truef(t, slices.ContainsFunc(strings.Fields(props.constructs), func(construct string) bool {
				return sources.tests[construct+" "+name] || sources.tests[construct+" ?."+field.Name]
			}), "%s is not tested: no test of %s sets it", name, props.constructs)
		}
	}
	for name := range sources.comments {
		if of, _, isField := strings.Cut(name, "."); isField && (strings.HasSuffix(of, "Props") || strings.HasSuffix(of,
			"Options")) && of != "functionProps" {
			assert.Truef(t, listed[of], "%s is not in propsTypes, so its fields would not be looked at", of)
		}
	}
}

// isReference reports whether a value of the type can come from code only: it is an
// interface, or made of one.
func isReference(of reflect.Type) bool {
	switch of.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return isReference(of.Elem())
	case reflect.Struct:
		ours := of.PkgPath() == reflect.TypeFor[constructs.RunnerFleetProps]().PkgPath()
		return !ours || !strings.HasSuffix(of.Name(), "Props") && !strings.HasSuffix(of.Name(), "Options") ||
			of.Name() == "MountOptions"
	default:
		return false
	}
}

type sources struct {
	comments map[string]string // by Type and Type.Field
	used     map[string]bool   // by Type.Field
	tests    map[string]bool   // by construct and Type.Field: what its tests set
}

// readSources looks at the package as the compiler does, but for what it imports:
// the fields of our own structs need none of it.
func readSources(t *testing.T) sources {
	t.Helper()
	s := sources{comments: map[string]string{}, used: map[string]bool{}, tests: map[string]bool{}}
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			construct := strings.TrimSuffix(name, "_test.go")
			if !strings.HasSuffix(construct, "_props") { // what is only checked is not synthesized
				file, err := parser.ParseFile(files, name, nil, 0)
				require.NoError(t, err)
				s.collectTests(construct, file)
			}
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		require.NoError(t, err)
		parsed = append(parsed, file)
		s.collectComments(file)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	checker := types.Config{Importer: nothing{}, Error: func(error) {}, FakeImportC: true}
	_, _ = checker.Check("constructs", files, parsed, info) // errors are about what is imported
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			function, isFunction := declaration.(*ast.FuncDecl)
			if isFunction && !ownRule.MatchString(function.Name.Name) {
				s.collectUses(function, info)
			}
		}
	}
	require.NotEmpty(t, s.used, "the analysis finds no uses at all")
	return s
}

// ownRule matches the functions that fill in and check props.
var ownRule = regexp.MustCompile(`^(WithDefaults|Validate\w*|validate\w*|Fit|warnings)$`)

func (s sources) collectComments(file *ast.File) {
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if of, ok := spec.Type.(*ast.StructType); ok {
			for _, field := range of.Fields.List {
				for _, name := range field.Names {
					s.comments[spec.Name.Name+"."+name.Name] = field.Doc.Text()
				}
			}
		}
		return false
	})
}

func (s sources) collectUses(function *ast.FuncDecl, info *types.Info) {
	set := map[ast.Node]bool{} // selectors that are assigned to: that is no use
	ast.Inspect(function, func(node ast.Node) bool {
		if assignment, ok := node.(*ast.AssignStmt); ok {
			for _, target := range assignment.Lhs {
				set[target] = true
			}
		}
		selector, ok := node.(*ast.SelectorExpr)
		if !ok || set[selector] {
			return true
		}
		if selection := info.Selections[selector]; selection != nil && selection.Kind() == types.FieldVal {
			of := strings.TrimPrefix(fmt.Sprint(selection.Recv()), "*")
			s.used[strings.TrimPrefix(of, "constructs.")+"."+selector.Sel.Name] = true
		}
		return true
	})
}

// collectTests notes the fields that a test file sets: in a literal of their type, or
// by an assignment to a field of that name.
func (s sources) collectTests(construct string, file *ast.File) {
	note := func(field string) { s.tests[construct+" "+field] = true }
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CompositeLit:
			of := ""
			switch literal := node.Type.(type) {
			case *ast.SelectorExpr:
				of = literal.Sel.Name
			case nil: // the element of a list or a map: its type is further up
				of = "?"
			}
			for _, element := range node.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						note(of + "." + key.Name)
					}
				}
			}
		case *ast.AssignStmt:
			for _, target := range node.Lhs {
				if selector, ok := target.(*ast.SelectorExpr); ok {
					note("?." + selector.Sel.Name)
				}
			}
		}
		return true
	})
}

// nothing imports every package as an empty one.
type nothing struct{}

var _ types.Importer = nothing{}

func (nothing) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	pkg.MarkComplete()
	return pkg, nil
}
