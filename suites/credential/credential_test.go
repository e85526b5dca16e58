package credential_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/credential"
)

type planted = rigtest.Planted

// run checks the built-in device with the credential suite.
func run(t *testing.T, p planted, selectors ...string) *journal.Result {
	t.Helper()
	return rigtest.Run(t, credential.Suite, p, selectors...)
}

// inTime runs again what says that this computer was too slow for a device that has locks
// of less than a second: as often as it takes, in reason.
func inTime(t *testing.T, p planted, selectors ...string) (res *journal.Result) {
	t.Helper()
	for range 5 {
		res = run(t, p, selectors...)
		slow := func(c journal.Case) bool {
			j := c.Judgement
			return j.Reason == verdict.ReasonRigLate || strings.Contains(j.Detail, "longer than the window") || strings.Contains(j.Detail, "lock of") && strings.Contains(j.Detail, "may have been over")
		}
		if !slices.ContainsFunc(res.Cases, slow) {
			break
		}
	}
	return res
}

// shut has something between us and the device refuse a port.
func shut(port string) func(rig.Drivers) {
	return func(d rig.Drivers) {
		open := d.Link["virtual"]
		d.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
			l, err := open(ctx, n, e)
			return &filter{Link: l, port: port}, err
		}
	}
}

// filter refuses one port, as a closed one does.
type filter struct {
	wire.Link
	port string
}

// DialContext dials all the others.
func (f *filter) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if strings.HasSuffix(address, ":"+f.port) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return f.Link.DialContext(ctx, network, address)
}

// slow has each connection take so much longer.
func slow(d time.Duration) func(rig.Drivers) {
	return func(drivers rig.Drivers) {
		open := drivers.Link["virtual"]
		drivers.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
			l, err := open(ctx, n, e)
			return &late{Link: l, by: d}, err
		}
	}
}

type late struct {
	wire.Link
	by time.Duration
}

// DialContext dials after a time.
func (l *late) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	timer := time.NewTimer(l.by)
	defer timer.Stop()
	select {
	case <-timer.C:
		return l.Link.DialContext(ctx, network, address)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func judged(t *testing.T, res *journal.Result, id string) string {
	t.Helper()
	c := res.Case(id)
	require.NotNil(t, c, id)
	return rigtest.Judged(c)
}

const pass = string(verdict.Pass)

func TestFallback(t *testing.T) {
	t.Parallel()
	fail := func(edit func(f *profile.BootFail)) func(*profile.Profile) {
		return func(p *profile.Profile) { edit(&p.Consoles.Items["main"].Boot.Fail) }
	}
	for _, c := range []struct {
		name  string
		p     planted
		want  string // "neither": neither pass nor fail
		short bool   // also with -short: each boots the device several times
	}{
		{"hardened", planted{}, pass, false},
		{"a default beside the owner", planted{Weaknesses: []string{"blind-fallback-default"}}, "fail.access", false},
		{"a default in place of the owner", planted{Weaknesses: []string{"fallback-default-alone"}}, "fail.access", false},
		{"a default in the boot after it", planted{Weaknesses: []string{"default-after-reboot"}, Profile: fail(func(f *profile.BootFail) {
			f.ComesUp = profile.ComesUp{None: profile.None{None: "it waits for the service bench"}}
		})}, "fail.access", false},
		{"hardened, stays down", planted{Profile: fail(func(f *profile.BootFail) {
			f.ComesUp = profile.ComesUp{None: profile.None{None: "it waits for the service bench"}}
		})}, pass, false},
		{"nobody says whether it comes up", planted{Profile: fail(func(f *profile.BootFail) { f.ComesUp = profile.ComesUp{} })}, "inconclusive.profile-missing", false},
		{"nobody says how a boot fails", planted{Profile: fail(func(f *profile.BootFail) { *f = profile.BootFail{} })}, "inconclusive.profile-missing", false},
		{"no boot can fail", planted{Profile: fail(func(f *profile.BootFail) { *f = profile.BootFail{None: profile.None{None: "it boots from mask ROM"}} })}, "not-applicable.declared-none", false},
		{"it does not fail as declared", planted{Profile: fail(func(f *profile.BootFail) { f.Provoke = f.Provoke[:1] })}, "inconclusive.precondition", false},
		{"it does not come up as declared", planted{Weaknesses: []string{"boot-fail-prompt"}}, "inconclusive.precondition", false},
		{"a port is shut", planted{Drivers: shut("22")}, "neither", false},
		{"no plug in the console", planted{Faults: []string{"console-unplugged"}, Profile: rigtest.Hurried}, "neither", false},
		{"the switch does not open", planted{Faults: []string{"power-stuck-on"}, Profile: rigtest.Hurried}, "neither", false},
		{"the owner is locked out", planted{Faults: []string{"owner-locked"}}, "neither", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && !c.short {
				t.Skip("boots a device several times")
			}
			t.Parallel()
			res := inTime(t, c.p, "cred-fallback", "cred-transport[ssh]")
			if c.want == "neither" {
				assert.Contains(t, []verdict.Verdict{verdict.Inconclusive, verdict.Error}, res.Case("cred-fallback").Judgement.Verdict)
				return
			}
			assert.Equal(t, c.want, judged(t, res, "cred-fallback"))
			assert.Empty(t, res.Open, "what was done to the device is undone")
		})
	}
}

