package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/late"
)

// roomAhead is how many bytes of a memory have room before they are read.
const roomAhead = 1 << 28

// Memory switches the DUT off and reads one of its memories. The DUT stays off.
func (d *Device) Memory(ctx context.Context, name string) ([]byte, error) {
	var b bytes.Buffer
	if s := d.bench.Storages[name]; s != nil && s.Size() > 0 {
		// What grows twofold as it is read takes thrice its room; how large it is, is what a rig
		// file says, and may be more than there is.
		b.Grow(int(min(s.Size(), roomAhead)))
	}
	err := d.readOff(ctx, name, &b)
	return b.Bytes(), err
}

// readOff switches the DUT off and has one of its memories read into w.
func (d *Device) readOff(ctx context.Context, name string, w io.Writer) error {
	s := d.bench.Storages[name]
	if s == nil {
		return fmt.Errorf("storage %s: %w", name, ErrNotWired)
	}
	if err := d.PowerOff(ctx); err != nil {
		return err
	}
	err := d.s.Do(ctx, PartStorage(name), func(ctx context.Context) error {
		defer d.waiting("the image of storage " + name)()
		return s.Read(ctx, w)
	})
	if err != nil {
		return fmt.Errorf("read storage %s: %w", name, err)
	}
	return nil
}

// Start is what a start came to that was watched.
type Start struct {
	Up     bool   // the declared end of the boot was seen, or services answer where none is declared
	Failed int    // how often the declared sign of a boot that failed was seen
	Anew   int    // how often it began anew, by the banner of a boot
	Said   []byte // what the console showed of it
}

// StartFromOff switches on a DUT that is off, and watches until it is up or has shown so
// many times that its boot failed: a loader that tries again may find something else
// to start. Where neither comes in the time that a boot may take since the last sign, it
// gives what was seen until then.
func (d *Device) StartFromOff(ctx context.Context, tries int) (Start, error) {
	con, err := d.BootConsole()
	if errors.Is(err, ErrNotDeclared) {
		if err := d.PowerOn(ctx); err != nil {
			return Start{}, err
		}
		err := d.Reachable(ctx)
		if errors.Is(err, ErrLost) {
			return Start{}, nil
		}
		return Start{Up: err == nil}, err
	}
	if err != nil {
		return Start{}, err
	}
	from := con.Mark()
	if err := d.PowerOn(ctx); err != nil {
		return Start{}, err
	}
	out, at, err := d.watch(ctx, con, from, tries)
	if err != nil {
		return out, err
	}
	if out.Said, err = con.Excerpt(from, at); err != nil {
		return out, fmt.Errorf("what %s showed of a start: %w", con.Name(), err)
	}
	if out.Up {
		d.cameUp(con, at)
	}
	return out, nil
}

// overdue says whether what was waited for on a console did not come in its time, in which
// the rig's computer was not late.
func overdue(ctx context.Context, err error) bool {
	return errors.Is(err, console.ErrTimeout) && !errors.Is(err, late.ErrLate) && ctx.Err() == nil
}

// endless is after how many boots that begin anew, and do not end, one that ends is not
// waited for any more: what crashes in its first instruction begins anew each second.
const endless = 30

// watch waits for the end of a boot, or for signs that it failed.
func (d *Device) watch(ctx context.Context, con *Console, from console.Cursor, tries int) (out Start, at console.Cursor, err error) {
	boot := con.Boot()
	at = from
	if banner, ok := Pattern("the banner of a cold boot", boot.Banner); ok {
		m, err := con.AwaitBoot(ctx, at, d.bootTime(), banner)
		if overdue(ctx, err) {
			return out, con.Mark(), nil
		} else if err != nil {
			return out, at, err
		}
		at = m.To
	}
	done, _ := Pattern("the end of the boot", boot.Done) // it is declared: the console shows the boot
	signs := []expect.Pattern{done}
	fails, anew := -1, -1 // their places
	if sign, ok := Pattern("the sign of a boot that failed", boot.Fail.Sign); ok {
		fails, signs = len(signs), append(signs, sign)
	}
	if banner, ok := Pattern("the banner of a boot", boot.Banner); ok {
		anew, signs = len(signs), append(signs, banner)
	}
	until := time.Now().Add(d.bootTime())
	for out.Failed < tries && out.Anew < endless {
		m, err := con.AwaitBoot(ctx, at, max(time.Until(until), time.Second), signs...)
		switch {
		case overdue(ctx, err):
			return out, con.Mark(), nil
		case err != nil:
			return out, at, err
		}
		at = m.To
		switch m.Index {
		case 0:
			out.Up = true
			return out, at, nil
		case fails:
			out.Failed++
			until = time.Now().Add(d.bootTime())
		case anew:
			out.Anew++
		}
	}
	return out, at, nil
}
