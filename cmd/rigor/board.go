package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	wires "rigor/fixtures/bench"
	computer "rigor/fixtures/board"
	"rigor/fixtures/gateway"
	"rigor/harness/escape"
	"rigor/harness/verdict"
)

type boardCmd struct {
	Build   boardBuildCmd   `cmd:"" help:"Build the emulated board, a rig's computer, from Debian's packages and this program, without root."`
	Run     boardRunCmd     `cmd:"" help:"Start the board, wired to the reference gateway or to a chip, and run rigor on it."`
	Clip    boardClipCmd    `cmd:"" hidden:"" help:"On the board: copy the memory of the device under test to a file, through the clip that sits on it."`
	Results boardResultsCmd `cmd:"" help:"Copy the runs that the board's disk holds."`
}

// inCache names a place in the user's cache.
func inCache(names ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache: %w", err)
	}
	return filepath.Join(append([]string{cache, "rigor"}, names...)...), nil
}

// or gives what a flag says, or a place in the user's cache.
func or(flag string, names ...string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	return inCache(names...)
}

type boardBuildCmd struct {
	Out   string `placeholder:"DIR" help:"The folder for the board. Default: where board run looks for it, rigor/board in the user's cache."`
	Rigor string `placeholder:"FILE" help:"The program for the board, built for linux/arm64. Default: built by go out of the source code that the current folder is of; on linux/arm64 this program itself."`
}

// Run builds the board and says where it is.
func (c *boardBuildCmd) Run(ctx context.Context, a *app) (err error) {
	if c.Out, err = or(c.Out, "board"); err != nil {
		return err
	}
	start := time.Now()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format+"\n", args...) }
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the folder of the board: %w", err)
	}
	switch {
	case c.Rigor != "":
	case computer.Local():
		if c.Rigor, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	default:
		say("building rigor for linux/arm64")
		c.Rigor = filepath.Join(c.Out, "rigor")
		if err := computer.Program(ctx, ".", c.Rigor); err != nil {
			return err
		}
	}
	_, err = computer.Build(ctx, computer.Config{Dir: c.Out, Rigor: c.Rigor, Say: say})
	var missing *gateway.MissingError
	if errors.As(err, &missing) {
		return &codeError{verdict.ExitRig, fmt.Errorf("the board %w", err)}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: board, %v\n", c.Out, time.Since(start).Round(100*time.Millisecond))
	return err
}

type boardRunCmd struct {
	Args    []string      `arg:"" passthrough:"" help:"What rigor is started with on the board: run --rig board …"`
	Board   string        `placeholder:"DIR" help:"The board. Default: as board build."`
	Gateway string        `placeholder:"DIR" help:"The gateway. Default: as gateway build."`
	Chip    string        `placeholder:"PART:STATE" help:"A model of a chip on the pads of rig board-debug, in the gateway's place, as nrf52:locked or stm32f4:open."`
	Disk    string        `placeholder:"FILE" help:"The board's disk for results, kept from start to start. Default: results.img beside the board."`
	Out     string        `placeholder:"DIR" default:"runs" help:"The folder that new runs are copied to from the disk."`
	Log     string        `placeholder:"FILE" help:"What went over the wires, in JSON lines."`
	At      []string      `placeholder:"WHEN-COMMAND" sep:"none" help:"Break a wire once this time has passed since the board's start, as in '20s cut console'; may be given again."`
	Within  time.Duration `default:"2h" help:"For how long."`
}

// Help says how wires are broken.
func (*boardRunCmd) Help() string {
	return "Wires: supply, reset, reset-button, pairing, recovery, led, console, cable, clip; with --chip supply, J3.1, J3.2, J3.3, J3.4, which can be cut, shorted, crossed and mended. Commands: " + strings.Join(wires.Forms(), "; ") + "."
}

