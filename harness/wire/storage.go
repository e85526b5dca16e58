package wire

import (
	"context"
	"errors"
	"io"
)

// ErrRuns says that a memory of the DUT cannot be read past it now: while the DUT runs it
// drives the memory's pins itself, and what an instrument reads then means nothing.
var ErrRuns = errors.New("the DUT runs: its memory is read while it is off, or held in reset")

// Storage is a memory of the DUT as an instrument reads it past the DUT: a flash chip
// with a clip on its pins, a card in a switch. All of it or nothing.
type Storage interface {
	// Size gives the size in bytes, or 0 where the instrument knows it only after a
	// reading.
	Size() int64
	// Read writes the whole memory to w, from its first byte to its last. It gives
	// ErrRuns while the DUT runs, where the instrument can tell.
	Read(ctx context.Context, w io.Writer) error
	io.Closer
}

// Programmer is a Storage that can be written too.
type Programmer interface {
	Storage
	// Write puts b at offset off of the memory, in bytes, erasing what has to be, and
	// leaves all else as it is. It gives ErrUnsupported where nobody declared how, and
	// ErrRuns as Read does.
	Write(ctx context.Context, off int64, b []byte) error
}
