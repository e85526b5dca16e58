package bitbang

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// target is a server whose TDO is what TDI was two letters ago, and whose SWDIO, when
// we let it go, is the inverse of SWCLK. It writes down each letter.
type target struct {
	letters []byte
	tdi     [2]byte
	swclk   byte
}

func (x *target) answer(c byte) (byte, bool) {
	x.letters = append(x.letters, c)
	switch {
	case c >= '0' && c <= '7':
		x.tdi[1], x.tdi[0] = x.tdi[0], (c-'0')&1
	case c >= 'd' && c <= 'g':
		x.swclk = (c - 'd') >> 1
	case c == 'R':
		return '0' + x.tdi[1], true
	case c == 'c':
		return '1' - x.swclk, true
	}
	return 0, false
}

func (x *target) serve(conn net.Conn) {
	defer conn.Close()
	r, w := bufio.NewReader(conn), bufio.NewWriter(conn)
	for {
		if r.Buffered() == 0 {
			_ = w.Flush()
		}
		c, err := r.ReadByte()
		if err != nil || c == 'Q' {
			if err == nil {
				x.letters = append(x.letters, c)
			}
			return
		}
		if a, yes := x.answer(c); yes {
			_ = w.WriteByte(a)
		}
	}
}

// listen serves one connection and gives the address; wait ends when it is over.
func listen(t *testing.T, serve func(net.Conn)) (address string, wait func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bb")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err == nil {
			serve(conn)
		}
	}()
	return "unix:" + path, func() { <-done }
}

func open(t *testing.T, address string, roles ...Role) *Pads {
	t.Helper()
	conf := Config{Part: "pads", Address: address, Timeout: 2 * time.Second}
	for _, r := range roles {
		conf.Pads = append(conf.Pads, Pad{Role: r})
	}
	p, err := Open(t.Context(), conf)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestLetters(t *testing.T) {
	x := &target{}
	address, wait := listen(t, x.serve)
	p := open(t, address, TCK, TMS, TDI, TDO, TRST, SRST, SWCLK, SWDIO)
	const tck, tms, tdi, trst, srst, swclk, swdio = 1, 2, 4, 16, 32, 64, 128
	got := make([]uint32, 8)
	n, err := p.Play(t.Context(), []wire.PadStep{
		{Drive: tck | tms | tdi, Level: tdi},
		{Drive: tck | tms | tdi, Level: tck | tms},
		{Drive: tck | tms | tdi, Level: tms, Read: true},         // TDI of two letters ago was low
		{Drive: tck | tms | tdi | srst, Level: tms},              // srst low: asserted
		{Drive: tck | tms | tdi | srst | trst, Level: tms},       // both
		{Drive: tck | tms | tdi, Level: tms},                     // both let go
		{Drive: swclk | swdio, Level: swdio},                     // our SWDIO; TMS and TDI let go: high
		{Drive: swclk | swdio, Level: swclk},                     //
		{Drive: swclk, Level: swclk, Read: true},                 // theirs: low, the inverse of the clock
		{Drive: swclk, Read: true},                               // theirs: high
		{Drive: swclk | swdio, Level: swclk | swdio, Read: true}, // ours again
	}, got)
	require.NoError(t, err)
	assert.Equal(t, 4, n)
	assert.Equal(t, []uint32{
		tms | trst | srst | swdio, // theirs: high
		tms | tdi | trst | srst | swclk,
		tms | tdi | trst | srst | swdio,
		tms | tdi | trst | srst | swclk | swdio,
	}, got[:4])
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "again")
	wait()
	assert.Equal(t, "1d62Rcsur3OefoRcdRcOgRoQ", string(x.letters))
}

func TestPins(t *testing.T) {
	x := &target{}
	address, wait := listen(t, x.serve)
	p := open(t, address, SWCLK, SWDIO)
	clk, io := p.Pins()[0], p.Pins()[1]
	assert.Equal(t, "swclk", clk.Name())
	require.NoError(t, clk.Out(gpio.High))
	require.NoError(t, io.Out(gpio.High))
	assert.Equal(t, gpio.High, io.Read(), "our own")
	require.NoError(t, io.In(gpio.Float, gpio.NoEdge))
	assert.Equal(t, gpio.Low, io.Read(), "theirs")
	assert.ErrorIs(t, io.In(gpio.PullUp, gpio.NoEdge), wire.ErrUnsupported)
	assert.ErrorIs(t, io.In(gpio.Float, gpio.BothEdges), wire.ErrUnsupported)
	require.NoError(t, p.Close())
	wait()
	assert.Equal(t, "fOgocQ", string(x.letters))
	_, err := p.Play(t.Context(), []wire.PadStep{{}}, nil)
	_, fault := wire.AsFault(err)
	assert.True(t, fault, "%v", err)
}

