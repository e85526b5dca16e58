package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/late"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// Edge is a change of a line's level.
type Edge struct {
	At       time.Time
	Asserted bool
}

// LineWatch notes each change of a line while something else is done.
type LineWatch struct {
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	edges []Edge
	err   error // of the line
}

// lateness is when a computer was late with what it was to do, and by how much.
type lateness struct {
	at time.Time
	by time.Duration
}

// WatchLine begins to note a line's changes; the first edge is its level now. Whoever
// begins it ends it.
func (d *Device) WatchLine(ctx context.Context, name string) (*LineWatch, error) {
	l, err := d.Line(name)
	if err != nil {
		return nil, err
	}
	level, err := l.Asserted(ctx)
	if err != nil {
		return nil, fmt.Errorf("line %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &LineWatch{stop: cancel, done: make(chan struct{})}
	w.saw(Edge{time.Now(), level})
	go w.follow(ctx, l, level)
	return w, nil
}

func (w *LineWatch) follow(ctx context.Context, l wire.Line, level bool) {
	defer close(w.done)
	for {
		at, err := l.Wait(ctx, !level)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
		level = !level
		w.saw(Edge{at, level})
	}
}

// pulseEvery is how often it is looked whether the computer is in time.
const pulseEvery = 5 * time.Millisecond

// pulse notes how late the computer is with what it is to do: an edge is seen as late, and
// a button let go.
type pulse struct {
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	late []lateness
}

func newPulse(ctx context.Context) *pulse {
	ctx, cancel := context.WithCancel(ctx)
	p := &pulse{stop: cancel, done: make(chan struct{})}
	go p.beat(ctx)
	return p
}

func (p *pulse) beat(ctx context.Context) {
	defer close(p.done)
	t := time.NewTicker(pulseEvery)
	defer t.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now()
		if by := now.Sub(last) - pulseEvery; by > pulseEvery {
			p.mu.Lock()
			p.late = append(p.late, lateness{now, by})
			p.mu.Unlock()
		}
		last = now
	}
}

// in gives by how much the computer was late in a time, at most.
func (p *pulse) in(from, to time.Time) (most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.late {
		if l.at.After(from) && l.at.Add(-l.by).Before(to) {
			most = max(most, l.by)
		}
	}
	return most
}

// about gives by how much the computer was late, at most, where a light can have blinked for
// a time and not been seen to: within that time of a change of its line, or late for about
// as long. Of blinks that last longer than a lateness, some change is seen.
func (p *pulse) about(edges []Edge, blinks time.Duration) (most time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.late {
		near := l.by >= blinks*3/4
		for _, e := range edges[min(1, len(edges)):] { // the first one is no change
			near = near || e.At.After(l.at.Add(-l.by-blinks)) && e.At.Before(l.at.Add(blinks))
		}
		if near {
			most = max(most, l.by)
		}
	}
	return most
}

// close ends it. It may be called twice.
func (p *pulse) close() {
	p.stop()
	<-p.done
}

func (w *LineWatch) saw(e Edge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edges = append(w.edges, e)
}

// Edges gives what was noted so far.
func (w *LineWatch) Edges() ([]Edge, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.edges), w.err
}

// Close ends the watch. It may be called twice.
func (w *LineWatch) Close() {
	w.stop()
	<-w.done
}

// usualTimes is how often a light blinks where a sign does not say.
const usualTimes = 3

// Blinks looks for a light that blinks as a sign has it, so many times in a row, and says
// when that began; edges are all there were until a time. Nearest is how long the blinks
// took, without the pause behind the last one, that came nearest to it; 0 where there were
// not so many. Late says by how much the computer was late in a time: an edge may be seen
// as much later than it was. In all they may take between three fifths and eight fifths of
// what is declared, however late the edges were seen: a light that blinks half as fast or
// twice as fast is another sign. A light that blinks so often and no more has nothing
// behind its last pause: that has to last for half of its time, and may last for longer. A
// light that was lit before, and is again behind it, blinks by going off so many times.
// Uneven says that so many took about as long in all, at least half of what they were made
// of was as declared, and some was not: a device that has something else to do for a
// moment, or a computer that is late with one edge, makes that of the same sign.
func Blinks(edges []Edge, s profile.Sign, until time.Time, late func(from, to time.Time) time.Duration) (ok bool, at time.Time, nearest time.Duration, uneven bool) {
	n := times(s)
	for i := 1; i+2*n-1 < len(edges); i++ { // the first one is no edge, but the level at the beginning
		if !edges[i].Asserted && n == 1 {
			continue // one time off is a start as well
		}
		last := i + 2*n - 1 // where the last blink ends
		lasts, pause := s.On, s.Off
		if !edges[i].Asserted {
			lasts, pause = s.Off, s.On
		}
		want := blinksFor(n, lasts, pause)
		took := edges[last].At.Sub(edges[i].At)
		if nearest == 0 || (took-want).Abs() < (nearest-want).Abs() {
			nearest = took
		}
		rest := until
		if last+1 < len(edges) {
			rest = edges[last+1].At
		}
		if most := edges[last].At.Add(pause); rest.After(most) {
			rest = most // what comes behind it is no part of it
		}
		by := late(edges[i].At, rest)
		odd := odd(edges[i:last+1], s, by)
		// For how long it was lit when the watch began, nobody knows.
		short := !edges[i].Asserted && i > 1 && edges[i].At.Sub(edges[i-1].At) < pause/2-by
		if short || rest.Sub(edges[last].At) < pause/2-by {
			odd++
		}
		if within(took, want, by) && odd == 0 {
			return true, edges[i].At, took, false
		}
		uneven = uneven || within(took, want, 0) && odd <= n
	}
	return false, time.Time{}, nearest, uneven
}

