package link

import "golang.org/x/sys/unix"

func bindToDevice(fd int, name string) error { return unix.BindToDevice(fd, name) }
