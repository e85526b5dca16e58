// Package stm32 asks the loader in ROM of an STM32 what it is, and whether it still reads
// memory out. Source: ST AN3155, "USART protocol used in the STM32 bootloader"; the wire
// is 8E1, at any rate that the loader measures from the first byte.
package stm32

import (
	"context"
	"fmt"
	"time"

	"rigor/harness/debugport/rom"
	"rigor/harness/verdict"
)

// Frame is what the console has to be set to.
const Frame = "8E1"

// command is one of the protocol that changes nothing. There are no others here.
type command byte

const (
	get        command = 0x00
	getVersion command = 0x01
	getID      command = 0x02
	readMemory command = 0x11
)

func (c command) String() string {
	switch c {
	case get:
		return "Get"
	case getVersion:
		return "Get Version"
	case getID:
		return "Get ID"
	case readMemory:
		return "Read Memory"
	}
	return fmt.Sprintf("%#02x", byte(c))
}

const (
	sync = 0x7F
	ack  = 0x79
	nack = 0x1F
	// maxRead is what one Read Memory gives.
	maxRead = 256
)

// Options of a look. The zero value is good.
type Options struct {
	// Answer is how long an answer may take, 1 s where it is 0; the data of a read has
	// besides what its bytes take at 9600 bit/s.
	Answer time.Duration
	// Syncs is how often 0x7F is sent, 3 where it is 0.
	Syncs int
}

// Loader is a loader on a wire.
type Loader struct {
	wire rom.Wire
	o    Options
}

// New makes a client. It sends nothing.
func New(w rom.Wire, o Options) *Loader {
	if o.Answer <= 0 {
		o.Answer = time.Second
	}
	if o.Syncs <= 0 {
		o.Syncs = 3
	}
	return &Loader{wire: w, o: o}
}

// ask sends bytes and hears the acknowledge.
func (l *Loader) ask(ctx context.Context, t *rom.Try, p ...byte) (*rom.Ear, error) {
	at, err := l.wire.Send(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Command, err)
	}
	ear := rom.Listen(l.wire, at)
	return ear, l.acknowledge(ctx, t, ear)
}

func (l *Loader) acknowledge(ctx context.Context, t *rom.Try, ear *rom.Ear) error {
	b, there, err := ear.Byte(ctx, time.Now().Add(l.o.Answer))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", t.Command, err)
	case !there:
		t.Kind = verdict.Silent
	case b == ack:
		t.Kind = verdict.Accepted
	case b == nack:
		t.Kind, t.Code = verdict.Refused, nack
	default:
		t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("%#02x in place of an acknowledge", b)
	}
	return nil
}

// Sync wakes the loader: it measures the rate from 0x7F, and says that it is there. One
// that has been woken before says no to that, and is there too.
func (l *Loader) Sync(ctx context.Context) (rom.Try, error) {
	t := rom.Try{Command: "sync"}
	for range l.o.Syncs {
		t = rom.Try{Command: "sync"}
		if _, err := l.ask(ctx, &t, sync); err != nil {
			return t, err
		}
		if t.Kind == verdict.Refused {
			t.Kind, t.Code, t.Detail = verdict.Accepted, 0, "it was awake"
		}
		if t.Kind == verdict.Accepted {
			return t, nil
		}
	}
	return t, nil
}

// command sends one with its complement.
func (l *Loader) command(ctx context.Context, t *rom.Try, c command) (*rom.Ear, error) {
	t.Command = c.String()
	return l.ask(ctx, t, byte(c), ^byte(c))
}

// block hears a count, that many bytes and one, and an acknowledge.
func (l *Loader) block(ctx context.Context, t *rom.Try, ear *rom.Ear, fixed int) error {
	n := fixed
	if fixed == 0 {
		b, there, err := ear.Byte(ctx, time.Now().Add(l.o.Answer))
		if err != nil || !there {
			t.Kind, t.Detail = verdict.Silent, "acknowledged, and no more"
			return err
		}
		n = int(b) + 1
	}
	data, err := ear.Take(ctx, n, l.end(n))
	t.Data = data
	if err != nil {
		return err
	}
	if len(data) < n {
		t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("%d of %d bytes", len(data), n)
		return nil
	}
	return l.acknowledge(ctx, t, ear)
}

// end is when n bytes have to be there.
func (l *Loader) end(n int) time.Time {
	return time.Now().Add(l.o.Answer + time.Duration(n)*12*time.Second/9600)
}

// Get gives the loader's version and the commands that it says it has.
func (l *Loader) Get(ctx context.Context) (version byte, commands []byte, t rom.Try, err error) {
	ear, err := l.command(ctx, &t, get)
	if err != nil || t.Kind != verdict.Accepted {
		return 0, nil, t, err
	}
	if err := l.block(ctx, &t, ear, 0); err != nil || t.Kind != verdict.Accepted {
		return 0, nil, t, err
	}
	return t.Data[0], t.Data[1:], t, nil
}

