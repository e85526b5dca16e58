package update

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/journal"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

var onboarded = states.Onboarded.Name

// seat is a channel as a case works on it: the maker's images, and which of them runs.
type seat struct {
	t       *check.T
	d       *dut.Device
	u       *dut.Update
	shelf   *shelf.Shelf
	now     dut.Running
	running *shelf.Image
	last    dut.Delivery // of a genuine image
	rank    int          // of the newest genuine image that ran in this case
	list    journal.Ref  // of the mutants
	starts  *dut.Running // what the last restart told of the image that it started
	backing bool         // it is being brought back
	// settling: how long an image needs until a start does not undo it is being looked at.
	settling bool
	minded   func() // closes what the next start may have to undo; nil where nothing was delivered
}

// exhausted is what a case says that needs a newer image than there is.
const exhausted = "the ladder is exhausted: the profile names no image that is newer than %s, which runs, and no other one of its version; build newer ones, or declare return-to"

// sit reads what runs. A DUT that runs what is none of the maker's is brought back
// first, where that is possible.
func sit(ctx context.Context, t *check.T) *seat { return sitAt(ctx, t, t.Case().Channel) }

// sitAt is sit at a channel that is not the case's.
func sitAt(ctx context.Context, t *check.T, channel string) *seat {
	s := &seat{t: t, d: t.Device(), u: t.Device().Update(channel)}
	var err error
	s.shelf, err = s.d.Images()
	t.OK(err)
	s.now, err = s.look(ctx)
	t.OK(err)
	unasked := t.Unasked(s.now)
	s.saw(s.now)
	if unasked != "" {
		t.Note("%s runs: that is %s", s.now, unasked)
	}
	if !s.usable() {
		was := s.now
		t.OK(s.back(ctx))
		t.Note("%s was there, and %s runs now", was, s.now)
	}
	if !s.usable() {
		t.Inconclusive(verdict.ReasonPrecondition, "the DUT runs %s, which is none of the maker's images alone", s.now)
	}
	return s
}

// usable says whether an image of the ladder runs, and nothing waits.
func (s *seat) usable() bool {
	return s.running != nil && s.running.Rank >= 0 && s.now.Pending == ""
}

// read reads what runs.
func (s *seat) read(ctx context.Context) {
	now, err := s.look(ctx)
	s.t.OK(err)
	s.saw(now)
}

// saw takes in what runs.
func (s *seat) saw(now dut.Running) {
	s.now, s.running = now, s.shelf.Genuine(now.Version, now.Digest)
	s.t.Ran(now)
	if s.running != nil {
		s.rank = max(s.rank, s.running.Rank)
	}
}

// begin reads what runs behind a start, once it is no more on trial.
func (s *seat) begin(ctx context.Context) {
	now, err := s.begun(ctx)
	s.t.OK(err)
	s.saw(now)
}

// begun is look behind a start.
func (s *seat) begun(ctx context.Context) (dut.Running, error) {
	now, err := s.look(ctx)
	if err != nil || !now.OnTrial() {
		return now, err
	}
	return s.d.Confirmed(ctx)
}

// look reads what runs, of the unit that is on the rig.
func (s *seat) look(ctx context.Context) (dut.Running, error) {
	if len(s.d.Profile.Identity.Steps) > 0 {
		if _, err := s.d.Identify(ctx); err != nil {
			return dut.Running{}, err
		}
	}
	return s.d.Settled(ctx)
}

// waiting reads what runs and what waits for its start: as things are, since what waits
// stays until it is applied.
func (s *seat) waiting(ctx context.Context) (dut.Running, error) {
	if len(s.d.Profile.Identity.Steps) > 0 {
		if _, err := s.d.Identify(ctx); err != nil {
			return dut.Running{}, err
		}
	}
	return s.d.Firmware(ctx)
}

// next gives the image by which it costs least to show that a genuine one is taken; the
// case ends where there is none.
func (s *seat) next() *shelf.Image {
	img := s.shelf.Next(s.running)
	if img == nil {
		s.t.Inconclusive(verdict.ReasonCoverageGap, exhausted, s.now.Version)
	}
	return img
}

// mind writes down that the DUT may be left with something that it must not run.
func (s *seat) mind() {
	if s.minded == nil {
		s.minded = s.t.Intent(IntentUpdate, "images were delivered over "+s.u.Name(), map[string]string{"channel": s.u.Name()})
		done := s.minded
		s.t.Cleanup(func(ctx context.Context, t *check.T) {
			c := &seat{t: t, d: t.Device(), u: t.Device().Update(s.u.Name()), shelf: s.shelf, rank: s.rank, minded: func() {}}
			t.OK(c.present(ctx))
			c.read(ctx)
			if !c.usable() {
				t.OK(c.back(ctx))
			}
			done()
		})
	}
}

// deliver delivers a file, and again what broke on the way.
func (s *seat) deliver(ctx context.Context, img dut.Image) (dut.Delivery, error) {
	s.mind()
	img.Back = s.backing
	return s.u.Deliver(ctx, img)
}

