package serial

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.bug.st/serial/enumerator"
)

func usbAdapter(dev, serial string) *enumerator.PortDetails {
	return &enumerator.PortDetails{Name: dev, IsUSB: true, VID: "0403", PID: "6001", SerialNumber: serial, Manufacturer: "Acme", Product: "USB\tUART"}
}

// A port is named by what stays with it: its serial number where it is the only one
// that has it, else the socket that it is in.
func TestListNames(t *testing.T) {
	usb := map[string]*enumerator.PortDetails{
		"/dev/ttyAMA0": {Name: "/dev/ttyAMA0"},
		"/dev/ttyUSB0": usbAdapter("/dev/ttyUSB0", "A1"), "/dev/ttyUSB1": usbAdapter("/dev/ttyUSB1", "A1"), // two that share a number: one link
		"/dev/ttyUSB2": usbAdapter("/dev/ttyUSB2", "B2"),
		"/dev/ttyUSB3": usbAdapter("/dev/ttyUSB3", "C3"), "/dev/ttyUSB4": usbAdapter("/dev/ttyUSB4", "C3"), // two ports of one adapter: two links
		"/dev/ttyUSB5": usbAdapter("/dev/ttyUSB5", ""),
	}
	byID := map[string]string{"/dev/ttyUSB1": "/dev/serial/by-id/a1", "/dev/ttyUSB2": "/dev/serial/by-id/b2",
		"/dev/ttyUSB3": "/dev/serial/by-id/c3-if00", "/dev/ttyUSB4": "/dev/serial/by-id/c3-if01"}
	byPath := map[string]string{"/dev/ttyUSB0": "/dev/serial/by-path/1", "/dev/ttyUSB1": "/dev/serial/by-path/2", "/dev/ttyUSB2": "/dev/serial/by-path/3"}
	got := map[string]string{}
	names := []string{"/dev/ttyUSB5", "/dev/ttyUSB4", "/dev/ttyUSB3", "/dev/ttyUSB2", "/dev/ttyUSB1", "/dev/ttyUSB0", "/dev/ttyAMA0"}
	all := list(names, usb, byID, byPath)
	for _, f := range all {
		got[f.Device] = f.Path
	}
	assert.Equal(t, map[string]string{"/dev/ttyAMA0": "/dev/ttyAMA0", "/dev/ttyUSB0": "/dev/serial/by-path/1", "/dev/ttyUSB1": "/dev/serial/by-path/2",
		"/dev/ttyUSB2": "/dev/serial/by-id/b2", "/dev/ttyUSB3": "/dev/serial/by-id/c3-if00", "/dev/ttyUSB4": "/dev/serial/by-id/c3-if01", "/dev/ttyUSB5": "/dev/ttyUSB5"}, got)
	assert.Equal(t, "/dev/ttyAMA0", all[0].Device, "in the order of their devices")
	assert.Contains(t, all[6].Note, "another adapter's")
	assert.Equal(t, "Acme USB UART C3", all[5].USB)
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	dev, err := filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	dev = filepath.Join(dev, "tty")
	require.NoError(t, os.WriteFile(dev, nil, 0o600))
	for _, name := range []string{"b", "a"} {
		require.NoError(t, os.Symlink(dev, filepath.Join(dir, name)))
	}
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "0")))
	assert.Equal(t, filepath.Join(dir, "a"), links(dir)[dev])
	assert.Empty(t, links(filepath.Join(dir, "missing")))
}

// This computer has some, or none; that it is asked is no error.
func TestListHere(t *testing.T) {
	_, err := List()
	assert.NoError(t, err)
}