func TestNotDone(t *testing.T) {
	address, _ := listen(t, (&target{}).serve)
	p := open(t, address, TCK, TDO)
	for name, tc := range map[string]struct {
		steps []wire.PadStep
		want  string
	}{
		"a pad that is not there": {[]wire.PadStep{{Drive: 4}}, "drives pads"},
		"the target's own":        {[]wire.PadStep{{Drive: 1}, {Drive: 2}}, "step 1: tdo is the target's"},
		"no room":                 {[]wire.PadStep{{Read: true}}, "1 readings do not fit into 0"},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := p.Play(t.Context(), tc.steps, nil)
			assert.ErrorContains(t, err, tc.want)
			assert.Zero(t, n)
			_, fault := wire.AsFault(err)
			assert.False(t, fault, "a mistake of ours is no trouble of the peer")
		})
	}
	_, err := p.Play(t.Context(), []wire.PadStep{{Drive: 1, Read: true}}, make([]uint32, 1))
	assert.NoError(t, err, "none of them hurts the connection")
}

// TestPeers: what a peer does wrong is a fault that shows its last bytes.
func TestPeers(t *testing.T) {
	for name, tc := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"hangs":         {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "0 of 3 answers within 100ms"},
		"hangs midway":  {func(c net.Conn) { _, _ = c.Write([]byte("10")); _, _ = io.Copy(io.Discard, c) }, `i/o timeout; its last bytes: "10"`},
		"closes":        {func(c net.Conn) { _, _ = c.Read(make([]byte, 9)); _, _ = c.Write([]byte("1")); _ = c.Close() }, `its last bytes: "1"`},
		"rubbish":       {func(c net.Conn) { _, _ = c.Write([]byte("01\x1b[2J")); _, _ = io.Copy(io.Discard, c) }, `its last bytes: "01\x1b["`},
		"says too much": {func(c net.Conn) { _, _ = c.Write([]byte("0110")); _, _ = io.Copy(io.Discard, c) }, "more of them than questions"},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := listen(t, tc.serve)
			p := open(t, address, TCK, TDO)
			p.conf.Timeout = 100 * time.Millisecond
			step := wire.PadStep{Drive: 1, Read: true}
			if name == "says too much" { // all of it is there when it is asked
				time.Sleep(20 * time.Millisecond)
			}
			_, err := p.Play(t.Context(), []wire.PadStep{step, step, step}, make([]uint32, 3))
			f, ok := wire.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, wire.Part("pads"), f.Part)
			assert.ErrorContains(t, err, tc.want)
			assert.ErrorContains(t, err, "not done")
			_, err = p.Play(t.Context(), []wire.PadStep{step}, make([]uint32, 1))
			assert.ErrorContains(t, err, "broken since", "and it stays broken")
		})
	}
}

// TestCutShort: a call whose context ends leaves a connection that can be used; the
// answers that come late are not taken for those of the next one.
func TestCutShort(t *testing.T) {
	asked, go2 := make(chan struct{}), make(chan struct{})
	address, _ := listen(t, func(c net.Conn) {
		b := make([]byte, 64)
		_, _ = c.Read(b) // "0R" and so on
		close(asked)
		<-go2
		_, _ = c.Write([]byte("11"))
		(&target{}).serve(c)
	})
	p := open(t, address, TCK, TDI, TDO)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	low := wire.PadStep{Drive: 3, Read: true}
	n, err := p.Play(ctx, []wire.PadStep{low, low}, make([]uint32, 2))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, n)
	_, fault := wire.AsFault(err)
	assert.False(t, fault)
	close(go2)
	got := make([]uint32, 2)
	_, err = p.Play(t.Context(), []wire.PadStep{low, low}, got)
	require.NoError(t, err)
	assert.Equal(t, []uint32{0, 0}, got)
}

