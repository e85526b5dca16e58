// Package journaltest builds journals for tests: event by event, with made-up
// times that are the same each time, as a log or as the bytes of a file.
package journaltest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Began is when every built journal begins.
var Began = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// Builder collects events. Its methods give it back, so that they chain.
type Builder struct {
	Events []journal.Event
	off    time.Duration
}

// New begins a journal of a run that is well: bench-a with an acme-gateway,
// changed by the functions.
func New(change ...func(*journal.Start)) *Builder {
	s := journal.Start{Format: journal.Format, Writer: "rigor test", Run: "2026-11-23T02-00-00Z-bench-a", Rig: "bench-a", RigFile: "rigs/bench-a.yaml",
		Device: "acme-gateway", Maker: "Acme", Model: "AG-1", Hardware: "B", Firmware: "1.4.2", Serial: "AG-000123", Seed: 7,
		Rerun: []string{"rigor", "run", "--rig", "rigs/bench-a.yaml", "--seed", "7"}, Digests: map[string]string{"rig": Hash("rig"), "profile": Hash("profile")},
		Host: "pi-3", Clock: "synchronised", WaiversNow: "2026-11-23"}
	for _, f := range change {
		f(&s)
	}
	return (&Builder{}).Add(journal.Event{Kind: journal.KindStart, Start: &s})
}

// Hash gives a made-up sha256.
func Hash(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:])
}

// Add appends events, 250 ms after one another.
func (b *Builder) Add(es ...journal.Event) *Builder {
	for _, e := range es {
		e.Seq, e.Off, e.At = int64(len(b.Events))+1, b.off.Microseconds(), Began.Add(b.off)
		b.off += 250 * time.Millisecond
		b.Events = append(b.Events, e)
	}
	return b
}

// Wait lets time pass before the next event.
func (b *Builder) Wait(d time.Duration) *Builder {
	b.off += d
	return b
}

// Plan plans a case of the suite; the functions change the plan.
func (b *Builder) Plan(suite, check, channel string, change ...func(*journal.Plan)) *Builder {
	p := journal.Plan{Check: check, Channel: channel, Suite: suite, Title: "Title of " + check, Clauses: []string{"NISTIR 8259A LA-1"},
		From: "onboarded", Effect: "reads", Parts: []string{"console.main"}}
	for _, f := range change {
		f(&p)
	}
	return b.Add(journal.Event{Kind: journal.KindPlan, Case: ID(check, channel), Plan: &p})
}

// ID gives a case's id.
func ID(check, channel string) string {
	if channel == "" {
		return check
	}
	return check + "[" + channel + "]"
}

// Skip plans with a verdict of its own.
func Skip(v verdict.Verdict, r verdict.Reason, detail string) func(*journal.Plan) {
	return func(p *journal.Plan) { p.Skip = &verdict.Judgement{Verdict: v, Reason: r, Detail: detail} }
}

// Begin starts a case.
func (b *Builder) Begin(id string) *Builder {
	return b.Add(journal.Event{Kind: journal.KindCase, Case: id, Begin: &journal.Begin{State: "onboarded"}})
}

// Done ends a case, with a judgement if one is given.
func (b *Builder) Done(id string, js ...verdict.Judgement) *Builder {
	end := &journal.CaseEnd{}
	for _, j := range js {
		end.Judgement = &j
	}
	return b.Add(journal.Event{Kind: journal.KindCaseEnd, Case: id, CaseEnd: end})
}

// Retry ends a try of a case in rig trouble, to be tried again.
func (b *Builder) Retry(id string) *Builder {
	return b.Add(journal.Event{Kind: journal.KindCaseEnd, Case: id, CaseEnd: &journal.CaseEnd{Retry: true,
		Judgement: &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonFault, Detail: "console.main: read: input/output error"}}})
}

// Claim records a claim, after its evidence.
func (b *Builder) Claim(id string, c journal.Claim) *Builder {
	return b.Add(journal.Event{Kind: journal.KindClaim, Case: id, Claim: &c})
}

// Path gives where the evidence of a case is.
func Path(id string) string { return "evidence/" + Hash(id)[:8] + ".txt" }

