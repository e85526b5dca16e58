package console

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	hc "rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/verdict"
)

// standAnswer is how long the answer to an Enter may take to begin.
const standAnswer = time.Second

// standQuiets are the silences before each Enter. The first Enter ends what keys left on
// the line, and the last two decide: what comes at both, in the same words, is a prompt.
// What a device says by itself, in a loop of boots say, can fall behind an Enter, but not
// behind both: had it come within the answer to one, it would break the silence before the
// next, which is longer than the one before it and its answer together.
var standQuiets = []time.Duration{500 * time.Millisecond, 500 * time.Millisecond, 1600 * time.Millisecond, 2800 * time.Millisecond}

// standNoise is how long a silence is waited for beyond itself.
const standNoise = time.Second

// asksWho is a line that asks who one is: a login, and no open prompt. Enter would be a
// try at some.
var asksWho = regexp.MustCompile(`(?i)\b(?:login|user ?name|user|account|password|passphrase|passcode|pin)\b[^\n]{0,60}[:?]\s*$`)

// stander is a console that can be asked where it stands.
type stander interface {
	hc.Talker
	Quiet(ctx context.Context, d time.Duration) (hc.Cursor, error)
	Read(ctx context.Context, from hc.Cursor, p []byte) (int, error)
}

// standing says where a console stands that shows nothing known: Accepted at a prompt,
// which answers each Enter by the same line of its own, Unproven where something else
// answers each, and Refused where nothing does, where a login asks, or where it goes on
// by itself. Numbers in a prompt may change: some loaders count their lines.
func standing(ctx context.Context, con stander) (k verdict.Kind, why string, _ error) {
	var last string
	for i, quiet := range standQuiets {
		silent, err := fallsSilent(ctx, con, quiet)
		if err != nil {
			return k, "", err
		}
		if !silent {
			return verdict.Refused, "it goes on by itself", nil
		}
		tail, err := con.Since(max(0, con.Mark()-1024))
		if err != nil {
			return k, "", err
		}
		if line, _ := lastLine(tail); asksWho.MatchString(line) {
			return verdict.Refused, "it asks who one is", nil
		}
		reply, err := replied(ctx, con)
		if err != nil {
			return k, "", err
		}
		line, alone := lastLine(reply)
		switch {
		case i == 0:
			continue
		case blank(reply):
			return verdict.Refused, "Enter is not answered", nil
		case asksWho.MatchString(line):
			return verdict.Refused, "it asks who one is", nil
		case i == len(standQuiets)-1 && alone && last != "" && counted(line) == counted(last):
			return verdict.Accepted, fmt.Sprintf("%q comes at each Enter", line), nil
		}
		last = ""
		if alone {
			last = line
		}
	}
	return verdict.Unproven, "something answers each Enter, and whether it is a prompt is not shown", nil
}

// fallsSilent says whether nothing comes for d.
func fallsSilent(ctx context.Context, con stander, d time.Duration) (bool, error) {
	turn, cancel := context.WithTimeout(ctx, d+standNoise)
	defer cancel()
	_, err := con.Quiet(turn, d)
	if late(ctx, err) {
		return false, nil
	}
	return err == nil, err
}

// replied sends Enter and gives what comes of it, up to a pause behind something visible.
func replied(ctx context.Context, con stander) ([]byte, error) {
	at, err := con.SendLine(ctx, "")
	if err != nil {
		return nil, err
	}
	turn, cancel := context.WithTimeout(ctx, standAnswer)
	defer cancel()
	buf := make([]byte, 1024)
	for from := at; ; {
		n, err := con.Read(turn, from, buf)
		if late(ctx, err) {
			break
		}
		if err != nil {
			return nil, err
		}
		from += hc.Cursor(n)
		if !blank(buf[:n]) {
			// What goes on is more than an answer to Enter.
			if _, err := con.Quiet(turn, 2*promptQuiet); err != nil && !late(ctx, err) {
				return nil, err
			}
			break
		}
	}
	return con.Since(at)
}

// lastLine gives the last line of a text where no line's end is behind it, without the
// blanks around it, and whether it stands on a new line with nothing else in the text.
func lastLine(text []byte) (line string, alone bool) {
	plain := expect.Plain(text)
	end := bytes.LastIndexByte(plain, '\n') + 1
	line = seen(plain[end:])
	return line, line != "" && end > 0 && blank(plain[:end])
}

// blank says whether nothing in a text can be seen: the echo of an Enter cannot.
func blank(text []byte) bool { return seen(expect.Plain(text)) == "" }

// seen leaves out of a text what cannot be seen, and what a terminal shows of an Enter.
func seen(text []byte) string {
	s := strings.NewReplacer("^M", "", "^J", "").Replace(string(text))
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s))
}

// counted gives a line with one sign for each number.
func counted(line string) string { return numbers.ReplaceAllString(line, "0") }

var numbers = regexp.MustCompile(`[0-9]+`)
