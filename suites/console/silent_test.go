package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What a receiver makes of a line that rises with the supply is no speech; all
// else is, and so is the same byte at another time.
func TestNoiseOfAnEdge(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	off := edge{begin, begin.Add(10 * time.Millisecond)}
	on := edge{begin.Add(time.Second), begin.Add(time.Second + 5*time.Millisecond)}
	for name, c := range map[string]struct {
		raw  string
		at   time.Duration // of each byte
		want int
	}{
		"nothing":             {"", 0, 0},
		"low":                 {"\x00", time.Second, 1},
		"high, a little late": {"\xff", time.Second + 50*time.Millisecond, 1},
		"read late":           {"\x00", time.Second + 240*time.Millisecond, 1},
		"at power-off":        {"\x00", 30 * time.Millisecond, 1},
		"later":               {"\x00", time.Second + 300*time.Millisecond, 0},
		"between":             {"\xff", 500 * time.Millisecond, 0},
		"before":              {"\x00", -time.Millisecond, 0},
		"another byte":        {"\x80", time.Second, 0},
		"speech behind it":    {"\x00VG-1", time.Second, 1},
		"a row of them":       {"\x00\x00\x00\x00\x00\x00", time.Second, 4}, // two for each switch
	} {
		got := noise([]byte(c.raw), func(int) time.Time { return begin.Add(c.at) }, off, on)
		assert.Equal(t, c.want, got, name)
	}
	assert.Zero(t, noise([]byte{0}, func(int) time.Time { return begin }), "no switch, no edge")
}