// TestFallbackSaysMost: what a device would be opened by is tried on every door, in
// both boots, and what the claims lean on is in the record.
func TestFallbackSaysMost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	c := run(t, planted{}, "cred-fallback").Case("cred-fallback")
	var texts []string
	for _, cl := range c.Claims {
		texts = append(texts, cl.Claim.Text)
	}
	for _, door := range []string{"api", "console", "ssh", "telnet", "web"} {
		assert.Contains(t, texts, "in the boot that failed no default login opens "+door)
		assert.Contains(t, texts, "in the boot after it no default login opens "+door)
	}
	assert.Contains(t, texts, "the owner's password outlives the failed boot")
	assert.Equal(t, []string{"console.main", "link", "power"}, c.Parts)
}

// TestSkipThatCameTooLate: a set-up that was whole before its power was cut was not
// skipped, and is not failed for it.
func TestSkipThatCameTooLate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	late := func(p *profile.Profile) {
		for i := range p.Setup.Skips {
			if p.Setup.Skips[i].ID == "power-cut" {
				p.Setup.Skips[i].Steps[0].Interrupt = 3 * time.Second
			}
		}
	}
	res := run(t, planted{Profile: late}, "cred-forced-set")
	assert.Equal(t, "inconclusive.ineffective", judged(t, res, "cred-forced-set"))
	assert.Empty(t, res.Open, "what was done to the device is undone")
}

// TestSkipThatWentThrough: a set-up that is declared not to go through was not cut
// short when it did, and gave the device a password that is not its owner's.
func TestSkipThatWentThrough(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("sets devices up")
	}
	whole := func(p *profile.Profile) {
		s := p.Setup.Choose[0]
		s.JSON = map[string]any{"label": "another", "user": "operator", "password": "${new}"}
		p.Setup.Skips = []profile.SetupSkip{{ID: "another-label", Steps: []profile.Step{s}}}
	}
	for weakness, want := range map[string]string{"setup-any-label": "fail.expectation", "": pass} {
		t.Run("with "+weakness, func(t *testing.T) {
			t.Parallel()
			p := planted{Profile: whole}
			if weakness != "" {
				p.Weaknesses = []string{weakness}
			}
			res := run(t, p, "cred-forced-set")
			assert.Equal(t, want, judged(t, res, "cred-forced-set"))
			assert.Empty(t, res.Open, "what was done to the device is undone")
		})
	}
}

// TestLockRecoverOverASlowLink: a try in the first half of a lock does not show
// that the lock lasts, however slow tries are.
func TestLockRecoverOverASlowLink(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for locks over a slow link")
	}
	for _, by := range []time.Duration{25 * time.Millisecond, 38 * time.Millisecond} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			c := run(t, planted{Weaknesses: []string{"lockout-short"}, Drivers: slow(by)}, "cred-lock-recover[ssh]").Case("cred-lock-recover[ssh]")
			assert.NotEqual(t, verdict.Pass, c.Judgement.Verdict)
		})
	}
}

