package tcp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// server is a terminal server whose serial side is what the test puts in and
// takes out. It keeps a Telnet of its own, a byte at a time.
type server struct {
	t        *testing.T
	listener net.Listener
	telnet   bool // answers negotiation
	grants   bool // RFC 2217
	rate     uint32
	full     bool // the port is taken
	silent   bool // takes connections and says nothing

	mu       sync.Mutex
	conn     net.Conn
	plain    bytes.Buffer // data from the client
	requests [][]byte     // subnegotiations from the client
	brks     int
	came     chan struct{}
}

func (s *server) start(t *testing.T, addr string) *server {
	t.Helper()
	var err error
	s.t, s.came = t, make(chan struct{}, 16)
	s.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(s.stop)
	go func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			if s.full {
				_, _ = io.WriteString(c, "Port already in use\r\n")
				_ = c.Close()
				continue
			}
			s.mu.Lock()
			s.conn = c
			s.mu.Unlock()
			s.came <- struct{}{}
			go s.serve(c)
		}
	}()
	return s
}

func (s *server) addr() string { return s.listener.Addr().String() }

func (s *server) stop() { _ = s.listener.Close(); s.drop() }

func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *server) say(b string) {
	s.mu.Lock()
	c := s.conn
	s.mu.Unlock()
	_, err := io.WriteString(c, b)
	assert.NoError(s.t, err)
}

func (s *server) heard() string { s.mu.Lock(); defer s.mu.Unlock(); return s.plain.String() }

func (s *server) serve(c net.Conn) {
	one := make([]byte, 1)
	next := func() (byte, bool) { _, err := io.ReadFull(c, one); return one[0], err == nil }
	for {
		b, ok := next()
		if !ok {
			return
		}
		if b != 255 || !s.telnet {
			s.mu.Lock()
			s.plain.WriteByte(b)
			s.mu.Unlock()
			continue
		}
		switch b, _ = next(); b {
		case 255:
			s.mu.Lock()
			s.plain.WriteByte(255)
			s.mu.Unlock()
		case 243:
			s.mu.Lock()
			s.brks++
			s.mu.Unlock()
		case 251: // WILL
			opt, _ := next()
			reply := byte(254)
			if opt == 0 || (opt == 44 && s.grants) {
				reply = 253
			}
			_, _ = c.Write([]byte{255, reply, opt})
		case 253: // DO
			opt, _ := next()
			reply := byte(252)
			if opt == 0 {
				reply = 251
			}
			_, _ = c.Write([]byte{255, reply, opt})
		case 250:
			var sub []byte
			for {
				b, ok = next()
				if !ok {
					return
				}
				if b == 255 {
					if b, _ = next(); b == 240 {
						break
					}
				}
				sub = append(sub, b)
			}
			s.request(c, sub)
		}
	}
}

func (s *server) request(c net.Conn, sub []byte) {
	s.mu.Lock()
	s.requests = append(s.requests, sub)
	silent := s.silent
	s.mu.Unlock()
	if silent || len(sub) < 3 || sub[0] != 44 {
		return
	}
	value := bytes.Clone(sub[2:])
	if sub[1] == 1 && s.rate != 0 {
		value = binary.BigEndian.AppendUint32(nil, s.rate)
	}
	out := append([]byte{255, 250, 44, sub[1] + 100}, bytes.ReplaceAll(value, []byte{255}, []byte{255, 255})...)
	_, _ = c.Write(append(out, 255, 240))
}

