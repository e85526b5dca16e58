package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"rigor/harness/console/expect"
)

// Shell runs commands behind a prompt.
//
// In a POSIX shell, markers frame the output. Each is written in two halves
// which only the shell joins, so that the echo of a command is never taken for
// its output, and a line of the kernel in between does no harm.
//
// In anything else (a boot loader, a maker's own CLI: set Plain) the output is
// what stands between the echo of the command and the next prompt.
type Shell struct {
	Prompt expect.Pattern // needed with Plain; else it lets a marker be asked for again
	Plain  bool
	// Status is a plain shell's command that prints the exit status of the one
	// before, such as "echo $?". Without one the status is -1.
	Status string
	// Noise are lines that do not belong to the output, without their newline;
	// the kernel's where it is nil.
	Noise *regexp.Regexp
}

// Result is what a command gave.
type Result struct {
	Output   []byte // as text: without escape sequences, carriage returns and noise
	Status   int    // exit status; -1 where it cannot be told
	From, To Cursor // of the raw bytes that back it
}

// ErrNoStatus says that a plain shell's status command printed no number.
var ErrNoStatus = errors.New("the exit status could not be read")

// kernelLine is a line of printk with its time stamp, on an empty console or in
// the midst of somebody's line.
var kernelLine = regexp.MustCompile(`^(?:<\d+>)?\[ *\d+\.\d{3,6}\](?:\[[^\]\n]*\])? `)

// Run runs one command, which is one line, and waits for its end. The error is
// as Expect's.
func (s Shell) Run(ctx context.Context, t Talker, command string) (Result, error) {
	if bytes.ContainsAny([]byte(command), "\r\n") {
		return Result{}, fmt.Errorf("console shell: the command %.40q is more than one line", command)
	}
	if s.Plain {
		return s.plain(ctx, t, command)
	}
	return s.posix(ctx, t, command)
}

// marker is a word that was never used before, in two halves.
type marker struct{ left, right string }

func newMarker() marker {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand does not fail
	word := hex.EncodeToString(b[:])
	return marker{"rg" + word[:8], word[8:]}
}

// split is the word as a shell has to be told it.
func (m marker) split() string { return m.left + "''" + m.right }

func (m marker) word() string { return m.left + m.right }

func (s Shell) posix(ctx context.Context, t Talker, command string) (Result, error) {
	m := newMarker()
	begin, err := expect.Regexp(m.word() + `b\n`)
	if err != nil {
		return Result{}, err
	}
	end, err := expect.Regexp(m.word() + `e(\d{1,3})z`)
	if err != nil {
		return Result{}, err
	}
	begin, end = begin.Named("the beginning of the output"), end.Named("the end of the output")
	ask := "echo " + m.split() + "e${rigor_status}z"
	// eval takes a command that ends in "&" or a comment, too.
	quoted := "'" + strings.ReplaceAll(command, "'", `'\''`) + "'"
	at, err := t.SendLine(ctx, "echo "+m.split()+"b; eval "+quoted+"; rigor_status=$?; "+ask)
	if err != nil {
		return Result{}, err
	}
	// The beginning may be torn by the kernel; the end is what counts.
	last, err := s.end(ctx, t, at, end, ask)
	if err != nil {
		return Result{From: at, To: t.Mark()}, err
	}
	r := Result{From: at, To: last.To, Status: -1}
	if r.Status, err = strconv.Atoi(string(last.Groups[0])); err != nil {
		return r, fmt.Errorf("console shell: %w: %w", ErrNoStatus, err)
	}
	raw, err := t.Excerpt(at, last.From)
	if err != nil {
		return r, err
	}
	set := expect.NewSet(0, 0, begin)
	hit, begun := set.Feed(raw)
	if begun {
		raw = raw[set.Resolve(hit, raw[hit.From:hit.Upto]).To:]
	}
	text := expect.Plain(raw)
	if !begun {
		// The beginning is torn. The echo of the command ends like this.
		if _, after, ok := bytes.Cut(text, []byte(ask+"\n")); ok {
			text = after
		}
	}
	// Where the end had to be asked for again, its command's echo stands there.
	if i := bytes.Index(text, []byte(ask)); i >= 0 {
		text = text[:bytes.LastIndexByte(text[:i], '\n')+1]
	}
	r.Output = s.clean(text)
	return r, nil
}

// end waits for the end marker. When the prompt comes and the marker has not,
// something was written over it, and it is asked for again.
func (s Shell) end(ctx context.Context, t Talker, at Cursor, end expect.Pattern, ask string) (Match, error) {
	if !s.Prompt.Valid() {
		return t.Expect(ctx, at, end)
	}
	from := at
	for range 3 {
		m, err := t.Expect(ctx, from, end, prompt(s.Prompt, "the shell's prompt"))
		if err != nil || m.Index == 0 {
			return m, err
		}
		if from, err = t.SendLine(ctx, ask); err != nil {
			return m, err
		}
	}
	return t.Expect(ctx, from, end)
}

func (s Shell) plain(ctx context.Context, t Talker, command string) (Result, error) {
	if !s.Prompt.Valid() {
		return Result{}, errors.New("console shell: a plain shell needs its prompt declared")
	}
	r, err := s.line(ctx, t, command)
	r.Status = -1
	if err != nil || s.Status == "" {
		return r, err
	}
	status, err := s.line(ctx, t, s.Status)
	if err != nil {
		return r, err
	}
	r.To = status.To
	n, err := strconv.Atoi(string(bytes.TrimSpace(status.Output)))
	if err != nil {
		return r, fmt.Errorf("console shell: %w from %q", ErrNoStatus, cut(status.Output))
	}
	r.Status = n
	return r, nil
}

// line sends a line and takes what comes before the next prompt.
func (s Shell) line(ctx context.Context, t Talker, line string) (Result, error) {
	at, err := t.SendLine(ctx, line)
	if err != nil {
		return Result{}, err
	}
	m, err := t.Expect(ctx, at, prompt(s.Prompt, "the prompt"))
	if err != nil {
		return Result{From: at, To: t.Mark()}, err
	}
	raw, err := t.Excerpt(at, m.From)
	if err != nil {
		return Result{From: at, To: m.To}, err
	}
	text := expect.Plain(raw)
	// An echo is the first line; a shell without echo has none.
	if first, rest, ok := bytes.Cut(text, []byte("\n")); ok && bytes.Contains(first, []byte(line)) {
		text = rest
	} else if !ok && bytes.Equal(bytes.TrimSpace(text), []byte(line)) {
		text = nil
	}
	return Result{From: at, To: m.To, Output: s.clean(text)}, nil
}

// clean takes the lines of noise out.
func (s Shell) clean(text []byte) []byte {
	noise := s.Noise
	if noise == nil {
		noise = kernelLine
	}
	var out []byte
	for line := range bytes.Lines(text) {
		if !noise.Match(bytes.TrimSuffix(line, []byte("\n"))) {
			out = append(out, line...)
		}
	}
	return out
}