// Keep records evidence of a case.
func (b *Builder) Keep(id string) *Builder {
	return b.Add(journal.Event{Kind: journal.KindEvidence, Case: id, Evidence: &journal.Evidence{
		Path: Path(id), What: "transcript", Size: 120, SHA256: Hash(Path(id)), MIME: "text/plain"}})
}

// Refs points at the evidence of a case.
func Refs(id string) []journal.Ref { return []journal.Ref{{Path: Path(id)}} }

// Holds records claim n as holding, with evidence.
func (b *Builder) Holds(id string, n int) *Builder {
	return b.Claim(id, journal.Claim{Claim: n, Text: "it is so", Holds: journal.Yes, Expected: "yes", Got: "yes", Evidence: Refs(id)})
}

// Fails records claim n as not holding.
func (b *Builder) Fails(id string, n int) *Builder {
	return b.Claim(id, journal.Claim{Claim: n, Text: "no published login opens it", Holds: journal.No, Reason: verdict.ReasonAccess,
		Expected: "refused", Got: "opened for root", Evidence: Refs(id)})
}

// Negative is all that a negative claim records, ready to be spoiled.
type Negative struct {
	Controls []journal.Control
	Probes   *journal.Probes
	Claim    *journal.Claim
}

// Whole gives a negative claim that passes.
func Whole(id string, n int) Negative {
	control := func(role string, k verdict.Kind) journal.Control {
		return journal.Control{Claim: n, Role: role, OK: true, Kind: k, Text: "login on ssh", Evidence: Refs(id)}
	}
	return Negative{
		Controls: []journal.Control{control(journal.RoleBefore, verdict.Accepted), control(journal.RoleAnti, verdict.Refused), control(journal.RoleAfter, verdict.Accepted)},
		Probes: &journal.Probes{Claim: n, Planned: 3, Tried: 3, Effective: 3, Kinds: map[verdict.Kind]int{verdict.Refused: 3},
			Digest: Hash("probes"), Evidence: Refs(id)},
		Claim: &journal.Claim{Claim: n, Text: "no published login opens it", Negative: true, Holds: journal.Yes, Expected: "3 refusals", Got: "3 refusals",
			Evidence: Refs(id), Refusal: []verdict.Kind{verdict.Refused}, Unchanged: journal.Yes},
	}
}

// Refute records a negative claim, in the order in which it happens.
func (b *Builder) Refute(id string, neg Negative) *Builder {
	last := max(len(neg.Controls)-1, 0)
	for i, c := range neg.Controls {
		if i == last && neg.Probes != nil {
			b.Add(journal.Event{Kind: journal.KindProbes, Case: id, Probes: neg.Probes})
		}
		b.Add(journal.Event{Kind: journal.KindControl, Case: id, Control: &c})
	}
	if len(neg.Controls) == 0 && neg.Probes != nil {
		b.Add(journal.Event{Kind: journal.KindProbes, Case: id, Probes: neg.Probes})
	}
	if neg.Claim != nil {
		b.Claim(id, *neg.Claim)
	}
	return b
}

// Pass records a whole case that passes.
func (b *Builder) Pass(id string) *Builder { return b.Begin(id).Holds(id, 1).Keep(id).Done(id) }

// Fail records a whole case that fails.
func (b *Builder) Fail(id string) *Builder { return b.Begin(id).Fails(id, 1).Keep(id).Done(id) }

// End ends the run, well.
func (b *Builder) End() *Builder {
	return b.Add(journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndFinished, Safe: true}})
}

// Without gives a copy that lacks event i.
func (b *Builder) Without(i int) *Builder {
	return &Builder{Events: slices.Delete(slices.Clone(b.Events), i, i+1), off: b.off}
}

// Log gives the events as a log that was read without trouble.
func (b *Builder) Log() *journal.Log {
	log, err := journal.Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		panic(err)
	}
	return log
}

// Fold gives the result.
func (b *Builder) Fold() *journal.Result { return journal.Fold(b.Log()) }

// Bytes gives the events as the lines of a file, numbered and chained.
func (b *Builder) Bytes() []byte {
	var out bytes.Buffer
	prev := ""
	for i, e := range b.Events {
		e.Seq, e.Prev = int64(i)+1, prev
		line, err := json.Marshal(&e)
		if err != nil {
			panic(err)
		}
		prev = Hash(string(line))
		out.Write(line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}
