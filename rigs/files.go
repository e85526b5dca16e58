// Package rigs holds the benches and profiles that come with Rigor, and the one
// table of drivers by which a rig file's instruments are opened.
package rigs

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

// Files holds the built-in rig files, and under profiles/ their profiles.
//
//go:embed *.yaml profiles/*.yaml
var Files embed.FS

// Names lists the built-in rigs: those that can be named without a file.
func Names() []string {
	// The pattern is well-formed, the only thing that Glob complains of.
	paths, _ := fs.Glob(Files, "*.yaml")
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(p, ".yaml"))
	}
	slices.Sort(names)
	return names
}
