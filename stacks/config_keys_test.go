package stacks_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecs-github-runners/ecsrunners/stacks/config"
)

// The keys that the configuration adds to the props of the constructs are names of
// what the stacks make or find: each must be used there, and be in the configuration
// of a test.
func TestConfig_EachKeyOfItsOwnIsUsedAndTested(t *testing.T) {
	used, tests := map[string]bool{}, ""
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	methods, err := filepath.Glob("config/config.go")
	require.NoError(t, err)
	for _, name := range append(files, methods...) {
		if strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			tests += string(text)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || regexp.MustCompile(`(?i)^(withDefaults|validate\w*|chosen)$`).MatchString(function.Name.Name) {
				continue
			}
			ast.Inspect(function, func(node ast.Node) bool {
				if selector, ok := node.(*ast.SelectorExpr); ok {
					used[selector.Sel.Name] = true
				}
				return true
			})
		}
	}
	var walk func(of reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || !strings.HasSuffix(of.PkgPath(), "/stacks/config") {
			return
		}
		for i := range of.NumField() {
			field := of.Field(i)
			if !field.Anonymous {
				assert.Truef(t, used[field.Name], "%s.%s is not used: no stack reads it", of, field.Name)
				assert.Containsf(t, tests, `"`+field.Tag.Get("json")+`"`, "%s.%s is not tested: no test configures it", of, field.Name)
			}
			walk(field.Type)
		}
	}
	walk(reflect.TypeFor[config.Config]())
}
