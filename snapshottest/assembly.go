package snapshottest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// template is one that a synthesis has written.
type template struct {
	stack   string // artifact id of the stack that it is part of
	name    string // that, or the name of the nested stack
	content []byte
}

// assembly is a cloud assembly, with those nested in it.
type assembly struct {
	templates []template // of nested stacks too
	assets    assetIDs
}

// assetIDs are the hashes by which an assembly knows its assets.
type assetIDs map[string]bool

var (
	assetHash   = regexp.MustCompile(`[0-9a-f]{64}`)
	stagedAsset = regexp.MustCompile(`^asset\.[0-9a-f]{64}`)
)

// add adds the hash in the name of an asset, if there is one.
func (a assetIDs) add(name string) {
	if hash := assetHash.FindString(name); hash != "" {
		a[hash] = true
	}
}

// readAssembly reads the assembly in a folder.
func readAssembly(folder string) (assembly, error) {
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
	if err := readJSON(filepath.Join(folder, "manifest.json"), &manifest); err != nil {
		return assembly{}, err
	}
	read := assembly{assets: assetIDs{}}
	for id, artifact := range manifest.Artifacts {
		var err error
		switch artifact.Type {
		case "aws:cloudformation:stack":
			err = read.addTemplate(id, id, filepath.Join(folder, artifact.Properties.TemplateFile))
		case "cdk:cloud-assembly":
			var nested assembly
			nested, err = readAssembly(filepath.Join(folder, artifact.Properties.DirectoryName))
			read.templates = append(read.templates, nested.templates...)
			maps.Copy(read.assets, nested.assets)
		case "cdk:asset-manifest":
			err = read.addAssets(folder, artifact.Properties.File, strings.TrimSuffix(id, ".assets"))
		}
		if err != nil {
			return assembly{}, fmt.Errorf("reading %s of the cloud assembly: %w", id, err)
		}
	}
	// A stack with the legacy synthesizer has no list of its assets.
	entries, err := os.ReadDir(folder)
	if err != nil {
		return assembly{}, fmt.Errorf("reading the cloud assembly: %w", err)
	}
	for _, entry := range entries {
		read.assets.add(stagedAsset.FindString(entry.Name()))
	}
	slices.SortFunc(read.templates, func(a, b template) int { return strings.Compare(a.name, b.name) })
	return read, nil
}

func (a *assembly) addTemplate(stack, name, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a.templates = append(a.templates, template{stack, name, content})
	return nil
}

// addAssets adds the assets of a stack, and the templates of nested stacks among
// them.
func (a *assembly) addAssets(folder, list, stack string) error {
	var manifest struct {
		Files        map[string]struct{ Source struct{ Path string } }
		DockerImages map[string]any
	}
	if err := readJSON(filepath.Join(folder, list), &manifest); err != nil {
		return err
	}
	for id := range manifest.DockerImages {
		a.assets.add(id)
	}
	for id, file := range manifest.Files {
		a.assets.add(id)
		name, nested := strings.CutSuffix(file.Source.Path, ".nested.template.json")
		if !nested {
			continue
		}
		if err := a.addTemplate(stack, name, filepath.Join(folder, file.Source.Path)); err != nil {
			return err
		}
	}
	return nil
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
