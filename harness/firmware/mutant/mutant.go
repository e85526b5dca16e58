// Package mutant says what a mutant of a firmware image is: which genuine image it is
// made of, what was changed, the one property that it lacks, what a device that took
// it would show, and a proof that it is what it claims to be.
//
// A [Set] is planned from a genuine image without making anything: its names and their
// order depend on what the image is made of and on nothing else, so that they can be
// evidence of a case. What cannot be made of this image is in the set too, with the
// reason. [Recipe.Make] makes one mutant, the same each time, and refuses to give one
// whose proof fails.
//
// The packages beside this one know the formats: ofmcuboot, ofswu, offit, ofblob.
package mutant

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Property is what a genuine image has and a mutant lacks.
type Property string

// The properties. A mutant lacks one of them; what is older, or another product's, is
// whole and signed.
const (
	Authenticity Property = "authenticity" // consistent in itself, and nobody signed it who may
	Integrity    Property = "integrity"    // what was signed is not what is there, and no hash hides it
	Freshness    Property = "freshness"    // genuine once
	Product      Property = "product"      // genuine, and for something else
	Structure    Property = "structure"    // no image at all
)

// Expect is what a sound device does.
type Expect string

// What is expected.
const (
	Refuse Expect = "refuse" // a device that takes it has failed
	// Harmless: all that the maker signed is there with its signature. A device may
	// take it or not; if it does, what runs has to be what the maker signed.
	Harmless Expect = "harmless"
)

// Kind groups mutants by what they try; most are the name of a check of updates.
type Kind string

// The kinds. Whoever delivers what is truncated has to know that the place where it
// goes is erased: over an older copy of the parent it may become whole again.
const (
	BitFlip        Kind = "bitflip"
	Unsigned       Kind = "unsigned"
	SignatureShape Kind = "signature-shape"
	WrongKey       Kind = "wrong-key"
	DevKey         Kind = "dev-key"
	VersionForge   Kind = "version-forge"
	Unprotected    Kind = "unprotected"
	Append         Kind = "append"
	Truncated      Kind = "truncated"
	Malformed      Kind = "structure"
	MixMatch       Kind = "mix-match"
	Downgrade      Kind = "downgrade"
	OtherProduct   Kind = "other-product"
)

// Change is one difference to the parent.
type Change struct {
	Offset  int    `json:"offset"`            // in the parent, in bytes
	Removed int    `json:"removed,omitempty"` // bytes of the parent that are gone
	Added   int    `json:"added,omitempty"`   // bytes in their place
	Bytes   string `json:"bytes,omitempty"`   // the added ones in hex, 64 at most
	What    string `json:"what"`              // the part of the image
}

// String gives "header.version at 24: 1 byte, now 01".
func (c Change) String() string {
	at := fmt.Sprintf("%s at %d: ", c.What, c.Offset)
	now := c.Bytes
	if len(now) > shownBytes*2 {
		now = now[:shownBytes*2] + "…"
	}
	switch {
	case c.Added == 0:
		return at + bytesOf(c.Removed) + " gone"
	case c.Removed == 0:
		return at + bytesOf(c.Added) + " added, " + now
	case c.Removed == c.Added:
		return at + bytesOf(c.Added) + ", now " + now
	}
	return at + bytesOf(c.Added) + " in place of " + fmt.Sprint(c.Removed) + ", now " + now
}

// shownBytes is how many bytes of a change are shown.
const shownBytes = 8

func bytesOf(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// shownChanges is how many of them are shown.
const shownChanges = 4

// Differs says for a reader in what a mutant differs from its parent.
func (m *Mutant) Differs() string {
	var parts []string
	for _, c := range m.Changes[:min(len(m.Changes), shownChanges)] {
		parts = append(parts, c.String())
	}
	if n := len(m.Changes) - shownChanges; n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, "; ")
}

// Shows is what a device would show that runs a firmware, as far as it is in the image.
// A field is empty where the format does not have it.
type Shows struct {
	Version string `json:"version,omitempty"`
	Counter string `json:"counter,omitempty"` // security counter
	Hash    string `json:"hash,omitempty"`    // what the format calls the image's hash, in hex
	Payload string `json:"payload,omitempty"` // SHA-256 of what would run, in hex
}

// TellsApart says whether a device that runs the one can be told from a device that
// runs the other by what both of them have.
func (s Shows) TellsApart(o Shows) bool {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	return differ(s.Version, o.Version) || differ(s.Hash, o.Hash) || differ(s.Payload, o.Payload)
}

// Judgement is what a verifier said.
type Judgement struct {
	Accepts bool   `json:"accepts"`
	Reason  string `json:"reason,omitempty"` // why not
}

// Judge makes a judgement of a verifier's error.
func Judge(err error) Judgement {
	if err != nil {
		return Judgement{Reason: err.Error()}
	}
	return Judgement{Accepts: true}
}

