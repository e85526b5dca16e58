package rig

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

// ReadFile reads a rig file. Paths in it that begin with ~/ are of the home
// folder of who runs it.
func ReadFile(name string) (*File, error) {
	data, err := strictyaml.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the rig file: %w", err)
	}
	f, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := f.expandHome(os.UserHomeDir); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// ReadFS reads a rig file of a file system, such as one that is built in.
func ReadFS(fsys fs.FS, name string) (*File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read the rig file: %w", err)
	}
	f, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := f.expandHome(os.UserHomeDir); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// Load reads a rig file and the profile that it names, relative to itself, and
// holds them against each other.
func Load(name string) (*File, *profile.Profile, error) {
	f, err := ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	p, err := profile.Load(f.ProfilePath())
	if err != nil {
		return nil, nil, f.noProfile(err)
	}
	return f, p, Check(f, p)
}

// LoadFS is Load from a file system. The profile has to be in it too.
func LoadFS(fsys fs.FS, name string) (*File, *profile.Profile, error) {
	f, err := ReadFS(fsys, name)
	if err != nil {
		return nil, nil, err
	}
	at := path.Join(path.Dir(name), f.Profile)
	data, err := fs.ReadFile(fsys, at)
	if err != nil {
		return nil, nil, f.noProfile(err)
	}
	p, err := profile.Parse(at, data)
	if err != nil {
		return nil, nil, f.noProfile(err)
	}
	return f, p, Check(f, p)
}

// noProfile says where a profile is named that cannot be read. What is wrong
// inside a profile has places of its own.
func (f *File) noProfile(err error) error {
	if profile.IsLint(err) {
		return err
	}
	return fmt.Errorf("%s: %w; write profile: PATH, relative to the rig file", f.Source.Pos("profile"), err)
}

// ProfilePath gives the path of the profile: a relative one starts at the rig
// file's folder.
func (f *File) ProfilePath() string {
	if filepath.IsAbs(f.Profile) {
		return f.Profile
	}
	return filepath.Join(filepath.Dir(f.Path), f.Profile)
}

// ImagesPath gives the folder in which the profile's images are: a relative one starts at
// the rig file's folder. It is empty where they are beside the profile.
func (f *File) ImagesPath() string {
	if f.Images == "" || filepath.IsAbs(f.Images) {
		return f.Images
	}
	return filepath.Join(filepath.Dir(f.Path), f.Images)
}

// expandHome puts the home folder where a path begins with ~/.
func (f *File) expandHome(home func() (string, error)) error {
	var at []*string
	argvs := [][]string{}
	for _, c := range f.Consoles {
		at = append(at, &c.Port)
		argvs = append(argvs, c.Exec)
	}
	for _, l := range f.Lines {
		argvs = append(argvs, l.Exec)
	}
	if f.Power != nil {
		argvs = append(argvs, f.Power.Exec)
	}
	for _, argv := range argvs {
		for i := range argv {
			at = append(at, &argv[i])
		}
	}
	if f.Virtual != nil {
		at = append(at, &f.Virtual.Persist)
	}
	for _, m := range f.Machines {
		at = append(at, &m.File, &m.QEMU)
		for i := range m.Disks {
			at = append(at, &m.Disks[i].File)
		}
	}
	at = append(at, &f.Images)
	for i := range f.Beside {
		at = append(at, &f.Beside[i])
	}
	for _, s := range at {
		if err := inHome(s, "", home); err != nil {
			return err
		}
	}
	for name, ref := range f.Secrets {
		if err := inHome(&ref, "file:", home); err != nil {
			return err
		}
		f.Secrets[name] = ref
	}
	return nil
}

func inHome(s *string, prefix string, home func() (string, error)) error {
	rest, ok := strings.CutPrefix(*s, prefix+"~/")
	if !ok {
		return nil
	}
	dir, err := home()
	if err != nil {
		return fmt.Errorf("find the folder that %s~/ stands for: %w", prefix, err)
	}
	// The cache may be elsewhere (XDG Base Directory Specification).
	if in, ok := strings.CutPrefix(rest, ".cache/"); ok && filepath.IsAbs(os.Getenv("XDG_CACHE_HOME")) {
		dir, rest = os.Getenv("XDG_CACHE_HOME"), in
	}
	*s = prefix + filepath.Join(dir, rest)
	return nil
}
