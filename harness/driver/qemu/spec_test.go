package qemu

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a builder writes beside its image is read, in JSON as in YAML.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine.json")
	write := func(text string) string {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	s, err := Load(write(`{
  "qemu": "qemu-system-aarch64",
  "args": ["-M", "virt,acpi=off", "-bios", "${dir}/u-boot.bin", "-drive", "if=none,id=system,format=raw,file=${dir}/system.img", "-device", "virtio-blk-device,drive=system"],
  "disks": [{"file": "system.img", "format": "raw", "role": "system", "snapshot": false}],
  "nic": "virtio-net-device", "mac": "52:54:00:47:57:01",
  "pl061": {"lines": {"led": 7, "reset-button": 0}},
  "address": "192.168.77.1"
}`))
	require.NoError(t, err)
	assert.Equal(t, 7, s.PL061.Lines["led"])
	assert.Equal(t, []string{"reset", "led", "reset-button"}, s.LineNames())
	require.NoError(t, s.Known("led"))
	assert.EqualError(t, s.Known("lde"), `the machine has no line "lde"; there are reset, led, reset-button`)

	_, err = Load(write(`{"qemu": "qemu-system-aarch64", "mac": "x",` + "\n" + `"colour": 1}`))
	assert.ErrorContains(t, err, "machine.json:2:1: the file has no key \"colour\"")
	_, err = Load(write(`{"qemu": "qemu-system-aarch64", "mac": "x"}`))
	assert.ErrorContains(t, err, `machine.json:1:33: mac is "x"`)
	_, err = Load(path + ".gone")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// planned gives the command line of a machine that is not started.
func planned(t *testing.T, spec Spec, with func(*Machine)) []string {
	t.Helper()
	m := &Machine{conf: Config{Name: "dut", Spec: spec, Dir: "/images", Scratch: "/scratch"}, driven: map[int]bool{}, ports: map[int]*Port{}}
	m.net = &ether{m: m}
	if with != nil {
		with(m)
	}
	p, err := m.plan()
	require.NoError(t, err)
	p.close()
	for _, c := range p.ours {
		_ = c.Close()
	}
	return p.args
}

// after gives the options of a flag, each time that it stands there.
func after(args []string, flag string) (out []string) {
	for i, a := range args[:len(args)-1] {
		if a == flag {
			out = append(out, args[i+1])
		}
	}
	return out
}

// No image is written to: each disk is behind an overlay, wherever it is named.
func TestDisksAreBehindOverlays(t *testing.T) {
	spec := Spec{QEMU: "qemu-system-aarch64", Args: []string{"-bios", "${dir}/u-boot.bin", "-drive", "if=none,id=system,format=raw,file=${dir}/system.img,readonly=off",
		"-device", "virtio-blk-device,drive=system", "-device", "nvme,drive=data,serial=1"},
		Disks: []Disk{{File: "system.img", Format: "raw", Role: "system"}, {File: "data.qcow2", Format: "qcow2", Role: "data"}, {File: "/x/more.img", Format: "raw", Role: "more"},
			{File: "code.img", Format: "raw", Role: "pflash-code"}, {File: "vars.img", Format: "raw", Role: "pflash-vars"}}}
	require.NoError(t, spec.Validate())
	args := planned(t, spec, nil)
	assert.Equal(t, []string{"/images/u-boot.bin"}, after(args, "-bios"))
	assert.Equal(t, []string{
		"file=/scratch/system.qcow2,format=qcow2,if=none,id=system,readonly=off",
		"if=none,id=data,file=/scratch/data.qcow2,format=qcow2",
		"if=none,id=more,file=/scratch/more.qcow2,format=qcow2",
		"if=pflash,unit=0,file=/scratch/pflash-code.qcow2,format=qcow2",
		"if=pflash,unit=1,file=/scratch/pflash-vars.qcow2,format=qcow2",
	}, after(args, "-drive"))
	assert.Equal(t, []string{"virtio-blk-device,drive=system", "nvme,drive=data,serial=1", "virtio-blk-pci,drive=more"}, after(args, "-device"))
	for _, image := range []string{"/images/system", "/images/data", "/x/more", "/images/code", "/images/vars"} {
		assert.NotContains(t, strings.Join(args, " "), image)
	}
	assert.Equal(t, []string{"none"}, after(args, "-nic"), "no card that nobody declared")
}

func TestWires(t *testing.T) {
	spec := Spec{QEMU: "q", MAC: "52:54:00:00:00:01", PL061: &Chip{Lines: map[string]int{"led": 7}}}
	args := planned(t, spec, nil)
	assert.Equal(t, []string{"null"}, after(args, "-serial"))
	assert.Equal(t, []string{"socket,id=cable,fd=4"}, after(args, "-netdev"))
	assert.Equal(t, []string{"virtio-net-pci,romfile=,netdev=cable,mac=52:54:00:00:00:01"}, after(args, "-device"))
	assert.Empty(t, after(args, "-qtest"))
	assert.True(t, slices.Contains(args, "-S") && slices.Contains(args, "-no-shutdown"))

	spec.NIC = "virtio-net-device"
	args = planned(t, spec, func(m *Machine) {
		_, err := NewPort("console.aux", m, 1, noGive)
		require.NoError(t, err)
		_, err = NewLine(m, LineConfig{Name: "led", Input: true}, noGive)
		require.NoError(t, err)
		_, err = NewPort("console.aux", m, 1, noGive)
		require.ErrorContains(t, err, "in use twice")
		_, err = NewPort("console.aux", m, 8, noGive)
		require.Error(t, err)
	})
	assert.Equal(t, []string{"null", "chardev:rigor-uart1"}, after(args, "-serial"))
	assert.Equal(t, []string{"socket,id=rigor-monitor,fd=3", "socket,id=qtest,fd=4", "socket,id=rigor-uart1,fd=5"}, after(args, "-chardev"))
	assert.Equal(t, []string{"chardev:qtest"}, after(args, "-qtest"))
	assert.Equal(t, []string{"virtio-net-device,netdev=cable,mac=52:54:00:00:00:01"}, after(args, "-device"))

	args = planned(t, spec, func(m *Machine) { m.conf.Tap = "rigor0" })
	assert.Equal(t, []string{"tap,id=cable,ifname=rigor0,script=no,downscript=no"}, after(args, "-netdev"))
}

// What cannot be had is said at the opening, with the remedy.
func TestOpenSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	program := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
		return path
	}
	good := program("good", "echo QEMU emulator version 7.2.22 '(Debian)'")
	for _, tt := range []struct {
		name string
		spec Spec
		want string
	}{
		{"no program", Spec{QEMU: filepath.Join(dir, "qemu-system-aarch64")}, "apt-get install qemu-system-arm"},
		{"too old", Spec{QEMU: program("old", "echo QEMU emulator version 5.2.0")}, "is QEMU 5.2, too old: at least 6.2 is needed"},
		{"no QEMU", Spec{QEMU: program("cat", "echo meow")}, "which is no QEMU's"},
		{"it fails", Spec{QEMU: program("bad", "exit 3")}, "--version: exit status 3"},
		{"an image is gone", Spec{QEMU: good, Disks: []Disk{{File: "gone.img", Format: "raw", Role: "system"}}}, "disk system: open " + dir + "/gone.img: no such file"},
		{"an image is empty", Spec{QEMU: good, Disks: []Disk{{File: "zero", Format: "raw", Role: "system"}}}, "is empty"},
		{"a bad spec", Spec{QEMU: good, MAC: "x"}, "mac is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if len(tt.spec.Disks) > 0 {
				t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
				program("qemu-img", "exit 0")
				require.NoError(t, os.WriteFile(filepath.Join(dir, "zero"), nil, 0o600))
			}
			_, err := Open(t.Context(), Config{Name: "dut", Spec: tt.spec, Dir: dir, Scratch: filepath.Join(dir, "scratch")})
			assert.ErrorContains(t, err, tt.want)
			assert.NoDirExists(t, filepath.Join(dir, "scratch"))
		})
	}
	t.Setenv("PATH", dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "qemu-img")))
	_, err := Open(t.Context(), Config{Name: "dut", Spec: Spec{QEMU: good, Disks: []Disk{{File: good, Format: "raw", Role: "a"}}}, Dir: dir, Scratch: filepath.Join(dir, "scratch")})
	assert.ErrorContains(t, err, "apt-get install qemu-utils")
}

