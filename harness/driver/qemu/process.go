package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// run is one process: the device from power-on to power-off.
type run struct {
	cmd  *exec.Cmd
	tail *tail
	mon  *monitor
	pins *pins // nil where no line of the chip is used
	chip string

	ctx    context.Context // ends with the process
	stop   context.CancelFunc
	conns  []net.Conn
	wg     sync.WaitGroup // pumps, and what events begin
	ended  chan struct{}  // closed when the process is gone, and its group with it
	killed chan struct{}  // closed before it is killed by us
	once   sync.Once

	stopped, down bool // by its events; under the machine's mu
}

// wires are the sockets that a process inherits, by the number that they have in it.
type wires struct {
	theirs []*os.File
	ours   []net.Conn
}

// pair makes one socket with two ends. It gives ours, and the number of theirs.
func (w *wires) pair() (net.Conn, int, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("make a pair of sockets: %w", err)
	}
	w.theirs = append(w.theirs, os.NewFile(uintptr(fds[1]), "machine"))
	f := os.NewFile(uintptr(fds[0]), "rig")
	defer f.Close() // FileConn has one of its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil, 0, fmt.Errorf("make a pair of sockets: %w", err)
	}
	w.ours = append(w.ours, c)
	return c, 2 + len(w.theirs), nil // after standard input, output and error
}

func (w *wires) close() {
	for _, f := range w.theirs {
		_ = f.Close()
	}
	w.theirs = nil
}

// plan is a command line with what it stands on.
type plan struct {
	wires
	args               []string
	monitor, pins, net net.Conn
	uarts              map[int]net.Conn
	channels           map[string]net.Conn
}

// plan makes the command line.
func (m *Machine) plan() (p *plan, err error) {
	p = &plan{uarts: map[int]net.Conn{}, channels: map[string]net.Conn{}}
	defer func() {
		if err != nil {
			p.close()
			for _, c := range p.ours {
				_ = c.Close()
			}
		}
	}()
	add := func(args ...string) { p.args = append(p.args, args...) }
	given := map[int]bool{} // disks that an argument names
	for i, a := range m.conf.Spec.Args {
		if i > 0 && strings.HasSuffix(m.conf.Spec.Args[i-1], "-drive") {
			a = m.onOverlay(a, given)
		}
		add(strings.ReplaceAll(a, "${dir}", m.conf.Dir))
	}
	add("-name", "rigor-"+m.conf.Name, "-S", "-no-shutdown", "-display", "none", "-monitor", "none")
	m.planDisks(add, given)
	m.planKept(add)
	socket := func(id string) (net.Conn, error) {
		c, fd, err := p.pair()
		add("-chardev", fmt.Sprintf("socket,id=%s,fd=%d", id, fd))
		return c, err
	}
	if p.monitor, err = socket("rigor-monitor"); err != nil {
		return nil, err
	}
	add("-mon", "chardev=rigor-monitor,mode=control")
	if m.usesChip() {
		// -qtest looks for a chardev of this very name.
		if p.pins, err = socket("qtest"); err != nil {
			return nil, err
		}
		add("-qtest", "chardev:qtest", "-qtest-log", "none")
	}
	for n := range m.uarts() {
		if m.port(n) == nil {
			add("-serial", "null")
			continue
		}
		if p.uarts[n], err = socket(uartName(n)); err != nil {
			return nil, err
		}
		add("-serial", "chardev:"+uartName(n))
	}
	if err := m.planAdapters(p, add, socket); err != nil {
		return nil, err
	}
	if err := m.planChannels(p, add, socket); err != nil {
		return nil, err
	}
	return p, m.planNet(p, add)
}

func uartName(n int) string { return "rigor-uart" + strconv.Itoa(n) }

// onOverlay gives a -drive the overlay of the disk that it names.
func (m *Machine) onOverlay(arg string, given map[int]bool) string {
	file, ok := option(arg, "file")
	if !ok {
		return arg
	}
	i := m.conf.Spec.disk(file) // which Mistakes has looked for
	given[i] = true
	out := []string{"file=" + m.overlay(m.conf.Spec.Disks[i]), "format=qcow2"}
	for o := range strings.SplitSeq(arg, ",") {
		if name, _, _ := strings.Cut(o, "="); name != "file" && name != "format" {
			out = append(out, o)
		}
	}
	return strings.Join(out, ",")
}

