package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/login/program"
	"rigor/harness/login/pubkey"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/vcd"
)

// Job is a run from its files to its closed journal.
type Job struct {
	File      *rig.File
	Profile   *profile.Profile
	Suites    []check.Suite
	Drivers   rig.Drivers
	Env       rig.Env // Dir and Given; the rest is the job's
	Selectors []string
	// Keep, where set, is asked for each selected case; one that it refuses is
	// left out, as if no selector had named it. KeepWhy says so in the reports.
	Keep    func(caseID string) bool
	KeepWhy string
	Dir     string // the run's folder; it must not exist
	RunID   string
	Seed    uint64 // 0: a new one
	Digests map[string]string
	Waivers []journal.Waiver
	Writer  string   // program and version
	Rerun   []string // the command, without selectors, that runs this again
	Planted []string
	// Credentials are logins to try besides the published ones.
	Credentials []login.Credential

	FailFast, Hold bool

	// Store is the state folder of the rig; nil for a temporary one.
	Store *rig.Store
	// Lease and Guard may be nil, for a rig that lives in this process.
	Lease *rig.Lease
	Guard *rig.Guard
	// StartGuard starts the guard; nil: rig.StartGuard, for a program that has
	// the word "guard".
	StartGuard func(context.Context, rig.GuardSpec) (*rig.Guard, error)
	// Disk, which may be nil, stands before what evidence is written to, and Lost
	// is closed when somebody else takes a rig that has no lease: for the faults
	// of a bench that lives in this process.
	Disk func(io.Writer) io.Writer
	Lost <-chan struct{}
	// Undo undoes an intent of an earlier run; it is told by its kind.
	Undo map[string]Undo
	Ask  func(ctx context.Context, question string) (string, error)
	// AskSecret asks for what has a credential in it; it shows that on a terminal and
	// nowhere else. Nil where there is none.
	AskSecret func(ctx context.Context, question string) (string, error)
	// AskHidden asks for a secret, which is not shown as it is typed. Nil where there is
	// nobody.
	AskHidden func(ctx context.Context, question string) (string, error)
	Exec      func(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error)
	// Program runs a program that tries a login; nil where none can be run.
	Program program.Runner

	Observe func(*journal.Event) // sees each event; may be nil
	// Waiting is told what is waited for, and Opened of each bench once it is bound, with
	// the rig's name where that is beside the job's own; Left is told of one that was put
	// safe and is closed now. All may be nil.
	Waiting func(rig, what string)
	Opened  func(rig string, b *rig.Bench)
	Left    func(b *rig.Bench)

	// Beside are rigs with further units of the model, among which the cases are shared.
	Beside []*rig.File

	beside string // this rig's name, where it is one of those
	salt   uint64 // makes the random choices of a device in this process others than its neighbours'
	crew   []*Job // one for each of them that takes part
	byHand bool   // the power switch would be a person, and there is nobody to ask

	unsafe   *journal.Doctor // what the guard of an earlier run could not do; nil: nothing
	told     bool            // a doctor has said it
	forGuard bool            // the rig could not be made safe: the guard is to try on

	unknown *journal.Doctor // that not all is known which earlier runs left to undo; nil: it is
}

// Undo undoes what an intent of an earlier run was about, with what was written
// down before the act and the secrets that can be derived again.
type Undo = func(ctx context.Context, d *dut.Device, data map[string]string, secret func(label string, length int) string) error

// NewJob begins a job on a rig: named, in a new folder under runs/, and with
// what the files say of themselves. Suites and Drivers are still to be given.
func NewJob(f *rig.File, p *profile.Profile) *Job {
	id := RunID(f.Name)
	j := &Job{File: f, Profile: p, Env: rig.Env{Dir: filepath.Dir(f.Path)}, RunID: id, Dir: filepath.Join("runs", id),
		Digests: map[string]string{"rig": f.Digest, "profile": p.Digest}}
	if f.Virtual != nil {
		j.Planted = slices.Concat(f.Virtual.Weaknesses, f.Virtual.Faults)
	}
	return j
}

// RunID names a run: when, and on which rig.
func RunID(rigName string) string {
	var b [2]byte
	_, _ = rand.Read(b[:]) // it never fails, by its documentation
	return time.Now().UTC().Format("2006-01-02T15-04-05Z") + "-" + rigName + "-" + hex.EncodeToString(b[:])
}

