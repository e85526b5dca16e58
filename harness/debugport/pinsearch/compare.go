package pinsearch

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// The published searches, in half periods of the clock over n pads: JTAGulator's and
// blueTag's IDCODE scan, which goes over the triples (TCK, TMS, TDO), their BYPASS scan,
// which goes over the quadruples with TDI, and the scan for a serial wire, which goes over
// the pairs and reads a DPIDR whole.
const (
	// Reset, the way to Shift-DR and 32 bits: 41 clocks.
	tripleSteps = 2 * (resetClocks + 4 + 32)
	// Reset, the way to Shift-IR, ones for 32 TAPs of 32 bits, the way to Shift-DR, 32
	// bits of pattern behind 32 TAPs.
	quadrupleSteps = 2 * (resetClocks + 5 + maxTAPs*maxIR + 4 + maxTAPs + 32)
	// Line reset, switch, line reset, idle, request, turnaround, acknowledge, data,
	// parity, turnaround.
	pairSteps = 2 * (lineReset + 16 + lineReset + idle + 8 + 1 + 3 + 33 + 1)
)

// Triples is what the published IDCODE scan takes for n pads, in half periods.
func Triples(n int) uint64 { return uint64(n*(n-1)*(n-2)) * tripleSteps }

// Quadruples is what the published BYPASS scan takes for n pads.
func Quadruples(n int) uint64 { return uint64(n*(n-1)*(n-2)*(n-3)) * quadrupleSteps }

// Pairs is what the published scan for a serial wire takes for n pads.
func Pairs(n int) uint64 { return uint64(n*(n-1)) * pairSteps }

// Rate is how quick wires are.
type Rate struct {
	Name string
	Hz   float64 // of the clock
}

// Rates are those that costs are given at: the published tools' usual one, and what a
// Raspberry Pi 4 does about: a system call for each pin on the character device, and a
// store for each on its registers. A model, not a measurement.
func Rates() []Rate {
	return []Rate{{"25 kHz", 25e3}, {"Pi, character device", 200e3}, {"Pi, registers", 2e6}}
}

// Time is how long so many half periods take.
func (r Rate) Time(steps uint64) time.Duration {
	return time.Duration(float64(steps) / 2 / r.Hz * float64(time.Second))
}

// Cost is what a search took for n pads.
type Cost struct {
	Pads      int
	JTAG, SWD uint64 // half periods
}

// Table writes costs side by side with the published searches'.
func Table(w io.Writer, costs []Cost) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// What it is told is kept up to its Flush, which gives the error.
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format, args...) }
	say("pads\tJTAG\ttriples\ttimes\tquadruples\tSWD\tpairs\t\n")
	for _, c := range costs {
		say("%d\t%d\t%d\t%.1f\t%d\t%d\t%d\t\n", c.Pads, c.JTAG, Triples(c.Pads), float64(Triples(c.Pads))/float64(c.JTAG), Quadruples(c.Pads), c.SWD, Pairs(c.Pads))
	}
	for _, r := range Rates() {
		say("\n%s:\npads\tJTAG\ttriples\tquadruples\tSWD\tpairs\t\n", r.Name)
		for _, c := range costs {
			say("%d\t%s\t%s\t%s\t%s\t%s\t\n", c.Pads, short(r.Time(c.JTAG)), short(r.Time(Triples(c.Pads))), short(r.Time(Quadruples(c.Pads))), short(r.Time(c.SWD)), short(r.Time(Pairs(c.Pads))))
		}
	}
	return t.Flush()
}

// short gives a time with two or three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
