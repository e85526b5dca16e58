package qemu

import "syscall"

// diesWithUs has the kernel end the process when we end, however we end.
func diesWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
