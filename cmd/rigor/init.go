package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rigor/harness/driver/gpio"
	netlink "rigor/harness/driver/link"
	"rigor/harness/driver/serial"
	"rigor/harness/escape"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/survey"
)

type initCmd struct {
	Port       string        `placeholder:"DEV" help:"Listen on this serial port for a rate and a boot."`
	Baud       int           `placeholder:"N" help:"Its rate, where it is known: no other is tried."`
	PowerCycle string        `placeholder:"CMD" help:"A program that takes the device's supply away and gives it back, with its arguments, parted by spaces; without it a person at the terminal is asked to."`
	Await      time.Duration `default:"15s" help:"How long the first byte may take after a power cycle."`
	Enter      bool          `help:"Send one newline to the console when its boot is over: some show a prompt only then."`
	Interface  string        `placeholder:"IF" help:"The network interface that the device hangs on: who is there is asked, and all connections go over it."`
	Address    string        `placeholder:"HOST" help:"The device's address."`
	Forward    map[int]int   `placeholder:"PORT=PORT" help:"A port of the device, and the port at the address behind which a forwarder has it."`
	TCP        string        `name:"tcp" placeholder:"PORTS" help:"The TCP ports that are looked at, as 22,80,8000-8100; some eighty usual ones without it."`
	Name       string        `default:"device" help:"What rig and profile are called."`
	Out        string        `default:"." placeholder:"DIR" help:"Where rig.yaml and profile.yaml are written."`
	Force      bool          `help:"Write over files that are there."`
	Format     string        `enum:"text,json" default:"text" help:"What goes to standard output."`
}

// Help says what it does to the DUT.
func (*initCmd) Help() string {
	return "Lists serial ports and GPIO lines; listens on one console through a boot; looks for the device on its network, and connects to its usual ports. " +
		"It sends nothing to the console (--enter: one newline), logs in nowhere, and asks a web server for its front page and the one that this leads to. " +
		"What it saw is written down as it is, what is to be declared as lines behind # TODO: put them right, take the mark away, and ask rigor lint."
}

// Run looks at the device, and writes the two files.
func (c *initCmd) Run(ctx context.Context, a *app) error {
	f := &survey.Findings{Name: c.Name, At: time.Now(), Interface: c.Interface, Address: c.Address, Through: c.Forward, Looked: survey.Ports()}
	if err := c.words(f); err != nil {
		return usage(err)
	}
	if err := c.vacant(); err != nil {
		return usage(err)
	}
	ask := asker(a)
	c.here(f)
	if err := c.choose(ctx, a, ask, f); err != nil {
		return err
	}
	if f.Port != "" {
		if err := c.listen(ctx, a, ask, f); err != nil {
			return err
		}
	}
	if err := c.network(ctx, f); err != nil {
		return err
	}
	r, p, err := drafts(f)
	if err != nil {
		return fmt.Errorf("the drafts are no sound files: %w", err)
	}
	if err := c.write(r, p); err != nil {
		return err
	}
	return c.show(a, f, survey.Todos(r)+survey.Todos(p))
}

// words says what is wrong in the flags, before anything is done.
func (c *initCmd) words(f *survey.Findings) error {
	if c.TCP != "" {
		ports, ok := survey.ParsePorts(c.TCP)
		if !ok {
			return fmt.Errorf("--tcp is %q; write ports from 1 to 65535, as 22,80,8000-8100", c.TCP)
		}
		f.Looked = ports
	}
	if c.Baud != 0 && (c.Baud < 50 || c.Baud > 20_000_000) {
		return fmt.Errorf("--baud is %d; write a number from 50 to 20000000", c.Baud)
	}
	if len(c.Forward) > 0 && c.Address == "" {
		return errors.New("--forward says at which port of the address a forwarder stands, and there is no --address")
	}
	if c.Port != "" {
		abs, err := filepath.Abs(c.Port)
		if err != nil {
			return fmt.Errorf("--port: %w", err)
		}
		f.Port = abs
	}
	if c.PowerCycle != "" && len(strings.Fields(c.PowerCycle)) == 0 {
		return errors.New("--power-cycle names no program")
	}
	_, _, err := drafts(f) // names and addresses as they are given
	return err
}

