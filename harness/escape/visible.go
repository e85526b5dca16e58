// Package escape makes foreign bytes harmless for each place that text goes
// to, and takes secrets out by value. What a device says is hostile: it may
// hold control characters, broken UTF-8, markup, commands for a terminal or
// for a CI's log reader.
//
// No escaper drops a byte in silence: what cannot be shown is written out, in
// one notation (Visible), which can be undone (Unvisible). Transcript alone
// leaves out the returns of line ends, which it is there for.
package escape

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible writes s so that every byte can be seen and none does anything:
// control characters and bytes of broken UTF-8 as \xNN, characters that hide,
// reorder or join text as \u{N}, a backslash as two. A tab and a newline stay.
// Unvisible is its inverse.
func Visible(s string) string {
	i := harmless(s)
	if i == len(s) {
		return s
	}
	b := make([]byte, 0, len(s)+len(s)/4+16)
	b = append(b, s[:i]...)
	for i < len(s) {
		var n int
		b, n = appendVisible(b, s[i:])
		i += n
	}
	return string(b)
}

const hexDigits = "0123456789abcdef"

// appendVisible appends the first character of s, or its first byte where that
// is broken, and gives how many bytes of s it was.
func appendVisible(b []byte, s string) ([]byte, int) {
	if c := s[0]; c < utf8.RuneSelf {
		switch {
		case c == '\\':
			return append(b, '\\', '\\'), 1
		case c == '\n' || c == '\t' || c >= 0x20 && c < 0x7f:
			return append(b, c), 1
		}
		return appendByte(b, c), 1
	}
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && n == 1:
		return appendByte(b, s[0]), 1
	case hides(r):
		b = append(b, `\u{`...)
		b = strconv.AppendInt(b, int64(r), 16)
		return append(b, '}'), n
	}
	return append(b, s[:n]...), n
}

func appendByte(b []byte, c byte) []byte {
	return append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// harmless gives how long the beginning of s is that Visible leaves as it is,
// as far as it looks: it stops at what is beyond ASCII.
func harmless(s string) int {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c == '\\' || c < 0x20 && c != '\n' && c != '\t' {
			return i
		}
	}
	return len(s)
}

// hides says that a character cannot be shown as itself: C1 controls,
// characters that reorder, join or hide text (Trojan Source, CVE-2021-42574),
// line separators, private and unassigned ones, and U+FFFE and U+FFFF, which
// XML has not. Unicode's other spaces are shown.
func hides(r rune) bool {
	switch {
	case r >= 0x80 && r < 0xa0, r == 0xad, r == 0x34f, r >= 0x115f && r <= 0x1160, r == 0x17b4, r == 0x17b5,
		r >= 0x180b && r <= 0x180f, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f,
		r == 0x3164, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r == 0xffa0, r == 0xfffe, r == 0xffff, r >= 0xe0000:
		return true
	}
	return !unicode.IsPrint(r) && !unicode.IsSpace(r)
}

// Unvisible gives the text from which Visible or CILog made v (and
// Terminal and XML, once a reader has taken their own escapes back). An escape
// that is none of ours is an error.
func Unvisible(v string) (string, error) {
	if strings.IndexByte(v, '\\') < 0 {
		return v, nil
	}
	b := make([]byte, 0, len(v))
	for i := 0; i < len(v); {
		if v[i] != '\\' {
			b = append(b, v[i])
			i++
			continue
		}
		rest := v[i+1:]
		switch {
		case strings.HasPrefix(rest, `\`):
			b = append(b, '\\')
			i += 2
		case strings.HasPrefix(rest, "n"):
			b = append(b, '\n')
			i += 2
		case strings.HasPrefix(rest, "t"):
			b = append(b, '\t')
			i += 2
		case strings.HasPrefix(rest, "x") && len(rest) >= 3:
			n, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("undo visible text at byte %d: %w", i, err)
			}
			b = append(b, byte(n))
			i += 4
		case strings.HasPrefix(rest, "u{"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return "", fmt.Errorf("undo visible text at byte %d: an open brace", i)
			}
			n, err := strconv.ParseUint(rest[2:end], 16, 21)
			if err == nil && !utf8.ValidRune(rune(n)) {
				err = fmt.Errorf("U+%X is no character", n)
			}
			if err != nil {
				return "", fmt.Errorf("undo visible text at byte %d: %w", i, err)
			}
			b = utf8.AppendRune(b, rune(n))
			i += end + 2
		default:
			return "", fmt.Errorf("undo visible text at byte %d: no escape of ours", i)
		}
	}
	return string(b), nil
}

// Transcript is Visible for a piece of what a console or a connection said, to
// be read: the CR LF of a terminal's line end is a line end. A return that
// stands alone is written out as ever, since it overwrites what is before it. It
// belongs where text is taken into the journal, so that what an older journal
// holds is rendered as it always was.
func Transcript(s string) string { return Visible(lines(s)) }

func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// Excerpt is Transcript, cut in the middle to about limit bytes, saying how many
// bytes of it are left out. No escape is cut in two. A limit of 0 or less is
// none.
func Excerpt(s string, limit int) string {
	s = lines(s)
	if v := Visible(s); limit <= 0 || len(v) <= limit {
		return v
	}
	head, from := make([]byte, 0, limit), 0
	for from < len(s) {
		next, n := appendVisible(head, s[from:])
		if len(next) > limit/2 {
			break
		}
		head, from = next, from+n
	}
	to, room := len(s), limit-limit/2
	var one []byte
	for to > from {
		_, n := utf8.DecodeLastRuneInString(s[:to])
		one, _ = appendVisible(one[:0], s[to-n:to])
		if room -= len(one); room < 0 {
			break
		}
		to -= n
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", head, to-from, Visible(s[to:]))
}
