//go:build !linux

package exec

import "syscall"

// diesWithUs is for Linux alone.
func diesWithUs(*syscall.SysProcAttr) {}
