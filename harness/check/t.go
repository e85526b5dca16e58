package check

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"

	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Host is what a running case needs of the run.
type Host interface {
	journal.Appender
	// Sync makes the journal durable; called before each altering act.
	Sync() error
	// Intent writes down what the next start may have to undo, before the act;
	// the function closes it once it was undone.
	Intent(kind, what string, data map[string]string) (id string, done func() error, err error)
	// Secret derives a temporary secret that the next start can derive again.
	Secret(label string, length int) string
	// Draw is Secret of another alphabet: characters of one byte.
	Draw(label, alphabet string, length int) string
}

// Config is what a T is made of.
type Config struct {
	ID      string // of the case
	Check   *Check
	Case    Case
	Device  *dut.Device
	Host    Host
	Cabinet *journal.Cabinet
	Seed    uint64
	Input   Input
	Ledger  *Ledger // of the run; shared by its cases
}

// T is one running case. Its methods may be called from the case's goroutine;
// those that record may be called from others too.
//
// testify works on it: a failed assertion on a T is a precondition that did
// not hold and makes the case inconclusive, a failed one on a Claim makes it
// fail.
type T struct {
	cfg Config

	mu       sync.Mutex
	end      *verdict.Judgement
	claims   int
	cleanups []func(context.Context, *T)
	files    []*journal.File
	recErr   error
	over     bool
}

// NewT makes the T of a case. Only a runner does.
func NewT(cfg Config) *T { return &T{cfg: cfg} }

// Case gives the case: its channel, kind and parts.
func (t *T) Case() Case { return t.cfg.Case }

// ID gives the case's id: "cred-known-list[ssh]".
func (t *T) ID() string { return t.cfg.ID }

// Device gives the DUT, through a session that the runner can take back.
func (t *T) Device() *dut.Device { return t.cfg.Device }

// Profile gives what the maker declares.
func (t *T) Profile() *profile.Profile { return t.cfg.Device.Profile }

// Input gives what was declared by profile and rig.
func (t *T) Input() Input { return t.cfg.Input }

// Rand gives a generator that is the same for the same seed and case.
func (t *T) Rand() *rand.Rand {
	sum := sha256.Sum256([]byte(t.cfg.ID))
	return rand.New(rand.NewPCG(t.cfg.Seed, binary.LittleEndian.Uint64(sum[:8]))) //nolint:gosec // probes are to be reproducible, not secret
}

// Seed gives the run's seed, for what is to be the same in each case.
func (t *T) Seed() uint64 { return t.cfg.Seed }

// Secret derives a temporary secret for this case, of this length, from
// letters and digits. The next start can derive it again; it is in no record.
func (t *T) Secret(label string, length int) string {
	return t.cfg.Host.Secret(t.cfg.ID+"/"+label, length)
}

// Draw is Secret of another alphabet: for what a store takes.
func (t *T) Draw(label, alphabet string, length int) string {
	return t.cfg.Host.Draw(t.cfg.ID+"/"+label, alphabet, length)
}

// Intent writes down what the next start may have to undo. It is called
// before the act, and the function that it gives after the undoing. Trouble
// with writing ends the case.
func (t *T) Intent(kind, what string, data map[string]string) (done func()) {
	_, closer, err := t.cfg.Host.Intent(kind, what, data)
	t.OK(err)
	return func() {
		if err := closer(); err != nil {
			t.record(&journal.Event{Kind: journal.KindNote, Note: &journal.Note{Text: "closing an intent failed: " + err.Error()}})
		}
	}
}

// Shown closes a bracket that other cases of the run may wait for: this case has
// shown what it stands for. A bracket that is closed well stays so.
func (t *T) Shown(bracket string) {
	t.record(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: bracket, Phase: "close", OK: true}})
}

// Note adds a line to the case's timeline.
func (t *T) Note(format string, args ...any) {
	t.record(&journal.Event{Kind: journal.KindNote, Note: &journal.Note{Text: fmt.Sprintf(format, args...)}})
}

