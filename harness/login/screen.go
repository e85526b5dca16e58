package login

import (
	"bytes"
	"cmp"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// A text that has none of the words that a pattern cannot match without needs
// not be searched for the pattern. Most answers have none of the words of most
// patterns, and looking for words is a hundred times as quick as matching two
// dozen patterns that ignore case.

// wordsOf gives, by pattern, sets of words in small letters: a matching text has
// one word at least of each set. Where there is no set, the pattern has to be
// asked.
var wordsOf sync.Map // by *regexp.Regexp: [][]string

func words(re *regexp.Regexp) [][]string {
	if known, ok := wordsOf.Load(re); ok {
		return known.([][]string) //nolint:forcetypeassert // nothing else is stored
	}
	var sets [][]string
	if tree, err := syntax.Parse(re.String(), syntax.Perl); err == nil {
		sets = required(tree.Simplify())
		slices.SortStableFunc(sets, rarer)
	}
	wordsOf.Store(re, sets)
	return sets
}

// maxWords is how many words are looked for in place of one pattern, and
// maxSets how many sets of them.
const (
	maxWords = 24
	maxSets  = 8
)

// required gives the sets for a part of a pattern.
func required(re *syntax.Regexp) [][]string {
	switch re.Op {
	case syntax.OpLiteral:
		return ascii(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat: // each of them has to be there
		var all [][]string
		for _, sub := range re.Sub {
			all = append(all, required(sub)...)
		}
		return all[:min(len(all), maxSets)]
	case syntax.OpAlternate: // one of them has to be there, by its rarest words
		var all []string
		for _, sub := range re.Sub {
			sets := required(sub)
			if len(sets) == 0 {
				return nil
			}
			all = append(all, slices.MinFunc(sets, rarer)...)
		}
		if len(all) <= maxWords {
			return [][]string{all}
		}
	}
	return nil
}

// ascii gives the longest piece of a literal that is plain ASCII, in small
// letters. A pattern may ignore case: what folds to ASCII and is none is not
// taken for it, see folded.
func ascii(literal []rune) [][]string {
	best, piece := "", ""
	for _, r := range literal {
		if r >= utf8.RuneSelf {
			piece = ""
			continue
		}
		if piece += string(r); len(piece) > len(best) {
			best = piece
		}
	}
	if best == "" {
		return nil
	}
	return [][]string{{strings.ToLower(best)}}
}

// rarer orders sets of words: one whose shortest word is longer is met more
// rarely, and so is one of fewer words.
func rarer(a, b []string) int {
	shortest := func(words []string) int {
		return len(slices.MinFunc(words, func(a, b string) int { return len(a) - len(b) }))
	}
	return cmp.Or(shortest(b)-shortest(a), len(a)-len(b))
}

// folded is a text in small letters.
type folded struct {
	text string
	// strange says that the text has one of the two characters beyond ASCII that
	// are letters of ASCII to a pattern that ignores case: the long s and the
	// sign of kelvin. Such a text is not screened.
	strange bool
}

func fold(text []byte) folded {
	small, beyond := make([]byte, len(text)), false
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		beyond = beyond || c >= utf8.RuneSelf
		small[i] = c
	}
	return folded{string(small), beyond && (bytes.Contains(text, []byte("\u017f")) || bytes.Contains(text, []byte("\u212a")))}
}

// may says whether the pattern may match the text.
func (f folded) may(re *regexp.Regexp) bool {
	if f.strange {
		return true
	}
	for _, set := range words(re) {
		if !slices.ContainsFunc(set, func(w string) bool { return strings.Contains(f.text, w) }) {
			return false
		}
	}
	return true
}