// patience is how often a genuine image is delivered that broke on the way.
const patience = 3

// answered says whether a delivery shows all that it can show: once more would show no
// more.
func answered(d dut.Delivery) bool {
	return d.Taken || d.Refuses() || d.Kind == verdict.Refused && !d.Told()
}

// arrived gives a delivery for who holds a refusal against the DUT, or for it: one of
// which it is not shown that it got there was no refusal of the image.
func arrived(d dut.Delivery) dut.Delivery {
	if d.Kind == verdict.Refused && !d.Taken && !d.Refuses() {
		d.Kind, d.Detail = verdict.Unreachable, fmt.Sprintf("it was refused when %s: %s", d.Reach(), d.Detail)
	}
	return d
}

// install delivers a genuine image, has it run, and looks. What it gives is Accepted
// where the image runs and nothing waits.
func (s *seat) install(ctx context.Context, img *shelf.Image) (dut.Answer, error) {
	var d dut.Delivery
	var err error
	for range patience {
		if d, err = s.deliver(ctx, dut.Image{Name: img.String(), Bytes: img.Bytes}); err != nil || answered(d) {
			break
		}
	}
	d = arrived(d)
	s.last = d
	if err != nil || !d.Taken {
		d.Detail = fmt.Sprintf("%s: %s", img, d.Detail)
		if err == nil {
			err = s.present(ctx)
		}
		return d.Answer, err
	}
	if _, err := s.u.Apply(ctx); err != nil {
		return d.Answer, err
	}
	now, err := s.begun(ctx)
	if err != nil {
		return d.Answer, err
	}
	before := s.now
	s.saw(now)
	d.Kind, d.Detail = verdict.Unproven, fmt.Sprintf("%s was delivered and taken; %s ran before, and behind a restart %s", img, before, now)
	if now.Pending == "" && shelf.Says(now.Version, now.Digest, img.Shows) {
		d.Kind, d.Detail = verdict.Accepted, fmt.Sprintf("%s was delivered; %s ran before, and %s runs now", img, before, now)
		return d.Answer, s.settle(ctx, img)
	}
	return d.Answer, nil
}

// present restarts a DUT that a delivery left in a mode of its own, where nothing of it
// can be read.
func (s *seat) present(ctx context.Context) error {
	_, err := s.look(ctx)
	if err == nil || check.Judge(err).Verdict == verdict.Error {
		return err
	}
	_, err = s.u.Apply(ctx)
	return err
}

// back brings a DUT that runs what is none of the maker's, or has something waiting, to
// a genuine image: by a restart, or by the next image that it takes.
func (s *seat) back(ctx context.Context) error {
	s.backing = true
	defer func() { s.backing = false }()
	if s.now.Pending != "" { // it may be refused at the next start
		if _, err := s.u.Apply(ctx); err != nil {
			return err
		}
		now, err := s.begun(ctx)
		if err != nil {
			return err
		}
		if s.saw(now); s.usable() {
			return nil
		}
	}
	if len(s.d.Profile.Images.ReturnTo.Steps) > 0 { // it may lead to what ran before
		err := s.d.ReturnTo(ctx)
		if err != nil && check.Judge(err).Verdict == verdict.Error {
			return err
		}
		now, lerr := s.begun(ctx)
		if lerr != nil {
			return lerr
		}
		if s.saw(now); s.usable() {
			s.t.Note("back to a genuine image by the declared way to the version before: %s", now)
			return nil
		}
	}
	var why []string
	for _, img := range s.shelf.Newer(s.rank - 1) {
		a, err := s.install(ctx, img)
		if err != nil {
			return err
		}
		if a.Kind == verdict.Accepted {
			s.t.Note("back to a genuine image: %s", a.Detail)
			return nil
		}
		if len(why) < 3 {
			why = append(why, a.Detail)
		}
	}
	return fmt.Errorf("%w: no genuine image is taken any more: %s", errNoWayBack, strings.Join(why, "; "))
}

var errNoWayBack = errors.New("there is no way back")

// made are the mutants of one or several kinds that could be made of a parent.
type made struct {
	refused  []*mutant.Mutant // those that a device must not take
	harmless []*mutant.Mutant
	unmade   []string
}

// make makes the mutants of a parent, and keeps what they are.
func (s *seat) make(parent *shelf.Image, kinds ...mutant.Kind) made {
	set, err := s.shelf.Mutants(parent, s.running, s.seed(), s.now.Digest != "")
	s.t.OK(err)
	var m made
	for _, r := range set.Of(kinds...) {
		if r.Unmade != "" {
			m.unmade = append(m.unmade, r.Name+": "+r.Unmade)
			continue
		}
		x, err := r.Make()
		s.t.OK(err)
		if twin(x, parent, s.running) {
			m.unmade = append(m.unmade, fmt.Sprintf("%s: it says what %s says, which runs: that it was taken could not be seen", x.Name, s.running))
			continue
		}
		if x.Expect == mutant.Harmless {
			m.harmless = append(m.harmless, x)
		} else {
			m.refused = append(m.refused, x)
		}
	}
	return m
}

