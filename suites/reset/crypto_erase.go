package reset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// CryptoErase: where the maker says that a factory reset destroys a key, and leaves what
// was encrypted with it, the key is another one behind it. What is encrypted cannot be
// looked for, so that rst-canaries says nothing of it.
var CryptoErase = check.Check{
	ID:    "rst-crypto-erase",
	Title: "A factory reset destroys the key that it is said to destroy",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.DP2, en303645.V3("5.11-1"), en303645.V3("5.4-1"), en18031.Code("DLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  tourLeaves,
	Budget: check.Budget{Case: tourTime, Cleanup: cleanupTime},
	Cases:  check.Planner(local).With(needsCrypto, check.NeedsNetwork, needsReset),
	Run: func(ctx context.Context, t *check.T) {
		for _, tr := range made(ctx, t).list {
			tr.claimDestroyed(t)
		}
	},
}

// local plans one case for the device, about what somebody sees who has it in his hands.
func local(check.Input) []check.Case { return []check.Case{{Kind: baseline.Local}} }

// needsCrypto: it is said where the key is, and the rig reads that.
func needsCrypto(in check.Input, c *check.Case) *verdict.Judgement {
	k := in.Profile.Reset.Crypto
	switch {
	case in.Profile.Reset.Declared():
		return check.DeclaredNone(in.Profile.Reset.None.None)
	case k.Declared():
		return check.DeclaredNone(k.None.None)
	case k.Key.Storage == "":
		return check.NotDeclared("the profile does not say whether a reset destroys a key (reset.crypto-erase)")
	case !slices.Contains(in.Storages, k.Key.Storage):
		return check.RigLacks("the rig has no storage %s", k.Key.Storage)
	case !slices.Contains(in.Allow, check.Supply):
		return check.RigLacks("the rig file does not allow %s: a storage is read while the device is off", check.Supply)
	}
	c.Lean(dut.PartStorage(k.Key.Storage))
	return check.NeedsPower(in, c)
}

func (tr *tour) claimDestroyed(t *check.T) {
	text := tr.by() + " the key is another one"
	if !tr.whole(t, text) || !tr.proven(t, text, nil) {
		return
	}
	k := t.Profile().Reset.Crypto.Key
	slots := []*look{tr.before, tr.between, tr.after}
	var said bytes.Buffer
	for _, l := range slots {
		fmt.Fprintf(&said, "%s: %d bytes at 0x%x of storage %s, SHA-256 %x\n", l.when, len(l.slot), k.Offset, k.Storage, sha256.Sum256(l.slot))
	}
	copies := tr.copies(k)
	for _, c := range copies {
		fmt.Fprintf(&said, "the key of before: %s\n", c)
	}
	ref := t.Keep("key-"+tr.way.ID+".txt", "what is where the key is kept; never the key itself", said.Bytes())
	t.Claim(text, func(c *check.Claim) {
		c.Show(ref)
		for _, l := range slots {
			if int64(len(l.slot)) != k.Length {
				c.Unknown(verdict.ReasonPrecondition, "%s the storage ends before the key does", l.when)
			}
		}
		was := tr.before.slot
		switch {
		case blank(was):
			c.Unknown(verdict.ReasonIneffective, "before the reset nothing was where the key is said to be kept")
		case bytes.Equal(was, tr.between.slot), bytes.Equal(was, tr.after.slot):
			c.Fail(verdict.ReasonResidue, "the %d bytes at 0x%x of storage %s are what they were before the reset", k.Length, k.Offset, k.Storage)
		case len(copies) > 0:
			c.Fail(verdict.ReasonResidue, "the key is another one where it is kept, and what it was before the reset stands elsewhere: %s", copies[0])
		case blank(tr.after.slot):
			c.Unknown(verdict.ReasonIneffective, "the next owner has no key there either: that it is the place of the key is not shown")
		}
	})
}

// keyOf is how the key from before a reset is called in reports.
func keyOf(reset int) string { return fmt.Sprintf("the key from before reset %d", reset) }

// copies says where the key from before stands behind the reset beside its place: in any
// storage that is read, in any encoding, whole or in pieces.
func (tr *tour) copies(k profile.KeySlot) (out []string) {
	for _, l := range []*look{tr.between, tr.after} {
		for _, name := range slices.Sorted(maps.Keys(l.keys)) {
			for _, h := range l.keys[name].Of(keyOf(tr.n)) {
				if name == k.Storage && h.Offset >= k.Offset && h.Offset < k.Offset+k.Length {
					continue // that it is there is said of its place
				}
				out = append(out, fmt.Sprintf("%s, in storage %s: %s", l.when, name, h))
			}
		}
	}
	return out
}

// blank says whether nothing is kept in bytes: all are the same, as in an erased memory.
func blank(b []byte) bool {
	return len(b) == 0 || bytes.Equal(b, bytes.Repeat(b[:1], len(b)))
}
