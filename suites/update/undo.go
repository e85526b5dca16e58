package update

import (
	"context"
	"fmt"

	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// IntentUpdate is the kind of what the next start may have to undo: that the DUT runs, or
// waits to run, what is none of the maker's images.
const IntentUpdate = "update"

// Undo brings a DUT that a run before left with something else to a genuine image.
func Undo(ctx context.Context, d *dut.Device, data map[string]string, _ func(string, int) string) error {
	images, err := d.Images()
	if err != nil {
		return err
	}
	genuine := func() (bool, error) {
		now, err := d.Settled(ctx)
		return err == nil && now.Pending == "" && images.Genuine(now.Version, now.Digest) != nil, err
	}
	if ok, err := genuine(); ok || err != nil {
		return err
	}
	u := d.Update(data["channel"])
	if _, err := u.Apply(ctx); err != nil { // what waits may be refused when it starts
		return err
	}
	if ok, err := genuine(); ok || err != nil {
		return err
	}
	for _, img := range images.Ladder {
		a, err := u.Deliver(ctx, dut.Image{Name: img.String(), Bytes: img.Bytes, Back: true})
		switch {
		case err != nil:
			return err
		case !a.Taken && a.Kind == verdict.Refused:
			continue
		}
		if _, err := u.Apply(ctx); err != nil {
			return err
		}
		if ok, err := genuine(); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the DUT runs what is none of the maker's images", errNoWayBack)
}
