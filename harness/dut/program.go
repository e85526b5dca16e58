package dut

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"rigor/harness/wire"
)

// Program switches the DUT off and writes b into one of its memories, at offset off in
// bytes, past the DUT. The DUT stays off: what it makes of that is for its next boot to
// show. It gives wire.ErrUnsupported where the rig's instrument only reads, and an error
// that names the leave where the rig file does not allow it.
func (d *Device) Program(ctx context.Context, name string, off int64, b []byte) error {
	s := d.bench.Storages[name]
	if s == nil {
		return fmt.Errorf("storage %s: %w", name, ErrNotWired)
	}
	p, ok := s.(wire.Programmer)
	if !ok {
		return fmt.Errorf("storage %s: write: %w", name, wire.ErrUnsupported)
	}
	if err := d.PowerOff(ctx); err != nil {
		return err
	}
	return d.s.Do(ctx, PartStorage(name), func(ctx context.Context) error {
		defer d.waiting("storage " + name + " to be written")()
		return p.Write(ctx, off, b)
	})
}

// Rewrite switches the DUT off, writes into one of its memories at each offset in bytes,
// and reads all of it back: what does not stand there then is trouble of the instrument.
// The DUT stays off.
func (d *Device) Rewrite(ctx context.Context, name string, at map[int64][]byte) error {
	for _, off := range slices.Sorted(maps.Keys(at)) {
		if err := d.Program(ctx, name, off, at[off]); err != nil {
			return err
		}
	}
	is := standing{at: at, same: map[int64]int{}}
	if err := d.readOff(ctx, name, &is); err != nil {
		return err
	}
	for off, b := range at {
		if is.same[off] != len(b) {
			return &wire.Fault{Part: PartStorage(name), Op: "write", Err: fmt.Errorf("%d bytes at 0x%x do not read back as they were written", len(b), off)}
		}
	}
	return nil
}

// standing counts how many bytes of a memory that goes through it are those that are to
// stand at each offset: it may be larger than what there is room for twice.
type standing struct {
	at   map[int64][]byte
	same map[int64]int
	n    int64
}

func (s *standing) Write(p []byte) (int, error) {
	for off, b := range s.at {
		from, to := max(off, s.n), min(off+int64(len(b)), s.n+int64(len(p)))
		if from < to && bytes.Equal(p[from-s.n:to-s.n], b[from-off:to-off]) {
			s.same[off] += int(to - from)
		}
	}
	s.n += int64(len(p))
	return len(p), nil
}
