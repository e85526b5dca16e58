package qemu

import (
	"net"

	"golang.org/x/sys/unix"
)

// untaken is 0 where QEMU has read all that was sent (unix(7), SIOCOUTQ).
func untaken(c net.Conn) (int, error) {
	return outq(c, func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
}
