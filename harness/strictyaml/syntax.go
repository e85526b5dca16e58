package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// searchBytes bounds what is read again to find the line of a mistake.
const searchBytes = 4 << 20

// syntax makes the library's message one of ours. The library gives no column,
// and its line is that of a token near the mistake, counted from 0 or from 1.
func syntax(file string, data []byte, err error) *Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, serr := fmt.Sscanf(msg, "line %d:", &line); n == 1 && serr == nil {
		_, msg, _ = strings.Cut(msg, ": ")
	} else {
		line = 1
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	if at := firstBad(data, lines); at > 0 {
		line = at
	}
	line = min(line, len(lines))
	text := strings.TrimRight(string(lines[line-1]), "\r\n")
	column, remedy := suspect(text)
	switch {
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t"):
		column, remedy = strings.IndexByte(text, '\t')+1, "indent with spaces, not with tabs"
	case remedy == "":
		column = len(text) - len(strings.TrimLeft(text, " ")) + 1
		remedy = "look at the indentation, quotes and brackets on this line and those beside it"
	default: // in runes, as everywhere
		column = len([]rune(text[:column])) + 1
	}
	return &Error{Pos{file, line, column}, "this is not YAML: " + msg, remedy}
}

// firstBad gives the line with which the file ceases to be YAML: up to the line
// before, it is. Of a bracket or a quote that is never closed it is the line on
// which that opens. 0 says that it was not found.
func firstBad(data []byte, lines [][]byte) int {
	seen := &counting{r: bytes.NewReader(data)}
	if isYAML(seen) {
		return 0
	}
	// No more of it had to be read to fail: what comes after is innocent.
	end, n := 0, 0
	for n < len(lines) && end < seen.n {
		end += len(lines[n])
		n++
	}
	for budget := searchBytes; n > 0; n-- {
		end -= len(lines[n-1])
		if budget -= end; budget < 0 {
			return 0
		}
		if isYAML(bytes.NewReader(data[:end])) {
			return n
		}
	}
	return 0
}

// isYAML says whether the library reads a text.
func isYAML(r io.Reader) (ok bool) {
	defer func() {
		if recover() != nil { // see parse
			ok = false
		}
	}()
	var n yaml.Node
	err := yaml.NewDecoder(r).Decode(&n)
	return err == nil || errors.Is(err, io.EOF)
}

// counting gives a text byte by byte, and so counts what of it is asked for.
type counting struct {
	r *bytes.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(len(p), 1)])
	c.n += n
	return n, err
}

// suspect looks on a line for what YAML takes for something else where it stands
// in no quotes. The column counts bytes from 0.
func suspect(text string) (column int, remedy string) {
	quote := func(at int, what string) (int, string) {
		return at, fmt.Sprintf("put the text that begins here in quotes: %s in it means something else to YAML", what)
	}
	begin, value := -1, false // where the text at hand begins; it stands after a key
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		c := text[i]
		switch {
		case c == ' ':
		case c == '#' && (i == 0 || text[i-1] == ' '):
			return 0, ""
		case begin < 0 && (c == '"' || c == '\''):
			n := strings.IndexByte(rest[1:], c)
			if n < 0 {
				return i, "close the quote that opens here"
			}
			i += n + 1
		case begin < 0 && strings.IndexByte("*&@%`!", c) >= 0:
			return quote(i, string(c))
		case strings.HasPrefix(rest, "${"):
			if begin < 0 {
				begin = i
			}
			return quote(begin, "${")
		case begin < 0 && c == '-' && (len(rest) == 1 || rest[1] == ' '):
		case begin < 0 && c == '[' && spoiled(rest):
			return quote(i, "[")
		case begin < 0 && (c == '[' || c == '{'):
			value = false
		case c == ',' || c == ']' || c == '}':
			begin, value = -1, false
		case c == ':' && (len(rest) == 1 || rest[1] == ' '):
			if value && begin >= 0 {
				return quote(begin, `": "`)
			}
			begin, value = -1, true
		case begin < 0:
			begin = i
		}
	}
	return 0, ""
}

// spoiled says whether text goes on behind the list that it begins with.
func spoiled(text string) bool {
	_, after, closed := strings.Cut(text, "]")
	after = strings.TrimLeft(after, " ")
	return closed && after != "" && strings.IndexByte(",]}#:", after[0]) < 0
}
