package dut

import (
	"fmt"
	"io"

	"rigor/harness/debugport"
	"rigor/harness/debugport/ladder"
)

// keep leaves a look in the trace of the port's pads, or takes it out again: of looks that
// saw the same in the same way, as those of a sweep, the first is enough.
func (p *DebugPort) keep(from debugport.Mark, l *ladder.Look, err error) {
	if err != nil {
		return
	}
	level, _ := l.Level()
	key := fmt.Sprintf("%s %v %v %s %v %d %s", l.Way, l.Quick, l.Reply, l.Acks, level, len(l.AP), l.Broke)
	if p.traced[key] {
		p.wires.Drop(from)
		return
	}
	if p.traced == nil {
		p.traced = map[string]bool{}
	}
	p.traced[key] = true
}

// Waves writes what went over the port's pads as a value change dump, each transaction
// named, and Log writes the transactions as text: of looks that saw the same, the first.
func (p *DebugPort) Waves(w io.Writer) error { return p.wires.WriteVCD(w) }

// Log writes the transactions.
func (p *DebugPort) Log(w io.Writer) error { return p.wires.WriteLog(w) }
