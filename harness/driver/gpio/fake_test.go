package gpio

import (
	"errors"
	"sync"
	"time"

	periph "periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
)

// cdevPin behaves as periph's line on the Linux character device does, with
// the traits that make it dangerous. Its wire has a level of its own, which
// shows whenever the pin does not drive.
type cdevPin struct {
	mu       sync.Mutex
	external periph.Level   // what the wiring and the DUT put on the wire
	output   bool           // we drive
	level    periph.Level   // and this is what
	pull     periph.Pull    // resistor of the input
	edge     periph.Edge    // armed edges
	wire     []periph.Level // every level that the wire had, in order
	misuse   []string       // calls that a careful owner never makes
	ins      int
	waits    int

	edges      chan struct{}
	noEdges    bool  // In with an edge fails, as on a chip without interrupts
	deadEdges  bool  // WaitForEdge fails at once, and says so to a log only
	inErr      error // In fails
	outErr     error // Out fails
	brokenRead bool  // Read fails, and says so to a log only
}

func newCdevPin(idle periph.Level) *cdevPin {
	return &cdevPin{external: idle, wire: []periph.Level{idle}, edges: make(chan struct{}, 64)}
}

func (p *cdevPin) now() periph.Level {
	if p.output {
		return p.level
	}
	return p.external
}

func (p *cdevPin) note() {
	l := p.now()
	if p.wire[len(p.wire)-1] == l {
		return
	}
	p.wire = append(p.wire, l)
	if p.edge != periph.NoEdge {
		select {
		case p.edges <- struct{}{}:
		default:
		}
	}
}

// put sets the external level, as the DUT or a person would.
func (p *cdevPin) put(l periph.Level) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.external = l
	p.note()
}

func (p *cdevPin) levels() []periph.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]periph.Level(nil), p.wire...)
}

func (p *cdevPin) isOutput() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output
}

func (p *cdevPin) fail(in, out error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inErr, p.outErr = in, out
}

func (p *cdevPin) In(pull periph.Pull, edge periph.Edge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ins++
	if p.inErr != nil {
		return p.inErr
	}
	if edge != periph.NoEdge && p.noEdges {
		return errors.New("line_request ioctl: operation not supported")
	}
	p.output, p.pull, p.edge = false, pull, edge
	p.note()
	return nil
}

func (p *cdevPin) Out(l periph.Level) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outErr != nil {
		return p.outErr
	}
	if !p.output {
		// The request has no value, which the kernel puts low.
		p.output, p.level, p.edge = true, periph.Low, periph.NoEdge
		p.note()
	}
	p.level = l
	p.note()
	return nil
}

func (p *cdevPin) Read() periph.Level {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.output {
		p.misuse = append(p.misuse, "Read of an output")
		p.output, p.pull = false, periph.PullUp
		p.note()
	}
	if p.brokenRead {
		return periph.Low
	}
	return p.now()
}

func (p *cdevPin) WaitForEdge(d time.Duration) bool {
	p.mu.Lock()
	p.waits++
	if d <= 0 {
		p.misuse = append(p.misuse, "WaitForEdge of "+d.String())
	}
	if p.edge == periph.NoEdge {
		p.misuse = append(p.misuse, "WaitForEdge without edges")
	}
	dead := p.deadEdges
	p.mu.Unlock()
	if dead {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.edges:
		return true
	case <-t.C:
		return false
	}
}

func (p *cdevPin) Name() string                            { return "GPIO4" }
func (p *cdevPin) String() string                          { return "GPIO4" }
func (p *cdevPin) Halt() error                             { return nil }
func (p *cdevPin) Number() int                             { return 4 }
func (p *cdevPin) Function() string                        { return "" }
func (p *cdevPin) Pull() periph.Pull                       { return p.pull }
func (p *cdevPin) DefaultPull() periph.Pull                { return periph.PullNoChange }
func (p *cdevPin) PWM(periph.Duty, physic.Frequency) error { return errors.New("no PWM") }

var _ periph.PinIO = (*cdevPin)(nil)