func open(t *testing.T, conf Config) *Port {
	t.Helper()
	conf.Part = "console.main"
	p, err := Open(t.Context(), conf)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func fault(t *testing.T, err error) {
	t.Helper()
	f, ok := wire.AsFault(err)
	require.True(t, ok, "no fault: %v", err)
	assert.Equal(t, wire.Part("console.main"), f.Part)
}

func allBytes() string {
	var b []byte
	for i := range 256 {
		b = append(b, byte(i))
	}
	return "\r\n\r" + string(b) + "\r\x00\xff\xff\xff"
}

func read(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	require.NoError(t, err)
	return string(b)
}

func TestRaw(t *testing.T) {
	t.Parallel()
	s := (&server{}).start(t, "127.0.0.1:0")
	p := open(t, Config{Address: s.addr(), Mode: Raw})
	s.say(allBytes())
	assert.Equal(t, allBytes(), read(t, p, len(allBytes())))
	require.NoError(t, p.Write(t.Context(), []byte(allBytes())))
	assert.Eventually(t, func() bool { return s.heard() == allBytes() }, 2*time.Second, time.Millisecond)
	assert.False(t, p.Controlled())
	require.ErrorIs(t, p.SetRate(t.Context(), 9600), wire.ErrUnsupported)
	require.ErrorIs(t, p.Break(t.Context(), time.Millisecond), wire.ErrUnsupported)
	_, isFault := wire.AsFault(p.Break(t.Context(), time.Millisecond))
	assert.False(t, isFault)
	require.NoError(t, p.Check())
}

func TestTelnet(t *testing.T) {
	t.Parallel()
	s := (&server{telnet: true, grants: true}).start(t, "127.0.0.1:0")
	p := open(t, Config{Address: s.addr(), Mode: Telnet, Baud: 115200, Frame: "7E1", Control: true})
	assert.True(t, p.Controlled())
	s.say(strings.ReplaceAll(allBytes(), "\xff", "\xff\xff"))
	assert.Equal(t, allBytes(), read(t, p, len(allBytes())))
	require.NoError(t, p.Write(t.Context(), []byte(allBytes())))
	assert.Eventually(t, func() bool { return s.heard() == allBytes() }, 2*time.Second, time.Millisecond, "binary needs no NUL after CR")
	require.NoError(t, p.SetRate(t.Context(), 255)) // its bytes need escaping
	start := time.Now()
	require.NoError(t, p.Break(t.Context(), 50*time.Millisecond))
	assert.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Break(ctx, 5*time.Second), context.DeadlineExceeded)
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Equal(t, [][]byte{
		{44, 1, 0, 1, 0xc2, 0}, {44, 2, 7}, {44, 3, 3}, {44, 4, 1},
		{44, 1, 0, 0, 0, 255},
		{44, 5, 5}, {44, 5, 6}, {44, 5, 5}, {44, 5, 6}, // a cut break is let go of too
	}, s.requests)
}

func TestTelnetWithoutControl(t *testing.T) {
	t.Parallel()
	s := (&server{telnet: true}).start(t, "127.0.0.1:0")
	p := open(t, Config{Address: s.addr(), Mode: Telnet, Baud: 115200})
	assert.False(t, p.Controlled())
	require.ErrorIs(t, p.SetRate(t.Context(), 9600), wire.ErrUnsupported)
	require.ErrorIs(t, p.Break(t.Context(), time.Millisecond), wire.ErrUnsupported)
	require.NoError(t, p.Close())

	p = open(t, Config{Address: s.addr(), Mode: Telnet, TelnetBreak: true})
	require.NoError(t, p.Break(t.Context(), time.Millisecond))
	assert.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.brks == 1 }, 2*time.Second, time.Millisecond)

	_, err := Open(t.Context(), Config{Part: "console.main", Address: s.addr(), Mode: Telnet, Control: true})
	fault(t, err)
	assert.ErrorContains(t, err, "offers no RFC 2217")
}

