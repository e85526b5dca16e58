package main

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// byHand gives the bench's rig file a person for the supply and for the line that
// makes boots fail.
func (b *bench) byHand(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	out := regexp.MustCompile(`(?m)^power: \{driver: exec, exec: \[[^]]*\],`).ReplaceAllString(string(text), `power: {driver: ask, ask: "channel 2",`)
	out = regexp.MustCompile(`(?m)^  flash:  \{driver: exec, exec: \[[^]]*\]\}`).ReplaceAllString(out, `  flash:  {driver: ask, ask: "tweezers on the flash"}`)
	require.NotEqual(t, string(text), out)
	require.NoError(t, os.WriteFile(b.rig, []byte(out), 0o600))
}

func verdictOf(t *testing.T, dir, id string) verdict.Verdict {
	t.Helper()
	res, err := runner.Load(dir)
	require.NoError(t, err)
	c := res.Case(id)
	require.NotNil(t, c, id)
	return c.Judgement.Verdict
}

// TestByHand: a person at the terminal is the supply and a line, and does what they
// are asked to; the verdicts are those of a bench with wires.
func TestByHand(t *testing.T) {
	if testing.Short() {
		t.Skip("whole runs; left out by -short")
	}
	t.Parallel()
	b := newBench(t)
	b.byHand(t)
	dir := b.folder()
	cmd := b.command("run", "--rig", b.rig, "--out", dir, "con-boot-fail-prompt[main]")
	tty, err := pty.Start(cmd)
	require.NoError(t, err)
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	asked := map[string]int{}
	var said strings.Builder
	in := bufio.NewReader(tty)
	for line := ""; ; {
		c, err := in.ReadByte() // ends with EIO where the last holder of the other end went
		if err != nil {
			break
		}
		said.WriteByte(c)
		line += string(c)
		if c == '\n' {
			line = ""
		}
		if c != ':' || !strings.HasSuffix(line, "press Enter (or write no):") {
			continue
		}
		var req virtual.Request
		for text, r := range map[string]virtual.Request{
			"Switch the supply of the DUT (channel 2) on":     {Op: "power", Value: "on"},
			"Switch the supply of the DUT (channel 2) off":    {Op: "power", Value: "off"},
			"Assert line flash (tweezers on the flash) and":   {Op: "line", Line: "flash", Value: "assert"},
			"Let go of line flash (tweezers on the flash), t": {Op: "line", Line: "flash", Value: "release"},
		} {
			if strings.Contains(line, text) {
				req = r
				asked[req.Op+" "+req.Value]++
			}
		}
		require.NotEmpty(t, req.Op, "an unknown question: %q", line)
		_, err = b.ask(t.Context(), req)
		require.NoError(t, err)
		_, err = tty.WriteString("\n")
		require.NoError(t, err)
		line = ""
	}
	require.NoError(t, cmd.Wait(), said.String())
	require.NoError(t, tty.Close())
	assert.Equal(t, verdict.Pass, verdictOf(t, dir, "con-boot-fail-prompt[main]"))
	assert.GreaterOrEqual(t, asked["power on"], 3)
	assert.Positive(t, asked["line assert"])
	assert.Equal(t, asked["line assert"], asked["line release"])
	assert.Empty(t, b.unsafe(t))

	// What was done to the lines is in the evidence.
	dump, err := os.ReadFile(filepath.Join(dir, "evidence", "lines.vcd"))
	require.NoError(t, err)
	ids := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\$var wire 1 (\S+) (\S+) \$end$`).FindAllStringSubmatch(string(dump), -1) {
		ids[m[2]] = m[1]
	}
	assert.Equal(t, asked["power on"], strings.Count(string(dump), "\n1"+ids["power"]+"\n"), "%s", dump)
	assert.Equal(t, asked["line assert"], strings.Count(string(dump), "\n1"+ids["line.flash"]+"\n"), "%s", dump)
}

// TestNobodyAtTheTerminal: where nobody can be asked, what needs them is
// inconclusive, and says so.
func TestNobodyAtTheTerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.byHand(t)
	dir := b.folder()
	res := output(t, b.command("run", "--rig", b.rig, "--out", dir, "con-boot-fail-prompt[main]"))
	assert.Equal(t, verdict.ExitInconclusive, res.code, res)
	assert.Contains(t, res.stdout, "a person is the power switch, and this run has no terminal to ask at")
	assert.Equal(t, verdict.Inconclusive, verdictOf(t, dir, "con-boot-fail-prompt[main]"))
}
