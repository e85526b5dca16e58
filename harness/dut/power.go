package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rigor/harness/console"
	"rigor/harness/late"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/wire"
)

// defaultBoot is how long a boot may take where no console declares it.
const defaultBoot = 2 * time.Minute

// bootTime is how long a boot may take, as declared.
func (d *Device) bootTime() time.Duration {
	longest := time.Duration(0)
	for _, name := range d.Profile.Consoles.Order {
		if c := d.Profile.Consoles.Items[name]; c != nil {
			longest = max(longest, c.Boot.Within)
		}
	}
	if longest == 0 {
		return defaultBoot
	}
	return longest
}

// BootConsole gives the console that shows the boot: the first whose end of
// boot is declared and that the rig has.
func (d *Device) BootConsole() (*Console, error) {
	for _, name := range d.Profile.Consoles.Order {
		c := d.Profile.Consoles.Items[name]
		if c != nil && !c.Boot.Done.Zero() && d.bench.Consoles[name] != nil {
			return d.Console(name)
		}
	}
	return nil, fmt.Errorf("a console that shows the boot: %w", ErrNotDeclared)
}

// PowerOff switches the supply off and waits as long as the rig file says that
// it needs to run down.
func (d *Device) PowerOff(ctx context.Context) error {
	p, err := d.Power()
	if err != nil {
		return err
	}
	d.moved()
	if err := p.Off(ctx); err != nil {
		return fmt.Errorf("switch the power off: %w", err)
	}
	d.down.set(time.Now())
	return d.Wait(ctx, d.bench.OffSettle)
}

// PowerOn switches the supply on.
func (d *Device) PowerOn(ctx context.Context) error {
	p, err := d.Power()
	switch {
	case err != nil:
		return err
	case d.s != nil && d.dark.Load() == d.s:
		return fmt.Errorf("switch the power on: %w", errDark)
	}
	d.boots.Add(1)
	now := time.Now()
	d.up.set(now)
	d.notUp.set(now)
	d.moved()
	for _, name := range d.Consoles() {
		con, err := d.Console(name)
		if err != nil {
			return err
		}
		if err := con.starts(ctx); err != nil {
			return err
		}
	}
	if err := p.On(ctx); err != nil {
		return fmt.Errorf("switch the power on: %w", err)
	}
	return nil
}

// PowerUp brings the DUT from whatever it is in to a running one: off, on,
// booted. A rig without a power switch takes it as it is, and a DUT that gives
// no sign of its boot is taken as booted. Where it was brought up so before, and
// a console has shown no boot since, it is running.
func (d *Device) PowerUp(ctx context.Context) error {
	err := d.ColdBoot(ctx, "the start of the run")
	if errors.Is(err, ErrNotWired) || errors.Is(err, ErrNotDeclared) {
		return nil
	}
	return err
}

// PowerCycle switches off and on, and waits for the end of the boot. Where a
// console shows the boot, its banner is the sign that the boot was a cold one.
// Elsewhere no service may answer while the supply is off, or where there is none
// that could, the declared sign of life has to fail then and to come back; where
// none is declared, the cycle is not shown to have happened: ErrNotDeclared.
func (d *Device) PowerCycle(ctx context.Context) error {
	con, conErr := d.BootConsole()
	if err := d.PowerOff(ctx); err != nil {
		return err
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

// cycleBlind ends a power cycle that no console shows.
func (d *Device) cycleBlind(ctx context.Context) error {
	on, can := d.answers(ctx)
	where := "on the network"
	alive := !can && len(d.Profile.Alive.Steps) > 0
	if alive {
		var err error
		if on, err = d.lives(ctx); err != nil {
			return fmt.Errorf("look for the sign of life without the supply: %w", err)
		}
		where = "to the steps of alive"
	}
	if on {
		return &wire.Fault{Part: PartPower, Op: "switch the power off", Err: fmt.Errorf("the DUT answers %s with its supply off", where)}
	}
	if err := d.PowerOn(ctx); err != nil {
		return err
	}
	if err := d.Reachable(ctx); err != nil {
		return err
	}
	d.up.set(time.Now())
	switch none := d.Profile.Alive.None; {
	case alive:
		return d.revives(ctx)
	case can:
		return nil
	case none.Declared():
		return fmt.Errorf("%w that shows whether the power was cut: %s", ErrNotWired, none.None)
	}
	return fmt.Errorf("whether the power was cut: %w (the end of the boot on a console, a login on the network, or alive)", ErrNotDeclared)
}

// lives says whether the declared sign of life comes. That the DUT did not show it
// is an answer; trouble of the rig, a program that was ended before it answered, or a person
// who is not there, is an error.
func (d *Device) lives(ctx context.Context) (bool, error) {
	_, err := d.Steps(ctx, d.Profile.Alive.Steps, nil)
	var not *steps.StepError
	var closed *NoEntryError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &not) && not.Verb == "exec" && not.Unanswered: // nobody looked
		return false, err
	case errors.As(err, &not), errors.As(err, &closed):
		return false, nil
	}
	return false, err
}