func TestOpenFaults(t *testing.T) {
	t.Parallel()
	// An address on which nothing else listens: what another test is given at 127.0.0.1 may
	// be the port that was just free.
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.6.7.8:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for name, tc := range map[string]struct {
		addr string
		conf Config
		want string
	}{
		"nobody":         {l.Addr().String(), Config{Mode: Raw}, "connection refused"},
		"taken, raw":     {(&server{full: true}).start(t, "127.0.0.1:0").addr(), Config{Mode: Raw}, `having said "Port already in use\r\n"`},
		"taken, telnet":  {(&server{full: true}).start(t, "127.0.0.1:0").addr(), Config{Mode: Telnet}, `having said "Port already in use\r\n"`},
		"another rate":   {(&server{telnet: true, grants: true, rate: 9600}).start(t, "127.0.0.1:0").addr(), Config{Mode: Telnet, Baud: 115200}, "set the rate to 115200: the server has 9600"},
		"grants, silent": {(&server{telnet: true, grants: true, silent: true}).start(t, "127.0.0.1:0").addr(), Config{Mode: Telnet, Baud: 9600, DialTimeout: 500 * time.Millisecond}, "no answer"},
		"no telnet":      {(&server{}).start(t, "127.0.0.1:0").addr(), Config{Mode: Telnet, Control: true, DialTimeout: 500 * time.Millisecond}, "negotiate: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.conf.Part, tc.conf.Address = "console.main", tc.addr
			_, err := Open(t.Context(), tc.conf)
			fault(t, err)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	s := (&server{telnet: true, grants: true}).start(t, "127.0.0.1:0")
	addr := s.addr()
	events := make(chan Event, 8)
	p := open(t, Config{Address: addr, Mode: Telnet, Baud: 9600, Event: func(e Event) { events <- e }})
	<-s.came
	require.NoError(t, p.SetRate(t.Context(), 19200))
	got := make(chan string, 100)
	ended := make(chan error, 1)
	go func() {
		b := make([]byte, 100)
		for {
			n, err := p.Read(b)
			if err != nil {
				ended <- err
				return
			}
			got <- string(b[:n])
		}
	}()
	s.say("before")
	assert.Equal(t, "before", <-got)
	var gapped wire.Gapped = p
	n, why := gapped.Gaps()
	assert.Zero(t, n)
	require.NoError(t, why)
	s.stop()
	e := <-events
	assert.False(t, e.Attached)
	require.Error(t, e.Err)
	n, why = gapped.Gaps()
	assert.Equal(t, 1, n, "it is told as soon as the connection is lost")
	fault(t, why)
	err := p.Write(t.Context(), []byte("lost"))
	fault(t, err)
	assert.ErrorContains(t, err, "no connection since")
	fault(t, p.Check())

	again := (&server{telnet: true, grants: true}).start(t, addr)
	assert.True(t, (<-events).Attached)
	<-again.came
	again.say("after")
	assert.Equal(t, "after", <-got)
	again.mu.Lock()
	assert.Equal(t, []byte{44, 1, 0, 0, 0x4b, 0}, again.requests[0], "the rate that was set last is set again")
	again.mu.Unlock()
	n, why = gapped.Gaps()
	assert.Equal(t, 1, n, "and stays told when it is back")
	fault(t, why)
	assert.ErrorContains(t, why, "what the DUT sent meanwhile was not read: the server closed the connection")
	again.stop()
	<-events
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-ended, io.EOF)
	n, _ = gapped.Gaps()
	assert.Equal(t, 2, n)
}

// What Close ends was not lost.
func TestCloseIsNoGap(t *testing.T) {
	t.Parallel()
	s := (&server{}).start(t, "127.0.0.1:0")
	p := open(t, Config{Address: s.addr(), Mode: Raw})
	ended := make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 1)); ended <- err }()
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-ended, io.EOF)
	n, why := p.Gaps()
	assert.Zero(t, n)
	require.NoError(t, why)
}

