package pinsearch

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"

	"rigor/harness/wire"
)

// board is pads with chips and resistors behind them. It is as small as it can be, and
// written from the standards by itself: the built-in device's chips are held against the
// search elsewhere.
type board struct {
	names        []string
	parts        []part
	pull         []gpio.Pull    // ours
	strong, weak [32]gpio.Pull  // the board's resistors: stronger than ours, weaker than ours
	drive, level uint32         // ours
	theirs       [32]gpio.Level // what they drive
	theirsOn     uint32
	joined       map[int]int
	rnd          *rand.Rand
	steps        uint64
	clash        int    // half periods with two drivers that disagree
	drove        uint32 // pads that were ever ours
	noPulls      bool
	failAt       uint64
}

// part is something on the pads: it sees their levels and drives some.
type part interface {
	step(levels uint32) (drive, level uint32)
}

func newBoard(n int) *board {
	b := &board{rnd: rand.New(rand.NewPCG(7, 9)), joined: map[int]int{}, pull: make([]gpio.Pull, n)}
	for i := range n {
		b.names = append(b.names, fmt.Sprintf("P%d", i+1))
	}
	return b
}

func (b *board) settled(drive, level uint32) uint32 {
	var out uint32
	for i := range b.names {
		high := false
		bit := uint32(1) << i
		switch j, two := b.joined[i]; {
		case b.theirsOn&bit != 0:
			high = bool(b.theirs[i])
		case two && b.theirsOn&(1<<j) != 0:
			high = bool(b.theirs[j])
		case drive&bit != 0:
			high = level&bit != 0
		case two && drive&(1<<j) != 0:
			high = level&(1<<j) != 0
		case b.strong[i] != 0:
			high = b.strong[i] == gpio.PullUp
		case b.pull[i] == gpio.PullUp || b.pull[i] == gpio.PullDown:
			high = b.pull[i] == gpio.PullUp
		case b.weak[i] != 0:
			high = b.weak[i] == gpio.PullUp
		default:
			high = b.rnd.IntN(2) == 1
		}
		if high {
			out |= bit
		}
	}
	return out
}

func (b *board) step(drive, level uint32) {
	b.steps++
	b.drive, b.level = drive, level
	b.drove |= drive
	seen := b.settled(drive, level)
	b.theirsOn = 0
	for _, p := range b.parts {
		d, l := p.step(seen)
		for m := d; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			b.theirsOn |= 1 << i
			b.theirs[i] = l>>i&1 != 0
			if drive>>i&1 != 0 && (level^l)>>i&1 != 0 {
				b.clash++
			}
		}
	}
}

func (b *board) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	read := 0
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return read, err
		}
		if b.step(s.Drive, s.Level); b.failAt != 0 && b.steps >= b.failAt {
			return read, &wire.Fault{Part: "pads", Op: "drive", Err: errors.New("not done: gone")}
		}
		if s.Read {
			got[read] = b.settled(s.Drive, s.Level)
			read++
		}
	}
	return read, nil
}

func (b *board) Pins() []gpio.PinIO {
	var out []gpio.PinIO
	for i := range b.names {
		out = append(out, &boardPin{b, i})
	}
	return out
}

func (b *board) Close() error { return nil }

type boardPin struct {
	b *board
	i int
}

func (p *boardPin) In(pull gpio.Pull, _ gpio.Edge) error {
	if p.b.noPulls && pull != gpio.Float {
		return fmt.Errorf("no pulls: %w", wire.ErrUnsupported)
	}
	p.b.pull[p.i] = pull
	return nil
}
func (p *boardPin) Out(gpio.Level) error                  { return errors.New("the search plays") }
func (p *boardPin) Read() gpio.Level                      { return false }
func (p *boardPin) WaitForEdge(time.Duration) bool        { return false }
func (p *boardPin) Pull() gpio.Pull                       { return p.b.pull[p.i] }
func (p *boardPin) DefaultPull() gpio.Pull                { return gpio.Float }
func (p *boardPin) PWM(gpio.Duty, physic.Frequency) error { return nil }
func (p *boardPin) Name() string                          { return p.b.names[p.i] }
func (p *boardPin) String() string                        { return p.b.names[p.i] }
func (p *boardPin) Number() int                           { return p.i }
func (p *boardPin) Function() string                      { return "" }
func (p *boardPin) Halt() error                           { return nil }

// tap is a chain of TAPs. Of each, an IDCODE of 0 is none.
type tap struct {
	tck, tms, tdi, tdo, ntrst int // ntrst -1: none
	ids                       []uint32
	irLen                     int

	state       int
	clk         bool
	reg         []bool // from TDO to TDI
	bypassed    bool
	drive, high bool
}

// tapNext is the state diagram of IEEE 1149.1: 0 reset, 1 idle, 2 to 8 data, 9 to 15 instruction.
var tapNext = [16][2]int{{1, 0}, {1, 2}, {3, 9}, {4, 5}, {4, 5}, {6, 8}, {6, 7}, {4, 8}, {1, 2}, {10, 0}, {11, 12}, {11, 12}, {13, 15}, {13, 14}, {11, 15}, {1, 2}}

