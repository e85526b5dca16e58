package xmodem

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/update/stream"
)

func sending(data []byte, o Options) func(context.Context, stream.Stream) (Report, error) {
	return func(ctx context.Context, s stream.Stream) (Report, error) { return Send(ctx, s, data, o) }
}

// TestWell: what a receiver takes is what was sent.
func TestWell(t *testing.T) {
	cases := []struct {
		name   string
		size   int
		wish   string
		long   bool
		blocks int // of what sizes is checked by what arrives
		report Report
	}{
		{"checksum", 300, "\x15", false, 3, Report{Asked: true, Files: 1, Acked: 300, Padding: 84}},
		{"checksum has no long blocks", 1024, "\x15", true, 8, Report{Asked: true, Files: 1, Acked: 1024}},
		{"crc", 128, "C", false, 1, Report{Asked: true, CRC: true, Files: 1, Acked: 128}},
		{"empty", 0, "C", false, 0, Report{Asked: true, CRC: true, Files: 1}},
		{"1k", 2 * 1024, "C", true, 2, Report{Asked: true, CRC: true, Files: 1, Acked: 2048}},
		{"1k and a rest", 1024 + 130, "C", true, 3, Report{Asked: true, CRC: true, Files: 1, Acked: 1154, Padding: 126}},
		{"1k and nearly 1k", 1024 + 897, "C", true, 2, Report{Asked: true, CRC: true, Files: 1, Acked: 1921, Padding: 127}},
		{"numbers begin again", 128 * 300, "C", false, 300, Report{Asked: true, CRC: true, Files: 1, Acked: 38400}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := some(c.size)
			var got string
			var steps []int
			o := Options{Long: c.long, Progress: func(acked, total int) {
				assert.Equal(t, c.size, total)
				steps = append(steps, acked)
			}}
			r, err := play(t, sending(data, o), func(f *far) {
				f.say("## Ready for binary download, Check the Cable\r\n")
				f.wait(time.Second)
				f.say(c.wish)
				got = f.take(c.wish == "C")
				f.say("\x15") // the cautious ask for the end twice
				assert.Equal(f, "\x04", f.got())
				f.say("\x06")
			})
			require.NoError(t, err)
			assert.Equal(t, string(data), got[:c.size])
			assert.Equal(t, strings.Repeat("\x1a", c.report.Padding), got[c.size:])
			assert.Equal(t, c.report, r)
			assert.Len(t, steps, c.blocks)
			if c.blocks > 0 {
				assert.Equal(t, c.size, steps[c.blocks-1])
			}
		})
	}
}

// TestFaults: faults of the line are made good, and counted.
func TestFaults(t *testing.T) {
	cases := []struct {
		name    string
		script  func(f *far) // from the first block on
		repeats int
		strays  int
	}{
		{"a block comes broken", func(f *far) {
			f.block(true)
			f.say("\x15")
			n, _ := f.block(true)
			assert.Equal(f, 1, n)
			f.say("\x06")
		}, 1, 0},
		{"an answer is garbled, the receiver asks again", func(f *far) {
			f.block(true)
			f.say("\x86")
			f.wait(10 * time.Second)
			f.say("\x15")
			f.block(true)
			f.say("\x06")
		}, 1, 1},
		{"an answer comes late", func(f *far) {
			f.block(true)
			f.wait(50 * time.Second)
			assert.Empty(f, f.l.out, "a late answer is waited for")
			f.say("\x06")
		}, 0, 0},
		{"an answer comes twice", func(f *far) {
			f.block(true)
			f.say("\x06\x06")
		}, 0, 1},
		{"the receiver's time-out crosses the block", func(f *far) {
			f.block(true)
			f.say("C")
			f.wait(500 * time.Millisecond)
			f.say("\x06")
		}, 0, 0},
		{"two answers to a block that went out twice", func(f *far) {
			f.block(true)
			f.say("\x15")
			f.block(true)
			f.say("\x06")
			f.wait(300 * time.Millisecond)
			f.say("\x06")
		}, 1, 1},
		{"an answer is taken back", func(f *far) {
			f.block(true)
			f.say("\x15")
			f.block(true)
			f.say("\x06")
			f.wait(300 * time.Millisecond)
			f.say("\x15")
			n, _ := f.block(true)
			assert.Equal(f, 1, n)
			f.say("\x06")
		}, 2, 0},
		{"a single CAN", func(f *far) {
			f.block(true)
			f.say("\x18")
			f.wait(2 * time.Second)
			f.say("\x06")
		}, 0, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := some(256)
			r, err := play(t, sending(data, Options{}), func(f *far) {
				f.say("C")
				c.script(f)
				assert.Equal(f, string(data[128:]), f.take(true))
				f.say("\x06")
			})
			require.NoError(t, err)
			assert.Equal(t, Report{Asked: true, CRC: true, Files: 1, Acked: 256, Repeats: c.repeats, Strays: c.strays}, r)
		})
	}
}