// blinksFor is how long so many blinks take, without the pause behind the last one.
func blinksFor(n int, lasts, pause time.Duration) time.Duration {
	return time.Duration(n)*lasts + time.Duration(n-1)*pause
}

// odd counts how often the light was on or off for another time than a sign has it.
func odd(edges []Edge, s profile.Sign, late time.Duration) (n int) {
	for i := range len(edges) - 1 {
		want := s.On
		if !edges[i].Asserted {
			want = s.Off
		}
		if (edges[i+1].At.Sub(edges[i].At) - want).Abs() > want/2+late {
			n++
		}
	}
	return n
}

// within says whether what took a time, give or take by, took about as long as wanted:
// between three fifths and eight fifths of it.
func within(took, want, by time.Duration) bool { return took-by >= want*3/5 && took+by <= want*8/5 }

// SignSeen is what became of a sign.
type SignSeen struct {
	Sign   profile.Sign
	Seen   bool
	At     time.Time // when it was first seen
	Detail string    // what was seen, or was not
	Err    error     // the rig cannot see it: no such wire
	// Idle says that it is seen also where nothing was done that it is a sign of, and so
	// is none.
	Idle bool
	// Late says that the computer was too busy to see a light that blinks as fast, or for
	// the sign to come in its time, or that the light blinked as fast and unevenly: whether
	// that is the sign is not told by it.
	Late bool
}

// SignText says in words what a sign is.
func SignText(s profile.Sign) string {
	if s.Line != "" {
		return fmt.Sprintf("line %s blinks %v on, %v off, %d times", s.Line, s.On, s.Off, times(s))
	}
	if s.Seen.Regexp != nil {
		return fmt.Sprintf("console %s shows /%s/", s.Console, s.Seen.Regexp)
	}
	return fmt.Sprintf("console %s shows %q", s.Console, s.Seen.Literal)
}

func times(s profile.Sign) int {
	if s.Times == 0 {
		return usualTimes
	}
	return s.Times
}

// SignWatch looks out for signs while something else is done.
type SignWatch struct {
	d     *Device
	signs []SignSeen
	begun time.Time
	pulse *pulse
	lines map[string]*LineWatch
	texts []*signText // of each sign; nil for a light
}

// signText looks for a text in what a console says, each byte once: a watch looks often,
// and a boot says much.
type signText struct {
	con      *Console
	set      *expect.Set
	from, at console.Cursor // where it began, and up to where it has looked
}

// newSignText begins to look for it in what comes from now on.
func newSignText(con *Console, s profile.Sign) *signText {
	p, _ := Pattern(SignText(s), s.Seen) // the profile's decoder has compiled it
	at := con.Mark()
	// A forbidden one is found as soon as it matches at all, however it goes on.
	return &signText{con: con, set: expect.NewSet(int64(at), 0, p.Prompt(0).Forbidden()), from: at, at: at}
}

// look looks at what has come since the last time, and says whether it is there and when
// it came.
func (t *signText) look() (found bool, when time.Time, err error) {
	now := t.con.Mark()
	if now == t.at {
		return false, time.Time{}, nil
	}
	raw, err := t.con.Excerpt(t.at, now)
	if err != nil {
		return false, time.Time{}, err
	}
	t.at = now
	hit, ok := t.set.Feed(raw)
	if !ok {
		if hit, ok = t.set.End(); !ok { // as if this were all
			return false, time.Time{}, nil
		}
	}
	if raw, err = t.con.Excerpt(console.Cursor(hit.From), console.Cursor(hit.Upto)); err != nil {
		return true, time.Now(), nil //nolint:nilerr // it came; when is kept no more
	}
	return true, t.con.When(console.Cursor(t.set.Resolve(hit, raw).From)), nil
}

