package ssh

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"rigor/harness/login"
)

// The messages of SFTP that sending a file needs (draft-ietf-secsh-filexfer-02, version 3,
// which is what is spoken everywhere).
const (
	sftpInit    = 1
	sftpVersion = 2
	sftpOpen    = 3
	sftpClose   = 4
	sftpWrite   = 6
	sftpFstat   = 8
	sftpStatus  = 101
	sftpHandle  = 102
	sftpAttrs   = 105

	sftpForWriting = 0x02 | 0x08 | 0x10 // write, create, truncate
	sftpHasMode    = 0x04
	sftpHasSize    = 0x01

	sftpChunk = 32 << 10 // bytes of one write: what each server takes (section 3)
	sftpMost  = 256 << 10
)

// errSFTP says that an answer is none of the protocol.
var errSFTP = errors.New("it is no answer of sftp")

// sftp is a client that sends files.
type sftp struct {
	w  io.Writer
	r  *bufio.Reader
	id uint32
}

// sendSFTP sends a file, and gives how many bytes of it the server has: by the size that it
// tells of it, or by what it has confirmed where it tells none.
func sendSFTP(w io.Writer, r *bufio.Reader, p *login.Put) (int, error) {
	c := &sftp{w: w, r: r}
	if err := c.send(sftpInit, u32(3)); err != nil {
		return 0, err
	}
	if kind, _, err := c.next(); err != nil || kind != sftpVersion {
		return 0, errors.Join(err, wrongKind(kind, err))
	}
	handle, err := c.open(p.To)
	if err != nil {
		return 0, err
	}
	sent := 0
	for sent < len(p.Data) {
		chunk := p.Data[sent:min(sent+sftpChunk, len(p.Data))]
		if err := c.done(sftpWrite, str(handle), u64(uint64(sent)), str(chunk)); err != nil { //nolint:gosec // a length
			return sent, err
		}
		sent += len(chunk)
	}
	size, err := c.size(handle)
	if err != nil {
		return 0, err
	}
	if size >= 0 {
		sent = size
	}
	return sent, c.done(sftpClose, str(handle))
}

func (c *sftp) open(path string) (handle []byte, err error) {
	kind, body, err := c.ask(sftpOpen, str([]byte(path)), u32(sftpForWriting), u32(sftpHasMode), u32(0o600))
	switch {
	case err != nil:
		return nil, err
	case kind == sftpStatus:
		return nil, status(body)
	case kind != sftpHandle:
		return nil, wrongKind(kind, nil)
	}
	return takeStr(body)
}

// size is what the server tells of the file; -1 where it does not tell.
func (c *sftp) size(handle []byte) (int, error) {
	kind, body, err := c.ask(sftpFstat, str(handle))
	switch {
	case err != nil:
		return 0, err
	case kind == sftpStatus: // it is not served
		return -1, nil
	case kind != sftpAttrs:
		return 0, wrongKind(kind, nil)
	case len(body) < 12 || binary.BigEndian.Uint32(body)&sftpHasSize == 0:
		return -1, nil
	}
	return int(min(binary.BigEndian.Uint64(body[4:]), 1<<40)), nil //nolint:gosec // bounded
}

// done asks for something that is answered with a status, and gives what it says but for
// well done.
func (c *sftp) done(kind byte, parts ...[]byte) error {
	got, body, err := c.ask(kind, parts...)
	if err != nil {
		return err
	}
	if got != sftpStatus {
		return wrongKind(got, nil)
	}
	return status(body)
}

// status reads the code and the words of a status.
func status(body []byte) error {
	if len(body) < 4 {
		return fmt.Errorf("sftp: a status of %d bytes: %w", len(body), errSFTP)
	}
	code := binary.BigEndian.Uint32(body)
	if code == 0 {
		return nil
	}
	text, _ := takeStr(body[4:]) // there are servers that say nothing more
	return &saidNo{int(min(code, 255)), string(text[:min(len(text), maxWords)])}
}

// ask sends a request and gives the answer to it.
func (c *sftp) ask(kind byte, parts ...[]byte) (byte, []byte, error) {
	c.id++
	if err := c.send(kind, append([][]byte{u32(c.id)}, parts...)...); err != nil {
		return 0, nil, err
	}
	got, body, err := c.next()
	if err != nil {
		return 0, nil, err
	}
	if len(body) < 4 || binary.BigEndian.Uint32(body) != c.id {
		return 0, nil, fmt.Errorf("sftp: an answer to nothing that was asked: %w", errSFTP)
	}
	return got, body[4:], nil
}

func (c *sftp) send(kind byte, parts ...[]byte) error {
	body := []byte{kind}
	for _, p := range parts {
		body = append(body, p...)
	}
	if _, err := c.w.Write(append(u32(uint32(len(body))), body...)); err != nil { //nolint:gosec // a chunk and its head
		return fmt.Errorf("sftp: send %d bytes: %w", len(body), err)
	}
	return nil
}

// next reads a message.
func (c *sftp) next() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("sftp: no answer: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 1 || n > sftpMost {
		return 0, nil, fmt.Errorf("sftp: a message of %d bytes, that begins with %x: %w", n, head, errSFTP)
	}
	body = make([]byte, n-1)
	if got, err := io.ReadFull(c.r, body); err != nil {
		return 0, nil, fmt.Errorf("sftp: a message of %d bytes ends behind %d: %w", n, got+1, err)
	}
	return head[4], body, nil
}

func wrongKind(kind byte, err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("sftp: a message of kind %d: %w", kind, errSFTP)
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
func str(b []byte) []byte { return append(u32(uint32(len(b))), b...) } //nolint:gosec // of ours, and short

// takeStr gives the text that something begins with.
func takeStr(b []byte) (text []byte, err error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, fmt.Errorf("sftp: a text that is cut: %w", errSFTP)
	}
	return b[4 : 4+binary.BigEndian.Uint32(b)], nil
}
