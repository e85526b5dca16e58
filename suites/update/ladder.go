package update

import (
	"fmt"
	"slices"
	"strings"

	"rigor/harness/profile"
	"rigor/harness/shelf"
)

// Lasts says for how many runs of some cases the ladder of genuine images lasts, from the
// current one on: how many versions it has, and how many a run uses up at most. It is
// empty where none of them needs one.
func Lasts(p *profile.Profile, images *shelf.Shelf, cases []string) string {
	use := map[string]int{} // by check
	brackets := map[string]bool{}
	back := len(p.Images.ReturnTo.Steps) > 0
	for _, id := range cases {
		check, rest, _ := strings.Cut(id, "[")
		channel := strings.TrimSuffix(rest, "]")
		switch {
		case !strings.HasPrefix(check, "upd-"):
			continue
		case check == "upd-genuine":
			if !back {
				use[check]++
			}
			continue
		case check == "upd-authorised-rollback":
			use[check] = 2 // to a version that can be gone back from, and past one that cannot
		case check == "upd-append" && !images.HasTwins():
			use[check] = 2 // what is added may be taken, and a genuine image behind it
		}
		brackets[channel] = true
	}
	if len(brackets) > 0 && !images.HasTwins() {
		use["the controls of the mutants"] = 2 * len(brackets) // before and behind
	}
	if len(brackets) == 0 && !slices.ContainsFunc(cases, func(id string) bool { return strings.HasPrefix(id, "upd-genuine[") }) {
		return ""
	}
	total := 0
	var parts []string
	for _, name := range profile.SortedKeys(use) {
		total += use[name]
		parts = append(parts, fmt.Sprintf("%s %d", name, use[name]))
	}
	if total == 0 {
		return fmt.Sprintf("The ladder has %d versions above the current one; these cases use none up.", images.Rungs())
	}
	return fmt.Sprintf("The ladder has %d versions above the current one; a run of these cases uses up %d at most (%s): it lasts for %d runs.",
		images.Rungs(), total, strings.Join(parts, ", "), images.Rungs()/total)
}
