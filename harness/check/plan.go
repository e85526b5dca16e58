package check

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/baseline"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Input is everything that planning may look at: what was declared, by the
// profile and by the rig. Never the DUT.
type Input struct {
	Profile  *profile.Profile
	Consoles []string // that the rig has
	Lines    []string
	Storages []string
	Pads     []string // of the board, in the rig's order
	Golden   bool     // an open unit can be put in the DUT's place on them
	Buffered bool     // an adapter stands between our pins and them
	Power    bool
	ByHand   bool // a person is the power switch, and there is nobody to ask
	Network  bool
	// Forwarded are the DUT's ports that a forwarder of the rig carries, where there
	// is one: others cannot be asked.
	Forwarded []int
	Allow     []Leave
	Units     int // units whose labels the rig file gives
	KeyUnits  int // further units whose keys it gives
	// Credentials are logins to try besides the published ones, given by hand.
	Credentials []login.Credential
}

// Case is one planned case.
type Case struct {
	Channel string // "" for a check about the whole device
	Kind    baseline.ChannelKind
	Parts   []wire.Part // of the rig, that it leans on
	// Bracket is what has to be shown elsewhere in the run before the case may
	// pass, as Answers gives it; "" for nothing.
	Bracket string
	// Closer shows that where no case of the run has: a case that is selected
	// alone is as good as among others. Nil: nothing but other cases can.
	Closer *Closer
	// Shares names what the case finds out together with others, by Shared: they run on
	// one unit. "" for nothing.
	Shares string
	// Skip is set when it will not run, with the verdict that this has.
	Skip *verdict.Judgement
}

// Sharing has cases find out something together, on one unit: see Shared.
func Sharing(what string) Need {
	return func(_ Input, c *Case) *verdict.Judgement {
		c.Shares = what
		return nil
	}
}

// Lean has the case lean on a part of the rig.
func (c *Case) Lean(part wire.Part) {
	if !slices.Contains(c.Parts, part) {
		c.Parts = append(c.Parts, part)
	}
}

// Closer closes a bracket when all cases have run.
type Closer struct {
	State string // that the DUT is brought to
	// Show gives an answer that opens where what the bracket waits for is so. Its cleanups
	// have the time of the case's; where one fails, nothing is shown.
	Show func(ctx context.Context, t *T) dut.Answer
}

// Planner gives a check's cases. The channels that it names depend on
// everything that names a channel anywhere, so that removing one section of a
// profile or a rig file takes no case away: it gives it another verdict.
type Planner func(in Input) []Case

// Need is something that a case must have been given. It returns nil when that
// is so, or the verdict that the case has without it.
type Need func(in Input, c *Case) *verdict.Judgement

// With gives a planner whose cases have these needs too. The first that is not
// met decides.
func (p Planner) With(needs ...Need) Planner {
	return func(in Input) []Case {
		cases := p(in)
		for i := range cases {
			for _, need := range needs {
				if cases[i].Skip != nil {
					break
				}
				cases[i].Skip = need(in, &cases[i])
			}
		}
		return cases
	}
}

// Parts of the rig as cases name them.
const (
	PartPower wire.Part = "power"
	PartLink  wire.Part = "link"
)

// PartConsole names a console's port.
func PartConsole(name string) wire.Part { return wire.Part("console." + name) }

// PartLine names a line of the rig.
func PartLine(name string) wire.Part { return wire.Part("line." + name) }

// NotDeclared is the verdict of a case about which the profile says nothing.
func NotDeclared(format string, args ...any) *verdict.Judgement {
	return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonProfileMissing, Detail: fmt.Sprintf(format, args...)}
}

// DeclaredNone is the verdict of a case about something that the profile
// declares absent, with its reason.
func DeclaredNone(reason string) *verdict.Judgement {
	return &verdict.Judgement{Verdict: verdict.NotApplicable, Reason: verdict.ReasonDeclaredNone, Detail: reason}
}

// RigLacks is the verdict of a case for which the rig has no wire, program or
// leave.
func RigLacks(format string, args ...any) *verdict.Judgement {
	return &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonRigLacks, Detail: fmt.Sprintf(format, args...)}
}

