package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNothingIsLostBetweenSendAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		port.onLine(func(line string) { port.say(line + "\r\nok\r\n") })
		at, err := c.SendLine(t.Context(), "status")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		m, err := c.Expect(within(t, time.Second), at, expect.MustText("ok"))
		require.NoError(t, err)
		assert.Equal(t, Cursor(8), m.From)
		assert.Equal(t, Cursor(10), m.To)
		m, err = c.Expect(within(t, time.Second), 0, expect.MustRegexp(`(?m)^(?P<word>\w+)$`))
		require.NoError(t, err)
		assert.Equal(t, "status", string(m.Group("word")))
		text, err := c.Since(at)
		require.NoError(t, err)
		assert.Equal(t, "status\r\nok\r\n", string(text))
	})
}

// TestQuietIsThatOfTheBytes shows that a prompt is the same whether the wait
// began before it or an hour later.
func TestQuietIsThatOfTheBytes(t *testing.T) {
	login := expect.MustText("login: ").Prompt(200 * time.Millisecond)
	script := func(port *fakePort) {
		for _, s := range []string{"Last login: ", "Mon\r\nvg login: ", "[ 1.0] usb\r\nvg log", "in: "} {
			port.say(s)
			time.Sleep(150 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		port.say("\r\n[ 2.0] usb 1-2: new device\r\n")
	}
	for name, late := range map[string]time.Duration{"before": 0, "in between": 320 * time.Millisecond, "after": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, port := open(t, Options{})
				go script(port)
				time.Sleep(late)
				m, err := c.Expect(within(t, 10*time.Second), 0, login)
				require.NoError(t, err)
				assert.Equal(t, Cursor(42), m.From)
				time.Sleep(time.Second)
			})
		})
	}
}

func TestPromptWaitsForQuietExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		began := time.Now()
		go func() {
			time.Sleep(time.Second)
			port.say("=> ")
		}()
		_, err := c.Expect(within(t, 10*time.Second), 0, expect.MustText("=> ").Prompt(200*time.Millisecond))
		require.NoError(t, err)
		assert.Equal(t, 1200*time.Millisecond, time.Since(began))
		// What can still change is settled by the default quiet.
		port.say("42")
		began = time.Now()
		m, err := c.Expect(within(t, 10*time.Second), 3, expect.MustRegexp(`\d+`))
		require.NoError(t, err)
		assert.Equal(t, "42", string(m.Text))
		assert.Equal(t, DefaultSettle, time.Since(began))
	})
}

func TestTimeoutSaysWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		_, err := c.Expect(within(t, time.Second), 0, expect.MustText("=> ").Named("the boot prompt"), expect.MustText("panic").Forbidden())
		require.ErrorIs(t, err, ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualError(t, err, `console.main: waited 1s for the boot prompt ("=> "): nothing came`)
		port.say("\x1b[31mU-Boot\xff\r\n")
		_, err = c.Expect(within(t, time.Second), 0, expect.MustText("=> "))
		assert.EqualError(t, err, `console.main: waited 1s for "=> ": 14 bytes came, the last "\x1b[31mU-Boot\xff\r\n"`)
		var te *TimeoutError
		require.ErrorAs(t, err, &te)
		assert.Equal(t, int64(14), te.Seen)

		ctx, cancel := context.WithCancelCause(t.Context())
		revoked := errors.New("the session was taken back")
		cancel(revoked)
		_, err = c.Expect(ctx, 0, expect.MustText("=> "))
		require.ErrorIs(t, err, revoked)
		require.NotErrorIs(t, err, ErrTimeout)
		_, err = c.Send(ctx, []byte("x"))
		require.ErrorIs(t, err, revoked)
		assert.Empty(t, port.written())
		_, err = c.Quiet(ctx, time.Second)
		require.ErrorIs(t, err, revoked)
	})
}

func TestForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		port.say("boot\r\n=> ready")
		m, err := c.Expect(within(t, time.Second), 0, expect.MustText("ready"), expect.MustText("=> ").Named("boot prompt").Forbidden())
		var fe *ForbiddenError
		require.ErrorAs(t, err, &fe)
		assert.Equal(t, 1, m.Index)
		assert.Equal(t, Cursor(6), fe.Match.From)
		assert.EqualError(t, err, `console.main: forbidden boot prompt ("=> ") at byte 6: "=> "`)
	})
}

func TestBrokenPortEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		errs := make(chan error, 9)
		for range 8 {
			go func() {
				_, err := c.Expect(within(t, time.Hour), 0, expect.MustText("=> "))
				errs <- err
			}()
		}
		go func() {
			_, err := c.Quiet(within(t, time.Hour), time.Hour)
			errs <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Err())
		port.fault <- &wire.Fault{Part: "console.main", Op: "read /dev/ttyUSB0", Err: errUnplugged}
		for range 9 {
			err := <-errs
			require.ErrorIs(t, err, errUnplugged)
			_, ok := wire.AsFault(err)
			require.True(t, ok)
		}
		<-c.Done()
		require.ErrorIs(t, c.Err(), errUnplugged)
		_, err := c.Send(within(t, time.Hour), []byte("x"))
		require.ErrorIs(t, err, errUnplugged)
		_, err = c.Expect(within(t, time.Hour), 0, expect.MustText("=> "))
		require.ErrorIs(t, err, errUnplugged)
	})
}

func TestEndOfThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newFakePort()
		ctx, cancel := context.WithCancel(t.Context())
		c := Open(ctx, port, Options{Part: "console.aux"})
		port.say("rebooting in 3")
		synctest.Wait()
		cancel()
		<-c.Done()
		require.ErrorIs(t, c.Err(), ErrClosed)
		m, err := c.Expect(t.Context(), 0, expect.MustRegexp(`\d+`))
		require.NoError(t, err, "the end of the port ends the text")
		assert.Equal(t, "3", string(m.Text))
		_, err = c.Expect(t.Context(), 0, expect.MustText("login"))
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())

		// A port that ends by itself is a fault.
		port = newFakePort()
		c = Open(t.Context(), port, Options{Part: "console.aux"})
		port.fault <- io.EOF
		<-c.Done()
		f, ok := wire.AsFault(c.Err())
		require.True(t, ok)
		assert.Equal(t, wire.Part("console.aux"), f.Part)
		require.NoError(t, c.Close())
	})
}

// floodPort has always more to read.
type floodPort struct{ *fakePort }

func (f floodPort) Read(p []byte) (int, error) {
	select {
	case <-f.closed:
		return 0, io.EOF
	default:
		return copy(p, strings.Repeat("flood ", 1000)), nil
	}
}

func TestFloodDoesNotOutrunTheDeadline(t *testing.T) {
	c := Open(t.Context(), floodPort{newFakePort()}, Options{Part: "console.main", Window: 1})
	began := time.Now()
	_, err := c.Expect(within(t, 50*time.Millisecond), c.Mark(), expect.MustText("login: "))
	require.Error(t, err)
	if !errors.Is(err, ErrForgotten) { // the flood can outrun the reader, too
		require.ErrorIs(t, err, ErrTimeout)
	}
	assert.Less(t, time.Since(began), 5*time.Second)
	require.NoError(t, c.Close())
}

// deafPort goes on reading when it is closed.
type deafPort struct {
	*fakePort
	end chan struct{}
}

func (d deafPort) Read([]byte) (int, error) {
	<-d.end
	return 0, io.EOF
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := deafPort{newFakePort(), make(chan struct{})}
		c := Open(t.Context(), port, Options{Part: "console.main"})
		err := c.Close()
		_, ok := wire.AsFault(err)
		require.True(t, ok)
		assert.ErrorContains(t, err, "does not end within 5s")
		_, err = c.Expect(t.Context(), 0, expect.MustText("x"))
		require.Error(t, err, "who waits is told")
		close(port.end)
		<-c.Done()
	})
}

