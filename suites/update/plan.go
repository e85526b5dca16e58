package update

import (
	"slices"

	"rigor/harness/baseline"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// channels gives every way for an image that is named anywhere, in the order of the
// profile.
func channels(p *profile.Profile) []string {
	out := slices.Clone(p.Images.Channels)
	for _, name := range p.Updates.Order {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// PerChannel plans one case for each update channel.
func PerChannel(in check.Input) []check.Case {
	p := in.Profile
	names := channels(p)
	if len(names) == 0 {
		skip := check.NotDeclared("the profile does not say how an image gets in (updates)")
		if p.Updates.Declared() {
			skip = check.DeclaredNone(p.Updates.None.None)
		}
		return []check.Case{{Kind: baseline.Network, Skip: skip}}
	}
	var out []check.Case
	for _, name := range names {
		out = append(out, channelCase(in, name))
	}
	return out
}

// First plans one case, on the channel that the profile names first: what each mutant is
// made of is the same on all of them, and upd-every-channel tries some of each kind on
// the others.
func First(in check.Input) []check.Case { return PerChannel(in)[:1] }

// Others plans one case for each channel; that of the first is left to the checks that
// try all their mutants there.
func Others(in check.Input) []check.Case {
	out := PerChannel(in)
	if len(channels(in.Profile)) > 0 && out[0].Skip == nil {
		out[0].Skip = check.DeclaredNone("it is the channel on which each check of mutants tries all of its own")
	}
	return out
}

func channelCase(in check.Input, name string) check.Case {
	c := check.Case{Channel: name, Kind: baseline.Network}
	u := in.Profile.Updates.Items[name]
	switch {
	case u == nil && in.Profile.Updates.Declared():
		c.Skip = check.DeclaredNone(in.Profile.Updates.None.None)
		return c
	case u == nil:
		c.Skip = check.NotDeclared("the profile does not say how an image gets in over %s (updates)", name)
		return c
	case u.Declared():
		c.Skip = check.DeclaredNone(u.None.None)
		return c
	}
	if u.Local() {
		c.Kind = baseline.Local
	}
	lacks := func(format string, args ...any) {
		if c.Skip == nil {
			c.Skip = check.RigLacks(format, args...)
		}
	}
	for _, con := range u.Consoles() {
		c.Parts = append(c.Parts, check.PartConsole(con))
		if !slices.Contains(in.Consoles, con) {
			lacks("the rig has no console %s", con)
		}
	}
	for _, l := range u.Lines() {
		c.Parts = append(c.Parts, check.PartLine(l))
		if !slices.Contains(in.Lines, l) {
			lacks("the rig has no line %s", l)
		}
	}
	if u.Network() || readsByNetwork(in.Profile) {
		c.Parts = append(c.Parts, check.PartLink)
		if !in.Network {
			lacks("the rig has no network")
		}
	}
	if u.Power() {
		c.Parts = append(c.Parts, check.PartPower)
		switch {
		case !in.Power && in.ByHand:
			lacks("a person is the power switch, and this run has no terminal to ask at")
		case !in.Power:
			lacks("the rig has no power switch")
		case !slices.Contains(in.Allow, check.Supply):
			lacks("the rig does not allow %q for this unit, by which an update is made to run", check.Supply)
		}
	}
	return c
}

func readsByNetwork(p *profile.Profile) bool {
	return slices.ContainsFunc(p.Firmware.Read, func(s profile.Step) bool { return s.Verb == "http" || s.Verb == "run" })
}

// needsImages: the maker's images are given, and how it is read what runs.
var needsImages = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	m := &p.Images
	switch {
	case m.Declared():
		return check.DeclaredNone(m.None.None)
	case m.Current == "":
		return check.NotDeclared("the profile names none of the maker's images (images)")
	case p.Firmware.Declared():
		return check.NotDeclared("which firmware runs cannot be read: %s", p.Firmware.None.None)
	case len(p.Firmware.Read) == 0:
		return check.NotDeclared("the profile does not say how it is read which firmware runs (firmware.read)")
	case len(m.Newer) == 0:
		return check.NotDeclared("the profile names no image that is newer than the current one (images.newer): that a genuine one is taken cannot be shown")
	}
	return nil
})

// bracketOf names the bracket of a channel.
func bracketOf(channel string) string { return "update channel " + channel + " takes a genuine image" }

// bracketed gives the case the bracket of its channel, which is closed when all cases
// have run.
func bracketed(_ check.Input, c *check.Case) *verdict.Judgement {
	c.Bracket = bracketOf(c.Channel)
	c.Closer = &check.Closer{State: onboarded, Show: takesGenuine}
	return nil
}

// mutants plans the case of a check that tries mutants.
func mutants(p check.Planner) check.Planner { return p.With(needsImages, bracketed) }
