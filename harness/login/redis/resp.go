package redis

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"

	"rigor/harness/login/internal/stream"
)

// Bounds of an answer.
const (
	maxLine  = 8 << 10
	maxBulk  = 1 << 20
	maxItems = 4 << 10
	maxDepth = 8
)

// answer is one value of RESP, version 2.
type answer struct {
	kind  byte   // '+', '-', ':', '$', '*'
	text  []byte // what it says: of an array, all its items, one a line
	isNil bool
}

// failed says whether the server answered with an error.
func (a answer) failed() bool { return a.kind == '-' }

// is says whether an error begins with this word.
func (a answer) is(word string) bool {
	return a.failed() && (bytes.Equal(a.text, []byte(word)) || bytes.HasPrefix(a.text, []byte(word+" ")))
}

// readAnswer reads one value.
func readAnswer(r *bufio.Reader) (answer, error) {
	left := maxItems
	return readValue(r, 0, &left)
}

func readValue(r *bufio.Reader, depth int, left *int) (answer, error) {
	if *left--; depth > maxDepth || *left < 0 {
		return answer{}, stream.Foreign("an answer of more than %d items or %d levels", maxItems, maxDepth)
	}
	line, err := stream.Line(r, maxLine)
	if err != nil {
		return answer{}, err
	}
	if len(line) == 0 {
		return answer{}, stream.Foreign("an empty line in place of an answer")
	}
	a := answer{kind: line[0], text: line[1:]}
	switch a.kind {
	case '+', '-', ':':
		return a, nil
	case '$', '*':
	default:
		return a, stream.Foreign("%.80q in place of an answer", line)
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 || n > maxBulk {
		return a, stream.Foreign("the length %.40q", line[1:])
	}
	if n == -1 {
		return answer{kind: a.kind, isNil: true}, nil
	}
	if a.kind == '$' {
		a.text = make([]byte, n+2)
		if _, err := io.ReadFull(r, a.text); err != nil {
			return a, fmt.Errorf("the rest of %d bytes: %w", n, err)
		}
		if !bytes.HasSuffix(a.text, []byte("\r\n")) {
			return a, stream.Foreign("more than the %d bytes that were announced", n)
		}
		a.text = a.text[:n]
		return a, nil
	}
	a.text = nil
	for range n {
		item, err := readValue(r, depth+1, left)
		if err != nil {
			return a, err
		}
		if a.text = append(append(a.text, item.text...), '\n'); len(a.text) > maxBulk {
			return a, stream.Foreign("an answer of more than %d bytes", maxBulk)
		}
	}
	return a, nil
}

// command gives a command as it is sent: an array of its words.
func command(words ...string) []byte {
	out := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		out = fmt.Appendf(out, "$%d\r\n%s\r\n", len(w), w)
	}
	return out
}
