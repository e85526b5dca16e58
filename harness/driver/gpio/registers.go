package gpio

import (
	"errors"
	"fmt"
	"strings"
	"time"

	periph "periph.io/x/conn/v3/gpio"
)

// ErrNoRegisters says that the pins' registers are not to be had on this computer.
var ErrNoRegisters = errors.New("no memory-mapped pins here")

// The register block of a BCM2835, 2836, 2837 and 2711, by the index of its 32-bit
// words. Sources: BCM2835 ARM Peripherals, chapter 6; BCM2711 ARM Peripherals, chapter 5.
//
// periph's own bcm283x driver is not used: it would be loaded for every rig, also of one
// that did not ask for it, takes the names of the kernel's lines, and maps a Raspberry
// Pi 5 with the addresses of a 4.
const (
	regSelect    = 0        // GPFSEL0 to 5: 3 bits for each of ten pins, 0 input, 1 output
	regSet       = 0x1c / 4 // GPSET0, 1
	regClear     = 0x28 / 4 // GPCLR0, 1
	regLevel     = 0x34 / 4 // GPLEV0, 1
	regPull      = 0x94 / 4 // GPPUD: 0 none, 1 down, 2 up, up to the 2837
	regPullClock = 0x98 / 4 // GPPUDCLK0, 1
	regPull2711  = 0xe4 / 4 // GPIO_PUP_PDN_CNTRL_REG0 to 3: 2 bits for each of 16 pins, 0 none, 1 up, 2 down

	regBytes = 0xf4
	// lastPin is the last one that is taken: those above 46 belong to the SD card.
	lastPin = 46
	// pullSettles is more than the 150 cycles that GPPUD wants between its steps, also
	// at the slowest clock.
	pullSettles = 5 * time.Microsecond
)

// words are the registers. A store or a load happens once, in the order written.
type words interface {
	load(i int) uint32
	store(i int, v uint32)
}

// registers are the mapped block.
type registers struct {
	words  words
	is2711 bool
	unmap  func() error
	source *source
}

// registersOf says whether a computer with these words in its device tree's compatible
// has the block that is known here.
func registersOf(compatible string) (is2711 bool, err error) {
	for _, c := range strings.Split(compatible, "\x00") {
		switch c {
		case "brcm,bcm2835", "brcm,bcm2836", "brcm,bcm2837":
			return false, nil
		case "brcm,bcm2711":
			return true, nil
		case "brcm,bcm2712":
			return false, fmt.Errorf("%w: a Raspberry Pi 5 has its pins behind another chip; leave memory out", ErrNoRegisters)
		}
	}
	return false, fmt.Errorf("%w: want a Raspberry Pi 0 to 4, this is %q; leave memory out", ErrNoRegisters, strings.Trim(strings.ReplaceAll(compatible, "\x00", " "), " "))
}

func newRegisters(w words, is2711 bool, unmap func() error) *registers {
	r := &registers{words: w, is2711: is2711, unmap: unmap}
	r.source = &source{open: func(pins []*padPin) (inputs, error) { return bank{r, pins}, nil }}
	return r
}

func (r *registers) close() error {
	if r == nil || r.unmap == nil {
		return nil
	}
	return r.unmap()
}

// take gives the pin of a line. The kernel's line is kept as an input beside it, so
// that nobody else takes it meanwhile.
func (r *registers) take(l chipLine) (periph.PinIO, error) {
	if !strings.HasPrefix(l.label, "pinctrl-bcm2") {
		return nil, fmt.Errorf("%w: the line is on chip %s", ErrNoRegisters, l.label)
	}
	if l.offset > lastPin {
		return nil, fmt.Errorf("%w: line %d belongs to the board itself", ErrNoRegisters, l.offset)
	}
	if err := l.pin.In(periph.Float, periph.NoEdge); err != nil {
		return nil, err
	}
	return &memPin{PinIO: l.pin, regs: r, n: l.offset}, nil
}

// direct makes a pin an output or an input, and leaves its neighbours as they are. The
// kernel may do the same with another pin of the ten in between; nothing guards that.
func (r *registers) direct(n int, out bool) {
	i, shift := regSelect+n/10, n%10*3
	v := r.words.load(i) &^ (7 << shift)
	if out {
		v |= 1 << shift
	}
	r.words.store(i, v)
}

func (r *registers) pull(n int, pull periph.Pull) {
	if r.is2711 {
		i, shift := regPull2711+n/16, n%16*2
		v := r.words.load(i) &^ (3 << shift)
		switch pull {
		case periph.PullUp:
			v |= 1 << shift
		case periph.PullDown:
			v |= 2 << shift
		}
		r.words.store(i, v)
		return
	}
	var v uint32
	switch pull {
	case periph.PullUp:
		v = 2
	case periph.PullDown:
		v = 1
	}
	r.words.store(regPull, v)
	r.settle()
	r.words.store(regPullClock+n/32, 1<<(n%32))
	r.settle()
	r.words.store(regPull, 0)
	r.words.store(regPullClock+n/32, 0)
}

func (r *registers) settle() {
	for start := time.Now(); time.Since(start) < pullSettles; { //nolint:revive // far below what a timer can do
	}
}

// memPin is a pin by its registers; its names are the line's.
type memPin struct {
	periph.PinIO
	regs *registers
	n    int
	pull periph.Pull
}

// In makes the pin an input. The pull is written only where it changes.
func (m *memPin) In(pull periph.Pull, edge periph.Edge) error {
	if edge != periph.NoEdge {
		return errors.New("a memory-mapped pin has no edges")
	}
	m.regs.direct(m.n, false)
	if pull != periph.PullNoChange && pull != m.pull {
		m.regs.pull(m.n, pull)
		m.pull = pull
	}
	return nil
}

// Out sets the level first and the direction then, so that there is no glitch.
func (m *memPin) Out(l periph.Level) error {
	reg := regClear
	if l {
		reg = regSet
	}
	m.regs.words.store(reg+m.n/32, 1<<(m.n%32))
	m.regs.direct(m.n, true)
	return nil
}

func (m *memPin) Read() periph.Level {
	return m.regs.words.load(regLevel+m.n/32)>>(m.n%32)&1 != 0
}

func (m *memPin) Pull() periph.Pull { return m.pull }

// bank reads several pins by one or two loads.
type bank struct {
	regs *registers
	pins []*padPin
}

func (b bank) Read(periph.GPIOValue) (periph.GPIOValue, error) {
	levels := uint64(b.regs.words.load(regLevel))
	for _, p := range b.pins {
		if m, ok := p.pin.(*memPin); ok && m.n >= 32 {
			levels |= uint64(b.regs.words.load(regLevel+1)) << 32
			break
		}
	}
	var got periph.GPIOValue
	for k, p := range b.pins {
		if m, ok := p.pin.(*memPin); ok && levels>>m.n&1 != 0 {
			got |= 1 << k
		}
	}
	return got, nil
}

func (b bank) Close() error { return nil }
