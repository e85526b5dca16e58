package openocd

import (
	"bufio"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// fake answers commands as an OpenOCD would, in its stead.
type fake struct {
	mu   sync.Mutex
	said []string
	on   map[string]string // by a part of the command
}

func (f *fake) commands() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.said, "\n")
}

func (f *fake) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					cmd, err := in.ReadString(end)
					if err != nil || !f.answer(c, cmd) {
						return
					}
				}
			})
		}
	})
	return l.Addr().String()
}

// answer gives false where the connection ends.
func (f *fake) answer(c net.Conn, cmd string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, cmd)
	for part, reply := range f.on {
		if strings.Contains(cmd, part) {
			switch reply {
			case "HANG":
				return true
			case "END":
				return false
			}
			_, err := c.Write([]byte(reply + "\x1a"))
			return err == nil
		}
	}
	_, err := c.Write([]byte("0 {} {}\x1a"))
	return err == nil
}

func plain() *fake {
	return &fake{on: map[string]string{"dap names": "0 {chip.dap\n} {}", "adapter name": "0 {jlink\n} {}", "transport select": "0 {swd\n} {}"}}
}

func dial(t *testing.T, f *fake) *DAP {
	t.Helper()
	d, err := Dial(t.Context(), "debug.openocd", f.serve(t), "")
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDial(t *testing.T) {
	d := dial(t, plain())
	assert.Equal(t, "jlink", d.Adapter())
	assert.Equal(t, "swd", d.Transport())

	for what, set := range map[string]func(f *fake){
		"scripts":              func(f *fake) { f.on["target names"] = "0 {cortex_m mem_ap} {}" },
		"flash":                func(f *fake) { f.on["flash list"] = "0 {{name nrf5}} {}" },
		"of them":              func(f *fake) { f.on["dap names"] = "0 {a.dap b.dap} {}" },
		"debug port":           func(f *fake) { f.on["dap names"] = "0 {{a[exit]}} {}" },
		"a reply that is none": func(f *fake) { f.on["dap names"] = "what {" },
		"the last bytes":       func(f *fake) { f.on["adapter name"] = "END" },
	} {
		f := plain()
		set(f)
		_, err := Dial(t.Context(), "debug.openocd", f.serve(t), "")
		part, ok := wire.AsFault(err)
		require.True(t, ok, "%s: %v", what, err)
		assert.EqualValues(t, "debug.openocd", part.Part)
		assert.ErrorContains(t, err, what)
	}
	_, err := Dial(t.Context(), "debug.openocd", "127.0.0.1:1", "")
	_, ok := wire.AsFault(err)
	assert.True(t, ok)
}

// TestAnswers: what OpenOCD 0.12 says becomes an answer of the DUT, or a fault of the bench
// where it is not known to be one.
func TestAnswers(t *testing.T) {
	for log, want := range map[string]dap.Answer{
		`JTAG-DP STICKY ERROR\n`: dap.Fault,
		`DAP transaction stalled (WAIT) - slowing down and resending\nTimeout during WAIT recovery\n`: dap.Wait,
		`Invalid ACK (7) in DAP response\nJTAG-DP STICKY ERROR\n`:                                     dap.None,
		`Invalid ACK (0) in DAP response\n`:                                                           dap.Low,
		`Invalid ACK (6) in DAP response\n`:                                                           dap.Protocol,
		`Error connecting DP: cannot read IDR\n`:                                                      dap.None,
		`SWD ack not OK: 4 FAULT\n`:                                                                   dap.Fault,
		`SWD Read data parity mismatch\n`:                                                             dap.Parity,
		`Error on socket 'remote_bitbang_putc': errno==32, message: Broken pipe.\n`:                   dap.NotDone,
		`LIBUSB_ERROR_NO_DEVICE\nInvalid ACK (7)`:                                                     dap.NotDone,
		`something else`: dap.NotDone,
	} {
		f := plain()
		f.on["dpreg"] = "-107 {} {" + strings.ReplaceAll(log, `\n`, "\n") + "}"
		f.on["apreg"] = f.on["dpreg"]
		d := dial(t, f)
		_, a, err := d.ReadDP(t.Context(), dap.DPIDR)
		assert.Equal(t, want, a, log)
		_, fault := wire.AsFault(err)
		assert.Equal(t, want == dap.NotDone, fault, log)
		a, err = d.Write(t.Context(), dap.PowerUp())
		assert.Equal(t, want, a, log)
		assert.Equal(t, want == dap.NotDone, err != nil)
	}
}

// TestOnlyListed: nothing but registers of the debug port goes to OpenOCD, whatever is
// called, and no write to what is no memory port.
func TestOnlyListed(t *testing.T) {
	f := plain()
	d := dial(t, f)
	ctx := t.Context()
	for _, w := range []dap.Write{{}, dap.Address(dap.Port(1), 1), dap.Words(dap.Port(1), dap.Next)} {
		_, err := d.Write(ctx, w)
		require.ErrorIs(t, err, dap.ErrForbidden)
	}
	f.on["dpreg"] = "0 {} {}"
	for _, w := range []dap.Write{dap.ClearSticky(), dap.AbortTransaction(), dap.PowerUp(), dap.PowerDown()} {
		a, err := d.Write(ctx, w)
		require.NoError(t, err)
		assert.Equal(t, dap.OK, a)
	}
	for _, line := range strings.Split(f.commands(), "\n") {
		for _, bad := range []string{"reset", "halt", "flash erase", "flash write", "mww", "write_memory", "program", "init", "shutdown", "apreg"} {
			assert.NotContains(t, line, bad)
		}
	}
	for _, want := range []string{"chip.dap dpreg 0x0 0x1e}", "chip.dap dpreg 0x0 0x1}", "chip.dap dpreg 0x4 0x50000000}", "chip.dap dpreg 0x4 0x0}"} {
		assert.Contains(t, f.commands(), want)
	}
}

// TestHangs: an OpenOCD that does not answer ends with the context, and is not asked again.
func TestHangs(t *testing.T) {
	f := plain()
	d := dial(t, f)
	f.mu.Lock()
	f.on["dpreg"] = "HANG"
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, a, err := d.ReadDP(ctx, dap.DPIDR)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, dap.NotDone, a)
	_, _, err = d.ReadDP(t.Context(), dap.DPIDR)
	_, ok := wire.AsFault(err)
	assert.True(t, ok)
	require.Error(t, d.Idle(t.Context(), 1))
}

func TestList(t *testing.T) {
	got, ok := list(`0 {a {b c} \} d} x\ y {} -107`)
	require.True(t, ok)
	assert.Equal(t, []string{"0", `a {b c} \} d`, "x y", "", "-107"}, got)
	_, ok = list("{a")
	assert.False(t, ok)
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"0 {0x1\n} {}", "{", `\`, "{\\", "-107 {} {Invalid ACK (7)}"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) {
		list(s)
		numbers(s)
		answer(s)
	})
}
