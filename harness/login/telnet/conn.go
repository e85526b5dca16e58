package telnet

import (
	"net"
	"sync"
	"time"
)

// maxReplies bounds the bytes that we answer to negotiations on one
// connection: a DUT that negotiates without end is not followed.
const maxReplies = 16 << 10

// stream is a connection whose protocol is taken out: Read gives text alone.
type stream struct {
	net.Conn
	codec   codec
	raw     [4 << 10]byte
	text    []byte // not read yet
	replied int

	mu   sync.Mutex // writers: the negotiation and the try
	seen bool       // anything came at all
}

// Text gives a connection on which negotiations are answered as those of a try
// are, and of which Read gives the text alone: what a user would see.
func Text(c net.Conn) net.Conn { return &stream{Conn: c} }

// Read gives text that the DUT sent.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if len(s.text) > 0 {
			n := copy(p, s.text)
			s.text = append(s.text[:0], s.text[n:]...)
			return n, nil
		}
		n, err := s.Conn.Read(s.raw[:])
		if n > 0 {
			s.mu.Lock()
			s.seen = true
			s.mu.Unlock()
			var reply []byte
			s.text, reply = s.codec.feed(s.raw[:n], s.text, nil)
			if s.replied += len(reply); len(reply) > 0 && s.replied <= maxReplies {
				s.mu.Lock()
				// A DUT that reads nothing must not hold the reader for long.
				_ = s.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
				_, werr := s.Conn.Write(reply)
				s.mu.Unlock()
				if werr != nil && err == nil {
					err = werr
				}
			}
		}
		if err != nil && len(s.text) == 0 {
			return 0, err
		}
		if n == 0 && err == nil {
			continue
		}
	}
}

// line sends one line of ours.
func (s *stream) line(text, newline string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.Conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err := s.Conn.Write(append(escape(text), newline...))
	return err
}

func (s *stream) answered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}
