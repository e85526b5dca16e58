package smp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/update/stream"
)

// TestFrames: what is cut into frames comes together again, at each length.
func TestFrames(t *testing.T) {
	for _, per := range []int{16, 64, 127, 512} {
		for n := range 400 {
			p := header{op: opWrite, group: 1, seq: byte(n)}.packet(bytes.Repeat([]byte{byte(n)}, n))
			text := appendFrames(nil, p, per)
			for _, l := range bytes.SplitAfter(text, []byte{'\n'}) {
				require.LessOrEqual(t, len(l), per)
			}
			require.Equal(t, p, decodeAll(t, string(text)))
		}
	}
}

// TestBroken: a packet that is not what was sent is an error, or is missed; it
// never reads as another one.
func TestBroken(t *testing.T) {
	packet := header{group: 1, seq: 9}.packet(bytes.Repeat([]byte("rigor"), 40))
	text := appendFrames(nil, packet, lineMax)
	next := appendFrames(nil, header{id: 3, seq: 10}.packet([]byte{0xa0}), lineMax)
	for name, do := range map[string]func(b byte) []byte{
		"lost":    func(byte) []byte { return nil },
		"doubled": func(b byte) []byte { return []byte{b, b} },
		"flipped": func(b byte) []byte { return []byte{b ^ 1} },
		"high":    func(b byte) []byte { return []byte{b ^ 0x80} },
		"newline": func(b byte) []byte { return []byte{b, '\n'} },
	} {
		for at := range text {
			line := append(append(append(append([]byte(nil), text[:at]...), do(text[at])...), text[at+1:]...), next...)
			var d decoder
			var got [][]byte
			for _, b := range line {
				if p, err := d.feed(b); err == nil && p != nil {
					got = append(got, p)
				}
			}
			require.NotEmpty(t, got, "%s %d: the packet behind it is read", name, at)
			for _, p := range got[:len(got)-1] {
				require.Equal(t, packet, p, "%s %d", name, at)
			}
			require.Equal(t, []byte{0, 0, 0, 1, 0, 0, 10, 3, 0xa0}, got[len(got)-1], "%s %d", name, at)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []Options{{MTU: 95}, {MTU: 65536}, {Line: 15}, {Line: 4097}, {Tries: -1}} {
		_, err := New(newLine(), bad)
		assert.ErrorContains(t, err, "want ", "%+v", bad)
	}
}

// TestAsks: each request is what the standard says, and its answer is read.
func TestAsks(t *testing.T) {
	hash := bytes.Repeat([]byte{7}, 32)
	cases := []struct {
		name    string
		v2      bool
		ask     func(context.Context, *Client) (any, error)
		head    header
		request m
		answer  any
		want    any
	}{
		{"echo", false, func(ctx context.Context, c *Client) (any, error) { return c.Echo(ctx, "hi") },
			header{op: opWrite}, m{"d": "hi"}, m{"r": "hi"}, "hi"},
		{"params", false, func(ctx context.Context, c *Client) (any, error) { return c.Params(ctx) },
			header{id: 6}, m{}, m{"buf_size": 1024, "buf_count": 4}, Params{1024, 4}},
		{"reset", false, func(ctx context.Context, c *Client) (any, error) { return nil, c.Reset(ctx) },
			header{op: opWrite, id: 5}, m{}, m{"rc": 0}, nil},
		{"reset, version 2", true, func(ctx context.Context, c *Client) (any, error) { return nil, c.Reset(ctx) },
			header{op: opWrite, version: 1, id: 5}, m{}, m{}, nil},
		{"list", false, func(ctx context.Context, c *Client) (any, error) { return c.Images(ctx) },
			header{group: 1}, m{}, m{"images": []any{m{"slot": 1, "version": "1.2.3", "hash": hash, "pending": true}}, "splitStatus": 0},
			[]Image{{Slot: 1, Version: "1.2.3", Hash: hash, Pending: true}}},
		{"test", false, func(ctx context.Context, c *Client) (any, error) { return c.SetState(ctx, hash, false) },
			header{op: opWrite, group: 1}, m{"hash": hash, "confirm": false}, m{"images": []any{}}, []Image{}},
		{"confirm", false, func(ctx context.Context, c *Client) (any, error) { return c.SetState(ctx, nil, true) },
			header{op: opWrite, group: 1}, m{"confirm": true}, m{"images": []any{}}, []Image{}},
		{"erase", false, func(ctx context.Context, c *Client) (any, error) { return nil, c.Erase(ctx, 1) },
			header{op: opWrite, group: 1, id: 5}, m{"slot": uint64(1)}, m{}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got any
			faults, err := play(t, Options{V2: c.v2}, func(ctx context.Context, cl *Client) (err error) {
				got, err = c.ask(ctx, cl)
				return err
			}, func(f *far) {
				h, body := f.got()
				assert.Equal(f, c.head, h)
				assert.Equal(f, c.request, body)
				f.say(h, c.answer)
			})
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			assert.Zero(t, faults)
		})
	}
}

// TestCodes: what the device says has its name, and only some of it refuses.
func TestCodes(t *testing.T) {
	group := func(g, rc int) m { return m{"err": m{"group": g, "rc": rc}} }
	for _, c := range []struct {
		answer  m
		name    string
		refused bool
	}{
		{m{"rc": 1}, "MGMT_ERR_EUNKNOWN", false},
		{m{"rc": 2}, "MGMT_ERR_ENOMEM", false},
		{m{"rc": 3}, "MGMT_ERR_EINVAL", true},
		{m{"rc": 6}, "MGMT_ERR_EBADSTATE", true},
		{m{"rc": 8}, "MGMT_ERR_ENOTSUP", false},
		{m{"rc": 9}, "MGMT_ERR_ECORRUPT", true},
		{m{"rc": 10}, "MGMT_ERR_EBUSY", false},
		{m{"rc": 11, "rsn": "no\x1b[2J"}, "MGMT_ERR_EACCESSDENIED", true},
		{m{"rc": 13}, "MGMT_ERR_UNSUPPORTED_TOO_NEW", false},
		{m{"rc": 258}, "MGMT_ERR_EPERUSER+2", false},
		{m{"rc": 77}, "rc 77", false},
		{m{"rc": -5}, "rc -5", false},
		{group(0, 2), "OS_MGMT_ERR_INVALID_FORMAT", false},
		{group(1, 8), "IMG_MGMT_ERR_HASH_NOT_FOUND", true},
		{group(1, 13), "IMG_MGMT_ERR_FLASH_ERASE_FAILED", false},
		{group(1, 23), "IMG_MGMT_ERR_INVALID_IMAGE_HEADER_MAGIC", true},
		{group(1, 27), "IMG_MGMT_ERR_CURRENT_VERSION_IS_NEWER", true},
		{group(1, 34), "IMG_MGMT_ERR_ACTIVE_SLOT_NOT_KNOWN", false},
		{group(1, 99), "group 1 rc 99", false},
		{group(64, 1), "group 64 rc 1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := play(t, Options{}, func(ctx context.Context, cl *Client) error {
				_, err := cl.Upload(ctx, []byte("image"), Upload{})
				return err
			}, func(f *far) { h, _ := f.got(); f.say(h, c.answer) })
			var e *CodeError
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.name, e.Name())
			assert.Contains(t, err.Error(), c.name)
			assert.NotContains(t, err.Error(), "\x1b")
			assert.Equal(t, c.refused, errors.Is(err, stream.ErrRefused))
			assert.NotErrorIs(t, err, stream.ErrBroken)
			assert.NotErrorIs(t, err, stream.ErrNoAnswer)
		})
	}
}

