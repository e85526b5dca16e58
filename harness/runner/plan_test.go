package runner

import (
	"reflect"
	"testing"

	"rigor/harness/baseline"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/state"
	"rigor/harness/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func clause(id string) baseline.Clause {
	return baseline.Clause{Standard: baseline.EN303645, Edition: "V3.1.3", ID: id}
}

// sampleSuites are two suites with cases per login, per console and for the
// device.
func sampleSuites() []check.Suite {
	onboarded := &state.State{Name: "onboarded"}
	return []check.Suite{
		{Name: "console", Checks: []*check.Check{{ID: "con-shell", Title: "no shell", Cases: check.PerConsole, Clauses: baseline.PerChannel{baseline.Local: {clause("5.6-4")}}}}},
		{Name: "credential", Checks: []*check.Check{
			{ID: "cred-known", Title: "known", From: onboarded, Effect: check.Disturbs, Allow: []check.Leave{check.LoginTries}, Cases: check.Planner(check.PerLogin).With(check.NeedsOwner),
				Clauses: baseline.PerChannel{baseline.Network: {clause("5.1-1")}}},
			{ID: "cred-read", Title: "reads", From: onboarded, Cases: check.PerLogin},
			{ID: "cred-device", Title: "device", Cases: check.Device},
		}},
	}
}

func sampleInput() check.Input {
	p := &profile.Profile{}
	p.Logins = profile.Section[*profile.Login]{Given: true, Order: []string{"ssh", "serial", "web"}, Items: map[string]*profile.Login{
		"ssh":    {Protocol: "ssh", Port: 22, Owner: profile.Account{User: "o", Password: "secret:o"}},
		"serial": {Protocol: "console", Console: "main", Owner: profile.Account{User: "o"}},
		"web":    {None: profile.None{None: "no web; manual p. 3"}},
	}}
	p.Consoles = profile.Section[*profile.Console]{Given: true, Order: []string{"main"}, Items: map[string]*profile.Console{"main": {}}}
	p.States = profile.Section[*profile.State]{Given: true, Order: []string{"onboarded"}, Items: map[string]*profile.State{"onboarded": {Logins: []string{"ssh", "serial", "web"}}}}
	return check.Input{Profile: p, Consoles: []string{"main"}, Network: true, Allow: []check.Leave{check.LoginTries}}
}

func verdicts(plan []Planned) map[string]string {
	out := map[string]string{}
	for _, p := range plan {
		out[p.ID] = "runs"
		if p.Skip != nil {
			out[p.ID] = words(*p.Skip)
		}
	}
	return out
}

