package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// Limits of a console behind a program.
const (
	writeWithin = 10 * time.Second       // for the program to take what is sent
	endWithin   = 500 * time.Millisecond // from SIGTERM to SIGKILL
	maxLogLine  = 1 << 10                // bytes of standard error that are one line of the log
	maxLogHeld  = 64 << 10               // bytes of a line of standard error, of which the rest is left out
	maxSecret   = 8 << 10                // bytes of a secret, however it is written
)

// ErrEnded says that a program ended that has to run as long as the rig is used.
var ErrEnded = errors.New("the program ended")

// Port is a console behind a program that runs for as long as the port is open:
// its standard input and output are the console's bytes, raw, in both
// directions. What it writes to standard error goes to the log.
type Port struct {
	cmd   Command
	proc  *osexec.Cmd
	in    *os.File // the program's input
	out   *os.File // its output
	said  *logger
	ended chan struct{} // closed when the program is gone, and its group with it
	why   error         // how it ended; read after ended is closed

	writing chan struct{} // held by the one who writes
	quit    chan struct{}
	once    sync.Once
}

var _ wire.Port = (*Port)(nil)

// OpenPort starts the program. Log, which may be nil, is given each line that it
// writes to standard error. Of the command Timeout and MaxOutput mean nothing
// here. The error is Validate's or a *wire.Fault.
func OpenPort(cmd Command, log func(line string)) (*Port, error) {
	if err := cmd.Validate(); err != nil {
		return nil, err
	}
	p := &Port{cmd: cmd, ended: make(chan struct{}), writing: make(chan struct{}, 1), quit: make(chan struct{})}
	p.said = &logger{tail: tail{limit: keptTail}, log: log, clean: cmd.Redact}
	inR, in, err := os.Pipe()
	if err != nil {
		return nil, cmd.fault(err)
	}
	out, outW, err := os.Pipe()
	if err != nil {
		closeAll(inR, in)
		return nil, cmd.fault(err)
	}
	p.in, p.out = in, out
	p.proc = osexec.Command(cmd.Argv[0], cmd.Argv[1:]...) //nolint:noctx // it lives until Close
	p.proc.Dir, p.proc.Env = cmd.Dir, cmd.environment()
	p.proc.Stdin, p.proc.Stdout, p.proc.Stderr = inR, outW, p.said
	p.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.proc.WaitDelay = grace // for what it started and left behind with its standard error
	diesWithUs(p.proc.SysProcAttr)
	started := make(chan error, 1)
	go p.watch(started)
	err = <-started
	closeAll(inR, outW) // the program has its own
	if err != nil {
		closeAll(in, out)
		return nil, cmd.fault(err)
	}
	return p, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe of ours
	}
}

// watch starts the program and waits for its end, on the thread that the kernel
// ties the program's life to.
func (p *Port) watch(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.proc.Start()
	started <- err
	if err != nil {
		return
	}
	begun := time.Now()
	err = p.proc.Wait()
	p.signal(syscall.SIGKILL) // what it started goes with it
	if err == nil || errors.Is(err, osexec.ErrWaitDelay) {
		err = errors.New("exit status 0")
	}
	p.said.flush()
	p.why = fmt.Errorf("%w after %v: %w%s", ErrEnded, time.Since(begun).Round(time.Millisecond), err, p.cmd.said(&p.said.tail))
	close(p.ended)
	// Somebody who left the group may hold the output still: what is there is
	// read, and no more waited for.
	_ = p.out.SetReadDeadline(time.Now().Add(grace)) // closed already: then nobody reads
}

// signal goes to the whole group; nobody may be left in it.
func (p *Port) signal(s syscall.Signal) { _ = syscall.Kill(-p.proc.Process.Pid, s) }

func (p *Port) fault(op string, err error) error {
	return &wire.Fault{Part: p.cmd.Part, Op: op + " " + filepath.Base(p.cmd.Argv[0]), Err: err}
}

