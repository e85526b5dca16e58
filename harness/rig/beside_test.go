package rig

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// TestNeighbours: a rig beside another has a name, a unit and wires of its own, and the
// same profile.
func TestNeighbours(t *testing.T) {
	const first = "rig: bench-a\nprofile: p.yaml\nunit: {serial: A1}\nconsoles: {main: {driver: serial, port: /dev/ttyA, baud: 115200}}\n"
	p, err := profile.Parse("p.yaml", []byte("profile: acme\n"))
	require.NoError(t, err)
	other, err := profile.Parse("other.yaml", []byte("profile: other\n"))
	require.NoError(t, err)
	text := func(name, serial, port string) string {
		return "rig: " + name + "\nprofile: p.yaml\nunit: {serial: " + serial + "}\nconsoles: {main: {driver: serial, port: " + port + ", baud: 115200}}\n"
	}
	files := map[string]string{
		"b.yaml": text("bench-b", "A2", "/dev/ttyB"), "c.yaml": text("bench-c", "A3", "/dev/ttyC"),
		"name.yaml": text("bench-a", "A4", "/dev/ttyD"), "unit.yaml": text("bench-d", "A1", "/dev/ttyD"), "wire.yaml": text("bench-d", "A4", "/dev/ttyA"),
		"twin.yaml": text("bench-d", "A4", "/dev/ttyB"), "same.yaml": text("bench-d", "A2", "/dev/ttyD"), "model.yaml": text("bench-d", "A4", "/dev/ttyD"),
		"unnamed.yaml": strings.Replace(text("bench-d", "A4", "/dev/ttyD"), "unit: {serial: A4}\n", "", 1),
	}
	load := func(path string) (*File, *profile.Profile, error) {
		name, err := filepath.Rel("rigs", path)
		if err != nil || files[name] == "" {
			return nil, nil, errors.New(path + " is not there")
		}
		f, err := Parse(path, []byte(files[name]))
		if name == "model.yaml" {
			return f, other, err
		}
		return f, p, err
	}
	tests := []struct {
		name, beside, want string // the last is an error, or the names of those that are found
	}{
		{"none", "", ""},
		{"two", "beside: [b.yaml, c.yaml]", "bench-b bench-c"},
		{"without a serial number", "beside: [unnamed.yaml]", "rigs/a.yaml:5:10: unnamed.yaml or this rig does not say which unit it has (unit.serial): a run that they share has to tell them apart; name the rigs of further units of acme"},
		{"the unit of another one", "beside: [b.yaml, same.yaml]", "rigs/a.yaml:5:18: same.yaml is declared for unit A2, as rig bench-b is; name the rigs of further units of acme"},
		{"missing", "beside: [b.yaml, x.yaml]", "rigs/a.yaml:5:18: beside names x.yaml: rigs/x.yaml is not there"},
		{"the same name", "beside: [name.yaml]", "rigs/a.yaml:5:10: name.yaml is called rig bench-a, as rigs/a.yaml is; name the rigs of further units of acme"},
		{"the same unit", "beside: [unit.yaml]", "rigs/a.yaml:5:10: unit.yaml is declared for unit A1, as rig bench-a is; name the rigs of further units of acme"},
		{"the same wire", "beside: [wire.yaml]", "rigs/a.yaml:5:10: wire.yaml uses the console.main of rig bench-a as its console.main (port /dev/ttyA); name the rigs of further units of acme"},
		{"a wire of another one", "beside: [b.yaml, twin.yaml]", "rigs/a.yaml:5:18: twin.yaml uses the console.main of rig bench-b as its console.main (port /dev/ttyB); name the rigs of further units of acme"},
		{"another model", "beside: [model.yaml]", "rigs/a.yaml:5:10: model.yaml has profile rigs/p.yaml, and not rigs/p.yaml: the cases of a run are of one model; name the rigs of further units of acme"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("rigs/a.yaml", []byte(first+tt.beside+"\n"))
			require.NoError(t, err)
			got, err := Neighbours(f, p, load)
			if strings.Contains(tt.want, ":") {
				require.EqualError(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, n := range got {
				names = append(names, n.Name)
			}
			assert.Equal(t, tt.want, strings.Join(names, " "))
		})
	}
}

// TestVirtualNeighbours: further units of the built-in device are on benches like the
// first, and what is planted into one file is not planted into the others by accident.
func TestVirtualNeighbours(t *testing.T) {
	f, err := Parse("a.yaml", []byte("rig: v\nprofile: p.yaml\nunit: {serial: A1, label-password: secret:label}\nnetwork: {driver: virtual}\nsecrets: {label: virtual:label}\n"+
		"virtual: {weaknesses: [w], beside: [{serial: A2, mac: \"02:00:00:00:00:02\"}, {serial: A3}]}\n"))
	require.NoError(t, err)
	got, err := Neighbours(f, &profile.Profile{}, nil)
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, "v-2", got[0].Name)
	assert.Equal(t, Unit{Serial: "A2", MAC: "02:00:00:00:00:02", LabelPassword: "secret:label"}, got[0].Unit)
	assert.Equal(t, "v-3", got[1].Name)
	assert.Equal(t, []string{"w"}, got[1].Virtual.Weaknesses)
	assert.Empty(t, got[1].Virtual.Beside)
	got[1].Virtual.Weaknesses = append(got[1].Virtual.Weaknesses, "x")
	assert.Equal(t, []string{"w"}, f.Virtual.Weaknesses)
	assert.Equal(t, []string{"w"}, got[0].Virtual.Weaknesses)
}
