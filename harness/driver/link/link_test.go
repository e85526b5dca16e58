package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

func newLink(t *testing.T, conf Config) *Link {
	t.Helper()
	conf.Part = "link"
	l, err := New(t.Context(), conf)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l
}

func server(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// closedPort is at an address on which nothing else listens: at 127.0.0.1 another test may be
// given the port that was just free.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.6.7.8:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func isFault(err error) bool { _, ok := wire.AsFault(err); return ok }

func TestDial(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "lo"} {
		l := newLink(t, Config{Interface: name})
		conn, err := l.DialContext(t.Context(), "tcp", server(t))
		if name != "" && errors.Is(err, syscall.EPERM) {
			require.True(t, isFault(err))
			continue // bound already, as an ordinary user of an old kernel
		}
		require.NoError(t, err)
		b, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(b))
		require.NoError(t, conn.Close())

		conn, err = l.DialContext(t.Context(), "udp", "127.0.0.1:9")
		require.NoError(t, err)
		require.NoError(t, conn.Close())

		_, err = l.DialContext(t.Context(), "tcp", closedPort(t))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.False(t, isFault(err), "a refusal is the DUT's answer")
		assert.ErrorContains(t, err, "link: dial tcp 127.6.7.8:")
	}
}

func TestDialFaults(t *testing.T) {
	t.Parallel()
	l := newLink(t, Config{Interface: "nosuch0"})
	_, err := l.DialContext(t.Context(), "tcp", server(t))
	require.True(t, isFault(err), "%v", err)
	if !errors.Is(err, syscall.EPERM) {
		require.ErrorIs(t, err, ErrNoInterface)
	}
	plain := newLink(t, Config{})
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:http:x", "[::1"} {
		_, err := plain.DialContext(t.Context(), "tcp", addr)
		assert.True(t, isFault(err), "%v", err)
	}
	_, err = plain.DialContext(t.Context(), "unix", "/tmp/x")
	require.ErrorContains(t, err, "want tcp or udp")
	// A route out that is bound away: loopback leads to no address outside.
	lo := newLink(t, Config{Interface: "lo", DialTimeout: time.Second})
	_, err = lo.DialContext(t.Context(), "tcp", "192.0.2.1:80")
	require.Error(t, err)
}

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := func(e error) error {
		return fmt.Errorf("after 1s: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)})
	}
	for _, e := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH,
		syscall.EHOSTDOWN, syscall.EPIPE, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled, io.EOF} {
		assert.False(t, ours(dial(e)), "%v", e)
	}
	for _, e := range []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENODEV, syscall.EMFILE, syscall.ENFILE,
		syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES, syscall.ENOBUFS, ErrNoInterface,
		&net.DNSError{Err: "no such host", Name: "dut"}, &net.AddrError{Err: "missing port"}} {
		assert.True(t, ours(dial(e)), "%v", e)
	}
}

// Not beside others: the limit is the whole process's.
func TestDescriptorsExhausted(t *testing.T) {
	addr := server(t)
	l := newLink(t, Config{})
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	less := was
	less.Cur = 3 // fewer than are open already
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &less))
	_, err := l.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
	require.ErrorIs(t, err, syscall.EMFILE)
	assert.True(t, isFault(err))
}

func TestDialEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	// A listener whose queue is full answers no further connection on loopback.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(fd) }()
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	sa, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	l := newLink(t, Config{DialTimeout: 300 * time.Millisecond})
	for range 4 { // fill the queue
		if c, err := l.DialContext(t.Context(), "tcp", addr); err == nil {
			defer func() { _ = c.Close() }()
		}
	}
	_, err = l.DialContext(t.Context(), "tcp", addr)
	var ne net.Error
	require.ErrorAs(t, err, &ne)
	assert.True(t, ne.Timeout())
	assert.False(t, isFault(err), "a DUT that does not answer is no fault")

	slow := newLink(t, Config{DialTimeout: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = slow.DialContext(ctx, "tcp", addr)
	require.Error(t, err)
	assert.False(t, isFault(err))

	done := make(chan error, 1)
	go func() {
		_, err := slow.DialContext(t.Context(), "tcp", addr)
		done <- err
	}()
	timer := time.AfterFunc(100*time.Millisecond, func() { _ = slow.Close() })
	defer timer.Stop()
	err = <-done
	require.ErrorIs(t, err, net.ErrClosed)
	assert.True(t, isFault(err))
	require.NoError(t, slow.Close())
	_, err = slow.DialContext(t.Context(), "tcp", addr)
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorIs(t, slow.Check(t.Context()), net.ErrClosed)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, newLink(t, Config{}).Check(t.Context()))
	require.NoError(t, newLink(t, Config{Interface: "lo"}).Check(t.Context()))
	err := newLink(t, Config{Interface: "nosuch0"}).Check(t.Context())
	require.ErrorIs(t, err, ErrNoInterface)
	assert.True(t, isFault(err))
	assert.ErrorContains(t, err, "there are: ")
	assert.ErrorContains(t, err, "lo")

	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, in := range all {
		if in.Flags&net.FlagUp == 0 {
			err := newLink(t, Config{Interface: in.Name}).Check(t.Context())
			require.ErrorIs(t, err, ErrDown)
			assert.True(t, isFault(err))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = newLink(t, Config{}).Check(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, isFault(err))
}

func TestCarrier(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"1\n": "", "0\n": "no carrier", "x": `carrier reads "x"`} {
		l := newLink(t, Config{Interface: "lo"})
		l.sys = t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(l.sys, "lo"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(l.sys, "lo", "carrier"), []byte(content), 0o600))
		err := l.Check(t.Context())
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		assert.True(t, isFault(err))
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		conf Config
		want string
	}{
		{Config{}, "no part name"},
		{Config{Part: "link", Interface: "../../etc"}, "no name that an interface can have"},
		{Config{Part: "link", Interface: "a-name-that-is-too-long"}, "no name"},
		{Config{Part: "link", DialTimeout: time.Hour}, "dial timeout"},
	} {
		_, err := New(t.Context(), tc.conf)
		require.ErrorContains(t, err, tc.want)
	}
}

// A socket that hears from any port hears an answer from another one; what is asked
// for wrongly, and a link that was closed, say so.
func TestListenPacket(t *testing.T) {
	t.Parallel()
	l := newLink(t, Config{Part: "link"})
	c, err := l.ListenPacket(t.Context(), "udp4")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	var lc net.ListenConfig
	other, err := lc.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Close() })
	_, err = other.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.LocalAddr().(*net.UDPAddr).Port})
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 16)
	n, from, err := c.ReadFrom(buf)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(buf[:n]))
	assert.Equal(t, other.LocalAddr().String(), from.String())

	_, err = l.ListenPacket(t.Context(), "tcp")
	require.Error(t, err)
	require.NoError(t, l.Close())
	_, err = l.ListenPacket(t.Context(), "udp4")
	_, is := wire.AsFault(err)
	assert.True(t, is)
}
