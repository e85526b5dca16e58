package mutant

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	yes = Judgement{Accepts: true}
	no  = Judgement{Reason: "no"}
)

// TestProof: what is claimed, held against what verifiers say.
func TestProof(t *testing.T) {
	parent := Shows{Version: "1"}
	for _, c := range []struct {
		name   string
		lacks  Property
		expect Expect
		shows  Shows
		proof  Proof
		ok     bool
	}{
		{"authenticity", Authenticity, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: yes}, true},
		{"authenticity, not anchored", Authenticity, Refuse, Shows{}, Proof{Verifier: no, Unsigned: yes}, true},
		{"the real verifier takes it", Authenticity, Refuse, Shows{}, Proof{Anchored: true, Verifier: yes, Unsigned: yes}, false},
		{"more than authenticity", Authenticity, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: no}, false},
		{"integrity", Integrity, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: no}, true},
		{"no more than authenticity", Integrity, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: yes}, false},
		{"structure", Structure, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: no}, true},
		{"structure that is taken", Structure, Refuse, Shows{}, Proof{Anchored: true, Verifier: yes, Unsigned: no}, false},
		{"freshness", Freshness, Refuse, Shows{}, Proof{Anchored: true, Verifier: yes, Unsigned: yes, Policy: &no}, true},
		{"old and not genuine", Freshness, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: yes, Policy: &no}, false},
		{"not old", Freshness, Refuse, Shows{}, Proof{Anchored: true, Verifier: yes, Unsigned: yes, Policy: &yes}, false},
		{"product of another maker", Product, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: yes}, true},
		{"product that is broken", Product, Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: no}, false},
		{"harmless", "", Harmless, parent, Proof{Anchored: true, Verifier: yes, Unsigned: yes}, true},
		{"harmless, and refused", "", Harmless, parent, Proof{Anchored: true, Verifier: no, Unsigned: no}, true},
		{"harmless, and shows something else", "", Harmless, Shows{Version: "2"}, Proof{}, false},
		{"lacks nothing", "", Refuse, Shows{}, Proof{Anchored: true, Verifier: no, Unsigned: yes}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSet([]byte("parent"), 1, parent)
			s.Add(BitFlip, "x", c.expect, "why", func() (Made, error) {
				return Made{Bytes: []byte("parens"), Parts: []Part{{"all", []byte("parent"), []byte("parens")}}, Lacks: c.lacks, Shows: c.shows, Proof: c.proof}, nil
			})
			m, err := s.Recipes[0].Make()
			if !c.ok {
				assert.ErrorIs(t, err, ErrUnproven)
				assert.Nil(t, m)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []Change{{Offset: 5, Removed: 1, Added: 1, Bytes: "73", What: "all"}}, m.Changes)
			b, err := json.Marshal(m)
			require.NoError(t, err)
			var back Mutant
			require.NoError(t, json.Unmarshal(b, &back))
			back.held = m.held
			assert.Equal(t, m, &back)
		})
	}
}

// TestParts: parts that are not what they say are refused.
func TestParts(t *testing.T) {
	parent := []byte("parent")
	for name, parts := range map[string][]Part{
		"none":             nil,
		"of another image": {{"all", []byte("PARENT"), []byte("mutant")}},
		"of another one":   {{"all", parent, []byte("MUTANT")}},
		"too short":        {{"all", []byte("par"), []byte("mut")}},
		"too long":         {{"all", parent, []byte("mutant")}, {"more", nil, []byte("x")}},
	} {
		s := NewSet(parent, 1, Shows{})
		s.Add(BitFlip, "x", Refuse, "why", func() (Made, error) {
			return Made{Bytes: []byte("mutant"), Parts: parts, Lacks: Authenticity, Proof: Proof{Unsigned: yes}}, nil
		})
		_, err := s.Recipes[0].Make()
		assert.ErrorIs(t, err, ErrUnproven, name)
	}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		old, now string
		want     []Change
	}{
		{"same", "same", nil},
		{"0123456789", "0x23456789", []Change{{1, 1, 1, "78", "p"}}},
		{"0123456789", "xx2345678x", []Change{{0, 2, 2, "7878", "p"}, {9, 1, 1, "78", "p"}}},
		{"0123456789", "x12x456789", []Change{{0, 4, 4, "78313278", "p"}}},
		{"0123456789", "0123", []Change{{4, 6, 0, "", "p"}}},
		{"0123", "01xx23", []Change{{2, 2, 4, "78783233", "p"}}},
		{"", "x", []Change{{0, 0, 1, "78", "p"}}},
	} {
		assert.Equal(t, c.want, Part{"p", []byte(c.old), []byte(c.now)}.changes(0), c.now)
	}
	long := Part{"p", nil, bytes.Repeat([]byte("x"), 100)}.changes(7)
	require.Len(t, long, 1)
	assert.Equal(t, 100, long[0].Added)
	assert.Len(t, long[0].Bytes, 128, "the first 64")
	assert.Equal(t, 7, long[0].Offset)
}

