package qemu

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"rigor/harness/driver/cable"
	"rigor/harness/wire"
)

// What is below is for who wires machines to each other, in place of a rig.

// firstAdapter is the number of the first USB adapter among a machine's ports.
const firstAdapter = 100

const maxAdapters = 4

// ErrNoPower says that a machine without power cannot do what is asked of it.
var ErrNoPower = errors.New("the machine has no power")

// Drive puts a level on an input of the chip. Without power it is on the wire, and
// the chip sees it once it has its supply.
func (m *Machine) Drive(ctx context.Context, line int, high bool) error {
	return m.drive(ctx, line, high)
}

// Peek reads a byte of the machine's memory, as a register of its GPIO chip. All changes
// of outputs that came before have been told (Config.Outputs) when it returns. A machine
// without power is ErrNoPower.
func (m *Machine) Peek(ctx context.Context, addr uint64) (byte, error) {
	if err := m.Alive(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	r := m.run
	m.mu.Unlock()
	if r == nil || r.pins == nil {
		return 0, ErrNoPower
	}
	b, err := r.pins.peek(ctx, addr)
	if m.unlessOff(r, err) == nil && err != nil { // the supply went meanwhile
		return 0, ErrNoPower
	}
	return b, err
}

// Hold keeps the whole machine in its reset state, or lets it begin anew.
func (m *Machine) Hold(ctx context.Context, on bool) error { return m.hold(ctx, on) }

// Far is the machine's network card, as who is at the other end of its cable sees
// it. It has to be received from before the machine is switched on.
func (m *Machine) Far() cable.Far { return m.net }

// Down says whether the machine has shut itself down; it has its supply still.
func (m *Machine) Down() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.run != nil && m.run.down
}

// Changed gives a channel that is closed at the machine's next change of any kind.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.change
}

// Carrier puts the cable into the network card, or out: the card sees it.
func (m *Machine) Carrier(ctx context.Context, on bool) error {
	return m.command(ctx, "set_link", map[string]any{"name": "cable", "up": on})
}

// Stop has the processor stand still, as a device that hangs, or lets it go on.
func (m *Machine) Stop(ctx context.Context, on bool) error {
	name := "cont"
	if on {
		name = "stop"
	}
	m.mu.Lock()
	m.hung = on // or the machine would be broken as an instrument
	m.mu.Unlock()
	return m.command(ctx, name, nil)
}

// command has the monitor do something. A machine without power does nothing, and
// says so.
func (m *Machine) command(ctx context.Context, name string, args any) error {
	if err := m.Alive(); err != nil {
		return err
	}
	m.mu.Lock()
	r := m.run
	m.mu.Unlock()
	if r == nil {
		return fmt.Errorf("%s: %w", name, ErrNoPower)
	}
	_, err := r.mon.execute(ctx, name, args)
	return m.unlessOff(r, err)
}

// Adapter is a serial adapter on the machine's USB, an FTDI's to its drivers: what
// the machine sends through it is read here. It has neither a rate nor breaks.
type Adapter struct {
	*Port
	serial string
}

// NewAdapter gives a machine that has no power yet an adapter with this serial
// number; it is plugged in. give is called by Close.
func NewAdapter(part wire.Part, m *Machine, serial string, give func() error) (*Adapter, error) {
	m.mu.Lock()
	n := firstAdapter
	for m.ports[n] != nil {
		n++
	}
	m.mu.Unlock()
	if n >= firstAdapter+maxAdapters {
		return nil, fmt.Errorf("machine %s has %d adapters already", m.conf.Name, maxAdapters)
	}
	p := newPort(part, m, n, give)
	a := &Adapter{p, serial}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ports[n] = p
	m.adapters[n] = serial
	return a, nil
}

func (a *Adapter) device() string { return "rigor-adapter" + strconv.Itoa(a.n) }

// Unplug pulls the adapter out. What is sent to it meanwhile is lost.
func (a *Adapter) Unplug(ctx context.Context) error {
	return a.m.command(ctx, "device_del", map[string]string{"id": a.device()})
}

// Plug puts it in again. The machine may give it another name.
func (a *Adapter) Plug(ctx context.Context) error {
	return a.m.command(ctx, "device_add", map[string]string{"driver": "usb-serial", "id": a.device(), "bus": usbBus + ".0", "chardev": uartName(a.n), "serial": a.serial})
}

const usbBus = "rigor-usb"

func (m *Machine) planAdapters(p *plan, add func(...string), socket func(id string) (net.Conn, error)) (err error) {
	m.mu.Lock()
	adapters := maps.Clone(m.adapters)
	m.mu.Unlock()
	if len(adapters) > 0 {
		add("-device", "qemu-xhci,id="+usbBus)
	}
	for _, n := range slices.Sorted(maps.Keys(adapters)) {
		if p.uarts[n], err = socket(uartName(n)); err != nil {
			return err
		}
		add("-device", fmt.Sprintf("usb-serial,id=rigor-adapter%d,bus=%s.0,chardev=%s,serial=%s", n, usbBus, uartName(n), adapters[n]))
	}
	return nil
}

func (m *Machine) planChannels(p *plan, add func(...string), socket func(id string) (net.Conn, error)) (err error) {
	if len(m.conf.Channels) > 0 {
		add("-device", "virtio-serial-device")
	}
	for _, name := range slices.Sorted(maps.Keys(m.conf.Channels)) {
		id := "rigor-channel-" + name
		if p.channels[name], err = socket(id); err != nil {
			return err
		}
		add("-device", fmt.Sprintf("virtserialport,chardev=%s,name=%s", id, name))
	}
	return nil
}
