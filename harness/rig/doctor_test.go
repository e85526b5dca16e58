package rig

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// computer is a file system to look at: "path": content, "path->": a link.
func computer(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{"proc/1/stat": {Data: []byte("1 (systemd) S 0 1 1")}}
	for name, content := range files {
		if link, ok := strings.CutSuffix(name, "->"); ok {
			root[link] = &fstest.MapFile{Data: []byte(content), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

func well(root fs.FS) Probe {
	return Probe{
		Root: root, PID: 500,
		Free:  func(string) (uint64, error) { return 1 << 30, nil },
		Clock: func() (bool, error) { return true, nil },
		Now:   func() time.Time { return time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) },
	}
}

// finding gives "status part: detail" of an item, several in order.
func finding(found []journal.Doctor, item string) string {
	var texts []string
	for _, d := range found {
		if d.Item == item {
			texts = append(texts, strings.TrimSpace(strings.TrimSpace(d.Status+" "+d.Part)+": "+d.Detail))
		}
	}
	return strings.Join(texts, "\n")
}

func TestDoctorOfARigThatIsWell(t *testing.T) {
	w := newWorkbench()
	w.file.Power.Proof, w.file.Allow = "switch", []string{"power"}
	b := w.bind(t)
	p := well(computer(nil))
	p.RunDir = t.TempDir()
	p.Identity = func(context.Context) (string, error) { return "AG-000123", nil }
	for _, phase := range []string{PhaseBefore, PhaseAfter} {
		found := Doctor(t.Context(), phase, b, w.file, nil, p)
		for _, d := range found {
			assert.Equal(t, phase, d.Phase)
			if d.Item != "under-voltage" {
				assert.Equal(t, StatusOK, d.Status, "%+v", d)
			}
			assert.NotContains(t, d.Detail, "\n")
		}
		assert.Len(t, found, 14)
	}
	entries, err := os.ReadDir(p.RunDir)
	require.NoError(t, err)
	assert.Empty(t, entries, "the doctor leaves nothing behind")
	assert.NotContains(t, w.log.all(), "assert line.reset", "the doctor presses nothing")
	assert.NotContains(t, w.log.all(), "on power")
}

func TestDoctorOfTheComputer(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone")
	tests := []struct {
		name string
		item string
		set  func(*Probe)
		want string
	}{
		{"disk full", "disk", func(p *Probe) { p.Free = func(string) (uint64, error) { return 99 << 20, nil } },
			"broken: 99 MB free in the run's folder, at least 100 MB are needed: remove old runs"},
		{"just enough", "disk", func(p *Probe) { p.Free = func(string) (uint64, error) { return MinFree, nil } }, "ok: writable, 100 MB free"},
		{"cannot tell", "disk", func(p *Probe) { p.Free = func(string) (uint64, error) { return 0, errors.New("statfs: ENOSYS") } },
			"skipped: writable; how much is free is not known: statfs: ENOSYS"},
		{"not writable", "disk", func(p *Probe) { p.RunDir = gone }, "broken: the run's folder cannot be written: open " + gone},
		{"no folder", "disk", func(p *Probe) { p.RunDir = "" }, "skipped: no run's folder"},
		{"unsynced", "clock", func(p *Probe) { p.Clock = func() (bool, error) { return false, nil } }, "ok: not synchronised"},
		{"unknown", "clock", func(p *Probe) { p.Clock = func() (bool, error) { return false, errors.New("EPERM") } }, "skipped: whether it is synchronised is not known: EPERM"},
		{"1970", "clock", func(p *Probe) { p.Now = func() time.Time { return time.Unix(100, 0) } }, "broken: the clock says 1970-01-01"},
		{"weak now", "under-voltage", throttled("0x50005\n"), "broken: this computer's supply is too low now"},
		{"weak once", "under-voltage", throttled("50000\n"), "ok: none now, but there was since"},
		{"strong", "under-voltage", throttled("0\n"), "ok: none"},
		{"garbage", "under-voltage", throttled("\x1b]0;x\a"), `skipped: get_throttled says "\x1b]0;x\a"`},
		{"hwmon alarm", "under-voltage", hwmon("1\n"), "broken: this computer's supply is too low"},
		{"hwmon", "under-voltage", hwmon("0\n"), "ok: none"},
		{"no Pi", "under-voltage", func(*Probe) {}, "skipped: this computer does not tell"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := well(computer(nil))
			p.RunDir = t.TempDir()
			tt.set(&p)
			found := Doctor(t.Context(), PhaseBefore, nil, &File{Name: "bench-a"}, nil, p)
			assert.True(t, strings.HasPrefix(finding(found, tt.item), tt.want), "%s", finding(found, tt.item))
		})
	}
}

func throttled(v string) func(*Probe) {
	return func(p *Probe) {
		p.Root = computer(map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": v})
	}
}

func hwmon(v string) func(*Probe) {
	return func(p *Probe) {
		p.Root = computer(map[string]string{
			"sys/class/hwmon/hwmon0/name": "cpu_thermal\n", "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "1\n",
			"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": v,
		})
	}
}

func TestDoctorOfPorts(t *testing.T) {
	const unit = "serial-getty@ttyAMA0.service"
	tests := []struct {
		name  string
		files map[string]string
		port  string
		want  string
	}{
		{"free", map[string]string{"proc/412/stat": "412 (bash) S 1", "proc/412/fd/0->": "/dev/tty1"}, "/dev/serial0",
			"ok console.main: nobody else has /dev/ttyAMA0 open"},
		{"getty at boot", map[string]string{"etc/systemd/system/getty.target.wants/" + unit + "->": "/lib/systemd/system/serial-getty@.service"}, "/dev/serial0",
			"broken console.main: /dev/ttyAMA0: a getty starts there at each boot: systemctl mask --now " + unit},
		{"getty of the kernel's console", map[string]string{"run/systemd/generator/getty.target.wants/" + unit + "->": "/lib/x"}, "/dev/serial0",
			"broken console.main: /dev/ttyAMA0: a getty starts there at each boot: systemctl mask --now " + unit},
		{"masked", map[string]string{"run/systemd/generator/getty.target.wants/" + unit + "->": "/lib/x", "etc/systemd/system/" + unit + "->": "/dev/null"}, "/dev/serial0",
			"ok console.main: nobody else has /dev/ttyAMA0 open"},
		{"getty elsewhere", map[string]string{"etc/systemd/system/getty.target.wants/serial-getty@ttyS1.service->": "/lib/x"}, "/dev/serial0",
			"ok console.main: nobody else has /dev/ttyAMA0 open"},
		{"kernel's console", map[string]string{"proc/cmdline": "root=/dev/mmcblk0p2 console=ttyAMA0,115200 quiet\n"}, "/dev/serial0",
			"broken console.main: /dev/ttyAMA0: the kernel writes its messages there: remove console=ttyAMA0 from"},
		{"open elsewhere", map[string]string{"proc/412/stat": "412 (a) ) S 1 412", "proc/412/comm": "mini\x1bcom\n", "proc/412/fd/0->": "/dev/null", "proc/412/fd/7->": "/dev/ttyUSB0", "proc/412/fd/8->": "/dev/ttyUSB0"}, "/dev/serial/by-id/usb-FTDI",
			`broken console.main: /dev/ttyUSB0 is open in "mini\x1bcom" (process 412): end it`},
		{"open in our own tree", map[string]string{"proc/500/stat": "500 (rigor) S 1", "proc/500/fd/3->": "/dev/ttyUSB0", "proc/600/stat": "600 (helper (x) y) S 500", "proc/600/fd/3->": "/dev/ttyUSB0"}, "/dev/serial/by-id/usb-FTDI",
			"ok console.main: nobody else has /dev/ttyUSB0 open"},
		{"hidden", map[string]string{"proc/77/stat": "77 (agetty) S 1"}, "/dev/ttyUSB0",
			"ok console.main: no getty is configured on /dev/ttyUSB0; the open files of 1 processes of other users are not visible"},
		{"pty", map[string]string{"proc/412/stat": "412 (rigor) S 1", "proc/412/fd/7->": "/dev/pts/3"}, "/dev/pts/3",
			"ok console.main: /dev/pts/3 is a pseudo-terminal"},
		{"gone", nil, "/dev/ttyUSB9", "ok console.main: nobody else has /dev/ttyUSB9 open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"dev/serial0->": "ttyAMA0", "dev/serial/by-id/usb-FTDI->": "../../ttyUSB0", "dev/ttyUSB0": "", "dev/ttyAMA0": "", "proc/1/fd/0->": "/dev/null"}
			for k, v := range tt.files {
				files[k] = v
			}
			f := &File{Name: "bench-a", Consoles: map[string]*Port{"main": {Driver: "serial", Port: tt.port}, "net": {Driver: "tcp"}}}
			got := finding(Doctor(t.Context(), PhaseBefore, nil, f, nil, well(computer(files))), "getty")
			assert.True(t, strings.HasPrefix(got, tt.want), "%s", got)
		})
	}
}

func TestDoctorOfBootPulls(t *testing.T) {
	pi := map[string]string{"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\x00"}
	tests := []struct {
		name string
		pi   bool
		line Line
		want string
	}{
		{"low on a pin pulled up", true, Line{Line: "GPIO8", Active: "low"}, "ok line.x: GPIO8 is pulled up at boot, which is its idle"},
		{"low on a pin pulled down", true, Line{Line: "GPIO9", Active: "low"}, "broken line.x: Raspberry Pi 4 Model B Rev 1.5 pulls GPIO9 down at each of its boots, towards asserted: take one of GPIO4 to GPIO8,"},
		{"high on a pin pulled down", true, Line{Line: "GPIO27", Active: "high"}, "ok line.x: GPIO27 is pulled down at boot"},
		{"high on a pin pulled up", true, Line{Line: "GPIO0"}, "broken line.x: Raspberry Pi 4 Model B Rev 1.5 pulls GPIO0 up at each of its boots, towards asserted: take one of GPIO9 to GPIO27,"},
		{"by offset", true, Line{Chip: "/dev/gpiochip0", Line: "17", Active: "low"}, "broken line.x: "},
		{"by offset on the label of a Pi 3's chip", true, Line{Chip: "pinctrl-bcm2835", Line: "6", Active: "high"}, "broken line.x: "},
		{"by offset on the label of a Pi 4's chip", true, Line{Chip: "pinctrl-bcm2711", Line: "17", Active: "low"}, "broken line.x: "},
		{"by offset on the label of a Pi 5's chip", true, Line{Chip: "pinctrl-rp1", Line: "17", Active: "high"}, "ok line.x: GPIO17 is pulled down at boot"},
		{"the label of the firmware's expander", true, Line{Chip: "raspberrypi-exp-gpio", Line: "6", Active: "high"}, ""},
		{"by the mainline kernel's name, high on a pin pulled up", true, Line{Line: "GPIO_GCLK", Active: "high"}, "broken line.x: Raspberry Pi 4 Model B Rev 1.5 pulls GPIO4 up "},
		{"by the mainline kernel's name, low on a pin pulled down", true, Line{Line: "SPI_MISO", Active: "low"}, "broken line.x: Raspberry Pi 4 Model B Rev 1.5 pulls GPIO9 down "},
		{"such a name on another computer", false, Line{Line: "SPI_MISO", Active: "low"}, ""},
		{"another chip", true, Line{Chip: "gpiochip2", Line: "17", Active: "low"}, ""},
		{"an input", true, Line{Line: "GPIO17", Active: "low", Drive: "input"}, ""},
		{"another name", true, Line{Line: "PA7", Active: "low"}, ""},
		{"not on a Pi", false, Line{Line: "GPIO17", Active: "low"}, "ok line.x: on a Raspberry Pi, GPIO17 would be pulled down at each boot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := pi
			if !tt.pi {
				files = map[string]string{"proc/device-tree/model": "BeagleBone\x00"}
			}
			tt.line.Driver = "gpio"
			f := &File{Name: "bench-a", Lines: map[string]*Line{"x": &tt.line}}
			got := finding(Doctor(t.Context(), PhaseBefore, nil, f, nil, well(computer(files))), "boot-pull")
			assert.True(t, strings.HasPrefix(got, tt.want) && (got == "") == (tt.want == ""), "%s", got)
		})
	}
	f := &File{Name: "bench-a", Power: &Power{Driver: "gpio", Line: "GPIO26", Active: "low"}}
	got := finding(Doctor(t.Context(), PhaseBefore, nil, f, nil, well(computer(pi))), "boot-pull")
	assert.Contains(t, got, "broken power: ", "a relay that closes at each boot of the Pi")
}

func TestDoctorOfThePower(t *testing.T) {
	saw := func(text string, err error) func(*workbench, *Probe) {
		return func(_ *workbench, p *Probe) {
			p.ColdBoot = func(context.Context) (string, error) { return text, err }
		}
	}
	tests := []struct {
		name  string
		proof string
		allow []string
		set   func(*workbench, *Probe)
		want  string
		on    wire.PowerState
	}{
		{"already off", "switch", []string{"power"}, nil, "ok power: the switch reads back off", wire.PowerOff},
		{"cut and given back", "switch", []string{"power-cut"}, func(w *workbench, _ *Probe) { w.power.state = wire.PowerOn }, "ok power: the switch reads back off", wire.PowerOn},
		{"welded", "switch", []string{"power"}, func(w *workbench, _ *Probe) { w.power.state, w.power.stuck = wire.PowerOn, true }, "broken power: told to be off, the switch says on", wire.PowerOn},
		{"mute", "switch", []string{"power"}, func(w *workbench, _ *Probe) { w.power.mute = true }, "broken power: the switch cannot tell its state; prove by cold-boot instead (power.proof)", wire.PowerOff},
		{"dead", "switch", []string{"power"}, func(w *workbench, _ *Probe) { w.power.err = errors.New("no route") }, "broken power: power: off: no route", wire.PowerOff},
		{"not allowed", "switch", []string{"config"}, func(w *workbench, _ *Probe) { w.power.state = wire.PowerOn }, "skipped power: the rig file does not allow", wire.PowerOn},
		{"none", "none", []string{"power"}, nil, "skipped power: the rig file declares no proof", wire.PowerOff},
		{"cold boot", "cold-boot", []string{"power"}, saw("banner at 0.2 s", nil), "ok power: cold boot seen: banner at 0.2 s", wire.PowerOff},
		{"no cold boot", "cold-boot", []string{"power"}, saw("", errors.New("no banner in 5s")), "broken power: cut and given back, but no cold boot was seen: no banner in 5s", wire.PowerOff},
		{"no console", "cold-boot", []string{"power"}, nil, "skipped power: proof is cold-boot, and nothing boots the DUT here", wire.PowerOff},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, p := newWorkbench(), well(computer(nil))
			w.file.Power.Proof, w.file.Allow = tt.proof, tt.allow
			if tt.set != nil {
				tt.set(w, &p)
			}
			got := finding(Doctor(t.Context(), PhaseBefore, w.bind(t), w.file, nil, p), "power-off")
			assert.True(t, strings.HasPrefix(got, tt.want), "%s", got)
			assert.Equal(t, tt.on, w.power.state, "the supply is as before")
		})
	}
}

