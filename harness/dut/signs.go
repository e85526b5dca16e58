package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
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
	news  chan struct{} // closed with each edge
	err   error         // of the line
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
	w := &LineWatch{stop: cancel, done: make(chan struct{}), news: make(chan struct{})}
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

func (w *LineWatch) saw(e Edge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edges = append(w.edges, e)
	close(w.news)
	w.news = make(chan struct{})
}

// Edges gives what was noted so far, and a channel that is closed with the next.
func (w *LineWatch) Edges() ([]Edge, <-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.edges), w.news, w.err
}

// Close ends the watch. It may be called twice.
func (w *LineWatch) Close() {
	w.stop()
	<-w.done
}

// blinkSlack is how much the times of a blink may be off, besides a third of them: a
// computer that watches is late now and then.
const blinkSlack = 10 * time.Millisecond

// usualTimes is how often a light blinks where a sign does not say.
const usualTimes = 3

// Blinks says how often in a row a line blinked as a sign has it, at most, and when the
// first of them began.
func Blinks(edges []Edge, s profile.Sign) (n int, at time.Time) {
	run, began := 0, time.Time{}
	for i := 0; i+2 < len(edges); i++ {
		if !edges[i].Asserted {
			continue
		}
		if !near(edges[i+1].At.Sub(edges[i].At), s.On) || !near(edges[i+2].At.Sub(edges[i+1].At), s.Off) {
			run = 0
			continue
		}
		if run == 0 {
			began = edges[i].At
		}
		run++
		if run > n {
			n, at = run, began
		}
	}
	return n, at
}

func near(got, want time.Duration) bool {
	slack := want/3 + blinkSlack
	return got >= want-slack && got <= want+slack
}

// SignSeen is what became of a sign.
type SignSeen struct {
	Sign   profile.Sign
	Seen   bool
	At     time.Time // when it was first seen
	Detail string    // what was seen, or was not
	Err    error     // the rig cannot see it: no such wire
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
	lines map[string]*LineWatch
	from  map[string]console.Cursor
}

// WatchSigns begins to look out for signs. Whoever begins it ends it. The error is the
// rig's own trouble; a sign that the rig has no wire for says so in Look.
func (d *Device) WatchSigns(ctx context.Context, signs []profile.Sign) (*SignWatch, error) {
	w := &SignWatch{d: d, lines: map[string]*LineWatch{}, from: map[string]console.Cursor{}}
	for _, s := range signs {
		seen := SignSeen{Sign: s}
		switch {
		case s.Console != "":
			con, err := d.Console(s.Console)
			if seen.Err = err; err == nil {
				w.from[s.Console] = con.Mark()
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
		w.signs = append(w.signs, seen)
	}
	return w, nil
}

// Close ends the watch. It may be called twice.
func (w *SignWatch) Close() {
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
		if err := w.look(s); err != nil {
			return nil, err
		}
	}
	return slices.Clone(w.signs), nil
}

func (w *SignWatch) look(s *SignSeen) error {
	if s.Sign.Line != "" {
		edges, _, err := w.lines[s.Sign.Line].Edges()
		if err != nil {
			return err
		}
		n, at := Blinks(edges, s.Sign)
		s.Seen, s.At = n >= times(s.Sign), at
		s.Detail = fmt.Sprintf("line %s changed %d times, and blinked so %d times in a row", s.Sign.Line, len(edges)-1, n)
		return nil
	}
	con, err := w.d.Console(s.Sign.Console)
	if err != nil {
		return err
	}
	from := w.from[s.Sign.Console]
	raw, err := con.Since(from)
	if err != nil {
		return fmt.Errorf("look for %s: %w", SignText(s.Sign), err)
	}
	text := string(expect.Plain(raw))
	found := s.Sign.Seen.Literal != "" && strings.Contains(text, s.Sign.Seen.Literal)
	if re := s.Sign.Seen.Regexp; re != nil {
		found = re.MatchString(text)
	}
	if s.Seen = found; found {
		s.At = time.Now()
		if at := strings.Index(string(raw), s.Sign.Seen.Literal); s.Sign.Seen.Literal != "" && at >= 0 {
			s.At = con.When(from + console.Cursor(at))
		}
	}
	s.Detail = fmt.Sprintf("%d bytes came on console %s, with it: %v", len(raw), s.Sign.Console, found)
	return nil
}

// lookEvery is how often a watch looks: signs come by events, and consoles have no
// event for all of their patterns.
const lookEvery = 5 * time.Millisecond

// Await waits until each sign that the rig can see was seen, or the time is over, and
// gives what became of them.
func (w *SignWatch) Await(ctx context.Context, within time.Duration) ([]SignSeen, error) {
	defer w.d.waiting("signs of the DUT")()
	end := time.Now().Add(within)
	for {
		seen, err := w.Look()
		if err != nil {
			return nil, err
		}
		open := slices.ContainsFunc(seen, func(s SignSeen) bool { return !s.Seen && s.Err == nil })
		if !open || time.Now().After(end) {
			return seen, nil
		}
		if err := w.d.Wait(ctx, lookEvery); err != nil {
			return nil, err
		}
	}
}

// Lively gives the lines whose level changed while they were watched: a wire that is
// broken shows no change.
func (w *SignWatch) Lively() (out []string) {
	for name, l := range w.lines {
		if edges, _, err := l.Edges(); err == nil && len(edges) > 1 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
