package pinsearch

import (
	"fmt"
	"strings"
)

// String gives the result for a person, in the wiring's own names.
func (r *Result) String() string {
	var b strings.Builder
	for _, h := range r.Hits {
		fmt.Fprintf(&b, "found %s\n", h)
	}
	switch {
	case !r.Done:
		b.WriteString("the search did not come to its end: what is not here may be there\n")
	case len(r.Hits) == 0:
		b.WriteString("nothing found\n")
	}
	for _, p := range r.Resets {
		fmt.Fprintf(&b, "found reset: %s; the device begins anew on console %s when it is let go\n", p.Pad, p.Shown)
	}
	for _, h := range r.Doubtful {
		fmt.Fprintf(&b, "doubtful, not confirmed: %s\n", h)
	}
	b.WriteString("pads:\n")
	for _, p := range r.Pads {
		fmt.Fprintf(&b, "  %-8s %s", p.Name, p.State)
		if p.Spared != "" {
			fmt.Fprintf(&b, ", spared: %s", p.Spared)
		}
		b.WriteByte('\n')
	}
	for _, p := range r.Passes {
		fmt.Fprintf(&b, "pass %s: %d pairs, %d half periods\n", p.What, p.Pairs, p.Steps)
	}
	fmt.Fprintf(&b, "in all %d half periods, %d of them watching; %d times a pull\n", r.Steps, r.Watched, r.Pulls)
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	fmt.Fprintf(&b, "assumed: %s\n", Assumed)
	return b.String()
}

// String gives "jtag: tck J3.1, tms J3.2, ...: 0x4ba00477 (ARM Ltd.)", and what did not hold.
func (h Hit) String() string {
	var b strings.Builder
	b.WriteString(h.Protocol)
	if h.Via != "" {
		fmt.Fprintf(&b, " (%s)", h.Via)
	}
	b.WriteByte(':')
	for i, r := range h.Roles {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s %s", r.Role, r.Pad)
	}
	b.WriteByte(';')
	for _, id := range h.IDs {
		if id.Value == 0 {
			b.WriteString(" a TAP without IDCODE")
			continue
		}
		fmt.Fprintf(&b, " %s", id)
	}
	for _, p := range h.Proofs {
		if !p.Holds {
			fmt.Fprintf(&b, "; not so: %s", p.What)
			if p.Detail != "" {
				fmt.Fprintf(&b, " (%s)", p.Detail)
			}
		}
	}
	return b.String()
}

// Pad gives the pad of a role, "" where the port has none.
func (h Hit) Pad(role string) string {
	for _, r := range h.Roles {
		if r.Role == role {
			return r.Pad
		}
	}
	return ""
}
