// Package capture writes and reads what went over a network: frames into a file of
// pcapng, which other programs read, and TCP's streams out of frames.
package capture

import (
	"encoding/binary"
	"fmt"
	"io"

	"rigor/harness/wire"
)

// Blocks and options of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6

	optComment   = 1
	optApp       = 4 // of a section
	optName      = 2 // of an interface
	optPrecision = 9

	linkEthernet = 1
	byteOrder    = 0x1a2b3c4d
)

// Write writes frames as one file of pcapng with one interface. Comments stand at
// frames, by their number from 1, as Wireshark counts.
func Write(w io.Writer, name, about string, frames []wire.Frame, comments map[int]string) error {
	section := binary.LittleEndian.AppendUint32(nil, byteOrder)
	section = append(section, 1, 0, 0, 0)                                     // version 1.0
	section = append(section, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // its length is not said
	section = options(section, option{optComment, []byte(about)}, option{optApp, []byte("rigor")})
	b := block(nil, blockSection, section)
	// Times are in nanoseconds.
	iface := []byte{linkEthernet, 0, 0, 0, 0, 0, 0, 0}
	b = block(b, blockInterface, options(iface, option{optName, []byte(name)}, option{optPrecision, []byte{9}}))
	for i, f := range frames {
		at := uint64(f.At.UnixNano()) //nolint:gosec // after 1970
		p := binary.LittleEndian.AppendUint32(nil, 0)
		p = binary.LittleEndian.AppendUint32(p, uint32(at>>32))
		p = binary.LittleEndian.AppendUint32(p, uint32(at))          //nolint:gosec // its lower half
		p = binary.LittleEndian.AppendUint32(p, uint32(len(f.Data))) //nolint:gosec // a frame
		p = binary.LittleEndian.AppendUint32(p, uint32(len(f.Data))) //nolint:gosec // a frame
		p = pad(append(p, f.Data...))
		if c := comments[i+1]; c != "" {
			p = options(p, option{optComment, []byte(c)})
		}
		b = block(b, blockPacket, p)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write %d frames: %w", len(frames), err)
	}
	return nil
}

type option struct {
	code  uint16
	value []byte
}

func options(b []byte, opts ...option) []byte {
	for _, o := range opts {
		v := o.value[:min(len(o.value), 1<<12)]
		b = binary.LittleEndian.AppendUint16(b, o.code)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v))) //nolint:gosec // cut to 4 KB
		b = pad(append(b, v...))
	}
	return append(b, 0, 0, 0, 0) // the end of options
}

// pad fills up to four bytes: everything that it is called on begins at such a place.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func block(b []byte, kind uint32, body []byte) []byte {
	n := uint32(12 + len(body)) //nolint:gosec // a frame and its comment
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, n)
	b = append(b, body...)
	return binary.LittleEndian.AppendUint32(b, n)
}
