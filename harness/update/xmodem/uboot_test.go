package xmodem

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/update/stream"
	"rigor/harness/wire"
)

// pipes is a port over the pipes of a program.
type pipes struct {
	io.ReadCloser
	to io.WriteCloser
}

func (p *pipes) Write(_ context.Context, b []byte) error {
	_, err := p.to.Write(b)
	return err
}
func (p *pipes) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (p *pipes) SetRate(context.Context, int) error         { return wire.ErrUnsupported }

// uboot starts U-Boot on an emulated board, and gives its console at its prompt.
func uboot(t *testing.T) *console.Console {
	t.Helper()
	const bios = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
	if _, err := os.Stat(bios); err != nil {
		t.Skip("needs U-Boot: apt-get install u-boot-qemu")
	}
	if _, err := exec.LookPath("qemu-system-aarch64"); err != nil {
		t.Skip("needs qemu-system-aarch64: apt-get install qemu-system-arm")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	cmd := exec.CommandContext(ctx, "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "256", "-display", "none", "-monitor", "none",
		"-nic", "none", "-serial", "stdio", "-bios", bios)
	to, err := cmd.StdinPipe()
	require.NoError(t, err)
	from, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	con := console.Open(t.Context(), &pipes{from, to}, console.Options{Part: "console.main"})
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = con.Close()
	})
	at, err := con.Send(ctx, nil)
	require.NoError(t, err)
	_, err = con.Expect(ctx, at, text(t, "Hit any key"))
	require.NoError(t, err)
	prompt(t, con, " ")
	return con
}

func text(t *testing.T, s string) expect.Pattern {
	t.Helper()
	p, err := expect.Text(s)
	require.NoError(t, err)
	return p
}

// prompt sends a line and waits for the prompt behind its answer, which it gives.
func prompt(t *testing.T, con *console.Console, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	at, err := con.SendLine(ctx, line)
	require.NoError(t, err)
	_, err = con.Expect(ctx, at, text(t, "=> ").Prompt(300*time.Millisecond))
	require.NoError(t, err)
	said, err := con.Since(at)
	require.NoError(t, err)
	return string(said)
}

// TestUBoot: U-Boot's loader, which neither we nor lrzsz's authors wrote, gets
// into its memory what was sent.
func TestUBoot(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("an emulated board takes seconds")
	}
	con := uboot(t)
	data := some(40_000)
	for _, c := range []struct {
		command string
		send    func(s stream.Stream) (Report, error)
	}{
		{"loadx 0x41000000", func(s stream.Stream) (Report, error) { return Send(t.Context(), s, data, Options{Long: true}) }},
		{"loady 0x42000000", func(s stream.Stream) (Report, error) {
			return SendBatch(t.Context(), s, []File{{"fw.bin", data}}, Options{Long: true})
		}},
		{"loadx 0x43000000", func(s stream.Stream) (Report, error) { return Send(t.Context(), s, data, Options{Pad: 0xff}) }},
	} {
		at, err := con.SendLine(t.Context(), c.command)
		require.NoError(t, err)
		s := stream.Over(con, at)
		r, err := c.send(s)
		require.NoError(t, err, c.command)
		assert.True(t, r.Clean(), "%s: %+v", c.command, r)
		assert.Equal(t, 1, r.Files)
		_, err = con.Expect(t.Context(), s.Cursor(), text(t, "=> ").Prompt(300*time.Millisecond))
		require.NoError(t, err)
		said := prompt(t, con, fmt.Sprintf("crc32 %s %x", c.command[6:], len(data)))
		assert.Contains(t, said, fmt.Sprintf("==> %08x", crc32.ChecksumIEEE(data)), "%s %+v", c.command, r)
	}
}