// revives waits for the sign of life, as long as a boot may take.
func (d *Device) revives(ctx context.Context) error {
	within, cancel := d.Within(ctx, d.bootTime())
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		on, err := d.lives(within)
		switch {
		case on:
			return nil
		case within.Err() == nil && err != nil:
			return err
		}
		if over := d.Wait(within, wait); over != nil {
			return lost("its sign of life (alive) does not come back", late.Because(within, unmet(err, over)))
		}
	}
}

// ColdBoot makes sure that the DUT has had a cold boot for a purpose in this
// run. Cases that need the same one share it, for as long as a console that
// shows boots has shown no further one (a reset, too, ends in a boot), and the DUT is
// in the state that it was in: what was set up behind a boot has outlasted none.
func (d *Device) ColdBoot(ctx context.Context, purpose string) error {
	con, err := d.BootConsole()
	if err != nil {
		return d.PowerCycle(ctx)
	}
	if n, ok, err := d.bootsSeen(con.name); err == nil && ok && n > 0 && d.booted.load(purpose) == n {
		return nil
	}
	if err := d.PowerCycle(ctx); err != nil {
		return err
	}
	if n, ok, err := d.bootsSeen(con.name); err == nil && ok {
		d.booted.store(purpose, n)
	}
	return nil
}

// coldBoots remembers which of the boots that were seen served which purpose.
type coldBoots struct {
	mu sync.Mutex
	at map[string]int
}

func (c *coldBoots) load(purpose string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[purpose]
}

func (c *coldBoots) store(purpose string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[purpose] = n
}

// forget has the next one boot, whatever for.
func (c *coldBoots) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.at)
}

// Booted waits on a console for the banner of a cold boot, where one is
// declared, and for the declared end of the boot.
func (d *Device) Booted(ctx context.Context, con *Console, from console.Cursor) (console.Match, error) {
	boot := con.Decl().Boot
	ctx, cancel := d.Within(ctx, d.bootTime())
	defer cancel()
	if banner, ok := Pattern("the banner of a cold boot", boot.Banner); ok {
		m, err := con.Expect(ctx, from, banner)
		if err != nil {
			return m, lost("the DUT does not start: no sign of a cold boot", err)
		}
		from = m.To
	}
	done, ok := Pattern("the end of the boot", boot.Done)
	if !ok {
		return console.Match{}, d.Reachable(ctx)
	}
	m, err := con.Expect(ctx, from, done)
	if err != nil {
		return m, lost("the DUT does not finish its boot", err)
	}
	d.cameUp(con, m.To)
	return m, nil
}

// unmet gives why something did not come: the last that was seen of it, or how the wait for
// it ended, where nothing was seen or where it was not the time that ended it.
func unmet(seen, over error) error {
	if seen == nil || IsFault(over) || errors.Is(over, ErrRevoked) || errors.Is(over, context.Canceled) {
		return over
	}
	return seen
}

// lost makes an expectation that was not met within a time a lost DUT; rig trouble and a
// session that is gone stay what they are, and a computer that was late lost nothing.
func lost(what string, err error) error {
	if IsFault(err) || errors.Is(err, ErrRevoked) || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, late.ErrLate) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrLost, what, err)
}

// bootCount counts the banners of cold boots in a console's transcript, each
// piece of it once.
type bootCount struct {
	mu   sync.Mutex
	from map[string]console.Cursor
	n    map[string]int
}

