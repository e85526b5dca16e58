package reset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/login"
	"rigor/harness/login/pubkey"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/credential"
)

// tour is what one factory reset showed: from the owner before it to the one behind it.
type tour struct {
	way profile.ResetWay
	n   int // the how many-th it is, from 1 on
	// old is whose things are in the device before: the owner behind that reset, 0 the first.
	old int
	log strings.Builder

	before, between, behind, after *look // look behind: nothing was put in yet by the next owner

	stimulus string // what shows that the device was told to reset; "" where nothing does
	refused  error  // the step of the way that did not work
	signs    []dut.SignSeen
	confirm  []dut.SignSeen
	lively   map[string]bool // lines that changed at all meanwhile
	boots    [2]string
	latency  time.Duration // from telling the device to the first sign
	factory  dut.Answer    // whether it shows itself in its factory state
	lost     error         // it does not say in which state it is: nobody knows
	home     dut.Answer    // and behind the set-up in that of use
	setUp    error         // the step of the set-up that did not work

	shut     []tried               // what the owner's password opens before the next set-up
	nobody   dut.Answer            // and what somebody opens there
	doors    map[string]*doorFacts // what was tried at the logins behind the set-up
	ports    *openPorts            // before the next set-up
	known    []tried               // published logins that were tried there
	knownAt  string                // at which login
	defaults error
	unit     [2]string // identity before and behind
	firmware [2]string
	logs     [2]string
	keys     struct {
		before map[string][]pubkey.Key
		after  map[string]dut.Shown
	}
	over string // why it ended early
}

// tours are those of a run, one for each declared way, in one chain: the owner behind one
// reset is the owner before the next.
type tours struct {
	marked *marked
	list   []*tour
	in     string // the case that made them
}

// made gives the tours of the run. The first case that comes so far makes them.
func made(ctx context.Context, t *check.T) *tours {
	all, in := check.Shared(t, func() *tours { return makeTours(ctx, t) })
	if in != t.ID() {
		t.Note("the factory resets were made in %s: what they showed is looked at", in)
	}
	all.in = in
	return all
}

// resetsMade is what is done once a device may have been reset.
const resetsMade = "the device was reset, or may have been"

func makeTours(ctx context.Context, t *check.T) *tours {
	t.Once(resetsMade, func() {})
	ways := t.Profile().Reset.Ways
	all := &tours{marked: draw(t, len(ways)+1)}
	g := &guide{T: t, marked: all.marked}
	g.settle(ctx)
	defer func() {
		if g.quiet != nil {
			g.quiet.Close()
		}
		all.contradict(t)
	}()
	for i, w := range ways {
		tr := &tour{way: w, n: i + 1, old: g.owner, before: g.last, doors: map[string]*doorFacts{}, lively: map[string]bool{}}
		all.list = append(all.list, tr)
		if g.broken != "" {
			tr.over = g.broken
			continue
		}
		g.walk(ctx, tr)
		if tr.after != nil {
			g.last, g.owner = tr.after, tr.n
		}
	}
	return all
}

// contradict tells of what stands behind a reset where the profile declares that nothing
// can be seen: that is a finding of the case that is not applicable.
func (all *tours) contradict(t *check.T) {
	for _, store := range storeNames(t.Profile()) {
		s := t.Profile().Stores.Items[store]
		for _, view := range []string{viewConsole, viewNetwork} {
			if s == nil || s.Declared() || !viewOf(s, view).Declared() {
				continue
			}
			for _, tr := range all.list {
				for _, l := range []*look{tr.between, tr.behind, tr.after} {
					if l == nil {
						continue
					}
					if where := l.astray(view, nameOf(store, tr.old)); where != "" {
						t.Observe("reset", "what is declared to be seen nowhere there stands there "+tr.by()+": "+where, "rst-canaries["+store+"."+view+"]")
					}
				}
			}
		}
	}
}

// guide makes the tours.
type guide struct {
	*check.T
	marked *marked
	last   *look
	owner  int             // whose things are in it: the owner behind that reset
	held   []*held         // what opened the device before the next reset
	keys   []canary.Marker // what stood where the key is kept, before each reset
	quiet  *dut.SignWatch  // looks out for signs while nothing asks for a reset
	broken string          // why no further reset is made
}

func (tr *tour) say(format string, args ...any) {
	fmt.Fprintf(&tr.log, "%s "+format+"\n", append([]any{time.Now().UTC().Format("15:04:05.000")}, args...)...)
}

// evidence keeps what was done and seen with the case that looks at it.
func (tr *tour) evidence(t *check.T) journal.Ref {
	return t.Keep(fmt.Sprintf("reset-%s.txt", tr.way.ID), "what was done and seen in the reset by way "+tr.way.ID, []byte(tr.log.String()))
}

