package terminal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Observer shows a run while it goes on. Its Event is what a journal's writer
// takes as observer. It is safe for concurrent use.
type Observer struct {
	mu    sync.Mutex
	p     *printer
	live  *journal.Live
	on    map[string]*watch // by rig, empty for the run's own
	order []*watch          // as they came
	drawn bool              // the live line stands on the terminal
	now   func() time.Time
}

// watch is what goes on on one rig.
type watch struct {
	current string    // the case that runs
	since   time.Time // when it began
	waiting string
	from    time.Time // since when that is waited for
	doing   func() (what string, since time.Time)
}

func (ob *Observer) at(rig string) *watch {
	w := ob.on[rig]
	if w == nil {
		w = &watch{}
		ob.on[rig], ob.order = w, append(ob.order, w)
	}
	return w
}

// NewObserver shows to w.
func NewObserver(w io.Writer, o Options) *Observer {
	if o.Width <= 0 {
		o.Width = 80
	}
	return &Observer{p: &printer{w: w, o: o}, live: journal.NewLive(), on: map[string]*watch{}, now: time.Now}
}

// Doing has the live line say what is waited for in a case on a rig, where that takes
// more than a moment. The rig has a name only beside others.
func (ob *Observer) Doing(rig string, doing func() (what string, since time.Time)) {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	ob.at(rig).doing = doing
}

// Event takes in one event. Trouble with the terminal ends the display and
// nothing else.
func (ob *Observer) Event(e *journal.Event) {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	ob.live.Take(e)
	w := ob.at(e.Rig)
	switch {
	case e.Begin != nil:
		w.current, w.since, w.waiting = e.Case, ob.now(), ""
	case e.CaseEnd != nil && e.CaseEnd.Retry:
		ob.say(fmt.Sprintf("%s%s  rig trouble, trying once more", ob.p.word(verdict.None), ob.p.clean(e.Case)))
	case e.CaseEnd != nil:
		w.current, w.waiting = "", ""
		if c, waits, ok := ob.live.Case(e.Case); ok {
			line := ob.p.line(&c)
			if waits {
				line += "  (if its bracket closes well)"
			}
			ob.say(line)
		}
	case e.State != nil:
		ob.wait(w, "")
		if !e.State.OK {
			ob.say(fmt.Sprintf("state    %s not reached: %s", ob.p.clean(journal.OnRig(e.State.To, e.Rig)), ob.p.short(e.State.Detail, 200)))
		}
	case e.Fault != nil && e.Fault.Broken:
		ob.say(fmt.Sprintf("%s%s is broken: %s", ob.p.word(verdict.Error), ob.p.clean(journal.OnRig(e.Fault.Part, e.Rig)), ob.p.short(e.Fault.Error, 200)))
	case e.Doctor != nil && e.Doctor.Status == "broken":
		ob.say(fmt.Sprintf("%sdoctor %s the run: %s: %s", ob.p.word(verdict.Error), ob.p.clean(e.Doctor.Phase), ob.p.clean(journal.OnRig(e.Doctor.Where(), e.Rig)), ob.p.short(e.Doctor.Detail, 200)))
	case e.Lost != nil:
		ob.say(fmt.Sprintf("lost     %s: %s %s", ob.p.clean(journal.OnRig("the device", e.Rig)), ob.p.clean(e.Lost.Diagnosis), ob.p.short(e.Lost.Detail, 200)))
	case e.Interrupt != nil:
		ob.say("stop     " + ob.p.clean(e.Interrupt.Signal) + ": ending the run and putting the rig safe")
	}
	ob.draw()
}

// Waiting says what the run waits for now on a rig: "console main: login prompt, up
// to 30s". The empty text ends it. The rig has a name only beside others.
func (ob *Observer) Waiting(rig, what string) {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	w := ob.at(rig)
	if what == w.current { // that a case runs says the line already, and not what it waits for
		what = ""
	}
	ob.wait(w, what)
	ob.draw()
}

func (ob *Observer) wait(w *watch, what string) {
	if what != w.waiting {
		w.waiting, w.from = what, ob.now()
	}
}

// Run redraws the live line each second, until ctx ends. Without a live
// terminal it returns at once.
func (ob *Observer) Run(ctx context.Context) {
	ob.mu.Lock() // a run may be over before this begins
	live := ob.p.o.Live
	ob.mu.Unlock()
	if !live {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			ob.mu.Lock()
			ob.draw()
			ob.mu.Unlock()
		}
	}
}

// Close takes the live line away.
func (ob *Observer) Close() error {
	ob.mu.Lock()
	defer ob.mu.Unlock()
	ob.erase()
	ob.p.o.Live = false
	if ob.p.err != nil {
		return fmt.Errorf("terminal: %w", ob.p.err)
	}
	return nil
}

// aMoment is how long a wait may take before it is named.
const aMoment = 2 * time.Second

// say writes a line above the live one.
func (ob *Observer) say(line string) {
	ob.erase()
	ob.p.print(line + "\n")
}

func (ob *Observer) erase() {
	if ob.drawn {
		ob.p.print("\r\x1b[K")
		ob.drawn = false
	}
}

func (ob *Observer) draw() {
	if !ob.p.o.Live {
		return
	}
	ob.erase()
	planned, ended := ob.live.Planned()
	line := fmt.Sprintf("%d/%d", ended, planned)
	for i, w := range ob.order {
		if text := ob.watched(w); text != "" && i > 0 && strings.Contains(line, " ") {
			line += " |" + text
		} else {
			line += text
		}
	}
	if r := []rune(line); len(r) >= ob.p.o.Width {
		line = string(r[:max(ob.p.o.Width-2, 1)]) + "…"
	}
	ob.p.print(line)
	ob.drawn = true
}

// watched says what goes on on a rig.
func (ob *Observer) watched(w *watch) (line string) {
	if w.current != "" {
		line += fmt.Sprintf(" %s %s", ob.p.clean(w.current), seconds(ob.now().Sub(w.since)))
	}
	if w.waiting != "" {
		line += fmt.Sprintf(" waits for %s %s", ob.p.clean(w.waiting), seconds(ob.now().Sub(w.from)))
	}
	if w.waiting == "" && w.doing != nil {
		if what, since := w.doing(); what != "" && ob.now().Sub(since) >= aMoment {
			line += fmt.Sprintf(" waits for %s %s", ob.p.clean(what), seconds(ob.now().Sub(since)))
		}
	}
	return line
}