// bootsSeen gives how many banners of cold boots a console has shown. The
// second result is false where none is declared.
func (d *Device) bootsSeen(name string) (int, bool, error) {
	decl := d.Profile.Consoles.Items[name]
	if decl == nil || decl.Boot.Banner.Zero() {
		return 0, false, nil
	}
	c := d.counted
	c.mu.Lock()
	defer c.mu.Unlock()
	raw, err := d.bench.Consoles[name].Since(c.from[name])
	if err != nil {
		return 0, false, fmt.Errorf("count the boots on %s: %w", name, err)
	}
	// A banner that is cut by the end of what has come is left for the next time.
	whole := bytes.LastIndexByte(raw, '\n') + 1
	banner := decl.Boot.Banner
	if banner.Regexp != nil {
		c.n[name] += len(banner.Regexp.FindAllIndex(raw[:whole], -1))
	} else {
		c.n[name] += bytes.Count(raw[:whole], []byte(banner.Literal))
	}
	c.from[name] += console.Cursor(whole)
	return c.n[name], true, nil
}

// Diagnosis says what seems to have become of a DUT that does not show itself
// as expected.
type Diagnosis struct {
	Diagnosis string
	// CanTell says that the rig could tell a DUT that is gone from a rig that
	// is blind: its switch says that the power is on, or some sign of life came.
	CanTell bool
	// Gone says that it shows itself in no way that it should: it is not merely
	// in a state that nobody expected.
	Gone bool
}

// Diagnose looks at a DUT that does not show itself as expected.
func (d *Device) Diagnose(ctx context.Context) Diagnosis {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	state := wire.PowerUnknown
	if p, err := d.Power(); err == nil {
		if s, err := p.State(ctx); err == nil {
			state = s
		}
	}
	if state == wire.PowerOff {
		return Diagnosis{Diagnosis: "off"}
	}
	d.moved()
	speaks := d.speaks(ctx)
	answers, network := d.answers(ctx)
	switch {
	case speaks && (answers || !network):
		return Diagnosis{"in another state than expected", true, false}
	case speaks:
		// A cable that is out somewhere on the way looks the same: nobody shut it up.
		return Diagnosis{"network gone", true, false}
	case answers:
		return Diagnosis{"console silent", true, false}
	}
	return Diagnosis{"hung or off: neither console nor network answers", state == wire.PowerOn, true}
}

// speaks says whether any console sends something after an Enter.
func (d *Device) speaks(ctx context.Context) bool {
	for _, name := range d.Consoles() {
		con, err := d.Console(name)
		if err != nil || con.Decl().Silent {
			continue
		}
		from, err := con.SendLine(ctx, "")
		for _, more := range []string{"", console.XON} { // it may be held by flow control
			if more != "" {
				_, err = con.Send(ctx, []byte(more))
			}
			if err != nil || d.Wait(ctx, 300*time.Millisecond) != nil {
				break
			}
			if b, err := con.Since(from); err == nil && len(b) > 0 {
				return true
			}
		}
	}
	return false
}

// answers says whether any declared service takes a connection, and whether
// there is any that could.
func (d *Device) answers(ctx context.Context) (yes, can bool) {
	dial, err := d.Dialer()
	if err != nil {
		return false, false
	}
	seen := map[int]bool{}
	for _, name := range d.Profile.Logins.Order {
		l := d.Profile.Logins.Items[name]
		if l == nil || l.Port == 0 || seen[l.Port] {
			continue
		}
		seen[l.Port] = true
		addr, err := d.Address(ctx, l.Port)
		if err != nil {
			return false, can || errors.Is(err, wire.ErrNobody)
		}
		can = true
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		c, err := dial.DialContext(ctx, "tcp", addr)
		cancel()
		if err == nil {
			_ = c.Close() // that it was taken is all that was asked
			return true, true
		}
	}
	return false, can
}

// Recover tries the declared way back of a DUT that does not answer; a power
// cycle where none is declared.
func (d *Device) Recover(ctx context.Context) error {
	d.book.mu.Lock()
	d.book.recoveries++
	d.book.mu.Unlock()
	r := d.Profile.Recovery
	within := r.Within
	if within == 0 {
		within = d.bootTime() + 10*time.Second
	}
	ctx, cancel := d.Within(ctx, within)
	defer cancel()
	var err error
	if len(r.Steps) > 0 {
		_, err = d.Steps(ctx, r.Steps, nil)
	} else {
		err = d.PowerUp(ctx)
	}
	if err != nil {
		return fmt.Errorf("bring the DUT back: %w", err)
	}
	return d.Reachable(ctx)
}

// Boot gives a console's declaration of the boot.
func (c *Console) Boot() profile.Boot { return c.Decl().Boot }
