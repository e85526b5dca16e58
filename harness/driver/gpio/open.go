package gpio

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"

	"periph.io/x/conn/v3/driver/driverreg"
	periph "periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"

	"rigor/harness/wire"
)

// ErrNoLine says that the computer has no such line.
var ErrNoLine = errors.New("no such GPIO line")

// start looks for the GPIO chips, once in the life of the process as periph
// wants it. Only the character device is loaded: the kernel then owns each
// line, refuses a second owner, and lets go when the process dies, which
// memory-mapped pins do not.
var start = sync.OnceValue(func() error {
	state, err := driverreg.Init()
	if err != nil {
		return err
	}
	for _, f := range append(state.Failed, state.Skipped...) {
		if f.Err != nil {
			return f.Err
		}
	}
	return nil
})

// Open takes a line of the GPIO character device (Linux, /dev/gpiochipN). ref
// is the line's name in the kernel ("GPIO17"), or chip and offset
// ("gpiochip0:17", "/dev/gpiochip0:17", "pinctrl-bcm2711:17") for one that has
// no name or shares it. What is not there is a *wire.Fault around ErrNoLine
// that lists what is.
func Open(ref string, conf Config) (*Line, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	op := fmt.Sprintf("open GPIO line %q", ref)
	if err := start(); err != nil {
		return nil, &wire.Fault{Part: conf.Part, Op: op, Err: fmt.Errorf("%w: %w", ErrNoLine, err)}
	}
	found, err := find(ref, chips())
	if err != nil {
		return nil, &wire.Fault{Part: conf.Part, Op: op, Err: err}
	}
	l, err := NewLine(found.pin, conf)
	if err != nil {
		if found.consumer != "" {
			err = fmt.Errorf("in use by %q: %w", found.consumer, err)
		}
		return nil, &wire.Fault{Part: conf.Part, Op: op, Err: err}
	}
	if c, ok := found.pin.(*gpioioctl.GPIOLine); ok {
		l.release = c.Close
	}
	return l, nil
}

// chip and line are what find needs to know of the character device.
type chip struct {
	name, label, path string
	lines             []chipLine
}

type chipLine struct {
	offset         int
	name, consumer string
	pin            periph.PinIO
	sets           *source // where several lines of the chip are to be had as one
	label          string  // of the chip
}

func chips() []chip {
	var all []chip
	for _, c := range gpioioctl.Chips {
		one := chip{name: c.Name(), label: c.Label(), path: c.Path()}
		sets := lineSets(c)
		for _, l := range c.Lines() {
			// periph puts the chip's name before a line name that a chip
			// before it has taken. Here the chip is said with the offset.
			name := strings.TrimPrefix(l.Name(), c.Name()+"-")
			one.lines = append(one.lines, chipLine{offset: l.Number(), name: name, consumer: l.Consumer(), pin: l, sets: sets, label: c.Label()})
		}
		all = append(all, one)
	}
	return all
}

// find looks ref up. A name that several lines have is an error, not a choice.
func find(ref string, all []chip) (chipLine, error) {
	if ref == "" || ref == "-" || ref == "_" {
		return chipLine{}, fmt.Errorf("%w: %q names no line; want a name or CHIP:OFFSET", ErrNoLine, ref)
	}
	var hits []chipLine
	var where []string
	for _, c := range all {
		for _, l := range c.lines {
			if l.name == ref {
				hits = append(hits, l)
				where = append(where, fmt.Sprintf("%s:%d", c.name, l.offset))
			}
		}
	}
	switch {
	case len(hits) == 1:
		return hits[0], nil
	case len(hits) > 1:
		return chipLine{}, fmt.Errorf("%w: the name is not unique, say which: %s", ErrNoLine, strings.Join(where, ", "))
	}
	if i := strings.LastIndexByte(ref, ':'); i > 0 {
		return byOffset(ref[:i], ref[i+1:], all)
	}
	return chipLine{}, fmt.Errorf("%w; there are: %s", ErrNoLine, list(all))
}

func byOffset(name, offset string, all []chip) (chipLine, error) {
	n, err := strconv.ParseUint(offset, 10, 16)
	if err != nil {
		return chipLine{}, fmt.Errorf("%w: offset %q is no number", ErrNoLine, offset)
	}
	var hits []chip
	for _, c := range all {
		if name == c.name || name == c.path || name == path.Base(c.path) || name == c.label {
			hits = append(hits, c)
		}
	}
	if len(hits) > 1 {
		return chipLine{}, fmt.Errorf("%w: %d chips are called %q, use the device's name; there are: %s",
			ErrNoLine, len(hits), name, list(all))
	}
	if len(hits) == 1 {
		for _, l := range hits[0].lines {
			if l.offset == int(n) {
				return l, nil
			}
		}
	}
	return chipLine{}, fmt.Errorf("%w; there are: %s", ErrNoLine, list(all))
}

// list says in short what lines there are, and of long lists how many more.
func list(all []chip) string {
	if len(all) == 0 {
		return "no GPIO chips"
	}
	const most = 64
	var out []string
	for _, c := range all {
		var names []string
		for i, l := range c.lines {
			if i == most {
				names = append(names, fmt.Sprintf("and %d more", len(c.lines)-most))
				break
			}
			switch l.name {
			case "", "-", "_":
				names = append(names, strconv.Itoa(l.offset))
			default:
				names = append(names, fmt.Sprintf("%d=%s", l.offset, l.name))
			}
		}
		out = append(out, fmt.Sprintf("%s (%s) with %s", c.name, c.label, strings.Join(names, " ")))
	}
	return strings.Join(out, "; ")
}