// drafts writes both files and reads them back.
func drafts(f *survey.Findings) (r, p []byte, err error) {
	r, p = survey.DraftRig(f), survey.DraftProfile(f)
	file, err := rig.Parse(survey.RigFile, r)
	if err != nil {
		return nil, nil, err
	}
	prof, err := profile.Parse(survey.ProfileFile, p)
	if err != nil {
		return nil, nil, err
	}
	return r, p, rig.Check(file, prof)
}

// vacant says whether there is room for the files.
func (c *initCmd) vacant() error {
	for _, name := range []string{survey.RigFile, survey.ProfileFile} {
		if path := filepath.Join(c.Out, name); !c.Force && exists(path) {
			return fmt.Errorf("%s is there already; give another --out, or --force to write over it", path)
		}
	}
	return nil
}

// here lists what this computer has.
func (c *initCmd) here(f *survey.Findings) {
	var err error
	if f.Ports, err = serial.List(); err != nil {
		f.Missing = append(f.Missing, err.Error())
	} else if len(f.Ports) == 0 {
		f.Missing = append(f.Missing, "a serial port: this computer has none; is the adapter in?")
	}
	if f.Chips, err = gpio.Inventory(); err != nil {
		f.Missing = append(f.Missing, fmt.Sprintf("GPIO lines: %v; is the user in the group gpio?", err))
	} else if len(f.Chips) == 0 {
		f.Missing = append(f.Missing, "GPIO lines: this computer has none")
	}
	f.Pull = func(chip string, l gpio.ChipLine) string {
		return rig.BootPull(os.DirFS("/"), chip, cmp.Or(l.Name, strconv.Itoa(l.Offset)))
	}
}

type question func(ctx context.Context, text string) (string, error)

// choose has a person say which port and which address, where no flag does.
func (c *initCmd) choose(ctx context.Context, a *app, ask question, f *survey.Findings) error {
	switch {
	case f.Port != "":
	case ask == nil || len(f.Ports) == 0:
		f.Missing = append(f.Missing, "a console: no port was listened on; say which with --port DEV")
	default:
		for i, p := range f.Ports {
			if _, err := fmt.Fprintf(a.err, "%3d  %s\n", i+1, survey.Line(p.Path+"  "+p.USB+"  "+strings.Join(p.Holders, ", "))); err != nil {
				return err
			}
		}
		said, err := ask(ctx, "On which port is the device's console? (number, Enter for none):")
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(said); err == nil && n >= 1 && n <= len(f.Ports) {
			f.Port = f.Ports[n-1].Path
		} else {
			f.Missing = append(f.Missing, "a console: no port was chosen")
		}
	}
	if c.Interface == "" && c.Address == "" && ask != nil {
		said, err := ask(ctx, "At which address is the device? (Enter for none):")
		if err != nil {
			return err
		}
		f.Address = said
		_, _, err = drafts(f)
		return usage(err)
	}
	return nil
}

