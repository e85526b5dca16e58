package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"rigor/harness/beside"
	"rigor/harness/login"
	"rigor/harness/login/dialog"
	"rigor/harness/verdict"
)

// session is a connection that the server let in.
type session struct {
	client *ssh.Client
	cfg    *Config
	texts  login.Texts
	facts  map[string]string
	shell  bool // commands run in a shell on a terminal: exec is not served
}

// execFor is how long a command of ours may take before we look whether the
// device only has a shell: menus ignore what they are asked to run.
const execFor = 4 * time.Second

// Proof asks for the protected resource again, on the same connection.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, s.cfg.Timeout)
	defer cancel()
	o, err := s.prove(ctx, win)
	o.Took = time.Since(begun)
	return o, err
}

// prove reaches for the protected resource: the declared command's output, a
// marker printed by a shell, or a prompt.
func (s *session) prove(ctx, win context.Context) (login.Outcome, error) {
	var o login.Outcome
	for k, v := range s.facts {
		o.Fact(k, v)
	}
	o.Sent = true
	var said []byte
	if !s.shell {
		marker := dialog.NewMarker()
		command, limit := s.cfg.Command, win
		if command == "" {
			var cancel context.CancelFunc
			limit, cancel = soon(win, execFor)
			defer cancel()
			command = marker.Command("")
		}
		out, status, err := s.exec(limit, command, nil)
		if rig := login.Rig(ctx, err); rig != nil {
			return o, rig
		}
		said = append(said, out...)
		if s.proves(out, marker) {
			o.Evidence = login.Cut(said)
			o.Fact(login.FactProof, "exec")
			o.Set(verdict.Accepted, "a command ran (exit status %d)", status)
			return o, nil
		}
		if s.words(&o, out) || (err != nil && s.cut(win, &o, err, said)) {
			o.Evidence = login.Cut(said)
			return o, nil
		}
	}
	term, err := s.terminal(win)
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return o, rig
		}
		o.Evidence = login.Cut(said)
		if !s.cut(win, &o, err, said) {
			o.Set(verdict.Unproven, "the login was taken, but no session shows access: %.200q", err.Error())
		}
		return o, nil
	}
	defer term.close()
	text, err := term.proof(win, s)
	if rig := login.Rig(ctx, err); rig != nil {
		return o, rig
	}
	said = append(said, text...)
	o.Evidence = login.Cut(said)
	plain := dialog.Plain(text)
	switch {
	case term.proven != "":
		s.shell = true
		o.Fact(login.FactProof, term.proven)
		o.Set(verdict.Accepted, "a shell answered (%s)", term.proven)
	case s.words(&o, plain):
	default:
		o.Set(verdict.Unproven, "the login was taken, but no command ran and no prompt came: %s", login.Tail(said, 120))
		if s.cfg.Command != "" && s.ran(win) {
			o.Fact(login.FactRan, "yes")
			o.Set(verdict.Unproven, "a shell ran a command, but the protected resource did not show: %s", login.Tail(said, 120))
		}
	}
	return o, nil
}

// ran says whether a shell runs commands at all, whoever it takes us for.
func (s *session) ran(win context.Context) bool {
	limit, cancel := soon(win, execFor)
	defer cancel()
	marker := dialog.NewMarker()
	out, _, err := s.exec(limit, marker.Command(""), nil)
	_, _, ok := marker.Find(out)
	return ok && err == nil
}

// proves says whether out is the protected resource.
func (s *session) proves(out []byte, marker dialog.Marker) bool {
	if s.cfg.Command != "" {
		return s.cfg.Proof.Match(out)
	}
	_, _, ok := marker.Find(out)
	return ok
}

// words sets what the server says instead of giving access.
func (s *session) words(o *login.Outcome, text []byte) bool {
	kind, words := s.texts.Read(dialog.Plain(text), nil)
	switch kind {
	case verdict.Restricted, verdict.LockedOut, verdict.Throttled:
		o.Set(kind, "after the login the device said %q", words)
		return true
	}
	return false
}

// cut is for a connection that broke after the server said success.
func (s *session) cut(win context.Context, o *login.Outcome, err error, said []byte) bool {
	var open *ssh.OpenChannelError
	if errors.As(err, &open) || login.TimedOut(err) {
		return false
	}
	stop := context.AfterFunc(win, func() { _ = s.client.Close() })
	defer stop()
	if _, _, alive := s.client.SendRequest("keepalive@rigor", true, nil); alive == nil {
		return false
	}
	o.Set(verdict.Unproven, "the login was taken, and the connection closed before any access: %s", login.Tail(said, 120))
	return true
}

