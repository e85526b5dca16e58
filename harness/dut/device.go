package dut

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"rigor/harness/console"
	"rigor/harness/late"
	"rigor/harness/login/program"
	"rigor/harness/login/pubkey"
	"rigor/harness/login/tap"
	"rigor/harness/login/uart"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Unit is the one device on the rig, by its label.
type Unit struct {
	Serial string
	MAC    string
	Label  string // the password on the label; a secret
	Values map[string]string
	Keys   []pubkey.Key // that are recorded of it
	Others []Unit       // further units of the model, by their labels
}

// public gives what is no secret of the unit, by the names that the rig file has for
// it.
func (u Unit) public() map[string]string {
	out := maps.Clone(u.Values)
	if out == nil {
		out = map[string]string{}
	}
	for name, v := range map[string]string{"serial": u.Serial, "mac": u.MAC} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// Bench is what the rig has, as a Device uses it. Nil and empty mean that
// there is none.
type Bench struct {
	Power     wire.Power
	OffSettle time.Duration
	Lines     map[string]wire.Line
	Consoles  map[string]*console.Console
	Link      wire.Link
	Storages  map[string]wire.Storage
	Pads      wire.Pads // of the DUT's board
	Never     []string  // of them, that no search drives
	// ReadThrough gives the storages that were read by a debug port in this run. Nil: none
	// can be.
	ReadThrough func(port string) []string
	Golden      string      // the line that puts an open unit in the DUT's place on them
	Address     string      // of the DUT, where the profile's states give none
	Ports       map[int]int // the DUT's port → the port at Address
	Secret      func(ref string) (string, error)
	Ask         func(ctx context.Context, question string) (string, error)
	// AskSecret is Ask for what has a credential in it, which is shown on a terminal
	// and nowhere else. Nil where there is none.
	AskSecret func(ctx context.Context, question string) (string, error)
	Exec      func(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error)
	// Image gives a file that the profile names among its images.
	Image func(ref string) ([]byte, error)
	// SpendFlash counts a write of the DUT's flash, and gives a wire.ErrLimit where the
	// rig file allows none that leaves so many more behind it; FlashLeft where it allows
	// less than so many. Nil: they are not limited.
	SpendFlash, FlashLeft func(n int) error
	// Program runs a program that tries a login.
	Program program.Runner
	// Waiting notes a declared wait, and for what; the function that it gives ends
	// it.
	Waiting func(what string) (done func())
	// Late knows for how long the rig's computer kept its programs waiting: what did not
	// come meanwhile is given that time on top. Nil: it never does.
	Late *late.Meter
}

// Device is the DUT as a check sees it. With gives one over a session; without
// a session it can do nothing.
type Device struct {
	Profile *profile.Profile
	unit    Unit
	bench   *Bench
	boots   *atomic.Int64            // power-ons that this run made
	up      *instant                 // when the last boot was seen to end, or begun
	notUp   *instant                 // when that had not ended
	down    *instant                 // when it was last switched off
	dark    *atomic.Pointer[Session] // whose blackout it is in; nil: none
	place   *place                   // where it is, for the whole run
	counted *bootCount
	booted  *coldBoots
	traces  map[string]*uart.Trace // of each console, for the whole run
	book    *keyBook
	images  *images
	webs    *webNotes
	ear     *tap.Dialer // that hears what goes over the network; nil for none
	s       *Session
}

// New makes a device. It has no session yet.
func New(p *profile.Profile, u Unit, b *Bench) *Device {
	traces := map[string]*uart.Trace{}
	for name := range b.Consoles {
		traces[name] = &uart.Trace{}
	}
	return &Device{Profile: p, unit: u, bench: b, boots: &atomic.Int64{}, up: &instant{}, notUp: &instant{}, down: &instant{}, dark: &atomic.Pointer[Session]{}, place: &place{}, book: &keyBook{}, images: &images{}, webs: newWebNotes(), booted: &coldBoots{at: map[string]int{}}, traces: traces,
		counted: &bootCount{from: map[string]console.Cursor{}, n: map[string]int{}}}
}

// With gives the device over a session.
func (d *Device) With(s *Session) *Device {
	cp := *d
	cp.s = s
	return &cp
}

// Live says whether the device has a session.
func (d *Device) Live() bool { return d.s != nil }

// Unit gives the unit on the rig.
func (d *Device) Unit() Unit { return d.unit }

// Secret gives what a reference "secret:NAME" stands for.
func (d *Device) Secret(ref string) (string, error) {
	if d.bench.Secret == nil {
		return "", fmt.Errorf("secret %s: %w", ref, ErrNotWired)
	}
	return d.bench.Secret(ref)
}

// Console gives a console of the DUT.
func (d *Device) Console(name string) (*Console, error) {
	con := d.bench.Consoles[name]
	if con == nil {
		return nil, fmt.Errorf("console %s: %w", name, ErrNotWired)
	}
	return &Console{name: name, decl: d.Profile.Consoles.Items[name], con: con, s: d.s, waiting: d.waiting, late: d.bench.Late}, nil
}

// Gaps says of each console how often its port was away so far, and gives what was
// wrong the last time.
func (d *Device) Gaps() (n map[string]int, last map[string]error) {
	n, last = map[string]int{}, map[string]error{}
	for name, con := range d.bench.Consoles {
		n[name], last[name] = con.Gaps()
	}
	return n, last
}

// Consoles gives the names of the rig's consoles.
func (d *Device) Consoles() []string { return slices.Sorted(maps.Keys(d.bench.Consoles)) }

// Line gives a line of the rig.
func (d *Device) Line(name string) (wire.Line, error) {
	l := d.bench.Lines[name]
	if l == nil {
		return nil, fmt.Errorf("line %s: %w", name, ErrNotWired)
	}
	d.moved() // it may be the reset's
	return d.s.Line(l, wire.Part("line."+name)), nil
}

// Power gives the power switch.
func (d *Device) Power() (wire.Power, error) {
	if d.bench.Power == nil {
		return nil, fmt.Errorf("power switch: %w", ErrNotWired)
	}
	return d.s.Power(d.bench.Power), nil
}

// PartLink names the network link in faults and results.
const PartLink wire.Part = "link"

// Dialer gives the way to the DUT's services. Addresses are the DUT's own:
// a forwarder between is the rig's matter.
func (d *Device) Dialer() (wire.Dialer, error) {
	if d.bench.Link == nil {
		return nil, fmt.Errorf("network: %w", ErrNotWired)
	}
	out := d.s.Dialer(&forwarded{&verified{d.bench.Link, d}, d.bench.Ports}, PartLink)
	if d.ear != nil {
		return d.ear.Over(out), nil
	}
	return out, nil
}

// forwarded dials the DUT's ports where the rig's forwarder has them.
type forwarded struct {
	wire.Dialer
	ports map[int]int
}

// DialContext dials the port at which the rig reaches the DUT's.
func (f *forwarded) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if n, err := strconv.Atoi(port); err == nil && f.ports[n] != 0 {
		address = net.JoinHostPort(host, strconv.Itoa(f.ports[n]))
	}
	return f.Dialer.DialContext(ctx, network, address)
}

