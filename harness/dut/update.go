package dut

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/steps"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Update is one channel by which images get into the DUT.
type Update struct {
	name string
	d    *Device
	decl *profile.Update
}

// Update gives a channel; one that nobody declared gives errors by its methods.
func (d *Device) Update(name string) *Update {
	return &Update{name: name, d: d, decl: d.Profile.Updates.Items[name]}
}

// Name gives the channel's name.
func (u *Update) Name() string { return u.name }

// Image is what is delivered. Second is what the rig serves in its place once it was
// fetched, where the DUT fetches it; nil for the same.
type Image struct {
	Name   string
	Bytes  []byte
	Second []byte
	// Back says that it brings the DUT back to a genuine image: it may use up what the
	// limit of flash-writes keeps for that.
	Back bool
	// gone is called when a file of the delivery has gone over; nil for nobody.
	gone func()
	// Behind is how many times the DUT may fetch the first one from its beginning on,
	// until the second comes; 0: from its second request on.
	Behind int
}

// flashKept is how many writes of the flash are kept to bring the DUT back.
const flashKept = 3

// FlashLeft gives a wire.ErrLimit where the rig file allows less than so many further
// writes of the DUT's flash.
func (d *Device) FlashLeft(n int) error {
	if d.bench.FlashLeft == nil {
		return nil
	}
	return d.bench.FlashLeft(n + flashKept)
}

// spend counts an image that the DUT may write.
func (d *Device) spend(img Image) error {
	keep := flashKept
	if img.Back {
		keep = 0
	}
	if d.bench.SpendFlash == nil {
		return nil
	}
	return d.bench.SpendFlash(keep)
}

// Deliver carries the image to the DUT as the owner does it, and says what the DUT
// answered. The error is the rig's own trouble.
func (u *Update) Deliver(ctx context.Context, img Image) (Delivery, error) {
	if u.decl == nil {
		return Delivery{}, fmt.Errorf("update channel %s: %w", u.name, ErrNotDeclared)
	}
	d, err := u.deliver(ctx, img, u.decl.Steps, u.decl.Refused, guised{})
	if d.Taken {
		return d, nil
	}
	if lerr := u.leave(ctx); err == nil { // else the rig's trouble is what is told
		err = lerr
	}
	return d, err
}

func (u *Update) deliver(ctx context.Context, img Image, ss []profile.Step, no profile.Refusals, as guised) (Delivery, error) {
	if err := u.d.spend(img); err != nil {
		return Delivery{}, fmt.Errorf("deliver %s over %s: %w", img.Name, u.name, err)
	}
	path, remove, err := imageFile(img.Bytes)
	if err != nil {
		return Delivery{}, err
	}
	defer remove()
	whole := ctx
	ctx, cancel := u.d.Within(ctx, u.decl.Time())
	defer cancel()
	sum := sha256.Sum256(img.Bytes)
	c := &carrying{image: img}
	start := time.Now()
	as.target = target{Device: u.d, c: c}
	vars, err := steps.Run(ctx, as, ss, map[string]string{"image": path, "image-size": strconv.Itoa(len(img.Bytes)), "image-sha256": hex.EncodeToString(sum[:])})
	d := c.delivery(img, vars)
	d.Began, d.Took, d.Early = start, time.Since(start), u.decl.Early
	if err == nil {
		d.Taken, d.Kind, d.Detail = true, verdict.Unproven, "the DUT says that it has taken it"
		return d, nil
	}
	var se *steps.StepError
	if !errors.As(err, &se) {
		if ctx.Err() != nil && whole.Err() == nil && !IsFault(err) && !errors.Is(ctx.Err(), late.ErrLate) { // its own time is over, not the case's
			d.Kind, d.Detail = verdict.Unreachable, fmt.Sprintf("it was not delivered within %v: %v", u.decl.Time(), err)
			return d, nil
		}
		return d, late.Because(ctx, err)
	}
	d.Detail, d.Raw = se.Error(), se.Answer
	d.Kind, d.SaysWhole = refusalOf(se, no)
	d.Shut = u.shut(se, d.Kind)
	d.Erred = erred(se.Status, c.served != nil, d)
	return d, nil
}

// leave brings the DUT out of a mode in which a delivery left it.
func (u *Update) leave(ctx context.Context) error {
	if len(u.decl.Leave) == 0 {
		return nil
	}
	_, err := u.d.Steps(ctx, u.decl.Leave, nil)
	var se *steps.StepError
	if errors.As(err, &se) {
		return fmt.Errorf("%w: behind a delivery by %s: %w", ErrLost, u.name, err)
	}
	return err
}

