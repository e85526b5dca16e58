package rigs

import (
	"context"

	"rigor/harness/driver/exec"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// execStorage has a program, such as flashrom, read a memory of the DUT.
func execStorage(_ context.Context, s *rig.Storage, env rig.Env) (wire.Storage, error) {
	read, write := command(s.Exec, env), exec.Command{}
	if len(s.Write) > 0 {
		write = command(s.Write, env)
	}
	read.Timeout = s.Within
	if read.Timeout == 0 {
		read.Timeout = rig.DefaultStorageWithin
	}
	write.Timeout = read.Timeout
	return exec.NewStorage(read, write, s.Size)
}
