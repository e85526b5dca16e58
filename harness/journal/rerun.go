package journal

import (
	"regexp"
	"slices"
	"strings"
)

// CasePattern stands in a Start's Rerun where the case belongs, as a regular
// expression that matches its id alone. Without it the id is the last word.
const CasePattern = "{case}"

// Rerun gives the one command that runs a case again, quoted for a POSIX
// shell. It is empty where the journal does not say how the run was started.
func (r *Result) Rerun(caseID string) string {
	words := slices.Clone(r.Start.Rerun)
	if len(words) == 0 {
		return ""
	}
	// On the rig where it ran, which has a file of its own or is like the run's own.
	if c := r.Case(caseID); c != nil && c.Rig != "" {
		i := slices.Index(words, "--rig")
		j := slices.IndexFunc(r.Start.Beside, func(p Place) bool { return p.Rig == c.Rig && p.File != "" })
		if i >= 0 && i+1 < len(words) && j >= 0 {
			words[i+1] = r.Start.Beside[j].File
		}
	}
	placed := false
	for i, w := range words {
		if strings.Contains(w, CasePattern) {
			words[i], placed = strings.ReplaceAll(w, CasePattern, regexp.QuoteMeta(caseID)), true
		}
	}
	if !placed {
		words = append(words, caseID)
	}
	for i, w := range words {
		words[i] = shellQuote(w)
	}
	return strings.Join(words, " ")
}

// shellQuote leaves plain words alone and puts all else into single quotes, in
// which a shell reads nothing but the closing quote.
func shellQuote(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+%", r))
	}) < 0
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