// Observe records something that contradicts a declared absence.
func (t *T) Observe(topic, text string, contradicts ...string) {
	t.record(&journal.Event{Kind: journal.KindObserve, Observe: &journal.Observe{Topic: topic, Text: text, Contradicts: contradicts}})
}

// Disprove records that what a bracket leans on is shown not to be so: none of its
// cases can pass any more.
func (t *T) Disprove(bracket, why string) {
	t.record(&journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: bracket, Phase: "close", Detail: why}})
}

// Cleanup runs f after the case, also when it failed, panicked or was given
// up: then with a session of its own and the cleanup budget. The last one
// added runs first.
func (t *T) Cleanup(f func(ctx context.Context, t *T)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Cleanups gives the cleanups in the order to run, and forgets them.
func (t *T) Cleanups() []func(context.Context, *T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]func(context.Context, *T), 0, len(t.cleanups))
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		out = append(out, t.cleanups[i])
	}
	t.cleanups = nil
	return out
}

// WithDevice gives a T for the same case over another session: for cleanups
// after the case lost its own.
func (t *T) WithDevice(d *dut.Device) *T {
	cfg := t.cfg
	cfg.Device = d
	t.mu.Lock()
	defer t.mu.Unlock()
	return &T{cfg: cfg, claims: t.claims, recErr: t.recErr}
}

// Keep stores bytes as evidence of the case and gives the reference to show.
// Secrets are taken out on the way. A text that a terminal would obey is written
// as escape.Visible does it, which can be undone.
func (t *T) Keep(name, what string, data []byte) journal.Ref {
	if !escape.Tame(string(data)) {
		data, what = []byte(escape.Visible(string(data))), what+" (made visible)"
	}
	f := t.File(name, what, "application/octet-stream")
	if _, err := f.Write(data); err != nil {
		t.OK(diskFault(err))
	}
	t.OK(diskFault(f.Close()))
	return f.Ref()
}

// File opens a file of evidence. It is closed with the case at the latest.
func (t *T) File(name, what, mime string) *journal.File {
	f, err := t.cfg.Cabinet.Create(t.cfg.ID, name, what, mime)
	t.OK(diskFault(err))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files = append(t.files, f)
	return f
}

// PartDisk is the rig's own disk, where evidence goes.
const PartDisk wire.Part = "disk"

func diskFault(err error) error {
	if err == nil {
		return nil
	}
	return &wire.Fault{Part: PartDisk, Op: "write evidence", Err: err}
}

// OK ends the case if err is not nil, with what the error's type says: a fault
// of a part is an error, a lost DUT, a step that did not work and everything
// else is inconclusive.
func (t *T) OK(err error) {
	if err == nil {
		return
	}
	t.finish(Judge(err))
}

// Judge says what an error means for the case that met it.
func Judge(err error) verdict.Judgement {
	if f, ok := wire.AsFault(err); ok {
		r := verdict.ReasonFault
		if f.Part == PartDisk {
			r = verdict.ReasonDisk
		}
		return verdict.Judgement{Verdict: verdict.Error, Reason: r, Detail: err.Error()}
	}
	inc := func(r verdict.Reason) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: err.Error()}
	}
	rig := func(r verdict.Reason) verdict.Judgement {
		return verdict.Judgement{Verdict: verdict.Error, Reason: r, Detail: err.Error()}
	}
	switch {
	case errors.Is(err, dut.ErrRevoked):
		return rig(verdict.ReasonBudget)
	case errors.Is(err, late.ErrLate):
		return inc(verdict.ReasonRigLate)
	case errors.Is(err, dut.ErrOtherUnit), errors.Is(err, login.ErrIdentity):
		return rig(verdict.ReasonWrongUnit)
	case errors.Is(err, steps.ErrNeedsHuman):
		return inc(verdict.ReasonNeedsHuman)
	case errors.Is(err, dut.ErrNotWired), errors.Is(err, wire.ErrUnsupported), errors.Is(err, wire.ErrLimit):
		return inc(verdict.ReasonRigLacks)
	case errors.Is(err, dut.ErrNotDeclared), errors.Is(err, login.ErrConfig):
		return inc(verdict.ReasonProfileMissing)
	// What the DUT did not show within a time of its own ends in the end of a
	// context too: it is the DUT's. Whether the case's time is spent is known
	// to the runner.
	case errors.Is(err, dut.ErrLost):
		return inc(verdict.ReasonDUTLost)
	case errors.Is(err, console.ErrTimeout):
		return inc(verdict.ReasonPrecondition)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return rig(verdict.ReasonBudget)
	}
	return inc(verdict.ReasonPrecondition)
}

