package dialog

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
)

// Marker is a word that a POSIX shell joins from two halves when it runs a
// command, so that the echo of the command can never be taken for its output.
type Marker struct {
	left, right string
	begun       *regexp.Regexp
	ended       *regexp.Regexp
}

// NewMarker makes a marker that was never used before.
func NewMarker() Marker {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand does not fail
	word := hex.EncodeToString(b[:])
	m := Marker{left: "rg" + word[:8], right: word[8:] + "rg"}
	m.begun = regexp.MustCompile(m.left + m.right + `b\r*\n`)
	m.ended = regexp.MustCompile(m.left + m.right + `e(\d{1,3})\s`)
	return m
}

// Command gives the line that runs cmd (which may be empty) between the
// marker's begin and its end with the exit status.
func (m Marker) Command(cmd string) string {
	if cmd != "" {
		cmd += "; "
	}
	return fmt.Sprintf("echo %s''%sb; %secho %s''%se$?", m.left, m.right, cmd, m.left, m.right)
}

// Find gives the output between begin and end and the exit status, once the
// end was printed.
func (m Marker) Find(text []byte) (output []byte, status int, ok bool) {
	end := m.ended.FindSubmatchIndex(text)
	if end == nil {
		return nil, 0, false
	}
	status, err := strconv.Atoi(string(text[end[2]:end[3]]))
	if err != nil {
		return nil, 0, false
	}
	output = text[:end[0]]
	if at := m.begun.FindIndex(output); at != nil {
		output = output[at[1]:]
	}
	return output, status, true
}

// AfterEcho gives what stands in text behind the echo of command; all of text
// where there is no echo. Matching a proof in anything else would find it in
// our own words.
func AfterEcho(text []byte, command string) []byte {
	if _, after, ok := bytes.Cut(text, []byte(command)); ok {
		return after
	}
	return text
}
