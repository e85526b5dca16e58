package serial

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"

	bugst "go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// ErrBusy says that somebody else has the device.
var ErrBusy = errors.New("device is busy")

// ErrRefused says that the device does not do the rate or frame that was asked
// of it, as a Raspberry Pi's mini UART does no parity.
var ErrRefused = errors.New("the device does not take this setting")

// device is one attachment of a port.
//
// go.bug.st/serial opens it, sets rate and frame, and keeps others out. The
// bytes go over a descriptor of our own under the runtime's poller: the
// library has no deadline for a write, cannot end one that flow control
// holds, and its Close frees the descriptor's number while calls are inside.
type device struct {
	file *os.File

	mu  sync.Mutex // keeps the library's Close out of its other calls
	lib bugst.Port
}

// attach opens path and holds it by flock too, since the library's exclusive
// access does not keep root out.
func attach(path string, baud int, frame Frame) (*device, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var pe *os.PathError
		switch {
		case errors.Is(err, syscall.EBUSY):
			err = busy(path)
		case errors.As(err, &pe): // who opens it names it
			err = pe.Err
		}
		return nil, err
	}
	d := &device{file: f}
	if err := d.claim(path, baud, frame); err != nil {
		_ = d.Close() // the first error tells more
		return nil, err
	}
	return d, nil
}

func (d *device) claim(path string, baud int, frame Frame) error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		return fmt.Errorf("%s is no serial device but a %s", path, info.Mode().Type())
	}
	err = d.control(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return busy(path)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	d.lib, err = bugst.Open(path, frame.mode(baud))
	var pe *bugst.PortError
	if errors.As(err, &pe) && pe.Code() == bugst.PortBusy {
		return busy(path)
	}
	if err != nil {
		return fmt.Errorf("set %d %v: %w", baud, frame, err)
	}
	return d.verify(baud, frame)
}

// set changes rate and frame.
func (d *device) set(baud int, frame Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.lib.SetMode(frame.mode(baud)); err != nil {
		return fmt.Errorf("set %d %v: %w", baud, frame, err)
	}
	return d.verify(baud, frame)
}

// drain waits until the UART has sent what it was given. A signal, as the runtime sends
// itself many, ends tcdrain(3) early, and the library hands that on.
func (d *device) drain() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return untilDone(d.lib.Drain)
}

// untilDone calls f until no signal interrupts it.
func untilDone(f func() error) error {
	for {
		if err := f(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// hold starts or ends a break.
func (d *device) hold(on bool) error {
	req := uint(unix.TIOCCBRK)
	if on {
		req = unix.TIOCSBRK
	}
	return d.control(func(fd int) error { return unix.IoctlSetInt(fd, req, 0) })
}

func (d *device) control(f func(fd int) error) error {
	raw, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Close ends all calls that are inside.
func (d *device) Close() error {
	err := d.file.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lib != nil {
		err = errors.Join(err, d.lib.Close())
	}
	return err
}

// busy makes an error that names who has the device open.
func busy(path string) error {
	who := Holders(path)
	if len(who) == 0 {
		return fmt.Errorf("%w: held by a process that cannot be seen from here", ErrBusy)
	}
	return fmt.Errorf("%w: held by %s", ErrBusy, strings.Join(who, ", "))
}

// Holders names the processes, this one left out, that have the device at path
// open, as "name (pid N)". Those of other users show for root only. A console
// that has a holder before a run, a getty for one, will lose bytes to it.
func Holders(path string) []string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	pids := map[int]bool{}
	for _, fd := range fds {
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		if to, err := os.Readlink(fd); err == nil && to == real {
			pids[pid] = true
		}
	}
	var order []int
	for pid := range pids {
		order = append(order, pid)
	}
	sort.Ints(order)
	var out []string
	for _, pid := range order {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			continue // gone meanwhile
		}
		out = append(out, fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid))
	}
	return out
}
