package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

// echo is a speaker whose server sends back what it gets.
type echo struct {
	cred login.Credential
	all  bool // reads all that there is, without end
	left int
}

func (e *echo) Login(c *Conn, cred login.Credential, o *login.Outcome) error {
	e.cred, o.Sent = cred, true
	if e.all {
		_, err := io.Copy(io.Discard, c.R)
		return err
	}
	return nil
}

func (e *echo) Prove(c *Conn, o *login.Outcome) error {
	if _, err := c.Write([]byte(e.cred.User + "\n")); err != nil {
		return err
	}
	line, err := c.R.ReadString('\n')
	if err == nil && line == "owner\n" {
		o.Set(verdict.Accepted, "it is the owner")
	} else if err == nil {
		o.Set(verdict.Refused, "it is %q", line)
	}
	return err
}

func (e *echo) Leave(*Conn) { e.left++ }

func echoing(t *testing.T) string {
	t.Helper()
	return peers.Serve(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

func TestOpen(t *testing.T) {
	cfg := Config{Dialer: &net.Dialer{}, Address: echoing(t), Timeout: 300 * time.Millisecond}
	e := &echo{}
	access, o, err := Open(t.Context(), "ECHO", cfg, login.Credential{User: "owner"}, e)
	require.NoError(t, err)
	require.NotNil(t, access)
	assert.Equal(t, "owner\n", string(o.Evidence))
	assert.Empty(t, o.Facts[login.FactOpen])
	// A session outlives the time of the try that opened it.
	timer := time.NewTimer(400 * time.Millisecond)
	<-timer.C
	still, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, still.Kind, still.Detail)
	_, err = access.Do(t.Context(), login.Request{Path: "/"})
	require.ErrorIs(t, err, login.ErrRequest)
	require.NoError(t, access.Close())
	assert.Equal(t, 1, e.left)
	gone, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Unreachable, gone.Kind, gone.Detail)

	e = &echo{}
	access, o, err = Open(t.Context(), "ECHO", cfg, login.Credential{User: "else"}, e)
	require.NoError(t, err)
	assert.Nil(t, access)
	assert.Equal(t, verdict.Refused, o.Kind)
	assert.Equal(t, 1, e.left)
}

func TestTooMuch(t *testing.T) {
	address := peers.Serve(t, func(c net.Conn) {
		for {
			if _, err := c.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
				return
			}
		}
	})
	_, o, err := Open(t.Context(), "ECHO", Config{Dialer: &net.Dialer{}, Address: address}, login.Nobody, &echo{all: true})
	require.NoError(t, err)
	assert.Equal(t, verdict.Garbled, o.Kind, o.Detail)
	assert.Len(t, o.Evidence, login.MaxEvidence)
}

func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("given up")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	_, _, err := Open(ctx, "ECHO", Config{Dialer: &net.Dialer{}, Address: echoing(t)}, login.Nobody, &echo{all: true})
	require.ErrorIs(t, err, why)
}

func TestWithoutTLS(t *testing.T) {
	// A server that echoes the hello gives it back as no answer to it.
	_, o, err := Open(t.Context(), "ECHO", Config{Dialer: &net.Dialer{}, Address: echoing(t), TLS: true}, login.Nobody, &echo{})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind, o.Detail)
	assert.False(t, o.Sent)
	require.ErrorIs(t, Config{}.Check("echo"), login.ErrConfig)
}

// The end of a try that was shortened is kept.
func TestShorten(t *testing.T) {
	begun := time.Now()
	_, o, err := Open(t.Context(), "ECHO", Config{Dialer: &net.Dialer{}, Address: echoing(t), Timeout: 200 * time.Millisecond}, login.Nobody, shortened{})
	require.NoError(t, err)
	assert.Equal(t, verdict.Silent, o.Kind, o.Detail)
	assert.Less(t, time.Since(begun), 5*time.Second)
}

type shortened struct{}

func (shortened) Login(c *Conn, _ login.Credential, _ *login.Outcome) error {
	release := c.Shorten(10 * time.Millisecond)
	if _, err := c.R.ReadByte(); !login.TimedOut(err) {
		return errors.New("it was not shortened")
	}
	release()
	_, err := c.R.ReadByte() // until the try's own end
	return err
}

func (shortened) Prove(*Conn, *login.Outcome) error { return nil }
func (shortened) Leave(*Conn)                       {}
