// Package shown keeps text readable that passes through an escaper: a report
// is read by people, and a backslash in a command or in a quoted error is to be
// seen as one.
package shown

import (
	"strings"

	"rigor/harness/escape"
)

// Prose takes the doubling of backslashes back that each escaper does for its
// reader to be able to undo it. Prose need not be undone, the bytes themselves
// are in the evidence; nothing in it becomes active by this.
func Prose(escaped string) string { return strings.ReplaceAll(escaped, `\\`, `\`) }

// Markdown does the same for the Markdown escaper, which doubles once more.
func Markdown(s string) string { return strings.ReplaceAll(escape.Markdown(s), `\\\\`, `\\`) }

// Excerpt gives the bytes behind a piece of transcript that the journal holds
// in visible form, so that the escaper of a report does not make it visible a
// second time. What is in no such form is given as it is.
func Excerpt(visible string) string {
	raw, err := escape.Unvisible(visible)
	if err != nil {
		return visible
	}
	return raw
}
