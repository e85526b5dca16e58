package journal

import "strings"

// Rerun gives the one command that runs a case again, quoted for a POSIX
// shell. It is empty where the journal does not say how the run was started.
func (r *Result) Rerun(caseID string) string {
	if len(r.Start.Rerun) == 0 {
		return ""
	}
	var out []string
	for _, a := range r.Start.Rerun {
		out = append(out, shellQuote(a))
	}
	return strings.Join(append(out, shellQuote(caseID)), " ")
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
