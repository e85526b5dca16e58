// Package esp asks the loader in ROM of the ESP32 family what it is and what its download
// mode still lets through. Source: Espressif's "Serial Protocol" of esptool, and the flags
// of GET_SECURITY_INFO there. The wire is 8N1, at any rate that the loader measures from
// the first bytes, 115200 as a rule.
package esp

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"rigor/harness/debugport/rom"
	"rigor/harness/verdict"
)

// command is one of the protocol that changes nothing that lasts. There are no others
// here: of those that write, erase, load or run none has a name.
type command byte

const (
	syncUp       command = 0x08
	readReg      command = 0x0A
	spiAttach    command = 0x0D // tells the ROM which pins the flash is on, for the reads behind it
	readFlash    command = 0x0E // up to 64 bytes, by the ROM itself
	flashMD5     command = 0x13
	securityInfo command = 0x14
)

func (c command) String() string {
	switch c {
	case syncUp:
		return "SYNC"
	case readReg:
		return "READ_REG"
	case spiAttach:
		return "SPI_ATTACH"
	case readFlash:
		return "READ_FLASH_SLOW"
	case flashMD5:
		return "SPI_FLASH_MD5"
	case securityInfo:
		return "GET_SECURITY_INFO"
	}
	return fmt.Sprintf("%#02x", byte(c))
}

// MagicReg tells the members of the family apart.
const MagicReg = 0x40001000

// maxRead is what one READ_FLASH_SLOW gives.
const maxRead = 64

// Flags of GET_SECURITY_INFO.
const (
	SecureBoot       = 1 << 0
	AggressiveRevoke = 1 << 1
	SecureDownload   = 1 << 2
	SoftDisJTAG      = 1 << 6
	HardDisJTAG      = 1 << 7
	DisUSB           = 1 << 8
	DisDownloadData  = 1 << 9
	DisDownloadCode  = 1 << 10
)

// Security is what a loader says of the chip.
type Security struct {
	Flags uint32 `json:"flags"`
	// CryptCount is SPI_BOOT_CRYPT_CNT: the flash is encrypted where an odd number of its
	// bits is set.
	CryptCount byte    `json:"crypt_count"`
	Purposes   [7]byte `json:"key_purposes"`
	// ChipID and ECO are told by later members only.
	ChipID  uint32 `json:"chip_id,omitempty"`
	ECO     uint32 `json:"eco,omitempty"`
	HasChip bool   `json:"has_chip,omitempty"`
}

// Options of a look. The zero value is good.
type Options struct {
	// Answer is how long an answer may take, 1 s where it is 0.
	Answer time.Duration
	// Syncs is how often the loader is called, 5 where it is 0; SyncAnswer how long each
	// answer may take, 200 ms where it is 0.
	Syncs      int
	SyncAnswer time.Duration
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
		o.Syncs = 5
	}
	if o.SyncAnswer <= 0 {
		o.SyncAnswer = 200 * time.Millisecond
	}
	return &Loader{wire: w, o: o}
}

// ask sends a command and hears its answer: the value, and the data in front of the
// status. Status is how many bytes of it this loader has, 2 or 4, which the length of the
// data tells that is wanted.
func (l *Loader) ask(ctx context.Context, c command, data []byte, wait time.Duration, want ...int) (value uint32, t rom.Try, err error) {
	t = rom.Try{Command: c.String(), Kind: verdict.Silent}
	p := []byte{0, byte(c)}
	p = binary.LittleEndian.AppendUint16(p, uint16(len(data)))
	p = append(p, 0, 0, 0, 0) // the checksum is of what carries data to write
	at, err := l.wire.Send(ctx, slip(append(p, data...)))
	if err != nil {
		return 0, t, fmt.Errorf("%s: %w", c, err)
	}
	ear, end := rom.Listen(l.wire, at), time.Now().Add(wait)
	for {
		f, err := frame(ctx, ear, end)
		if err != nil {
			return 0, t, fmt.Errorf("%s: %w", c, err)
		}
		if f == nil {
			return 0, t, nil
		}
		if len(f) < 8 || f[0] != 1 || f[1] != byte(c) {
			// An answer to what was asked before, or none at all.
			t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("%d bytes that do not answer it", len(f))
			continue
		}
		size := int(binary.LittleEndian.Uint16(f[2:]))
		body := f[8:]
		if size != len(body) || size < 2 {
			t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("%d bytes where it says %d", len(body), size)
			return 0, t, nil
		}
		return binary.LittleEndian.Uint32(f[4:]), settle(t, body, want), nil
	}
}

// settle tells data and status apart: a refusal is status alone.
func settle(t rom.Try, body []byte, want []int) rom.Try {
	t.Detail = ""
	for _, n := range append(want, 0) {
		for _, status := range []int{4, 2} {
			if len(body) != n+status {
				continue
			}
			if s := body[n:]; s[0] != 0 {
				t.Kind, t.Code = verdict.Refused, int(s[1])
				return t
			}
			if n == 0 && len(want) > 0 {
				t.Kind, t.Detail = verdict.Garbled, "done, it says, and there is no data"
				return t
			}
			t.Kind, t.Data = verdict.Accepted, append([]byte(nil), body[:n]...)
			return t
		}
	}
	t.Kind, t.Detail = verdict.Garbled, fmt.Sprintf("an answer of %d bytes", len(body))
	return t
}