// waiting notes a wait for the DUT, for whoever watches the run and for the
// benchmark of the harness's own time.
func (d *Device) waiting(what string) (done func()) {
	if d.bench.Waiting == nil {
		return func() {}
	}
	return d.bench.Waiting(what)
}

// Wait is a declared wait: for a lock-out to end, a window to pass.
func (d *Device) Wait(ctx context.Context, t time.Duration) error {
	return d.s.Do(ctx, "clock", func(ctx context.Context) error {
		defer d.waiting("a declared time of " + t.String())()
		timer := time.NewTimer(t)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait %v: %w", t, context.Cause(ctx))
		}
	})
}

// Within gives a context for what the DUT has to show in a time: it ends when that has gone
// by without what the rig's computer was late in, and by a *late.Error where it was late for
// so long that nothing is shown by what did not come.
func (d *Device) Within(ctx context.Context, t time.Duration) (context.Context, context.CancelFunc) {
	return d.WithinCause(ctx, t, nil)
}

// WithinCause is Within with what the end of the time is told as.
func (d *Device) WithinCause(ctx context.Context, t time.Duration, cause error) (context.Context, context.CancelFunc) {
	return d.bench.Late.Within(ctx, t, cause)
}

// Identity is what the DUT said of itself, and what the rig file says it must.
type Identity struct {
	Want, Got string
	// ByMAC says that Got is not Want, and the DUT was taken for the unit by the
	// hardware address that it tells.
	ByMAC bool
}

// WantIdentity gives the identifier that the rig file says is on the unit's
// label; empty where it does not say.
func (d *Device) WantIdentity() string { return d.identifier(d.unit) }

