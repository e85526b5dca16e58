package exec

import "syscall"

// diesWithUs has the kernel end the program when we end, however we end: what
// it was about to do must not come after the rig was made safe. The signal
// follows the thread that started the program (prctl(2), PR_SET_PDEATHSIG),
// which is why the caller keeps its thread.
func diesWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
