package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/powercut"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Blackout is a time in which the DUT has no supply, from in the middle of its work.
type Blackout struct {
	d    *Device
	told console.Cursor // on the console that shows boots, when the supply was told to go
	at   time.Time      // when the switch said that it had switched
}

// errDark says that steps of the work would have switched a supply on that was taken
// away from it.
var errDark = errors.New("the supply was taken away in the midst of the work")

// Blackout takes the supply away and returns when it has run down, as the rig file
// says. Until its end nothing else of the session switches it on. A limit of the rig file is powercut.ErrSpent: then it was not taken away.
func (d *Device) Blackout(ctx context.Context) (*Blackout, error) {
	b := &Blackout{d: d}
	if con, err := d.BootConsole(); err == nil {
		b.told = con.Mark()
	}
	d.dark.Store(d.s)
	if err := d.PowerOff(ctx); err != nil {
		d.dark.CompareAndSwap(d.s, nil)
		if errors.Is(err, wire.ErrLimit) {
			return nil, fmt.Errorf("%w: %w", powercut.ErrSpent, err)
		}
		return nil, err
	}
	b.at = d.DownSince()
	return b, nil
}

// End gives the supply back and proves that it was away: by the banner of a cold boot,
// where a console shows one, before which nothing of the work went on; elsewhere by
// what no longer answered. It does not wait for the end of the boot. The cursor is
// behind the banner, the zero cursor where there is none. Own says whether a boot that
// began at a time may be the work's own; nil: none is. A switch that bounces makes
// boots as well.
//
// What does not prove it is powercut.ErrNotOff: the DUT spoke without its supply, began
// a boot by itself, or went on with its work. No sign of a boot at all is ErrLost: the
// supply, the console or the DUT is gone.
func (b *Blackout) End(ctx context.Context, work []profile.CutPhase, own func(at time.Time) bool) (console.Cursor, error) {
	d := b.d
	d.dark.CompareAndSwap(d.s, nil)
	con, err := d.BootConsole()
	if err != nil {
		return 0, d.cycleBlind(ctx)
	}
	banner, ok := Pattern("the banner of a cold boot", con.Boot().Banner)
	if !ok {
		return 0, fmt.Errorf("how a cold boot shows itself: %w (boot.banner of console %s)", ErrNotDeclared, con.Name())
	}
	on := con.Mark()
	spoke, err := b.spoke(con, on, own)
	if err != nil {
		return 0, err
	}
	if err := d.PowerOn(ctx); err != nil {
		return 0, err
	}
	m, err := con.AwaitBoot(ctx, on, d.bootTime(), banner)
	if err != nil {
		return 0, lost("the DUT does not start when it has its supply again: no sign of a cold boot", err)
	}
	if spoke == "" {
		spoke, err = b.wentOn(con, m.From, work)
	}
	switch {
	case err != nil:
		return 0, err
	case spoke != "":
		return m.To, fmt.Errorf("%w: %s", powercut.ErrNotOff, spoke)
	}
	return m.To, nil
}

// onItsWay is how long what the DUT had sent may take to arrive after its supply went:
// adapters on USB gather for 16 ms, a busy computer looks later.
const onItsWay = 50 * time.Millisecond

// spoke says what came while there was no supply that a DUT without one does not say;
// "" for nothing. It came before on.
func (b *Blackout) spoke(con *Console, on console.Cursor, own func(time.Time) bool) (string, error) {
	if on > b.told && con.When(on-1).After(b.at.Add(onItsWay)) {
		return fmt.Sprintf("console %s shows something %v after the supply had gone", con.Name(), con.When(on-1).Sub(b.at).Round(time.Millisecond)), nil
	}
	boots, err := con.Boots(b.told, on)
	if err != nil {
		return "", err
	}
	for _, at := range boots {
		if own == nil || !own(at) {
			return "a boot began on console " + con.Name() + " when the supply was to be away", nil
		}
	}
	return "", nil
}

