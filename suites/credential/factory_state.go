package credential

import (
	"context"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// FactoryState: before somebody has set it up, the device offers its set-up
// and nothing else.
var FactoryState = check.Check{
	ID:    "cred-factory-state",
	Title: "Before set-up only the set-up is reachable",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.LA2, en303645.V3("5.1-1"), en303645.V3("5.5-5"), en18031.Code("AUM-5-1")},
		baseline.Local:   {nist8259a.LA1, en303645.V3("5.1-1"), en18031.Code("AUM-5-1")},
	},
	From:   states.Factory.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 3 * time.Minute},
	Cases:  bracketed,
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		alive := Holds(t, states.Factory.Name)
		n := check.Negative[login.Credential]{
			// There is no login yet that must open: the set-up, which the
			// profile says must answer in this state, shows that the device
			// and the way to it work.
			Control: alive,
			Anti:    door.With(stranger(t)),
			Probes:  factoryProbes(t, door),
			Try:     spared(t, door),
			Name:    name,
			Refusal: factoryRefusals(t, door),
		}
		if door.Protocol() == "console" && !offered(t, door) {
			// Declared to offer no login at all: what an Enter gives is the answer
			// to every one.
			n.Probes = []login.Credential{login.Nobody}
			n.Try = func(ctx context.Context, _ login.Credential) (dut.Answer, error) { return knocks(ctx, door) }
			n.Anti = func(ctx context.Context) (dut.Answer, error) { return knocks(ctx, door) }
		}
		check.Refute(ctx, t, "no login opens it before set-up", n)
		if r := t.Profile().Routes; r.Login == door.Name() && len(r.Protected) > 0 {
			check.Refute(ctx, t, "no protected route answers before set-up", routes(ctx, t, door, alive))
		} else if strings.HasPrefix(door.Protocol(), "http") && !r.Declared() && (r.Login == "" || r.Login == door.Name()) {
			t.Claim("no protected route answers before set-up", func(c *check.Claim) {
				c.Unknown(verdict.ReasonProfileMissing, "the profile does not say which routes need a login (routes.protected)")
			})
		}
	},
}

// knockRounds is how often the declared answer has to come, each time: on a wire
// that garbles it comes through now and then, and what else is seen says nothing.
const knockRounds = 12

func knocks(ctx context.Context, door *dut.Door) (a dut.Answer, err error) {
	for range knockRounds {
		if a, err = door.KnockClosed(ctx); err != nil || a.Kind != verdict.Refused {
			return a, err
		}
	}
	return a, nil
}

// bracketed plans one case for each login. One over the network that is declared
// to be closed before set-up passes only if it is shown to answer afterwards: a
// port that a filter of the rig's closes refuses as well, and so does a login
// page that the profile does not name rightly.
func bracketed(in check.Input) []check.Case {
	cases := check.PerLogin(in)
	s := in.Profile.States.Items[states.Factory.Name]
	for i := range cases {
		c := &cases[i]
		if c.Kind == baseline.Network && c.Channel != "" && s != nil && !slices.Contains(s.Logins, c.Channel) && !answersBefore(in.Profile, s, c.Channel) {
			c.Bracket, c.Closer = check.Answers(c.Channel), check.AnswersIn(in.Profile, c.Channel)
		}
	}
	return cases
}

// answersBefore says whether the login is declared to answer in a state, though
// it opens nothing: its port does, and it is more than a page that is not there.
func answersBefore(p *profile.Profile, s *profile.State, channel string) bool {
	l := p.Logins.Items[channel]
	return l != nil && l.Protocol != "http-form" && slices.Contains(s.Services, l.Service())
}

// factoryProbes gives the logins to try before the set-up, few enough for each
// account that no declared lock-out begins: whether one is there before set-up
// nobody declares, and a locked account would answer as a wrong password does.
func factoryProbes(t *check.T, door *dut.Door) []login.Credential {
	own := door.Decl().Owner.User
	probes := blanks(door, own)
	if label := t.Device().Unit().Label; label != "" {
		probes = append(probes, login.Credential{User: "admin", Password: label}, login.Credential{User: own, Password: label})
	}
	return byHand(t, door, few(door, append(probes, published(t, door)...)))
}

// few leaves so many of the probes that on no account a declared lock-out begins.
func few(door *dut.Door, probes []login.Credential) []login.Credential {
	most := len(probes)
	if p := check.PaceOf(door.Decl()); p.After > 0 {
		most = max(p.After-1, 1)
	} else if !p.Known {
		most = 2
	}
	return capped(probes, most)
}

// capped leaves at most so many of the probes on each account. Those without a
// password are no tries of one.
func capped(probes []login.Credential, most int) []login.Credential {
	count := map[string]int{}
	return slices.DeleteFunc(probes, func(c login.Credential) bool {
		if c.Anonymous() || c.NoPassword {
			return false
		}
		account := strings.ToLower(strings.TrimSpace(c.User)) // as a DUT may take it
		count[account]++
		return count[account] > most
	})
}

// offered says whether the profile lists the login for the factory state.
func offered(t *check.T, door *dut.Door) bool {
	s := t.Profile().States.Items[states.Factory.Name]
	return s != nil && slices.Contains(s.Logins, door.Name())
}

// factoryRefusals: a login that the profile does not list for the factory
// state is declared to be closed there; a listed one has to say no.
func factoryRefusals(t *check.T, door *dut.Door) []verdict.Kind {
	if offered(t, door) { // that it is there nobody shows: silence is no refusal
		return []verdict.Kind{verdict.Refused}
	}
	return []verdict.Kind{verdict.Refused, verdict.Unreachable}
}

// Holds makes the attempt that opens while the DUT shows itself in a state.
func Holds(t *check.T, name string) check.Attempt {
	return func(ctx context.Context) (dut.Answer, error) {
		start := time.Now()
		s := t.Profile().States.Items[name]
		if s == nil || len(s.Holds) == 0 {
			t.Inconclusive(verdict.ReasonProfileMissing, "the profile does not say how state %s is recognised", name)
		}
		if _, err := t.Device().Steps(ctx, s.Holds, nil); err != nil {
			if dut.IsFault(err) {
				return dut.Answer{}, err
			}
			return dut.Answer{Kind: verdict.Refused, Detail: err.Error(), Took: time.Since(start)}, nil
		}
		return dut.Answer{Kind: verdict.Accepted, Detail: "the DUT shows itself in state " + name, Took: time.Since(start)}, nil
	}
}

// setupDeclared is the need of checks about the set-up.
var setupDeclared = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	switch {
	case p.Setup.Declared():
		return check.DeclaredNone(p.Setup.None.None)
	case len(p.Setup.Skips) == 0 || p.Setup.Login == "":
		return check.NotDeclared("the profile does not say how the set-up could be skipped (setup.login, setup.skips)")
	}
	return nil
})