// settle has the first owner put something into every store, and looks at it.
func (g *guide) settle(ctx context.Context) {
	g.listen(ctx)
	m := begin(g.T, g.marked.set)
	l := newLook("before the first reset")
	why := g.plant(ctx, 0)
	m.images(ctx, l)
	m.owner(ctx, l)
	m.consoles(ctx, l)
	for k, w := range why {
		l.missing[k] = w
	}
	g.last = l
}

// plant puts the markers of an owner into the stores, and says of which it did not work.
func (g *guide) plant(ctx context.Context, owner int) (why map[string]string) {
	why = map[string]string{}
	for _, name := range storeNames(g.Profile()) {
		value, ok := g.marked.values[owner][name]
		if !ok {
			continue
		}
		if _, err := g.Device().Steps(ctx, g.Profile().Stores.Items[name].Plant, map[string]string{"marker": value}); err != nil {
			g.OK(ours(err))
			why["plant "+name] = err.Error()
		}
	}
	return why
}

// walk makes one reset, and the set-up behind it.
func (g *guide) walk(ctx context.Context, tr *tour) {
	fresh := g.Secret(fmt.Sprintf("owner/%d", tr.n), 16)
	door := g.ownDoor()
	if door == nil {
		tr.over = "no login has an owner"
		return
	}
	// The next start gives the owner his own password again, as if it had been changed.
	done := g.Intent(credential.IntentPassword, fmt.Sprintf("the device is reset by way %s and set up with another password in %s", tr.way.ID, g.ID()),
		map[string]string{"login": door.Name(), "label": fmt.Sprintf("%s/owner/%d", g.ID(), tr.n)})
	restored := false
	g.Cleanup(func(ctx context.Context, t *check.T) {
		if restored {
			return
		}
		// What cannot be undone now is the next start's.
		t.OK(credential.Undo(ctx, t.Device(), map[string]string{"login": door.Name()}, func(string, int) string { return fresh }))
		done()
	})
	g.failToLogIn(ctx, tr, door)
	g.facts(ctx, tr, 0)
	g.hold(ctx, tr)
	g.keep(tr)
	since := begin(g.T, g.marked.set)
	since.keys = g.keySet()
	if !g.reset(ctx, tr) {
		restored = g.stillOurs(ctx, door)
		if restored {
			done()
		}
		return
	}
	g.fresh(ctx, tr, since)
	if !g.comeBack(ctx, tr, fresh) {
		g.broken = tr.over
		return
	}
	g.knock(ctx, tr, fresh)
	if tr.n == len(g.Profile().Reset.Ways) {
		g.passwordsAgain(ctx, tr, fresh)
	}
	g.published(ctx, tr)
	own, err := door.Owner()
	g.OK(err)
	tr.say("the owner is given his own password again")
	if _, err := g.Device().Steps(ctx, g.Profile().Password.Change, map[string]string{"old": fresh, "new": own.Password}); err != nil {
		g.OK(ours(err))
		tr.over = "behind the reset the owner's password cannot be changed: " + err.Error()
		g.broken = tr.over
		return
	}
	if _, err := g.Try(ctx, door, own); err == nil {
		restored = true
		done()
	}
	g.given(ctx, tr)
	g.facts(ctx, tr, 1)
	g.arrive(ctx, tr)
	g.heldAgain(ctx, tr)
}

// stillOurs says whether the owner's own password opens the device, or it is not set up:
// then nothing has to be undone.
func (g *guide) stillOurs(ctx context.Context, door *dut.Door) bool {
	own, err := door.Owner()
	g.OK(err)
	a, err := g.Try(ctx, door, own)
	g.OK(err)
	return a.Kind == verdict.Accepted
}

// ownDoor gives a login over the network by which the owner can be looked at.
func (g *guide) ownDoor() *dut.Door {
	for _, name := range check.LoginChannels(g.Profile()) {
		l := g.Profile().Logins.Items[name]
		if l != nil && !l.Declared() && l.Owner.User+l.Owner.Password != "" && l.Protocol != "console" && !l.Aside() {
			return g.Device().Login(name)
		}
	}
	return nil
}

