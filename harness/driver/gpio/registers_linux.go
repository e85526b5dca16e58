package gpio

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// openRegisters maps the block through /dev/gpiomem, which the group gpio may open.
func openRegisters() (*registers, error) {
	compatible, err := os.ReadFile("/proc/device-tree/compatible")
	if err != nil {
		return nil, fmt.Errorf("%w: want a Raspberry Pi 0 to 4; leave memory out: %w", ErrNoRegisters, err)
	}
	is2711, err := registersOf(string(compatible))
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile("/dev/gpiomem", os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRegisters, err)
	}
	defer f.Close()
	mem, err := syscall.Mmap(int(f.Fd()), 0, os.Getpagesize(), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%w: map /dev/gpiomem: %w", ErrNoRegisters, err)
	}
	w := mapped(unsafe.Slice((*uint32)(unsafe.Pointer(&mem[0])), regBytes/4)) //nolint:gosec // registers are memory of no Go type
	return newRegisters(w, is2711, func() error { return syscall.Munmap(mem) }), nil
}

// mapped are registers of the chip; atomic makes each access one of its own.
type mapped []uint32

func (m mapped) load(i int) uint32     { return atomic.LoadUint32(&m[i]) }
func (m mapped) store(i int, v uint32) { atomic.StoreUint32(&m[i], v) }
