package update

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// A race is tried so often, until forged ones over each channel came all along the time that
// the DUT had a genuine one that it took. How much later than the genuine one they begin,
// adapts: who is first may have the other one sent away, and who is late comes to what is
// over.
const (
	raceTries = 10
	raceNone  = 8 // tries before them in which no genuine one was taken, until it is given up
	raceLater = 4 * time.Millisecond
	// How much of that time may be without one, all tries together: it is tried on until it is
	// raceWanted, and beyond raceWithout the race counts as not run. In which part of it a
	// second image would get in, nobody knows; the longer the part without one, the less a
	// race that was not lost says.
	raceWanted  = 1. / 2
	raceWithout = 2. / 3
	// raceHeld is in how many tries a DUT has to have kept all of them waiting until it was
	// through, until it counts as one that lets nothing in.
	raceHeld = 3
)

// sameLanes are how many forged images go over the channel of a genuine one at the same
// time; over each other channel goes one.
const sameLanes = 3

// raced claims that what runs is what was verified where two images come at the same time,
// over one channel or over several: a buffer, a file or a flag that both of them share is
// where the one stands in for the other. Where an image is copied first and installed then,
// the other one is copied over it.
func (s *seat) raced(ctx context.Context, parent *shelf.Image, forged *mutant.Mutant) {
	image := dut.Image{Name: forged.Name, Bytes: padded(forged.Bytes(), len(parent.Bytes))}
	lanes, alone := s.lanes(ctx, image)
	if len(alone) == 0 {
		return
	}
	r := &race{before: s.now, alone: alone, came: map[string][]dut.Phase{}, held: map[string]int{}}
	over := r.over()
	for late := raceLater; r.goesOn(); {
		was := s.running
		s.raceOnce(ctx, r, dut.Image{Name: parent.String(), Bytes: parent.Bytes}, image, late, lanes)
		if s.running != was && s.running != parent || s.now.Pending != "" || r.taken && len(r.missed(raceWanted)) == 0 {
			break
		}
		if !r.taken {
			late = 2*late + raceLater
			continue
		}
		if late = r.aim(); !r.genuine.Taken {
			continue
		}
		if next := s.shelf.Next(s.running); next != nil && next.Rank == parent.Rank {
			parent = next
		} else {
			break // beside a newer one the forged one is refused for its age alone
		}
	}
	ref := s.t.Keep("raced.json", "a genuine image and forged ones that were delivered at the same time, and what ran behind a restart", s.ran(r))
	list := strings.Join(over, ", ")
	s.t.Claim("two images at a time: what runs is what the maker signed", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("an image of the maker's runs", fmt.Sprintf("%d forged deliveries beside it, over %s; %s; %s runs", r.sent, list, r.told(), s.now))
		switch {
		case s.eitherOf(parent, forged):
			c.Unknown(verdict.ReasonIneffective, "%s runs: that is what the genuine image shows, and the forged one too", s.now)
		case shelf.Says(s.now.Version, s.now.Digest, forged.Shows):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is %s (%s; %s), delivered beside %s over %s: it was not what was verified", r.before, s.now, forged.Name, forged.Why, forged.Differs(), parent, list)
		case s.running == nil && s.foreign(ctx, s.now):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is none of the maker's images", r.before, s.now)
		case s.running == nil || s.now.Pending != "":
			c.Unknown(verdict.ReasonDUTChanged, "%s ran before, and now %s", r.before, s.now)
		case !r.taken:
			c.Unknown(verdict.ReasonIneffective, "beside the forged ones the genuine image was never taken: %s: %s", r.genuine.Kind, r.genuine.Detail)
		case len(r.missed(raceWithout)) > 0:
			c.Unknown(verdict.ReasonIneffective, "the race was not run all along: of the time that the DUT had the genuine one, %s", r.told())
		}
	})
	if s.running == nil {
		s.t.OK(s.back(ctx))
	}
}

// race is what became of images that went at the same time.
type race struct {
	before  dut.Running
	alone   []lone // what a forged one takes over each channel where it comes alone
	n       int    // tries
	none    int    // of them before a genuine one was taken
	sent    int    // forged deliveries, of all tries
	genuine dut.Delivery
	others  []dut.Raced
	taken   bool // a genuine one was

	// Of the tries in which the genuine one was taken, by channel.
	came map[string][]dut.Phase // when forged ones came while the DUT had it
	held map[string]int         // in how many tries the DUT kept them all waiting
	got  time.Duration          // how long behind its beginning the DUT had the last of them whole
	had  time.Duration          // and from then on until it was answered
}

// lone is how long a forged delivery takes over a channel where it comes alone.
type lone struct {
	over string
	took time.Duration
}