// TestEnds: each way in which a transfer ends has its own error, and a line with
// faults never makes a refusal.
func TestEnds(t *testing.T) {
	cases := []struct {
		name   string
		script func(f *far)
		kind   error
		phase  Phase
		block  int
		silent bool // nothing is sent behind the error: the receiver has cancelled
	}{
		{"nobody is there", func(*far) {}, stream.ErrNoAnswer, Start, 0, false},
		{"a shell is there", func(f *far) { f.say("rx: Command not found\r\n# ") }, stream.ErrNoAnswer, Start, 0, false},
		{"cancelled at once", func(f *far) { f.say("no room\r\n\x18\x18\x18") }, stream.ErrRefused, Start, 0, true},
		{"refused by its first block", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x18\x18\b\b")
		}, stream.ErrRefused, Data, 1, true},
		{"refused behind an answer", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x06\x18\x18")
		}, stream.ErrRefused, Data, 2, true},
		{"refused at its end", func(f *far) {
			f.say("C")
			f.take(true)
			f.say("\x18\x18")
		}, stream.ErrRefused, End, 2, true},
		{"cancelled behind a repeat", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x15")
			f.block(true)
			f.say("\x18\x18")
		}, stream.ErrBroken, Data, 1, true},
		{"cancelled together with a wish to repeat", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x06")
			f.block(true)
			f.say("?\x18\x18")
		}, stream.ErrBroken, Data, 2, true},
		{"falls silent", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x06")
			f.block(true)
		}, stream.ErrNoAnswer, Data, 2, false},
		{"restarts", func(f *far) {
			f.say("C")
			f.block(true)
			f.say("\x06")
			f.block(true)
			f.say("\r\nROM 1.0\r\n")
		}, stream.ErrBroken, Data, 2, false},
		{"never content", func(f *far) {
			f.say("C")
			for range 11 {
				f.block(true)
				f.say("\x15")
			}
		}, stream.ErrBroken, Data, 1, false},
		{"the end is not taken", func(f *far) {
			f.say("C")
			f.take(true)
			f.say("\x15")
			for range 10 {
				assert.Equal(f, "\x04", f.got())
				f.say("\x15")
			}
		}, stream.ErrBroken, End, 2, false},
		{"the end is not answered", func(f *far) {
			f.say("C")
			f.take(true)
		}, stream.ErrNoAnswer, End, 2, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var behind string
			r, err := play(t, sending(some(256), Options{}), func(f *far) {
				c.script(f)
				f.wait(3 * time.Minute)
				if len(f.l.out) > 0 {
					behind = f.got()
				}
				assert.Empty(f, f.l.out)
			})
			e := wantError(t, err, c.kind, c.phase, c.block)
			assert.Equal(t, c.phase != Start, r.Asked)
			if c.silent {
				assert.Empty(t, behind)
			} else {
				assert.Equal(t, bye, behind, "the receiver is told")
			}
			if c.name == "a shell is there" {
				assert.Contains(t, string(e.Last), "Command not found")
				assert.Contains(t, e.Error(), `Command not found\r\n`)
			}
		})
	}
}

// TestLastAnswerIsTheEnds: where an answer came too much, the last block's is
// not taken for the end's.
func TestLastAnswerIsTheEnds(t *testing.T) {
	data := some(256)
	r, err := play(t, sending(data, Options{}), func(f *far) {
		f.say("C")
		f.block(true)
		f.say("\x06")
		f.wait(10 * time.Millisecond)
		f.say("\x06") // doubled on the line: it looks like the second block's
		f.block(true)
		f.wait(50 * time.Millisecond)
		f.say("\x15") // the second block has come broken
		n, body := f.block(true)
		assert.Equal(f, 2, n)
		assert.Equal(f, string(data[128:]), body)
		f.say("\x06")
		assert.Equal(f, "\x04", f.got())
		f.say("\x06")
	})
	require.NoError(t, err)
	assert.Equal(t, 1, r.Files)
	assert.False(t, r.Clean())
}

