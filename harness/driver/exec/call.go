// Package exec lets a program of the user stand in for an instrument: it gets
// one JSON request on its standard input and gives one JSON answer on its
// standard output.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"rigor/harness/wire"
)

// Limits of a call.
const (
	defaultTimeout = 30 * time.Second
	maxTimeout     = time.Hour
	defaultOutput  = 1 << 20
	maxOutput      = 64 << 20
	keptErrors     = 512         // bytes of standard error that an error shows
	keptTail       = 64 << 10    // bytes of it that are kept: half a secret would not be known
	grace          = time.Second // from the program's end to its pipes' end
)

// Sentinels that a Fault of this package wraps.
var (
	// ErrAnswer says that what came back is not the one JSON answer of the seam.
	ErrAnswer = errors.New("not a valid answer")
	// ErrTimeout says that the program did not end in time.
	ErrTimeout = errors.New("the program took too long")
)

// Command is a program that stands in for an instrument.
type Command struct {
	// Part is the instrument's name in results. Required.
	Part wire.Part
	// Argv is the program and its arguments; no shell reads them. They show in
	// process lists and errors, so a secret has no place here: it goes into the
	// request. Required.
	Argv []string
	// Dir is the working directory. Empty is our own.
	Dir string
	// Env has variables as NAME=value, added to PATH, HOME, LANG, TZ and TMPDIR
	// of our own. Nothing else is handed on: a token of a CI job, for one.
	Env []string
	// Timeout bounds one call, up to 1 h. Zero is 30 s.
	Timeout time.Duration
	// MaxOutput bounds the answer, up to 64 MiB. Zero is 1 MiB.
	MaxOutput int
	// Redact, when set, takes the secrets out of what the program wrote before it
	// goes into an error.
	Redact func(string) string
}

// Validate says what is wrong with the command, all at once.
func (c Command) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the command has no part name"))
	}
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		errs = append(errs, errors.New("argv is empty: want a program and its arguments"))
	}
	for _, s := range append(c.Argv[:len(c.Argv):len(c.Argv)], c.Env...) {
		if strings.ContainsRune(s, 0) {
			errs = append(errs, errors.New("argv or env holds a NUL byte"))
		}
	}
	for _, e := range c.Env {
		if strings.IndexByte(e, '=') < 1 {
			errs = append(errs, errors.New("env has an entry that is not NAME=value"))
		}
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("timeout %v: want up to %v", c.Timeout, maxTimeout))
	}
	if c.MaxOutput < 0 || c.MaxOutput > maxOutput {
		errs = append(errs, fmt.Errorf("output limit %d: want up to %d", c.MaxOutput, maxOutput))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("exec %q: %w", c.Part, err)
	}
	return nil
}

func (c Command) fault(err error) error {
	name := "?"
	if len(c.Argv) > 0 {
		name = filepath.Base(c.Argv[0])
	}
	return &wire.Fault{Part: c.Part, Op: "run " + name, Err: err}
}

// Call runs the program once: it marshals req to its input, waits for it to
// end, and decodes its output strictly into resp, a pointer to a struct. Every
// trouble is a *wire.Fault: a program that is not there, a code other than 0,
// too much output, a timeout (ErrTimeout; the whole process group is killed),
// an answer in other words than resp has fields for (ErrAnswer). Only the end of
// ctx by cancellation is not one.
func (c Command) Call(ctx context.Context, req, resp any) error {
	if err := c.Validate(); err != nil {
		return err
	}
	in, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%s: request: %w", c.Part, err)
	}
	out, err := c.run(ctx, append(in, '\n'))
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("%s: run %s: %w", c.Part, filepath.Base(c.Argv[0]), ctx.Err())
		}
		return c.fault(err)
	}
	if err := Decode(out, resp); err != nil {
		return c.fault(fmt.Errorf("%w; the program said %s", err, c.show(out)))
	}
	return nil
}

// Output runs the program once, without input, and gives what it prints. Trouble is as in
// Call.
func (c Command) Output(ctx context.Context) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	out, err := c.run(ctx, nil)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("%s: run %s: %w", c.Part, filepath.Base(c.Argv[0]), ctx.Err())
	}
	if err != nil {
		return nil, c.fault(err)
	}
	return out, nil
}

func (c Command) run(ctx context.Context, in []byte) ([]byte, error) {
	limit, timeout := c.MaxOutput, c.Timeout
	if limit == 0 {
		limit = defaultOutput
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	full, flood := context.WithCancelCause(ctx)
	defer flood(nil)

	cmd := osexec.CommandContext(full, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	cmd.Env = c.environment()
	cmd.Stdin = bytes.NewReader(in)
	stdout := &capped{limit: limit, over: func() {
		flood(fmt.Errorf("%w: more than %d bytes of output", ErrAnswer, limit))
	}}
	stderr := &tail{limit: keptTail}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// A group of its own, so that what the program started dies with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	diesWithUs(cmd.SysProcAttr)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace

	start := time.Now()
	err := cmd.Run()
	if cause := context.Cause(full); err != nil && cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			cause = fmt.Errorf("%w: %w", ErrTimeout, cause)
		}
		return nil, fmt.Errorf("killed after %v: %w%s", time.Since(start).Round(time.Millisecond), cause, c.said(stderr))
	}
	if errors.Is(err, osexec.ErrWaitDelay) {
		// It ended, and left somebody behind who holds its output.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // best effort, the error is reported anyhow
		return nil, fmt.Errorf("%w: the program ended, but something it started keeps its output open", ErrAnswer)
	}
	if err != nil {
		return stdout.buf.Bytes(), fmt.Errorf("%w%s", err, c.said(stderr))
	}
	return stdout.buf.Bytes(), nil
}

// environment is what the program gets to see.
func (c Command) environment() []string {
	env := []string{}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, c.Env...)
}

func (c Command) said(t *tail) string {
	if len(t.buf) == 0 {
		return ""
	}
	return "; it said " + c.showEnd(t.buf)
}

// showEnd is show of the last of what the program wrote.
func (c Command) showEnd(b []byte) string {
	s := c.redacted(b)
	if len(s) > keptErrors {
		s = strings.ToValidUTF8(s[len(s)-keptErrors:], "")
	}
	return quoted(s)
}

// show quotes the first of what the program wrote: without secrets first, then cut.
func (c Command) show(b []byte) string {
	s := c.redacted(b)
	if len(s) > keptErrors {
		return quoted(strings.ToValidUTF8(s[:keptErrors], "")) + "…"
	}
	return quoted(s)
}

func (c Command) redacted(b []byte) string {
	if c.Redact == nil {
		return string(b)
	}
	return c.Redact(string(b))
}

// quoted puts the lines of s on one. A text that is fit to be read as it is stays so:
// it is written out once more where it is shown.
func quoted(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	s = strings.Join(lines, " | ")
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return `"` + s + `"`
}

// capped keeps up to limit bytes and calls over once there are more.
type capped struct {
	buf   bytes.Buffer
	limit int
	over  func()
}

func (c *capped) Write(p []byte) (int, error) {
	if c.buf.Len()+len(p) > c.limit {
		c.over()
		return len(p), nil // swallowed until the kill arrives
	}
	return c.buf.Write(p)
}

// tail keeps the last bytes: what a program says last is why it failed.
type tail struct {
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - t.limit; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}
