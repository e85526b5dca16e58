package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"rigor/fixtures/gateway"
	"rigor/harness/verdict"
)

type gatewayCmd struct {
	Build gatewayBuildCmd `cmd:"" help:"Build the reference gateway's images from Debian's packages, without root."`
	List  gatewayListCmd  `cmd:"" help:"List the weaknesses that can be built in."`
}

type gatewayBuildCmd struct {
	Out      string   `placeholder:"DIR" help:"The folder for images, machine.json, unit.json and manifest.json, and for what its owner has: label and operator. Default: where the rig gateway looks for it, ~/.cache/rigor/gateway/device."`
	Weakness []string `placeholder:"NAME" help:"Build this weakness in; several, if they do not change the same place."`
	Serial   string   `placeholder:"SERIAL" help:"Of the unit, default ${gateway_serial}."`
	MAC      string   `name:"mac" placeholder:"MAC" help:"Of the unit, default ${gateway_mac}."`
	Updates  bool     `default:"true" negatable:"" help:"Build update packages too: newer, older, of another product and others."`
	Fresh    bool     `help:"Fetch the lists of packages anew."`
}

// Run builds the gateway and says where it is.
func (c *gatewayBuildCmd) Run(ctx context.Context, a *app) error {
	for _, w := range c.Weakness {
		if !gateway.Known(w) {
			return usage(fmt.Errorf("no weakness is called %q; see rigor gateway list", w))
		}
	}
	unit, err := c.unit()
	if err != nil {
		return err
	}
	if c.Out == "" { // as the rig file has it, wherever the user's cache is
		home, err := os.UserHomeDir()
		if err != nil {
			return fmt.Errorf("find a place for the gateway: %w", err)
		}
		c.Out = filepath.Join(home, ".cache", "rigor", "gateway", "device")
	}
	start := time.Now()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format+"\n", args...) }
	m, err := gateway.Build(ctx, gateway.Config{Dir: c.Out, Weaknesses: c.Weakness, Unit: unit, Updates: c.Updates, Fresh: c.Fresh, Say: say})
	var missing *gateway.MissingError
	switch {
	case errors.As(err, &missing):
		return &codeError{verdict.ExitRig, fmt.Errorf("the gateway %w", err)}
	case err != nil:
		return err
	}
	if err := owner(c.Out, unit.Label); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: gateway %s of %d packages, %v\n", c.Out, m.Version, len(m.Packages), time.Since(start).Round(100*time.Millisecond))
	return err
}

// unit gives the unit that is built. The first one has the same label in each
// build; on that of any other stands a code that is drawn for it.
func (c *gatewayBuildCmd) unit() (gateway.Unit, error) {
	unit := gateway.FirstUnit
	if c.MAC != "" {
		unit.MAC = c.MAC
	}
	if c.Serial == "" || c.Serial == unit.Serial {
		return unit, nil
	}
	unit.Serial = c.Serial
	var err error
	unit.Label, err = gateway.NewLabel(rand.Reader)
	return unit, err
}

// owner writes what the owner of a gateway has: the code on its label, and a
// password of their choice.
func owner(dir, label string) error {
	var r [9]byte
	if _, err := rand.Read(r[:]); err != nil {
		return fmt.Errorf("choose the owner's password: %w", err)
	}
	for name, text := range map[string]string{"label": label, "operator": "Ow-" + hex.EncodeToString(r[:])} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			return fmt.Errorf("write what the gateway's owner has: %w", err)
		}
	}
	return nil
}

type gatewayListCmd struct{}

// Run lists the weaknesses.
func (c *gatewayListCmd) Run(a *app) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, k := range gateway.Weaknesses() {
		if _, err := fmt.Fprintf(w, "%s\t%s\n", k.Name, k.Does); err != nil {
			return err
		}
	}
	return w.Flush()
}