func (t *tap) step(levels uint32) (uint32, uint32) {
	at := func(i int) bool { return levels>>i&1 != 0 }
	if t.ntrst >= 0 && !at(t.ntrst) {
		t.state, t.bypassed, t.drive = 0, false, false
		t.clk = at(t.tck)
		return 0, 0
	}
	clk := at(t.tck)
	switch {
	case clk && !t.clk:
		switch t.state {
		case 3:
			t.reg = nil
			for _, id := range t.ids {
				if id == 0 || t.bypassed {
					t.reg = append(t.reg, false)
					continue
				}
				for i := range 32 {
					t.reg = append(t.reg, id>>i&1 != 0)
				}
			}
		case 10:
			t.reg = nil
			for range t.ids {
				for i := range t.irLen {
					t.reg = append(t.reg, i == 0)
				}
			}
		case 4, 11:
			t.reg = append(t.reg[1:], at(t.tdi))
		}
		n := 0
		if at(t.tms) {
			n = 1
		}
		t.state = tapNext[t.state][n]
		if t.state == 0 {
			t.bypassed = false
		}
	case !clk && t.clk:
		if t.state == 15 {
			t.bypassed = true
			for _, b := range t.reg {
				t.bypassed = t.bypassed && b
			}
		}
		t.drive = (t.state == 4 || t.state == 11) && len(t.reg) > 0
		t.high = t.drive && t.reg[0]
	}
	t.clk = clk
	if !t.drive {
		return 0, 0
	}
	level := uint32(0)
	if t.high {
		level = 1 << t.tdo
	}
	return 1 << t.tdo, level
}

// swdp is a serial wire's port that answers a read of its DPIDR.
type swdp struct {
	clk, io int
	id      uint32
	badPar  bool
	dormant bool
	target  uint32 // a port that several share: silent until this is chosen

	last   bool
	ones   int
	count  int // bits since the line's reset, -1 before it
	req    []bool
	out    []int // what it drives next: 0, 1, -1 lets go
	chosen bool
	awake  bool
	sel    []bool
	drive  bool
	level  bool
	past   []bool
}

func (p *swdp) step(levels uint32) (uint32, uint32) {
	clk, io := levels>>p.clk&1 != 0, levels>>p.io&1 != 0
	if clk && !p.last {
		p.rise(io)
	}
	p.last = clk
	if !p.drive {
		return 0, 0
	}
	l := uint32(0)
	if p.level {
		l = 1 << p.io
	}
	return 1 << p.io, l
}

func (p *swdp) rise(io bool) {
	if len(p.out) > 0 {
		v := p.out[0]
		p.out = p.out[1:]
		p.drive, p.level = v >= 0, v == 1
		return
	}
	p.drive = false
	p.past = append(p.past, io)
	if len(p.past) > 200 {
		p.past = p.past[100:]
	}
	if io {
		p.ones++
	} else {
		if p.ones >= 50 {
			p.count, p.req, p.chosen, p.sel = 0, nil, p.target == 0, nil
		}
		p.ones = 0
	}
	if p.dormant && !p.awake {
		p.awake = p.woken()
		p.count = -1
		return
	}
	if p.count < 0 || p.ones >= 50 {
		return
	}
	if p.sel != nil {
		if p.sel = append(p.sel, io); len(p.sel) == 5+33 {
			v := uint32(0)
			for i := range 32 {
				if p.sel[5+i] {
					v |= 1 << i
				}
			}
			p.chosen, p.sel = v == p.target, nil
		}
		return
	}
	if len(p.req) == 0 && !io {
		return
	}
	if p.req = append(p.req, io); len(p.req) < 8 {
		return
	}
	v := 0
	for i, b := range p.req {
		if b {
			v |= 1 << i
		}
	}
	p.req = nil
	switch {
	case v == 0x99 && p.target != 0:
		p.sel = []bool{}
	case v == 0xA5 && p.chosen:
		// The turnaround's rising edge goes by without a driver; then the first bit of
		// the acknowledge.
		p.out = []int{1, 0, 0}
		for i := range 32 {
			p.out = append(p.out, int(p.id>>i&1))
		}
		par := bits.OnesCount32(p.id) & 1
		if p.badPar {
			par ^= 1
		}
		p.out = append(p.out, par, -1)
	default:
		p.count = -1 // a request that is none: deaf until the line's next reset
	}
}

// woken says whether the alert and the activation code have just gone by.
func (p *swdp) woken() bool {
	if len(p.past) < 140 {
		return false
	}
	tail := p.past[len(p.past)-140:]
	word := func(at, n int) (v uint64) {
		for i := range n {
			if tail[at+i] {
				v |= 1 << i
			}
		}
		return v
	}
	return word(0, 64) == 0x86852D956209F392 && word(64, 64) == 0x19BC0EA2E3DDAFE9 && word(128, 12) == 0x1A0
}

// driver holds a pad at a level, or toggles it each so many steps.
type driver struct {
	pad    int
	level  bool
	period int
	after  int // steps until it begins
	n      int
}

func (d *driver) step(uint32) (uint32, uint32) {
	d.n++
	if d.period > 0 && d.n > d.after && d.n%d.period == 0 {
		d.level = !d.level
	}
	if d.level {
		return 1 << d.pad, 1 << d.pad
	}
	return 1 << d.pad, 0
}
