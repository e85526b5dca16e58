package console_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/rigs/rigtest"
)

// deaf makes the profile one of a device whose main console speaks and takes no
// input.
func deaf(p *profile.Profile) {
	delete(p.Logins.Items, "console")
	p.Logins.Order = p.Logins.Order[:len(p.Logins.Order)-1]
	st := p.States.Items["onboarded"]
	st.Logins = []string{"ssh", "telnet", "web", "api"}
	c := p.Consoles.Items["main"]
	c.Login, c.Password, c.Shell, c.Answer = profile.Pattern{}, profile.Pattern{}, profile.Pattern{}, profile.Answer{None: profile.None{None: "its receiver is not connected"}}
	c.SysRq, c.Injection = profile.SysRq{None: profile.None{None: "it takes no BREAK"}}, profile.Injection{None: profile.None{None: "it takes no line"}}
}

// TestDeafConsole: a console that is declared to take no input has nothing that
// could be typed at it; what it says is listened to all the same.
func TestDeafConsole(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	for _, c := range []struct {
		name string
		with rigtest.Planted
		want string // of con-secret-leak
	}{
		{"hardened", rigtest.Planted{}, pass},
		{"leaks", rigtest.Planted{Weaknesses: []string{"secret-boot-log"}}, "fail.leak"},
		{"unplugged", rigtest.Planted{Faults: []string{"console-unplugged"}}, "inconclusive.dut-lost"},
		{"another device's", rigtest.Planted{Faults: []string{"console-other-device"}}, "inconclusive.dut-lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.with.Profile = func(p *profile.Profile) {
				deaf(p)
				if c.with.Faults != nil {
					rigtest.Hurried(p)
				}
			}
			got := map[string]string{}
			for id, c := range run(t, c.with, "*[main]") {
				got[id] = judged(c)
			}
			assert.Equal(t, c.want, got["con-secret-leak[main]"])
			for _, id := range []string{"con-shell-noauth", "con-silent", "con-boot-interrupt", "con-boot-fail-prompt", "con-sysrq", "con-cmd-inject"} {
				assert.Equal(t, none, got[id+"[main]"], id)
			}
		})
	}
}

// A console that is declared silent and to answer nothing: no wire is shown to be
// connected, so that its silence shows nothing.
func TestSilentAndDeaf(t *testing.T) {
	t.Parallel()
	got := run(t, rigtest.Planted{Profile: func(p *profile.Profile) {
		p.Consoles.Items["aux"].Answer = profile.Answer{None: profile.None{None: "it answers nothing"}}
	}}, "con-silent[aux]", "con-shell-noauth[aux]", "con-secret-leak[aux]")
	for id, c := range got {
		if id == "con-silent[aux]" || id == "con-shell-noauth[aux]" || id == "con-secret-leak[aux]" {
			assert.Equal(t, "inconclusive.rig-lacks", judged(c), id)
		}
	}
}
