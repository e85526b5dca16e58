package wire

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// LookEvery is how often a Dater looks at a descriptor on which nothing comes.
const LookEvery = 50 * time.Millisecond

// Dater reads descriptors of serial devices for a Dated port: it keeps when the kernel
// had nothing to give. Of a tty that says also that nothing waits in the kernel's
// buffers below. The zero value is ready; it is for one reader.
type Dater struct{ empty time.Time }

// Empty gives the last moment before the last Read's bytes at which there were none, the
// zero time where it is not known.
func (d *Dater) Empty() time.Time { return d.empty }

// Forget says that what comes next may have come at any time, as behind a gap.
func (d *Dater) Forget() { d.empty = time.Time{} }

// Read is f.Read of a file under the runtime's poller.
func (d *Dater) Read(f *os.File, p []byte) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil || len(p) == 0 {
		return f.Read(p)
	}
	for {
		if err := f.SetReadDeadline(time.Now().Add(LookEvery)); err != nil {
			return f.Read(p) // its error, where it is closed; without a deadline it is looked at no more
		}
		var got error
		err := raw.Read(func(fd uintptr) bool {
			for {
				at := time.Now()
				switch n, got = syscall.Read(int(fd), p); {
				case errors.Is(got, syscall.EINTR):
				case errors.Is(got, syscall.EAGAIN):
					d.empty = at
					return false
				default:
					return true
				}
			}
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return f.Read(p)
		case got != nil:
			return 0, &os.PathError{Op: "read", Path: f.Name(), Err: got}
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
