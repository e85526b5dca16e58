package qemu

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	// ErrEnded says that a machine's process ended by itself.
	ErrEnded = errors.New("the machine's process ended by itself")
	// ErrPaused says that a machine does not run, and that neither we nor the device
	// stopped it.
	ErrPaused = errors.New("the machine is paused")
)

const (
	startWithin = 30 * time.Second // for QEMU's monitor to greet, on a busy computer
	killWithin  = 5 * time.Second  // for a killed process to be gone
)

// Config describes one machine of a rig.
type Config struct {
	Name string // in the rig file
	Spec Spec
	Dir  string // where the Spec's relative paths start; absolute
	// Scratch is the folder of the overlays. It is made anew, and removed by Close.
	Scratch string
	// Tap is a tap interface that the network card hangs on, in place of our cable.
	Tap string
	// Log, which may be nil, is given each line that QEMU writes to standard error.
	Log func(line string)
	// Outputs, which may be nil, is given each change of an output of the chip, the
	// loss of the supply with them. It is called in their order, and must not block
	// nor call the machine.
	Outputs func(line int, high bool)
	// Channels are serial channels of the machine's own kind (virtio), by the name that it
	// has for each. Each is served at every start of the machine, by a call of its own,
	// whose end is that of ctx or of conn: the supply is gone then.
	Channels map[string]func(ctx context.Context, conn net.Conn)
	// Kept are raw disks that are written as they are, without an overlay: a copy of
	// the caller's own, which outlives the machine.
	Kept []Disk
}

// Machine is an emulated device. It has no power until On.
type Machine struct {
	conf    Config
	program string
	ctx     context.Context // for what lives as long as the machine
	images  map[string]os.FileInfo

	doing chan struct{}   // held by On and Off
	made  map[string]bool // role → its overlay is there; for who holds doing

	mu       sync.Mutex
	closed   bool
	run      *run  // the process; nil without power
	crash    error // why it ended by itself; until Off
	starting context.CancelFunc
	held     bool         // reset is asserted
	hung     bool         // it was stopped on purpose
	driven   map[int]bool // level of each input of the chip that is ours
	outs     map[int]bool // of each output, as last told
	watched  bool         // somebody looks at outputs
	ports    map[int]*Port
	adapters map[int]string // number of a port → serial number of the adapter
	change   chan struct{}  // closed at the next change of all this
	net      *ether
}

// Open looks whether a machine can be had: program and images are there, and new
// enough. Nothing is started; ctx bounds the looking alone. The error is no
// *wire.Fault: which part it is, the instrument knows that asks for it.
func Open(ctx context.Context, conf Config) (*Machine, error) {
	if err := conf.Spec.Validate(); err != nil {
		return nil, err
	}
	m := &Machine{conf: conf, ctx: context.WithoutCancel(ctx), doing: make(chan struct{}, 1), change: make(chan struct{}), images: map[string]os.FileInfo{},
		made: map[string]bool{}, driven: map[int]bool{}, outs: map[int]bool{}, ports: map[int]*Port{}, adapters: map[int]string{}}
	m.net = &ether{m: m}
	m.watched = conf.Outputs != nil
	var err error
	if m.program, err = findProgram(ctx, conf); err != nil {
		return nil, err
	}
	for _, d := range conf.Spec.Disks {
		if m.images[d.Role], err = image(under(conf.Dir, d.File)); err != nil {
			return nil, fmt.Errorf("disk %s: %w", d.Role, err)
		}
	}
	if err := makeScratch(conf.Scratch); err != nil {
		return nil, err
	}
	return m, nil
}

// image looks whether an image can be read.
func image(path string) (os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() && info.Mode()&os.ModeDevice == 0:
		return nil, fmt.Errorf("%s is no file", path)
	case info.Mode().IsRegular() && info.Size() == 0:
		return nil, fmt.Errorf("%s is empty", path)
	}
	return info, nil
}

// unchanged looks whether the images are those that the machine was opened with: an
// overlay over another image is a device that nobody built.
func (m *Machine) unchanged() error {
	for _, d := range m.conf.Spec.Disks {
		path := under(m.conf.Dir, d.File)
		is, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("disk %s: %w", d.Role, err)
		}
		if was := m.images[d.Role]; !os.SameFile(was, is) || was.Size() != is.Size() || !was.ModTime().Equal(is.ModTime()) {
			return fmt.Errorf("disk %s: %s was changed while the rig uses it, and the device's flash with it: run it again", d.Role, path)
		}
	}
	return nil
}

