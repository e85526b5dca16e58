// Package baseline knows the clauses that a check bears on: each by standard,
// edition and number, with a short wording of our own, and never by its number
// alone. It counts what a run covered, and says so in words that claim no more
// than was tested.
package baseline

import (
	"fmt"
	"slices"
	"strings"
)

// Standards, by the short names that selectors use.
const (
	NISTIR8259A = "NISTIR8259A"
	NISTIR8425  = "NISTIR8425"
	EN303645    = "EN303645"
	EN18031     = "EN18031"
	ISTG        = "ISTG"
)

// Clause is one clause of one edition of a standard.
type Clause struct {
	Standard string // a short name from above
	Edition  string // "2020", "V3.1.3"
	ID       string // "LA-2", "5.1-1"
	Title    string // in our words, a few of them
	// Verified says that the mapping of checks to this clause was held against
	// the standard's own text; the others are shown as unverified.
	Verified bool
}

// String gives "NISTIR8259A LA-2", with the edition where a standard has
// several, and with a mark on a mapping that is unverified.
func (c Clause) String() string {
	s := c.Standard
	if c.Edition != "" {
		s += " " + c.Edition
	}
	s += " " + c.ID
	if !c.Verified {
		s += " (unverified)"
	}
	return s
}

// ChannelKind is what a channel is, where a standard treats channels
// differently: NISTIR 8259A's LA-2 speaks of network interfaces only; a UART,
// a debug port or a button on the board falls under LA-1.
type ChannelKind int

// The kinds of channel.
const (
	Network ChannelKind = iota
	Local
)

// String gives "network" or "local".
func (k ChannelKind) String() string {
	switch k {
	case Network:
		return "network"
	case Local:
		return "local"
	}
	return fmt.Sprintf("kind of channel %d", int(k))
}

// PerChannel gives the clauses that a check bears on for each kind of channel.
type PerChannel map[ChannelKind][]Clause

// Everywhere gives the same clauses for every kind of channel.
func Everywhere(clauses ...Clause) PerChannel {
	return PerChannel{Network: clauses, Local: slices.Clone(clauses)}
}

// For gives the clauses for a kind of channel.
func (p PerChannel) For(k ChannelKind) []Clause { return p[k] }

// All gives every clause, each once.
func (p PerChannel) All() []Clause {
	var all []Clause
	for _, k := range []ChannelKind{Network, Local} {
		for _, c := range p[k] {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// Names says whether a selector names one of the clauses: by its number
// ("LA-2", "5.1-1"), or with its standard ("EN303645:5.1-1"), or with the
// edition too ("EN303645:V3.1.3:5.1-1"), also as reports write it, with spaces
// ("EN303645 V3.1.3 5.1-1"). Case does not matter.
func Names(clauses []Clause, selector string) bool {
	return slices.ContainsFunc(clauses, func(c Clause) bool { return c.Named(selector) })
}

// Named says whether a selector, as for Names, names the clause.
func (c Clause) Named(selector string) bool {
	selector = strings.Join(strings.Fields(strings.TrimSuffix(selector, "(unverified)")), ":")
	return slices.ContainsFunc(c.names(), func(name string) bool { return strings.EqualFold(name, selector) })
}

// names gives the selectors of the clause, the shortest first.
func (c Clause) names() []string {
	out := []string{c.ID, c.Standard + ":" + c.ID}
	if c.Edition != "" {
		out = append(out, c.Standard+":"+c.Edition+":"+c.ID)
	}
	return out
}

// Selector gives the selector that names this clause and no other.
func (c Clause) Selector() string {
	names := c.names()
	return names[len(names)-1]
}

// mustTitle is for the tables of the packages below: a clause that they do not
// know is a mistake in a check, found by the first test that loads it.
func mustTitle(table map[string]string, standard, id string) string {
	title, ok := table[id]
	if !ok {
		panic(fmt.Sprintf("baseline: %s has no clause %q", standard, id))
	}
	return title
}

// New makes a clause from a standard's table, and panics for one that the
// table has not: checks are package variables, so this is at start.
func New(standard, edition string, table map[string]string, id string, verified bool) Clause {
	return Clause{Standard: standard, Edition: edition, ID: id, Title: mustTitle(table, standard, id), Verified: verified}
}
