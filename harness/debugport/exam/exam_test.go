package exam

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/dap"
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

// refuses is a debug port whose access ports fault, whatever they are asked.
type refuses struct{}

func (refuses) ReadDP(_ context.Context, reg dap.DPReg) (uint32, dap.Answer, error) {
	switch reg {
	case dap.DPIDR:
		return 0x2ba01477, dap.OK, nil
	case dap.CTRLSTAT:
		return dap.PowerAsked | dap.PowerGiven, dap.OK, nil
	}
	return 0, dap.OK, nil
}

func (refuses) ReadAP(context.Context, dap.AP, dap.APReg, []uint32) (int, dap.Answer, error) {
	return 0, dap.Fault, nil
}
func (refuses) Write(context.Context, dap.Write) (dap.Answer, error) { return dap.OK, nil }
func (refuses) Idle(context.Context, int) error                      { return nil }

// TestFaultsWhoIs: an access port that does not say what it is, is not the maker's own.
func TestFaultsWhoIs(t *testing.T) {
	for _, quick := range []bool{false, true} {
		l, err := Adapter(t.Context(), refuses{}, Plan{Quick: quick})
		require.NoError(t, err)
		assert.Equal(t, ladder.Answered, l.Reply)
		lv, why := l.Level()
		assert.Equal(t, ladder.Unsaid, lv, why)
	}
}