func (m *Machine) planDisks(add func(...string), given map[int]bool) {
	flash := 0
	for i, d := range m.conf.Spec.Disks {
		if given[i] {
			continue
		}
		drive := fmt.Sprintf("file=%s,format=qcow2", m.overlay(d))
		if strings.HasPrefix(d.Role, "pflash") {
			add("-drive", fmt.Sprintf("if=pflash,unit=%d,%s", flash, drive))
			flash++
			continue
		}
		add("-drive", fmt.Sprintf("if=none,id=%s,%s", d.Role, drive))
		if !m.conf.Spec.mentions("drive=" + d.Role) {
			add("-device", "virtio-blk-pci,drive="+d.Role)
		}
	}
}

func (m *Machine) planKept(add func(...string)) {
	for _, d := range m.conf.Kept {
		add("-drive", fmt.Sprintf("if=none,id=%s,format=%s,file=%s", d.Role, d.Format, under(m.conf.Dir, d.File)))
		if !m.conf.Spec.mentions("drive=" + d.Role) {
			add("-device", "virtio-blk-pci,drive="+d.Role)
		}
	}
}

func (m *Machine) planNet(p *plan, add func(...string)) error {
	card := m.conf.Spec.NIC
	if card == "" {
		card = "virtio-net-pci,romfile="
	}
	card += ",netdev=cable"
	if m.conf.Spec.MAC != "" {
		card += ",mac=" + m.conf.Spec.MAC
	}
	switch {
	case m.conf.Tap != "":
		add("-netdev", "tap,id=cable,ifname="+m.conf.Tap+",script=no,downscript=no")
	case m.conf.Spec.MAC == "" && !m.net.plugged():
		if !slices.ContainsFunc(m.conf.Spec.Args, func(a string) bool { return slices.Contains([]string{"-net", "-nic", "-netdev"}, a) }) {
			add("-nic", "none")
		}
		return nil
	default: // the card is there, whether or not something is plugged in
		c, fd, err := p.pair()
		if err != nil {
			return err
		}
		p.net = c
		add("-netdev", fmt.Sprintf("socket,id=cable,fd=%d", fd))
	}
	if !m.conf.Spec.mentions("netdev=cable") {
		add("-device", card)
	}
	return nil
}

// start makes a process and brings the device to its first instruction.
func (m *Machine) start(ctx context.Context) error {
	if err := m.makeOverlays(ctx); err != nil {
		return err
	}
	p, err := m.plan()
	if err != nil {
		return err
	}
	r, err := m.spawn(p)
	if err != nil {
		return err
	}
	if err := m.bringUp(ctx, r, p); err != nil {
		return errors.Join(m.whyNot(ctx, r, err), r.kill())
	}
	return nil
}

// whyNot says why a process did not come up: what it wrote says more than what our
// end saw of it.
func (m *Machine) whyNot(ctx context.Context, r *run, err error) error {
	late := time.NewTimer(100 * time.Millisecond)
	defer late.Stop()
	select {
	case <-r.ended:
		if gone := m.unchanged(); gone != nil { // between our look and QEMU's
			return fmt.Errorf("%s does not start: %w", filepath.Base(m.program), gone)
		}
		return fmt.Errorf("%s does not start: %w%s", filepath.Base(m.program), r.result(), r.tail.said())
	case <-late.C:
	case <-ctx.Done():
	}
	return fmt.Errorf("%s does not come up: %w%s", filepath.Base(m.program), err, r.tail.said())
}

func (m *Machine) bringUp(ctx context.Context, r *run, p *plan) (err error) {
	if r.mon, err = openMonitor(ctx, p.monitor, func(e event) { m.event(r, e) }); err != nil {
		return err
	}
	if p.pins != nil {
		chip := ""
		if c := m.conf.Spec.PL061; c != nil {
			chip = c.Path
		}
		if chip == "" {
			if chip, err = r.mon.findChip(ctx, "pl061"); err != nil {
				return err
			}
		}
		r.chip, r.pins = chip, openPins(p.pins, func(n int, high bool) { m.output(r, n, high) })
		if err := m.wireUp(ctx, r); err != nil {
			return err
		}
	}
	m.mu.Lock()
	m.run = r
	held := m.held
	for n, c := range p.uarts {
		m.ports[n].attach(r, c)
	}
	if p.net != nil {
		m.net.attach(r, p.net)
	}
	for name, c := range p.channels {
		r.wg.Go(func() { m.conf.Channels[name](r.ctx, c) })
	}
	m.told()
	m.mu.Unlock()
	if !held {
		if _, err := r.mon.execute(ctx, "cont", nil); err != nil {
			m.mu.Lock()
			m.run = nil
			m.mu.Unlock()
			return err
		}
	}
	go m.await(r)
	return nil
}