// Proof is what verifiers say of a mutant.
type Proof struct {
	// Anchored: the verifier below has the maker's keys, and accepted the parent. If it
	// has none, its refusal says nothing, and is no part of the proof.
	Anchored bool      `json:"anchored"`
	Verifier Judgement `json:"verifier"` // the format's
	Unsigned Judgement `json:"unsigned"` // the same with its signature check taken out
	// Policy is what a device asks of a genuine image besides (version, counter,
	// product); nil where that is not the point.
	Policy *Judgement `json:"policy,omitempty"`
}

// Mutant is one that was made.
type Mutant struct {
	Name    string   `json:"name"`
	Kind    Kind     `json:"kind"`
	Lacks   Property `json:"lacks,omitempty"` // empty where it is harmless
	Expect  Expect   `json:"expect"`
	Why     string   `json:"why"`
	Seed    uint64   `json:"seed"`
	Parent  string   `json:"parent"` // SHA-256 of the parent's file, in hex
	Digest  string   `json:"digest"` // SHA-256 of this one's
	Changes []Change `json:"changes"`
	Shows   Shows    `json:"shows"`
	Proof   Proof    `json:"proof"`
	held    held
}

// Made is what a format's recipe makes; the rest of a mutant follows.
type Made struct {
	Bytes []byte
	Parts []Part // of the parent and of the mutant, in their order: they name the changes
	Lacks Property
	Shows Shows
	Proof Proof
}

// Part is a stretch of the parent, and what stands in its place.
type Part struct {
	What     string
	Old, New []byte
}

// Judged says what a mutant lacks and what proves it, by a verifier of its format: one with
// its signature check taken out, and whole. Malformed is the kind of the error by which they
// say that the bytes are no image; anchored, whether they have the maker's keys.
func (m *Made) Judged(unsigned, verified, malformed error, anchored bool) {
	m.Proof = Proof{Anchored: anchored, Unsigned: Judge(unsigned), Verifier: Judge(verified)}
	switch {
	case unsigned == nil:
		m.Lacks = Authenticity
	case errors.Is(unsigned, malformed):
		m.Lacks = Structure
	default:
		m.Lacks = Integrity
	}
}

// Recipe is a mutant that can be made, or the reason why not.
type Recipe struct {
	Name   string
	Kind   Kind
	Expect Expect
	Why    string
	Unmade string // why it cannot be made of this parent; empty where it can

	set  *Set
	make func() (Made, error)
}

// Set is what can be made of one genuine image.
type Set struct {
	Parent  string // SHA-256 of its file, in hex
	Seed    uint64
	Shows   Shows // what a device shows that runs the parent
	Recipes []*Recipe

	bytes []byte
}

// NewSet begins a set for a genuine image.
func NewSet(parent []byte, seed uint64, shows Shows) *Set {
	return &Set{Parent: Digest(parent), Seed: seed, Shows: shows, bytes: parent}
}

// Add puts a recipe at the end of the set. Two of one name are a mistake of the
// format's package, and the second an error in the set.
func (s *Set) Add(kind Kind, name string, expect Expect, why string, do func() (Made, error)) {
	for _, r := range s.Recipes {
		if r.Name == name {
			s.Recipes = append(s.Recipes, &Recipe{Name: name, Kind: kind, Expect: expect, Why: why, Unmade: "there are two of this name", set: s})
			return
		}
	}
	s.Recipes = append(s.Recipes, &Recipe{Name: name, Kind: kind, Expect: expect, Why: why, set: s, make: do})
}

// Cannot puts the reason into the set why a mutant is not made.
func (s *Set) Cannot(kind Kind, name, why, reason string) {
	s.Recipes = append(s.Recipes, &Recipe{Name: name, Kind: kind, Expect: Refuse, Why: why, Unmade: reason, set: s})
}

// Of gives the recipes of some kinds, in their order.
func (s *Set) Of(kinds ...Kind) []*Recipe {
	var out []*Recipe
	for _, r := range s.Recipes {
		for _, k := range kinds {
			if r.Kind == k {
				out = append(out, r)
			}
		}
	}
	return out
}

// Rand is the source of what a recipe chooses: it depends on seed, parent and name.
func (s *Set) Rand(name string) *rand.Rand {
	h := sha256.New()
	h.Write([]byte(s.Parent))
	h.Write(binary.BigEndian.AppendUint64(nil, s.Seed))
	h.Write([]byte(name))
	var seed [32]byte
	h.Sum(seed[:0])
	return rand.New(rand.NewChaCha8(seed)) //nolint:gosec // what is chosen is to be the same each time
}

// ErrUnmade is the error of a recipe whose mutant cannot be made of its parent.
var ErrUnmade = errors.New("it cannot be made of this parent")

// ErrUnproven is the error of a mutant that is not what it claims to be. It is never
// given out, and nothing follows for a device.
var ErrUnproven = errors.New("it is not what it claims to be")