// WatchSigns begins to look out for signs. Whoever begins it ends it. The error is the
// rig's own trouble; a sign that the rig has no wire for says so in Look.
func (d *Device) WatchSigns(ctx context.Context, signs []profile.Sign) (*SignWatch, error) {
	w := &SignWatch{d: d, begun: time.Now(), pulse: newPulse(ctx), lines: map[string]*LineWatch{}}
	for _, s := range signs {
		seen := SignSeen{Sign: s}
		var text *signText
		switch {
		case s.Console != "":
			con, err := d.Console(s.Console)
			if seen.Err = err; err == nil {
				text = newSignText(con, s)
			}
		case w.lines[s.Line] == nil:
			l, err := d.WatchLine(ctx, s.Line)
			if err != nil && !errors.Is(err, ErrNotWired) {
				w.Close()
				return nil, err
			}
			if seen.Err = err; err == nil {
				w.lines[s.Line] = l
			}
		}
		w.signs, w.texts = append(w.signs, seen), append(w.texts, text)
	}
	return w, nil
}

// Close ends the watch. It may be called twice.
func (w *SignWatch) Close() {
	w.pulse.close()
	for _, l := range w.lines {
		l.Close()
	}
}

// Look says what was seen of each sign so far. The error is the rig's own trouble.
func (w *SignWatch) Look() ([]SignSeen, error) {
	for i := range w.signs {
		s := &w.signs[i]
		if s.Err != nil {
			s.Detail = s.Err.Error()
			continue
		}
		if s.Seen {
			continue
		}
		if err := w.look(s, w.texts[i]); err != nil {
			return nil, err
		}
	}
	return slices.Clone(w.signs), nil
}

func (w *SignWatch) look(s *SignSeen, text *signText) error {
	if s.Sign.Line != "" {
		now := time.Now() // what came before it may be seen behind it, and not the other way round
		edges, err := w.lines[s.Sign.Line].Edges()
		if err != nil {
			return err
		}
		var took time.Duration
		var uneven bool
		s.Seen, s.At, took, uneven = Blinks(edges, s.Sign, now, w.pulse.in)
		late := w.pulse.about(edges, blinksFor(times(s.Sign), s.Sign.On, s.Sign.Off))
		tooLate := late > min(s.Sign.On, s.Sign.Off)/2
		s.Late = !s.Seen && (tooLate || uneven)
		s.Detail = fmt.Sprintf("line %s changed %d times; the %d blinks in a row that came nearest took %v of %v", s.Sign.Line, len(edges)-1,
			times(s.Sign), took.Round(time.Millisecond), blinksFor(times(s.Sign), s.Sign.On, s.Sign.Off))
		if s.Late && uneven {
			s.Detail += ", unevenly"
		}
		if s.Late && tooLate {
			s.Detail += fmt.Sprintf("; the computer that watched it was late by up to %v", late.Round(time.Millisecond))
		}
		return nil
	}
	found, when, err := text.look()
	if err != nil {
		return fmt.Errorf("look for %s: %w", SignText(s.Sign), err)
	}
	s.Seen, s.At = found, when
	s.Detail = fmt.Sprintf("%d bytes came on console %s, with it: %v", text.at-text.from, s.Sign.Console, found)
	return nil
}

// lookEvery is how often a watch looks: signs come by events, and consoles have no
// event for all of their patterns.
const lookEvery = 5 * time.Millisecond

// Await waits until each sign that the rig can see was seen, or the time is over, and
// gives what became of them.
func (w *SignWatch) Await(ctx context.Context, within time.Duration) ([]SignSeen, error) {
	defer w.d.waiting("signs of the DUT")()
	limit, cancel := w.d.Within(ctx, within)
	defer cancel()
	for {
		over := limit.Err()
		seen, err := w.Look()
		if err != nil {
			return nil, err
		}
		open := slices.ContainsFunc(seen, func(s SignSeen) bool { return !s.Seen && s.Err == nil })
		switch {
		case !open:
			return seen, nil
		case over != nil && ctx.Err() == nil:
			return tooBusy(seen, over), nil
		}
		if err := w.d.Wait(limit, lookEvery); err != nil && (limit.Err() == nil || ctx.Err() != nil) {
			return nil, err
		}
	}
}

// tooBusy notes of the signs that did not come in a time that the computer was too busy
// for them, where over says so of that.
func tooBusy(seen []SignSeen, over error) []SignSeen {
	for i := range seen {
		if s := &seen[i]; errors.Is(over, late.ErrLate) && !s.Seen && s.Err == nil {
			s.Late, s.Detail = true, s.Detail+"; "+over.Error()
		}
	}
	return seen
}

// Lively gives the lines whose level changed while they were watched: a wire that is
// broken shows no change.
func (w *SignWatch) Lively() (out []string) {
	for name, l := range w.lines {
		if edges, err := l.Edges(); err == nil && len(edges) > 1 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Late gives by how much the computer was late while it watched, at most: as late it may
// have let a button go, and a device that lives in it may have been as slow.
func (w *SignWatch) Late() time.Duration { return w.pulse.in(w.begun, time.Now()) }