// TestBursts: many more readings than fit into one burst come in their order.
func TestBursts(t *testing.T) {
	address, _ := listen(t, (&target{}).serve)
	p := open(t, address, TCK, TDI, TDO)
	const tck, tdi, tdo = 1, 2, 4
	rnd := rand.New(rand.NewPCG(1, 2))
	steps := make([]wire.PadStep, 20_000)
	for i := range steps {
		// The clock changes with each, so that each is a letter.
		steps[i] = wire.PadStep{Drive: tck | tdi, Level: uint32(i)&1 | uint32(rnd.IntN(2))<<1, Read: true}
	}
	got := make([]uint32, len(steps))
	n, err := p.Play(t.Context(), steps, got)
	require.NoError(t, err)
	require.Equal(t, len(steps), n)
	for i := 1; i < len(steps); i++ {
		want := steps[i].Level | (steps[i-1].Level&tdi)<<1
		require.Equal(t, want, got[i], "reading %d", i)
	}
}

func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{
		"no part name":           {Address: "a:1", Pads: []Pad{{Role: TCK}}},
		"want host:port":         {Part: "p", Address: "here", Pads: []Pad{{Role: TCK}}},
		"want unix:PATH":         {Part: "p", Address: "unix:", Pads: []Pad{{Role: TCK}}},
		"no pads":                {Part: "p", Address: "a:1"},
		"want one of":            {Part: "p", Address: "a:1", Pads: []Pad{{Name: "J1", Role: "clk"}}},
		"the protocol has one":   {Part: "p", Address: "a:1", Pads: []Pad{{Name: "J1", Role: TCK}, {Name: "J2", Role: TCK}}},
		`two pads are called "J`: {Part: "p", Address: "a:1", Pads: []Pad{{Name: "J1", Role: TCK}, {Name: "J1", Role: TMS}}},
		"timeout -1s":            {Part: "p", Address: "a:1", Pads: []Pad{{Role: TCK}}, Timeout: -time.Second},
	} {
		_, err := Open(t.Context(), c)
		assert.ErrorContains(t, err, want)
	}
	_, err := Open(t.Context(), Config{Part: "pads", Address: "unix:" + filepath.Join(t.TempDir(), "none"), Pads: []Pad{{Role: TCK}}})
	f, ok := wire.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, wire.Part("pads"), f.Part)
}

// FuzzPeer: whatever the peer says, a call ends, with readings that the peer gave or
// with an error.
func FuzzPeer(f *testing.F) {
	f.Add([]byte("0110"), uint8(4))
	f.Add([]byte("01x"), uint8(3))
	f.Add([]byte{}, uint8(1))
	f.Add([]byte("00000000000"), uint8(2))
	f.Fuzz(func(t *testing.T, said []byte, asks uint8) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() { _, _ = theirs.Write(said); _ = theirs.Close() }()
		p := newPads(t.Context(), Config{Part: "pads", Pads: []Pad{{Role: TCK}, {Role: TDO}}, Timeout: time.Second}, ours)
		defer p.Close()
		steps := make([]wire.PadStep, asks)
		for i := range steps {
			steps[i] = wire.PadStep{Drive: 1, Level: uint32(i) & 1, Read: true}
		}
		got := make([]uint32, asks)
		n, err := p.Play(t.Context(), steps, got)
		if err != nil {
			_, fault := wire.AsFault(err)
			assert.True(t, fault, "%v", err)
			return
		}
		require.Equal(t, int(asks), n)
		for i, g := range got {
			require.Equal(t, said[i] == '1', g&2 != 0)
		}
	})
}

func BenchmarkPlay(b *testing.B) {
	ours, theirs := net.Pipe()
	go (&target{}).serve(theirs)
	p := newPads(b.Context(), Config{Part: "pads", Pads: []Pad{{Role: TCK}, {Role: TDI}, {Role: TDO}}, Timeout: time.Second}, ours)
	defer p.Close()
	steps := make([]wire.PadStep, 1000)
	for i := range steps {
		steps[i] = wire.PadStep{Drive: 3, Level: uint32(i) & 1, Read: i%2 == 0}
	}
	got := make([]uint32, len(steps))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Play(b.Context(), steps, got); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(steps))/b.Elapsed().Seconds(), "steps/s")
}