// listen listens on the console through a boot.
func (c *initCmd) listen(ctx context.Context, a *app, ask question, f *survey.Findings) (err error) {
	bench := &rig.File{Consoles: map[string]*rig.Port{"main": {Driver: "serial", Port: f.Port}}}
	port := slices.DeleteFunc(rig.Resources(bench), func(r rig.Resource) bool { return r.Part != rig.ConsolePart("main") }) // the rig itself has no name yet
	lease, err := rig.Acquire("init", port, rig.LeaseConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	l := survey.Listening{Await: c.Await}
	if c.Baud != 0 {
		l.Rates = []int{c.Baud}
	}
	wired, err := serial.Open(serial.Config{Part: rig.ConsolePart("main"), Path: f.Port, Baud: cmp.Or(c.Baud, rig.DefaultBaud)})
	if err != nil {
		return err
	}
	ear := survey.Listen(wired)
	defer func() { err = errors.Join(err, ear.Close()) }()
	cycle := c.cycler(a, ask, f)
	if c.PowerCycle == "" && ask == nil {
		l.Tries = 1 // there is no second boot
	}
	heard, err := ear.Find(ctx, l, cycle)
	if err != nil {
		return err
	}
	f.Heard = &heard
	con := survey.Recognise(heard.Boot)
	f.Console = &con
	if heard.Baud == 0 {
		what := "not a byte came on " + f.Port
		if len(heard.Tried) > 0 {
			what = fmt.Sprintf("what came on %s was text at none of %d rates", f.Port, len(heard.Tried))
		}
		f.Missing = append(f.Missing, "a rate of the console: "+what)
	}
	if !c.Enter || heard.Baud == 0 {
		return nil
	}
	raw, err := ear.Enter(ctx, "\r", 2*time.Second)
	if err != nil {
		return err
	}
	entered := survey.Recognise(raw)
	f.Entered = &entered
	return nil
}

// cycler gives what power-cycles the device: a program, a person, or nobody.
func (c *initCmd) cycler(a *app, ask question, f *survey.Findings) func(context.Context) error {
	argv := strings.Fields(c.PowerCycle)
	switch {
	case len(argv) > 0:
		return func(ctx context.Context) error { return runCycle(ctx, argv) }
	case ask != nil:
		return func(ctx context.Context) error {
			_, err := ask(ctx, fmt.Sprintf("Press Enter, and within %v take the device's supply away and give it back:", c.Await))
			return err
		}
	}
	f.Missing = append(f.Missing, "a power cycle: nobody can be asked, and no program does it (--power-cycle CMD); what came was listened to as it came")
	return func(context.Context) error {
		_, err := fmt.Fprintf(a.err, "listening on %s for %v; power-cycle the device now\n", survey.Line(f.Port), c.Await)
		return err
	}
}

// cycleFor is how long a program may take that power-cycles the device.
const cycleFor = 2 * time.Minute

// runCycle runs a program to its end, and ends it with all that it started where it
// takes too long.
func runCycle(ctx context.Context, argv []string) error {
	ctx, cancel := timeout(ctx, cycleFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the user's own program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("%s: %w; it said: %s", argv[0], err, survey.Line(escape.Excerpt(strings.TrimSpace(string(out)), 300)))
	}
	return nil
}

// network looks for the device, and at its ports.
func (c *initCmd) network(ctx context.Context, f *survey.Findings) error {
	if f.Address == "" && f.Interface == "" {
		f.Missing = append(f.Missing, "an address: give it with --address, or the interface that the device hangs on with --interface")
		return nil
	}
	l, err := netlink.New(ctx, netlink.Config{Part: "link", Interface: f.Interface, DialTimeout: 5 * time.Second})
	if err != nil {
		return usage(err)
	}
	defer func() { _ = l.Close() }() // nothing stands any more
	if f.Interface != "" {
		if err := l.Check(ctx); err != nil {
			return err
		}
		if f.Neighbours, err = l.Everybody(ctx); err != nil {
			return err
		}
	}
	if f.Address == "" && !c.only(f) {
		return nil
	}
	got, err := survey.Knock(ctx, l, f.Address, f.Looked, f.Through)
	if err != nil {
		return err
	}
	f.Knocked = &got
	if !got.Answers() {
		f.Missing = append(f.Missing, fmt.Sprintf("open ports: nobody answered at %s, on none of %d ports", f.Address, len(f.Looked)))
	}
	return nil
}

// only takes the one who is on the interface for the device: over a cable of its own
// it is. Of several none is taken.
func (*initCmd) only(f *survey.Findings) bool {
	var four, all []string
	for _, n := range f.Neighbours {
		all = append(all, n.Addr.String())
		if n.Addr.Is4() {
			four = append(four, n.Addr.String())
		}
	}
	if len(four) == 0 {
		four = all
	}
	switch len(four) {
	case 0:
		f.Missing = append(f.Missing, "an address: nobody is on "+f.Interface)
		return false
	case 1:
		f.Address = four[0]
		return true
	}
	f.Missing = append(f.Missing, fmt.Sprintf("an address: %d are on %s, of which none was taken; say which with --address: %s", len(four), f.Interface, strings.Join(four, ", ")))
	return false
}

// write writes both files, or none.
func (c *initCmd) write(r, p []byte) (err error) {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	var made []string
	defer func() {
		for _, path := range made {
			if err != nil {
				_ = os.Remove(path) // the first error tells more
			}
		}
	}()
	for name, data := range map[string][]byte{survey.RigFile: r, survey.ProfileFile: p} {
		path := filepath.Join(c.Out, name)
		if c.Force {
			if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // no secret is in it
				return fmt.Errorf("write the draft: %w", err)
			}
			continue
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // no secret is in it
		if errors.Is(err, fs.ErrExist) {
			return usage(fmt.Errorf("%s is there already; give another --out, or --force to write over it", path))
		}
		if err != nil {
			return fmt.Errorf("write the draft: %w", err)
		}
		made = append(made, path)
		_, err = file.Write(data)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write the draft: %w", err)
		}
	}
	return nil
}
