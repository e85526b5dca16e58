package rigs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/fixtures/virtual"
	"rigor/harness/profile"
	"rigor/harness/rig"
)

func TestBuiltInFilesLoadAndLackNothing(t *testing.T) {
	require.Subset(t, Names(), []string{"virtual", "virtual-bench", "virtual-open"})
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			f, p, err := Load(name)
			require.NoError(t, err)
			assert.Equal(t, name, f.Name)
			assert.Empty(t, rig.Lacking(f, p))
			if f.Virtual != nil {
				for _, w := range f.Virtual.Weaknesses {
					assert.Contains(t, weaknesses(), w)
				}
			}
		})
	}
}

func weaknesses() []string {
	var out []string
	for _, w := range virtual.Weaknesses() {
		out = append(out, w.Name)
	}
	return out
}

// The profile declares what the device declares of itself.
func TestProfileOfTheBuiltInDevice(t *testing.T) {
	_, p, err := Load("virtual")
	require.NoError(t, err)
	assert.Equal(t, virtual.Maker, p.Maker)
	assert.Equal(t, virtual.Model, p.Model)
	assert.Equal(t, virtual.Hardware, p.Hardware)
	assert.Equal(t, virtual.FirmwareVersion, p.Firmware.Version)
	policy := virtual.DeclaredPolicy()
	assert.Equal(t, policy.MinLength, p.Password.MinLength)
	for _, name := range p.Logins.Order {
		l := p.Logins.Items[name].Lockout
		assert.Equal(t, policy.After, l.After, name)
		assert.Equal(t, policy.Window, l.Window, name)
		assert.Equal(t, policy.Lasts, l.Lasts, name)
	}
	assert.Equal(t, virtual.AutobootFor, p.Consoles.Items["main"].Boot.Window)
	for _, f := range p.Feed() {
		if f.Said == profile.SaidNot {
			assert.Contains(t, notOfTheVirtualDevice, f.Path, "the profile that others copy from does not say it")
		}
	}
}

// notOfTheVirtualDevice are sections that mean nothing beside what the profile
// says elsewhere.
var notOfTheVirtualDevice = []string{
	"logins.ssh.transport",                                                                                                           // SSH is its own protection
	"logins.console.transport",                                                                                                       // a console crosses no network
	"alive",                                                                                                                          // its console shows its boots
	"consoles.main.answer",                                                                                                           // it takes input, and has a login
	"consoles.aux.boot", "consoles.aux.boot.fail", "consoles.aux.boot.fail.comes-up", "consoles.aux.sysrq", "consoles.aux.injection", // it is silent
}

// A rig file's program rigor is not this test binary, which would run its tests.
func TestATestBinaryIsNotRigor(t *testing.T) {
	assert.Equal(t, []string{"rigor", "virtual"}, ours([]string{"rigor", "virtual"}))
}
