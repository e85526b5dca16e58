package main

import (
	"cmp"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/rig"
)

// wired puts the end of a console where the rig file says: a pseudo terminal, or a
// port of a terminal server.
func (d *standin) wired(ctx context.Context, t *testing.T, port *rig.Port, decl *profile.Console, all *sync.WaitGroup) {
	t.Helper()
	boots := make(chan bool, 16)
	d.boots = append(d.boots, boots)
	var door *profile.Login
	for _, l := range d.prof.Logins.Items {
		if l.Protocol == "console" {
			door = l
		}
	}
	if port.Driver == "tcp" {
		ln := listen(t)
		port.Address = ln.Addr().String()
		all.Go(func() {
			accept(ctx, ln, func(c net.Conn) { (&seat{d: d, w: c, decl: decl, door: door}).serve(ctx, c, boots) })
		})
		return
	}
	master, slave, err := pty.Open()
	require.NoError(t, err)
	port.Port = slave.Name()
	t.Cleanup(func() { _ = slave.Close() }) // open until then, so that the other end is never gone
	all.Go(func() { (&seat{d: d, w: master, decl: decl, door: door}).serve(ctx, master, boots) })
	context.AfterFunc(ctx, func() { _ = master.Close() })
}

// seat is a console as its profile declares it.
type seat struct {
	d    *standin
	w    io.Writer
	decl *profile.Console
	door *profile.Login
	mode string // "", user, password, shell
	buf  []byte
	user string
	last byte
}

func (s *seat) serve(ctx context.Context, r io.Reader, boots <-chan bool) {
	keys := make(chan byte)
	go func() {
		defer close(keys)
		for b := make([]byte, 256); ; {
			n, err := r.Read(b)
			for _, c := range b[:n] {
				select {
				case keys <- c:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	if s.d.powered() {
		s.mode = s.first()
	}
	for {
		select {
		case on := <-boots:
			s.mode, s.buf = "", nil
			if on {
				s.boot(ctx)
			}
		case c, ok := <-keys:
			if !ok {
				return
			}
			if s.d.powered() {
				s.key(c)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *seat) say(text string) { _, _ = io.WriteString(s.w, text) }

func (s *seat) first() string {
	if s.decl.Login.Zero() {
		return ""
	}
	return "user"
}

// boot shows a boot, and then the login.
func (s *seat) boot(ctx context.Context) {
	if s.decl.Silent {
		return
	}
	b := s.decl.Boot
	for i, p := range []profile.Pattern{b.Banner, b.Loader, b.Done} {
		timer := time.NewTimer([]time.Duration{100, 10, 600}[i] * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if !p.Zero() {
			s.say(p.Literal + "\r\n")
		}
	}
	if s.mode = s.first(); s.mode != "" {
		s.say("\r\n" + s.decl.Login.Literal)
	}
}

func (s *seat) key(c byte) {
	if s.decl.Answer.Send != "" {
		if s.buf = append(s.buf, c); strings.HasSuffix(string(s.buf), s.decl.Answer.Send) {
			s.say(s.decl.Answer.Expect.Literal)
			s.buf = nil
		}
		return
	}
	if s.mode == "" {
		return
	}
	enter := c == '\r' || c == '\n' && s.last != '\r'
	s.last = c
	switch {
	case enter:
		line := string(s.buf)
		s.buf = nil
		s.say("\r\n")
		s.entered(line)
	case c == 0x15: // Ctrl-U
		if s.mode != "password" {
			s.say(strings.Repeat("\b \b", len(s.buf)))
		}
		s.buf = nil
	case c == 0x03: // Ctrl-C
		s.buf = nil
		s.say("\r\n")
		s.prompt()
	case c < ' ' || c > '~' || len(s.buf) > 500:
	default:
		s.buf = append(s.buf, c)
		if s.mode != "password" {
			s.say(string([]byte{c}))
		}
	}
}

func (s *seat) prompt() {
	if s.mode == "shell" {
		s.say(s.decl.Shell.Literal)
		return
	}
	s.mode = "user"
	s.say(s.decl.Login.Literal)
}

func (s *seat) entered(line string) {
	switch s.mode {
	case "user":
		if line != "" {
			s.user, s.mode = line, "password"
			s.say(s.decl.Password.Literal)
			return
		}
	case "password":
		s.mode = "shell"
		if s.d.auth(s.door, s.user, line) != "" {
			s.mode = "user"
			s.say(s.decl.Incorrect.Literal + "\r\n")
		}
	case "shell":
		if line == cmp.Or(s.decl.Logout, "exit") {
			s.mode = "user"
			break
		}
		if line != "" {
			text, _ := s.d.command(line, s.door)
			s.say(text + "\r\n")
		}
	}
	s.prompt()
}
