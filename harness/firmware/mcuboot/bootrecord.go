package mcuboot

import (
	"encoding/binary"

	"rigor/harness/firmware/internal/refusal"
)

// Record is a boot record: what the loader hands on for attestation, as imgtool
// --boot-record makes it (a CBOR map with the property numbers of Arm's PSA Attestation
// API 1.0).
type Record struct {
	Type        string // 1: what software it is
	Value       []byte // 2: the measurement, which the loader puts in
	Version     string // 4
	Signer      []byte // 5: the hash of the key that signed
	Description string // 6: how it was measured
}

// BootRecord reads the first boot record among the protected TLVs; ok is false where
// there is none. Its error is [ErrMalformed].
func (img *Image) BootRecord() (r Record, ok bool, err error) {
	for _, t := range img.Protected {
		if t.Type == BootRecord {
			r, err = parseRecord(t.Value)
			return r, err == nil, err
		}
	}
	return r, false, nil
}

// The major types of CBOR that occur (RFC 8949, section 3).
const (
	cborNumber, cborBytes, cborText, cborMap = 0, 2, 3, 5
)

// parseRecord reads a map of numbers to texts and bytes.
func parseRecord(b []byte) (Record, error) {
	var r Record
	kind, n, b, ok := cborHead(b)
	if !ok || kind != cborMap {
		return r, refusal.Of(ErrMalformed, "a boot record that is no map")
	}
	for range n {
		var key, length uint64
		if kind, key, b, ok = cborHead(b); !ok || kind != cborNumber {
			return r, refusal.Of(ErrMalformed, "a boot record whose key is no number")
		}
		if kind, length, b, ok = cborHead(b); !ok || kind != cborBytes && kind != cborText || length > uint64(len(b)) {
			return r, refusal.Of(ErrMalformed, "a boot record whose property %d is neither text nor bytes, or cut off", key)
		}
		value := b[:length:length]
		b = b[length:]
		switch {
		case key == 1 && kind == cborText:
			r.Type = string(value)
		case key == 2 && kind == cborBytes:
			r.Value = value
		case key == 4 && kind == cborText:
			r.Version = string(value)
		case key == 5 && kind == cborBytes:
			r.Signer = value
		case key == 6 && kind == cborText:
			r.Description = string(value)
		}
	}
	if len(b) > 0 {
		return r, refusal.Of(ErrMalformed, "%d bytes behind a boot record", len(b))
	}
	return r, nil
}

// cborHead reads the head of an item of definite length.
func cborHead(b []byte) (kind int, n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, 0, nil, false
	}
	kind, n, b = int(b[0]>>5), uint64(b[0]&31), b[1:]
	if n < 24 {
		return kind, n, b, true
	}
	size := map[uint64]int{24: 1, 25: 2, 26: 4, 27: 8}[n]
	if size == 0 || len(b) < size {
		return 0, 0, nil, false
	}
	var full [8]byte
	copy(full[8-size:], b[:size])
	return kind, binary.BigEndian.Uint64(full[:]), b[size:], true
}
