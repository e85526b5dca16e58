package ssh

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/crypto/ssh"

	"rigor/harness/login"
)

// put sends a file to the DUT in the way that is asked for. What the DUT says of it is
// in the response: a status that is not 0 with its words, and how many bytes it shows that
// it has. The error is of an exchange that broke.
func (s *session) put(ctx context.Context, p *login.Put) (login.Response, error) {
	switch p.By {
	case "", login.PutByShell:
		return s.putByShell(ctx, p)
	case login.PutByRCP:
		return s.putOver(ctx, p, "scp -t "+quote(p.To), "", sendRCP)
	case login.PutBySFTP:
		return s.putOver(ctx, p, "", "sftp", sendSFTP)
	}
	return login.Response{}, fmt.Errorf("ssh: no way %q to copy a file: %w", p.By, login.ErrRequest)
}

// quote makes one word of a path for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// putByShell has the DUT's shell read the file. What arrived is told by its length: a shell
// that ends early has not taken all.
func (s *session) putByShell(ctx context.Context, p *login.Put) (login.Response, error) {
	if s.shell {
		return login.Response{}, fmt.Errorf("ssh: a shell that takes no single command is given nothing to read: %w", login.ErrRequest)
	}
	to, data := quote(p.To), p.Data
	if data == nil {
		data = []byte{}
	}
	out, status, err := s.exec(ctx, "cat > "+to+" && wc -c < "+to, data)
	r := login.Response{Status: status, Body: out}
	if _, serr := fmt.Sscan(string(out), &r.Arrived); serr != nil {
		r.Arrived = 0 // it tells nothing
	}
	return r, err
}

// saidNo is what a DUT answered in a copy's protocol that does not take the file.
type saidNo struct {
	status int
	text   string
}

func (e *saidNo) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// putOver sends a file over a command or a subsystem.
func (s *session) putOver(ctx context.Context, p *login.Put, command, subsystem string, send func(io.Writer, *bufio.Reader, *login.Put) (int, error)) (login.Response, error) {
	ch, err := s.open(ctx)
	if err != nil {
		return login.Response{Status: -1}, err
	}
	defer hangUp(ch)
	said := &bounded{}
	ch.Stderr = said
	in, ierr := ch.StdinPipe()
	out, oerr := ch.StdoutPipe()
	if err := errors.Join(ierr, oerr); err != nil {
		return login.Response{Status: -1}, fmt.Errorf("copy a file: %w", err)
	}
	err = await(ctx, ch, func() error {
		if subsystem != "" {
			return ch.RequestSubsystem(subsystem)
		}
		return ch.Start(command)
	})
	if err != nil { // the server's own no, or the connection's end
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return login.Response{Status: -1}, fmt.Errorf("copy a file by %s: %w", p.By, err)
	}
	arrived := make(chan int, 1) // has none where the copy did not come back
	err = await(ctx, ch, func() error {
		n, err := send(in, bufio.NewReader(out), p)
		arrived <- n
		return err
	})
	var resp login.Response
	select {
	case resp.Arrived = <-arrived:
	default:
	}
	hangUp(in) // the end of what it reads
	var no *saidNo
	switch {
	case ctx.Err() != nil:
		return resp, context.Cause(ctx)
	case errors.As(err, &no):
		resp.Status, resp.Body = no.status, bytes.Join([][]byte{said.bytes(), []byte(no.text)}, nil)
		return resp, nil
	case err != nil:
		return s.ended(ctx, ch, resp, said, err)
	}
	resp.Body = said.bytes()
	if subsystem != "" {
		return resp, nil // it goes on until the channel is closed
	}
	return s.ended(ctx, ch, resp, said, nil)
}

// ended gives the answer of a command that ended by itself, and with its exit status what
// it said: a shell that knows no such command, for one.
func (s *session) ended(ctx context.Context, ch *ssh.Session, resp login.Response, said *bounded, sent error) (login.Response, error) {
	err := await(ctx, ch, ch.Wait)
	resp.Body = said.bytes()
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case errors.As(err, &exit):
		resp.Status = exit.ExitStatus()
		return resp, nil
	case sent != nil:
		resp.Status = -1
		return resp, fmt.Errorf("copy a file: %w", sent)
	case err == nil || errors.As(err, &missing):
		return resp, nil
	}
	return resp, fmt.Errorf("copy a file: %w", err)
}

// maxWords is how much of what a DUT says in a copy is kept.
const maxWords = 1 << 10

// sendRCP is the source's side of rcp's protocol: each message is answered by a zero, or
// by 1 or 2 and a line that says why not. It gives how many bytes the sink has confirmed.
func sendRCP(w io.Writer, r *bufio.Reader, p *login.Put) (int, error) {
	answer := func() error {
		b, err := r.ReadByte()
		if err != nil {
			return fmt.Errorf("scp: no answer: %w", err)
		}
		if b == 0 {
			return nil
		}
		line := []byte{}
		if b != 1 && b != 2 { // it is no such protocol: a shell's words
			line = append(line, b)
		}
		for len(line) < maxWords {
			c, err := r.ReadByte()
			if err != nil || c == '\n' {
				break
			}
			line = append(line, c)
		}
		return &saidNo{max(int(b), 1), string(line)}
	}
	if err := answer(); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(w, "C0600 %d %s\n", len(p.Data), path.Base(p.To)); err != nil {
		return 0, fmt.Errorf("scp: send the file's name: %w", err)
	}
	if err := answer(); err != nil {
		return 0, err
	}
	if n, err := w.Write(append(bytes.Clone(p.Data), 0)); err != nil {
		if no := answer(); no != nil { // it may have said why before it closed
			return min(n, max(len(p.Data)-1, 0)), no
		}
		return min(n, max(len(p.Data)-1, 0)), fmt.Errorf("scp: send the file: %w", err)
	}
	if err := answer(); err != nil {
		return 0, err
	}
	return len(p.Data), nil
}
