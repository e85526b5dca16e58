package esp

import (
	"context"
	"time"

	"rigor/harness/debugport/rom"
)

// SLIP: RFC 1055.
const (
	slipEnd    = 0xC0
	slipEsc    = 0xDB
	slipEscEnd = 0xDC
	slipEscEsc = 0xDD
	// maxFrame is more than any answer of a loader has; what is longer is cut.
	maxFrame = 4096
)

// slip puts a packet into a frame.
func slip(p []byte) []byte {
	out := make([]byte, 0, len(p)+8)
	out = append(out, slipEnd)
	for _, b := range p {
		switch b {
		case slipEnd:
			out = append(out, slipEsc, slipEscEnd)
		case slipEsc:
			out = append(out, slipEsc, slipEscEsc)
		default:
			out = append(out, b)
		}
	}
	return append(out, slipEnd)
}

// frame gives the next packet, or nil where none is whole by end. What comes outside of
// frames is text of the loader, and goes by.
func frame(ctx context.Context, ear *rom.Ear, end time.Time) ([]byte, error) {
	var p []byte
	inside, escaped := false, false
	for {
		b, there, err := ear.Byte(ctx, end)
		if err != nil || !there {
			return nil, err
		}
		switch {
		case b == slipEnd && inside && len(p) > 0:
			return p, nil
		case b == slipEnd:
			inside, escaped, p = true, false, p[:0]
		case !inside:
		case escaped && b == slipEscEnd:
			escaped, p = false, append(p, slipEnd)
		case escaped && b == slipEscEsc:
			escaped, p = false, append(p, slipEsc)
		case escaped || len(p) > maxFrame: // no frame that anybody sends
			inside, escaped, p = false, false, p[:0]
		case b == slipEsc:
			escaped = true
		default:
			p = append(p, b)
		}
	}
}
