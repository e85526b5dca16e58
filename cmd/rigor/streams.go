package main

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/term"

	"rigor/harness/report/terminal"
)

// stream is standard output or standard error. Who read it may have seen
// enough, as head -1 has: from then on nothing is written, and nobody is told.
// Every command goes on as if all were read, and ends with the same code. Other
// errors, such as a full disk, stay errors.
type stream struct{ w io.Writer }

func (s stream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, err
}

// screen says what the place that text goes to can do.
func screen(w io.Writer) terminal.Options {
	o := terminal.Options{CI: os.Getenv("CI") != ""}
	if s, ok := w.(stream); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Live = true
	o.Color = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = width
	}
	return o
}