func (c *boardRunCmd) commands() ([]wires.Timed, error) {
	var out []wires.Timed
	for _, text := range c.At {
		when, what, _ := strings.Cut(strings.TrimSpace(text), " ")
		after, err := time.ParseDuration(when)
		if err != nil || after < 0 {
			return nil, fmt.Errorf("--at %q: write a time and a command, as in '20s cut console'", text)
		}
		do, err := wires.Parse(what)
		if err != nil {
			return nil, fmt.Errorf("--at: %w", err)
		}
		out = append(out, wires.Timed{After: after, Do: do})
	}
	return out, nil
}

// Run starts the board, and ends with the exit code of its job.
func (c *boardRunCmd) Run(ctx context.Context, a *app) (err error) {
	at, err := c.commands()
	if err != nil {
		return usage(err)
	}
	s := wires.Setup{Say: func(machine, line string) {
		_, _ = fmt.Fprintf(a.err, "%s: %s\n", machine, escape.Excerpt(line, 300)) // there is nowhere else to say it
	}}
	if s.Board, err = or(c.Board, "board"); err != nil {
		return err
	}
	if c.Chip != "" {
		if c.Gateway != "" {
			return usage(errors.New("--chip or --gateway: one of them hangs on the board"))
		}
		if s.Chip, err = wires.NewChip(c.Chip); err != nil {
			return usage(err)
		}
	} else if s.Gateway, err = or(c.Gateway, "gateway", "device"); err != nil {
		return err
	}
	if s.Results = c.Disk; s.Results == "" {
		s.Results = filepath.Join(s.Board, "results.img")
	}
	work, done, err := wires.Claim(s.Results)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s.Work = work
	if c.Log != "" {
		f, err := os.Create(c.Log)
		if err != nil {
			return fmt.Errorf("write down what goes over the wires: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		s.Log = f
	}
	ctx, cancel := timeout(ctx, c.Within)
	defer cancel()
	if c.Args[0] == "--" {
		c.Args = c.Args[1:]
	}
	sess, err := wires.Start(ctx, s, computer.Job{Script: computer.Args(c.Args...)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sess.Close(), c.copied(context.WithoutCancel(ctx), a, s.Results)) }()
	broken := make(chan error, 1)
	breaking, stop := context.WithCancel(ctx)
	go func() { broken <- sess.Later(breaking, at) }()
	a.exit, err = sess.Run(ctx, a.out)
	stop()
	return errors.Join(err, <-broken)
}

// copied copies the runs that are new on the board's disk, and says where they are.
func (c *boardRunCmd) copied(ctx context.Context, a *app, disk string) error {
	ctx, cancel := timeout(ctx, copyWithin)
	defer cancel()
	names, err := computer.Results(ctx, disk, c.Out)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := fmt.Fprintf(a.out, "copied    %s\n", filepath.Join(c.Out, name)); err != nil {
			return err
		}
	}
	return nil
}

// copyWithin bounds the reading of the board's disk.
const copyWithin = 2 * time.Minute

type boardClipCmd struct {
	File string `arg:"" help:"The file, which is not there yet."`
}

// Run has the programmer read the memory.
func (c *boardClipCmd) Run(ctx context.Context, a *app) error {
	start := time.Now()
	size, err := computer.CopyClip(ctx, c.File)
	if err != nil {
		return &codeError{verdict.ExitRig, err}
	}
	_, err = fmt.Fprintf(a.out, "%d bytes read in %v\n", size, time.Since(start).Round(time.Millisecond))
	return err
}

type boardResultsCmd struct {
	Dir  string `arg:"" default:"runs" help:"The folder that the runs are copied to."`
	Disk string `placeholder:"FILE" help:"The board's disk. Default: as board run."`
}

// Run copies what is there.
func (c *boardResultsCmd) Run(ctx context.Context, a *app) error {
	disk, err := or(c.Disk, "board", "results.img")
	if err != nil {
		return err
	}
	_, done, err := wires.Claim(disk)
	if err != nil {
		return err
	}
	return errors.Join((&boardRunCmd{Out: c.Dir}).copied(ctx, a, disk), done())
}
