package rigs

import (
	"cmp"
	"context"

	"rigor/harness/driver/exec"
	"rigor/harness/driver/person"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// askStorage has a person read a memory of the DUT.
func askStorage(_ context.Context, s *rig.Storage, env rig.Env) (wire.Storage, error) {
	return person.NewStorage(env.Part, env.Name, s.Ask, env.Dir, s.Size, cmp.Or(s.Within, rig.DefaultStorageWithin), env.Ask), nil
}

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