func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		began := time.Now()
		go func() {
			for range 5 {
				port.say(".")
				time.Sleep(300 * time.Millisecond)
			}
		}()
		at, err := c.Quiet(within(t, time.Minute), 500*time.Millisecond)
		require.NoError(t, err)
		assert.Equal(t, Cursor(5), at)
		assert.Equal(t, 1700*time.Millisecond, time.Since(began))
		_, err = c.Quiet(within(t, time.Second), 2*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent bytes.Buffer
		c, port := open(t, Options{Newline: CRLF, Pace: 10 * time.Millisecond, Sent: &sent})
		began := time.Now()
		_, err := c.SendLine(t.Context(), "abc")
		require.NoError(t, err)
		assert.Equal(t, "abc\r\n", port.written())
		assert.Equal(t, 40*time.Millisecond, time.Since(began))
		_, err = c.SendLine(t.Context(), "x", Enter(LF), Pace(0), Secret())
		require.NoError(t, err)
		assert.Equal(t, "abc\r\nx\n", port.written())
		assert.Equal(t, port.written(), sent.String())

		_, err = c.Send(within(t, 25*time.Millisecond), []byte("12345"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "sent 3 of 5 bytes")

		require.NoError(t, c.Break(t.Context(), time.Millisecond))
		require.NoError(t, c.SetRate(t.Context(), 9600))
		require.ErrorIs(t, c.SetRate(t.Context(), 1), wire.ErrUnsupported)
		assert.Equal(t, []time.Duration{time.Millisecond}, port.breaks)
		assert.Equal(t, []int{9600}, port.rates)
		require.ErrorIs(t, c.SetFrame(t.Context(), "8E1"), wire.ErrUnsupported, "this port has no frames to set")

		port.broken = &wire.Fault{Part: "console.main", Op: "write", Err: errUnplugged}
		_, err = c.Send(t.Context(), []byte("x"))
		_, ok := wire.AsFault(err)
		assert.True(t, ok)
	})
}

func TestSendersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{Pace: time.Millisecond})
		done := make(chan error, 3)
		for _, s := range []string{"aaaa", "bbbb", "cccc"} {
			go func() {
				_, err := c.Send(t.Context(), []byte(s))
				done <- err
			}()
		}
		for range 3 {
			require.NoError(t, <-done)
		}
		for _, s := range []string{"aaaa", "bbbb", "cccc"} {
			assert.Contains(t, port.written(), s)
		}
	})
}

func TestEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		port.onWrite = func(p []byte) {
			go func() {
				time.Sleep(30 * time.Millisecond)
				port.say(string(p))
			}()
		}
		_, err := c.SendLine(t.Context(), "ls", Echo(time.Second))
		require.NoError(t, err)
		port.mu.Lock()
		assert.Equal(t, 30*time.Millisecond, port.at[1].Sub(port.at[0]))
		port.onWrite = nil
		port.mu.Unlock()
		_, err = c.SendLine(t.Context(), "ls", Echo(time.Second))
		require.ErrorIs(t, err, ErrTimeout)
		assert.ErrorContains(t, err, "the echo")
		time.Sleep(time.Second)
	})
}

func TestWindowAndSpill(t *testing.T) {
	raw, err := os.Create(filepath.Join(t.TempDir(), "raw"))
	require.NoError(t, err)
	defer func() { require.NoError(t, raw.Close()) }()
	for name, w := range map[string]io.Writer{"with the recording": raw, "without": &bytes.Buffer{}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, port := open(t, Options{Window: 1, Raw: w})
				port.say("first words\n")
				line := strings.Repeat("x", 1023) + "\n"
				for range 1024 {
					port.say(line)
				}
				port.say("last words\n")
				synctest.Wait()
				assert.Equal(t, Cursor(12+1<<20+11), c.Mark())
				assert.Less(t, len(c.text.blocks), 6)
				tail, err := c.Excerpt(c.Mark()-11, c.Mark()+100)
				require.NoError(t, err)
				assert.Equal(t, "last words\n", string(tail))
				m, err := c.Expect(within(t, time.Second), 5, expect.MustText("words\nx"))
				if w == raw {
					require.NoError(t, err)
					assert.Equal(t, Cursor(6), m.From)
					whole, err := c.Since(0)
					require.NoError(t, err)
					assert.Equal(t, "first words\n"+strings.Repeat(line, 1024)+"last words\n", string(whole))
					return
				}
				require.ErrorIs(t, err, ErrForgotten)
			})
		})
	}
}

func TestStampsAreBounded(t *testing.T) {
	tr := newTranscript(1, nil)
	at := time.Now()
	for range 3 * blockSize {
		tr.mark(at, time.Time{})
		at = at.Add(10 * time.Millisecond)
		tr.add([]byte{'x'}, time.Time{})
	}
	assert.LessOrEqual(t, len(tr.stamps), maxStamps+2)
	assert.True(t, tr.when(0).IsZero(), "forgotten")
	assert.False(t, tr.when(tr.end-1).IsZero())
}