// GetVersion gives the loader's version, and two bytes that say how often read protection
// was switched on and off in parts that count it.
func (l *Loader) GetVersion(ctx context.Context) (version byte, counts [2]byte, t rom.Try, err error) {
	ear, err := l.command(ctx, &t, getVersion)
	if err != nil || t.Kind != verdict.Accepted {
		return 0, counts, t, err
	}
	if err := l.block(ctx, &t, ear, 3); err != nil || t.Kind != verdict.Accepted {
		return 0, counts, t, err
	}
	return t.Data[0], [2]byte(t.Data[1:3]), t, nil
}

// GetID gives the product's number.
func (l *Loader) GetID(ctx context.Context) (pid uint16, t rom.Try, err error) {
	ear, err := l.command(ctx, &t, getID)
	if err != nil || t.Kind != verdict.Accepted {
		return 0, t, err
	}
	if err := l.block(ctx, &t, ear, 0); err != nil || t.Kind != verdict.Accepted {
		return 0, t, err
	}
	for _, b := range t.Data {
		pid = pid<<8 | uint16(b)
	}
	return pid, t, nil
}

// Read reads n bytes of memory, 1 to 256. A loader of a part whose read protection is on
// says no to the command itself; one that has no memory there, to the address.
func (l *Loader) Read(ctx context.Context, at uint32, n int) (t rom.Try, err error) {
	if n < 1 || n > maxRead {
		return t, fmt.Errorf("read %d bytes: want 1 to %d", n, maxRead)
	}
	defer func() { t.At, t.Length = at, n }()
	if _, err := l.command(ctx, &t, readMemory); err != nil || t.Kind != verdict.Accepted {
		t.Detail = also(t.Detail, t.Kind == verdict.Refused, "the command itself")
		return t, err
	}
	a := []byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)}
	if _, err := l.ask(ctx, &t, append(a, a[0]^a[1]^a[2]^a[3])...); err != nil || t.Kind != verdict.Accepted {
		t.Detail = also(t.Detail, t.Kind == verdict.Refused, "the address")
		return t, err
	}
	ear, err := l.ask(ctx, &t, byte(n-1), ^byte(n-1))
	if err != nil || t.Kind != verdict.Accepted {
		t.Detail = also(t.Detail, t.Kind == verdict.Refused, "the length")
		return t, err
	}
	if t.Data, err = ear.Take(ctx, n, l.end(n)); err != nil {
		return t, fmt.Errorf("%s: %w", t.Command, err)
	}
	if len(t.Data) < n {
		t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("%d of %d bytes", len(t.Data), n)
	}
	return t, nil
}

func also(text string, yes bool, more string) string {
	if yes && text == "" {
		return more
	}
	return text
}

// Report is what a loader said.
type Report struct {
	Sync     rom.Try   `json:"sync"`
	Version  byte      `json:"version,omitempty"`
	PID      uint16    `json:"pid,omitempty"`
	Commands []byte    `json:"commands,omitempty"` // that it says it has; whether it does them is another thing
	Tries    []rom.Try `json:"tries,omitempty"`
}

// Answers says whether a loader is there.
func (r *Report) Answers() bool { return r.Sync.Kind == verdict.Accepted }

// Read gives the reads that were let through.
func (r *Report) Read() (out []rom.Try) {
	for _, t := range r.Tries {
		if t.Command == readMemory.String() && t.Kind == verdict.Accepted {
			out = append(out, t)
		}
	}
	return out
}

// Refused says whether memory is shut: the loader tells of itself, and says no to Read
// Memory as a command. What it has then, by AN3155, is a way to wipe the part. Who says no
// to all is not shown to be a loader.
func (r *Report) Refused() bool {
	refused := false
	for _, t := range r.Tries {
		if t.Command == get.String() && t.Kind != verdict.Accepted {
			return false
		}
		if t.Command != readMemory.String() {
			continue
		}
		if t.Kind != verdict.Refused || t.Detail != "the command itself" {
			return false
		}
		refused = true
	}
	return refused
}

// Piece is memory that a Look tries to read.
type Piece struct {
	At     uint32
	Length int
}

// Look asks all that there is to ask. It goes on behind a command that was not answered,
// and wakes the loader anew then.
func (l *Loader) Look(ctx context.Context, pieces ...Piece) (*Report, error) {
	r := &Report{}
	var err error
	if r.Sync, err = l.Sync(ctx); err != nil || !r.Answers() {
		return r, err
	}
	keep := func(t rom.Try) { r.Tries = append(r.Tries, t) }
	version, commands, t, err := l.Get(ctx)
	if keep(t); err != nil {
		return r, err
	}
	r.Version, r.Commands = version, commands
	_, _, t, err = l.GetVersion(ctx)
	if keep(t); err != nil {
		return r, err
	}
	pid, t, err := l.GetID(ctx)
	if keep(t); err != nil {
		return r, err
	}
	r.PID = pid
	for _, p := range pieces {
		t, err := l.Read(ctx, p.At, p.Length)
		if keep(t); err != nil {
			return r, err
		}
	}
	return r, nil
}
