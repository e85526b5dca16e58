// Package rigs holds the benches and profiles that come with Rigor, and the one
// table of drivers by which a rig file's instruments are opened.
package rigs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/rig"
)

//go:embed *.yaml profiles/*.yaml
var files embed.FS

// Builtin lists the rigs that can be named without a file.
func Builtin() []string {
	entries, err := files.ReadDir(".")
	if err != nil { // the folder is embedded
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !e.IsDir() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Load reads a rig file and its profile, and holds them against each other. The
// name is a path, or that of a built-in rig.
func Load(name string) (*rig.File, *profile.Profile, error) {
	if slices.Contains(Builtin(), name) {
		return load(name+".yaml", files.ReadFile, path.Join)
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./") {
		return nil, nil, fmt.Errorf("no built-in rig is called %q, and there is no such file; built in are %s", name, strings.Join(Builtin(), ", "))
	}
	return load(name, os.ReadFile, filepath.Join)
}

func load(name string, read func(string) ([]byte, error), join func(...string) string) (*rig.File, *profile.Profile, error) {
	data, err := read(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the rig file: %w", err)
	}
	f, err := rig.Parse(name, data)
	if err != nil {
		return nil, nil, err
	}
	at := f.Profile
	if !filepath.IsAbs(at) {
		at = join(filepath.Dir(name), at)
	}
	data, err = read(at)
	if err != nil {
		return nil, nil, f.Source.Errorf([]string{"profile"}, "the path counts from the rig file's folder", "the profile cannot be read: %v", err)
	}
	p, err := profile.Parse(at, data)
	if err != nil {
		return nil, nil, err
	}
	if err := rig.Check(f, p); err != nil {
		return nil, nil, err
	}
	return f, p, nil
}