// TestFactoryStateAlone: a case that passes only with what others show is as good
// when it is selected alone, and no better where that is not so.
func TestFactoryStateAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		id   string
		p    planted
		want string
	}{
		{"closed", "cred-factory-state[ssh]", planted{}, pass},
		{"closed too", "cred-factory-state[telnet]", planted{}, pass},
		{"a page that is not there", "cred-factory-state[web]", planted{}, pass},
		{"shut by somebody else", "cred-factory-state[ssh]", planted{Drivers: shut("22")}, "inconclusive.bracket"},
		{"no page there ever", "cred-factory-state[web]", planted{Profile: func(p *profile.Profile) { p.Logins.Items["web"].Page = "/old/login" }}, "inconclusive.bracket"},
		{"no owner to be let in", "cred-factory-state[ssh]", planted{Profile: func(p *profile.Profile) { p.Logins.Items["ssh"].Owner = profile.Account{} }}, "inconclusive.bracket"},
		{"no state that offers it", "cred-factory-state[ssh]", planted{Profile: func(p *profile.Profile) { p.States.Items["onboarded"].Logins = nil }}, "inconclusive.bracket"},
		{"a default login", "cred-factory-state[web]", planted{Weaknesses: []string{"factory-default-login"}}, "fail.access"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, judged(t, run(t, c.p, c.id), c.id))
		})
	}
}

// TestShutSession: a device ends what was opened with the old password in its own
// way. One that refuses a further session, or that hangs up, has ended it.
func TestShutSession(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("changes passwords and boots")
	}
	ids := []string{"cred-change[api]", "cred-change[console]", "cred-change[ssh]", "cred-change[telnet]", "cred-change[web]"}
	for weakness, want := range map[string]string{"": pass, "change-keeps-sessions": "fail.access"} {
		t.Run(weakness, func(t *testing.T) {
			t.Parallel()
			p := planted{}
			if weakness != "" {
				p.Weaknesses = []string{weakness}
			}
			res := run(t, p, ids...)
			kinds := map[verdict.Kind]bool{}
			for _, id := range ids {
				assert.Equal(t, want, judged(t, res, id), id)
				for _, cl := range res.Case(id).Claims {
					if cl.Claim.Text == "a session from before the change is shut" && cl.Probes != nil {
						for k := range cl.Probes.Kinds {
							kinds[k] = true
						}
					}
				}
			}
			if weakness == "" {
				assert.Equal(t, map[verdict.Kind]bool{verdict.Refused: true, verdict.Unproven: true, verdict.Unreachable: true}, kinds, "the device shows all the ways")
			}
		})
	}
}

// TestOneSession: where a login alone ends the session before, a session that is
// over says nothing about the change, if its steps log in on the same channel.
func TestOneSession(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("changes passwords and boots")
	}
	ids := []string{"cred-change[api]", "cred-change[web]"}
	for weakness, web := range map[string]string{"harmless-single-session": pass, "single-keeps-session": "fail.access"} {
		t.Run(weakness, func(t *testing.T) {
			t.Parallel()
			res := run(t, planted{Weaknesses: []string{weakness}}, ids...)
			assert.Equal(t, "inconclusive.ineffective", judged(t, res, ids[0]))
			assert.Equal(t, web, judged(t, res, ids[1]))
		})
	}
}

