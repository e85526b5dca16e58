package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/virtual"
	"rigor/rigs"
)

type virtualCmd struct {
	Dir      string   `default:"/tmp/rigor-virtual" help:"Where the device keeps its flash, and where its wires end: main, aux, control, pads, label, operator."`
	Weakness []string `help:"Plant these weaknesses."`
	Ports    []int    `default:"22022,22023,22080,22443" help:"Ports on 127.0.0.1 for SSH, Telnet, HTTP and HTTPS; 0 chooses one."`
	Seed     int64    `default:"1" help:"Makes what is made once in the factory."`
	Serial   string   `default:"VG1-000123" help:"Of the unit."`
	MAC      string   `default:"02:56:47:00:01:23" help:"Of the unit."`
	Control  string   `help:"Do not serve: pass one request from standard input on to the control socket at this path, in the words of an exec driver."`
	Flash    string   `help:"With --control: write an image of the device's flash to this file, as a clip and a program do, in place of a request. The device has to be off, or held in reset."`
	Program  string   `help:"With --control: have the device's flash be as this file, as a programmer on its pins does."`

	linked map[string]string // consoles, where links lead to them
}

// Run serves the built-in device until it is told to end.
func (c *virtualCmd) Run(ctx context.Context, a *app) error {
	if c.Control != "" {
		return c.pass(ctx, a)
	}
	if c.Flash+c.Program != "" {
		return usage(errors.New("--flash and --program need --control, the socket of a device that is there"))
	}
	if err := c.words(); err != nil {
		return usage(err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make the device's folder: %w", err)
	}
	cfg := virtual.Config{Dir: c.Dir, Serial: c.Serial, MAC: c.MAC, Seed: c.Seed, Weaknesses: c.Weakness,
		Ports: virtual.Ports{SSH: c.Ports[0], Telnet: c.Ports[1], HTTP: c.Ports[2], HTTPS: c.Ports[3]}}
	defer c.unwire()
	var ready error
	err := virtual.Serve(ctx, cfg, filepath.Join(c.Dir, "control"), func(d virtual.Description) {
		if ready = c.wires(d); ready != nil {
			return
		}
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		d.Label = "in the file label"
		ready = enc.Encode(d)
	})
	if ctx.Err() != nil { // it was told to end
		return ready
	}
	return errors.Join(err, ready)
}

// words says what is wrong in the flags, before anything is made.
func (c *virtualCmd) words() error {
	if len(c.Ports) != 4 {
		return fmt.Errorf("--ports has %d numbers; it needs four: SSH, Telnet, HTTP, HTTPS", len(c.Ports))
	}
	for i, p := range c.Ports {
		switch {
		case p < 0 || p > 65535:
			return fmt.Errorf("--ports: %d is no port; write a number from 1 to 65535, or 0 for one that is free", p)
		case p != 0 && slices.Contains(c.Ports[:i], p):
			return fmt.Errorf("--ports: %d stands there twice; each service has a port of its own", p)
		}
	}
	if hw, err := net.ParseMAC(c.MAC); err != nil || len(hw) != 6 || strings.Count(c.MAC, ":") != 5 {
		return fmt.Errorf("--mac is %q; write it as 02:00:00:00:00:01", c.MAC)
	}
	for _, w := range c.Weakness {
		if err := rigs.Weakness(w); err != nil {
			return fmt.Errorf("--weakness: %w", err)
		}
	}
	return nil
}

// unwire takes the links away that wires made. Those of a device that was started
// in the same folder since stay.
func (c *virtualCmd) unwire() {
	for name, path := range c.linked {
		at := filepath.Join(c.Dir, name)
		if to, err := os.Readlink(at); err == nil && to == path {
			_ = os.Remove(at) // it leads nowhere
		}
	}
}

// wires puts the ends of the device's wires where a rig file finds them.
func (c *virtualCmd) wires(d virtual.Description) error {
	for name, path := range d.Consoles {
		at := filepath.Join(c.Dir, name)
		_ = os.Remove(at) // what an earlier start left
		if err := os.Symlink(path, at); err != nil {
			return fmt.Errorf("console %s: %w", name, err)
		}
	}
	c.linked = d.Consoles
	if err := os.WriteFile(filepath.Join(c.Dir, "label"), []byte(d.Label), 0o600); err != nil {
		return fmt.Errorf("write the label: %w", err)
	}
	at := filepath.Join(c.Dir, "operator")
	if exists(at) {
		return nil
	}
	var r [9]byte
	if _, err := rand.Read(r[:]); err != nil {
		return fmt.Errorf("make the owner's password: %w", err)
	}
	if err := os.WriteFile(at, []byte("Ow-"+hex.EncodeToString(r[:])), 0o600); err != nil {
		return fmt.Errorf("write the owner's password: %w", err)
	}
	return nil
}

// seam is a request of the exec drivers for power and lines.
type seam struct {
	Op   string `json:"op"`
	Do   string `json:"do"`
	Line string `json:"line,omitempty"`
}

// clip reads the device's flash into a file, or has it be as a file is.
func (c *virtualCmd) clip(ctx context.Context) error {
	op, file := "flash", c.Flash
	if c.Program != "" {
		op, file = "program", c.Program
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("the image's path: %w", err)
	}
	resp, err := virtual.Control(ctx, c.Control, virtual.Request{Op: op, Value: path})
	if err == nil && !resp.OK {
		err = errors.New(resp.Error)
	}
	return err
}

// pass hands one request of an exec driver on to the device.
func (c *virtualCmd) pass(ctx context.Context, a *app) error {
	ctx, cancel := timeout(ctx, 10*time.Second)
	defer cancel()
	if c.Flash+c.Program != "" {
		return c.clip(ctx)
	}
	var s seam
	read := make(chan error, 1)
	go func() { read <- json.NewDecoder(os.Stdin).Decode(&s) }()
	select {
	case err := <-read:
		if err != nil {
			return usage(fmt.Errorf("read the request: %w", err))
		}
	case <-ctx.Done(): // nobody writes one
		return fmt.Errorf("read the request: %w", context.Cause(ctx))
	}
	req := virtual.Request{Op: s.Op, Value: s.Do, Line: s.Line}
	resp, err := virtual.Control(ctx, c.Control, req)
	if err != nil {
		return err
	}
	if !resp.OK {
		return errors.New(resp.Error)
	}
	var answer any
	switch {
	case s.Op == "line":
		if resp.Asserted == nil {
			return errors.New("the device does not say what the line is")
		}
		answer = map[string]bool{"asserted": *resp.Asserted}
	default:
		answer = map[string]string{"state": resp.State}
	}
	return json.NewEncoder(a.out).Encode(answer)
}