// enter waits for whoever switches to be done.
func (m *Machine) enter(ctx context.Context) (leave func(), err error) {
	select {
	case m.doing <- struct{}{}:
		return func() { <-m.doing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// On starts the process, and returns when the device runs its first instruction.
// A machine that ended by itself stays so until Off.
func (m *Machine) On(ctx context.Context) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	m.mu.Lock()
	closed, crash, r := m.closed, m.crash, m.run
	m.starting = cancel
	m.mu.Unlock()
	switch {
	case closed:
		return os.ErrClosed
	case crash != nil:
		return crash
	case r != nil:
		return nil
	}
	if err := m.unchanged(); err != nil {
		return err
	}
	return m.start(ctx)
}

// Off cuts the supply: the process is killed with all that it started, and is gone
// when this returns.
func (m *Machine) Off(ctx context.Context) error {
	m.mu.Lock()
	if m.starting != nil {
		m.starting() // a start under way is given up
	}
	m.mu.Unlock()
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	m.mu.Lock()
	r := m.run
	m.run, m.crash, m.hung = nil, nil, false
	m.dark()
	m.told()
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.kill()
}

// State says whether the machine has its supply, and as an error what is wrong with
// it as an instrument.
func (m *Machine) State(ctx context.Context) (on bool, err error) {
	if err := m.Alive(); err != nil {
		return false, err
	}
	m.mu.Lock()
	r := m.run
	m.mu.Unlock()
	if r == nil {
		return false, nil
	}
	return true, errors.Join(m.unchanged(), m.ask(ctx, r))
}

// Alive says what is known to be wrong with the machine. It asks nobody.
func (m *Machine) Alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.crash != nil:
		return m.crash
	case m.run != nil && m.run.stopped && !m.run.down && !m.held && !m.hung:
		return fmt.Errorf("%w: not by us, and not by the device%s", ErrPaused, m.run.tail.said())
	}
	return nil
}

// ask has the monitor say whether the machine runs. A device that is off or hangs
// by its own doing is nothing wrong.
func (m *Machine) ask(ctx context.Context, r *run) error {
	s, err := r.mon.status(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crash != nil {
		return m.crash
	}
	if m.run != r || m.held || m.hung {
		return nil
	}
	if err != nil {
		return err
	}
	switch s {
	case "running", "shutdown", "guest-panicked", "suspended", "watchdog", "prelaunch":
		return nil
	}
	return fmt.Errorf("%w (%s)%s: a full disk of this computer, or somebody stopped it", ErrPaused, s, r.tail.said())
}

// told wakes those who wait for a change. The caller holds mu.
func (m *Machine) told() {
	close(m.change)
	m.change = make(chan struct{})
}

// ended is called when a process has ended that nobody killed.
func (m *Machine) ended(r *run, why error) {
	m.mu.Lock()
	if m.run != r {
		m.mu.Unlock()
		return
	}
	m.crash = why
	m.dark()
	m.told()
	ports := slices.Collect(maps.Values(m.ports))
	m.mu.Unlock()
	for _, p := range ports {
		p.fail(why)
	}
}

// event takes what the machine tells by itself.
func (m *Machine) event(r *run, e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch e.Name {
	case "STOP":
		r.stopped = true
	case "RESUME":
		r.stopped = false
	case "SHUTDOWN", "GUEST_PANICKED", "SUSPEND", "WATCHDOG":
		r.down = true
	case "RESET":
		r.down = false
		// The chip forgets the levels of its inputs, the wires do not.
		r.wg.Go(func() { m.redrive(r) })
	}
	m.told()
}

// redrive sets the inputs of the chip to what is on the wires.
func (m *Machine) redrive(r *run) {
	if r.pins == nil {
		return
	}
	m.mu.Lock()
	driven := maps.Clone(m.driven)
	m.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(driven)) {
		// One that fails shows at the next use of the line.
		_ = r.pins.set(r.ctx, r.chip, n, driven[n])
	}
}

// output takes a change of an output of the chip.
func (m *Machine) output(r *run, line int, high bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == r || m.run == nil { // nil while it starts
		if m.outs[line] != high && m.conf.Outputs != nil {
			m.conf.Outputs(line, high)
		}
		m.outs[line] = high
		m.told()
	}
}

// dark lets all outputs fall: the supply is gone. The caller holds mu.
func (m *Machine) dark() {
	for _, o := range sortedLevels(m.outs) {
		if o.high && m.conf.Outputs != nil {
			m.conf.Outputs(o.line, false)
		}
	}
	clear(m.outs)
}

// Close ends the machine, and removes what it wrote. It may be called again.
func (m *Machine) Close() error {
	ctx, cancel := context.WithTimeout(m.ctx, killWithin)
	defer cancel()
	m.mu.Lock()
	was := m.closed
	m.closed = true
	m.mu.Unlock()
	if was {
		return nil
	}
	return errors.Join(m.Off(ctx), os.RemoveAll(m.conf.Scratch))
}
