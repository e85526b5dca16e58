package qemu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What QEMU 7.2 said to these commands, word for word.
const (
	greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}, "capabilities": ["oob"]}}`
	resumed  = `{"timestamp": {"seconds": 1795663922, "microseconds": 198553}, "event": "RESUME"}`
	stopped  = `{"timestamp": {"seconds": 1795663922, "microseconds": 201725}, "event": "STOP"}`
	wasReset = `{"timestamp": {"seconds": 1795663922, "microseconds": 202442}, "event": "RESET", "data": {"guest": false, "reason": "host-qmp-system-reset"}}`
	listing  = `[{"name": "type", "type": "string"}, {"name": "device[34]", "type": "child<virtio-mmio>"}, {"name": "device[6]", "type": "child<pl061>"}, {"name": "device[9]", "type": "child<pl061>"}]`
	noSuch   = `{"class": "CommandNotFound", "desc": "The command bogus has not been found"}`
)

// fakeMonitor answers as QEMU does; answers holds what stands behind "return" or
// "error", and lines that come before.
func fakeMonitor(t *testing.T, answers map[string][]string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	go func() {
		say := func(line string) { _, _ = io.WriteString(theirs, line+"\r\n") }
		say(greeting)
		in := bufio.NewScanner(theirs)
		for in.Scan() {
			var c struct {
				Execute string `json:"execute"`
				ID      uint64 `json:"id"`
			}
			if json.Unmarshal(in.Bytes(), &c) != nil {
				return
			}
			lines, known := answers[c.Execute]
			if c.Execute == "qmp_capabilities" {
				lines, known = []string{"{}"}, true
			}
			switch {
			case !known:
				say(fmt.Sprintf(`{"id": %d, "error": %s}`, c.ID, noSuch))
			case len(lines) == 0: // it hangs
			default:
				for _, l := range lines[:len(lines)-1] {
					say(l)
				}
				say(fmt.Sprintf(`{"return": %s, "id": %d}`, lines[len(lines)-1], c.ID))
			}
		}
	}()
	return ours
}

func TestMonitor(t *testing.T) {
	events := make(chan event, 10)
	conn := fakeMonitor(t, map[string][]string{
		"cont":         {resumed, "{}"},
		"system_reset": {stopped, wasReset, "{}"},
		"query-status": {`{"status": "prelaunch", "singlestep": false, "running": false}`},
		"qom-list":     {listing},
	})
	m, err := openMonitor(t.Context(), conn, func(e event) { events <- e })
	require.NoError(t, err)
	_, err = m.execute(t.Context(), "cont", nil)
	require.NoError(t, err)
	assert.Equal(t, "RESUME", (<-events).Name)
	_, err = m.execute(t.Context(), "system_reset", nil)
	require.NoError(t, err)
	assert.Equal(t, "STOP", (<-events).Name)
	assert.JSONEq(t, `{"guest": false, "reason": "host-qmp-system-reset"}`, string((<-events).Data))
	s, err := m.status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "prelaunch", s)
	chip, err := m.findChip(t.Context(), "pl061")
	require.NoError(t, err)
	assert.Equal(t, "/machine/unattached/device[6]", chip, "the first of two")
	_, err = m.findChip(t.Context(), "imx.gpio")
	assert.ErrorContains(t, err, "the machine has no imx.gpio")
	_, err = m.execute(t.Context(), "bogus", nil)
	assert.EqualError(t, err, "bogus: CommandNotFound: The command bogus has not been found")
	require.NoError(t, conn.Close())
	_, err = m.execute(t.Context(), "cont", nil)
	require.Error(t, err)
}

func TestMonitorThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := fakeMonitor(t, map[string][]string{"query-status": {}})
		m, err := openMonitor(t.Context(), conn, func(event) {})
		require.NoError(t, err)
		start := time.Now()
		_, err = m.status(t.Context())
		assert.ErrorContains(t, err, "no answer of the monitor in 5s")
		assert.Equal(t, answerIn, time.Since(start))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = m.status(ctx)
		assert.ErrorIs(t, err, context.Canceled)
		require.NoError(t, conn.Close())
		<-m.over
	})
}

func TestMonitorOfForeignWords(t *testing.T) {
	for _, tt := range []struct{ name, says, want string }{
		{"nothing", "", "EOF"},
		{"no JSON", "SSH-2.0-dropbear\r\n", "invalid character"},
		{"JSON of another kind", "{}\n", "neither a greeting nor an answer nor an event"},
		{"two kinds", `{"event": "STOP", "return": {}}` + "\n", "neither a greeting"},
		{"half a line", `{"QMP": {`, "unexpected EOF"},
		{"a line without end", strings.Repeat("x", maxMessage+5000), "a line of over"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = io.WriteString(theirs, tt.says)
				_ = theirs.Close()
			}()
			_, err := openMonitor(t.Context(), ours, func(event) {})
			assert.ErrorIs(t, err, errMonitor)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// fakePins answers each command with the next of the lines.
func fakePins(t *testing.T, answers ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	go func() {
		in := bufio.NewScanner(theirs)
		for in.Scan() {
			if len(answers) == 0 {
				return // it hangs
			}
			_, _ = io.WriteString(theirs, answers[0])
			answers = answers[1:]
		}
	}()
	return ours
}

func TestPins(t *testing.T) {
	const chip = "/machine/unattached/device[6]"
	type change struct {
		line int
		high bool
	}
	changes := make(chan change, 10)
	conn := fakePins(t, "OK \n", "IRQ raise 7\nOK \n", "FAIL Unknown device\n", "OK\nIRQ lower 7\n")
	p := openPins(conn, func(n int, high bool) { changes <- change{n, high} })
	require.NoError(t, p.watch(t.Context(), chip))
	require.NoError(t, p.set(t.Context(), chip, 0, true))
	assert.Equal(t, change{7, true}, <-changes)
	err := p.set(t.Context(), "/machine/nix", 0, true)
	assert.EqualError(t, err, "set_irq_in /machine/nix unnamed-gpio-in 0 1: Unknown device")
	require.NoError(t, p.set(t.Context(), chip, 0, false))
	assert.Equal(t, change{7, false}, <-changes)
	require.NoError(t, conn.Close())
	require.Error(t, p.set(t.Context(), chip, 0, false))
}

// TestPeek: what was told before an answer is known when the answer is.
func TestPeek(t *testing.T) {
	var told []bool
	conn := fakePins(t, "IRQ raise 3\nIRQ lower 3\nOK 0x0000000000000018\n", "FAIL\n", "OK 0x100\n", "OK\n")
	p := openPins(conn, func(_ int, high bool) { told = append(told, high) })
	b, err := p.peek(t.Context(), 0x9030400)
	require.NoError(t, err)
	assert.EqualValues(t, 0x18, b)
	assert.Equal(t, []bool{true, false}, told)
	_, err = p.peek(t.Context(), 0x9030400)
	require.ErrorContains(t, err, "readb 0x9030400: ")
	for range 2 {
		_, err = p.peek(t.Context(), 0x9030400)
		require.ErrorContains(t, err, "no byte")
	}
}

func TestPinsThatDoNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openPins(fakePins(t), func(int, bool) {})
		err := p.set(t.Context(), "/machine/x", 1, true)
		assert.ErrorContains(t, err, "no answer in 5s")
		<-p.over
		assert.Error(t, p.set(t.Context(), "/machine/x", 1, true), "the order of answers is lost")
	})
	for _, says := range []string{"HELLO\n", "IRQ raise x\n", "IRQ push 3\n", "OK\nOK\n"} {
		ours, theirs := net.Pipe()
		p := openPins(ours, func(int, bool) {})
		_, _ = io.WriteString(theirs, says)
		<-p.over
		assert.ErrorContains(t, p.err, "that nobody")
		_ = theirs.Close()
	}
}

func TestFrames(t *testing.T) {
	var got [][]byte
	each := func(f []byte) { got = append(got, bytes.Clone(f)) }
	require.NoError(t, frames(strings.NewReader("\x00\x00\x00\x03abc\x00\x00\x00\x00\x00\x00\x00\x01d"), each))
	assert.Equal(t, [][]byte{[]byte("abc"), {}, []byte("d")}, got)
	assert.ErrorIs(t, frames(strings.NewReader("\x00\x00"), each), io.ErrUnexpectedEOF)
	assert.Error(t, frames(strings.NewReader("\x00\x00\x00\x03ab"), each))
	assert.ErrorContains(t, frames(strings.NewReader("\xff\xff\xff\xffx"), each), "a frame of 4294967295 bytes")
}

func FuzzMonitor(f *testing.F) {
	for _, l := range []string{greeting, resumed, wasReset, `{"return": {}, "id": 1}`, `{"id": 2, "error": ` + noSuch + `}`, "{}", `{"id": -1}`} {
		f.Add([]byte(l))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parseMessage(line)
		if err != nil {
			return
		}
		assert.True(t, m.Greeting != nil || m.Return != nil || m.Error != nil || m.Event != "")
	})
}

func FuzzPins(f *testing.F) {
	for _, l := range []string{"OK", "OK 0x1", "FAIL Unknown command 'x'", "IRQ raise 7", "IRQ lower 0", "IRQ raise -1", "IRQ raise 99999999999999999999", ""} {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseSaid(line)
		if err == nil && !s.answer {
			assert.True(t, s.line >= 0 && s.line <= maxLine)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03abc"))
	f.Add([]byte("\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := frames(bytes.NewReader(b), func(frame []byte) { n += 4 + len(frame) })
		assert.LessOrEqual(t, n, len(b))
		if err == nil {
			assert.Equal(t, len(b), n)
		}
	})
}
