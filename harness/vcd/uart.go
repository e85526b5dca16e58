package vcd

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// Frame is one byte that went over a serial line.
type Frame struct {
	Line string
	At   time.Time // when its start bit began, or was noticed
	Byte byte
}

// Parity is that of a serial line.
type Parity byte

// The parities.
const (
	NoParity   Parity = 'N'
	EvenParity Parity = 'E'
	OddParity  Parity = 'O'
)

// UART writes bytes that went over serial lines as waves: eight bits, one stop bit. They are
// drawn from the bytes and their times, not sampled: a byte that was noticed before the one
// before it on its line can have ended is drawn behind it. Baud is in bit/s; the frames
// are in the order of their times. Decoders of sigrok read it to the same bytes.
func UART(w io.Writer, began time.Time, baud int, parity Parity, lines []string, frames []Frame) error {
	if baud < 1 || baud > 100_000_000 {
		return fmt.Errorf("draw serial lines at %d bit/s: no such rate", baud)
	}
	d := uart{bit: time.Second / time.Duration(baud), parity: parity}
	d.tick = time.Nanosecond
	for d.tick*10 <= d.bit/8 && d.tick < time.Millisecond {
		d.tick *= 10
	}
	d.head(began, lines)
	free := map[string]time.Duration{} // when a line is idle again
	for _, f := range frames {
		if _, known := d.ids[f.Line]; !known {
			continue
		}
		from := max(f.At.Sub(began), free[f.Line], d.bit) // an edge needs a level before it
		free[f.Line] = d.frame(f.Line, f.Byte, from, baud)
	}
	d.flush()
	if _, err := d.out.WriteTo(w); err != nil {
		return fmt.Errorf("write the dump of serial lines: %w", err)
	}
	return nil
}

type uart struct {
	out    bytes.Buffer
	bit    time.Duration
	tick   time.Duration
	parity Parity
	ids    map[string]string
	edges  []edge
}

type edge struct {
	at   time.Duration
	id   string
	high bool
}

func (d *uart) head(began time.Time, lines []string) {
	d.ids = map[string]string{}
	units := []string{"1 ns", "10 ns", "100 ns", "1 us", "10 us", "100 us", "1 ms"}
	n := 0
	for t := time.Nanosecond; t < d.tick; t *= 10 {
		n++
	}
	fmt.Fprintf(&d.out, "$date %s $end\n$timescale %s $end\n$scope module uart $end\n", began.UTC().Format(time.RFC3339), units[n])
	for i, name := range lines {
		d.ids[name] = ident(i)
		fmt.Fprintf(&d.out, "$var wire 1 %s %s $end\n", d.ids[name], reference(name))
	}
	d.out.WriteString("$upscope $end\n$enddefinitions $end\n#0\n$dumpvars\n")
	for _, name := range lines {
		fmt.Fprintf(&d.out, "1%s\n", d.ids[name])
	}
	d.out.WriteString("$end\n")
}

// frame draws a byte, and gives when its stop bit ends.
func (d *uart) frame(line string, b byte, from time.Duration, baud int) time.Duration {
	bits := []bool{false}
	odd := false
	for i := range 8 {
		bit := b>>i&1 != 0
		odd = odd != bit
		bits = append(bits, bit)
	}
	switch d.parity {
	case EvenParity:
		bits = append(bits, odd)
	case OddParity:
		bits = append(bits, !odd)
	}
	bits = append(bits, true)
	level := true
	at := func(i int) time.Duration { return from + time.Second*time.Duration(i)/time.Duration(baud) }
	for i, bit := range bits {
		if bit != level {
			d.edges = append(d.edges, edge{at(i), d.ids[line], bit})
			level = bit
		}
	}
	return at(len(bits))
}

// flush writes the edges in the order of their times.
func (d *uart) flush() {
	// Frames of different lines overlap; those of one are in order already.
	slices.SortStableFunc(d.edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	last, end := int64(0), time.Duration(0)
	for _, e := range d.edges {
		if t := int64((e.at + d.tick/2) / d.tick); t > last {
			fmt.Fprintf(&d.out, "#%d\n", t)
			last = t
		}
		level := '0'
		if e.high {
			level = '1'
		}
		fmt.Fprintf(&d.out, "%c%s\n", level, e.id)
		end = e.at
	}
	fmt.Fprintf(&d.out, "#%d\n", int64((end+20*d.bit)/d.tick)+1)
}
