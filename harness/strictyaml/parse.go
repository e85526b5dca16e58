package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parse reads the one document of a file.
func parse(file string, data []byte) (root *yaml.Node, problem *Error) {
	if problem := readable(file, data); problem != nil {
		return nil, problem
	}
	defer func() {
		// The library tells some of its own mistakes by a panic: a file must
		// not end the program.
		if r := recover(); r != nil {
			root, problem = nil, &Error{Pos{file, 1, 1}, fmt.Sprintf("this cannot be read as YAML: %v", r), "write it more plainly"}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Error{Pos{file, 1, 1}, "the file is empty", ""}
	} else if err != nil {
		return nil, syntax(file, data, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{Pos{file, max(more.Line, 1), max(more.Column, 1)}, "the file has a second document", "keep one, without a line of ---"}
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0], nil
	}
	return &doc, nil
}

// readable refuses bytes that are no text, at their place: the library says
// only that there are some.
func readable(file string, data []byte) *Error {
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		at := Pos{file, line, column}
		switch {
		case r == utf8.RuneError && n == 1:
			return &Error{at, fmt.Sprintf(`byte \x%02x is not UTF-8`, data[i]), "save the file as UTF-8"}
		case r < 0x20 && r != '\n' && r != '\r' && r != '\t', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85:
			return &Error{at, fmt.Sprintf("control character U+%04X", r), `take it out, or write it in double quotes as \x and two digits`}
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return &Error{at, fmt.Sprintf("character U+%04X changes the direction of the text", r), "take it out"}
		}
		i += n
		column++
		switch r { // the line breaks of YAML 1.1, which the library counts
		case '\r':
			if i < len(data) && data[i] == '\n' {
				break
			}
			fallthrough
		case '\n', 0x85, 0x2028, 0x2029:
			line, column = line+1, 1
		}
	}
	return nil
}

// plain refuses what a file for people does not need: deep nesting, anchors
// and aliases (which a few lines of could make endless), tags.
func plain(file string, n *yaml.Node, depth int) *Error {
	at := Pos{file, n.Line, n.Column}
	switch {
	case depth > maxDepth:
		return &Error{at, fmt.Sprintf("the file is nested deeper than %d", maxDepth), "write it more plainly"}
	case n.Kind == yaml.AliasNode:
		return &Error{at, "aliases (*" + n.Value + ") are not taken", "write it out"}
	case n.Anchor != "":
		return &Error{at, "anchors (&" + n.Anchor + ") are not taken", "take it out, or put the value in quotes"}
	case n.Style&yaml.TaggedStyle != 0:
		return &Error{at, "tags (" + n.Tag + ") are not taken", "take it out, or put the value in quotes"}
	}
	for _, c := range n.Content {
		if problem := plain(file, c, depth+1); problem != nil {
			return problem
		}
	}
	return nil
}
