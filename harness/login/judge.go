package login

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Window gives the context of one try: ctx, ended after timeout at the latest
// (DefaultTimeout where it is not positive).
func Window(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// Bind makes every read and write on conn fail as soon as ctx ends. The
// returned function takes that back.
func Bind(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// Rig gives the error that a try ends with when err is not the DUT's: a
// *wire.Fault in its chain, a declared identity that did not show, or the end
// of ctx, which must be the caller's context and not the window of the try. It
// gives nil when the DUT is the cause.
func Rig(ctx context.Context, err error) error {
	if f, ok := wire.AsFault(err); ok {
		return f
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, ErrIdentity) || errors.Is(err, ErrConfig) {
		return err
	}
	return nil
}

// Broken gives the kind of answer that a broken exchange is. A connection that
// was never there, or broke before an answer, is Unreachable; one that stood
// and stayed quiet is Silent.
func Broken(err error, connected bool) (verdict.Kind, string) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return verdict.Unreachable, "the port refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return verdict.Unreachable, "the connection was reset before an answer"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTDOWN):
		return verdict.Unreachable, "there is no route to the host"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return verdict.Unreachable, "the connection was closed before an answer"
	case TimedOut(err):
		if connected {
			return verdict.Silent, "connected, and no answer came in time"
		}
		return verdict.Unreachable, "no connection in time"
	// net/http turns an EOF on a used connection into a text of its own.
	case err != nil && strings.Contains(err.Error(), "server closed idle connection"):
		return verdict.Unreachable, "the connection was closed before an answer"
	case !connected:
		return verdict.Unreachable, "no connection"
	}
	return verdict.Garbled, "the answer could not be read"
}

// TimedOut says whether err is a deadline that passed.
func TimedOut(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