// twin says whether a mutant that is made of another image than the one that runs says what
// that one says: another product's package of the same content is one, once its hardware
// is forged.
func twin(x *mutant.Mutant, parent, running *shelf.Image) bool {
	return running != nil && parent != running && parent.Shows.TellsApart(running.Shows) && x.Shows.Hash != "" && x.Shows.Hash == running.Shows.Hash
}

// keep keeps what the mutants are, and which could not be made.
func (s *seat) keep(parent fmt.Stringer, shows mutant.Shows, m made) {
	data, err := json.MarshalIndent(struct {
		Parent string           `json:"parent"`
		Shows  mutant.Shows     `json:"shows"`
		Refuse []*mutant.Mutant `json:"to_be_refused,omitempty"`
		Either []*mutant.Mutant `json:"harmless,omitempty"`
		Unmade []string         `json:"not_made,omitempty"`
	}{parent.String(), shows, m.refused, m.harmless, m.unmade}, "", " ")
	s.t.OK(err)
	s.list = s.t.Keep("mutants.json", "what was delivered: of which image it is made, what was changed, and what verifiers say of it", data)
}

// seed is the same for each run with one seed, and for each case: a mutant that was taken
// over one channel is the same on the next.
func (s *seat) seed() uint64 { return s.t.Seed() }

// refute claims that none of the mutants is taken.
func (s *seat) refute(ctx context.Context, text string, parent *shelf.Image, probes []*mutant.Mutant) bool {
	n := s.claim(parent, strongestLast(probes))
	if n.Leaves = s.d.Profile.Images.Leaves.None; n.Leaves == "" && looksIn(s.t.Input()) {
		n.Held = s.held
	}
	return check.RefuteBracketed(ctx, s.t, text, n)
}

// strongestLast has those delivered last that lack nothing but what a signature shows. Only
// one image is in a slot: where a DUT leaves there what it refuses, the last one is what its
// next start finds, and a start that looks at less than the installer takes these the
// soonest.
func strongestLast(probes []*mutant.Mutant) []*mutant.Mutant {
	out := slices.Clone(probes)
	slices.SortStableFunc(out, func(a, b *mutant.Mutant) int { return rank(a) - rank(b) })
	return out
}

func rank(m *mutant.Mutant) int {
	if m.Proof.Unsigned.Accepts {
		return 1
	}
	return 0
}

// claim is what a claim about mutants of a parent is tried with.
func (s *seat) claim(parent *shelf.Image, probes []*mutant.Mutant) check.Bracketed[*mutant.Mutant] {
	return check.Bracketed[*mutant.Mutant]{
		Open: func(ctx context.Context) (dut.Answer, error) { return s.install(ctx, parent) },
		Anti: func(ctx context.Context) (dut.Delivery, error) {
			return s.deliver(ctx, dut.Image{Name: "no image at all", Bytes: s.shelf.Garbage(parent, s.seed())})
		},
		Probes:  probes,
		Name:    func(m *mutant.Mutant) string { return m.Name + " (" + m.Why + ")" },
		Brief:   func(m *mutant.Mutant) string { return m.Name },
		Differs: differs,
		Deliver: func(ctx context.Context, m *mutant.Mutant) (dut.Delivery, error) {
			return s.deliver(ctx, whole(m))
		},
		Shows: func(m *mutant.Mutant, now dut.Running) bool {
			return shelf.Says(now.Version, now.Digest, m.Shows) || now.Pending != "" && shelf.SameVersion(now.Pending, m.Shows.Version)
		},
		Genuine: func(now dut.Running) bool { return s.shelf.Genuine(now.Version, now.Digest) != nil },
		Later: func(m *mutant.Mutant) func(dut.Running) bool {
			shows := m.Shows
			return func(now dut.Running) bool { return shelf.Says(now.Version, now.Digest, shows) }
		},
		Told:     s.told,
		Restarts: restarts(s.d.Profile.Updates.Items[s.u.Name()].Steps),
		Restart:  s.restart,
		Look:     s.look,
		Recover:  s.recover,
		Back: func(ctx context.Context) error {
			s.read(ctx)
			return s.back(ctx)
		},
		Early: s.d.Profile.Updates.Items[s.u.Name()].Early,
		Detail: func(m *mutant.Mutant) any {
			return struct {
				Lacks   mutant.Property `json:"lacks"`
				Changes []mutant.Change `json:"changes"`
				Proof   mutant.Proof    `json:"proof"`
				Digest  string          `json:"sha256"`
			}{m.Lacks, m.Changes, m.Proof, m.Digest}
		},
	}
}

// differs says in what a mutant is not its parent; nothing of what is genuine as a whole.
func differs(m *mutant.Mutant) string {
	if m.Lacks == mutant.Freshness || m.Lacks == mutant.Product {
		return ""
	}
	return m.Differs()
}

// whole is a mutant as it is delivered.
func whole(m *mutant.Mutant) dut.Image { return dut.Image{Name: m.Name, Bytes: m.Bytes()} }