// facts reads what a reset leaves as it is, and the log: 0 before it, 1 behind it.
func (g *guide) facts(ctx context.Context, tr *tour, at int) {
	d, p := g.Device(), g.Profile()
	read := func(ss []profile.Step, only ...string) string {
		if len(ss) == 0 {
			return ""
		}
		vars, err := d.Steps(ctx, ss, nil)
		if err != nil {
			g.OK(ours(err))
			return notRead + err.Error()
		}
		// How often it has booted is read with the firmware, and is no part of it.
		maps.DeleteFunc(vars, func(k, _ string) bool { return len(only) > 0 && !slices.Contains(only, k) })
		return said(vars)
	}
	tr.unit[at], tr.firmware[at] = read(p.Identity.Steps), read(p.Firmware.Read, "version", "digest", "model")
	if len(p.Log.Read) > 0 {
		vars, err := d.Steps(ctx, p.Log.Read, nil)
		g.OK(ours(err))
		if tr.logs[at] = vars["log"]; err != nil {
			tr.logs[at] = ""
		}
	}
	shown := map[string]dut.Shown{}
	for _, ch := range credential.KeyChannels(g.Input()) {
		s, err := d.ShownKeys(ctx, ch)
		g.OK(err)
		shown[ch] = s
	}
	if tr.keys.after = shown; at == 0 {
		tr.keys.before = map[string][]pubkey.Key{}
		for ch, s := range shown {
			tr.keys.before[ch] = s.Keys
		}
	}
}

// notRead begins what is said in the place of what could not be read.
const notRead = "not read: "

