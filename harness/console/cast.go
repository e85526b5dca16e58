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
// pauses, grows long, or something is sent. A secret that is cut so could not be found
// by its value any more: secrets are taken out of the output before it is cut.
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
	clean io.WriteCloser // takes secrets out of the output; nil for none
	held  []byte         // output that is not written yet
	first time.Time      // when held began
	last  time.Time      // of the last output
	err   error
}

// newCast begins a cast. What the output may have of the secrets of red, which may be
// nil, is replaced; the beginning of one is held back until it shows to be none.
func newCast(w io.Writer, title string, began time.Time, red *escape.Redactor) *cast {
	c := &cast{w: w, began: began, last: began}
	if red != nil {
		c.clean = red.Writer((*castOutput)(c))
	}
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
	c.last = at
	if c.clean == nil {
		c.hold(p)
		return
	}
	_, _ = c.clean.Write(p) // castOutput never fails
}

// castOutput is the cast behind what takes the secrets out.
type castOutput cast

func (o *castOutput) Write(p []byte) (int, error) {
	(*cast)(o).hold(p)
	return len(p), nil
}

// hold takes output that came last, and writes what is a line of it.
func (c *cast) hold(p []byte) {
	for len(p) > 0 {
		if len(c.held) == 0 {
			c.first = c.last
		}
		n := bytes.IndexByte(p, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(p)
		}
		n = min(n, castLine)
		c.held = append(c.held, p[:n]...)
		p = p[n:]
		if whole || len(c.held) >= castLine {
			c.flush(false)
		}
	}
}

// end writes all that is not written yet.
func (c *cast) end() {
	if c.clean != nil {
		_ = c.clean.Close() // castOutput never fails
	}
	c.flush(true)
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

// mark writes an event of another kind, behind the output that came before it, but for
// what may be the beginning of a secret.
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
