package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Slots are where the images lie that a start chooses from, in a storage of the rig. A
// slot begins with its image, as the maker gives that, or with the part of it that a start
// judges, as that was installed.
type Slots struct {
	None    `yaml:",inline"`
	Storage string `yaml:"storage"` // of the rig
	// Part is the file of a package that lies there, unpacked; "" where all of an image does.
	Part   string `yaml:"part"`
	Format string `yaml:"format"` // of the part: one of PartFormats
	At     []Slot `yaml:"at"`     // all of them
}

// PartFormats are the formats of parts of a package that can be forged: U-Boot's images.
var PartFormats = []string{"fit"}

// Slot is one of them.
type Slot struct {
	Offset int64 `yaml:"offset"` // in the storage, in bytes
	Length int64 `yaml:"length"` // in bytes
}

// String gives "0x10000".
func (s Slot) String() string { return fmt.Sprintf("0x%x", s.Offset) }

// slots holds them against each other: what lies in two of them is in neither.
func (l *linter) slots() {
	s, at := l.p.Images.Slots, []string{"images", "slots"}
	if !l.p.Source.Has(at...) || s.Declared() {
		return
	}
	if s.Storage == "" || len(s.At) == 0 {
		l.errorf(at, "write {storage: NAME, at: [{offset: 0x10000, length: 0x20000}]}, or {none: why}", "where the images lie is not said")
	}
	switch {
	case (s.Part == "") != (s.Format == ""):
		l.errorf(at, "write part: FILE of the package, and format: fit", "of a part of a package both its name and its format are to be said")
	case s.Part != "" && l.p.Images.Format != "swu":
		l.errorf(append(slices.Clone(at), "part"), "leave part and format out", "an image of format %s has no parts with names", l.p.Images.Format)
	case s.Format != "" && !slices.Contains(PartFormats, s.Format):
		l.errorf(append(slices.Clone(at), "format"), "write one of "+strings.Join(PartFormats, ", "), "parts of format %q cannot be forged", s.Format)
	}
	for i, a := range s.At {
		at := append(slices.Clone(at), "at", strconv.Itoa(i))
		if a.Offset < 0 || a.Length <= 0 {
			l.errorf(at, "write {offset: 0x10000, length: 0x20000}", "%d bytes at %d are no slot", a.Length, a.Offset)
		}
		for _, b := range s.At[:i] {
			if a.Offset < b.Offset+b.Length && b.Offset < a.Offset+a.Length {
				l.errorf(at, "say where each begins and how long it is", "the slots at %s and %s lie over each other", b, a)
			}
		}
	}
}

// leaves holds what is said of refused images to the one thing that can be.
func (l *linter) leaves() {
	if at := []string{"images", "leaves"}; l.p.Source.Has(at...) && !l.p.Images.Leaves.Declared() {
		l.errorf(at, "write {none: why}, or leave it out", "what a refused image leaves is not said")
	}
}
