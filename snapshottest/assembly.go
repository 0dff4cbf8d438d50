package snapshottest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// template is one that a synthesis has written.
type template struct {
	stack   string // artifact id of the stack that it is part of
	name    string // that, or the name of the nested stack
	content []byte
}

// templates are those in a cloud assembly, of nested assemblies and stacks too.
func templates(assembly string) ([]template, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type       string
			Properties struct {
				TemplateFile  string // of a stack
				DirectoryName string // of a nested assembly
				File          string // of a list of assets
			}
		}
	}
	if err := readJSON(filepath.Join(assembly, "manifest.json"), &manifest); err != nil {
		return nil, err
	}
	var found []template
	for id, artifact := range manifest.Artifacts {
		var more []template
		var err error
		switch artifact.Type {
		case "aws:cloudformation:stack":
			more = []template{{stack: id, name: id}}
			more[0].content, err = os.ReadFile(filepath.Join(assembly, artifact.Properties.TemplateFile))
		case "cdk:cloud-assembly":
			more, err = templates(filepath.Join(assembly, artifact.Properties.DirectoryName))
		case "cdk:asset-manifest":
			more, err = nestedStacks(assembly, artifact.Properties.File, strings.TrimSuffix(id, ".assets"))
		}
		if err != nil {
			return nil, fmt.Errorf("reading the template of %s: %w", id, err)
		}
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b template) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// nestedStacks are the templates among the assets of a stack.
func nestedStacks(assembly, assets, stack string) ([]template, error) {
	var manifest struct {
		Files map[string]struct{ Source struct{ Path string } }
	}
	if err := readJSON(filepath.Join(assembly, assets), &manifest); err != nil {
		return nil, err
	}
	var found []template
	for _, file := range manifest.Files {
		name, nested := strings.CutSuffix(file.Source.Path, ".nested.template.json")
		if !nested {
			continue
		}
		content, err := os.ReadFile(filepath.Join(assembly, file.Source.Path))
		if err != nil {
			return nil, err
		}
		found = append(found, template{stack, name, content})
	}
	return found, nil
}

func readJSON(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}
