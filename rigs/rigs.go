package rigs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/rig"
)

// Load reads a rig file and its profile, and holds them against each other. The
// name is a path, or that of a built-in rig.
func Load(name string) (*rig.File, *profile.Profile, error) {
	f, p, err := load(name)
	if err != nil {
		return nil, nil, err
	}
	if err := checkVirtual(f); err != nil {
		return f, p, err
	}
	return f, p, checkMachines(f)
}

func load(name string) (*rig.File, *profile.Profile, error) {
	if slices.Contains(Names(), name) {
		return rig.LoadFS(Files, name+".yaml")
	}
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, "./") {
		return nil, nil, fmt.Errorf("no built-in rig is called %q, and there is no such file; built in are %s", name, strings.Join(Names(), ", "))
	}
	return rig.Load(name)
}

// Beside reads the rigs with which a rig shares its runs.
func Beside(f *rig.File, p *profile.Profile) ([]*rig.File, error) {
	return rig.Neighbours(f, p, Load)
}
