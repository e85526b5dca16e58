package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// said is one line of QEMU's test protocol (softmmu/qtest.c): an answer to a
// command, or a change of an output.
type said struct {
	ok, answer bool
	text       string // of an answer
	line       int
	high       bool
}

// parseSaid reads one line.
func parseSaid(line string) (said, error) {
	word, rest, _ := strings.Cut(strings.TrimRight(line, "\r"), " ")
	switch word {
	case "OK", "FAIL", "ERR":
		return said{answer: true, ok: word == "OK", text: rest}, nil
	case "IRQ":
		how, num, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(num)
		if err != nil || n < 0 || n > maxLine || how != "raise" && how != "lower" {
			return said{}, fmt.Errorf("a change that nobody knows: %.80q", line)
		}
		return said{line: n, high: how == "raise"}, nil
	}
	return said{}, fmt.Errorf("a line that nobody knows: %.80q", line)
}

// pins drives and watches the lines of a machine's chip.
type pins struct {
	conn    net.Conn
	changed func(line int, high bool)

	mu      sync.Mutex // held through a command and its answer
	answers chan said
	over    chan struct{}
	err     error // read after over is closed
}

func openPins(conn net.Conn, changed func(int, bool)) *pins {
	p := &pins{conn: conn, changed: changed, answers: make(chan said, 1), over: make(chan struct{})}
	go p.read()
	return p
}

func (p *pins) read() {
	in := bufio.NewReaderSize(p.conn, 4096)
	var err error
	for err == nil {
		var line []byte
		if line, err = readLine(in, maxMessage); err != nil {
			break
		}
		var s said
		if s, err = parseSaid(string(line)); err != nil {
			break
		}
		if !s.answer {
			p.changed(s.line, s.high)
			continue
		}
		select {
		case p.answers <- s:
		default:
			err = fmt.Errorf("an answer that nobody asked for: %.80q", line)
		}
	}
	_ = p.conn.Close()
	p.err = fmt.Errorf("the test protocol is closed: %w", err)
	close(p.over)
}

// do gives a command that is answered by OK alone.
func (p *pins) do(ctx context.Context, command string) error {
	_, err := p.ask(ctx, command)
	return err
}

// ask gives a command and waits for its answer, 5 s at most. After one that was
// not answered the order is lost, and the connection of no use.
func (p *pins) ask(ctx context.Context, command string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fail := func(err error) (string, error) { return "", fmt.Errorf("%s: %w", command, err) }
	if err := send(ctx, p.conn, []byte(command+"\n")); err != nil {
		return fail(err)
	}
	late := time.NewTimer(answerIn)
	defer late.Stop()
	select {
	case s := <-p.answers:
		if !s.ok {
			return fail(errors.New(s.text))
		}
		return s.text, nil
	case <-p.over:
		return fail(p.err)
	case <-late.C:
		_ = p.conn.Close()
		return fail(fmt.Errorf("no answer in %v: does the machine's process hang?", answerIn))
	}
}

// watch has the outputs of a chip told.
func (p *pins) watch(ctx context.Context, chip string) error {
	return p.do(ctx, "irq_intercept_out "+chip)
}

// set drives an input of a chip.
func (p *pins) set(ctx context.Context, chip string, line int, high bool) error {
	level := "0"
	if high {
		level = "1"
	}
	return p.do(ctx, "set_irq_in "+chip+" unnamed-gpio-in "+strconv.Itoa(line)+" "+level)
}

// peek reads a byte of the machine's memory, as its processor would.
func (p *pins) peek(ctx context.Context, addr uint64) (byte, error) {
	command := fmt.Sprintf("readb %#x", addr)
	text, err := p.ask(ctx, command)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseUint(text, 0, 8)
	if err != nil {
		return 0, fmt.Errorf("%s: an answer that is no byte: %.80q", command, text)
	}
	return byte(v), nil
}
