package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// GuardSpec says what a guard watches over.
type GuardSpec struct {
	File  *File
	Dir   string // the rig file's folder
	Store *Store // where it reports
	// Lease is handed over too, so that nobody takes the rig before it is safe.
	Lease *Lease
	// Argv starts the guard: this program with the word "guard", where empty.
	// The process must end in RunGuard.
	Argv []string
	// Environ is added to this process's own.
	Environ []string
	// Within bounds the making safe once it has begun; where zero, 10 s and the
	// power's settling time. An instrument that is busy is tried again until
	// then.
	Within time.Duration
}

// The descriptors of a guard, after standard input, output and error.
const (
	guardControl = 3 // reads the orders; its end is the run's end
	guardReady   = 4 // says that the guard is on duty
	guardLocks   = 5 // and further: the lease
)

// orders is the first line on the guard's pipe. It holds references to secrets
// only; the guard resolves them as the run did.
type orders struct {
	Rig     string            `json:"rig"`
	Dir     string            `json:"dir"`
	Store   string            `json:"store"`
	Within  time.Duration     `json:"within_ns"`
	Locks   int               `json:"locks"`
	Power   *Power            `json:"power,omitempty"`
	Lines   map[string]*Line  `json:"lines,omitempty"`
	Pads    *Pads             `json:"pads,omitempty"`
	Secrets map[string]string `json:"secrets,omitempty"`
	Virtual *Virtual          `json:"virtual,omitempty"`

	Machines map[string]*Machine `json:"machines,omitempty"`
}

const (
	onDuty    = "on duty\n"
	wordDone  = "done"
	guardFile = "guard.json"
	guardLog  = "guard.log"
	maxOrders = 1 << 20
	// guardStart bounds the start of the process: a Pi Zero under load needs
	// seconds to load a program from its card.
	guardStart = 20 * time.Second
	// secondLook is when a rig that was made safe is made so again.
	secondLook = 200 * time.Millisecond
)

// GuardReport is what a guard has done, as it stands in the state folder.
type GuardReport struct {
	Rig   string    `json:"rig"`
	Ended time.Time `json:"ended"` // when the run was seen to have ended
	Took  int64     `json:"took_ms"`
	Safe  bool      `json:"safe"`
	Acts  []SafeAct `json:"acts"`
	Seen  time.Time `json:"seen,omitzero"` // when a later start took notice
}

// Guard is the process that makes the rig safe when this one ends without
// having done so: by a crash, by kill -9, by a closed terminal. It holds the
// other end of a pipe, which the kernel closes whatever ends us.
type Guard struct {
	cmd     *exec.Cmd
	mu      sync.Mutex
	control *os.File
	gone    chan struct{}
	err     error // of the process, once gone is closed
}

// StartGuard starts the guard and returns when it is on duty. It belongs
// before the first act on the rig.
func StartGuard(ctx context.Context, spec GuardSpec) (*Guard, error) {
	fail := func(err error) (*Guard, error) { return nil, fmt.Errorf("start the guard: %w", err) }
	if spec.File == nil || spec.Store == nil {
		return fail(errors.New("it needs a rig and its state folder"))
	}
	argv := spec.Argv
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fail(err)
		}
		argv = []string{self, "guard"}
	}
	o, err := newOrders(spec)
	if err != nil {
		return fail(err)
	}
	g := &Guard{gone: make(chan struct{})}
	ready, err := g.launch(argv, spec)
	if err != nil {
		return fail(err)
	}
	defer ready.Close()
	ctx, cancel := context.WithTimeout(ctx, guardStart)
	defer cancel()
	if err := g.brief(ctx, ready, o); err != nil {
		g.abandon()
		return fail(fmt.Errorf("%w; its log is %s", err, filepath.Join(spec.Store.Dir(), guardLog)))
	}
	return g, nil
}

