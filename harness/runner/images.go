package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/shelf"
	"rigor/harness/strictyaml"
)

// maxImage bounds a file of images, in bytes.
const maxImage = 1 << 30

// ImageReader gives how the names of a profile's images are read: files beside the
// profile or in the rig's folder for them, and what a source of the table of drivers has:
// "virtual:NAME".
func ImageReader(f *rig.File, p *profile.Profile, d rig.Drivers) func(ref string) ([]byte, error) {
	dir := f.ImagesPath()
	if dir == "" {
		dir = filepath.Dir(p.File)
	}
	return func(ref string) ([]byte, error) {
		if scheme, name, ok := strings.Cut(ref, ":"); ok {
			source := d.Files[scheme]
			if source == nil {
				return nil, fmt.Errorf("no source of files is called %q", scheme)
			}
			return source(name)
		}
		path := filepath.Join(dir, filepath.FromSlash(ref))
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() > maxImage:
			return nil, fmt.Errorf("%s is no regular file of at most %d bytes", path, maxImage)
		}
		return os.ReadFile(path)
	}
}

// CheckImages says which images of a profile cannot be read, are none, or are not the
// maker's, each with its place: a strictyaml.Errors. A rig's folder for them that is not
// there, as long as nobody has built anything, is trouble of its runs and no mistake of
// the files.
func CheckImages(f *rig.File, p *profile.Profile, d rig.Drivers) error {
	if !p.Source.Has("images") || p.Images.Declared() {
		return nil
	}
	if dir := f.ImagesPath(); dir != "" {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	_, err := shelf.Load(&p.Images, ImageReader(f, p, d))
	if err == nil {
		return nil
	}
	var out strictyaml.Errors
	for _, e := range flat(err) {
		var ref *shelf.RefError
		if errors.As(e, &ref) {
			out = append(out, p.Source.Errorf(ref.Ref.Path, "give the maker's file, or take it out", "%s: %v", ref.Ref.Ref, ref.Err))
			continue
		}
		out = append(out, p.Source.Errorf([]string{"images"}, "", "%v", e))
	}
	return out.Arrange()
}

// flat gives the errors that were joined.
func flat(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // what is asked is how this one is made
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flat(e)...)
	}
	return out
}
