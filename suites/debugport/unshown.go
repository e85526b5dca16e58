package debugport

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/ladder"
	"rigor/harness/debugport/pinsearch"
	"rigor/harness/profile"
)

// unshown names the pads of which a search that found nothing there says nothing, with
// why: those that were not driven, and those of which nothing shows that our wires lead to
// the board. A pad that the profile says what it is of is the maker's word, and named in
// the report; one that answered as a declared port is shown by that.
func unshown(p *profile.Profile, found []searched, off []idle.Pad, buffered bool) (out []string) {
	if len(found) == 0 {
		return []string{"no pad was searched"}
	}
	for _, pad := range found[0].Pads {
		if _, said := p.Debug.Pads[pad.Name]; said || reference(p, pad.Name) || answeredOn(p, found, pad.Name) {
			continue
		}
		if why := missing(found, off, pad.Name, buffered); why != "" {
			out = append(out, pad.Name+" ("+why+")")
		}
	}
	return out
}

// unfound names the declared ports that the rig is wired to, that are declared to answer,
// and that no search has found.
func unfound(p *profile.Profile, wired []string, found []searched) (out []string) {
	for _, name := range ofProtocol(p, "") {
		d := p.Debug.Ports.Items[name]
		if ladder.Parse(d.Level) <= ladder.L0 || slices.ContainsFunc(slices.Collect(maps.Values(d.Pads)), func(pad string) bool { return !slices.Contains(wired, pad) }) {
			continue
		}
		if !slices.ContainsFunc(found, func(f searched) bool {
			return slices.ContainsFunc(f.Hits, func(h pinsearch.Hit) bool { return declaredAs(p, h) == name })
		}) {
			out = append(out, name)
		}
	}
	return out
}

// missing says what a search lacks of a pad; "" for nothing.
func missing(found []searched, off []idle.Pad, name string, buffered bool) string {
	var states []pinsearch.State
	for _, f := range found {
		for _, pad := range f.Pads {
			switch {
			case pad.Name != name:
			case pad.State == pinsearch.Moves: // an output is no clock and no data, and was read all the time
				return ""
			case pad.Same != "": // the one that it is joined to stands for it
				return ""
			case pad.Spared != "":
				return "it was not driven: " + pad.Spared
			default:
				states = append(states, pad.State)
			}
		}
	}
	without := idle.State("")
	for _, o := range off {
		if o.Name == name {
			without = o.State
		}
	}
	switch {
	case buffered:
		return "an adapter stands in between: that a wire leads from it to the board is not shown"
	case slices.Contains(states, pinsearch.HeldHigh) && without == idle.High:
		return "it is high without the device's supply too: that is not the device's doing"
	case slices.ContainsFunc(states, func(s pinsearch.State) bool { return s == pinsearch.HeldHigh || s == pinsearch.HeldLow }):
		return ""
	case without == idle.Low && slices.Contains(states, pinsearch.Floats):
		return "" // what has no supply holds it
	case slices.Contains(states, pinsearch.Unread):
		return "our pins cannot tell what holds it"
	}
	return "nothing holds it, with the supply or without: that our wire leads to it is not shown"
}

// reference says whether a pad is declared to be a port's reference level.
func reference(p *profile.Profile, pad string) bool {
	for _, name := range ofProtocol(p, "") {
		if p.Debug.Ports.Items[name].Pads["vref"] == pad {
			return true
		}
	}
	return false
}

// answeredOn says whether a declared port answered on a pad.
func answeredOn(p *profile.Profile, found []searched, pad string) bool {
	for _, f := range found {
		for _, h := range f.Hits {
			if declaredAs(p, h) != "" && slices.ContainsFunc(h.Roles, func(r pinsearch.Role) bool { return r.Pad == pad }) {
				return true
			}
		}
	}
	return false
}

// saidOf gives what the profile says of the pads beside the ports that a search had.
func saidOf(p *profile.Profile, found []searched) string {
	var out []string
	for _, f := range found[:min(1, len(found))] {
		for _, pad := range f.Pads {
			if what := p.Debug.Pads[pad.Name]; what != "" {
				out = append(out, fmt.Sprintf("%s (%s)", pad.Name, what))
			}
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; the profile says of " + strings.Join(out, ", ") + " that it is that"
}