func TestCast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cast, raw bytes.Buffer
		port := newFakePort()
		c := Open(t.Context(), port, Options{Part: "console.main", Cast: &cast, Raw: &raw, Title: "console main"})
		for _, s := range []string{"U-Bo", "ot\r\n", "vg log", "in: "} {
			port.say(s)
			time.Sleep(100 * time.Millisecond)
		}
		_, err := c.SendLine(t.Context(), "root")
		require.NoError(t, err)
		for _, s := range []string{"ro", "ot\r\nPassword: "} {
			port.say(s)
			time.Sleep(100 * time.Millisecond)
		}
		_, err = c.SendLine(t.Context(), "s3cret", Secret())
		require.NoError(t, err)
		c.Marker("step 2")
		port.say("caf\xc3")
		time.Sleep(time.Second)
		port.say("\xa9 \xff\x1b[0m\x00")
		synctest.Wait()
		require.NoError(t, c.Close())
		assert.Equal(t, "U-Boot\r\nvg login: root\r\nPassword: caf\xc3\xa9 \xff\x1b[0m\x00", raw.String())

		lines := strings.Split(strings.TrimSuffix(cast.String(), "\n"), "\n")
		var head map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &head))
		assert.InDelta(t, 2, head["version"], 0)
		assert.Equal(t, "console main", head["title"])
		got := make([]string, 0, len(lines))
		last := 0.0
		for _, line := range lines[1:] {
			var e []any
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			require.Len(t, e, 3)
			require.GreaterOrEqual(t, e[0].(float64), last)
			last = e[0].(float64)
			got = append(got, e[1].(string)+" "+e[2].(string))
		}
		assert.Equal(t, []string{
			"o U-Boot\r\n", "o vg login: ", "i root\r", "o root\r\n", "o Password: ", "i [secret]", "m step 2", "o caf", "o é \uFFFD\x1b[0m\x00",
		}, got)
	})
}

// fullDisk takes some bytes and then no more.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(p), nil
}

func TestRecordingThatFailsDoesNotStopTheConsole(t *testing.T) {
	for name, opts := range map[string]Options{"raw": {Raw: &fullDisk{left: 3}}, "cast": {Cast: &fullDisk{left: 150}}, "sent": {Sent: &fullDisk{}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				port := newFakePort()
				c := Open(t.Context(), port, opts)
				require.NoError(t, c.RecordErr())
				at, err := c.Send(t.Context(), []byte("x"))
				require.NoError(t, err)
				for range 10 {
					port.say("line of output\n")
				}
				port.say("=> ")
				_, err = c.Expect(within(t, time.Second), at, expect.MustText("=> "))
				require.NoError(t, err)
				require.ErrorContains(t, c.RecordErr(), "no space left")
				require.ErrorContains(t, c.Close(), "no space left")
			})
		})
	}
}

// TestConsoleSplits feeds a real console byte by byte and in other pieces.
func TestConsoleSplits(t *testing.T) {
	text := "\x1b[1mLast login: Mon\r\ncaf\xc3\xa9 vg-1 login: \x1b[?2004h"
	patterns := []expect.Pattern{expect.MustRegexp(`(?m)é ([\w-]+) login: $`), expect.MustText("panic").Forbidden()}
	for cut := range len(text) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			go func() {
				port.say(text[:cut])
				time.Sleep(50 * time.Millisecond)
				port.say(text[cut:])
			}()
			m, err := c.Expect(within(t, time.Second), 0, patterns...)
			require.NoError(t, err)
			assert.Equal(t, "vg-1", string(m.Groups[0]))
			assert.Equal(t, "é vg-1 login: ", string(m.Text))
			assert.Equal(t, "caf\xc3\xa9 vg-1 login: ", text[m.From-3:m.To])
			time.Sleep(time.Second)
		})
	}
}