// A machine's folder is ours alone.
func TestScratchDir(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir, err := ScratchDir("bench-a", "dut")
	require.NoError(t, err)
	again, err := ScratchDir("bench-a", "dut")
	require.NoError(t, err)
	assert.Equal(t, dir, again)
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	_, err = ScratchDir("bench-a", "dut")
	assert.ErrorContains(t, err, "not a folder of ours alone")
	t.Setenv("TMPDIR", filepath.Join(tmp, "a,b"))
	require.NoError(t, os.Mkdir(filepath.Join(tmp, "a,b"), 0o700))
	dir, err = ScratchDir("bench-a", "dut")
	require.NoError(t, err)
	assert.ErrorContains(t, makeScratch(dir), "comma")
}

// The instruments of one machine share it, and the last ends it.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "qemu")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\necho QEMU emulator version 8.0.0\n"), 0o700))
	conf := Config{Name: "dut", Spec: Spec{QEMU: fake}, Dir: dir, Scratch: filepath.Join(dir, "scratch")}
	s := NewSet()
	a, giveA, err := s.Get(t.Context(), conf)
	require.NoError(t, err)
	b, giveB, err := s.Get(t.Context(), conf)
	require.NoError(t, err)
	assert.Same(t, a, b)
	require.NoError(t, giveA())
	require.NoError(t, giveA())
	assert.DirExists(t, conf.Scratch)
	require.NoError(t, giveB())
	assert.NoDirExists(t, conf.Scratch)
	assert.ErrorIs(t, a.On(t.Context()), os.ErrClosed)

	require.NoError(t, os.Remove(fake))
	_, _, err = s.Get(t.Context(), conf)
	require.Error(t, err)
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\necho QEMU emulator version 8.0.0\n"), 0o700))
	c, give, err := s.Get(t.Context(), conf)
	require.NoError(t, err, "one that could not be had can be had later")
	assert.NotSame(t, a, c)
	require.NoError(t, give())
}

// The reason stands at the end of what QEMU says, behind the argument.
func TestLastWordsAreShort(t *testing.T) {
	var last tail
	_, _ = last.Write([]byte("qemu-system-aarch64: -drive if=none,file=/" + strings.Repeat("a", 400) + ": Could not open 'disk.img': No such file or directory\nand that is all\n"))
	said := last.said()
	assert.Contains(t, said, "qemu-system-aarch64: -drive if=none")
	assert.Contains(t, said, "Could not open 'disk.img': No such file or directory; and that is all")
	assert.Less(t, len(said), 250)
	assert.Equal(t, ", having said nothing", (&tail{}).said())
}
