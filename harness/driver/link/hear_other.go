//go:build !linux

package link

import (
	"context"
	"fmt"
	"net"

	"rigor/harness/wire"
)

// Hear is for Linux.
func (l *Link) Hear(context.Context, net.HardwareAddr) (wire.Ear, error) {
	return nil, fmt.Errorf("%s: hear frames: %w", l.conf.Part, wire.ErrUnsupported)
}