// Boots gives when the cold boots began that the console shows between two cursors.
func (c *Console) Boots(from, to console.Cursor) (out []time.Time, err error) {
	raw, err := c.Excerpt(from, to)
	if err != nil {
		return nil, fmt.Errorf("the boots on console %s: %w", c.Name(), err)
	}
	banner, start := c.Boot().Banner, from
	for !banner.Zero() {
		at, end := index(banner, raw)
		if at < 0 {
			break
		}
		out = append(out, c.When(start+console.Cursor(at)))
		raw, start = raw[end:], start+console.Cursor(end)
	}
	return out, nil
}

// wentOn says what part of the work began on the console after the supply had gone,
// and before the cold boot; "" for none.
func (b *Blackout) wentOn(con *Console, boot console.Cursor, work []profile.CutPhase) (string, error) {
	raw, err := con.Excerpt(b.told, boot)
	if err != nil {
		return "", fmt.Errorf("what console %s showed before the boot: %w", con.Name(), err)
	}
	for _, ph := range work {
		if ph.Console != con.Name() {
			continue
		}
		if at := lastIndex(ph.Seen, raw); at >= 0 && con.When(b.told+console.Cursor(at)).After(b.at.Add(onItsWay)) {
			return fmt.Sprintf("the work went on: phase %s began after the supply had gone", ph.ID), nil
		}
	}
	return "", nil
}

// lastIndex gives where a pattern begins the last time in a text, -1 where it is not
// in it.
func lastIndex(p profile.Pattern, raw []byte) int {
	if p.Regexp == nil {
		if p.Literal == "" {
			return -1
		}
		return bytes.LastIndex(raw, []byte(p.Literal))
	}
	all := p.Regexp.FindAllIndex(raw, -1)
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1][0]
}

// CameUp waits for the end of the boot behind a blackout; from is behind the banner. It
// says whether the DUT came up within the time, or as long as a boot may take where
// that is 0, and if not, what it showed last. A boot that shows the declared sign of a
// failure has as long as that is to be watched to come up all the same.
func (d *Device) CameUp(ctx context.Context, from console.Cursor, within time.Duration) (up bool, last string, err error) {
	if within == 0 {
		within = d.bootTime()
	}
	con, err := d.BootConsole()
	if err != nil {
		return d.reached(ctx, within)
	}
	done, _ := Pattern("the end of the boot", con.Boot().Done)
	patterns := []expect.Pattern{done}
	if sign, ok := Pattern("the sign of a boot that failed", con.Boot().Fail.Sign); ok {
		patterns = append(patterns, sign)
	}
	m, err := con.AwaitBoot(ctx, from, within, patterns...)
	if err == nil && m.Index == 1 {
		m, err = con.AwaitBoot(ctx, m.To, max(con.Boot().Fail.Watch, time.Second), done)
	}
	switch {
	case err == nil:
		d.cameUp(con, m.To)
		return d.reached(ctx, within)
	case IsFault(err), errors.Is(err, ErrRevoked), errors.Is(err, late.ErrLate), ctx.Err() != nil:
		return false, "", err
	}
	raw, rerr := con.Since(from)
	if rerr != nil {
		return false, "", fmt.Errorf("what console %s showed of the boot: %w", con.Name(), rerr)
	}
	return false, login.Tail(raw, 200), nil
}

// reached waits until the DUT answers as a started one.
func (d *Device) reached(ctx context.Context, within time.Duration) (up bool, last string, err error) {
	within = max(within, d.bootTime())
	waiting, cancel := d.Within(ctx, within)
	defer cancel()
	err = d.Reachable(waiting)
	switch {
	case err == nil:
		return true, "", nil
	case IsFault(err), errors.Is(err, ErrRevoked), errors.Is(err, late.ErrLate), ctx.Err() != nil:
		return false, "", err
	}
	return false, err.Error(), nil
}
