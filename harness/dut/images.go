package dut

import (
	"fmt"
	"sync"

	"rigor/harness/shelf"
)

// images are the maker's, read once in a run.
type images struct {
	once  sync.Once
	shelf *shelf.Shelf
	err   error
}

// Images gives the maker's images that the profile names.
func (d *Device) Images() (*shelf.Shelf, error) {
	if d.Profile.Images.Current == "" {
		return nil, fmt.Errorf("the maker's images: %w", ErrNotDeclared)
	}
	d.images.once.Do(func() {
		if d.bench.Image == nil {
			d.images.err = fmt.Errorf("the maker's images: %w", ErrNotWired)
			return
		}
		d.images.shelf, d.images.err = shelf.Load(&d.Profile.Images, d.bench.Image)
	})
	return d.images.shelf, d.images.err
}
