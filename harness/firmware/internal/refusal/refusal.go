// Package refusal is what a verifier of firmware says of an image that it does not take: a
// kind, by which a caller decides, and the reason in words.
package refusal

import "fmt"

type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string        { return r.kind.Error() + ": " + r.text }
func (r *refusal) Is(target error) bool { return r.kind == target }

// Of makes an error that is of the kind by errors.Is.
func Of(kind error, format string, args ...any) error {
	return &refusal{kind, fmt.Sprintf(format, args...)}
}