// TestAgain: what may be asked twice is, with a new number, and what comes late
// is no answer to it.
func TestAgain(t *testing.T) {
	echo := func(ctx context.Context, c *Client) error {
		r, err := c.Echo(ctx, "x")
		if err == nil && r != "right" {
			return errors.New("the wrong answer")
		}
		return err
	}
	t.Run("late", func(t *testing.T) {
		faults, err := play(t, Options{}, echo, func(f *far) {
			first, _ := f.got()
			second, _ := f.got()
			assert.NotEqual(f, first.seq, second.seq)
			f.say(first, m{"r": "late"})
			f.say(second, m{"r": "right"})
		})
		require.NoError(t, err)
		assert.Equal(t, Faults{Repeats: 1, Strays: 1}, faults)
	})
	t.Run("broken", func(t *testing.T) {
		began := time.Now()
		faults, err := play(t, Options{}, echo, func(f *far) {
			h, _ := f.got()
			p := f.frames(h, m{"r": "right"})
			p[9] ^= 1
			f.l.in <- p
			h, _ = f.got()
			f.say(h, m{"r": "right"})
		})
		require.NoError(t, err)
		assert.Equal(t, Faults{Repeats: 1, Broken: 1}, faults)
		assert.Less(t, time.Since(began), 5*time.Second)
	})
	t.Run("never", func(t *testing.T) {
		faults, err := play(t, Options{Tries: 3}, echo, func(f *far) { f.got(); f.got(); f.got() })
		wantLine(t, err, stream.ErrNoAnswer)
		assert.Equal(t, Faults{Repeats: 2}, faults)
	})
	t.Run("never whole", func(t *testing.T) {
		_, err := play(t, Options{Tries: 3}, echo, func(f *far) {
			for range 3 {
				f.got()
				f.l.in <- []byte("\x06\x09????\n")
			}
		})
		wantLine(t, err, stream.ErrBroken)
	})
	t.Run("no CBOR", func(t *testing.T) {
		_, err := play(t, Options{}, echo, func(f *far) {
			h, _ := f.got()
			h.op++
			f.l.in <- appendFrames(nil, h.packet(nil), lineMax)
		})
		wantLine(t, err, stream.ErrBroken)
	})
	t.Run("once", func(t *testing.T) {
		_, err := play(t, Options{}, func(ctx context.Context, c *Client) error { return c.Reset(ctx) }, func(f *far) { f.got() })
		wantLine(t, err, stream.ErrNoAnswer)
	})
	t.Run("the caller's end", func(t *testing.T) {
		over := errors.New("the budget is spent")
		_, err := play(t, Options{}, func(ctx context.Context, c *Client) error {
			ctx, cancel := context.WithTimeoutCause(ctx, time.Second, over)
			defer cancel()
			return c.Reset(ctx)
		}, func(f *far) { f.got() })
		assert.ErrorIs(t, err, over)
		assert.NotErrorIs(t, err, stream.ErrNoAnswer)
	})
}