func TestAwayForTooLong(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{-1, 300 * time.Millisecond} {
		s := (&server{}).start(t, "127.0.0.1:0")
		p := open(t, Config{Address: s.addr(), Mode: Raw, Away: away})
		<-s.came
		s.say("last words")
		s.stop()
		assert.Equal(t, "last words", read(t, p, 10), "what was sent before is read")
		_, err := p.Read(make([]byte, 1))
		fault(t, err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts in the kernel, reads nothing
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	p := open(t, Config{Address: l.Addr().String(), Mode: Raw})
	ends := make(chan error, 2)
	reads := make(chan error, 1)
	go func() { _, err := p.Read(make([]byte, 1)); reads <- err }()
	go func() { ends <- p.Write(context.Background(), make([]byte, 64<<20)) }()
	timer := time.NewTimer(100 * time.Millisecond)
	<-timer.C
	require.NoError(t, p.Close())
	require.ErrorIs(t, <-reads, io.EOF)
	err = <-ends
	fault(t, err)
	require.ErrorIs(t, err, os.ErrClosed)
	require.NoError(t, p.Close())
	require.ErrorIs(t, p.Write(t.Context(), []byte("x")), os.ErrClosed)

	s := (&server{telnet: true, grants: true}).start(t, "127.0.0.1:0")
	p = open(t, Config{Address: s.addr(), Mode: Telnet})
	go func() { ends <- p.Break(context.Background(), 5*time.Second) }()
	timer.Reset(100 * time.Millisecond)
	<-timer.C
	start := time.Now()
	require.NoError(t, p.Close())
	fault(t, <-ends)
	assert.Less(t, time.Since(start), 3*time.Second)
}

func TestWriteEnds(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	p := open(t, Config{Address: l.Addr().String(), Mode: Raw})
	much := make([]byte, 64<<20)
	// Of a time that is over before a byte went nobody is at fault: to get hold of so much
	// takes a busy computer a while.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = p.Write(ctx, much)
	fault(t, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	q := open(t, Config{Address: l.Addr().String(), Mode: Raw})
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err = q.Write(ctx, make([]byte, 64<<20))
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault)
}

func TestFlowControl(t *testing.T) {
	t.Parallel()
	s := (&server{telnet: true, grants: true}).start(t, "127.0.0.1:0")
	p := open(t, Config{Address: s.addr(), Mode: Telnet})
	<-s.came
	s.say("\xff\xfa\x2c\x6c\xff\xf0x") // suspend carries no value
	assert.Equal(t, "x", read(t, p, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := p.Write(ctx, []byte("held"))
	fault(t, err)
	assert.ErrorContains(t, err, "suspended the flow")
	time.AfterFunc(50*time.Millisecond, func() { s.say("\xff\xfa\x2c\x6d\xff\xf0") })
	require.NoError(t, p.Write(t.Context(), []byte("flows")))
	assert.Eventually(t, func() bool { return s.heard() == "flows" }, 2*time.Second, time.Millisecond)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		conf Config
		want string
	}{
		{Config{}, "no part name"},
		{Config{Part: "c", Mode: Raw, Address: "10.0.0.1"}, "want HOST:PORT"},
		{Config{Part: "c", Mode: Raw, Address: "10.0.0.1:0"}, "want HOST:PORT"},
		{Config{Part: "c", Mode: Raw, Address: ":23"}, "want HOST:PORT"},
		{Config{Part: "c", Mode: "rfc2217", Address: "10.0.0.1:23"}, `mode "rfc2217": want raw or telnet`},
		{Config{Part: "c", Mode: Raw, Address: "10.0.0.1:23", Baud: 9600}, "need mode telnet"},
		{Config{Part: "c", Mode: Telnet, Address: "10.0.0.1:23", Baud: 7}, "baud 7"},
		{Config{Part: "c", Mode: Telnet, Address: "10.0.0.1:23", Frame: "9N1"}, `frame "9N1"`},
		{Config{Part: "c", Mode: Telnet, Address: "10.0.0.1:23", DialTimeout: time.Hour}, "dial timeout"},
	} {
		_, err := Open(t.Context(), tc.conf)
		require.ErrorContains(t, err, tc.want)
	}
	p := &Port{conf: Config{Part: "c"}}
	require.Error(t, p.SetRate(t.Context(), 1))
	require.Error(t, p.Break(t.Context(), time.Hour))
}
