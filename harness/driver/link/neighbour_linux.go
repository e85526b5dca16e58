package link

import (
	"fmt"
	"syscall"
)

// neighbours reads the kernel's table.
func neighbours() ([]neighbour, error) {
	b, err := syscall.NetlinkRIB(syscall.RTM_GETNEIGH, syscall.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("read the table of neighbours: %w", err)
	}
	return parseNeighbours(b)
}
