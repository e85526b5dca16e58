package serial

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	bugst "go.bug.st/serial"
	"go.bug.st/serial/enumerator"
)

// Found is a serial port of this computer.
type Found struct {
	// Path is the name to write into a rig file: one that stays with the adapter
	// where there is one.
	Path string `json:"path"`
	// Device is what it is now, such as /dev/ttyUSB0.
	Device string `json:"device"`
	// Stable says that Path is by-id or by-path. A UART of the board has one name
	// anyhow.
	Stable bool   `json:"stable"`
	USB    string `json:"usb,omitempty"`  // what an adapter says of itself: foreign bytes
	Note   string `json:"note,omitempty"` // why it is this name
	// Holders are the processes that have it open, as far as they can be seen.
	Holders []string `json:"holders,omitempty"`
}

// List gives the serial ports of this computer in the order of their devices. To
// tell a UART from the many that a PC's kernel only has names for, those called
// ttyS are opened for a moment. Pseudo terminals are not in it.
func List() ([]Found, error) {
	names, err := bugst.GetPortsList()
	if err != nil {
		return nil, fmt.Errorf("list the serial ports: %w", err)
	}
	usb := map[string]*enumerator.PortDetails{}
	if all, err := enumerator.GetDetailedPortsList(); err == nil { // else nobody knows what they are called
		for _, d := range all {
			usb[d.Name] = d
		}
	}
	found := list(names, usb, links("/dev/serial/by-id"), links("/dev/serial/by-path"))
	for i := range found {
		found[i].Holders = Holders(found[i].Device)
	}
	return found, nil
}

// links gives the devices that the links of a folder lead to, with the first link
// to each.
func links(dir string) map[string]string {
	out := map[string]string{}
	all, err := os.ReadDir(dir) // in the order of their names
	if err != nil {
		return out
	}
	for _, e := range all {
		path := filepath.Join(dir, e.Name())
		if to, err := filepath.EvalSymlinks(path); err == nil && out[to] == "" {
			out[to] = path
		}
	}
	return out
}

func list(names []string, usb map[string]*enumerator.PortDetails, byID, byPath map[string]string) []Found {
	twins := map[string]int{}
	who := func(d *enumerator.PortDetails) string { return d.VID + ":" + d.PID + ":" + d.SerialNumber }
	for _, d := range usb {
		if d.IsUSB {
			twins[who(d)]++
		}
	}
	// An adapter with several ports has one serial number for them all, and a link
	// for each.
	linked := map[string]int{}
	for dev := range byID {
		if d := usb[dev]; d != nil && d.IsUSB {
			linked[who(d)]++
		}
	}
	names = slices.Clone(names)
	slices.Sort(names)
	var out []Found
	for _, dev := range names {
		f := Found{Path: dev, Device: dev}
		d := usb[dev]
		if d != nil && d.IsUSB {
			f.USB = strings.Join(strings.Fields(strings.Join([]string{d.Manufacturer, d.Product, d.SerialNumber}, " ")), " ")
		}
		shared := d != nil && d.IsUSB && twins[who(d)] > linked[who(d)]
		switch {
		case byID[dev] != "" && !shared:
			f.Path, f.Stable = byID[dev], true
		case byPath[dev] != "":
			f.Path, f.Stable, f.Note = byPath[dev], true, "it has no serial number of its own: it is named by the socket that it is in"
		case d != nil && d.IsUSB:
			f.Note = "this name may be another adapter's after the next start: there is no link to it in /dev/serial"
		}
		out = append(out, f)
	}
	return out
}