// wireUp has the outputs told, and puts the inputs to what is on the wires.
func (m *Machine) wireUp(ctx context.Context, r *run) error {
	m.mu.Lock()
	watched, driven := m.watched, sortedLevels(m.driven)
	m.mu.Unlock()
	if watched {
		if err := r.pins.watch(ctx, r.chip); err != nil {
			return err
		}
	}
	for _, d := range driven {
		if err := r.pins.set(ctx, r.chip, d.line, d.high); err != nil {
			return err
		}
	}
	return nil
}

// await waits for a process to end that nobody kills.
func (m *Machine) await(r *run) {
	select {
	case <-r.killed:
		return
	case <-r.ended:
	}
	select {
	case <-r.killed:
		return
	default:
	}
	m.ended(r, fmt.Errorf("%w: %w%s", ErrEnded, r.result(), r.tail.said()))
}

// spawn starts the process. It ends with us, however we end: the kernel kills it
// when the thread ends that started it (prctl(2), PR_SET_PDEATHSIG), which is why
// that is kept.
func (m *Machine) spawn(p *plan) (*run, error) {
	r := &run{tail: &tail{log: m.conf.Log}, ended: make(chan struct{}), killed: make(chan struct{}), conns: p.ours}
	r.ctx, r.stop = context.WithCancel(m.ctx)
	r.cmd = exec.Command(m.program, p.args...) //nolint:noctx // it lives until Off
	r.cmd.Dir = m.conf.Scratch
	r.cmd.Env = environment()
	r.cmd.Stdout, r.cmd.Stderr = r.tail, r.tail
	r.cmd.ExtraFiles = p.theirs
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.cmd.WaitDelay = time.Second // for what it started and left behind with its output
	diesWithUs(r.cmd.SysProcAttr)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = r.cmd.Wait()                                      // how it ended is read from its state
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // what it started goes with it
		r.tail.flush()
		r.stop()
		close(r.ended)
	}()
	err := <-started
	p.close() // the process has its own
	if err == nil {
		err = writeRecord(m.conf.Scratch, r.cmd.Process.Pid)
	}
	if err != nil {
		err = fmt.Errorf("start %s: %w", m.program, err)
		if r.cmd.Process != nil {
			return nil, errors.Join(err, r.kill())
		}
		r.closeAll()
		return nil, err
	}
	return r, nil
}

// environment is what QEMU is handed on of ours: no token of a CI job.
func environment() (env []string) {
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// result says how a process ended.
func (r *run) result() error {
	if s := r.cmd.ProcessState; s != nil {
		return errors.New(s.String())
	}
	return errors.New("unknown")
}

// kill ends the process and waits until it is gone, and what was read from it is
// taken.
func (r *run) kill() error {
	r.once.Do(func() { close(r.killed) })
	_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // gone already: that is what is wanted
	late := time.NewTimer(killWithin)
	defer late.Stop()
	select {
	case <-r.ended:
	case <-late.C:
		return fmt.Errorf("the machine's process %d was killed and does not end", r.cmd.Process.Pid)
	}
	done := make(chan struct{})
	go func() { r.wg.Wait(); close(done) }()
	last := time.NewTimer(time.Second)
	defer last.Stop()
	select {
	case <-done:
	case <-last.C: // who reads a console does not come
	}
	r.closeAll()
	<-done
	return nil
}

func (r *run) closeAll() {
	r.stop()
	for _, c := range r.conns {
		_ = c.Close()
	}
}

const keptOutput = 2 << 10

// tail keeps the end of what QEMU writes, for the error that tells of its end.
type tail struct {
	mu   sync.Mutex
	kept []byte
	line []byte
	log  func(string)
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if n := len(t.kept) - keptOutput; n > 0 {
		t.kept = t.kept[n:]
	}
	t.line = append(t.line, p...)
	for {
		line, rest, ok := bytes.Cut(t.line, []byte("\n"))
		if !ok {
			break
		}
		t.tell(line)
		t.line = rest
	}
	if len(t.line) > keptOutput {
		t.tell(t.line)
		t.line = nil
	}
	return len(p), nil
}

func (t *tail) tell(line []byte) {
	if t.log != nil && len(line) > 0 {
		t.log(string(line))
	}
}

func (t *tail) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(t.line)
	t.line = nil
}

// said gives the last lines for the end of an error.
func (t *tail) said() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	const last = 5
	lines = lines[max(0, len(lines)-last):]
	for i, l := range lines {
		lines[i] = short(l)
	}
	text := strings.Join(lines, "; ")
	if text == "" {
		return ", having said nothing"
	}
	return fmt.Sprintf(", having said %q", text)
}

// short leaves the middle of a long line out: QEMU repeats the argument that it does
// not like, and says behind it why.
func short(line string) string {
	const head, end = 40, 110
	if len(line) <= head+end {
		return line
	}
	return line[:head] + "…" + line[len(line)-end:]
}