// exec runs a command and gives its output, both streams together, and its
// exit status (-1 where the server told none). An exit status is no error.
func (s *session) exec(ctx context.Context, command string, input []byte) ([]byte, int, error) {
	ch, err := s.open(ctx)
	if err != nil {
		return nil, -1, err
	}
	defer hangUp(ch)
	out := &bounded{}
	ch.Stdout, ch.Stderr = out, out
	if input != nil {
		ch.Stdin = bytes.NewReader(input)
	}
	err = await(ctx, ch, func() error { return ch.Run(command) })
	if ctx.Err() != nil {
		return out.bytes(), -1, context.Cause(ctx)
	}
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return out.bytes(), 0, nil
	case errors.As(err, &exit):
		return out.bytes(), exit.ExitStatus(), nil
	case errors.As(err, &missing):
		return out.bytes(), -1, nil
	}
	return out.bytes(), -1, fmt.Errorf("run a command: %w", err)
}

// open opens a session channel. The library has no context for it: when ctx
// ends first, the whole connection is given up.
func (s *session) open(ctx context.Context) (*ssh.Session, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.client.Close() })
	ch, err := s.client.NewSession()
	if !stop() && err == nil {
		_ = ch.Close()
		return nil, context.Cause(ctx)
	}
	if ctx.Err() != nil && err != nil {
		return nil, context.Cause(ctx)
	}
	return ch, err
}

// closes is how long a server has to answer the close of a channel. One that does not go on
// reading need not; OpenSSH does it when the command is over that it has begun.
const closes = time.Second

// await makes a call of the library on a channel, which has no context for it. When ctx
// ends, the channel is closed. Where the server does not answer that, the call is left to end
// with the connection, on which others may go on.
func await(ctx context.Context, ch *ssh.Session, call func() error) error {
	w := beside.Begin(call)
	select {
	case <-w.Done():
		return w.Wait()
	case <-ctx.Done():
	}
	hangUp(ch)
	timer := time.NewTimer(closes)
	defer timer.Stop()
	select {
	case <-w.Done():
		return w.Wait()
	case <-timer.C:
		return context.Cause(ctx)
	}
}

// hangUp closes a channel, or the end of it that we write to. Where the connection takes
// nothing any more, that is not waited for.
func hangUp(ch io.Closer) {
	w := beside.Begin(ch.Close) // io.EOF when the other side was first
	timer := time.NewTimer(closes)
	defer timer.Stop()
	select {
	case <-w.Done():
	case <-timer.C:
	}
}

// Do runs a command, by exec, or in a shell where the device has only that.
func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	if r.Command == "" && r.Put == nil {
		return login.Response{}, fmt.Errorf("ssh: %w", login.ErrRequest)
	}
	win, cancel := r.Window(ctx, s.cfg.Timeout)
	defer cancel()
	if r.Put != nil {
		resp, err := s.put(win, r.Put)
		if rig := login.Rig(ctx, err); rig != nil {
			err = rig
		}
		return resp, err
	}
	if !s.shell {
		out, status, err := s.exec(win, r.Command, r.Input)
		if rig := login.Rig(ctx, err); rig != nil {
			err = rig
		}
		return login.Response{Status: status, Body: out}, err
	}
	if r.Input != nil {
		return login.Response{}, fmt.Errorf("ssh: a shell that takes no single command is given nothing to read: %w", login.ErrRequest)
	}
	term, err := s.terminal(win)
	if err != nil {
		return login.Response{}, err
	}
	defer term.close()
	if _, err := term.stream.Settle(win, s.cfg.Quiet, 0); err != nil {
		return login.Response{}, fmt.Errorf("wait for the prompt: %w", err)
	}
	term.stream.Take()
	marker := dialog.NewMarker()
	if err := term.line(win, marker.Command(r.Command)); err != nil {
		return login.Response{Status: -1}, fmt.Errorf("send a command: %w", err)
	}
	for seen := 0; ; {
		text, err := term.stream.Settle(win, s.cfg.Quiet, seen)
		if out, status, ok := marker.Find(dialog.Plain(text)); ok {
			return login.Response{Status: status, Body: out}, nil
		}
		if err != nil {
			if rig := login.Rig(ctx, err); rig != nil {
				err = rig
			}
			return login.Response{Status: -1, Body: text}, fmt.Errorf("wait for the end of a command, got %s: %w", login.Tail(text, 80), err)
		}
		seen = len(text)
	}
}