// taker takes an upload; say is asked for each answer.
func taker(f *far, mtu int, say func(n, off, end int) m) []byte {
	var image []byte
	for n := 0; ; n++ {
		h, q := f.got()
		body, err := cbor.Marshal(q)
		require.NoError(f, err)
		assert.LessOrEqual(f, len(body)+headerLen+around, mtu)
		off, data := int(q["off"].(uint64)), q["data"].([]byte)
		assert.Equal(f, off == 0, q["len"] != nil, "the length is said at the beginning")
		a := say(n, off, off+len(data))
		if a == nil {
			continue
		}
		f.say(h, a)
		if o, ok := a["off"].(int); ok && a["rc"] == 0 {
			if o > off+len(data) {
				image = append(image[:off], make([]byte, o-off)...)
			} else {
				image = append(image[:off], data...)[:min(o, off+len(data))]
			}
		}
		if a["last"] != nil {
			return image
		}
	}
}

func TestUpload(t *testing.T) {
	image := make([]byte, 3000)
	for i := range image {
		image[i] = byte(i * 7)
	}
	ok := func(end int) m {
		a := m{"rc": 0, "off": end}
		if end == len(image) {
			a["last"] = true
		}
		return a
	}
	yes := true
	cases := []struct {
		name   string
		o      Options
		u      Upload
		say    func(n, off, end int) m
		want   Uploaded
		faults Faults
		kind   error
	}{
		{name: "well", say: func(_, _, end int) m { return ok(end) }, want: Uploaded{Taken: 3000}},
		{name: "small buffer", o: Options{MTU: 96}, say: func(_, _, end int) m { return ok(end) }, want: Uploaded{Taken: 3000}},
		{name: "large buffer, version 2", o: Options{MTU: 2048, V2: true}, say: func(_, _, end int) m { return ok(end) }, want: Uploaded{Taken: 3000}},
		{name: "with its digest", u: Upload{SHA: true}, say: func(_, _, end int) m { a := ok(end); a["match"] = true; return a }, want: Uploaded{Taken: 3000, Match: &yes}},
		{name: "words of 16 bytes", o: Options{MTU: 100}, say: func(_, _, end int) m {
			if end < 3000 {
				end -= end % 16
			}
			return ok(end)
		}, want: Uploaded{Taken: 3000}},
		{name: "it had some", u: Upload{SHA: true}, say: func(n, _, end int) m {
			if n == 0 {
				return ok(2048)
			}
			return ok(end)
		}, want: Uploaded{Taken: 3000, Had: 1632}},
		{name: "an answer is lost", say: func(n, _, end int) m {
			if n == 2 {
				return nil
			}
			return ok(end)
		}, want: Uploaded{Taken: 3000}, faults: Faults{Repeats: 1}},
		{name: "the last answer is lost", say: func(_, _, end int) m {
			if end == 3000 {
				return m{"rc": 10, "last": true}
			}
			return ok(end)
		}, want: Uploaded{Taken: 2944}},
		{name: "it begins again", say: func(n, _, end int) m {
			if n == 3 {
				return ok(0)
			}
			return ok(end)
		}, want: Uploaded{Taken: 3000, Rewinds: 1}},
		{name: "it does not get on", say: func(n, _, _ int) m {
			if n == 3 {
				return m{"rc": 0, "off": 0, "last": true}
			}
			return ok(0)
		}, want: Uploaded{}, kind: stream.ErrBroken},
		{name: "it is ahead", say: func(n, _, end int) m {
			if n == 1 {
				return m{"rc": 0, "off": end + 1, "last": true}
			}
			return ok(end)
		}, want: Uploaded{Taken: 416}, kind: stream.ErrBroken},
		{name: "it says no offset", say: func(int, int, int) m { return m{"rc": 0, "last": true} }, kind: stream.ErrBroken},
		{name: "refused", say: func(_, _, end int) m {
			if end == 3000 {
				return m{"rc": 3, "last": true}
			}
			return ok(end)
		}, want: Uploaded{Taken: 2944}, kind: stream.ErrRefused},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var r Uploaded
			var got []byte
			taken := 0
			c.u.Progress = func(n, total int) { taken = n; assert.Equal(t, 3000, total) }
			mtu := c.o.MTU
			if mtu == 0 {
				mtu = 512
			}
			faults, err := play(t, c.o, func(ctx context.Context, cl *Client) (err error) {
				r, err = cl.Upload(ctx, image, c.u)
				return err
			}, func(f *far) { got = taker(f, mtu, c.say) })
			assert.Equal(t, c.want.Had, r.Had, "had")
			assert.Equal(t, c.want.Rewinds, r.Rewinds)
			assert.Equal(t, c.want.Match, r.Match)
			assert.Equal(t, c.faults, faults)
			switch {
			case c.kind != nil:
				assert.ErrorIs(t, err, c.kind)
			case c.name == "the last answer is lost":
				assert.Error(t, err)
			default:
				require.NoError(t, err)
				assert.Equal(t, 3000, taken)
				assert.Equal(t, c.want.Taken, r.Taken)
				if r.Had == 0 {
					assert.Equal(t, sha256.Sum256(image), sha256.Sum256(got))
				}
			}
		})
	}
}

