package dut

import (
	"context"
	"testing"
	"time"

	"rigor/harness/beside"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// broken is a prober whose parser does not bear what the DUT says.
type broken struct{}

func (broken) Try(context.Context, login.Credential) (login.Outcome, error) {
	panic("hostile bytes")
}

func (broken) Open(context.Context, login.Credential) (login.Access, login.Outcome, error) {
	panic("hostile bytes")
}

// TestPanicBeside: what panics in a routine beside a case's ends the case, where the runner
// takes it for what it is, and not the program.
func TestPanicBeside(t *testing.T) {
	d := New(&profile.Profile{}, Unit{}, &Bench{}).With(NewSession(t.Context(), nil))
	door := &Door{name: "web", d: d, decl: &profile.Login{Protocol: "console"}, open: func(context.Context, wire.Dialer) (prober, error) { return broken{}, nil }}
	for name, f := range map[string]func(){
		"tries at once": func() { _, _ = door.TryAtOnce(t.Context(), make([]login.Credential, 2)) },
		"a sweep":       func() { _ = login.Sweep(t.Context(), broken{}, make([]login.Credential, 3), 2, nil) },
		"a race": func() {
			p := &profile.Profile{}
			p.Updates.Items = map[string]*profile.Update{"api": {Steps: []profile.Step{{Verb: "exec", Exec: []string{"deliver"}}}}}
			forged := make(chan struct{})
			d := New(p, Unit{}, &Bench{Exec: func(_ context.Context, _ []string, values map[string]string) (string, map[string]string, error) {
				if values["image-size"] == "5" {
					close(forged)
					panic("hostile bytes")
				}
				<-forged
				return "installed", nil, nil
			}}).With(NewSession(t.Context(), nil))
			_, _, _ = d.Update("api").Race(t.Context(), Image{Name: "genuine", Bytes: []byte("genuine")}, time.Millisecond, Beside{d.Update("api"), Image{Name: "forged", Bytes: []byte("forge")}})
		},
		"work that is looked at": func() {
			_ = While(t.Context(), func(context.Context) error { panic("hostile bytes") }, func(context.Context) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p any
			func() {
				defer func() { p = recover() }()
				f()
			}()
			require.IsType(t, &beside.Panic{}, p)
			assert.Contains(t, p.(*beside.Panic).String(), "hostile bytes (beside, in dut.")
		})
	}
}