// ErrPlan says that nothing could be planned or selected; nothing was touched.
var ErrPlan = errors.New("nothing was run")

// ErrFolder says that the run's folder cannot be made; nothing was touched.
var ErrFolder = errors.New("nothing was run")

// Input gives what planning looks at.
func (j *Job) Input() check.Input {
	in := PlanInput(j.File, j.Profile)
	in.Credentials, in.ByHand = j.Credentials, j.byHand
	return in
}

// PlanInput gives what planning looks at, of a rig file and a profile.
func PlanInput(f *rig.File, p *profile.Profile) check.Input {
	in := check.Input{Profile: p, Power: f.Power != nil, Network: f.Network != nil}
	if f.Network != nil {
		in.Forwarded = slices.Sorted(maps.Keys(f.Network.Ports))
	}
	for name := range f.Consoles {
		in.Consoles = append(in.Consoles, name)
	}
	for name := range f.Lines {
		in.Lines = append(in.Lines, name)
	}
	slices.Sort(in.Consoles)
	slices.Sort(in.Lines)
	in.Storages = slices.Sorted(maps.Keys(f.Storages))
	in.Pads, in.Golden = f.Pads.Names(), f.Pads != nil && f.Pads.Golden != ""
	in.Buffered = f.Pads != nil && f.Pads.Buffered
	for _, a := range f.Allow {
		in.Allow = append(in.Allow, check.Leave(a))
	}
	if f.Unit.LabelPassword != "" {
		in.Units = 1
		for _, u := range f.Units {
			if u.LabelPassword != "" {
				in.Units++
			}
		}
	}
	for _, u := range f.Units {
		if len(u.Keys) > 0 {
			in.KeyUnits++
		}
	}
	return in
}

// Plan gives the job's cases, with those that are selected. The rig is not
// touched.
func (j *Job) Plan() ([]Planned, error) {
	plan, err := Plan(j.Suites, j.Input(), j.File.Lacks)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if err := CheckLacks(j.File, plan); err != nil {
		return nil, err // with its places
	}
	if err := Select(plan, j.Selectors); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	for i := range plan {
		if j.Keep != nil && !plan[i].Unselected {
			plan[i].Unselected = !j.Keep(plan[i].ID)
		}
	}
	return plan, nil
}

// Run carries the job out. The journal in Dir is closed when it returns,
// whatever happened; Load gives its result. The error is for what kept the run
// from being a run at all: a plan, a folder, a journal.
func (j *Job) Run(ctx context.Context) (err error) {
	plan, err := j.Plan()
	if err != nil {
		return err
	}
	j.Seed = cmp.Or(j.Seed, NewSeed())
	red := escape.NewRedactor()
	rec, err := j.record(red)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rec.close()) }()
	if err := rec.w.Append(j.start()); err != nil {
		return err
	}
	end := j.bound(ctx, plan, rec, red)
	if err := rec.finish(end); err != nil {
		return err
	}
	return nil
}

// NewSeed draws a seed, which is never 0: one of 32 bits, since people type it.
func NewSeed() uint64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails, by its documentation
	return uint64(binary.LittleEndian.Uint32(b[:]) | 1)
}

// bound runs the plan on the job's bench, and on those beside it, and leaves the rigs
// safe.
func (j *Job) bound(ctx context.Context, plan []Planned, rec *record, red *escape.Redactor) (end *journal.End) {
	end = &journal.End{How: "finished"}
	var seats []*seat
	defer func() {
		leave(ctx, seats, end)
		if ctx.Err() != nil && end.How == "finished" {
			end.How, end.Detail = "interrupted", context.Cause(ctx).Error()
		}
	}()
	abort := func(err error) *journal.End {
		end.How, end.Detail = "aborted", err.Error()
		return end
	}
	var cfgs []Config
	for _, job := range append([]*Job{j}, j.crew...) {
		job.Seed = j.Seed
		s, err := job.sit(ctx, rec, red)
		seats = append(seats, s)
		if err != nil {
			for i := range plan {
				_ = rec.w.Append(plan[i].event()) // the writer's own error ends the job
			}
			return abort(err)
		}
		cfgs = append(cfgs, s.cfg)
	}
	if err := Run(ctx, cfgs...); err != nil {
		return abort(err)
	}
	return end
}