// Make makes the mutant, the same each time, and proves it.
func (r *Recipe) Make() (*Mutant, error) {
	if r.Unmade != "" {
		return nil, fmt.Errorf("mutant %s: %w: %s", r.Name, ErrUnmade, r.Unmade)
	}
	made, err := r.make()
	if err != nil {
		return nil, fmt.Errorf("mutant %s: %w", r.Name, err)
	}
	m := &Mutant{Name: r.Name, Kind: r.Kind, Lacks: made.Lacks, Expect: r.Expect, Why: r.Why, Seed: r.set.Seed, Parent: r.set.Parent, Digest: Digest(made.Bytes),
		Shows: made.Shows, Proof: made.Proof, held: hold(r.set.bytes, made.Bytes)}
	if m.Changes, err = changes(r.set.bytes, made); err != nil {
		return nil, fmt.Errorf("mutant %s: %w", r.Name, err)
	}
	if err := m.prove(r.set.Shows); err != nil {
		return nil, fmt.Errorf("mutant %s: %w", r.Name, err)
	}
	return m, nil
}

// prove holds the proof against the claim.
func (m *Mutant) prove(parent Shows) error {
	p := m.Proof
	unproven := func(text string) error {
		return fmt.Errorf("%w: %s (verifier %+v, unsigned %+v, policy %+v)", ErrUnproven, text, p.Verifier, p.Unsigned, p.Policy)
	}
	if m.Digest == m.Parent {
		return unproven("it is its parent")
	}
	if m.Expect == Harmless {
		if m.Shows != parent {
			return unproven(fmt.Sprintf("it is to be harmless, and shows %+v, not %+v", m.Shows, parent))
		}
		return nil
	}
	genuine := m.Lacks == Freshness || m.Lacks == Product
	switch {
	case m.Lacks == Authenticity && !p.Unsigned.Accepts:
		return unproven("it lacks more than a signature")
	case (m.Lacks == Integrity || m.Lacks == Structure) && p.Unsigned.Accepts:
		return unproven("nothing but a signature is wrong")
	case genuine && !p.Unsigned.Accepts:
		return unproven("it is no whole image")
	case !genuine && p.Anchored && p.Verifier.Accepts:
		return unproven("the real verifier takes it")
	case m.Lacks == Freshness && p.Anchored && !p.Verifier.Accepts:
		return unproven("it is older, and not genuine")
	case p.Policy != nil && p.Policy.Accepts:
		return unproven("a device may take it")
	case m.Lacks == "":
		return unproven("it says not what it lacks")
	}
	return nil
}

// Erased says whether bytes are what erased flash holds by itself, so that nothing is
// missing where they are: all ff, or all 00 where flash erases to that.
func Erased(b []byte) bool {
	return bytes.Count(b, []byte{0xff}) == len(b) || bytes.Count(b, []byte{0}) == len(b)
}

// Digest gives the SHA-256 of bytes in hex.
func Digest(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// changes names the differences, and proves that they are all.
func changes(parent []byte, made Made) ([]Change, error) {
	var out []Change
	var old, made2 int
	for _, p := range made.Parts {
		if !bytes.HasPrefix(parent[min(old, len(parent)):], p.Old) || !bytes.HasPrefix(made.Bytes[min(made2, len(made.Bytes)):], p.New) {
			return nil, fmt.Errorf("%w: the part %q does not stand where it is said to be", ErrUnproven, p.What)
		}
		out = append(out, p.changes(old)...)
		old, made2 = old+len(p.Old), made2+len(p.New)
	}
	if old != len(parent) || made2 != len(made.Bytes) {
		return nil, fmt.Errorf("%w: its parts are %d bytes of %d, and of the parent %d of %d", ErrUnproven, made2, len(made.Bytes), old, len(parent))
	}
	return out, nil
}

// gap is how many equal bytes may stand within one change.
const gap = 4

// changes names the differences within a part that begins at an offset.
func (p Part) changes(at int) []Change {
	if bytes.Equal(p.Old, p.New) {
		return nil
	}
	if len(p.Old) != len(p.New) {
		front := 0
		for front < min(len(p.Old), len(p.New)) && p.Old[front] == p.New[front] {
			front++
		}
		return []Change{change(at+front, len(p.Old)-front, p.New[front:], p.What)}
	}
	var out []Change
	for i := 0; i < len(p.Old); i++ {
		if p.Old[i] == p.New[i] {
			continue
		}
		end := i + 1
		for j := end; j < len(p.Old) && j < end+gap; j++ {
			if p.Old[j] != p.New[j] {
				end = j + 1
			}
		}
		out = append(out, change(at+i, end-i, p.New[i:end], p.What))
		i = end
	}
	return out
}

func change(at, removed int, added []byte, what string) Change {
	return Change{at, removed, len(added), hex.EncodeToString(added[:min(len(added), 64)]), what}
}