func TestPlan(t *testing.T) {
	tests := []struct {
		name   string
		change func(*check.Input)
		lacks  Lacks
		want   map[string]string // that differ from the whole plan
	}{
		{"whole", func(*check.Input) {}, nil, nil},
		{"no network", func(in *check.Input) { in.Network = false }, nil, map[string]string{"cred-known[ssh]": "inconclusive.rig-lacks", "cred-read[ssh]": "inconclusive.rig-lacks"}},
		{"no network, owned up to", func(in *check.Input) { in.Network = false }, Lacks{"cred-known": "no cable", "cred-read[ssh]": "no cable"},
			map[string]string{"cred-known[ssh]": "not-applicable.lacks", "cred-read[ssh]": "not-applicable.lacks", "cred-known[serial]": "not-applicable.lacks"}},
		{"no console", func(in *check.Input) { in.Consoles = nil }, nil,
			map[string]string{"con-shell[main]": "inconclusive.rig-lacks", "cred-known[serial]": "inconclusive.rig-lacks", "cred-read[serial]": "inconclusive.rig-lacks"}},
		{"not allowed", func(in *check.Input) { in.Allow = nil }, nil, map[string]string{"cred-known[ssh]": "inconclusive.rig-lacks", "cred-known[serial]": "inconclusive.rig-lacks"}},
		{"no owner", func(in *check.Input) { in.Profile.Logins.Items["ssh"].Owner = profile.Account{} }, nil, map[string]string{"cred-known[ssh]": "inconclusive.profile-missing"}},
		{"no logins section", func(in *check.Input) { in.Profile.Logins = profile.Section[*profile.Login]{} }, nil, map[string]string{
			"cred-known[ssh]": "inconclusive.profile-missing", "cred-known[serial]": "inconclusive.profile-missing", "cred-known[web]": "inconclusive.profile-missing",
			"cred-read[ssh]": "inconclusive.profile-missing", "cred-read[serial]": "inconclusive.profile-missing", "cred-read[web]": "inconclusive.profile-missing"}},
		{"no states section", func(in *check.Input) { in.Profile.States = profile.Section[*profile.State]{} }, nil, map[string]string{
			"cred-known[ssh]": "inconclusive.profile-missing", "cred-known[serial]": "inconclusive.profile-missing",
			"cred-read[ssh]": "inconclusive.profile-missing", "cred-read[serial]": "inconclusive.profile-missing"}},
		{"no consoles section", func(in *check.Input) { in.Profile.Consoles = profile.Section[*profile.Console]{} }, nil, map[string]string{"con-shell[main]": "inconclusive.profile-missing"}},
		{"consoles declared none", func(in *check.Input) {
			in.Profile.Consoles = profile.Section[*profile.Console]{Given: true, None: profile.None{None: "no pads"}}
		}, nil, map[string]string{"con-shell[main]": "not-applicable.declared-none"}},
		{"lacks does not hide what the profile does not say", func(in *check.Input) { in.Profile.Logins.Items["ssh"].Owner = profile.Account{} }, Lacks{"cred-known[ssh]": "no cable"},
			map[string]string{"cred-known[ssh]": "inconclusive.profile-missing"}},
	}
	whole := map[string]string{"con-shell[main]": "runs", "cred-known[ssh]": "runs", "cred-known[serial]": "runs", "cred-known[web]": "not-applicable.declared-none",
		"cred-read[ssh]": "runs", "cred-read[serial]": "runs", "cred-read[web]": "not-applicable.declared-none", "cred-device": "runs"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := sampleInput()
			tt.change(&in)
			plan, err := Plan(sampleSuites(), in, tt.lacks)
			require.NoError(t, err)
			want := map[string]string{}
			for id, v := range whole {
				want[id] = v
			}
			for id, v := range tt.want {
				want[id] = v
			}
			assert.Equal(t, want, verdicts(plan))
			again, err := Plan(sampleSuites(), in, tt.lacks)
			require.NoError(t, err)
			assert.Equal(t, verdicts(plan), verdicts(again), "a plan is pure")
			for i := range plan {
				assert.Equal(t, plan[i].ID, again[i].ID, "and in the same order")
			}
		})
	}
}

func TestPlanErrors(t *testing.T) {
	plan, err := Plan(sampleSuites(), sampleInput(), nil)
	require.NoError(t, err)
	f, err := rig.Parse("r.yaml", []byte("rig: r\nprofile: p.yaml\nlacks:\n  cred-device: x\n  cred-knwon: x\n  cred-read[ssh]: x\n"))
	require.NoError(t, err)
	require.EqualError(t, CheckLacks(f, plan), `r.yaml:5:3: lacks names "cred-knwon", which is no check and no case of rig r; did you mean "cred-known"?`)
	twice := []check.Suite{{Name: "s", Checks: []*check.Check{{ID: "a", Cases: check.Device}, {ID: "a", Cases: check.Device}}}}
	_, err = Plan(twice, sampleInput(), nil)
	require.EqualError(t, err, "plan: case a is planned twice; check a names a channel twice")
}