// Sync calls the loader until it answers.
func (l *Loader) Sync(ctx context.Context) (t rom.Try, err error) {
	data := []byte{0x07, 0x07, 0x12, 0x20}
	for range 32 {
		data = append(data, 0x55)
	}
	for range l.o.Syncs {
		if _, t, err = l.ask(ctx, syncUp, data, l.o.SyncAnswer); err != nil || t.Kind == verdict.Accepted {
			break
		}
	}
	return t, err
}

// SecurityInfo asks what is burnt into the chip. The first of the family, ESP32, has no
// such command and refuses it.
func (l *Loader) SecurityInfo(ctx context.Context) (s Security, t rom.Try, err error) {
	if _, t, err = l.ask(ctx, securityInfo, nil, l.o.Answer, 20, 12); err != nil || t.Kind != verdict.Accepted {
		return s, t, err
	}
	s.Flags, s.CryptCount = binary.LittleEndian.Uint32(t.Data), t.Data[4]
	copy(s.Purposes[:], t.Data[5:12])
	if len(t.Data) == 20 {
		s.HasChip, s.ChipID, s.ECO = true, binary.LittleEndian.Uint32(t.Data[12:]), binary.LittleEndian.Uint32(t.Data[16:])
	}
	return s, t, nil
}

func words(v ...uint32) (p []byte) {
	for _, w := range v {
		p = binary.LittleEndian.AppendUint32(p, w)
	}
	return p
}

// ReadReg reads a word of the chip's address space.
func (l *Loader) ReadReg(ctx context.Context, at uint32) (value uint32, t rom.Try, err error) {
	value, t, err = l.ask(ctx, readReg, words(at), l.o.Answer)
	t.At = at
	return value, t, err
}

// ReadFlash reads n bytes of the flash, 1 to 64, with the pins that it is on by default.
func (l *Loader) ReadFlash(ctx context.Context, at uint32, n int) (t rom.Try, err error) {
	if n < 1 || n > maxRead {
		return t, fmt.Errorf("read %d bytes: want 1 to %d", n, maxRead)
	}
	defer func() { t.At, t.Length = at, n }()
	if _, t, err = l.ask(ctx, spiAttach, words(0, 0), l.o.Answer); err != nil || t.Kind != verdict.Accepted {
		return t, err
	}
	if _, t, err = l.ask(ctx, readFlash, words(at, uint32(n)), l.o.Answer, maxRead, n); err == nil && len(t.Data) > n {
		t.Data = t.Data[:n]
	}
	return t, err
}

// MD5 asks for the digest of n bytes of the flash, as text of 32 digits. It shows that
// the loader reads the flash where it gives none of it away.
func (l *Loader) MD5(ctx context.Context, at uint32, n int) (t rom.Try, err error) {
	defer func() { t.At, t.Length = at, n }()
	_, t, err = l.ask(ctx, flashMD5, words(at, uint32(n), 0, 0), l.o.Answer+time.Duration(n/1024)*10*time.Millisecond, 32)
	return t, err
}

// Report is what a loader said.
type Report struct {
	Sync     rom.Try   `json:"sync"`
	Security *Security `json:"security,omitempty"` // nil where it does not tell
	Magic    uint32    `json:"magic,omitempty"`
	Tries    []rom.Try `json:"tries,omitempty"`
}

// Answers says whether a loader is there.
func (r *Report) Answers() bool { return r.Sync.Kind == verdict.Accepted }

// Secure says whether the chip says that its download mode is the secure one: by
// Espressif's documents that still writes and erases the flash, and runs nothing.
func (r *Report) Secure() bool { return r.Security != nil && r.Security.Flags&SecureDownload != 0 }

// Read gives the reads that were let through: of registers, of the flash, of its digest.
func (r *Report) Read() (out []rom.Try) {
	for _, t := range r.Tries {
		if c := t.Command; t.Kind == verdict.Accepted && (c == readReg.String() || c == readFlash.String() || c == flashMD5.String()) {
			out = append(out, t)
		}
	}
	return out
}

// Refused says whether each read was refused in so many words. One without an answer is
// none that was refused.
func (r *Report) Refused() bool {
	refused := 0
	for _, t := range r.Tries {
		switch {
		case t.Command == securityInfo.String():
		case t.Kind != verdict.Refused:
			return false
		default:
			refused++
		}
	}
	return refused > 0
}

// Look asks all that there is to ask.
func (l *Loader) Look(ctx context.Context) (*Report, error) {
	r := &Report{}
	var err error
	if r.Sync, err = l.Sync(ctx); err != nil || !r.Answers() {
		return r, err
	}
	s, t, err := l.SecurityInfo(ctx)
	if r.Tries = append(r.Tries, t); err != nil {
		return r, err
	}
	if t.Kind == verdict.Accepted {
		r.Security = &s
	}
	r.Magic, t, err = l.ReadReg(ctx, MagicReg)
	if r.Tries = append(r.Tries, t); err != nil {
		return r, err
	}
	if t, err = l.ReadFlash(ctx, 0, maxRead); err != nil {
		return r, err
	}
	r.Tries = append(r.Tries, t)
	t, err = l.MD5(ctx, 0, 4096)
	r.Tries = append(r.Tries, t)
	return r, err
}
