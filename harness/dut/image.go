package dut

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"rigor/harness/wire"
)

// PartStorage names a storage in faults and results.
func PartStorage(name string) wire.Part { return wire.Part("storage." + name) }

// Storages gives the names of the rig's.
func (d *Device) Storages() []string { return slices.Sorted(maps.Keys(d.bench.Storages)) }

// Image switches the DUT off, reads the named storages, and brings it up again: what
// was seen of its boot is on the console. Of no storage it is a power cycle.
func (d *Device) Image(ctx context.Context, names []string, into func(name string) io.Writer) error {
	for _, name := range names {
		if d.bench.Storages[name] == nil {
			return fmt.Errorf("storage %s: %w", name, ErrNotWired)
		}
	}
	con, conErr := d.BootConsole()
	if err := d.PowerOff(ctx); err != nil {
		return err
	}
	for _, name := range names {
		err := d.s.Do(ctx, PartStorage(name), func(ctx context.Context) error {
			defer d.waiting("the image of storage " + name)()
			return d.bench.Storages[name].Read(ctx, into(name))
		})
		if err != nil {
			return fmt.Errorf("read storage %s: %w", name, err)
		}
	}
	if conErr != nil {
		return d.cycleBlind(ctx)
	}
	from := con.Mark()
	if err := d.PowerOn(ctx); err != nil {
		return err
	}
	_, err := d.Booted(ctx, con, from)
	return err
}
