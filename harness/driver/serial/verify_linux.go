package serial

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// verify reads the settings back. Drivers take what they cannot do without an
// error and store what they do instead.
func (d *device) verify(baud int, frame Frame) error {
	return d.control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return fmt.Errorf("read the settings back: %w", err)
		}
		got := Frame{DataBits: 5, Parity: 'N', StopBits: 1}
		switch t.Cflag & unix.CSIZE {
		case unix.CS6:
			got.DataBits = 6
		case unix.CS7:
			got.DataBits = 7
		case unix.CS8:
			got.DataBits = 8
		}
		if t.Cflag&unix.CSTOPB != 0 {
			got.StopBits = 2
		}
		switch t.Cflag & (unix.PARENB | unix.PARODD | unix.CMSPAR) {
		case unix.PARENB:
			got.Parity = 'E'
		case unix.PARENB | unix.PARODD:
			got.Parity = 'O'
		case unix.PARENB | unix.CMSPAR:
			got.Parity = 'S'
		case unix.PARENB | unix.PARODD | unix.CMSPAR:
			got.Parity = 'M'
		}
		if got != frame {
			return fmt.Errorf("%w: asked for %v, got %v", ErrRefused, frame, got)
		}
		// Divisors are coarse: a UART works with up to some 3 % off.
		if off := int(t.Ospeed) - baud; off > baud*3/100 || -off > baud*3/100 {
			return fmt.Errorf("%w: asked for %d bit/s, got %d", ErrRefused, baud, t.Ospeed)
		}
		return nil
	})
}