// goesOn says whether there is another try.
func (r *race) goesOn() bool {
	if !r.taken {
		return r.n < raceNone
	}
	return r.n-r.none < raceTries
}

// over gives the channels of the forged ones.
func (r *race) over() (out []string) {
	for _, a := range r.alone {
		out = append(out, a.over)
	}
	return out
}

// note takes in a try in which the genuine one was taken. Where the DUT sends some away that
// come over a channel, one that it refuses as it does where it comes alone did not meet the
// genuine one: it came before that was looked at, or behind.
func (r *race) note() {
	r.got, r.had = r.genuine.Got().Sub(r.genuine.Began), r.genuine.Done().Sub(r.genuine.Got())
	for _, a := range r.alone {
		in, held := 0, 0
		for _, o := range r.others {
			if o.Over != a.over {
				continue
			}
			waited := o.HeldBy(r.genuine, a.took)
			if p, ok := o.During(r.genuine); ok && (o.Kind != verdict.Refused || !r.sends(a.over)) {
				r.came[a.over] = append(r.came[a.over], p)
				if p.To <= 1 && !waited {
					in++
				}
			}
			if waited {
				held++
			}
		}
		if in == 0 && held > 0 {
			r.held[a.over]++
		}
	}
}

// sends says whether the DUT sends some away over a channel that come beside another one.
func (r *race) sends(over string) bool {
	return slices.ContainsFunc(r.others, func(o dut.Raced) bool {
		_, in := o.During(r.genuine)
		return in && o.Over == over && o.Kind != verdict.Refused
	})
}

// missed gives the channels over which more of the time was without one.
func (r *race) missed(than float64) []string {
	return slices.DeleteFunc(r.over(), func(name string) bool {
		_, part := without(r.came[name])
		return part <= than || r.held[name] >= raceHeld
	})
}

// aim gives how much later than the genuine one the forged ones begin in the next try, so
// that they come where the longest part is without one.
func (r *race) aim() time.Duration {
	var from, longest float64
	for _, name := range r.missed(raceWanted) {
		if at, part := without(r.came[name]); part > longest {
			from, longest = at, part
		}
	}
	return r.got + time.Duration((from+longest/4)*float64(r.had))
}

