package journal

import "rigor/harness/verdict"

// Live folds a journal while it is written, for a display. What it says of a
// case is only so far: a part that breaks or a bracket that fails later still
// changes it. It is not safe for concurrent use; a Writer's observer is called
// by one goroutine at a time.
type Live struct{ f *folder }

// NewLive begins with nothing.
func NewLive() *Live { return &Live{newFolder()} }

// Take takes in the next event.
func (l *Live) Take(e *Event) { l.f.event(e) }

// Planned gives how many cases are planned and selected, and how many ended.
func (l *Live) Planned() (planned, ended int) {
	for _, c := range l.f.cases {
		if c.Unselected {
			continue
		}
		planned++
		if c.Finished && (c.End == nil || !c.End.Retry) || c.Skip != nil && !c.Ran {
			ended++
		}
	}
	return planned, ended
}

// Case gives a case as it looks so far, and whether it waits for its bracket
// to be closed.
func (l *Live) Case(id string) (c Case, waits bool, ok bool) {
	p := l.f.index[id]
	if p == nil {
		return Case{}, false, false
	}
	c = *p
	c.Claims = append([]ClaimResult(nil), p.Claims...)
	l.f.tries[&c] = l.f.try(p)
	defer delete(l.f.tries, &c)
	if b := l.f.brackets[bracketKey{c.Rig, c.Bracket}]; b != nil && b.opened && !b.closed && !b.failed {
		waits = true
		b.closed = true
		defer func() { b.closed = false }()
	}
	c.Judgement = l.f.judge(&c)
	c.Raw = c.Judgement
	return c, waits && c.Judgement.Verdict == verdict.Pass, true
}
