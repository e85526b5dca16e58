package adi

import (
	"context"
	"fmt"

	"rigor/harness/dap"
)

// Addresses in the system space of ARMv6-M to ARMv8-M.
const (
	atCPUID      = 0xe000ed00
	atDHCSR      = dap.CoreAt
	atDAUTHSTAT  = 0xe000efb8
	haltTries    = 64
	registerWait = 64
)

// CPUID reads the CPUID of a core of ARMv6-M to ARMv8-M.
func (m *Memory) CPUID(ctx context.Context) (CPUID, Answer, error) {
	v, a, err := m.Word(ctx, atCPUID)
	return CPUID(v), a, err
}

// CPUID is the register of this name.
type CPUID uint32

// Cortex says whether it is that of a core of the M profile by Arm.
func (c CPUID) Cortex() bool {
	return c>>24 == 0x41 && (c>>12&0xf == 0xc || c>>12&0xf == 0xd) && c>>16&0xf >= 0xc
}

// Auth are the fields of DAUTHSTATUS and AUTHSTATUS.
type Auth uint32

// AuthField is one of them: whether a kind of debugging is there, and enabled.
type AuthField uint8

// Values of a field; the rest is reserved.
const (
	AuthAbsent   AuthField = 0
	AuthDisabled AuthField = 2
	AuthEnabled  AuthField = 3
)

// String gives a word.
func (f AuthField) String() string {
	return [...]string{"not implemented", "reserved", "disabled", "enabled"}[f&3]
}

// NonSecure gives the field of invasive debugging, non-secure.
func (a Auth) NonSecure() AuthField { return AuthField(a & 3) }

// NonSecureTrace gives the field of non-invasive debugging, non-secure.
func (a Auth) NonSecureTrace() AuthField { return AuthField(a >> 2 & 3) }

// Secure gives the field of invasive debugging, secure.
func (a Auth) Secure() AuthField { return AuthField(a >> 4 & 3) }

// SecureTrace gives the field of non-invasive debugging, secure.
func (a Auth) SecureTrace() AuthField { return AuthField(a >> 6 & 3) }

// DAuthStatus reads DAUTHSTATUS of a core of ARMv8-M.
func (m *Memory) DAuthStatus(ctx context.Context) (Auth, Answer, error) {
	v, a, err := m.Word(ctx, atDAUTHSTAT)
	return Auth(v), a, err
}

// DHCSR reads the status of a core: it halts nothing.
func (m *Memory) DHCSR(ctx context.Context) (uint32, Answer, error) { return m.Word(ctx, atDHCSR) }

// Bits of DHCSR as it is read.
const (
	DebugEnabled uint32 = 1 << 0
	RegisterDone uint32 = 1 << 16
	Halted       uint32 = 1 << 17
	LockedUp     uint32 = 1 << 19
	WasReset     uint32 = 1 << 25
)

// Core is a core that may be halted, by the rig's leave.
type Core struct {
	m     *Memory
	c     dap.Consent
	reset bool // it was reset since it was asked for
}

// WasReset says whether the core told that it was reset since it was asked for: what it
// was told to do is gone then, and was not refused.
func (c *Core) WasReset() bool { return c.reset }

// status reads DHCSR through BD0, with TAR where an act has left it.
func (c *Core) status(ctx context.Context) (uint32, Answer, error) {
	v, a, err := c.m.s.read1(ctx, c.m.ap, dap.BD0)
	c.reset = c.reset || a == dap.OK && v&WasReset != 0
	return v, a, err
}

// Core gives the core whose CPUID is behind this memory. It is refused without the rig's
// leave, and where no core of the M profile is found.
func (m *Memory) Core(ctx context.Context, c dap.Consent) (*Core, Answer, error) {
	if _, err := dap.CoreControl(m.ap, c, dap.CoreHalt); err != nil {
		return nil, dap.NotDone, err
	}
	id, a, err := m.CPUID(ctx)
	if err != nil || a != dap.OK {
		return nil, a, err
	}
	if !id.Cortex() {
		return nil, dap.Protocol, nil
	}
	if _, a, err = m.DHCSR(ctx); err != nil || a != dap.OK { // which forgets of resets before
		return nil, a, err
	}
	return &Core{m: m, c: c}, a, nil
}

// act writes DHCSR, and reads it back.
func (c *Core) act(ctx context.Context, what dap.HaltAct) (dhcsr uint32, a Answer, err error) {
	w, err := dap.CoreControl(c.m.ap, c.c, what)
	if err != nil {
		return 0, dap.NotDone, err
	}
	t := c.m.s.t
	for _, w := range []dap.Write{dap.Address(c.m.ap, dap.CoreAt), w} {
		if a, err = t.Write(ctx, w); err != nil || a != dap.OK {
			return 0, a, err
		}
	}
	return c.status(ctx)
}

// Halt asks the core to halt, and says whether it did.
func (c *Core) Halt(ctx context.Context) (halted bool, a Answer, err error) {
	v, a, err := c.act(ctx, dap.CoreHalt)
	for try := 0; err == nil && a == dap.OK && v&Halted == 0 && try < haltTries; try++ {
		v, a, err = c.status(ctx)
	}
	if err != nil {
		return false, dap.NotDone, fmt.Errorf("halt the core: %w", err)
	}
	return a == dap.OK && v&Halted != 0, a, nil
}

// Step lets the core do one instruction; it is halted before and behind.
func (c *Core) Step(ctx context.Context) (halted bool, a Answer, err error) {
	v, a, err := c.act(ctx, dap.CoreStep)
	for try := 0; err == nil && a == dap.OK && v&Halted == 0 && try < haltTries; try++ {
		v, a, err = c.status(ctx)
	}
	if err != nil {
		return false, dap.NotDone, fmt.Errorf("step the core: %w", err)
	}
	return a == dap.OK && v&Halted != 0, a, nil
}

// Detach lets the core run, and gives up debugging it.
func (c *Core) Detach(ctx context.Context) (Answer, error) {
	if _, a, err := c.act(ctx, dap.CoreRun); err != nil || a != dap.OK {
		return a, err
	}
	_, a, err := c.act(ctx, dap.CoreDetach)
	return a, err
}

// Register reads a register of a halted core.
func (c *Core) Register(ctx context.Context, r dap.CoreRegister) (uint32, Answer, error) {
	w, err := dap.CoreSelect(c.m.ap, c.c, r)
	if err != nil {
		return 0, dap.NotDone, err
	}
	var a Answer
	for _, w := range []dap.Write{dap.Address(c.m.ap, dap.CoreAt), w} {
		if a, err = c.m.s.t.Write(ctx, w); err != nil || a != dap.OK {
			return 0, a, err
		}
	}
	for range registerWait {
		v, a, err := c.m.s.read1(ctx, c.m.ap, dap.BD0)
		if err != nil || a != dap.OK {
			return 0, a, err
		}
		if v&RegisterDone != 0 {
			return c.m.s.read1(ctx, c.m.ap, dap.BD2)
		}
	}
	return 0, dap.Wait, nil
}