func TestDoctorOfLines(t *testing.T) {
	tests := []struct {
		name string
		set  func(*workbench)
		want string
	}{
		{"idle", func(*workbench) {}, "ok line.button: released, and reads so\nok line.reset: released, and reads so"},
		{"stuck", func(w *workbench) { w.lines["reset"].asserted, w.power.state = true, wire.PowerOn }, "\nbroken line.reset: released, but reads asserted: it is stuck"},
		{"no switch", func(w *workbench) { w.lines["reset"].asserted, w.file.Power = true, nil }, "\nbroken line.reset: released, but reads asserted"},
		{"device off", func(w *workbench) { w.lines["reset"].asserted = true }, "\nskipped line.reset: reads asserted while the device is off"},
		{"power not known", func(w *workbench) { w.lines["reset"].asserted, w.power.mute = true, true }, "\nskipped line.reset: reads asserted, and whether"},
		{"an LED that is lit", func(w *workbench) {
			w.lines["reset"].asserted, w.power.state = true, wire.PowerOn
			w.file.Lines["reset"].Drive = "input"
		}, "\nok line.reset: reads asserted"},
		{"unreadable", func(w *workbench) { w.lines["reset"].err = errors.New("EIO") }, "\nbroken line.reset: line.reset: read: EIO"},
		{"missing", func(w *workbench) {
			w.fail["line.reset"] = &wire.Fault{Part: "line.reset", Op: "open", Err: errors.New("busy")}
		}, "ok line.button: released, and reads so"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorkbench()
			tt.set(w)
			found := Doctor(t.Context(), PhaseAfter, w.bind(t), w.file, nil, well(computer(nil)))
			assert.Contains(t, finding(found, "idle"), tt.want)
			if tt.name == "missing" {
				assert.Contains(t, finding(found, "open"), "broken line.reset: line.reset: open: busy")
				assert.NotContains(t, finding(found, "idle"), "line.reset")
			}
		})
	}
}

