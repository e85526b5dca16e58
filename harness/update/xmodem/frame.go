package xmodem

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"rigor/harness/update/stream"
)

// The control characters of the protocol.
const (
	soh = 0x01 // a block of 128 bytes follows
	stx = 0x02 // a block of 1024 bytes follows
	eot = 0x04 // the file is over
	ack = 0x06
	nak = 0x15
	can = 0x18 // two of them cancel
	sub = 0x1a // fills the last block
	bs  = 0x08
	crc = 'C' // a receiver's wish for blocks with a CRC
)

const (
	short = 128
	long  = 1024
	// toLong is the rest of a file from which on a long block is no longer than
	// short ones.
	toLong = long - short + 1
)

// frame appends a block to dst: data, filled up to size with pad.
func frame(dst []byte, seq byte, data []byte, size int, pad byte, withCRC bool) []byte {
	head := byte(soh)
	if size == long {
		head = stx
	}
	dst = append(dst, head, seq, ^seq)
	body := len(dst)
	dst = append(dst, data...)
	for range size - len(data) {
		dst = append(dst, pad)
	}
	if withCRC {
		return binary.BigEndian.AppendUint16(dst, stream.CRC16(dst[body:]))
	}
	var sum byte
	for _, b := range dst[body:] {
		sum += b
	}
	return append(dst, sum)
}

// header gives what block 0 says of a file: its name, a NUL, its length in
// decimal.
func (f File) header() ([]byte, error) {
	if f.Name == "" || strings.ContainsRune(f.Name, 0) {
		return nil, fmt.Errorf("file name %q: want one without NUL, and not an empty one", f.Name)
	}
	var b bytes.Buffer
	b.WriteString(f.Name)
	b.WriteByte(0)
	b.WriteString(strconv.Itoa(len(f.Data)))
	if b.Len() >= long {
		return nil, fmt.Errorf("file name of %d bytes: want at most %d", len(f.Name), long-24)
	}
	return b.Bytes(), nil
}
