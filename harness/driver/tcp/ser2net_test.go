//go:build linux

package tcp

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rigor/harness/wire"
)

// TestSer2net speaks with a terminal server that nobody here wrote, with a pty
// for its serial port.
func TestSer2net(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("ser2net")
	if err != nil {
		t.Skip("needs ser2net: apt-get install ser2net")
	}
	if testing.Short() {
		t.Skip("starts a server")
	}
	for name, tc := range map[string]struct {
		accepter string
		conf     Config
	}{
		"rfc2217": {"telnet(rfc2217),tcp", Config{Mode: Telnet, Baud: 115200, Frame: "8N1", Control: true}},
		"telnet":  {"telnet,tcp", Config{Mode: Telnet}},
		"raw":     {"tcp", Config{Mode: Raw}},
	} {
		t.Run(name, func(t *testing.T) {
			master, tty, err := pty.Open()
			require.NoError(t, err)
			defer func() { _ = master.Close() }()
			defer func() { _ = tty.Close() }()
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			require.NoError(t, err)
			addr := l.Addr().String()
			require.NoError(t, l.Close())
			host, port, err := net.SplitHostPort(addr)
			require.NoError(t, err)
			file := filepath.Join(t.TempDir(), "ser2net.yaml")
			require.NoError(t, os.WriteFile(file, fmt.Appendf(nil,
				"connection: &dut\n  accepter: %s,%s,%s\n  connector: serialdev,%s,9600n81,local\n",
				tc.accepter, host, port, tty.Name()), 0o600))
			cmd := exec.CommandContext(t.Context(), program, "-n", "-u", "-c", file)
			require.NoError(t, cmd.Start())
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // says that it was killed
			}()

			tc.conf.Address = addr
			tc.conf.Part = "console.main"
			var p *Port
			require.Eventually(t, func() bool {
				p, err = Open(t.Context(), tc.conf)
				return err == nil
			}, 10*time.Second, 50*time.Millisecond, "%v", err)
			defer func() { assert.NoError(t, p.Close()) }()

			want := allBytes()
			require.NoError(t, p.Write(t.Context(), []byte(want)))
			assert.Equal(t, want, read(t, master, len(want)))
			_, err = io.WriteString(master, want)
			require.NoError(t, err)
			assert.Equal(t, want, read(t, p, len(want)))

			_, err = Open(t.Context(), tc.conf)
			fault(t, err) // one user at a time: the second is told so, and turned away
			t.Logf("second user: %v", err)

			if !tc.conf.Control {
				require.ErrorIs(t, p.SetRate(t.Context(), 9600), wire.ErrUnsupported)
				return
			}
			rate := func() uint32 {
				term, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS2)
				require.NoError(t, err)
				return term.Ospeed
			}
			assert.EqualValues(t, 115200, rate())
			require.NoError(t, p.SetRate(t.Context(), 57600))
			assert.EqualValues(t, 57600, rate())
			require.NoError(t, p.Break(t.Context(), 20*time.Millisecond))
		})
	}
}
