package debugport

import (
	"fmt"
	"strings"
	"time"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// Op is what a transaction of an engine was.
type Op uint8

// The kinds of transactions.
const (
	OpSequence Op = iota // a fixed sequence of bits, by its name
	OpDPRead             // of serial wire, as the three that follow
	OpDPWrite
	OpAPRead
	OpAPWrite
	OpIR // a scan of JTAG
	OpDR
)

// String gives the words of a log.
func (o Op) String() string {
	return [...]string{"sequence", "DP read", "DP write", "AP read", "AP write", "IR", "DR"}[o]
}

// Transaction is one exchange of an engine with a debug port.
type Transaction struct {
	At       time.Time
	From, To uint64 // the steps that it took: from From on, before To
	Op       Op
	Name     string     // of a sequence
	Addr     uint8      // of serial wire: A[3:2]
	Data     uint32     // of serial wire, where the answer is OK or Parity
	Answer   dap.Answer // of serial wire; NotDone where the bench failed
	Bits     int        // of a scan
	Out, In  []byte     // of a scan: least significant bit first
}

// String gives one line without its time and its steps.
func (t *Transaction) String() string {
	switch t.Op {
	case OpSequence:
		return t.Name
	case OpIR, OpDR:
		return fmt.Sprintf("%v %d bits out %s in %s", t.Op, t.Bits, Digits(t.Out, t.Bits), Digits(t.In, t.Bits))
	case OpDPWrite, OpAPWrite:
		return fmt.Sprintf("%v %x %#08x %v", t.Op, t.Addr, t.Data, t.Answer)
	}
	if t.Answer != dap.OK && t.Answer != dap.Parity {
		return fmt.Sprintf("%v %x %v", t.Op, t.Addr, t.Answer)
	}
	return fmt.Sprintf("%v %x %v %#08x", t.Op, t.Addr, t.Answer, t.Data)
}

// Digits gives bits as a hexadecimal number, whose least significant bit is the first.
func Digits(b []byte, bits int) string {
	n := (bits + 3) / 4
	if n == 0 {
		return "0x0"
	}
	var s strings.Builder
	s.WriteString("0x")
	for i := n - 1; i >= 0; i-- {
		var d byte
		if i/2 < len(b) {
			d = b[i/2] >> (4 * (i % 2)) & 0xf
		}
		if i == n-1 && bits%4 != 0 {
			d &= 1<<(bits%4) - 1
		}
		fmt.Fprintf(&s, "%x", d)
	}
	return s.String()
}

// beat is one step of the trace.
type beat struct {
	drive, level, got uint32
	read              bool
}

// trace is a bounded memory of what went over the wires.
type trace struct {
	beats []beat
	n     uint64 // beats that were written, the lost ones too
	log   []Transaction
	m     uint64
}

// scanRoom is how many bytes of a scan are kept without making room for them.
const scanRoom = 8

func (t *trace) init(steps, transactions int) {
	size := func(n, usual int) int {
		if n == 0 {
			return usual
		}
		return max(0, n)
	}
	t.beats = make([]beat, size(steps, 1<<16))
	t.log = make([]Transaction, size(transactions, 1<<12))
	// Room for scans of usual length, so that a transaction costs nothing.
	room := make([]byte, 2*scanRoom*len(t.log))
	for i := range t.log {
		at := 2 * scanRoom * i
		t.log[i].Out, t.log[i].In = room[at:at:at+scanRoom], room[at+scanRoom:at+scanRoom:at+2*scanRoom]
	}
}

func (t *trace) steps(steps []wire.PadStep, got []uint32) {
	if len(t.beats) == 0 {
		return
	}
	for i := range steps {
		b := &t.beats[t.n%uint64(len(t.beats))]
		*b = beat{drive: steps[i].Drive, level: steps[i].Level}
		if steps[i].Read && len(got) > 0 {
			b.got, b.read = got[0], true
			got = got[1:]
		}
		t.n++
	}
}

// Log keeps a transaction of an engine. The bits are copied.
func (w *Wires) Log(t *Transaction) {
	if len(w.trace.log) == 0 {
		w.trace.m++
		return
	}
	slot := &w.trace.log[w.trace.m%uint64(len(w.trace.log))]
	out, in := append(slot.Out[:0], t.Out...), append(slot.In[:0], t.In...)
	*slot = *t
	slot.Out, slot.In = out, in
	slot.At, slot.To = w.now(), w.steps
	w.trace.m++
}

// Transactions gives those that are kept, the oldest first, as copies. Lost says how
// many older ones are not.
func (w *Wires) Transactions() (kept []Transaction, lost uint64) {
	n := uint64(len(w.trace.log))
	if n == 0 {
		return nil, w.trace.m
	}
	if w.trace.m > n {
		lost = w.trace.m - n
	}
	for i := lost; i < w.trace.m; i++ {
		t := w.trace.log[i%n]
		t.Out, t.In = append([]byte(nil), t.Out...), append([]byte(nil), t.In...)
		kept = append(kept, t)
	}
	return kept, lost
}