// Close ends the connection and waits until the library has let go of it.
func (s *session) Close() error {
	err := s.client.Close()
	_ = s.client.Wait() // says only how it ended
	return err
}

// terminal is a shell on a pseudo terminal.
type terminal struct {
	ch     *ssh.Session
	in     io.WriteCloser
	stream *dialog.Stream
	proven string
	out    *io.PipeReader
	stop   func() bool
}

// line types a line. A server may give no room for it.
func (t *terminal) line(ctx context.Context, text string) error {
	return await(ctx, t.ch, func() error {
		_, err := io.WriteString(t.in, text+"\n")
		return err
	})
}

func (s *session) terminal(ctx context.Context) (*terminal, error) {
	ch, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	t := &terminal{ch: ch, stop: context.AfterFunc(ctx, func() { _ = ch.Close() })}
	// Wide, so that a long command's echo is not broken up; dumb, so that
	// nothing colours the prompt. A server without terminals may say no.
	_ = await(ctx, ch, func() error { return ch.RequestPty("dumb", 24, 250, ssh.TerminalModes{ssh.ECHO: 1}) })
	r, w := io.Pipe()
	ch.Stdout, ch.Stderr = w, w
	if err = ctx.Err(); err == nil { // else a call may be at it still
		t.in, err = ch.StdinPipe()
	}
	if err == nil {
		err = await(ctx, ch, ch.Shell)
	}
	if err != nil {
		t.stop()
		hangUp(ch)
		_ = w.Close()
		return nil, fmt.Errorf("ask for a shell: %w", err)
	}
	t.out, t.stream = r, dialog.New(r, s.cfg.Waiting)
	go func() {
		_ = w.CloseWithError(errors.Join(ch.Wait(), io.EOF)) // the shell's end is the stream's
	}()
	return t, nil
}

// proof waits for the shell, asks it for the declared proof or for a marker,
// and gives what it said. proven says what showed access, if anything did.
func (t *terminal) proof(ctx context.Context, s *session) ([]byte, error) {
	text, err := t.stream.Settle(ctx, s.cfg.Quiet, 0)
	if err != nil {
		return text, err
	}
	greeting := dialog.Plain(text)
	if kind, _ := s.texts.Read(greeting, nil); kind == verdict.Restricted {
		return text, nil
	}
	prompted := s.cfg.Prompt.Match(greeting)
	marker := dialog.NewMarker()
	command := s.cfg.Command
	if command == "" {
		command = marker.Command("")
	}
	t.stream.Take()
	if err := t.line(ctx, command); err != nil {
		return text, fmt.Errorf("send a command: %w", err)
	}
	limit, cancel := soon(ctx, execFor)
	defer cancel()
	var answer []byte
	for seen := 0; ; {
		answer, err = t.stream.Settle(limit, s.cfg.Quiet, seen)
		out := dialog.Plain(answer)
		if s.cfg.Command != "" {
			out = dialog.AfterEcho(out, command)
		}
		if s.proves(out, marker) {
			t.proven = "shell"
			return append(text, answer...), nil
		}
		// A menu or a vendor's command line: it prompted, it did not know our
		// command, and it prompts again.
		if prompted && s.cfg.Prompt.Match(dialog.AfterEcho(out, command)) {
			if s.cfg.Command == "" {
				t.proven = "prompt"
			}
			return append(text, answer...), nil
		}
		if err != nil {
			break
		}
		seen = len(answer)
	}
	if ctx.Err() == nil {
		err = nil // our own patience ended, not the try's
	}
	return append(text, answer...), err
}

func (t *terminal) close() {
	t.stop()
	hangUp(t.in)
	hangUp(t.ch)
	_ = t.out.Close() // a server that never closes its side must not hold us
	t.stream.Wait()
}

// bounded keeps the first MaxBody bytes of an output and drops the rest.
type bounded struct {
	mu  sync.Mutex
	buf []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p[:min(len(p), login.MaxBody-len(b.buf))]...)
	return len(p), nil
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]byte(nil), b.buf...)
}