func TestDoctorOfLoopsAndLink(t *testing.T) {
	const item = "loopback button-reset"
	tests := []struct {
		name string
		set  func(*workbench)
		want string
	}{
		{"joined", func(w *workbench) { w.lines["button"].follow = w.lines["reset"] }, "ok line.button: follows both ways"},
		{"cut", func(*workbench) {}, "broken line.button: the far end is not seen asserted: context deadline exceeded"},
		{"stuck", func(w *workbench) { w.lines["reset"].asserted = true }, "broken line.button: the far end is not seen released: context deadline exceeded"},
		{"no line", func(w *workbench) { delete(w.file.Lines, "reset") }, "broken: the rig file has no such lines"},
		{"missing", func(w *workbench) { w.fail["line.reset"] = &wire.Fault{Part: "line.reset", Err: errors.New("busy")} }, "skipped line.button: a line of it did not open"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorkbench()
				w.file.Loopback = []Loopback{{Out: "button", In: "reset"}}
				tt.set(w)
				b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
				require.NoError(t, err)
				got := finding(Doctor(t.Context(), PhaseBefore, b, w.file, nil, well(computer(nil))), item)
				assert.Equal(t, tt.want, got)
				assert.False(t, w.lines["button"].asserted, "released afterwards")
				require.NoError(t, b.Close())
			})
		})
	}
	w := newWorkbench()
	w.link.err = errors.New("eth1: no carrier")
	found := Doctor(t.Context(), PhaseBefore, w.bind(t), w.file, nil, well(computer(nil)))
	assert.Equal(t, "broken link: link: check: eth1: no carrier", finding(found, "link"))
}

func TestDoctorDoesNotWaitForADriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkbench()
		b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
		require.NoError(t, err)
		hang := make(chan struct{})
		b.Link.(*gatedLink).raw = hungLink{w.link, hang}
		start := time.Now()
		found := Doctor(t.Context(), PhaseBefore, b, w.file, nil, well(computer(nil)))
		assert.Equal(t, lookWithin+openGrace, time.Since(start))
		assert.Equal(t, "broken link: the driver did not come back: context deadline exceeded", finding(found, "link"))
		close(hang)
		require.NoError(t, b.Close())
	})
}

// A visit whose time is over says of what it did not see to its end that it did not: a part
// is not broken for that, and what needs no instrument is told all the same.
func TestDoctorWithoutTime(t *testing.T) {
	t.Parallel()
	w := newWorkbench()
	w.lines["reset"].err, w.link.err = errors.New("killed"), errors.New("killed")
	p := well(computer(nil))
	p.Clock, p.Now = nil, func() time.Time { return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) }
	ctx, cancel := context.WithCancel(t.Context())
	b := w.bind(t)
	cancel()
	found := Doctor(ctx, PhaseAfter, b, w.file, nil, p)
	assert.Contains(t, finding(found, "clock"), "broken")
	assert.Contains(t, finding(found, "link"), "skipped link: there was no time to look to its end: ")
	for _, d := range found {
		assert.False(t, d.Status == StatusBroken && d.Part != "", "%+v", d)
	}
}

