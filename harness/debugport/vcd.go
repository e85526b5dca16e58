package debugport

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// usualHalf is the half period with which waves are drawn where no other is known: 25 kHz.
const usualHalf = 20 * time.Microsecond

// tick gives the largest unit of a value change dump that is no longer than half a step,
// and how many of them a step takes.
func tick(half time.Duration) (unit string, ticks int64) {
	if half <= 0 {
		half = usualHalf
	}
	best := time.Nanosecond
	for u := time.Nanosecond; u <= half/2 && u <= time.Millisecond; u *= 10 {
		best = u
	}
	names := map[time.Duration]string{time.Nanosecond: "1 ns", 10: "10 ns", 100: "100 ns", time.Microsecond: "1 us", 10 * time.Microsecond: "10 us",
		100 * time.Microsecond: "100 us", time.Millisecond: "1 ms"}
	return names[best], max(2, int64(half/best))
}

// WriteVCD writes the waves of the steps that are kept as a value change dump (IEEE
// 1364-2005, clause 18): a wire for each pad under its own name, and the transactions as
// text in a variable of type string. Every step takes the
// half period: pauses between calls are not drawn. Decoders of sigrok read the waves and
// skip the text: serial wire's takes our bits at the rising edge and the target's at the
// falling one, JTAG's takes all at the rising edge.
//
// A pad that is ours has the level that we drive. A pad that is not has the level that was
// read, and is z where nobody read it. What is read at the end of a step is drawn from
// the beginning of the step before: both protocols have the target change its line
// there, serial wire at the rising edge and JTAG at the falling one, and decoders look at
// the clock's edge between.
func (w *Wires) WriteVCD(out io.Writer) error {
	d := dump{w: w}
	d.draw()
	if _, err := d.WriteTo(out); err != nil {
		return fmt.Errorf("write the waves of %s: %w", w.part, err)
	}
	return nil
}

type dump struct {
	bytes.Buffer
	w      *Wires
	levels []byte // as they stand in the file
}

// marks are the identifiers of wires: letters, as sigrok takes some other characters for
// times. The text has the last.
const marks = "abcdefghijklmnopqrstuvwxyzABCDEFT"

// text is the identifier of the text.
const text = 'T'

func (d *dump) draw() {
	unit, ticks := tick(d.w.half)
	names := d.w.Pins()
	kept, lost := d.w.Transactions()
	n, first := d.w.trace.beats.n, d.w.trace.beats.first()

	fmt.Fprintf(&d.Buffer, "$date %s $end\n$comment Steps %d to %d of %s. A level of the target is drawn from the edge on at which it changes. %d transactions, %d older ones are not here. $end\n",
		d.w.now().UTC().Format(time.RFC3339), first, n, d.w.part, len(kept), lost)
	fmt.Fprintf(&d.Buffer, "$timescale %s $end\n$scope module pads $end\n", unit)
	for i, name := range names {
		fmt.Fprintf(&d.Buffer, "$var wire 1 %c %s $end\n", marks[i], reference(name))
	}
	fmt.Fprintf(&d.Buffer, "$var string 1 %c transaction $end\n", text)
	fmt.Fprintf(&d.Buffer, "$upscope $end\n$enddefinitions $end\n#0\n$dumpvars\n")
	d.levels = make([]byte, len(names))
	for i := range names {
		d.levels[i] = 'x'
		fmt.Fprintf(&d.Buffer, "x%c\n", marks[i])
	}
	d.WriteString("$end\n")

	next := 0
	line := make([]byte, 0, 32)
	for s := first; s < n; s++ {
		timed := false
		at := func() {
			if !timed {
				d.Write(append(strconv.AppendUint(append(line[:0], '#'), (s-first)*uint64(ticks), 10), '\n'))
			}
			timed = true
		}
		for next < len(kept) && kept[next].at <= s {
			if kept[next].at == s {
				at()
				fmt.Fprintf(&d.Buffer, "s%s %c\n", strings.ReplaceAll(kept[next].String(), " ", "_"), text)
			}
			next++
		}
		for i := range names {
			if l := d.level(s, i); l != d.levels[i] {
				at()
				d.levels[i] = l
				d.Write(append(line[:0], l, marks[i], '\n'))
			}
		}
	}
	fmt.Fprintf(&d.Buffer, "#%d\n", int64(n-first)*ticks)
}

// level gives what a pad is at in a step.
func (d *dump) level(s uint64, pin int) byte {
	beats := &d.w.trace.beats
	b := beats.at(s)
	bit := uint32(1) << pin
	digit := func(level uint32) byte {
		if level&bit != 0 {
			return '1'
		}
		return '0'
	}
	switch {
	case b.drive&bit != 0:
		return digit(b.level)
	case b.read:
		return digit(b.got)
	case s+1 < beats.n:
		if b = beats.at(s + 1); b.read && b.drive&bit == 0 {
			return digit(b.got)
		}
	}
	return 'z'
}

// reference makes a name one word.
func reference(name string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '$' && r != '[' && r != ']' {
			return r
		}
		return '_'
	}, name)
}

// WriteLog writes the transactions that are kept as text, a line for each: its time, its
// first step as the waves count them, and what it was.
func (w *Wires) WriteLog(out io.Writer) error {
	var b bytes.Buffer
	kept, lost := w.Transactions()
	if lost > 0 {
		fmt.Fprintf(&b, "%d older transactions are not here\n", lost)
	}
	for i := range kept {
		fmt.Fprintf(&b, "%s %8d %s\n", kept[i].At.UTC().Format("15:04:05.000000"), kept[i].at, kept[i].String())
	}
	if _, err := b.WriteTo(out); err != nil {
		return fmt.Errorf("write the log of %s: %w", w.part, err)
	}
	return nil
}
