package dut

import (
	"context"
	"fmt"

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