func TestNewlines(t *testing.T) {
	for in, want := range map[string]Newline{"": CR, "cr": CR, "lf": LF, "crlf": CRLF} {
		n, err := ParseNewline(in)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	_, err := ParseNewline("LFCR")
	assert.EqualError(t, err, `newline "LFCR": want cr, lf or crlf`)
}

func BenchmarkExpect(b *testing.B) {
	line := []byte("[    1.234567] usb 1-1: new high-speed device number 2 using xhci_hcd\r\n")
	for _, size := range []int{1 << 20, 8 << 20} {
		port := newFakePort()
		c := Open(b.Context(), port, Options{})
		var log bytes.Buffer
		for log.Len() < size {
			log.Write(line)
		}
		log.WriteString("vg login: ")
		w := bufio.NewWriterSize(sayer{port}, 4096)
		_, _ = w.Write(log.Bytes())
		_ = w.Flush()
		for c.Mark() < Cursor(log.Len()) {
			_, _ = c.Quiet(b.Context(), time.Millisecond)
		}
		name := map[int]string{1 << 20: "1MiB", 8 << 20: "8MiB"}[size]
		login := expect.MustRegexp(`(?m)^[\w-]+ login: `)
		b.Run("whole/"+name, func(b *testing.B) {
			b.SetBytes(int64(log.Len()))
			for b.Loop() {
				if _, err := c.Expect(b.Context(), 0, login); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("tail-after/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Expect(b.Context(), Cursor(log.Len()-200), login); err != nil {
					b.Fatal(err)
				}
			}
		})
		_ = c.Close()
	}
}

type sayer struct{ p *fakePort }

func (s sayer) Write(p []byte) (int, error) {
	s.p.in <- append([]byte(nil), p...)
	return len(p), nil
}

// TestPhases: the rate follows the start of the DUT, by time and by what it says,
// and a further start begins anew.
func TestPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready, err := expect.Text("go 9600")
		require.NoError(t, err)
		c, port := open(t, Options{Rate: 115200, Phases: []Phase{{Baud: 74880, For: 150 * time.Millisecond}, {Baud: 19200, Until: &ready}}})
		rates := func() []int {
			synctest.Wait()
			port.mu.Lock()
			defer port.mu.Unlock()
			return append([]int(nil), port.rates...)
		}
		port.say("go 9600") // of an earlier start
		synctest.Wait()
		require.NoError(t, c.Starts(t.Context()))
		assert.Equal(t, []int{74880}, rates())
		time.Sleep(151 * time.Millisecond)
		assert.Equal(t, []int{74880, 19200}, rates())
		port.say("go 96")
		time.Sleep(time.Minute)
		assert.Equal(t, []int{74880, 19200}, rates(), "what has not come whole ends nothing")
		port.say("00\r\n")
		time.Sleep(DefaultSettle)
		assert.Equal(t, []int{74880, 19200, 115200}, rates())

		// A power cut in mid-start, and one start after another.
		require.NoError(t, c.Starts(t.Context()))
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, c.Starts(t.Context()))
		time.Sleep(100 * time.Millisecond)
		assert.Equal(t, []int{74880, 19200, 115200, 74880, 74880}, rates(), "the first start's time has run out and says nothing any more")
		time.Sleep(51 * time.Millisecond)
		assert.Equal(t, []int{74880, 19200, 115200, 74880, 74880, 19200}, rates())
	})
}

// A port whose rate cannot be set says so at the first start.
func TestPhasesNeedAPortThatTakesThem(t *testing.T) {
	c, _ := open(t, Options{Rate: 115200, Phases: []Phase{{Baud: 1, For: time.Second}}})
	require.ErrorIs(t, c.Starts(t.Context()), wire.ErrUnsupported)
	c, port := open(t, Options{})
	require.NoError(t, c.Starts(t.Context()))
	assert.Empty(t, port.rates)
}

// TestEchoWhereThereIsOne: each byte waits for its echo, and no longer than it may
// where there is none, as for a password.
func TestEchoWhereThereIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{Echo: 50 * time.Millisecond})
		hidden := false
		port.onWrite = func(p []byte) {
			if hidden {
				return
			}
			go func() {
				time.Sleep(10 * time.Millisecond)
				port.say(string(p))
			}()
		}
		began := time.Now()
		_, err := c.SendLine(t.Context(), "abcd")
		require.NoError(t, err)
		assert.Equal(t, 40*time.Millisecond, time.Since(began))
		hidden = true
		began = time.Now()
		_, err = c.SendLine(t.Context(), "pass", Secret())
		require.NoError(t, err)
		assert.Equal(t, 200*time.Millisecond, time.Since(began))
		assert.Equal(t, "abcd\rpass\r", port.written())
	})
}