// refusalOf says what an answer is that is not the one that is expected. Whole says of a
// refusal that it is declared to be one of what the DUT has got whole.
func refusalOf(se *steps.StepError, no profile.Refusals) (kind verdict.Kind, whole bool) {
	if se.Unanswered {
		return verdict.Unreachable, false
	}
	for _, r := range no {
		if (r.Status == 0 || r.Status == se.Status) && (r.Match.Zero() || patternIn(r.Match, se.Answer)) {
			kind, whole = verdict.Refused, whole || r.Whole
		}
	}
	switch {
	case kind != "":
		return kind, whole
	case se.NotNow():
		return verdict.Throttled, false
	}
	return verdict.Garbled, false
}

func patternIn(p profile.Pattern, text []byte) bool {
	if p.Regexp != nil {
		return p.Regexp.Match(text)
	}
	return strings.Contains(string(text), p.Literal)
}

// imageFile puts an image where steps and programs find it.
func imageFile(b []byte) (path string, remove func(), err error) {
	fault := func(err error) error { return &wire.Fault{Part: "disk", Op: "write an image", Err: err} }
	dir, err := os.MkdirTemp("", "rigor-image-")
	if err != nil {
		return "", nil, fault(err)
	}
	remove = func() { _ = os.RemoveAll(dir) } // a folder of ours for temporary files
	path = filepath.Join(dir, "firmware.bin")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		remove()
		return "", nil, fault(err)
	}
	return path, remove, nil
}

// ErrNotRestarted says that no sign of a restart came.
var ErrNotRestarted = errors.New("no sign of a restart came")

// Apply has what was delivered run, and waits until the DUT has started. It shows that
// there was a restart: by a boot that a console showed, by the supply, or by what the
// DUT counts. The refusal that a start shows, where one is declared, is given with
// its text.
func (u *Update) Apply(ctx context.Context) (refusedAtBoot string, err error) {
	if u.decl == nil || len(u.decl.Apply) == 0 {
		return "", fmt.Errorf("how an update by %s is made to run: %w", u.name, ErrNotDeclared)
	}
	d := u.d
	before, err := d.starts(ctx)
	if err != nil {
		return "", err
	}
	var con *Console
	var from console.Cursor
	if name := u.decl.AtBoot.Console; name != "" {
		if con, err = d.Console(name); err != nil {
			return "", err
		}
		from = con.Mark()
	}
	if _, err := d.Steps(ctx, u.decl.Apply, nil); err != nil {
		return "", fmt.Errorf("restart behind an update: %w", err)
	}
	if err := d.Reachable(ctx); err != nil {
		return "", err
	}
	after, err := d.starts(ctx)
	if err != nil {
		return "", err
	}
	if after == before {
		return "", fmt.Errorf("restart behind an update by %s: %w (%s)", u.name, ErrNotRestarted, after)
	}
	if con == nil {
		return "", nil
	}
	raw, err := con.Since(from)
	if err == nil && patternIn(u.decl.AtBoot.Seen, raw) {
		return "as declared, the start shows that it refuses it", nil
	}
	return "", err
}

// starts sums up what tells one start from the next.
func (d *Device) starts(ctx context.Context) (string, error) {
	parts := []string{fmt.Sprintf("%d power-ons", d.boots.Load())}
	for _, name := range d.Consoles() {
		n, ok, err := d.bootsSeen(name)
		if err != nil {
			return "", err
		}
		if ok {
			parts = append(parts, fmt.Sprintf("%d boots on %s", n, name))
		}
	}
	if run, err := d.Firmware(ctx); err == nil && run.Boot != "" {
		parts = append(parts, "boot "+run.Boot)
	}
	return strings.Join(parts, ", "), nil
}

// Running is what the DUT says of its firmware.
type Running struct {
	Version string `json:"version"`
	Digest  string `json:"digest,omitempty"`  // in hex; empty where it does not tell
	Pending string `json:"pending,omitempty"` // what waits for a restart, or to be confirmed
	Boot    string `json:"-"`
	// Tells says that it tells whether something waits.
	Tells bool `json:"-"`
}

// String gives "1.4.2 (a1b2c3…)".
func (r Running) String() string {
	s := r.Version
	if r.Digest != "" {
		s += " (" + r.Digest[:min(12, len(r.Digest))] + ")"
	}
	if r.Pending != "" {
		s += ", " + r.Pending + " waits"
	}
	return s
}

// Same says whether two say the same of what runs and waits.
func (r Running) Same(o Running) bool {
	return r.Version == o.Version && r.Digest == o.Digest && r.Pending == o.Pending
}

// OnTrial says whether what waits is what runs: no start is waited for, but that the image
// is found to go well.
func (r Running) OnTrial() bool {
	return r.Pending != "" && (r.Pending == r.Version || shelf.SameVersion(r.Pending, r.Version) || shelf.SameVersion(r.Version, r.Pending))
}