// TestLastAnswer: the last bytes are sent once, since a device says in that one
// answer what it thinks of the image.
func TestLastAnswer(t *testing.T) {
	var r Uploaded
	_, err := play(t, Options{}, func(ctx context.Context, c *Client) (err error) {
		r, err = c.Upload(ctx, make([]byte, 600), Upload{})
		return err
	}, func(f *far) {
		h, _ := f.got()
		f.say(h, m{"rc": 0, "off": 448})
		_, q := f.got()
		assert.Len(f, q["data"], 152)
	})
	wantLine(t, err, stream.ErrNoAnswer)
	assert.Equal(t, 448, r.Taken)
}

// FuzzDecoder: whatever comes, what is read is sound, and memory stays bounded.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(taskstats))
	f.Add([]byte(imageList))
	f.Add([]byte("\x06\x09AAoAAAAAAAEAADcw\n\x04\x14AAAA\n\x06\x09\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		var d decoder
		for _, b := range p {
			packet, err := d.feed(b)
			if err != nil || packet == nil {
				continue
			}
			var again decoder
			for _, b := range appendFrames(nil, packet, lineMax) {
				got, err := again.feed(b)
				require.NoError(t, err)
				if got != nil {
					require.Equal(t, packet, got)
				}
			}
		}
		assert.LessOrEqual(t, len(d.line)+len(d.raw), keepLine+1<<17)
	})
}

