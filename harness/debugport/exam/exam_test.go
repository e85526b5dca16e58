package exam

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/debugport/ladder"
)

// TestJudge: what came is data where it is not all alike, byte by byte or word by word.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		words []uint32
		want  ladder.Got
	}{
		"zeros":         {[]uint32{0, 0}, ladder.Blank},
		"ones":          {[]uint32{0xffffffff, 0xffffffff}, ladder.Blank},
		"one word":      {[]uint32{0xdeadbeef, 0xdeadbeef, 0xdeadbeef}, ladder.Blank},
		"a single word": {[]uint32{0xdeadbeef}, ladder.Data},
		"data":          {[]uint32{0xdeadbeef, 0xdeadbeef, 1}, ladder.Data},
	} {
		t.Run(name, func(t *testing.T) {
			var r ladder.Read
			judge(&r, c.words, Piece{})
			assert.Equal(t, c.want, r.Got)
		})
	}
}