// Firmware reads what runs.
func (d *Device) Firmware(ctx context.Context) (Running, error) {
	if len(d.Profile.Firmware.Read) == 0 {
		return Running{}, fmt.Errorf("how the firmware's version is read: %w", ErrNotDeclared)
	}
	vars, err := d.Steps(ctx, d.Profile.Firmware.Read, nil)
	if err != nil {
		return Running{}, fmt.Errorf("read the firmware's version: %w", err)
	}
	_, tells := vars["pending"]
	return Running{Version: vars["version"], Digest: strings.ToLower(vars["digest"]), Pending: vars["pending"], Boot: vars["boot"], Tells: tells}, nil
}

// Settled reads what runs, once nothing waits any more: an image that is tried
// confirms itself a moment behind the start. What waits longer than a start may take
// stays in the answer.
func (d *Device) Settled(ctx context.Context) (Running, error) {
	until := time.Now().Add(min(d.bootTime(), maxSettle))
	for {
		run, err := d.Firmware(ctx)
		if err != nil || run.Pending == "" || time.Now().After(until) {
			return run, err
		}
		if err := d.Wait(ctx, 20*time.Millisecond); err != nil {
			return run, err
		}
	}
}

// Confirmed is Settled behind a start, where an image may be on trial that tells so: the
// health check of an A/B updater marks it good up to a minute behind the services. One that
// is not confirmed in ConfirmTime stays on trial in the answer.
func (d *Device) Confirmed(ctx context.Context) (Running, error) {
	until := time.Now().Add(d.ConfirmTime())
	run, err := d.Settled(ctx)
	for wait := 50 * time.Millisecond; err == nil && run.OnTrial() && time.Now().Before(until); wait = min(2*wait, time.Second) {
		if err := d.Wait(ctx, wait); err != nil {
			return run, err
		}
		run, err = d.Firmware(ctx)
	}
	return run, err
}

// ConfirmTime is for how long an image is waited for that is on trial: a minute, or as long
// as a boot may take.
func (d *Device) ConfirmTime() time.Duration { return max(d.bootTime(), time.Minute) }

// maxSettle bounds how long an image that waits is waited for.
const maxSettle = 2 * time.Second

// ReturnTo walks the declared way back to the version from before, as its owner.
func (d *Device) ReturnTo(ctx context.Context) error {
	if len(d.Profile.Images.ReturnTo.Steps) == 0 {
		return fmt.Errorf("the way back to the version from before: %w", ErrNotDeclared)
	}
	if _, err := d.Steps(ctx, d.Profile.Images.ReturnTo.Steps, nil); err != nil {
		return fmt.Errorf("go back to the version from before: %w", err)
	}
	return d.Reachable(ctx)
}

// ReturnBelow walks the way back as its owner, where it has to be refused.
func (d *Device) ReturnBelow(ctx context.Context) (Delivery, error) {
	return d.walked(ctx, d.Profile.Images.ReturnTo.Steps, d.Profile.Images.ReturnTo.Below, nil)
}

func (d *Device) walked(ctx context.Context, ss []profile.Step, no profile.Refusals, over map[string]login.Access) (out Delivery, err error) {
	start := time.Now()
	_, err = steps.Run(ctx, guised{target: target{Device: d}, over: over}, ss, nil)
	out.Carried, out.Early, out.Took = -1, true, time.Since(start) // nothing is carried
	var se *steps.StepError
	switch {
	case err == nil:
		out.Taken, out.Kind, out.Detail = true, verdict.Unproven, "the steps went as they should for who may"
		return out, d.Reachable(ctx)
	case !errors.As(err, &se):
		return out, err
	}
	out.Detail, out.Raw = se.Error(), se.Answer
	out.Kind, _ = refusalOf(se, no)
	return out, nil
}

// Visit makes requests without a login.
func (t target) Visit(ctx context.Context, loginName string) (login.Access, error) {
	l := t.Profile.Logins.Items[loginName]
	if l == nil {
		return nil, fmt.Errorf("login %s: %w", loginName, ErrNotDeclared)
	}
	addr, err := t.Address(ctx, l.Port)
	if err != nil {
		return nil, err
	}
	dial, err := t.Dialer()
	if err != nil {
		return nil, err
	}
	return web.Visit(web.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Waiting: t.page(addr)})
}

// Serve has the rig serve a file. Only what is fetched of the image counts for it.
func (t target) Serve(ctx context.Context, file []byte) (url string, stop func(), err error) {
	f := &served{first: file, path: "/" + rand.Text() + "/firmware.bin"}
	if t.c != nil && t.c.isImage(file) {
		f.second, f.behind, t.c.served = t.c.image.Second, t.c.image.Behind, f
	}
	return t.serve(ctx, f)
}

// Carried notes what went over, and when: of the image, or of a file beside it.
func (t target) Carried(file []byte, n, of int, last time.Time) {
	if t.c == nil {
		return
	}
	t.c.n, t.c.of = t.c.n+min(n, of), t.c.of+of
	if !t.c.isImage(file) {
		return
	}
	t.c.told, t.c.last = true, last
	if t.c.image.gone != nil && n >= of {
		t.c.image.gone()
	}
}
