package credential

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// A failed boot shows on a console: of a device that is declared to have none, or
// none that says anything, it cannot be said, and the profile is not what is missing.
func TestFallbackWithoutAConsole(t *testing.T) {
	for text, want := range map[string]verdict.Reason{
		"consoles: {none: no pads}":                                          verdict.ReasonRigLacks,
		"consoles: {main: {none: not populated}}":                            verdict.ReasonRigLacks,
		"consoles: {main: {silent: true}}":                                   verdict.ReasonRigLacks,
		"consoles: {main: {newline: cr}}":                                    verdict.ReasonProfileMissing,
		"consoles: {main: {boot: {none: it shows none}}}":                    verdict.ReasonDeclaredNone,
		"consoles: {main: {silent: true, boot: {none: it is silent in it}}}": verdict.ReasonDeclaredNone,
		"maker: Acme": verdict.ReasonProfileMissing,
	} {
		p, err := profile.Parse("p.yaml", []byte("profile: p\n"+text+"\n"))
		require.NoError(t, err, text)
		got := failedBootDeclared(check.Input{Profile: p}, &check.Case{})
		require.NotNil(t, got, text)
		assert.Equal(t, want, got.Reason, text)
	}
}
