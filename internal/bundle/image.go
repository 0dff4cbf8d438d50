package bundle

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// The runner image's folder in the module, and what in it stays the library's:
// the rest is the customer's to change.
const (
	imageFolder      = "runner-image"
	supervisorFolder = imageFolder + "/supervisor"
	// BuildSpec is the build of the image, below the root of the library's tree.
	BuildSpec = imageFolder + "/buildspec.yml"
	// BuildScript is what BuildSpec runs.
	BuildScript = imageFolder + "/build.sh"
)

// LibraryTree is what the library contributes to the build of the runner image:
// how it is built, and the sources of the supervisor.
func LibraryTree(sources fs.FS) (Tree, error) {
	files, err := programFiles(sources, supervisorFolder)
	if err != nil {
		return Tree{}, err
	}
	files = append(files, BuildSpec, BuildScript)
	err = walk(sources, supervisorFolder, func(name string) { files = append(files, name) })
	if err != nil {
		return Tree{}, fmt.Errorf("listing the library's part of the runner image: %w", err)
	}
	slices.Sort(files)
	return Tree{Sources: sources, Root: ".", Files: slices.Compact(files)}, nil
}

// CustomerTree is the Dockerfile and what is beside it, as a customer starts with.
func CustomerTree(sources fs.FS) (Tree, error) {
	tree := Tree{Sources: sources, Root: imageFolder}
	err := walk(sources, imageFolder, func(name string) {
		if name != BuildSpec && name != BuildScript && !strings.HasPrefix(name, supervisorFolder+"/") {
			tree.Files = append(tree.Files, strings.TrimPrefix(name, imageFolder+"/"))
		}
	})
	if err != nil {
		return Tree{}, fmt.Errorf("listing the customer's part of the runner image: %w", err)
	}
	return tree, nil
}

// walk visits the files below a folder, in order, without tests and their data.
func walk(sources fs.FS, folder string, visit func(name string)) error {
	return fs.WalkDir(sources, folder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "testdata":
			return fs.SkipDir
		case !entry.IsDir() && !strings.HasSuffix(name, "_test.go"):
			visit(name)
		}
		return nil
	})
}