// LoginChannels gives every login that anything names: the logins section, or
// a state that offers it.
func LoginChannels(p *profile.Profile) []string {
	names := slices.Clone(p.Logins.Order)
	for _, s := range p.States.Order {
		for _, l := range p.States.Items[s].Logins {
			if !slices.Contains(names, l) {
				names = append(names, l)
			}
		}
	}
	slices.Sort(names)
	return names
}

// ConsoleChannels gives every console that the profile or the rig names.
func ConsoleChannels(in Input) []string {
	names := slices.Clone(in.Profile.Consoles.Order)
	for _, c := range in.Consoles {
		if !slices.Contains(names, c) {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return names
}

// Device plans one case about the device as a whole.
func Device(in Input) []Case {
	return []Case{{Kind: baseline.Network}}
}

// PerLogin plans one case for each login.
func PerLogin(in Input) []Case {
	names := LoginChannels(in.Profile)
	if len(names) == 0 {
		skip := NotDeclared("the profile has no logins section")
		if in.Profile.Logins.Declared() {
			skip = DeclaredNone(in.Profile.Logins.None.None)
		}
		return []Case{{Kind: baseline.Network, Skip: skip}}
	}
	var cases []Case
	for _, name := range names {
		cases = append(cases, loginCase(in, name))
	}
	return cases
}

func loginCase(in Input, name string) Case {
	c := Case{Channel: name, Kind: baseline.Network}
	l := in.Profile.Logins.Items[name]
	switch {
	case l == nil && in.Profile.Logins.Declared():
		c.Skip = DeclaredNone(in.Profile.Logins.None.None)
	case l == nil:
		c.Skip = NotDeclared("the profile does not say how login %s works", name)
	case l.Declared():
		c.Skip = DeclaredNone(l.None.None)
	case l.Protocol == "console":
		c.Kind = baseline.Local
		c.Parts = []wire.Part{PartConsole(l.Console)}
		if !slices.Contains(in.Consoles, l.Console) {
			c.Skip = RigLacks("the rig has no console %s", l.Console)
		}
	case l.Aside():
		c.Parts = []wire.Part{dut.PartProgram(name)}
		if l.Port != 0 && in.Network { // a service on the network, asked by a program
			c.Parts = append(c.Parts, PartLink)
		}
	default:
		c.Parts = []wire.Part{PartLink}
		if !in.Network {
			c.Skip = RigLacks("the rig has no network")
		}
	}
	return c
}

// Answers is the bracket of a login that a case finds closed, as it is declared
// to be in the case's state: that the way to it is there at all is shown by a
// case that gets in over it in another state. Each control that opens on the
// channel closes the bracket, and where none did, AnswersIn.
func Answers(channel string) string { return "login " + channel + " answers in another state" }

// AnswersIn closes the bracket of a login by letting its owner in, in the first
// state that is declared to offer it; nil where none is, or no owner.
func AnswersIn(p *profile.Profile, channel string) *Closer {
	l := p.Logins.Items[channel]
	if l == nil || l.Owner.User == "" && l.Owner.Password == "" {
		return nil
	}
	for _, name := range p.States.Order {
		if slices.Contains(p.States.Items[name].Logins, channel) {
			return &Closer{State: name, Show: func(ctx context.Context, t *T) dut.Answer {
				door := t.Device().Login(channel)
				own, err := door.Owner()
				t.OK(err)
				a, err := t.Try(ctx, door, own)
				t.OK(err)
				return a
			}}
		}
	}
	return nil
}

// LabelTaken is the bracket of cases that lean on the label that the rig file
// gives: that it is this unit's is shown by a set-up that takes it. Each way
// whose steps offer it, and that leads where it should, closes the bracket.
const LabelTaken = "a set-up takes the label's password"

// PerConsole plans one case for each console.
func PerConsole(in Input) []Case {
	names := ConsoleChannels(in)
	if len(names) == 0 {
		skip := NotDeclared("the profile has no consoles section")
		if in.Profile.Consoles.Declared() {
			skip = DeclaredNone(in.Profile.Consoles.None.None)
		}
		return []Case{{Kind: baseline.Local, Skip: skip}}
	}
	var cases []Case
	for _, name := range names {
		c := Case{Channel: name, Kind: baseline.Local, Parts: []wire.Part{PartConsole(name)}}
		con := in.Profile.Consoles.Items[name]
		switch {
		case con == nil && in.Profile.Consoles.Declared():
			c.Skip = DeclaredNone(in.Profile.Consoles.None.None)
		case con == nil:
			c.Skip = NotDeclared("the profile does not say what console %s is", name)
		case con.Declared():
			c.Skip = DeclaredNone(con.None.None)
		case !slices.Contains(in.Consoles, name):
			c.Skip = RigLacks("the rig has no console %s", name)
		}
		cases = append(cases, c)
	}
	return cases
}

// OfLogin makes a need about the declaration of the case's login. The function
// gives nil when it is met.
func OfLogin(need func(l *profile.Login) *verdict.Judgement) Need {
	return func(in Input, c *Case) *verdict.Judgement {
		l := in.Profile.Logins.Items[c.Channel]
		if l == nil {
			return NotDeclared("the profile does not say how login %s works", c.Channel)
		}
		return need(l)
	}
}

// OfConsole makes a need about the declaration of the case's console.
func OfConsole(need func(con *profile.Console) *verdict.Judgement) Need {
	return func(in Input, c *Case) *verdict.Judgement {
		con := in.Profile.Consoles.Items[c.Channel]
		if con == nil {
			return NotDeclared("the profile does not say what console %s is", c.Channel)
		}
		return need(con)
	}
}

// OfProfile makes a need about the profile as a whole.
func OfProfile(need func(p *profile.Profile) *verdict.Judgement) Need {
	return func(in Input, _ *Case) *verdict.Judgement { return need(in.Profile) }
}

// NeedsOwner: the login's owner is declared, so that a control can be run.
var NeedsOwner = OfLogin(func(l *profile.Login) *verdict.Judgement {
	if l.Owner.User == "" && l.Owner.Password == "" {
		return NotDeclared("the login declares no owner: nothing can be refused for certain without a login that opens")
	}
	return nil
})

// NeedsPower: the rig can switch the supply. The case leans on it.
func NeedsPower(in Input, c *Case) *verdict.Judgement {
	if !in.Power {
		if in.ByHand {
			return RigLacks("a person is the power switch, and this run has no terminal to ask at")
		}
		return RigLacks("the rig has no power switch")
	}
	c.Parts = append(c.Parts, PartPower)
	return nil
}

// NeedsNetwork: the rig reaches the DUT by network. The case leans on it.
func NeedsNetwork(in Input, c *Case) *verdict.Judgement {
	if none := in.Profile.Network.None; none.Declared() {
		return DeclaredNone(none.None)
	}
	if !in.Network {
		return RigLacks("the rig has no network")
	}
	c.Parts = append(c.Parts, PartLink)
	return nil
}

// NeedsState: the profile declares the state, and how it is recognised.
func NeedsState(name string) Need {
	return OfProfile(func(p *profile.Profile) *verdict.Judgement {
		s := p.States.Items[name]
		switch {
		case s == nil && p.States.Declared():
			return DeclaredNone(p.States.None.None)
		case s == nil:
			return NotDeclared("the profile declares no state %s", name)
		case s.Declared():
			return DeclaredNone(s.None.None)
		}
		return nil
	})
}

// NeedsWayTo: the DUT is brought to the state in the case itself, so that it leans on the
// lines without which nothing leads there. One that is stuck may bring it there by itself,
// which shows nothing of the way.
func NeedsWayTo(name string) Need {
	return func(in Input, c *Case) *verdict.Judgement {
		lines, _ := in.Profile.LeadsBy(name)
		for _, l := range lines {
			c.Lean(PartLine(l))
		}
		return NeedsState(name)(in, c)
	}
}
