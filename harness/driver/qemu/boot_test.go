package qemu

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/driver/cable"
	"rigor/harness/wire"
)

const loader = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"

// needs skips a test whose programs are not there.
func needs(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots an emulated device")
	}
	if _, err := exec.LookPath("qemu-system-aarch64"); err != nil {
		t.Skip("needs qemu-system-aarch64: apt-get install qemu-system-arm")
	}
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("needs qemu-img: apt-get install qemu-utils")
	}
	if _, err := os.Stat(loader); err != nil {
		t.Skip("needs u-boot.bin: apt-get install u-boot-qemu")
	}
}

// board is a machine that ends in U-Boot's prompt.
func board() Spec {
	return Spec{QEMU: "qemu-system-aarch64", Args: []string{"-M", "virt,acpi=off", "-cpu", "cortex-a53", "-m", "128M", "-bios", loader},
		MAC: "52:54:00:12:34:56", PL061: &Chip{Lines: map[string]int{"button": 0, "strap": 2, "led": 7}}}
}

// open makes a machine and ends it with the test; nothing of it is left then.
func open(t *testing.T, spec Spec) *Machine {
	t.Helper()
	scratch := filepath.Join(t.TempDir(), "scratch")
	m, err := Open(t.Context(), Config{Name: "dut", Spec: spec, Dir: t.TempDir(), Scratch: scratch, Log: func(l string) { t.Log("qemu: " + l) }})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, m.Close())
		assert.NoError(t, m.Close())
		assert.NoDirExists(t, scratch)
		assert.Empty(t, machines(t, scratch), "no process is left")
	})
	return m
}

// machines lists processes whose folder this is.
func machines(t *testing.T, dir string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range all {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, dir) {
			pids = append(pids, link)
		}
	}
	return pids
}

// transcript reads a console to its end.
type transcript struct {
	mu   sync.Mutex
	b    bytes.Buffer
	from int
	news chan struct{}
	err  error
	done chan struct{}
}

