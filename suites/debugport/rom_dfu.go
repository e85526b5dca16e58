package debugport

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/debugport/rom"
	"rigor/harness/debugport/rom/banner"
	"rigor/harness/debugport/rom/esp"
	"rigor/harness/debugport/rom/stm32"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// ROMLoaders: a loader in ROM gives out no memory, and takes in no code that it runs. That it
// is there is no failure, and that it says so is no proof: each command that reads is
// tried.
var ROMLoaders = check.Check{
	ID:    "dbg-rom-dfu",
	Title: "A loader in ROM lets nothing through",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-4A"), en303645.V3("5.6-3"), en18031.Code("GEC-5"), istg.ID("PHY-AUTHZ-001")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.ROMLoader, check.Supply},
	Budget: check.Budget{Case: 20 * time.Minute, Cleanup: 10 * time.Minute},
	Cases:  check.Planner(once).With(hasLoaders, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		for _, name := range t.Profile().Debug.Loaders.Order {
			if l := t.Profile().Debug.Loaders.Items[name]; !l.Declared() {
				look(ctx, t, name, l).claim(t)
			}
		}
	},
}

// hasLoaders: it is said which loaders there are, and how each is come to.
var hasLoaders check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
	d := &in.Profile.Debug
	switch {
	case d.Declared():
		return check.DeclaredNone(d.None.None)
	case d.Loaders.Declared():
		return check.DeclaredNone(d.Loaders.None.None)
	case !d.Loaders.Given:
		return check.NotDeclared("the profile does not say which loaders in ROM there are (debug.loaders)")
	}
	any := false
	for _, name := range d.Loaders.Order {
		l := d.Loaders.Items[name]
		if l.Declared() {
			continue
		}
		any = true
		if !slices.Contains(in.Consoles, l.Console) {
			return check.RigLacks("the rig has no console %s, on whose wires loader %s speaks", l.Console, name)
		}
		for _, s := range slices.Concat(l.Enter, l.Leave) {
			if line := s.Assert + s.Release; line != "" && !slices.Contains(in.Lines, line) {
				return check.RigLacks("loader %s is come to by line %s, which the rig does not have", name, line)
			} else if line != "" {
				c.Lean(dut.PartLine(line))
			}
		}
		c.Lean(dut.PartConsole(l.Console))
	}
	if !any {
		return check.DeclaredNone(d.Loaders.Items[d.Loaders.Order[0]].None.None)
	}
	return nil
}

// heard is what a loader said.
type heard struct {
	name    string
	decl    *profile.Loader
	Answers bool      `json:"answers"`
	Says    any       `json:"says"`
	Read    []rom.Try `json:"read,omitempty"` // that was let through
	Refused bool      `json:"refused"`        // each reading was, as its maker's documents have it
	Runs    string    `json:"runs,omitempty"` // why it runs code of one's own
	Wipes   bool      `json:"wipes,omitempty"`
	Shown   string    `json:"shown,omitempty"` // what its console showed meanwhile
}

// look brings the device into a loader, asks it, and brings it back.
func look(ctx context.Context, t *check.T, name string, decl *profile.Loader) *heard {
	h := &heard{name: name, decl: decl}
	d := t.Device()
	done := t.Intent(IntentDebug, "a loader in ROM is started, by "+t.ID(), nil)
	left := false
	t.Cleanup(func(ctx context.Context, t *check.T) {
		if !left {
			t.OK(leave(ctx, t.Device(), decl))
		}
		done()
	})
	con, err := d.Console(decl.Console)
	t.OK(err)
	from := con.Mark()
	_, err = d.Steps(ctx, decl.Enter, nil)
	t.OK(err)
	t.OK(h.ask(ctx, con, from))
	if b, err := con.Since(from); err == nil {
		h.Shown = fmt.Sprintf("%q", b[:min(len(b), 512)])
	}
	t.OK(leave(ctx, d, decl))
	left = true
	if len(t.Profile().Identity.Steps) > 0 {
		_, err = d.Identify(ctx)
		t.OK(err)
	}
	return h
}

