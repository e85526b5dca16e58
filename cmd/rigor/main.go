// Command rigor checks a physical device under test against a baseline of IoT
// security and says what it saw.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"github.com/alecthomas/kong"

	"rigor/fixtures/gateway"
	"rigor/harness/debugport/lock"
	"rigor/harness/escape"
	"rigor/harness/verdict"
)

// cli is the command line.
type cli struct {
	Verbose bool             `short:"v" help:"Log what the harness does, to standard error."`
	About   kong.VersionFlag `name:"version" help:"Print the version."`

	Run      runCmd      `cmd:"" help:"Check the device on a rig."`
	List     listCmd     `cmd:"" help:"List the checks, or with --rig the cases that a run would have."`
	Plan     planCmd     `cmd:"" help:"Say what would run, what it would alter, and why the rest would not."`
	Lint     lintCmd     `cmd:"" help:"Say what is wrong in a rig file and its profile, and which checks they feed."`
	Doctor   doctorCmd   `cmd:"" help:"Say whether the rig itself is well."`
	Report   reportCmd   `cmd:"" help:"Make the reports of a run again, from its journal."`
	Validate validateCmd `cmd:"" help:"Show that the checks detect what they say: planted weaknesses and bench faults."`
	Safe     safeCmd     `cmd:"" help:"Put a rig into its safe state now."`
	Virtual  virtualCmd  `cmd:"" help:"Serve the built-in device as a process of its own."`
	Init     initCmd     `cmd:"" help:"Look at a device that nobody here has seen, and write a first rig file and profile."`
	Gateway  gatewayCmd  `cmd:"" help:"Build the reference gateway, a real device in emulation."`
	Board    boardCmd    `cmd:"" help:"Build and start an emulated board, on which rigor drives the gateway by GPIO, USB and network card."`
	Console  consoleCmd  `cmd:"" help:"Talk to a console of the rig."`
	Power    powerCmd    `cmd:"" help:"Switch the device's supply."`
	Press    pressCmd    `cmd:"" help:"Assert a line of the rig for a time."`
	Pins     pinsCmd     `cmd:"" help:"Look for debug ports on pads of which nobody says what they are."`
	Debug    debugCmd    `cmd:"" help:"Look once at a debug port, and read."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
	Guard    guardCmd    `cmd:"" hidden:""`

	MatrixRun matrixRunCmd `cmd:"" hidden:""`
}

// grammar gives the command line for kong to fill in: where the first word names a command,
// that command alone. A rig's programs and wires may be commands of ours, started for each
// of their operations, and to read all that could be written costs more than most of those.
func grammar(args []string) (whole any, verbose func() bool) {
	t := reflect.TypeFor[cli]()
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		_, command := f.Tag.Lookup("cmd")
		if !command || len(args) > 0 && args[0] == named(f.Name) {
			fields = append(fields, f)
		}
	}
	if len(fields) == 2 { // the flags that all commands have
		c := &cli{}
		return c, func() bool { return c.Verbose }
	}
	c := reflect.New(reflect.StructOf(fields))
	return c.Interface(), func() bool { return c.Elem().FieldByName("Verbose").Bool() }
}

// named gives the word for a command's field, as kong does.
func named(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// app is what every command works with.
type app struct {
	out, err io.Writer
	exit     int
}

// helpFor gives the command that says what may be written where args is wrong.
func helpFor(parser *kong.Kong, args []string) string {
	if len(args) > 0 && slices.ContainsFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == args[0] }) {
		return "rigor " + args[0] + " --help"
	}
	return "rigor --help"
}

// usageError is a mistake in what the user wrote: exit code 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// codeError is an error with the code that it ends the program with.
type codeError struct {
	code int
	error
}

func (e *codeError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// exitError ends the program with a code and nothing more to say.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

func main() {
	boundMemory()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: its arguments in, its exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	// A closed standard output ends nothing: see stream.
	signal.Ignore(syscall.SIGPIPE)
	stdout, stderr = stream{stdout}, stream{stderr}
	if len(args) > 0 && args[0] == "help" { // as so many programs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	whole, verbose := grammar(args)
	parser, err := kong.New(whole, kong.Name("rigor"), kong.Writers(stdout, stderr), kong.Vars{"version": version(), "families": families, "locks": words(lock.Names()), "gateway_serial": gateway.FirstUnit.Serial, "gateway_mac": gateway.FirstUnit.MAC},
		kong.Description("Checks a device under test on its rig against an IoT security baseline. Exit codes: 0 pass, 1 fail, 2 usage, 3 inconclusive, 4 nothing selected, 75 rig trouble, 130 interrupted."),
		kong.UsageOnError(), kong.Exit(func(code int) { panic(&exitError{code}) }))
	if err != nil {
		return say(stderr, verdict.ExitBug, err)
	}
	code := 0
	var ended error // by which signal
	err = func() (err error) {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case *exitError: // kong's own way out: help was asked for
				err = p
			default: // it ends as a bug, and never as a pass
				err = &codeError{verdict.ExitBug, fmt.Errorf("a bug of rigor's own: %v\n%s", p, debug.Stack())}
			}
		}()
		kctx, err := parser.Parse(args)
		if err != nil {
			return usage(fmt.Errorf("%w; %s says what there is", err, helpFor(parser, args)))
		}
		level := slog.LevelError
		if verbose() {
			level = slog.LevelDebug
		}
		slog.SetDefault(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
		a := &app{out: stdout, err: stderr}
		ctx, stop := signals(context.Background())
		defer stop()
		kctx.BindTo(ctx, (*context.Context)(nil))
		err = kctx.Run(a)
		code = a.exit
		if cause := context.Cause(ctx); errors.Is(cause, errSignal) {
			ended = cause
		}
		return err
	}()
	var exit *exitError
	var use *usageError
	var coded *codeError
	switch {
	case err == nil:
		return code
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, syscall.ENOSPC): // whatever was to be written, and for whom
		return say(stderr, verdict.ExitRig, full(err))
	case errors.As(err, &coded):
		return say(stderr, coded.code, err)
	case errors.As(err, &use):
		return say(stderr, verdict.ExitUsage, err)
	case ended != nil && (errors.Is(err, errSignal) || errors.Is(err, context.Canceled)):
		return say(stderr, verdict.ExitInterrupted, err)
	}
	return say(stderr, verdict.ExitRig, err)
}

// full says what can be done about a full disk, and of several files names one.
func full(err error) error {
	var place *fs.PathError
	if errors.As(err, &place) && errors.Is(place, syscall.ENOSPC) {
		err = place
	}
	return fmt.Errorf("the disk is full: %w; remove old runs, or work where there is room", err)
}

// say prints an error, made harmless, each line of it once, and gives the code
// back.
func say(w io.Writer, code int, err error) int {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	_, _ = fmt.Fprintf(w, "rigor: %s\n", escape.Terminal(strings.Join(lines, "\n"))) // there is nowhere else to say it
	return code
}

// version is what the binary knows of where it comes from.
func version() string {
	v := "rigor"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+changes"
			}
		}
	}
	if rev == "" {
		return v + " (unstamped build, " + info.GoVersion + ")"
	}
	return fmt.Sprintf("%s %s%s (%s)", v, rev, dirty, info.GoVersion)
}

type versionCmd struct{}

// Run prints the version.
func (*versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.out, version())
	return err
}
