package capture

import (
	"bytes"
	"net"
	"slices"
	"sync"
	"time"

	"rigor/harness/wire"
)

// earKeeps is how many bytes of frames an Ear keeps at most.
const earKeeps = 64 << 20

// Ear keeps the frames from and to one hardware address, for a driver that hears a
// wire. It is a wire.Ear.
type Ear struct {
	mac   net.HardwareAddr
	scope string
	close func() error // of what hears; nil for nothing

	mu     sync.Mutex
	frames []wire.Frame
	bytes  int
	cut    bool
	closed bool
}

var _ wire.Ear = (*Ear)(nil)

// NewEar makes one. Where says where it hears, such as "on eth1"; shut, which may be
// nil, is called once by Close.
func NewEar(mac net.HardwareAddr, where string, shut func() error) *Ear {
	return &Ear{mac: slices.Clone(mac), scope: "every frame from and to " + mac.String() + " " + where, close: shut}
}

// Take keeps a copy of a frame that passed now, if it is from or to the address.
func (e *Ear) Take(frame []byte) {
	if len(frame) < 12 || !bytes.Equal(frame[:6], e.mac) && !bytes.Equal(frame[6:12], e.mac) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
	case e.bytes+len(frame) > earKeeps:
		e.cut = true
	default:
		e.bytes += len(frame)
		e.frames = append(e.frames, wire.Frame{At: time.Now(), Data: slices.Clone(frame)})
	}
}

// Lost says that frames passed which nobody took.
func (e *Ear) Lost() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cut = true
}

// Frames gives what was heard up to now.
func (e *Ear) Frames() ([]wire.Frame, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.frames), e.cut
}

// Scope says what is heard.
func (e *Ear) Scope() string { return e.scope }

// Close ends the hearing. What was heard stays. It may be called again.
func (e *Ear) Close() error {
	e.mu.Lock()
	was := e.closed
	e.closed = true
	e.mu.Unlock()
	if was || e.close == nil {
		return nil
	}
	return e.close()
}
