package serial

import (
	"testing"

	"github.com/stretchr/testify/assert"
	bugst "go.bug.st/serial"
)

// TestMode holds what the library is told, for the frames that a pty cannot have.
func TestMode(t *testing.T) {
	for s, want := range map[string]bugst.Mode{
		"8N1": {BaudRate: 9600, DataBits: 8, Parity: bugst.NoParity, StopBits: bugst.OneStopBit},
		"7E1": {BaudRate: 9600, DataBits: 7, Parity: bugst.EvenParity, StopBits: bugst.OneStopBit},
		"8O2": {BaudRate: 9600, DataBits: 8, Parity: bugst.OddParity, StopBits: bugst.TwoStopBits},
		"5M1": {BaudRate: 9600, DataBits: 5, Parity: bugst.MarkParity, StopBits: bugst.OneStopBit},
		"6S1": {BaudRate: 9600, DataBits: 6, Parity: bugst.SpaceParity, StopBits: bugst.OneStopBit},
	} {
		f, err := ParseFrame(s)
		assert.NoError(t, err)
		got := f.mode(9600)
		assert.Equal(t, want, *got, s)
		assert.Nil(t, got.InitialStatusBits, "modem lines are left alone")
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, s := range []string{"8N1", "7e1", "", "8N", "99999", "\x00\xff\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		frame, err := ParseFrame(s)
		if err != nil {
			return
		}
		again, err := ParseFrame(frame.String())
		assert.NoError(t, err)
		assert.Equal(t, frame, again)
	})
}