// Inconclusive ends the case as inconclusive.
func (t *T) Inconclusive(r verdict.Reason, format string, args ...any) {
	t.finish(verdict.Judgement{Verdict: verdict.Inconclusive, Reason: r, Detail: fmt.Sprintf(format, args...)})
}

// finish ends the case's goroutine. The first end counts, but that rig trouble
// stands above a precondition that did not hold before.
func (t *T) finish(j verdict.Judgement) {
	t.mu.Lock()
	if t.end == nil || t.end.Verdict == verdict.Inconclusive && j.Verdict == verdict.Error {
		t.end = &j
	}
	t.mu.Unlock()
	runtime.Goexit()
}

// Errorf makes a T usable with testify: what it says is a precondition that
// did not hold.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil {
		t.end = &verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonPrecondition, Detail: tidy(fmt.Sprintf(format, args...))}
	}
}

// FailNow ends the case after Errorf.
func (t *T) FailNow() {
	t.finish(verdict.Judgement{Verdict: verdict.Inconclusive, Reason: verdict.ReasonPrecondition, Detail: "a precondition did not hold"})
}

// Helper is there for testify.
func (t *T) Helper() {}

// End closes what the case left open and gives what its end means; nil when it
// simply returned. Only a runner calls it.
func (t *T) End() *verdict.Judgement {
	t.mu.Lock()
	files := t.files
	t.files, t.over = nil, true
	end, recErr := t.end, t.recErr
	t.mu.Unlock()
	for _, f := range files {
		if err := f.Close(); err != nil && recErr == nil {
			recErr = err
		}
	}
	if recErr != nil {
		return &verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonDisk, Detail: recErr.Error()}
	}
	return end
}

// record appends an event for the case. A case that was given up records
// nothing any more.
func (t *T) record(e *journal.Event) {
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	if over {
		return
	}
	e.Case = t.cfg.ID
	if err := t.cfg.Host.Append(e); err != nil {
		t.mu.Lock()
		t.recErr = err
		t.mu.Unlock()
	}
}

// Excerpt records a piece of a console's transcript, made visible.
func (t *T) Excerpt(e journal.Excerpt) {
	t.record(&journal.Event{Kind: journal.KindExcerpt, Excerpt: &e})
}

// tidy makes testify's message a few plain lines: without its call stack,
// which says nothing about the DUT.
func tidy(msg string) string {
	var keep []string
	skip := false
	for line := range strings.SplitSeq(msg, "\n") {
		s := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(s, "Error Trace:"):
			skip = true
			continue
		case strings.HasPrefix(s, "Error:"), strings.HasPrefix(s, "Messages:"):
			skip = false
			_, s, _ = strings.Cut(s, ":")
			s = strings.TrimSpace(s)
		}
		if skip || s == "" {
			continue
		}
		keep = append(keep, s)
	}
	return strings.Join(keep, "; ")
}

// digest is the sha256 of a list of probes, in hex, so that two runs can be
// compared.
func digest(lines []string) string {
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l))
		h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil))
}