func TestSelect(t *testing.T) {
	tests := []struct {
		selectors []string
		want      []string
		err       string
	}{
		{nil, []string{"con-shell[main]", "cred-known[serial]", "cred-known[ssh]", "cred-known[web]", "cred-read[serial]", "cred-read[ssh]", "cred-read[web]", "cred-device"}, ""},
		{[]string{"cred-known[ssh]"}, []string{"cred-known[ssh]"}, ""},
		{[]string{"cred-read"}, []string{"cred-read[serial]", "cred-read[ssh]", "cred-read[web]"}, ""},
		{[]string{"cred-*[ssh]"}, []string{"cred-known[ssh]", "cred-read[ssh]"}, ""},
		{[]string{"con-*", "cred-device"}, []string{"con-shell[main]", "cred-device"}, ""},
		{[]string{"console"}, []string{"con-shell[main]"}, ""},
		{[]string{"5.1-1"}, []string{"cred-known[ssh]", "cred-known[web]"}, ""},
		{[]string{"en303645:5.6-4"}, []string{"con-shell[main]"}, ""},
		{[]string{"cred-known[shs]"}, nil, `unknown selector "cred-known[shs]": it is no case, check, glob, suite or clause of this plan; did you mean "cred-known[ssh]"?`},
		{[]string{"cred-device", "zzz*"}, nil, `unknown selector "zzz*": it is no case, check, glob, suite or clause of this plan; see rigor list`},
		{[]string{"cred-*\\"}, nil, `unknown selector "cred-*\\": syntax error in pattern`},
		{[]string{""}, nil, `unknown selector "": it is no case, check, glob, suite or clause of this plan; see rigor list`},
	}
	for _, tt := range tests {
		plan, err := Plan(sampleSuites(), sampleInput(), nil)
		require.NoError(t, err)
		err = Select(plan, tt.selectors)
		if tt.err != "" {
			require.EqualError(t, err, tt.err)
			require.ErrorIs(t, err, ErrSelector)
			continue
		}
		require.NoError(t, err)
		var got []string
		for _, p := range plan {
			if !p.Unselected {
				got = append(got, p.ID)
			}
		}
		assert.Equal(t, tt.want, got, "%q", tt.selectors)
	}
}

// TestOrder: as few moves between states as can be, and what disturbs last.
func TestOrder(t *testing.T) {
	in := sampleInput()
	in.Profile.States.Order = []string{"onboarded", "factory", "updated"}
	for _, s := range in.Profile.States.Order {
		in.Profile.States.Items[s] = &profile.State{}
	}
	in.Profile.Ways = []profile.Way{{From: "onboarded", To: "factory"}, {From: "factory", To: "updated"}, {From: "factory", To: "onboarded"}}
	at := func(id, from string, e check.Effect) *check.Check {
		return &check.Check{ID: id, From: &state.State{Name: from}, Effect: e, Cases: check.Device}
	}
	suites := []check.Suite{{Name: "s", Checks: []*check.Check{
		at("up", "updated", check.Reads), at("on-consumes", "onboarded", check.Consumes), at("fac", "factory", check.Reads), at("on-reads", "onboarded", check.Reads),
		at("on-disturbs", "onboarded", check.Disturbs), {ID: "any", Cases: check.Device}, at("on-reads-2", "onboarded", check.Reads)}}}
	plan, err := Plan(suites, in, nil)
	require.NoError(t, err)
	order := func(current string) (ids []string) {
		for _, p := range Order(plan, in.Profile, current) {
			ids = append(ids, p.ID)
		}
		return ids
	}
	assert.Equal(t, []string{"any", "on-reads", "on-reads-2", "on-disturbs", "on-consumes", "fac", "up"}, order("onboarded"))
	assert.Equal(t, []string{"any", "fac", "up", "on-reads", "on-reads-2", "on-disturbs", "on-consumes"}, order("factory"))
	assert.Equal(t, "any", order(state.Unknown)[0])
	plan[0].Unselected = true
	plan[1].Skip = &verdict.Judgement{Verdict: verdict.Inconclusive}
	assert.Len(t, order("onboarded"), 5)
}

// FuzzSelect: no selector panics, and one that is refused selects nothing.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{"", "*", "cred-known[ssh]", "[", "\\", "cred-?", "5.1-1", "EN303645:V3.1.3:5.1-1"} {
		f.Add(s)
	}
	base, err := Plan(sampleSuites(), sampleInput(), nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, sel string) {
		plan := append([]Planned(nil), base...)
		if err := Select(plan, []string{sel}); err != nil {
			require.ErrorIs(t, err, ErrSelector)
			require.True(t, reflect.DeepEqual(verdicts(base), verdicts(plan)))
			return
		}
		n := 0
		for _, p := range plan {
			if !p.Unselected {
				n++
			}
		}
		require.Positive(t, n)
	})
}
