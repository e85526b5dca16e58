package network

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// sight is what only the owner gets to see of a route: what the profile says
// (match), or else words that were in both of two answers to the owner, and in
// nothing that any stranger may see.
type sight struct {
	match  profile.Pattern
	words  []string
	length string // of the owner's answer, as HEAD would tell it
}

// leastWords is how many words of its own a page needs to be known by them.
const leastWords = 2

// sight looks at a route as the owner. Nil, with the reason, where nothing tells
// what the owner gets from what anybody gets.
func (g *gate) sight(ctx context.Context, r *profile.Route) (*sight, string) {
	var pages [2]map[string]bool
	s := &sight{match: r.Match}
	req, err := g.t.Device().Filled(r.Step(g.login, "owner"), nil)
	g.t.OK(err)
	for i := range pages {
		res, err := g.session.Do(ctx, req)
		g.t.OK(ours(ctx, err))
		if err != nil {
			return nil, "the owner does not get it either: " + err.Error()
		}
		pages[i] = words(res.Body)
		if s.length = fmt.Sprint(len(res.Body)); !r.Match.Zero() {
			return s, ""
		}
		if res.Status < 200 || res.Status > 299 {
			return nil, fmt.Sprintf("the owner does not get it either: answered %d", res.Status)
		}
	}
	path := words([]byte(r.Path()))
	for w := range pages[0] {
		if pages[1][w] && !g.public[w] && !path[w] {
			s.words = append(s.words, w)
		}
	}
	slices.Sort(s.words)
	if len(s.words) < leastWords {
		return nil, "nothing in it tells the owner's page from what anybody sees: let the profile say what only the owner gets to see (match)"
	}
	return s, ""
}

// in says whether the sight is in an answer. Some of its words and not half of them
// are neither: an error page has words too.
func (s *sight) in(body []byte) (verdict.Kind, string) {
	switch {
	case s.match.Regexp != nil && s.match.Regexp.Match(body), s.match.Literal != "" && bytes.Contains(body, []byte(s.match.Literal)):
		return verdict.Accepted, "with what only the owner gets to see"
	case !s.match.Zero():
		return verdict.Refused, "without what only the owner gets to see"
	}
	got, n := words(body), 0
	for _, w := range s.words {
		if got[w] {
			n++
		}
	}
	text := fmt.Sprintf("with %d of %d words that only the owner gets to see", n, len(s.words))
	switch {
	case n == 0:
		return verdict.Refused, text
	case 2*n >= len(s.words):
		return verdict.Accepted, text
	}
	return verdict.Unproven, text + "; let the profile say what decides (match)"
}

var word = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\pL\pN][\pL\pN_.:-]+[\pL\pN]`) })

// words gives the words of a page, from three letters on.
func words(body []byte) map[string]bool {
	out := map[string]bool{}
	for _, w := range word().FindAll(body, -1) {
		out[string(w)] = true
	}
	return out
}

// cookieNames gives the names of the cookies that a Set-Cookie header sets.
func cookieNames(header string) (out []string) {
	for part := range strings.SplitSeq(header, ", ") {
		if name, _, ok := strings.Cut(part, "="); ok && cookieName.MatchString(name) {
			out = append(out, name)
		}
	}
	return out
}

var cookieName = regexp.MustCompile(`^[\w.-]{1,64}$`)
