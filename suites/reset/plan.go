package reset

import (
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// needsReset: it is said how the device is reset and set up again with another password,
// and the rig can do that and may. The case leans on what is used for it.
func needsReset(in check.Input, c *check.Case) *verdict.Judgement {
	p := in.Profile
	c.Shares = "factory resets"
	switch r := p.Reset; {
	case r.Declared():
		return check.DeclaredNone(r.None.None)
	case len(r.Ways) == 0:
		return check.NotDeclared("the profile does not say how the device is reset (reset.ways)")
	case len(p.Setup.Choose) == 0:
		return check.NotDeclared("the profile does not say how the owner comes back with another password (setup.choose)")
	case len(p.Password.Change) == 0:
		return check.NotDeclared("the profile does not say how he is given his own password again (password.change)")
	}
	for _, name := range []string{states.Factory.Name, states.Onboarded.Name} {
		if j := check.NeedsState(name)(in, c); j != nil {
			return j
		}
		if len(p.States.Items[name].Holds) == 0 {
			return check.NotDeclared("the profile does not say how state %s is recognised", name)
		}
	}
	for _, w := range p.Reset.Ways {
		for _, need := range w.Needs {
			if !slices.Contains(in.Allow, check.Leave(need)) {
				return check.RigLacks("way %s needs what the rig file does not allow: %s", w.ID, need)
			}
		}
		if j := wired(in, c, p, w); j != nil {
			return j
		}
	}
	return nil
}

// wired: the rig has the lines and consoles that a way to reset takes.
func wired(in check.Input, c *check.Case, p *profile.Profile, w profile.ResetWay) *verdict.Judgement {
	lines, consoles := profile.Wires(slices.Concat(w.Steps, w.Done))
	if press := p.Press(w.Press); w.Press != "" && press == nil {
		return check.NotDeclared("the profile does not say how press %s is made (presses), by which way %s resets the device", w.Press, w.ID)
	} else if press != nil {
		lines = append(lines, press.Line)
		if press.PowerOn() {
			if j := check.NeedsPower(in, c); j != nil {
				return j
			}
		}
	}
	for _, l := range lines {
		if !slices.Contains(in.Lines, l) {
			return check.RigLacks("way %s of the reset takes line %s, which the rig does not have", w.ID, l)
		}
		c.Lean(dut.PartLine(l))
	}
	for _, con := range consoles {
		if !slices.Contains(in.Consoles, con) {
			return check.RigLacks("way %s of the reset takes console %s, which the rig does not have", w.ID, con)
		}
		c.Lean(dut.PartConsole(con))
	}
	return nil
}

// perDevice plans one case for the device. It leans on the network: there its states and
// its owner are seen.
var perDevice = check.Planner(check.Device).With(resets, check.NeedsNetwork, needsReset)

// resets: the device is not declared to have no reset.
var resets = check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
	if p.Reset.Declared() {
		return check.DeclaredNone(p.Reset.None.None)
	}
	return nil
})

// Views of a store.
const (
	viewLogical = "logical"
	viewStorage = "storage"
	viewConsole = "console"
	viewNetwork = "network"
)

var views = []string{viewLogical, viewStorage, viewConsole, viewNetwork}

// storeNames gives every store that anything names.
func storeNames(p *profile.Profile) []string {
	names := slices.Clone(p.Stores.Order)
	for _, s := range p.States.Order {
		for _, name := range p.States.Items[s].Stores {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// perView plans one case for each view of each store.
func perView(in check.Input) (cases []check.Case) {
	names := storeNames(in.Profile)
	if len(names) == 0 {
		skip := check.NotDeclared("the profile does not say what the device stores (stores)")
		if in.Profile.Stores.Declared() {
			skip = check.DeclaredNone(in.Profile.Stores.None.None)
		}
		return []check.Case{{Kind: baseline.Network, Skip: skip}}
	}
	for _, name := range names {
		for _, v := range views {
			c := check.Case{Channel: name + "." + v, Kind: baseline.Network}
			if v == viewConsole || v == viewStorage {
				c.Kind = baseline.Local
			}
			c.Skip = viewed(in, &c, name, v)
			cases = append(cases, c)
		}
	}
	return cases
}

// viewed says why a view of a store is not looked at; nil where it is.
func viewed(in check.Input, c *check.Case, name, view string) *verdict.Judgement {
	s := in.Profile.Stores.Items[name]
	switch {
	case s == nil && in.Profile.Stores.Declared():
		return check.DeclaredNone(in.Profile.Stores.None.None)
	case s == nil:
		return check.NotDeclared("the profile does not say what store %s is", name)
	case s.Declared():
		return check.DeclaredNone(s.None.None)
	case len(s.Plant) == 0:
		return check.NotDeclared("the profile does not say how something is put into store %s (plant)", name)
	case view == viewLogical && s.Unread != "":
		return check.DeclaredNone(s.Unread)
	case view == viewLogical && len(s.Read) == 0:
		return check.NotDeclared("the profile does not say how store %s is read (read), or why it cannot be (unread)", name)
	case view == viewLogical:
		return nil
	}
	v := viewOf(s, view)
	switch {
	case v.Declared():
		return check.DeclaredNone(v.None.None)
	case !v.Given():
		return check.NotDeclared("the profile does not say whether store %s can be seen there (stores.%s.%s)", name, name, view)
	case view == viewStorage && !slices.Contains(in.Storages, v.Part):
		return check.RigLacks("the rig has no storage %s", v.Part)
	case view == viewStorage && !slices.Contains(in.Allow, check.Supply):
		return check.RigLacks("the rig file does not allow %s: a storage is read while the device is off", check.Supply)
	case view == viewConsole && !slices.Contains(in.Consoles, v.Part):
		return check.RigLacks("the rig has no console %s", v.Part)
	case view == viewStorage:
		c.Lean(dut.PartStorage(v.Part))
		return check.NeedsPower(in, c)
	case view == viewConsole:
		c.Lean(dut.PartConsole(v.Part))
	}
	return nil
}

func viewOf(s *profile.Store, view string) profile.View {
	switch view {
	case viewStorage:
		return s.Storage
	case viewConsole:
		return s.Console
	case viewNetwork:
		return s.Network
	}
	return profile.View{Steps: s.Read}
}