// Read gives what the program writes. It ends with io.EOF after Close, and with
// a *wire.Fault (ErrEnded) when the program has ended and all that it wrote was
// read.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.fault("read from", io.ErrShortBuffer)
	}
	n, err := p.out.Read(b)
	if n > 0 {
		return n, nil
	}
	select {
	case <-p.quit:
		return 0, io.EOF
	default:
	}
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		// Its output is closed; why is known once it is gone. One that only closed
		// its output is of no use any more.
		p.signal(syscall.SIGKILL)
		<-p.ended
		return 0, p.fault("read from", p.why)
	}
	return 0, p.fault("read from", err)
}

// Write gives b to the program, within 10 s. That it took it does not say that
// the DUT has it.
func (p *Port) Write(ctx context.Context, b []byte) error {
	const op = "write to"
	select {
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w", p.cmd.Part, op, ctx.Err())
	case <-p.quit:
		return p.fault(op, os.ErrClosed)
	}
	select { // Close ends the program, too: it goes first
	case <-p.quit:
		return p.fault(op, os.ErrClosed)
	default:
	}
	select {
	case <-p.ended:
		return p.fault(op, p.why)
	default:
	}
	start := time.Now()
	if err := p.in.SetWriteDeadline(start.Add(writeWithin)); err != nil {
		return p.fault(op, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = p.in.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := p.in.Write(b)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s: %s: %d of %d bytes: %w", p.cmd.Part, op, n, len(b), ctx.Err())
	case errors.Is(err, syscall.EPIPE):
		select { // it closed its input, or is ending just now
		case <-p.ended:
			err = p.why
		case <-time.After(grace):
		}
	}
	return p.fault(op, fmt.Errorf("%d of %d bytes after %v: %w", n, len(b), time.Since(start).Round(time.Millisecond), err))
}

// Break is wire.ErrUnsupported: there are only bytes.
func (p *Port) Break(context.Context, time.Duration) error {
	return fmt.Errorf("%s: break: %w: a program is given bytes alone", p.cmd.Part, wire.ErrUnsupported)
}

// SetRate is wire.ErrUnsupported: the rate is the program's matter.
func (p *Port) SetRate(context.Context, int) error {
	return fmt.Errorf("%s: set the rate: %w: the rate is the program's matter", p.cmd.Part, wire.ErrUnsupported)
}

// Close ends the program and all that it started: its input ends and it is asked
// to (SIGTERM), then killed. It may be called again.
func (p *Port) Close() error {
	p.once.Do(func() {
		close(p.quit)
		_ = p.in.Close() // its end is what the program is to see
		p.signal(syscall.SIGTERM)
		timer := time.NewTimer(endWithin)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
		_ = p.out.Close() // what it said last is of no use
	})
	return nil
}

// logger takes what a program writes to standard error, line by line. Secrets are taken
// out of a line before it is cut to what a log takes: half a secret is not known any more.
type logger struct {
	tail  tail // for the error that tells of the program's end
	log   func(line string)
	clean func(string) string
	line  []byte // its first maxLogHeld bytes
	over  bool   // there is more of it
}

// Write is called by one goroutine, which ends before Wait does.
func (l *logger) Write(p []byte) (int, error) {
	_, _ = l.tail.Write(p) // never fails
	for rest := p; len(rest) > 0; {
		part, after, end := bytes.Cut(rest, []byte("\n"))
		n := min(len(part), maxLogHeld-len(l.line))
		l.line = append(l.line, part[:n]...)
		l.over = l.over || n < len(part)
		if end {
			l.flush()
		}
		rest = after
	}
	return len(p), nil
}

func (l *logger) flush() {
	if len(l.line) == 0 {
		return
	}
	text, over := string(l.line), l.over
	l.line, l.over = l.line[:0], false
	if l.clean != nil {
		text = l.clean(text)
	}
	if over { // it may end with the beginning of a secret
		text = text[:max(0, len(text)-maxSecret)]
	}
	if l.log == nil {
		return
	}
	for len(text) > 0 {
		n := min(len(text), maxLogLine)
		l.log(text[:n])
		text = text[n:]
	}
	if over {
		l.log("… (the rest of a line that is too long is left out)")
	}
}
