package rig

import (
	"fmt"
	"path/filepath"
	"strconv"

	"rigor/harness/profile"
	"rigor/harness/strictyaml"
)

// virtualBeside looks at the units beside the built-in device.
func (l *fileLint) virtualBeside() {
	v := l.f.Virtual
	if v == nil {
		return
	}
	serials := map[string]bool{l.f.Unit.Serial: true}
	for i, u := range v.Beside {
		at := []string{"virtual", "beside", strconv.Itoa(i)}
		l.unit(at, &v.Beside[i])
		switch {
		case u.Serial == "":
			l.errorf(at, "write serial: and mac:, as on the unit's label", "a unit beside has no serial number")
		case serials[u.Serial]:
			l.errorf(append(at, "serial"), "give each unit its own", "serial number %s is that of another unit of the rig", u.Serial)
		}
		serials[u.Serial] = true
	}
	if v.Persist != "" && len(v.Beside) > 0 {
		l.errorf([]string{"virtual", "beside"}, "leave one of the two out", "a kept flash (persist) is of one device, and virtual.beside names more")
	}
}

// Neighbours reads the rigs beside one, each with a unit of its own of the same model:
// the files that beside names, and the units of virtual.beside on benches like the rig's
// own. The error has the place in the rig file where it is about that.
func Neighbours(f *File, p *profile.Profile, load func(path string) (*File, *profile.Profile, error)) ([]*File, error) {
	var out []*File
	for i, name := range f.Beside {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(f.Path), name)
		}
		other, prof, err := load(path)
		if err != nil {
			return nil, fmt.Errorf("%s: beside names %s: %w", f.Source.Pos("beside", strconv.Itoa(i)), name, err)
		}
		if err := neighbour(f, p, other, prof, out); err != "" {
			return nil, strictyaml.Errors{{Pos: f.Source.Pos("beside", strconv.Itoa(i)), What: name + " " + err, Remedy: "name the rigs of further units of " + p.Name}}
		}
		out = append(out, other)
	}
	if f.Virtual == nil {
		return out, nil
	}
	for i, u := range f.Virtual.Beside {
		other := *f
		other.Name = f.Name + "-" + strconv.Itoa(i+2)
		label, keys := f.Unit.LabelPassword, f.Unit.Keys // secrets that the device itself gives
		other.Unit = u
		if u.LabelPassword == "" {
			other.Unit.LabelPassword = label
		}
		if len(u.Keys) == 0 {
			other.Unit.Keys = keys
		}
		v := *f.Virtual
		v.Weaknesses, v.Beside = append([]string(nil), v.Weaknesses...), nil
		other.Virtual = &v
		if err := neighbour(f, p, &other, p, out); err != "" {
			return nil, strictyaml.Errors{{Pos: f.Source.Pos("virtual", "beside", strconv.Itoa(i)), What: "the unit beside " + err, Remedy: "give each rig and each unit its own name"}}
		}
		out = append(out, &other)
	}
	return out, nil
}

// neighbour says why a rig cannot share a run's cases; nothing where it can.
func neighbour(f *File, p *profile.Profile, other *File, prof *profile.Profile, before []*File) string {
	switch {
	case prof.Digest != p.Digest:
		return fmt.Sprintf("has profile %s, and not %s: the cases of a run are of one model", other.ProfilePath(), f.ProfilePath())
	case other.Unit.Serial == "" || f.Unit.Serial == "":
		return "or this rig does not say which unit it has (unit.serial): a run that they share has to tell them apart"
	}
	for _, b := range append([]*File{f}, before...) {
		switch {
		case b.Name == other.Name:
			return fmt.Sprintf("is called rig %s, as %s is", other.Name, b.Path)
		case b.Unit.Serial == other.Unit.Serial:
			return fmt.Sprintf("is declared for unit %s, as rig %s is", b.Unit.Serial, b.Name)
		}
		for _, r := range Resources(b) {
			for _, o := range Resources(other) {
				if r.Key == o.Key {
					return fmt.Sprintf("uses the %s of rig %s as its %s (%s)", r.Part, b.Name, o.Part, r.Key)
				}
			}
		}
	}
	return ""
}