// TestClearPort: a further port that nobody answers at keeps the password off the
// wire where no service is declared there. One that is declared, and shut, was
// shut by somebody else, and shows nothing.
func TestClearPort(t *testing.T) {
	t.Parallel()
	const id = "cred-transport[web]"
	for _, c := range []struct {
		name string
		p    planted
		want string
	}{
		{"open, and leads to the safe one", planted{}, pass},
		{"open, and takes the login", planted{Weaknesses: []string{"plain-http-login"}}, "fail.leak"},
		{"open, and takes nothing but the login", planted{Weaknesses: []string{"plain-post-login"}}, "fail.leak"},
		{"shut, and declared", planted{Drivers: shut("80")}, "inconclusive.ineffective"},
		{"shut, and no service is declared", planted{Drivers: shut("80"), Profile: func(p *profile.Profile) {
			p.States.Items["onboarded"].Services = []string{"tcp/22", "tcp/443"}
		}}, pass},
		{"shut, and nobody says which services there are", planted{Drivers: shut("80"), Profile: func(p *profile.Profile) {
			p.States.Items["onboarded"].Services = nil
		}}, "inconclusive.ineffective"},
		{"the login itself is shut", planted{Drivers: shut("443")}, "inconclusive.control-failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.name == "the login itself is shut" {
				t.Skip("waits for a login that does not come")
			}
			got := judged(t, run(t, c.p, id), id)
			if c.name == "the login itself is shut" { // in which state the device is is shown over it
				assert.NotEqual(t, pass, got)
				assert.NotContains(t, got, "fail")
				return
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestSkipsAreAsked: a skip of the set-up is refused only by a device that was asked.
func TestSkipsAreAsked(t *testing.T) {
	t.Parallel()
	elsewhere := func(s *profile.Step) { s.Login, s.Port, s.TLS = "", 1, true } // where nobody listens, on no computer of today
	for _, c := range []struct {
		name string
		edit func(s *profile.Setup)
		want string
	}{
		{"as declared", func(*profile.Setup) {}, pass},
		{"a request to a closed port", func(s *profile.Setup) { elsewhere(&s.Skips[0].Steps[0]) }, "inconclusive.ineffective"},
		{"one that is cut short there", func(s *profile.Setup) { elsewhere(&s.Skips[2].Steps[0]) }, "inconclusive.ineffective"},
		{"weak passwords to a closed port", func(s *profile.Setup) { elsewhere(&s.Choose[0]) }, "inconclusive.control-failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.want != "inconclusive.control-failed" {
				t.Skip("what is wrong from the start is quicker seen")
			}
			t.Parallel()
			res := run(t, planted{Profile: func(p *profile.Profile) { c.edit(&p.Setup) }}, "cred-forced-set")
			assert.Equal(t, c.want, judged(t, res, "cred-forced-set"))
		})
	}
}

// TestSetUpAsksForTheLabel: who does not know what stands on the label sets nothing
// up. Only a device that was set up by a stranger fails, and what a set-up says no to
// for another reason shows nothing.
func TestSetUpAsksForTheLabel(t *testing.T) {
	if testing.Short() {
		t.Skip("five boots each")
	}
	t.Parallel()
	const id = "cred-forced-set"
	noLabel := func(p *profile.Profile) { // it is neither offered nor declared
		p.Setup.Label = profile.SetupLabel{}
		p.Setup.Choose, _ = profile.Without(p.Setup.Choose, profile.LabelPassword)
		p.Setup.Skips = p.Setup.Skips[:1]
	}
	for _, c := range []struct {
		name string
		p    planted
		want string
		says string // what the report says of it
	}{
		{"any label", planted{Weaknesses: []string{"setup-any-label"}}, "fail.access", "another label of the same shape opened it"},
		{"none at all", planted{Weaknesses: []string{"setup-no-label"}}, "fail.access", "no label at all opened it"},
		{"none at all, and it cannot be left out", planted{Weaknesses: []string{"setup-no-label"}, Profile: func(p *profile.Profile) {
			p.Setup.Choose[0].JSON = map[string]any{"label": " ${unit.label-password}", "user": "operator", "password": "${new}"}
		}}, pass, ""},
		{"a no in words alone", planted{Weaknesses: []string{"harmless-setup-says-200"}}, pass, ""},
		{"a weak password, and a no in words alone", planted{Weaknesses: []string{"harmless-setup-says-200", "blind-policy-setup"}}, "fail.access", "a single letter opened it"},
		{"nobody says whether it asks", planted{Weaknesses: []string{"setup-any-label"}, Profile: noLabel}, "inconclusive.profile-missing", "setup.label"},
		{"nobody says which labels look right", planted{Profile: func(p *profile.Profile) { p.Setup.Label = profile.SetupLabel{} }}, "inconclusive.profile-missing", "setup.label"},
		{"nobody says which labels look right, and any is taken", planted{Weaknesses: []string{"setup-any-label"}, Profile: func(p *profile.Profile) {
			p.Setup.Label = profile.SetupLabel{}
		}}, "fail.access", "another label"},
		{"nobody says how it is done", planted{Weaknesses: []string{"setup-any-label"}, Profile: func(p *profile.Profile) { p.Setup.Choose = nil }}, "inconclusive.profile-missing", "setup.choose"},
		{"it is declared to need none", planted{Weaknesses: []string{"setup-any-label"}, Profile: func(p *profile.Profile) {
			noLabel(p)
			p.Setup.Label.None.None = "it is set up over a cable that is in the box"
			p.Ways[0].Steps, _ = profile.Without(p.Ways[0].Steps, profile.LabelPassword)
		}}, pass, ""},
		{"it is declared to need none, and gets it", planted{Weaknesses: []string{"setup-any-label"}, Profile: func(p *profile.Profile) {
			noLabel(p)
			p.Setup.Label.None.None = "it is set up over a cable that is in the box"
		}}, "inconclusive.precondition", "offers it"},
		{"the rig's label is declared to be no unit's", planted{Weaknesses: []string{"label-shared"}, Profile: func(p *profile.Profile) {
			p.Setup.Label.Wrong = []string{"vg1-setup"}
		}}, "inconclusive.precondition", ""},
		{"the set-up takes nothing at all", planted{Profile: func(p *profile.Profile) {
			p.Setup.Choose[0].JSON = map[string]any{"label": "x${unit.label-password}", "user": "operator", "password": "${new}"}
		}}, "inconclusive.control-failed", "does not take what its owner asks either"},
		{"a lock that a second label would begin", planted{Profile: func(p *profile.Profile) { p.Logins.Items["api"].Lockout.After = 2 }}, pass, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name != "any label" && c.name != "the set-up takes nothing at all" {
				t.Skip("one of each kind is enough for -short")
			}
			t.Parallel()
			res := run(t, c.p, id)
			assert.Equal(t, c.want, judged(t, res, id))
			var got []string
			for _, cl := range res.Case(id).Claims {
				got = append(got, cl.Claim.Got)
			}
			assert.Contains(t, strings.Join(got, "\n"), c.says)
			assert.Empty(t, res.Open, "what was done to the device is undone")
		})
	}
}