func watch(t *testing.T, p *Port) *transcript {
	t.Helper()
	tr := &transcript{news: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(tr.done)
		buf := make([]byte, 100)
		for {
			n, err := p.Read(buf)
			tr.mu.Lock()
			tr.b.Write(buf[:n])
			tr.err = err
			tr.mu.Unlock()
			select {
			case tr.news <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return tr
}

// expect waits for a text behind the last one that was found.
func (tr *transcript) expect(t *testing.T, text string, within time.Duration) {
	t.Helper()
	late := time.After(within)
	for {
		tr.mu.Lock()
		got := tr.b.String()[tr.from:]
		at := strings.Index(got, text)
		if at >= 0 {
			tr.from += at + len(text)
		}
		tr.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-tr.news:
		case <-late:
			require.Fail(t, "not seen", "%q in %v; the console says %q", text, within, got)
		}
	}
}

func noGive() error { return nil }

func port(t *testing.T, m *Machine) (*Port, *transcript) {
	t.Helper()
	p, err := NewPort("console.main", m, 0, noGive)
	require.NoError(t, err)
	tr := watch(t, p)
	t.Cleanup(func() { assert.NoError(t, p.Close()); <-tr.done })
	return p, tr
}

const bootWithin = 60 * time.Second

// The supply is the process: on it boots cold, off it is gone.
func TestPowerAndConsole(t *testing.T) {
	needs(t)
	m := open(t, board())
	p, tr := port(t, m)
	pw := NewPower("power", m, noGive)
	state := func() wire.PowerState {
		s, err := pw.State(t.Context())
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, wire.PowerOff, state())
	require.NoError(t, p.Write(t.Context(), []byte("into the void")))
	for range 2 {
		require.NoError(t, pw.On(t.Context()))
		require.NoError(t, pw.On(t.Context()))
		assert.Equal(t, wire.PowerOn, state())
		tr.expect(t, "U-Boot 20", bootWithin)
		tr.expect(t, "stop autoboot", bootWithin)
		require.NoError(t, p.Write(t.Context(), []byte(" ")))
		tr.expect(t, "=> ", bootWithin)
		require.NoError(t, p.Write(t.Context(), []byte("echo $((6 * 7))is; echo no '4'2; setexpr x 6 * 7; print x\r")))
		tr.expect(t, "x=2a", bootWithin)
		require.NoError(t, pw.Off(t.Context()))
		require.NoError(t, pw.Off(t.Context()))
		assert.Equal(t, wire.PowerOff, state())
		assert.Empty(t, machines(t, m.conf.Scratch))
	}
}

// Reset holds the whole machine, and it begins anew when it is let go.
func TestReset(t *testing.T) {
	needs(t)
	m := open(t, board())
	_, tr := port(t, m)
	l, err := NewLine(m, LineConfig{Part: "line.reset", Name: "reset"}, noGive)
	require.NoError(t, err)
	pw := NewPower("power", m, noGive)
	require.NoError(t, pw.On(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
	require.NoError(t, l.Assert(t.Context()))
	is, err := l.Asserted(t.Context())
	require.NoError(t, err)
	assert.True(t, is)
	s, err := pw.State(t.Context())
	require.NoError(t, err, "a machine that we hold is well")
	assert.Equal(t, wire.PowerOn, s)
	said := func() int {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.b.Len()
	}
	before := said()
	<-time.After(300 * time.Millisecond)
	assert.Equal(t, before, said(), "it stands still")
	require.NoError(t, l.Release(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
	// Held through a power-on: nothing runs until it is let go.
	require.NoError(t, pw.Off(t.Context()))
	require.NoError(t, l.Assert(t.Context()))
	before = said()
	require.NoError(t, pw.On(t.Context()))
	<-time.After(200 * time.Millisecond)
	assert.Equal(t, before, said(), "it is held")
	require.NoError(t, l.Release(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
}

// A machine that ends by itself breaks every part of it, and says its last words;
// cut and given back, its supply works again.
func TestMachineDies(t *testing.T) {
	needs(t)
	m := open(t, board())
	p, tr := port(t, m)
	l, err := NewLine(m, LineConfig{Part: "line.led", Name: "led", Input: true}, noGive)
	require.NoError(t, err)
	pw := NewPower("power", m, noGive)
	require.NoError(t, pw.On(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
	waited := make(chan error, 1)
	go func() { _, err := l.Wait(t.Context(), true); waited <- err }()
	pid := m.run.cmd.Process.Pid
	require.NoError(t, syscall.Kill(pid, syscall.SIGSEGV))
	<-tr.done
	check := func(err error, part wire.Part) {
		t.Helper()
		require.ErrorIs(t, err, ErrEnded)
		f, ok := wire.AsFault(err)
		require.True(t, ok)
		assert.Equal(t, part, f.Part)
		assert.ErrorContains(t, err, "segmentation fault")
	}
	check(tr.err, "console.main")
	check(<-waited, "line.led")
	check(p.Write(t.Context(), []byte("x")), "console.main")
	_, err = pw.State(t.Context())
	check(err, "power")
	check(pw.On(t.Context()), "power")
	_, err = l.Asserted(t.Context())
	check(err, "line.led")
	assert.ErrorIs(t, m.net.Alive(), ErrEnded)
	require.NoError(t, pw.Off(t.Context()))
	require.NoError(t, pw.On(t.Context()))
	s, err := pw.State(t.Context())
	require.NoError(t, err)
	assert.Equal(t, wire.PowerOn, s)
}

// A machine that stands still by nobody's wish is the bench's trouble, whether
// its monitor still answers or not.
func TestMachineHangs(t *testing.T) {
	needs(t)
	m := open(t, board())
	_, tr := port(t, m)
	pw := NewPower("power", m, noGive)
	require.NoError(t, pw.On(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
	_, err := m.run.mon.execute(t.Context(), "stop", nil)
	require.NoError(t, err)
	_, err = pw.State(t.Context())
	require.ErrorIs(t, err, ErrPaused)
	require.ErrorIs(t, m.net.Alive(), ErrPaused)
	_, err = m.run.mon.execute(t.Context(), "cont", nil)
	require.NoError(t, err)
	_, err = pw.State(t.Context())
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(m.run.cmd.Process.Pid, syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err = pw.State(ctx)
	require.Error(t, err)
	assert.ErrorContains(t, err, "no answer of the monitor")
	require.NoError(t, pw.Off(t.Context()), "it can be cut all the same")
}

// What cannot start says why, in QEMU's own words, and leaves nothing.
func TestDoesNotStart(t *testing.T) {
	needs(t)
	bad := board()
	bad.Args = append(bad.Args, "-dtb", "/nowhere/board.dtb")
	m := open(t, bad)
	err := NewPower("power", m, noGive).On(t.Context())
	require.Error(t, err)
	_, fault := wire.AsFault(err)
	assert.True(t, fault)
	assert.ErrorContains(t, err, "does not start: exit status 1")
	assert.ErrorContains(t, err, "/nowhere/board.dtb")
	s, err := NewPower("power", m, noGive).State(t.Context())
	require.NoError(t, err)
	assert.Equal(t, wire.PowerOff, s)

	chipless := board()
	chipless.Args[1] = "virt"
	chipless.PL061.Path = ""
	chipless.Args = append(chipless.Args[:6:6], "-M", "raspi3b", "-m", "1G")
	chipless.MAC = ""
	m = open(t, chipless)
	_, err = NewLine(m, LineConfig{Part: "line.led", Name: "led", Input: true}, noGive)
	require.NoError(t, err)
	err = m.On(t.Context())
	assert.ErrorContains(t, err, "the machine has no pl061")
}

// A disk keeps what the device wrote from boot to boot, and its image stays as it
// is.
func TestOverlaysLastARun(t *testing.T) {
	needs(t)
	dir := t.TempDir()
	image := filepath.Join(dir, "disk.img")
	require.NoError(t, os.WriteFile(image, bytes.Repeat([]byte{0x55}, 1<<20), 0o600))
	spec := board()
	spec.Disks = []Disk{{File: image, Format: "raw", Role: "system"}}
	m := open(t, spec)
	p, tr := port(t, m)
	pw := NewPower("power", m, noGive)
	prompt := func() {
		require.NoError(t, pw.On(t.Context()))
		tr.expect(t, "stop autoboot", bootWithin)
		require.NoError(t, p.Write(t.Context(), []byte(" ")))
		tr.expect(t, "=> ", bootWithin)
	}
	do := func(command, answer string) {
		require.NoError(t, p.Write(t.Context(), []byte(command+"\r")))
		tr.expect(t, answer, bootWithin)
		tr.expect(t, "=> ", bootWithin)
	}
	prompt()
	do("virtio scan; mw.b 0x40000000 ${x}a7 0x200; virtio write 0x40000000 3 1", "1 blocks written: OK")
	require.NoError(t, pw.Off(t.Context()))
	prompt()
	do("virtio scan; virtio read 0x40100000 3 1", "1 blocks read: OK")
	do("md.b 0x40100000 2", "a7 a7")
	do("virtio read 0x40100000 4 1; md.b 0x40100000 2", "55 55")
	_, err := pw.State(t.Context())
	require.NoError(t, err)
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(image, later, later))
	_, err = pw.State(t.Context())
	assert.ErrorContains(t, err, "was changed while the rig uses it")
	require.NoError(t, pw.Off(t.Context()))
	assert.ErrorContains(t, pw.On(t.Context()), "was changed while the rig uses it")
	require.NoError(t, m.Close())
	data, err := os.ReadFile(image)
	require.NoError(t, err)
	assert.Equal(t, bytes.Repeat([]byte{0x55}, 1<<20), data, "the image is as it was")
}

// Keys that a device does not read are lost, as on a wire: they do not wait for
// its login prompt.
func TestUnreadKeysAreLost(t *testing.T) {
	needs(t)
	m := open(t, board())
	p, tr := port(t, m)
	pw := NewPower("power", m, noGive)
	require.NoError(t, pw.On(t.Context()))
	tr.expect(t, "stop autoboot", bootWithin)
	require.NoError(t, p.Write(t.Context(), []byte(" ")))
	tr.expect(t, "=> ", bootWithin)
	busy := strings.Repeat("crc32 40000000 7000000;", 16) // which looks for no key
	require.NoError(t, p.Write(t.Context(), []byte(busy+"echo do''ne\r")))
	tr.expect(t, "echo do''ne", bootWithin)
	start := time.Now()
	for i := range 60 {
		require.NoError(t, p.Write(t.Context(), fmt.Appendf(nil, "echo lost%d;", i)))
	}
	assert.Less(t, time.Since(start), 13*time.Second, "a device that does not read holds nobody up")
	tr.expect(t, "\ndone", bootWithin)
	tr.expect(t, "=> ", bootWithin)
	require.NoError(t, p.Write(t.Context(), []byte("\recho fo''und\r")))
	tr.expect(t, "found", bootWithin)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	assert.NotContains(t, tr.b.String(), "lost40")
}

// A break reaches the device, and is none of a fault.
func TestBreak(t *testing.T) {
	needs(t)
	m := open(t, board())
	p, tr := port(t, m)
	require.NoError(t, p.Break(t.Context(), time.Millisecond))
	require.NoError(t, m.On(t.Context()))
	tr.expect(t, "U-Boot 20", bootWithin)
	require.NoError(t, p.Break(t.Context(), time.Millisecond))
	require.NoError(t, p.SetRate(t.Context(), 9600))
}

// atPrompt brings a board to its prompt, and gives what runs a command there. The
// prompt is waited for each time: what is typed ahead, U-Boot may take for a try to
// interrupt it.
func atPrompt(t *testing.T, m *Machine) (do func(command, answer string), tr *transcript) {
	t.Helper()
	p, tr := port(t, m)
	require.NoError(t, m.On(t.Context()))
	prompt(t, p, tr)
	return func(command, answer string) {
		t.Helper()
		require.NoError(t, p.Write(t.Context(), []byte(command+"\r")))
		tr.expect(t, answer, bootWithin)
		if answer != "Using" {
			tr.expect(t, "=> ", bootWithin)
		}
	}, tr
}

// prompt stops a boot at the loader's prompt.
func prompt(t *testing.T, p *Port, tr *transcript) {
	t.Helper()
	tr.expect(t, "stop autoboot", bootWithin)
	require.NoError(t, p.Write(t.Context(), []byte(" ")))
	tr.expect(t, "=> ", bootWithin)
}

// Registers of the board's PL061: all data bits, and the direction.
const (
	data      = "090303fc"
	direction = "09030400"
)

// Lines reach the chip from our side and from the device's, and a reset of the chip
// does not let go of what is held.
func TestLines(t *testing.T) {
	needs(t)
	m := open(t, board())
	line := func(name string, conf LineConfig) *Line {
		conf.Part, conf.Name = wire.Part("line."+name), name
		l, err := NewLine(m, conf, noGive)
		require.NoError(t, err)
		return l
	}
	button, strap, led, reset := line("button", LineConfig{}), line("strap", LineConfig{Low: true}), line("led", LineConfig{Input: true}), line("reset", LineConfig{})
	is := func(l *Line) bool {
		a, err := l.Asserted(t.Context())
		require.NoError(t, err)
		return a
	}
	require.NoError(t, button.Assert(t.Context()), "pressed before it has power")
	assert.True(t, is(button))
	do, tr := atPrompt(t, m)
	read := func(want string) { t.Helper(); do("md.l "+data+" 1", data+": "+want) }
	read("00000005") // the button, and the strap at its idle
	require.NoError(t, button.Release(t.Context()))
	read("00000004")
	require.NoError(t, strap.Assert(t.Context()))
	read("00000000")
	require.NoError(t, strap.Release(t.Context()))
	require.NoError(t, button.Assert(t.Context()))
	assert.True(t, is(button) && !is(strap))
	read("00000005")

	require.NoError(t, reset.Assert(t.Context()))
	require.NoError(t, reset.Release(t.Context()))
	prompt(t, m.ports[0], tr)
	read("00000005")
	require.NoError(t, button.Release(t.Context()))

	assert.False(t, is(led))
	seen := make(chan error, 1)
	wait, stop := context.WithTimeout(t.Context(), bootWithin)
	defer stop()
	go func() { _, err := led.Wait(wait, true); seen <- err }()
	do("mw.l "+direction+" 80; mw.l "+data+" 80", "80")
	require.NoError(t, <-seen)
	assert.True(t, is(led))
	do("mw.l "+data+" 0", " 0")
	_, err := led.Wait(wait, false)
	require.NoError(t, err)
	do("mw.l "+data+" 80", "80")
	_, err = led.Wait(wait, true)
	require.NoError(t, err)
	assert.ErrorIs(t, led.Assert(t.Context()), wire.ErrUnsupported)
	require.NoError(t, led.Release(t.Context()))
	require.NoError(t, m.Off(t.Context()))
	assert.False(t, is(led), "a device without power drives nothing")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = led.Wait(ctx, true)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	_, fault := wire.AsFault(err)
	assert.False(t, fault)
}

// The cable carries what the device's own network does, and nobody answers in its
// place.
func TestNetwork(t *testing.T) {
	needs(t)
	m := open(t, board())
	l, err := Network(t.Context(), m, cable.Config{Part: "link", Own: netip.MustParsePrefix("10.0.7.2/24"), DialTimeout: 3 * time.Second, FindTimeout: 20 * time.Second}, noGive)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	do, _ := atPrompt(t, m)
	do("setenv ipaddr 10.0.7.1; setenv netmask 255.255.255.0; ping 10.0.7.2", "host 10.0.7.2 is alive")
	_, err = l.DialContext(t.Context(), "tcp", "10.0.7.1:22")
	require.Error(t, err, "a prompt answers nobody")
	_, fault := wire.AsFault(err)
	require.False(t, fault, "%v", err)
	do("ping 10.0.7.77", "Using")                                                                      // it waits for an answer, and answers meanwhile
	at, err := l.(wire.Finder).Find(t.Context(), net.HardwareAddr{0x52, 0x52, 0x52, 0x52, 0x52, 0x52}) // U-Boot's own idea
	require.NoError(t, err)
	assert.Equal(t, "10.0.7.1", at.String())
	require.NoError(t, l.Check(t.Context()))
	require.NoError(t, m.Off(t.Context()))
	require.NoError(t, l.Check(t.Context()), "a device without power is nothing wrong")
}
