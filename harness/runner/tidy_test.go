package runner

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// tidier gives a run on a rig with two consoles that give no answer.
func tidier(t *testing.T) (r *run, d *dut.Device, at func(name string) *Planned) {
	t.Helper()
	b, prof := &dut.Bench{Consoles: map[string]*console.Console{}}, &profile.Profile{Name: "dut"}
	prof.Logins = profile.Section[*profile.Login]{Given: true, Items: map[string]*profile.Login{}}
	prof.Consoles = profile.Section[*profile.Console]{Given: true, Items: map[string]*profile.Console{}}
	for _, name := range []string{"main", "aux"} {
		con := console.Open(t.Context(), &gappy{gone: make(chan struct{})}, console.Options{Part: check.PartConsole(name)})
		t.Cleanup(func() { _ = con.Close() })
		b.Consoles[name] = con
		prof.Consoles.Items[name] = &profile.Console{Login: profile.Pattern{Literal: "login:"}, Password: profile.Pattern{Literal: "Password:"}, Shell: profile.Pattern{Literal: "# "}}
		prof.Logins.Order = append(prof.Logins.Order, name)
		prof.Logins.Items[name] = &profile.Login{Protocol: "console", Console: name}
	}
	device := dut.New(prof, dut.Unit{}, b)
	r = seatOf(t.Context(), Config{Profile: prof, Device: device}, newRoster(1))
	s := dut.NewSession(t.Context(), nil)
	t.Cleanup(s.Revoke)
	return r, device.With(s), func(name string) *Planned {
		return &Planned{ID: name, Case: check.Case{Parts: []wire.Part{check.PartConsole(name)}}}
	}
}

// TestTidyGivenUp: one that was given up may still be at it while the run tidies before
// the next case; what it met once its time was over says nothing of the console.
func TestTidyGivenUp(t *testing.T) {
	t.Run("beside the next", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, d, at := tidier(t)
			for range 20 {
				go r.tidy(t.Context(), d, at("main"))
				go r.tidy(t.Context(), d, at("aux"))
			}
			time.Sleep(time.Hour)
			assert.NotNil(t, r.tidy(t.Context(), d, at("main")), "it is not fed on")
			assert.NotNil(t, r.tidy(t.Context(), d, at("aux")), "it is not fed on")
		})
	})
	t.Run("its time is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, d, at := tidier(t)
			for range silentCases {
				assert.Nil(t, r.tidy(t.Context(), d, at("main")))
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			assert.Nil(t, r.tidy(over, d, at("main")))
			assert.NotNil(t, r.tidy(t.Context(), d, at("main")), "it is as silent as it was")
		})
	})
}