// safe puts the rig safe, whatever ended the run.
func (j *Job) safe(ctx context.Context, bench *rig.Bench, rec *record) bool {
	acts, err := rig.Safe(context.WithoutCancel(ctx), bench)
	if err != nil { // an instrument that was slow or busy is asked once more
		acts, err = rig.SafeAgain(context.WithoutCancel(ctx), bench, acts)
	}
	rec.leftLines(acts)
	for _, a := range acts {
		slog.DebugContext(ctx, "Made safe", "part", a.Part, "do", a.Do, "took", a.Took, "error", a.Error)
	}
	if err != nil {
		_ = rec.w.Append(&journal.Event{Kind: journal.KindFault, Fault: &journal.Fault{Part: "safe state", Op: "make the rig safe", Error: err.Error()}})
	}
	return err == nil
}

func (j *Job) store(red *escape.Redactor) (*rig.Store, error) {
	if j.Store != nil {
		j.Store.Guarded(red)
		return j.Store, nil
	}
	dir := filepath.Join(j.Dir, "private", place(j.beside, "state"))
	s, err := rig.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	s.Guarded(red)
	return s, nil
}

// consoleOptions says how a console is spoken to, as rig file and profile have it.
func (j *Job) consoleOptions(name string) console.Options {
	cfg, con := j.File.Consoles[name], j.Profile.Consoles.Items[name]
	return console.Options{Part: rig.ConsolePart(name), Newline: newline(cfg.Newline, con), Pace: cfg.Pace, Echo: cfg.Echo,
		Rate: cmp.Or(cfg.Baud, rig.DefaultBaud), Phases: phases(con)}
}

// phases gives the declared rates of a start.
func phases(con *profile.Console) (out []console.Phase) {
	if con == nil {
		return nil
	}
	for _, r := range con.Rates {
		p := console.Phase{Baud: r.Baud, For: r.For}
		if until, ok := dut.Pattern("the end of the phase at "+strconv.Itoa(r.Baud)+" baud", r.Until); ok {
			p.Until = &until
		}
		out = append(out, p)
	}
	return out
}

func newline(fromRig string, con *profile.Console) console.Newline {
	nl := fromRig
	if nl == "" && con != nil {
		nl = con.Newline
	}
	switch nl {
	case "lf":
		return console.LF
	case "crlf":
		return console.CRLF
	}
	return console.CR
}

func (j *Job) device(bench *rig.Bench, cons map[string]*console.Console, meter *late.Meter) (*dut.Device, error) {
	unit, err := j.unit(bench, j.File.Unit)
	if err != nil {
		return nil, err
	}
	for _, u := range j.File.Units {
		other, err := j.unit(bench, u)
		if err != nil {
			return nil, err
		}
		unit.Others = append(unit.Others, other)
	}
	b := &dut.Bench{Power: bench.Power, Lines: bench.Lines, Consoles: cons, Link: bench.Link, Secret: bench.Secrets.Value, Ask: j.Ask, AskSecret: j.AskSecret, Exec: j.Exec, Waiting: bench.Meter.Waiting, Late: meter}
	if p := j.File.Power; p != nil {
		b.OffSettle = p.OffSettle
	}
	b.Storages, b.Pads, b.ReadThrough = bench.Storages, bench.Pads, bench.ReadThrough
	if p := j.File.Pads; p != nil {
		b.Golden, b.Never = p.Golden, p.Never
	}
	if n := j.File.Network; n != nil {
		b.Address, b.Ports = n.Address, n.Ports
	}
	b.Image = ImageReader(j.File, j.Profile, j.Drivers)
	b.SpendFlash, b.FlashLeft = bench.SpendFlashWriteKeeping, bench.FlashWritesLeft
	if run := j.Program; run != nil {
		b.Program = func(ctx context.Context, r program.Run) error {
			r.Dir = j.Env.Dir
			return run(ctx, r)
		}
	}
	return dut.New(j.Profile, unit, b), nil
}

func (j *Job) unit(bench *rig.Bench, u rig.Unit) (dut.Unit, error) {
	label, err := bench.Secrets.Value(u.LabelPassword)
	if err != nil {
		return dut.Unit{}, fmt.Errorf("the label-password of unit %s: %w", u.Serial, err)
	}
	out := dut.Unit{Serial: u.Serial, MAC: u.MAC, Label: label, Values: u.Values}
	for _, k := range u.Keys {
		text := k
		if strings.HasPrefix(k, "secret:") {
			if text, err = bench.Secrets.Value(k); err != nil {
				return dut.Unit{}, fmt.Errorf("the keys of unit %s: %w", u.Serial, err)
			}
		}
		keys, err := pubkey.ParseList(text)
		if err != nil {
			return dut.Unit{}, fmt.Errorf("the keys of unit %s: %w", u.Serial, err)
		}
		out.Keys = append(out.Keys, keys...)
	}
	return out, nil
}