type hungLink struct {
	wire.Link
	hang chan struct{}
}

func (l hungLink) Check(context.Context) error { <-l.hang; return nil }

func TestDoctorOfIdentityLeaseAndGuard(t *testing.T) {
	f := &File{Name: "bench-a"}
	p := well(computer(nil))
	look := func(prof *profile.Profile) []journal.Doctor {
		return Doctor(t.Context(), PhaseBefore, nil, f, prof, p)
	}
	assert.Equal(t, "skipped: nothing reads it here", finding(look(nil), "identity"))
	prof := &profile.Profile{Identity: profile.Identity{None: profile.None{None: "sealed unit"}}}
	assert.Equal(t, "skipped: the profile declares that it cannot be read: sealed unit", finding(look(prof), "identity"))
	p.Identity = func(context.Context) (string, error) { return "", errors.New("want AG-1, got AG-2") }
	assert.Equal(t, "broken: want AG-1, got AG-2", finding(look(nil), "identity"))

	p.Lease = acquire(t, t.TempDir(), "bench-a", "k")
	p.Guard = &Guard{gone: make(chan struct{})}
	assert.Equal(t, "ok: held", finding(look(nil), "lease"))
	assert.Equal(t, "ok: on duty", finding(look(nil), "guard"))
	require.NoError(t, os.Remove(p.Lease.locks[0].path))
	close(p.Guard.gone)
	assert.Contains(t, finding(look(nil), "lease"), "broken: the lease of console.main (k) is lost")
	assert.Contains(t, finding(look(nil), "guard"), "broken: the guard process has ended")
}

func TestDoctorOnThisComputer(t *testing.T) {
	// With nothing injected: whatever it is, it must be told without a panic.
	found := Doctor(t.Context(), PhaseBefore, nil, &File{Name: "x", Consoles: map[string]*Port{"main": {Driver: "serial", Port: "/dev/null"}}}, nil, Probe{RunDir: t.TempDir()})
	for _, item := range []string{"disk", "clock", "under-voltage", "getty"} {
		assert.NotEmpty(t, finding(found, item), item)
	}
	assert.Contains(t, []string{"synchronised", "not synchronised", "unknown"}, ClockState())
}

func FuzzParentOf(f *testing.F) {
	f.Add("412 (bash) S 1 412 412")
	f.Add("412 (a) S 7) R 9 0")
	f.Add("412 (")
	f.Fuzz(func(t *testing.T, stat string) {
		if parentOf([]byte("1 ("+stat+") S 77 1")) != 77 {
			t.Fatalf("a program's name %q misleads", stat)
		}
		parentOf([]byte(stat))
	})
}
