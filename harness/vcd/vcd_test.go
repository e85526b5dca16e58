package vcd_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/vcd"
)

var began = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func after(d time.Duration) time.Time { return began.Add(d) }

// press is a supply that is switched on, and a button that is held for 1 ms.
func press(w *bytes.Buffer) error {
	d := vcd.New(w, began, []string{"power", "line.button"})
	d.Change(after(0), "power", vcd.Off)
	d.Change(after(time.Millisecond), "power", vcd.On)
	d.Change(after(time.Millisecond), "power", vcd.On)
	d.Change(after(2*time.Millisecond), "line.button", vcd.On)
	d.Change(after(1500*time.Microsecond), "line.nobody's", vcd.On)
	d.Change(after(3*time.Millisecond), "line.button", vcd.Released)
	d.Change(after(2900*time.Microsecond), "power", vcd.Off)
	return d.End(after(5 * time.Millisecond))
}

func TestDump(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, press(&b))
	assert.Equal(t, strings.Join([]string{
		"$date 2026-05-04T03:02:01Z $end", "$timescale 1 us $end", "$scope module rig $end",
		"$var wire 1 ! power $end", `$var wire 1 " line.button $end`, "$upscope $end", "$enddefinitions $end",
		"#0", "$dumpvars", "x!", `x"`, "$end", "0!",
		"#1000", "1!", "#2000", `1"`, "#3000", `z"`, "0!", "#5000", "",
	}, "\n"), b.String())
}

// More wires than there are characters have names of their own.
func TestNames(t *testing.T) {
	var b bytes.Buffer
	var wires []string
	for i := range 10000 {
		wires = append(wires, "w"+strings.Repeat("x", i%3)+string(rune('a'+i%26))+time.Duration(i).String())
	}
	vcd.New(&b, began, append(wires, "a name $end [0] \x1b"))
	ids := map[string]bool{}
	for line := range strings.Lines(b.String()) {
		if f := strings.Fields(line); f[0] == "$var" {
			require.Len(t, f, 6, line)
			assert.False(t, ids[f[3]], line)
			ids[f[3]] = true
		}
	}
	assert.Len(t, ids, 10001)
}

type full struct{ n int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestFirstErrorStays(t *testing.T) {
	d := vcd.New(&full{n: 1}, began, []string{"power"})
	d.Change(after(time.Second), "power", vcd.On)
	d.Change(after(2*time.Second), "power", vcd.Off)
	require.ErrorIs(t, d.End(after(3*time.Second)), errFull)
}

// TestPeerSigrok reads a dump with a program that nobody here wrote.
func TestPeerSigrok(t *testing.T) {
	if _, err := exec.LookPath("sigrok-cli"); err != nil {
		t.Skip("needs sigrok-cli: apt-get install sigrok-cli")
	}
	var b bytes.Buffer
	require.NoError(t, press(&b))
	file := filepath.Join(t.TempDir(), "lines.vcd")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	out, err := exec.CommandContext(t.Context(), "sigrok-cli", "-I", "vcd", "-i", file, "-O", "csv").CombinedOutput()
	require.NoError(t, err, "%s", out)
	var rows []string
	for line := range strings.Lines(string(out)) {
		if f := strings.TrimSpace(line); len(f) == 3 && f[1] == ',' {
			rows = append(rows, f)
		}
	}
	// A sample each microsecond: off, 1 ms on, 1 ms more with the button, and off.
	require.Len(t, rows, 5000, "%s", out[:min(len(out), 600)])
	assert.Equal(t, "0,0", rows[500])
	assert.Equal(t, "1,0", rows[1500])
	assert.Equal(t, "1,1", rows[2500])
	assert.Equal(t, "0,0", rows[4000])
}