// said gives values in one line, by their names.
func said(vars map[string]string) string {
	var parts []string
	for k, v := range vars {
		parts = append(parts, fmt.Sprintf("%s %q", k, v))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// signsWithin is how long the signs of a reset may take where its way does not say.
const signsWithin = time.Minute

// reset tells the device to reset itself, and says whether it did.
func (g *guide) reset(ctx context.Context, tr *tour) bool {
	d, w := g.Device(), tr.way
	confirm := g.Profile().Reset.Confirm.Sign
	signs := g.signsOf(w)
	idle := g.heard(tr)
	watch, err := d.WatchSigns(ctx, slices.Concat(signs, confirm))
	g.OK(err)
	defer watch.Close()
	tr.boots[0] = g.booted(ctx)
	within := w.Within
	if within == 0 {
		within = signsWithin
	}
	limit, cancel := d.Within(ctx, within)
	defer cancel()
	vars := g.trigger(limit, ctx, tr)
	told := time.Now()
	if tr.refused == nil {
		_, err = d.Steps(limit, w.Done, vars)
		g.OK(g.late(ctx, err))
		if err != nil {
			tr.say("what shows that it is through does not come: %v", err)
		}
	}
	d.In(states.Factory.Name)
	patience := bootTime(g.Profile())
	if err := d.Reachable(ctx); err != nil {
		g.OK(ours(err))
		tr.say("behind the reset it does not answer: %v", err)
		patience = 0 // it was waited for
	}
	rest := time.Duration(0)
	if tr.refused == nil || unanswered(tr.refused) {
		rest = max(0, within-time.Since(told)) // it may answer before its user is told
	}
	seen, err := watch.Await(ctx, rest)
	g.OK(err)
	for i := range seen {
		if s := &seen[i]; s.Seen && idle[dut.SignText(s.Sign)] {
			s.Seen, s.Idle, s.Detail = false, true, "it is seen without a reset, too: "+s.Detail
		}
	}
	tr.signs, tr.confirm = seen[:len(signs)], seen[len(signs):]
	for _, s := range seen {
		if at := s.At.Sub(told); s.Seen && at > 0 && (tr.latency == 0 || at < tr.latency) {
			tr.latency = at
		}
		tr.say("%s: seen %v (%s)", dut.SignText(s.Sign), s.Seen, s.Detail)
	}
	for _, name := range watch.Lively() {
		tr.lively[name] = true
	}
	tr.boots[1] = g.booted(ctx)
	_, tr.factory, tr.lost = whichState(ctx, g.T, patience, states.Factory.Name)
	g.OK(ours(tr.lost))
	tr.say("the factory state: %s", tr.factory.Detail)
	if tr.factory.Kind != verdict.Accepted {
		d.In(states.Onboarded.Name)
		switch {
		case tr.lost != nil:
			tr.over = "behind the reset by way " + w.ID + " nobody knows what the device is: " + tr.lost.Error()
		case !tr.happened():
			tr.over = "the reset by way " + w.ID + " did not happen: " + tr.whyNot()
		default:
			tr.over = "behind the reset by way " + w.ID + " the device is not in its factory state: " + tr.factory.Detail
		}
		return false
	}
	d.WasReset()
	return true
}

// trigger does what resets the device.
func (g *guide) trigger(limit, ctx context.Context, tr *tour) (vars map[string]string) { //nolint:revive // one of them bounds the steps, the other the case
	d, w := g.Device(), tr.way
	if p := g.Profile().Press(w.Press); p != nil {
		h, err := d.Press(ctx, *p, over(p.Hold))
		g.OK(err)
		tr.say("line %s was held for %v to %v", p.Line, h.Least.Round(time.Millisecond), h.Most.Round(time.Millisecond))
		return nil
	}
	tr.say("the steps of way %s", w.ID)
	vars, err := d.Steps(limit, w.Steps, nil)
	g.OK(g.late(ctx, err))
	if tr.refused = err; err != nil {
		tr.say("they did not work: %v", err)
		return nil
	}
	if slices.ContainsFunc(w.Steps, func(s profile.Step) bool { return s.HTTP != "" || s.Run != "" }) {
		tr.stimulus = "the device said yes to the request"
	}
	return vars
}

// late gives an error that ends the case: the rig's own, or the end of the case's time.
// That the device did not do something in the time of a way is no such.
func (g *guide) late(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) && check.Judge(err).Reason != verdict.ReasonRigLate {
		return nil
	}
	return ours(err)
}

// booted says how often the device has booted, as far as it shows that.
func (g *guide) booted(ctx context.Context) string {
	text, err := g.Device().Fingerprint(ctx)
	if err != nil {
		g.OK(ours(err))
		return ""
	}
	return text
}

// happened says whether anything shows that the device was reset.
func (tr *tour) happened() bool {
	return tr.factory.Kind == verdict.Accepted || tr.rebooted() || slices.ContainsFunc(tr.signs, func(s dut.SignSeen) bool { return s.Seen })
}

func (tr *tour) rebooted() bool {
	return tr.boots[0] != "" && tr.boots[1] != "" && tr.boots[0] != tr.boots[1]
}

func (tr *tour) whyNot() string {
	if tr.refused != nil {
		return tr.refused.Error()
	}
	return "no sign of it, no boot, and the device is in use as before"
}

// fresh looks at the device between the reset and the next set-up.
func (g *guide) fresh(ctx context.Context, tr *tour, since *moment) {
	d := g.Device()
	state := g.Profile().States.Items[states.Factory.Name]
	for _, name := range check.LoginChannels(g.Profile()) {
		l := g.Profile().Logins.Items[name]
		if l == nil || l.Declared() || l.Owner.User+l.Owner.Password == "" || l.Aside() || l.Protocol == "console" && !slices.Contains(state.Logins, name) {
			continue
		}
		own, err := d.Login(name).Owner()
		g.OK(err)
		a, err := g.Try(ctx, d.Login(name), own)
		g.OK(err)
		tr.shut = append(tr.shut, tried{name: "the owner's password at " + name, a: a})
		if tr.nobody.Kind == "" {
			tr.nobody, err = g.Try(ctx, d.Login(name), login.Credential{User: own.User, Password: g.Secret(fmt.Sprintf("nobody/%d", tr.n), 16)})
			g.OK(err)
		}
		tr.say("before the set-up the owner's password at %s: %s: %s", name, a.Kind, a.Detail)
	}
	g.tryEarly(ctx, tr)
	g.ports(ctx, tr)
	l := newLook(fmt.Sprintf("behind reset %d (%s), before the next set-up", tr.n, tr.way.ID))
	since.images(ctx, l)
	since.consoles(ctx, l)
	tr.between = l
}

// comeBack sets the device up with another password.
func (g *guide) comeBack(ctx context.Context, tr *tour, password string) bool {
	d := g.Device()
	tr.say("the set-up, with another password")
	if _, err := d.Steps(ctx, g.Profile().Setup.Choose, map[string]string{"new": password}); err != nil {
		g.OK(ours(err))
		tr.setUp, tr.over = err, "behind the reset by way "+tr.way.ID+" the set-up does not work: "+err.Error()
		return false
	}
	d.In(states.Onboarded.Name)
	var err error
	tr.home, err = credential.Holds(g.T, states.Onboarded.Name)(ctx)
	g.OK(err)
	if tr.home.Kind != verdict.Accepted {
		tr.over = "behind the set-up the device is not in use: " + tr.home.Detail
		return false
	}
	return true
}

// arrive has the next owner live in it: first nothing of his is there, then his own.
func (g *guide) arrive(ctx context.Context, tr *tour) {
	if ss := g.Profile().Reset.Defaults; len(ss) > 0 {
		_, tr.defaults = g.Device().Steps(ctx, ss, nil)
		g.OK(ours(tr.defaults))
	}
	g.listen(ctx)
	m := begin(g.T, g.marked.set)
	m.keys = g.keySet()
	tr.behind = newLook(fmt.Sprintf("behind the set-up after reset %d (%s)", tr.n, tr.way.ID))
	m.owner(ctx, tr.behind)
	why := g.plant(ctx, tr.n)
	l := newLook(fmt.Sprintf("with the next owner's in it, after reset %d (%s)", tr.n, tr.way.ID))
	m.images(ctx, l)
	m.owner(ctx, l)
	m.consoles(ctx, l)
	for k, w := range why {
		l.missing[k] = w
		tr.say("%s: %s", k, w)
	}
	tr.after = l
}