// FuzzAnswers: whatever CBOR a device sends, the client ends, and an upload is
// done only when the device said that it has all.
func FuzzAnswers(f *testing.F) {
	for _, a := range []m{{"rc": 0, "off": 5}, {"off": 4}, {"err": m{"group": 1, "rc": 3}}, {"images": []any{m{"slot": 0}}}} {
		p, err := cbor.Marshal(a)
		require.NoError(f, err)
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		p = p[:min(len(p), 60000)]
		l := newLine()
		for seq := range byte(8) {
			l.in <- appendFrames(nil, header{op: opWrite + 1, group: 1, id: 1, seq: seq}.packet(p), lineMax)
			l.in <- appendFrames(nil, header{op: opRead + 1, group: 1, id: 0, seq: seq}.packet(p), lineMax)
		}
		c, err := New(l, Options{Answer: time.Millisecond, Erase: time.Millisecond, Tries: 2})
		require.NoError(t, err)
		r, err := c.Upload(t.Context(), []byte("image"), Upload{})
		assert.Equal(t, err == nil, r.Taken == 5)
		_, _ = c.Images(t.Context())
	})
}

// BenchmarkUpload is what an upload costs on a line that costs nothing.
func BenchmarkUpload(b *testing.B) {
	image := make([]byte, 1<<20)
	for _, mtu := range []int{512, 2048} {
		b.Run(map[int]string{512: "512", 2048: "2048"}[mtu], func(b *testing.B) {
			b.SetBytes(int64(len(image)))
			b.ReportAllocs()
			for b.Loop() {
				l := newLine()
				go func() {
					var d decoder
					for p := range l.out {
						for _, by := range p {
							packet, _ := d.feed(by)
							if packet == nil {
								continue
							}
							h, body, _ := parse(packet)
							var q chunk
							_ = cbor.Unmarshal(body, &q)
							a, _ := cbor.Marshal(m{"rc": 0, "off": q.Off + len(q.Data)})
							h.op++
							l.in <- appendFrames(nil, h.packet(a), lineMax)
							if q.Off+len(q.Data) == len(image) {
								return
							}
						}
					}
				}()
				c, err := New(l, Options{MTU: mtu})
				if err != nil {
					b.Fatal(err)
				}
				if r, err := c.Upload(b.Context(), image, Upload{}); err != nil || r.Taken != len(image) {
					b.Fatal(r, err)
				}
			}
		})
	}
}