// leave brings the device back from a loader.
func leave(ctx context.Context, d *dut.Device, decl *profile.Loader) error {
	if _, err := d.Steps(ctx, decl.Leave, nil); err != nil {
		return fmt.Errorf("bring the device back from its loader: %w", err)
	}
	if slices.ContainsFunc(decl.Leave, func(s profile.Step) bool { return s.Verb == "power" }) {
		return d.Reachable(ctx)
	}
	return d.PowerCycle(ctx)
}

// patience is how long an answer may take, where a loader answers in some milliseconds.
const patience = 400 * time.Millisecond

// ask asks a loader what it is and what it still lets through.
func (h *heard) ask(ctx context.Context, con *dut.Console, from console.Cursor) error {
	switch h.decl.ROM {
	case "stm32":
		r, err := stm32.New(con, stm32.Options{Answer: patience}).Look(ctx, stm32.Piece{At: 0x08000000, Length: 256}, stm32.Piece{At: 0x20001000, Length: 64})
		h.Says, h.Answers, h.Read, h.Refused, h.Wipes = r, r.Answers(), r.Read(), r.Refused(), r.Answers() && r.Refused()
		return err
	case "esp32":
		r, err := esp.New(con, esp.Options{Answer: patience}).Look(ctx)
		h.Says, h.Answers, h.Read = r, r.Answers(), r.Read()
		if h.Answers {
			h.Wipes = true
			switch {
			case r.Security == nil:
				h.Runs = "it does not tell of a secure download mode, without which it runs what it is given"
			case !r.Secure():
				h.Runs = "its download mode is not the secure one, and runs what it is given"
			case r.Security.Flags&esp.SecureBoot == 0:
				h.Runs = "its secure download mode writes the flash, and no secure boot looks at what it starts"
			default:
				h.Refused = r.Refused()
			}
		}
		return err
	}
	f, there, err := banner.Listen(ctx, con, from, 2*patience)
	h.Says, h.Answers = f, there
	if !there && !h.decl.Banner.Zero() {
		h.Answers = shown(con, from, h.decl.Banner)
	}
	return err
}

// claim claims that a loader lets nothing through.
func (h *heard) claim(t *check.T) {
	data, err := json.MarshalIndent(h, "", " ")
	t.OK(err)
	ref := t.Keep("loader-"+h.name+".json", "what was asked of loader "+h.name+", and what it let through", data)
	t.Claim("loader "+h.name+" gives out no memory, and runs nothing that it is given", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("each command that reads is refused", fmt.Sprintf("it answers, and refuses: %v", h.Says))
		var given []string
		alike := false
		for _, r := range h.Read {
			if rom.Alike(r.Data) {
				alike = true
				continue
			}
			given = append(given, r.String())
		}
		switch {
		case len(given) > 0:
			c.Fail(verdict.ReasonAccess, "it gave out memory: %s", strings.Join(given, "; "))
		case h.Runs != "":
			c.Fail(verdict.ReasonAccess, "%s", h.Runs)
		case !h.Answers:
			c.Unknown(verdict.ReasonControlFailed, "it does not answer: that it was started is not shown")
		case alike:
			c.Unknown(verdict.ReasonAmbiguous, "what it gave are bytes that are all alike: that is neither memory nor a refusal")
		case !h.Refused:
			c.Unknown(verdict.ReasonAmbiguous, "it is there, and whether it takes in what somebody gives it was not tried")
		}
	})
	if h.Wipes {
		t.Note("whoever has the wires of loader %s can wipe the device: what is in it stays secret, and the device is gone", h.name)
		if !slices.Contains(h.decl.Permits, profile.PermitsErase) {
			t.Note("the profile does not say so (debug.loaders.%s.permits)", h.name)
		}
	}
}
