package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"rigor/harness/escape"
)

// What a cast joins into one event: output up to the end of a line, unless it
// pauses or grows long. A line goes out whole so that a secret in it can be
// found by its value.
const (
	castPause = 500 * time.Millisecond
	castLine  = 8 << 10
)

// cast writes an asciicast v2: a header and one JSON array per event, each in
// one Write. Output is "o", what we sent "i", a marker "m". Bytes that are not
// UTF-8 become U+FFFD: the exact bytes are in the raw recording. It is not safe
// for concurrent use.
type cast struct {
	w     io.Writer
	began time.Time
	held  []byte    // output that is not written yet
	first time.Time // when held began
	last  time.Time
	err   error
}

func newCast(w io.Writer, title string, began time.Time) *cast {
	c := &cast{w: w, began: began}
	head, err := json.Marshal(struct {
		Version   int    `json:"version"`
		Width     int    `json:"width"`
		Height    int    `json:"height"`
		Timestamp int64  `json:"timestamp"`
		Title     string `json:"title,omitempty"`
	}{2, 80, 24, began.Unix(), title})
	if err != nil {
		c.err = err
		return c
	}
	c.write(append(head, '\n'))
	return c
}

func (c *cast) output(p []byte, at time.Time) {
	if len(c.held) > 0 && at.Sub(c.last) > castPause {
		c.flush(false)
	}
	for len(p) > 0 {
		if len(c.held) == 0 {
			c.first = at
		}
		n := bytes.IndexByte(p, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(p)
		}
		n = min(n, castLine)
		c.held = append(c.held, p[:n]...)
		c.last = at
		p = p[n:]
		if whole || len(c.held) >= castLine {
			c.flush(false)
		}
	}
}

// flush writes what is held. The beginning of a character stays for the next
// event, unless this is the last one.
func (c *cast) flush(end bool) {
	n := len(c.held)
	if !end {
		for k := 1; k < utf8.UTFMax && k <= len(c.held); k++ {
			if tail := c.held[len(c.held)-k:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					n -= k
				}
				break
			}
		}
	}
	if n > 0 {
		c.event("o", c.held[:n], c.first)
	}
	c.held = append(c.held[:0], c.held[n:]...)
	c.first = c.last
}

// mark writes an event of another kind, behind the output that came before it.
func (c *cast) mark(code string, p []byte, at time.Time) {
	c.flush(false)
	c.event(code, p, at)
}

func (c *cast) event(code string, p []byte, at time.Time) {
	text, err := json.Marshal(string(p)) // which writes each byte that is not UTF-8 as U+FFFD
	if err != nil {
		c.err = err
		return
	}
	line := make([]byte, 0, len(text)+32)
	line = append(line, '[')
	line = strconv.AppendFloat(line, at.Sub(c.began).Seconds(), 'f', 6, 64)
	line = append(line, `, "`+code+`", `...)
	line = append(line, escape.JSONLine(text)...)
	c.write(append(line, ']', '\n'))
}

func (c *cast) write(line []byte) {
	if c.err != nil {
		return
	}
	if _, err := c.w.Write(line); err != nil {
		c.err = fmt.Errorf("record the console as a cast: %w", err)
	}
}