func newOrders(spec GuardSpec) ([]byte, error) {
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, err
	}
	f := spec.File
	o := orders{Rig: f.Name, Dir: dir, Store: spec.Store.Dir(), Within: spec.Within,
		Power: f.Power, Lines: f.Lines, Pads: f.Pads, Secrets: f.Secrets, Virtual: f.Virtual, Machines: f.Machines}
	if o.Within <= 0 {
		o.Within = 10*time.Second + settling(f)
	}
	if spec.Lease != nil {
		o.Locks = len(spec.Lease.Files())
	}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func (g *Guard) launch(argv []string, spec GuardSpec) (ready *os.File, err error) {
	log, err := os.OpenFile(filepath.Join(spec.Store.Dir(), guardLog), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	controlR, controlW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer controlR.Close()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		_ = controlW.Close()
		return nil, err
	}
	defer readyW.Close()
	// Not our standard output or error: a CI job waits until all holders of
	// those have ended.
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // the guard has to outlive whatever ends the run
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), spec.Environ...)
	cmd.ExtraFiles = []*os.File{controlR, readyW}
	if spec.Lease != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, spec.Lease.Files()...)
	}
	// A session of its own: a signal to our terminal or process group does not
	// reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		_ = controlW.Close()
		_ = readyR.Close()
		return nil, err
	}
	g.cmd, g.control = cmd, controlW
	go func() {
		g.err = cmd.Wait()
		close(g.gone)
	}()
	return readyR, nil
}

// brief hands over the orders and waits for the answer.
func (g *Guard) brief(ctx context.Context, ready *os.File, o []byte) error {
	answered := make(chan error, 1)
	go func() {
		if _, err := g.control.Write(o); err != nil {
			answered <- fmt.Errorf("give it its orders: %w", err)
			return
		}
		got, err := io.ReadAll(io.LimitReader(ready, 64))
		if err == nil && string(got) != onDuty {
			err = fmt.Errorf("it answered %q", got)
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		_ = ready.SetReadDeadline(time.Now())
		_ = g.control.SetWriteDeadline(time.Now())
		<-answered //nolint:errcheck // cut short by us: its error says no more
		return fmt.Errorf("it is not on duty: %w", ctx.Err())
	}
}

// abandon ends a guard that never came on duty.
func (g *Guard) abandon() {
	_ = g.cmd.Process.Kill()
	_ = g.control.Close()
	<-g.gone
}

// PID gives the guard's process.
func (g *Guard) PID() int { return g.cmd.Process.Pid }

// Gone is closed when the guard has ended. Before Dismiss that is trouble:
// nobody would make the rig safe.
func (g *Guard) Gone() <-chan struct{} { return g.gone }

// Dismiss ends the guard after the rig was made safe. When it does not end in
// time it is killed.
func (g *Guard) Dismiss(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.control == nil {
		return nil
	}
	_ = g.control.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := g.control.WriteString(wordDone + "\n")
	err = errors.Join(err, g.control.Close())
	g.control = nil
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case <-g.gone:
		if err == nil {
			err = g.err
		}
	case <-ctx.Done():
		_ = g.cmd.Process.Kill()
		<-g.gone
		err = errors.Join(err, fmt.Errorf("it did not end: %w", ctx.Err()))
	}
	if err != nil {
		return fmt.Errorf("dismiss the guard: %w", err)
	}
	return nil
}

// StandIn leaves the making safe to the guard, for a run that could not do it: the guard
// tries on, for as long as after a run that was killed, with the lease in its hands, and
// reports what came of it to the next start. It is not waited for.
func (g *Guard) StandIn() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.control == nil {
		return nil
	}
	err := g.control.Close()
	g.control = nil
	if err != nil {
		return fmt.Errorf("leave the making safe to the guard: %w", err)
	}
	return nil
}

// GuardReport gives what the guard of an earlier run did, or nil when none had
// to do anything since the last Noticed.
func (s *Store) GuardReport() (*GuardReport, error) {
	path := filepath.Join(s.dir, guardFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the guard's report: %w", err)
	}
	var r GuardReport
	if err := strictJSON(b, &r); err != nil {
		return nil, fmt.Errorf("the guard's report %s: %w", path, err)
	}
	if !r.Seen.IsZero() {
		return nil, nil
	}
	return &r, nil
}

// Noticed marks the guard's report as seen.
func (s *Store) Noticed() error {
	r, err := s.GuardReport()
	if r == nil || err != nil {
		return err
	}
	r.Seen = s.now().UTC()
	return s.writeReport(r)
}

