package tcp

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// take runs a stream over in, cut at each of cuts, and writes down what it saw.
func take(in []byte, binary bool, cuts ...int) (data []byte, seen []string) {
	s := stream{binary: binary}
	from := 0
	for _, to := range append(cuts, len(in)) {
		data = s.feed(data, in[from:to],
			func(verb, opt byte) { seen = append(seen, fmt.Sprintf("%d %d", verb, opt)) },
			func(b []byte) { seen = append(seen, fmt.Sprintf("sub %v", b)) })
		from = to
	}
	return data, seen
}

func TestStream(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in     string
		binary bool
		data   string
		seen   []string
	}{
		{"plain", false, "plain", nil},
		{"a\xff\xffb", false, "a\xffb", nil},
		{"a\xff\xfb\x01b\xff\xfe\x2cc", false, "abc", []string{"251 1", "254 44"}},
		{"a\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0b", false, "ab", []string{"sub [44 101 0 1 194 0]"}},
		{"\xff\xfa\x2c\x65\xff\xff\xff\xf0", false, "", []string{"sub [44 101 255]"}},
		{"a\xff\xf1\xff\xf9b", false, "ab", nil}, // NOP and GA
		{"a\r\x00b\r\nc\x00", false, "a\rb\r\nc\x00", nil},
		{"a\r\x00b", true, "a\r\x00b", nil},
		{"\xff\xfa\x2c\xff\xfbdata", false, "data", nil}, // left without an end
		{"\xff\xfa" + string(bytes.Repeat([]byte("x"), 5000)) + "\xff\xf0ok", false, "ok", nil},
	} {
		data, seen := take([]byte(tc.in), tc.binary)
		assert.Equal(t, tc.data, string(data), "%q", tc.in)
		assert.Equal(t, tc.seen, seen, "%q", tc.in)
		for i := range min(len(tc.in), 100) {
			for j := i; j < min(len(tc.in), 100); j++ {
				d, s := take([]byte(tc.in), tc.binary, i, j)
				require.Equal(t, data, d, "%q cut at %d and %d", tc.in, i, j)
				require.Equal(t, seen, s)
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	for _, s := range []string{"hello\r\n", "a\xff\xffb", "\xff\xfa\x2c\x65\x00\xff\xf0", "\r\x00\xff\xfd\x2c", "\xff", "\xff\xfa\xff"} {
		f.Add([]byte(s), 1, false)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int, binary bool) {
		whole, seen := take(in, binary)
		if len(in) > 0 {
			cut = int(uint(cut) % uint(len(in)))
			d, s := take(in, binary, cut)
			require.Equal(t, whole, d)
			require.Equal(t, seen, s)
		}
		require.LessOrEqual(t, len(whole), len(in))
		// What we send comes out of a stream as it went in.
		back, none := take(escape(in, binary), binary)
		require.Equal(t, in, append([]byte{}, back...))
		require.Empty(t, none)
		// A setting's value survives its subnegotiation.
		if len(in) < maxSub-2 {
			data, sub := take(comPort(setBaud, in), binary)
			require.Empty(t, data)
			require.Equal(t, []string{fmt.Sprintf("sub %v", append([]byte{optComPort, setBaud}, in...))}, sub)
		}
		// Whatever is negotiated, the answers come to an end.
		var a, b options
		say := append(a.ask(), in...)
		for range 300 {
			if len(say) == 0 {
				return
			}
			var reply []byte
			var s stream
			s.feed(nil, say, func(v, o byte) { reply = append(reply, b.hear(v, o)...) }, func([]byte) {})
			a, b, say = b, a, reply
		}
		t.Fatal("negotiation without end")
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	var o options
	assert.Equal(t, []byte{iac, will, 0, iac, will, 3, iac, will, 44, iac, do, 0, iac, do, 3}, o.ask())
	for _, step := range []struct{ verb, opt, reply byte }{ // reply 0: none
		{do, optComPort, 0}, {do, optComPort, 0}, // granted, and said again
		{dont, optComPort, wont}, {dont, optComPort, 0},
		{do, optComPort, will},                  // offered later
		{dont, optBinary, 0},                    // refused
		{will, optEcho, do}, {will, optEcho, 0}, // the server echoes
		{wont, optEcho, dont}, {wont, optEcho, 0}, // and stops
		{do, optEcho, wont},              // we never echo
		{do, 24, wont}, {will, 24, dont}, // terminal type is none of a console's
		{will, optBinary, 0}, {will, optSGA, 0},
	} {
		var want []byte
		if step.reply != 0 {
			want = []byte{iac, step.reply, step.opt}
		}
		assert.Equal(t, want, o.hear(step.verb, step.opt), "%d %d", step.verb, step.opt)
	}
}
