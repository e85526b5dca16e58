package qemu

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/driver/cable"
)

// An adapter is on the machine's USB, and no serial line of its own; a kept disk is
// written as it is.
func TestAdaptersAndKeptDisks(t *testing.T) {
	spec := Spec{QEMU: "q", Args: []string{"-device", "virtio-blk-device,drive=results"}}
	args := planned(t, spec, func(m *Machine) {
		m.adapters = map[int]string{}
		m.conf.Kept = []Disk{{File: "results.img", Format: "raw", Role: "results"}, {File: "/x/job.tar", Format: "raw", Role: "job"}}
		for i := range maxAdapters + 1 {
			_, err := NewAdapter("adapter", m, "SN"+string(rune('0'+i)), noGive)
			assert.Equal(t, i == maxAdapters, err != nil, "%v", err)
		}
	})
	assert.Equal(t, []string{"null"}, after(args, "-serial"))
	assert.Equal(t, []string{"if=none,id=results,format=raw,file=/images/results.img", "if=none,id=job,format=raw,file=/x/job.tar"}, after(args, "-drive"))
	assert.Subset(t, after(args, "-device"), []string{"virtio-blk-pci,drive=job", "qemu-xhci,id=rigor-usb", "usb-serial,id=rigor-adapter100,bus=rigor-usb.0,chardev=rigor-uart100,serial=SN0"})
	assert.NotContains(t, after(args, "-device"), "virtio-blk-pci,drive=results")
}

// Who wires machines is told of each change of an output, the loss of the supply
// with them; without power nothing can be asked.
func TestOutputsAreTold(t *testing.T) {
	type change struct {
		line int
		high bool
	}
	var got []change
	m := &Machine{conf: Config{Outputs: func(n int, high bool) { got = append(got, change{n, high}) }}, doing: make(chan struct{}, 1), change: make(chan struct{}),
		driven: map[int]bool{}, outs: map[int]bool{}, ports: map[int]*Port{}}
	m.net = &ether{m: m}
	for _, c := range []change{{7, true}, {7, true}, {3, true}, {7, false}, {3, true}} {
		m.output(nil, c.line, c.high)
	}
	require.NoError(t, m.Off(t.Context()))
	assert.Equal(t, []change{{7, true}, {3, true}, {7, false}, {3, false}}, got)
	require.ErrorIs(t, m.Carrier(t.Context(), false), ErrNoPower)
	require.ErrorIs(t, m.Stop(t.Context(), true), ErrNoPower)
	_, err := m.Peek(t.Context(), 0x9030400)
	require.ErrorIs(t, err, ErrNoPower)
	assert.False(t, m.Down())
	require.Implements(t, (*cable.Far)(nil), m.Far())
	require.NoError(t, m.Drive(t.Context(), 2, true))
	assert.True(t, m.driven[2], "it is on the wire")
}