// told says how far the race was run over each channel.
func (r *race) told() string {
	var out []string
	for _, name := range r.over() {
		_, part := without(r.came[name])
		text := fmt.Sprintf("the longest part without one over %s is %.0f%%", name, 100*part)
		if n := r.held[name]; n > 0 {
			text += fmt.Sprintf(" (%d times it kept them waiting until it was through)", n)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// without gives the longest part of the time in which none came as a whole, and where it
// begins: when within the time that it took one came to the DUT, the rig does not know.
func without(came []dut.Phase) (start, longest float64) {
	from := []float64{0}
	for _, p := range came {
		from = append(from, p.From)
	}
	for i, at := range from {
		end := 1.0
		for _, p := range came {
			if p.From > at || i == 0 && p.From >= at {
				end = min(end, p.To)
			}
		}
		if end-at > longest {
			start, longest = at, end-at
		}
	}
	return start, longest
}

// raceOnce delivers all of them, and looks what runs behind a restart: whatever was
// answered, either of them may have been installed.
func (s *seat) raceOnce(ctx context.Context, r *race, genuine, forged dut.Image, late time.Duration, lanes []dut.Beside) {
	s.mind()
	var err error
	if s.u.Copies() {
		r.genuine, r.others, err = s.u.Overwrite(ctx, genuine, forged, late, lanes...)
	} else {
		r.genuine, r.others, err = s.u.Race(ctx, genuine, late, lanes...)
	}
	s.t.OK(err)
	r.n++
	r.sent += len(r.others)
	if r.genuine = arrived(r.genuine); r.genuine.Taken {
		r.taken = true
		r.note()
	} else if !r.taken {
		r.none++
	}
	_, err = s.u.Apply(ctx)
	s.t.OK(err)
	s.begin(ctx)
}

// lanes gives what goes beside a genuine image: the forged one over its own channel, and
// over each other one that refuses it where it comes alone: else that it runs says nothing
// of what came with it. Why another channel is left out, its own cases tell. None where the
// channel itself does not refuse it.
func (s *seat) lanes(ctx context.Context, image dut.Image) (lanes []dut.Beside, alone []lone) {
	own, d := s.refusedAlone(ctx, s.u, image)
	if !own {
		ref := s.t.Keep("alone.txt", "the forged image, delivered alone", fmt.Appendf(nil, "%s: %s: %s\n%s", image.Name, d.Kind, d.Detail, d.Raw))
		s.t.Claim("two images at a time: what runs is what the maker signed", func(c *check.Claim) {
			c.Show(ref)
			c.Unknown(verdict.ReasonAntiControl, "the forged image is not refused where it comes alone: %s: %s", d.Kind, d.Detail)
		})
		return nil, nil
	}
	alone = []lone{{s.u.Name(), d.Took}}
	if !s.u.Copies() { // else it is copied over the other one
		for range sameLanes {
			lanes = append(lanes, dut.Beside{Over: s.u, Image: image})
		}
	}
	for _, name := range besides(s.t.Input(), s.u.Name()) {
		u := s.d.Update(name)
		ok, d := s.refusedAlone(ctx, u, image)
		if !ok {
			s.t.Note("nothing is delivered over %s at the same time: the forged image is not refused there where it comes alone: %s: %s", name, d.Kind, d.Detail)
			continue
		}
		lanes, alone = append(lanes, dut.Beside{Over: u, Image: image}), append(alone, lone{name, d.Took})
	}
	return lanes, alone
}

// besides gives the other channels over which an image can come while one comes over this
// one: those that leave the device running, and consoles, of which there is one each, alone.
func besides(in check.Input, own string) (out []string) {
	for _, name := range channels(in.Profile) {
		if u := in.Profile.Updates.Items[name]; name != own && u != nil && !u.Declared() && races(u) && channelCase(in, name).Skip == nil {
			out = append(out, name)
		}
	}
	return out
}

// refusedAlone says whether the forged image is refused over a channel where it comes alone,
// and how it was answered. A device that takes it is brought back.
func (s *seat) refusedAlone(ctx context.Context, over *dut.Update, image dut.Image) (refused bool, d dut.Delivery) {
	at := *s
	at.u = over
	for range patience {
		var err error
		d, err = at.deliver(ctx, image)
		s.t.OK(err)
		d = arrived(d)
		if d.Taken || d.Kind == verdict.Refused {
			break
		}
	}
	s.minded = at.minded
	if d.Taken {
		_, err := over.Apply(ctx)
		s.t.OK(err)
		s.begin(ctx)
		if !s.usable() {
			s.t.OK(s.back(ctx))
		}
	}
	return d.Kind == verdict.Refused, d
}

// eitherOf says whether what runs is shown by a genuine image and by a forged one alike.
func (s *seat) eitherOf(parent *shelf.Image, forged *mutant.Mutant) bool {
	return shelf.Says(s.now.Version, s.now.Digest, forged.Shows) && shelf.Says(s.now.Version, s.now.Digest, parent.Shows)
}

// ran is the evidence of a race.
func (s *seat) ran(r *race) []byte {
	type line struct {
		Over   string       `json:"over"`
		Taken  bool         `json:"taken,omitempty"`
		Kind   verdict.Kind `json:"kind"`
		Detail string       `json:"detail"`
		Raw    string       `json:"raw,omitempty"`
		FromUS int64        `json:"from_us"` // when all of it had gone, from when the genuine one began
		ToUS   int64        `json:"to_us"`   // when it was answered
	}
	of := func(over string, d dut.Delivery) line {
		return line{over, d.Taken, d.Kind, d.Detail, escape.Visible(string(d.Raw)), d.Got().Sub(r.genuine.Began).Microseconds(), d.Done().Sub(r.genuine.Began).Microseconds()}
	}
	out := struct {
		Tries   int                    `json:"tries"`
		Told    string                 `json:"told"`
		Came    map[string][]dut.Phase `json:"came"`    // while the DUT had the genuine one, of all tries
		Genuine line                   `json:"genuine"` // of the last try, as what is below
		Forged  []line                 `json:"forged"`
		Before  dut.Running            `json:"before"`
		After   dut.Running            `json:"after"`
	}{Tries: r.n, Told: r.told(), Came: r.came, Genuine: of(s.u.Name(), r.genuine), Before: r.before, After: s.now}
	for _, o := range r.others {
		out.Forged = append(out.Forged, of(o.Over, o.Delivery))
	}
	data, err := json.MarshalIndent(out, "", " ")
	s.t.OK(err)
	return data
}

// races says whether two images can come over a channel at the same time.
func races(u *profile.Update) bool {
	return u.Network() && len(u.Lines()) == 0 && !u.Local() && !talks(u.Steps)
}

// talks says whether steps take a console, which there is one of.
func talks(ss []profile.Step) bool {
	for _, s := range ss {
		if s.Verb == "console" || s.Verb == "transfer" || s.Verb == "smp" || s.Verb == "power" || talks(s.Steps) {
			return true
		}
	}
	return false
}