func TestBatch(t *testing.T) {
	files := []File{{"fw.bin", some(1500)}, {strings.Repeat("long", 60), nil}}
	r, err := play(t, func(ctx context.Context, s stream.Stream) (Report, error) {
		return SendBatch(ctx, s, files, Options{Long: true})
	}, func(f *far) {
		f.say("C")
		n, head := f.block(true)
		assert.Equal(f, 0, n)
		assert.Equal(f, "fw.bin\x001500", strings.TrimRight(head, "\x00"))
		f.say("\x06C")
		assert.Equal(f, string(files[0].Data), f.take(true)[:1500])
		f.say("\x15")
		assert.Equal(f, "\x04", f.got())
		f.say("\x06\x06C") // as U-Boot does
		_, head = f.block(true)
		assert.Len(f, head, 1024)
		assert.Equal(f, files[1].Name+"\x000", strings.TrimRight(head, "\x00"))
		f.say("\x06")
		f.wait(3 * time.Second)
		f.say("C")
		assert.Empty(f, f.take(true))
		f.say("\x06")
		f.say("C")
		_, head = f.block(true)
		assert.Equal(f, strings.Repeat("\x00", 128), head)
		f.say("\x06")
	})
	require.NoError(t, err)
	assert.Equal(t, Report{Asked: true, CRC: true, Files: 2, Acked: 1500, Padding: 36}, r)
}

func TestBatchEnds(t *testing.T) {
	cases := []struct {
		name   string
		script func(f *far)
		kind   error
		phase  Phase
		files  int
	}{
		{"the name is refused", func(f *far) { f.block(true); f.say("\x18\x18") }, stream.ErrRefused, Header, 0},
		{"the file is not asked for", func(f *far) { f.block(true); f.say("\x06") }, stream.ErrNoAnswer, Header, 0},
		{"the batch is left open", func(f *far) {
			f.block(true)
			f.say("\x06C")
			f.take(true)
			f.say("\x06")
		}, stream.ErrNoAnswer, BatchEnd, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := play(t, func(ctx context.Context, s stream.Stream) (Report, error) {
				return SendBatch(ctx, s, []File{{"a", some(5)}}, Options{})
			}, func(f *far) { f.say("C"); c.script(f) })
			wantError(t, err, c.kind, c.phase, 0)
			assert.Equal(t, c.files, r.Files)
		})
	}
	for _, bad := range []string{"", "a\x00b", strings.Repeat("x", 1100)} {
		_, err := SendBatch(t.Context(), newLine(), []File{{bad, nil}}, Options{})
		assert.ErrorContains(t, err, "file name", "%q", bad)
	}
}

// TestContext: the caller's end is no verdict on the line, and the receiver is
// told all the same.
func TestContext(t *testing.T) {
	over := errors.New("the budget is spent")
	_, err := play(t, func(ctx context.Context, s stream.Stream) (Report, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, over)
		defer cancel()
		return Send(ctx, s, some(256), Options{})
	}, func(f *far) {
		f.say("C")
		f.block(true)
		assert.Equal(f, bye, f.got())
	})
	assert.ErrorIs(t, err, over)
	for _, kind := range []error{stream.ErrRefused, stream.ErrNoAnswer, stream.ErrBroken} {
		assert.NotErrorIs(t, err, kind)
	}
}

// FuzzReceiver: whatever a receiver says, the transfer ends, and it is done only
// when the last byte that mattered was an ACK.
func FuzzReceiver(f *testing.F) {
	for _, s := range []string{"C\x06\x06\x06", "\x15\x06\x06\x06", "C\x15\x06\x18\x18", "C\x18C\x06\x06\x06", "CCCC", "\x06\x06\x06C"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answers []byte) {
		answers = answers[:min(len(answers), 500)] // more than the fake line holds
		acks := 0
		for _, b := range answers {
			if b == ack {
				acks++
			}
		}
		r, err := play(t, sending(some(200), Options{Long: true}), func(f *far) {
			for _, b := range answers {
				f.say(string([]byte{b}))
				f.wait(2 * time.Second)
			}
		})
		if err == nil {
			assert.Equal(t, 1, r.Files)
			assert.GreaterOrEqual(t, acks, 3, "two blocks and an end")
			return
		}
		var e *Error
		assert.ErrorAs(t, err, &e)
		assert.Zero(t, r.Files)
	})
}

// BenchmarkSend is what a transfer costs on a line that costs nothing.
func BenchmarkSend(b *testing.B) {
	for name, o := range map[string]Options{"128": {}, "1k": {Long: true}} {
		b.Run(name, func(b *testing.B) {
			data := some(1 << 20)
			o.Settle = time.Microsecond
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				l := newLine()
				go func() {
					l.in <- []byte("C")
					for p := range l.out {
						l.in <- []byte{ack}
						if len(p) == 1 {
							return
						}
					}
				}()
				if r, err := Send(b.Context(), l, data, o); err != nil || r.Acked != len(data) {
					b.Fatal(r, err)
				}
			}
		})
	}
}