func (s *Store) writeReport(r *GuardReport) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeDurably(filepath.Join(s.dir, guardFile), append(b, '\n')); err != nil {
		return fmt.Errorf("write the guard's report: %w", err)
	}
	return nil
}

// RunGuard is the guard's side: the whole life of the process that StartGuard
// starts. It returns when the run said that it is done, or when the run has
// ended without and the rig was made safe. Signals that end programs are
// taken and dropped: whoever ends the run by a signal to all its processes
// must not end the guard with it. Its ctx carries values only.
func RunGuard(ctx context.Context, d Drivers, env Env) error {
	// Caught, not ignored: programs that drivers start would inherit that.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	defer signal.Stop(dropped)
	control := os.NewFile(guardControl, "control")
	ready := os.NewFile(guardReady, "ready")
	if err := arePipes(control, ready); err != nil {
		return err
	}
	in := bufio.NewReaderSize(control, 4096)
	line, err := readLine(in, maxOrders)
	if err != nil {
		return fmt.Errorf("guard: read the orders: %w", err)
	}
	var o orders
	if err := strictJSON(line, &o); err != nil {
		return fmt.Errorf("guard: the orders are %w", err)
	}
	locks := make([]*os.File, o.Locks)
	for i := range locks {
		locks[i] = os.NewFile(uintptr(guardLocks+i), "lock")
		// Programs that drivers start must not keep the lease when we end.
		syscall.CloseOnExec(guardLocks + i)
	}
	syscall.CloseOnExec(guardControl)
	syscall.CloseOnExec(guardReady)
	store, err := OpenStore(o.Store)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	if _, err := ready.WriteString(onDuty); err != nil {
		return fmt.Errorf("guard: report for duty: %w", err)
	}
	if err := ready.Close(); err != nil {
		return fmt.Errorf("guard: report for duty: %w", err)
	}

	word, err := readLine(in, 64)
	if err == nil && string(word) == wordDone {
		return nil
	}
	return standIn(context.WithoutCancel(ctx), store, o, locks, d, env)
}

// standIn makes the rig safe in place of the run that has ended.
func standIn(ctx context.Context, store *Store, o orders, locks []*os.File, d Drivers, env Env) error {
	ended := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.Within)
	defer cancel()
	env.Dir = o.Dir
	// Beside the work, not before it: nothing may delay that.
	go func() {
		host, _ := os.Hostname()
		for _, lock := range locks {
			_ = writeHolder(lock, Holder{PID: os.Getpid(), Rig: o.Rig, Since: ended.UTC().Truncate(time.Second), Host: host, Role: roleGuard})
		}
	}()
	f := &File{Name: o.Rig, Power: o.Power, Lines: o.Lines, Pads: o.Pads, Secrets: o.Secrets, Virtual: o.Virtual, Machines: o.Machines}
	acts, err := MakeSafe(ctx, f, d, env)
	if err == nil {
		// A program that the run had just started may have done its work
		// meanwhile; programs that it starts in turn outlive it.
		if pause(ctx, secondLook) == nil {
			acts, err = MakeSafe(ctx, f, d, env)
		}
	}
	report := &GuardReport{Rig: o.Rig, Ended: ended.UTC(), Took: time.Since(ended).Milliseconds(), Safe: err == nil, Acts: acts}
	if err := errors.Join(err, store.writeReport(report)); err != nil {
		return fmt.Errorf("guard of rig %s: not safe after %v: %w", o.Rig, o.Within, err)
	}
	return nil
}

// ErrByHand says that a person started the guard's process.
var ErrByHand = errors.New("guard: this command is for a run's own use; to put a rig safe, use \"safe\"")

// arePipes tells a guard that StartGuard started from a command that a person
// typed.
func arePipes(files ...*os.File) error {
	for _, f := range files {
		info, err := f.Stat()
		if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
			return ErrByHand
		}
	}
	return nil
}

// readLine reads up to a newline; a line that the end of the stream cuts short
// is an error, as is one over max bytes.
func readLine(in *bufio.Reader, max int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > max:
			return nil, fmt.Errorf("a line of over %d bytes", max)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