func (j *Job) start() *journal.Event {
	p, f := j.Profile, j.File
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	selectors := slices.Clone(j.Selectors)
	if j.KeepWhy != "" {
		selectors = append(selectors, j.KeepWhy)
	}
	return &journal.Event{Kind: journal.KindStart, Start: &journal.Start{
		Format: journal.Format, Writer: j.Writer, Run: j.RunID, Rig: f.Name, RigFile: f.Path, Device: p.Name,
		Maker: p.Maker, Model: p.Model, Hardware: p.Hardware, Firmware: p.Firmware.Version, Serial: f.Unit.Serial,
		Seed: j.Seed, Selectors: selectors, Rerun: j.Rerun, Digests: j.Digests, Host: host, Clock: rig.ClockState(),
		Planted: j.Planted, Beside: j.places(), Waivers: j.Waivers, WaiversNow: time.Now().UTC().Format(time.DateOnly)}}
}

// Load reads a run's journal and folds it.
func Load(dir string) (*journal.Result, error) {
	name := filepath.Join(dir, JournalName)
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read a run: %w; name the folder of one", err)
	}
	if !info.Mode().IsRegular() { // who opens a pipe may wait for ever
		return nil, fmt.Errorf("read a run: %s is no regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read a run: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	log, err := journal.Read(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return journal.Fold(log), nil
}

// JournalName is the journal's file in a run's folder.
const JournalName = "journal.jsonl"

// record is where a run writes: its folder, journal, evidence, transcripts.
type record struct {
	dir   string
	rig   string // beside the run's own; empty for that
	file  *os.File
	w     *journal.Writer
	cab   *journal.Cabinet
	casts []*journal.File
	lines *vcd.Dump // nil where the rig has no lines
	raws  []*os.File
}

func (j *Job) record(red *escape.Redactor) (*record, error) {
	if err := os.MkdirAll(filepath.Dir(j.Dir), 0o755); err != nil {
		return nil, fmt.Errorf("%w: make the folder for runs: %w", ErrFolder, err)
	}
	if err := os.Mkdir(j.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("%w: make the run's folder: %w", ErrFolder, err)
	}
	if err := os.Mkdir(filepath.Join(j.Dir, "private"), 0o700); err != nil {
		return nil, fmt.Errorf("make the run's private folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(j.Dir, JournalName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	rec := &record{dir: j.Dir, file: f, w: journal.NewWriter(f, red, j.Observe)}
	rec.cab = journal.NewCabinet(j.Dir, rec.w, func(w io.Writer) io.WriteCloser {
		if j.Disk != nil {
			w = j.Disk(w)
		}
		return red.Writer(w)
	})
	return rec, nil
}

func (r *record) finish(end *journal.End) error {
	return r.w.Append(&journal.Event{Kind: journal.KindEnd, End: end})
}

func (r *record) close() error {
	err := r.w.Close()
	return errors.Join(err, r.file.Close())
}

// intents is the rig's store as a run uses it.
type intents struct {
	store *rig.Store
	seed  uint64
	red   *escape.Redactor
}

// Open writes an intent down, durably.
func (i *intents) Open(kind, what string, data map[string]string) (string, func() error, error) {
	in, err := i.store.Begin(rig.Intent{Kind: kind, What: what, Undo: data})
	if err != nil {
		return "", nil, err
	}
	return in.ID, func() error { return i.store.Done(in.ID) }, nil
}

// Secret derives a temporary secret of letters and digits. The DUT may say it:
// it is kept out of the run's files, as the owner's are.
func (i *intents) Secret(label string, length int) string {
	return i.Draw(label, rig.AlphabetAlnum, length)
}

// Draw derives a temporary secret of an alphabet.
func (i *intents) Draw(label, alphabet string, length int) string {
	s, err := i.store.DeriveSecret(label, alphabet, length)
	if err != nil { // the length is a constant of a check
		panic(fmt.Sprintf("derive a secret: %v", err))
	}
	i.red.Add("temporary", s)
	return s
}
