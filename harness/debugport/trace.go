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

	at uint64 // its first step, as the trace counts those that were not dropped
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

// ring is a bounded memory: the last ones are kept. It grows by pieces, so that what is
// not used costs nothing.
type ring[T any] struct {
	pieces [][]T
	piece  uint64 // how many are in one
	size   uint64 // how many are kept
	n      uint64 // how many there were
	gone   uint64 // below it they were overwritten
	fresh  func(piece []T)
}

// newRing makes one of at least size, which may be 0.
func newRing[T any](size, piece int, fresh func([]T)) ring[T] {
	if size <= 0 {
		return ring[T]{}
	}
	piece = min(size, piece)
	size = (size + piece - 1) / piece * piece
	return ring[T]{pieces: make([][]T, size/piece), piece: uint64(piece), size: uint64(size), fresh: fresh}
}

// next gives the place of the next one, which holds what was there before; nil where none
// is kept.
func (r *ring[T]) next() *T {
	r.n++
	if r.size == 0 {
		return nil
	}
	return r.at(r.n - 1)
}

// at gives one by its number.
func (r *ring[T]) at(i uint64) *T {
	i %= r.size
	p := &r.pieces[i/r.piece]
	if *p == nil {
		*p = make([]T, r.piece)
		if r.fresh != nil {
			r.fresh(*p)
		}
	}
	return &(*p)[i%r.piece]
}

// first gives the number of the oldest one that is kept.
func (r *ring[T]) first() uint64 { return max(r.gone, r.n-min(r.n, r.size)) }

// cut takes all from one on out again; what is not kept any more stays out.
func (r *ring[T]) cut(from uint64) {
	if from < r.n {
		r.gone = r.first()
		r.n = max(from, r.gone)
	}
}

// trace is what went over the wires.
type trace struct {
	beats ring[beat]
	log   ring[Transaction]
}

// Pieces of the rings, and their usual sizes: a whole look at a part is some 300,000 steps.
const (
	beatPiece, logPiece = 1 << 14, 1 << 9
	usualBeats          = 1 << 19
	usualLog            = 1 << 14
	// scanRoom is how many bytes of a scan are kept without making room for them.
	scanRoom = 8
)

func (t *trace) init(steps, transactions int) {
	size := func(n, usual int) int {
		if n == 0 {
			return usual
		}
		return max(0, n)
	}
	t.beats = newRing[beat](size(steps, usualBeats), beatPiece, nil)
	t.log = newRing(size(transactions, usualLog), logPiece, func(piece []Transaction) {
		room := make([]byte, 2*scanRoom*len(piece))
		for i := range piece {
			at := 2 * scanRoom * i
			piece[i].Out, piece[i].In = room[at:at:at+scanRoom], room[at+scanRoom:at+scanRoom:at+2*scanRoom]
		}
	})
}

func (t *trace) steps(steps []wire.PadStep, got []uint32) {
	for i := range steps {
		b := t.beats.next()
		if b == nil {
			t.beats.n += uint64(len(steps) - i - 1)
			return
		}
		*b = beat{drive: steps[i].Drive, level: steps[i].Level}
		if steps[i].Read && len(got) > 0 {
			b.got, b.read = got[0], true
			got = got[1:]
		}
	}
}

// Log keeps a transaction of an engine. The bits are copied.
func (w *Wires) Log(t *Transaction) {
	slot := w.trace.log.next()
	if slot == nil {
		return
	}
	out, in := append(slot.Out[:0], t.Out...), append(slot.In[:0], t.In...)
	*slot = *t
	slot.Out, slot.In = out, in
	slot.At, slot.To = w.now(), w.steps
	n := w.trace.beats.n
	slot.at = n - min(n, w.steps-t.From)
}

// Mark is a place in the trace.
type Mark struct{ beats, log uint64 }

// Mark gives the place where the trace is now.
func (w *Wires) Mark() Mark { return Mark{w.trace.beats.n, w.trace.log.n} }

// Drop takes what came since a mark out of the trace: it is not worth keeping, as what a
// sweep has seen already. The count of steps stays.
func (w *Wires) Drop(since Mark) {
	w.trace.beats.cut(since.beats)
	w.trace.log.cut(since.log)
}

// Transactions gives those that are kept, the oldest first, as copies. Lost says how
// many older ones are not.
func (w *Wires) Transactions() (kept []Transaction, lost uint64) {
	r := &w.trace.log
	lost = r.first()
	for i := lost; i < r.n; i++ {
		t := *r.at(i)
		t.Out, t.In = append([]byte(nil), t.Out...), append([]byte(nil), t.In...)
		kept = append(kept, t)
	}
	return kept, lost
}
