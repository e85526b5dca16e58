package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"rigor/harness/console"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/report/terminal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
)

// bound opens a rig for a command of a person, under its lease, and closes it
// afterwards.
func bound(ctx context.Context, a *app, name string, do func(context.Context, *rig.Bench, *rig.File, *profile.Profile) error) error {
	file, prof, err := rigs.Load(name)
	if err != nil {
		return usage(err)
	}
	return boundBy(ctx, a, file, prof, (*runner.Job).Held, do)
}

// boundBy is bound, with the rig got as by says.
func boundBy(ctx context.Context, a *app, file *rig.File, prof *profile.Profile, by func(*runner.Job, context.Context, func(context.Context) error) error,
	do func(context.Context, *rig.Bench, *rig.File, *profile.Profile) error,
) error {
	job := runner.NewJob(file, prof)
	job.Drivers, job.Ask, job.AskHidden = rigs.Drivers(), asker(a), hiddenAsker(a)
	job.Env.Ask = job.Ask
	err := by(job, ctx, func(ctx context.Context) (err error) {
		job.Env.Redact = escape.NewRedactor()
		b, err := rig.Bind(ctx, job.File, prof, job.Drivers, job.Env)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		return do(ctx, b, job.File, prof)
	})
	return mistake(err)
}

type doctorCmd struct {
	Rig    string `required:"" help:"A rig file, or the name of a built-in rig."`
	Format string `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Help says what it does to the DUT.
func (*doctorCmd) Help() string {
	return "Opens every instrument, reads every line back, and, where the rig file allows power, boots the DUT to show that its supply can be cut; reads its identity; leaves the rig safe."
}

// Run says whether the rig is well.
func (c *doctorCmd) Run(ctx context.Context, a *app) error {
	file, prof, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	job := runner.NewJob(file, prof)
	job.Drivers, job.Ask, job.Exec, job.Program = rigs.Drivers(), asker(a), rigs.Exec, rigs.Program
	job.AskHidden = hiddenAsker(a)
	job.Env.Redact = escape.NewRedactor()
	defer onHurry(nil)
	ob := terminal.NewObserver(a.err, screen(a.err))
	obCtx, obEnd := context.WithCancel(context.WithoutCancel(ctx))
	go ob.Run(obCtx)
	job.Opened = func(on string, b *rig.Bench) {
		hurrySafe(b)
		watched(ob)(on, b)
	}
	var found []journal.Doctor
	err = job.OnRig(ctx, func(ctx context.Context) (err error) {
		found, err = job.Examine(ctx)
		return err
	})
	obEnd()
	err = mistake(errors.Join(err, ob.Close()))
	for _, d := range found {
		if d.Status == rig.StatusBroken {
			a.exit = verdict.ExitRig
		}
	}
	return errors.Join(c.show(a, found), err)
}

func (c *doctorCmd) show(a *app, found []journal.Doctor) error {
	if c.Format == "json" {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(found)
	}
	for _, d := range found {
		if _, err := fmt.Fprintf(a.out, "%-8s %-24s %s\n", d.Status, d.Where(), escape.Terminal(d.Detail)); err != nil {
			return err
		}
	}
	return nil
}

type powerCmd struct {
	Rig string `required:"" help:"A rig file."`
	Do  string `arg:"" enum:"on,off,cycle,state" help:"on, off, cycle or state."`
}

// Run switches the supply.
func (c *powerCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := timeout(ctx, time.Minute)
	defer cancel()
	return bound(ctx, a, c.Rig, func(ctx context.Context, b *rig.Bench, f *rig.File, _ *profile.Profile) error {
		if b.Power == nil {
			return usage(fmt.Errorf("rig %s has no power that could be switched here", f.Name))
		}
		if c.Do == "off" || c.Do == "cycle" {
			if err := b.Power.Off(ctx); err != nil {
				return err
			}
		}
		if c.Do == "cycle" {
			timer := time.NewTimer(f.Power.OffSettle)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if c.Do == "on" || c.Do == "cycle" {
			if err := b.Power.On(ctx); err != nil {
				return err
			}
		}
		s, err := b.Power.State(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "the switch says: %s\n", s)
		return err
	})
}

type pressCmd struct {
	Rig  string        `required:"" help:"A rig file."`
	Line string        `arg:"" help:"The line's name."`
	Hold time.Duration `default:"500ms" help:"For how long."`
}

// Run asserts a line for a time. A guard lets it go when this process is killed.
func (c *pressCmd) Run(ctx context.Context, a *app) error {
	file, prof, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	if err := pressable(file, c.Line); err != nil {
		return usage(err)
	}
	return boundBy(ctx, a, file, prof, (*runner.Job).OnRig, func(ctx context.Context, b *rig.Bench, _ *rig.File, _ *profile.Profile) (err error) {
		l := b.Lines[c.Line]
		if l == nil {
			return usage(fmt.Errorf("line %s: a person asserts it, and nobody can be asked here; start rigor at a terminal", c.Line))
		}
		// Whatever ends the press, the line is let go.
		defer func() { err = errors.Join(err, letGo(ctx, l)) }()
		start := time.Now()
		if err := l.Assert(ctx); err != nil {
			return err
		}
		timer := time.NewTimer(c.Hold)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			a.exit = verdict.ExitInterrupted
		}
		_, err = fmt.Fprintf(a.out, "%s was asserted for %v\n", c.Line, time.Since(start).Round(time.Millisecond))
		return err
	})
}

// pressable says whether a rig has a line that can be asserted, and which there
// are where it has not.
func pressable(f *rig.File, name string) error {
	var names []string
	for n, l := range f.Lines {
		if l.Drive != "input" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	switch l := f.Lines[name]; {
	case len(names) == 0:
		return fmt.Errorf("rig %s has no line that could be asserted", f.Name)
	case l != nil && l.Drive == "input":
		return fmt.Errorf("line %s of rig %s is an input, which is only read; there are %s", name, f.Name, strings.Join(names, ", "))
	}
	return rigs.Known("line of rig "+f.Name, name, names)
}

type consoleCmd struct {
	Rig  string `required:"" help:"A rig file."`
	Name string `arg:"" default:"main" help:"The console's name."`
}

// Run talks to a console: what the device sends is shown harmlessly, what is
// typed goes to it. Ctrl-] ends it. An emulated device, which lives no longer than
// this command, is switched on for it.
func (c *consoleCmd) Run(ctx context.Context, a *app) error {
	return bound(ctx, a, c.Rig, func(ctx context.Context, b *rig.Bench, f *rig.File, _ *profile.Profile) error {
		port := b.Consoles[c.Name]
		if port == nil {
			return usage(rigs.Known("console of rig "+f.Name, c.Name, slices.Sorted(maps.Keys(f.Consoles))))
		}
		nl, err := console.ParseNewline(f.Consoles[c.Name].Newline)
		if err != nil {
			return usage(err)
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		con := console.Open(ctx, port, console.Options{Part: rig.ConsolePart(c.Name), Newline: nl})
		if f.Power != nil && f.Power.Driver == "qemu" {
			if err := b.Power.On(ctx); err != nil {
				return errors.Join(err, con.Close())
			}
		}
		if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
			old, err := term.MakeRaw(fd)
			if err != nil {
				return err
			}
			defer func() { _ = term.Restore(fd, old) }() // the program ends
			if _, err := fmt.Fprintf(a.err, "console %s; Ctrl-] ends\r\n", c.Name); err != nil {
				return err
			}
		}
		sent := make(chan error, 1)
		go func() {
			defer stop()
			end, err := typed(ctx, con)
			sent <- err
			if end {
				answers(ctx, con)
			}
		}()
		err = show(ctx, a.out, con)
		select {
		case serr := <-sent:
			if err == nil {
				err = serr
			}
		default: // it waits for the next key
		}
		return errors.Join(err, con.Close())
	})
}

// answersWithin is how long what a device answers is still shown once nothing
// more is typed.
const answersWithin = time.Second

// answers waits for what the device answers to the last that was typed.
func answers(ctx context.Context, con *console.Console) {
	timer := time.NewTimer(answersWithin)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-con.Done(): // which show says, with the reason
		<-ctx.Done()
	case <-ctx.Done():
	}
}

// typed sends what a person types, or what a file or a pipe holds. It says whether
// that came to its end; a person ends it by Ctrl-].
func typed(ctx context.Context, con *console.Console) (end bool, err error) {
	buf := make([]byte, 256)
	for {
		n, err := os.Stdin.Read(buf)
		if i := slices.Index(buf[:n], 0x1d); i >= 0 {
			return false, nil
		}
		if n > 0 {
			if _, err := con.Send(ctx, buf[:n]); err != nil && ctx.Err() == nil {
				return true, err
			}
		}
		if err != nil {
			return true, nil
		}
	}
}

// show prints what the console sends, escaped, from its opening until ctx or the
// console ends.
func show(ctx context.Context, w io.Writer, con *console.Console) error {
	var from console.Cursor
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for over := false; ; {
		b, err := con.Since(from)
		if err != nil {
			return err
		}
		from += console.Cursor(len(b))
		text := strings.ReplaceAll(strings.ReplaceAll(string(b), "\r", ""), "\n", "\r\n")
		text = strings.ReplaceAll(escape.Terminal(text), `\x0d`, "\r")
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		if over { // and all of it is shown
			if err := con.Err(); !errors.Is(err, console.ErrClosed) {
				return err
			}
			return nil // ctx ended, which closes the console
		}
		select {
		case <-ctx.Done():
			over = true
		case <-con.Done():
			over = true
		case <-tick.C:
		}
	}
}

type safeCmd struct {
	Rig string `arg:"" help:"A rig file."`
}

// Run puts a rig safe that nobody has bound.
func (c *safeCmd) Run(ctx context.Context, a *app) error {
	file, _, err := rigs.Load(c.Rig)
	if err != nil {
		return usage(err)
	}
	if rigs.UsesVirtual(file) {
		_, err := fmt.Fprintln(a.out, "the built-in device goes with its process; there is nothing to make safe")
		return err
	}
	ctx, cancel := timeout(ctx, 10*time.Second)
	defer cancel()
	lease, err := runner.Acquire(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = lease.Release() }() // it goes with the process at the latest
	acts, err := rig.MakeSafe(ctx, file, rigs.Drivers(), rig.Env{Dir: filepath.Dir(file.Path), Ask: asker(a)})
	for _, act := range acts {
		state := "done"
		if act.Error != "" {
			state = "FAILED: " + act.Error
		}
		if _, werr := fmt.Fprintf(a.out, "%s: %s: %s\n", act.Part, act.Do, escape.Terminal(state)); werr != nil {
			return werr
		}
	}
	for _, name := range file.Beside {
		if _, werr := fmt.Fprintf(a.out, "%s is a rig of its own beside it, and was not touched: rigor safe takes that one too\n", escape.Terminal(name)); werr != nil {
			return werr
		}
	}
	return err
}

type guardCmd struct{}

// Run is the guard's process.
func (*guardCmd) Run(ctx context.Context) error {
	err := rig.RunGuard(ctx, rigs.Drivers(), rig.Env{})
	if errors.Is(err, rig.ErrByHand) {
		return usage(err)
	}
	return err
}
