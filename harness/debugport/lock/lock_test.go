package lock_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/debugport/lock"
)

// TestFiles: every file is read, each of its values has a source, and each chip that the
// project speaks of has one.
func TestFiles(t *testing.T) {
	for _, name := range []string{"nrf52", "nrf53", "nrf91", "stm32f0", "stm32f1", "stm32f4", "stm32f7", "stm32l0", "stm32l1", "stm32l4", "stm32l5", "stm32g0", "stm32g4", "stm32h7", "stm32wb",
		"kinetis", "efm32", "sam", "rp2040", "rp2350", "lpc"} {
		l, err := lock.Named(name)
		require.NoError(t, err)
		assert.Equal(t, name, l.Name)
		for i := range l.Reads {
			assert.NotEmpty(t, l.Reads[i].Source, "%s %s", name, l.Reads[i].Name)
			assert.NotEmpty(t, l.Reads[i].Where())
		}
	}
	assert.Len(t, lock.Names(), 21)
	_, err := lock.Named("nrf25")
	assert.ErrorContains(t, err, `no lock is called "nrf25"; there are efm32, kinetis, lpc`)
}

// TestSays: a few values, as the data sheets have them.
func TestSays(t *testing.T) {
	for _, c := range []struct {
		lock, read string
		raw        uint32
		state      string
	}{
		{"nrf52", "APPROTECTSTATUS", 0, lock.Locked},
		{"nrf52", "APPROTECTSTATUS", 1, lock.Open},
		{"nrf91", "APPROTECTSTATUS", 1, lock.Partly},
		{"stm32f4", "RDP", 0x0fffaaed, lock.Open},
		{"stm32f4", "RDP", 0x0fffbbed, lock.Locked},
		{"stm32f4", "RDP", 0x0fffcced, lock.Locked},
		{"stm32l5", "RDP", 0x55, lock.Partly},
		{"nrf53", "CSW of the application core", 0x43000002, lock.Locked},
		{"nrf53", "CSW of the application core", 0x43000042, lock.Partly},
		{"nrf53", "CSW of the application core", 0x43800042, lock.Open},
		{"nrf53", "CSW of the application core", 0x43800002, lock.Unknown},
		{"nrf53", "CSW of the network core", 0x43800042, lock.Open},
		{"kinetis", "MDM-AP status", 0x26, lock.Locked},
		{"kinetis", "MDM-AP status", 0x24, lock.Unknown},
		{"kinetis", "MDM-AP status", 0x22, lock.Open},
		{"rp2350", "CRIT1", 2, lock.Partly},
		{"stm32f1", "RDPRT", 0x03fffffe, lock.Locked},
		{"sam", "DSU STATUSB.PROT", 0x00030000, lock.Locked},
		{"lpc", "CRP", 0xffffffff, lock.Open},
		{"lpc", "CRP", 0x43218765, lock.Locked},
	} {
		l, err := lock.Named(c.lock)
		require.NoError(t, err)
		for i := range l.Reads {
			if l.Reads[i].Name == c.read {
				state, words := l.Reads[i].Says(c.raw)
				assert.Equal(t, c.state, state, "%s %s 0x%x: %s", c.lock, c.read, c.raw, words)
			}
		}
	}
}

// TestReadsOnly: nothing but a read can be said, and none that stands among those that
// erase or unlock.
func TestReadsOnly(t *testing.T) {
	const head = "lock: x\ntitle: X\nsource: s\nreads:\n  - {name: A, source: s, mask: 1, means: [{is: 1, state: open}], "
	for name, c := range map[string]struct{ text, want string }{
		"a write":                 {head + "memory: 0x10, write: 1}", `has no key "write"`},
		"a value to write":        {head + "memory: 0x10, value: 1}", `has no key "value"`},
		"mass erase of the nRF52": {head + "ap: {index: 1, idr: 0x02880000, mask: 0x0fffffff}, register: 0x04}", "register 0x04 of that access port is not for looking"},
		"a key of the nRF91":      {head + "ap: {index: 4, idr: 0x12880000, mask: 0xffffffff}, register: 0x1c}", "register 0x1c of that access port is not for looking"},
		"control of the MDM-AP":   {head + "ap: {index: 1, idr: 0x001c0000, mask: 0xffffff0f}, register: 0x04}", "is not for looking"},
		"both":                    {head + "memory: 0x10, ap: {index: 1, idr: 1, mask: 1}}", "of an access port, or of memory"},
		"no source":               {"lock: x\ntitle: X\nsource: s\nreads: [{name: A, mask: 1, memory: 4, means: [{is: 1, state: open}]}]", "no source"},
		"never read":              {"lock: x\ntitle: X\nsource: s\nreads: [{name: A, source: s, mask: 1, memory: 4, means: [{is: 2, state: open}]}]", "never read under the mask"},
		"no reads":                {"lock: x\ntitle: X\nsource: s\n", "it names no reads"},
		"no state of a lock":      {"lock: x\ntitle: X\nsource: s\nreads: [{name: A, source: s, mask: 1, memory: 4, means: [{is: 1, state: ajar}]}]", `the state is "ajar"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lock.Parse("x.yaml", []byte(c.text))
			assert.ErrorContains(t, err, c.want)
		})
	}
}