// TestAnyLabelShowsNone: a set-up that takes any label does not show that the one
// that the rig file gives is the unit's.
func TestAnyLabelShowsNone(t *testing.T) {
	if testing.Short() {
		t.Skip("five boots each")
	}
	t.Parallel()
	ids := []string{"cred-forced-set", "cred-derivable", "cred-unique"}
	for weakness, want := range map[string]string{"setup-any-label": "inconclusive.bracket", "setup-no-label": pass} {
		t.Run(weakness, func(t *testing.T) {
			t.Parallel()
			res := run(t, planted{Weaknesses: []string{weakness}}, ids...)
			assert.Equal(t, "fail.access", judged(t, res, ids[0]))
			assert.Equal(t, want, judged(t, res, ids[1]))
			assert.Equal(t, want, judged(t, res, ids[2]))
		})
	}
}

// TestLockLasts: a lock neither ends before its time nor much after; a device that
// counts in whole seconds does nothing wrong.
func TestLockLasts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits locks out")
	}
	for weakness, want := range map[string]string{"harmless-lockout-whole-seconds": pass, "lockout-short": "fail.expectation", "lockout-forever": "fail.expectation"} {
		t.Run(weakness, func(t *testing.T) {
			t.Parallel()
			res := inTime(t, planted{Weaknesses: []string{weakness}}, "cred-lock-recover[api]", "cred-bruteforce[api]", "cred-enum[api]")
			assert.Equal(t, want, judged(t, res, "cred-lock-recover[api]"))
			if weakness != "lockout-forever" {
				assert.Equal(t, pass, judged(t, res, "cred-bruteforce[api]"))
				assert.Equal(t, pass, judged(t, res, "cred-enum[api]"))
			}
		})
	}
}

// TestPersistNeedsTheLock: where a lock never ends, what was refused after a cold
// boot says nothing, on a slow machine as on a quick one.
func TestPersistNeedsTheLock(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("locks accounts and boots")
	}
	for _, ids := range [][]string{{"cred-persist[api]"}, {"cred-persist[ssh]", "cred-persist[web]"}} {
		res := inTime(t, planted{Weaknesses: []string{"lockout-forever"}}, ids...)
		for _, id := range ids {
			assert.Equal(t, "inconclusive.control-failed", judged(t, res, id))
		}
	}
	assert.Equal(t, pass, judged(t, inTime(t, planted{}, "cred-persist[api]"), "cred-persist[api]"))
}
