//go:build !linux

package link

import "rigor/harness/wire"

// neighbours is for Linux alone.
func neighbours() ([]neighbour, error) { return nil, wire.ErrUnsupported }
