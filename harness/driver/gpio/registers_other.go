//go:build !linux

package gpio

// openRegisters has nothing to map but on Linux.
func openRegisters() (*registers, error) { return nil, ErrNoRegisters }