func TestSet(t *testing.T) {
	s := NewSet([]byte("parent"), 1, Shows{})
	broken := errors.New("broken")
	s.Add(BitFlip, "a", Refuse, "why", func() (Made, error) { return Made{}, broken })
	s.Add(Unsigned, "b", Refuse, "why", func() (Made, error) {
		return Made{Bytes: []byte("parent"), Parts: []Part{{"all", []byte("parent"), []byte("parent")}}}, nil
	})
	s.Cannot(DevKey, "c", "why", "no key")
	s.Add(BitFlip, "a", Refuse, "why", nil)
	_, err := s.Recipes[0].Make()
	assert.ErrorIs(t, err, broken)
	_, err = s.Recipes[1].Make()
	assert.ErrorIs(t, err, ErrUnproven, "it is its parent")
	_, err = s.Recipes[2].Make()
	assert.ErrorIs(t, err, ErrUnmade)
	assert.ErrorContains(t, err, "no key")
	_, err = s.Recipes[3].Make()
	assert.ErrorIs(t, err, ErrUnmade, "two of a name")
	assert.Len(t, s.Of(BitFlip), 2)
	assert.Len(t, s.Of(DevKey, Unsigned), 2)
	assert.Equal(t, s.Rand("a").Uint64(), s.Rand("a").Uint64())
	assert.NotEqual(t, s.Rand("a").Uint64(), s.Rand("b").Uint64())
	assert.NotEqual(t, s.Rand("a").Uint64(), NewSet([]byte("parent"), 2, Shows{}).Rand("a").Uint64())
	assert.NotEqual(t, s.Rand("a").Uint64(), NewSet([]byte("other"), 1, Shows{}).Rand("a").Uint64())
}

func TestTellsApart(t *testing.T) {
	for _, c := range []struct {
		a, b Shows
		want bool
	}{
		{Shows{}, Shows{}, false}, {Shows{Version: "1"}, Shows{Version: "1"}, false}, {Shows{Version: "1"}, Shows{Version: "2"}, true},
		{Shows{Version: "1"}, Shows{}, false}, {Shows{Version: "1", Hash: "a"}, Shows{Version: "1", Hash: "b"}, true}, {Shows{Payload: "a"}, Shows{Payload: "b"}, true}, {Shows{Counter: "1"}, Shows{Counter: "2"}, false},
	} {
		assert.Equal(t, c.want, c.a.TellsApart(c.b), "%+v %+v", c.a, c.b)
	}
}

func TestErased(t *testing.T) {
	for b, want := range map[string]bool{"": true, "\xff\xff": true, "\x00": true, "\xff\x00": false, "\xff\x01": false, "\xac": false, "\xfe\xff": false} {
		assert.Equal(t, want, Erased([]byte(b)), "%q", b)
	}
}

// TestDiffers: a reader is told what is different, and not all of it where that is much.
func TestDiffers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab", 32)
	m := &Mutant{Changes: []Change{
		{Offset: 24, Removed: 1, Added: 1, Bytes: "01", What: "header.version"},
		{Offset: 100, Removed: 70, What: "signature"},
		{Offset: 200, Added: 64, Bytes: long, What: "after the end"},
		{Offset: 300, Removed: 2, Added: 32, Bytes: long, What: "hash"},
		{Offset: 400, Removed: 1, Added: 1, Bytes: "02", What: "payload"},
	}}
	assert.Equal(t, "header.version at 24: 1 byte, now 01; signature at 100: 70 bytes gone; after the end at 200: 64 bytes added, abababababababab…; "+
		"hash at 300: 32 bytes in place of 2, now abababababababab…; and 1 more", m.Differs())
	assert.Empty(t, (&Mutant{}).Differs())
}
