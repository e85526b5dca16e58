// Package vcd writes what a rig did to the lines and the supply of a DUT as a
// value change dump, which logic analysers and waveform viewers read (IEEE
// 1364-2005, clause 18), and the bytes of serial lines as such waves.
package vcd

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Value is what a wire is made by us.
type Value byte

// The values. What is let go is not ours to say: z.
const (
	Unknown  Value = 'x'
	Released Value = 'z'
	Off      Value = '0'
	On       Value = '1' // or asserted
)

// Dump writes one file. It is safe for concurrent use; its first error stays.
type Dump struct {
	mu    sync.Mutex
	w     io.Writer
	began time.Time
	last  int64 // µs that stand in the file
	ids   map[string]string
	now   map[string]Value
	err   error
}

// New writes the head of a file: the wires by name, in this order, all of them
// unknown at the time that is zero.
func New(w io.Writer, began time.Time, wires []string) *Dump {
	d := &Dump{w: w, began: began, last: -1, ids: map[string]string{}, now: map[string]Value{}}
	var b strings.Builder
	fmt.Fprintf(&b, "$date %s $end\n$timescale 1 us $end\n$scope module rig $end\n", began.UTC().Format(time.RFC3339))
	for i, name := range wires {
		d.ids[name] = ident(i)
		fmt.Fprintf(&b, "$var wire 1 %s %s $end\n", d.ids[name], reference(name))
	}
	b.WriteString("$upscope $end\n$enddefinitions $end\n#0\n$dumpvars\n")
	for _, name := range wires {
		fmt.Fprintf(&b, "%c%s\n", Unknown, d.ids[name])
	}
	b.WriteString("$end\n")
	d.last = 0
	d.write(b.String())
	return d
}

// ident gives the short name of the nth wire: the printable characters are digits.
func ident(n int) string {
	const first, digits = '!', '~' - '!' + 1
	s := string(rune(first + n%digits))
	for n /= digits; n > 0; n /= digits {
		n--
		s += string(rune(first + n%digits))
	}
	return s
}

// reference makes a name one word that is no keyword.
func reference(name string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '$' && r != '[' && r != ']' {
			return r
		}
		return '_'
	}, name)
}

// Change notes that a wire has a value from at on. One that it has already, and a
// wire that is not in the head, is left out. A time before the last one, as two
// wires that are moved at once may have, counts as the last one.
func (d *Dump) Change(at time.Time, wire string, v Value) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok := d.ids[wire]
	if !ok || d.now[wire] == v || d.err != nil {
		return
	}
	d.now[wire] = v
	text := fmt.Sprintf("%c%s\n", v, id)
	if us := max(at.Sub(d.began).Microseconds(), d.last); us > d.last {
		d.last = us
		text = fmt.Sprintf("#%d\n", us) + text
	}
	d.write(text)
}

// End notes when the record ends, so that a viewer shows the last value's time.
func (d *Dump) End(at time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if us := at.Sub(d.began).Microseconds(); us > d.last && d.err == nil {
		d.last = us
		d.write(fmt.Sprintf("#%d\n", us))
	}
	return d.err
}

func (d *Dump) write(s string) {
	if d.err != nil {
		return
	}
	if _, err := io.WriteString(d.w, s); err != nil {
		d.err = fmt.Errorf("write the dump of the lines: %w", err)
	}
}