// identifier gives that of a unit.
func (d *Device) identifier(u Unit) string {
	switch d.Profile.Identity.Equals {
	case "unit.mac":
		return u.MAC
	case "unit.serial", "":
		return u.Serial
	}
	return u.Values[strings.TrimPrefix(d.Profile.Identity.Equals, "unit.")]
}

// ReadIdentity reads the identifier as declared.
func (d *Device) ReadIdentity(ctx context.Context) (string, error) {
	vars, err := d.readIdentity(ctx)
	return vars["serial"], err
}

func (d *Device) readIdentity(ctx context.Context) (map[string]string, error) {
	if len(d.Profile.Identity.Steps) == 0 {
		return nil, fmt.Errorf("how the identity is read: %w", ErrNotDeclared)
	}
	vars, err := d.Steps(ctx, d.Profile.Identity.Steps, nil)
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	return vars, nil
}

// Identify reads the identity and holds it against the rig file. Another
// unit's is ErrOtherUnit. A unit whose identifier is wrong and whose hardware
// address is right is the unit of the rig: that its identifier is wrong is for
// a check to say. It is not where the identifier is that of another unit that the
// rig knows, since boards are copied with their address, nor where the address is one
// that no card was given.
func (d *Device) Identify(ctx context.Context) (Identity, error) {
	vars, err := d.readIdentity(ctx)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Want: d.WantIdentity(), Got: vars["serial"]}
	if id.Want == "" || id.Want == id.Got {
		return id, nil
	}
	another := slices.ContainsFunc(d.unit.Others, func(o Unit) bool { return d.identifier(o) == id.Got && id.Got != "" })
	if mac := vars["mac"]; !another && strings.EqualFold(mac, d.unit.MAC) && given(mac) {
		id.ByMAC = true
		return id, nil
	}
	return id, fmt.Errorf("%w: the rig file says %q, the DUT says %q", ErrOtherUnit, id.Want, id.Got)
}

// given says whether a hardware address is one of a card: not blank, and not a group's.
func given(mac string) bool {
	a, err := net.ParseMAC(mac)
	return err == nil && a[0]&1 == 0 && slices.ContainsFunc(a, func(b byte) bool { return b != 0 })
}

// PowerOns gives how often this run has switched the DUT on: what it counts in
// RAM may be gone with each.
func (d *Device) PowerOns() int64 { return d.boots.Load() }

// Fingerprint says which unit this is and how often it has booted, in one
// line: equal before and after means that the DUT is the same and did not
// reboot in between.
func (d *Device) Fingerprint(ctx context.Context) (string, error) {
	parts := []string{fmt.Sprintf("%d power-ons by us", d.boots.Load())}
	for _, name := range d.Consoles() {
		n, ok, err := d.bootsSeen(name)
		if err != nil {
			return "", err
		}
		if ok {
			parts = append(parts, fmt.Sprintf("%d boots seen on %s", n, name))
		}
	}
	if len(d.Profile.Identity.Steps) > 0 {
		id, err := d.ReadIdentity(ctx)
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("unit %q", id))
	} else if len(parts) == 1 {
		return "", fmt.Errorf("whether the DUT is the same: %w (identity, or the boot banner of a console)", ErrNotDeclared)
	}
	return strings.Join(parts, ", "), nil
}

// Reachable waits until the DUT answers as a started one: its identity can be
// read, or where none is declared, a service takes connections. Where there is
// neither, it is taken as started.
func (d *Device) Reachable(ctx context.Context) error {
	ctx, cancel := d.Within(ctx, d.bootTime())
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := d.shows(ctx)
		if err == nil || IsFault(err) || errors.Is(err, ErrRevoked) {
			return err
		}
		d.moved()
		if over := d.Wait(ctx, wait); over != nil {
			return lost("it does not show itself", late.Because(ctx, unmet(err, over)))
		}
	}
}

// shows looks once whether the DUT answers as a started one.
func (d *Device) shows(ctx context.Context) error {
	_, err := d.readIdentity(ctx)
	if !errors.Is(err, ErrNotDeclared) && !errors.Is(err, ErrNotWired) {
		return err
	}
	if answers, can := d.answers(ctx); can && !answers {
		return errors.New("no declared service takes a connection")
	}
	return nil
}

// answered is how a service's answer without a login counts.
func answered(status int) verdict.Kind {
	switch {
	case status >= 200 && status < 300:
		return verdict.Accepted
	case status == 429 || status == 503:
		return verdict.Throttled
	case status >= 300 && status < 500:
		return verdict.Refused
	}
	return verdict.Garbled
}
