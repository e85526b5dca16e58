// Package ofblob makes mutants of images whose format only their maker knows, by a
// declaration of their bytes.
//
// What is not declared is left alone, and a set says so. Where nothing is declared of
// the signature but its place, what lacks authenticity is proven only as far as that all
// checksums are right; a function of the caller's may be the verifier.
package ofblob

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/firmware/blob"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// Options say what is known of the device and its images.
type Options struct {
	Seed   uint64
	Layout blob.Layout
	// Keys are the maker's, where the layout says how he signs.
	Keys []crypto.PublicKey
	// Verify is a verifier of the maker's; it goes before Keys. Without one of the two no
	// refusal is proven: see [mutant.Proof].
	Verify func([]byte) error
	// Version is what the version's range says in what is forged: as many bytes as it has.
	Version []byte
	// Free are names of ranges that can be changed without the image failing to run.
	Free []string
	// Older and OtherProduct are genuine images.
	Older, OtherProduct [][]byte
	// DevKeys are private keys that are published for development.
	DevKeys []crypto.Signer
}

type maker struct {
	o       Options
	set     *mutant.Set
	parent  []byte
	regions []blob.Region
	sig     []blob.Region
}

// Plan says which mutants there are of a genuine image. It is an error where the parent
// does not fit the layout, its checks are wrong, or the verifier refuses it.
func Plan(parent []byte, o Options) (*mutant.Set, error) {
	const doing = "plan mutants of an image by its ranges"
	if err := o.Layout.Unsigned(parent); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if o.Verify == nil && len(o.Keys) > 0 {
		o.Verify = blob.Verifier{Layout: o.Layout, Keys: o.Keys}.Verify
	}
	if o.Verify != nil {
		if err := o.Verify(parent); err != nil {
			return nil, fmt.Errorf("%s: it is not the maker's: %w", doing, err)
		}
	}
	m := &maker{o: o, parent: parent}
	var err error
	if m.regions, err = o.Layout.Regions(parent); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	for _, r := range m.regions {
		if r.Role == blob.Signature {
			m.sig = append(m.sig, r)
		}
	}
	if len(m.sig) == 0 {
		return nil, fmt.Errorf("%s: no range is a signature", doing)
	}
	for _, name := range o.Free {
		if blob.Find(m.regions, name).Length == 0 {
			return nil, fmt.Errorf("%s: no range is called %q", doing, name)
		}
	}
	if v := m.role(blob.Version); o.Version != nil && (len(v) != 1 || v[0].Length != len(o.Version)) {
		return nil, fmt.Errorf("%s: a version of %d bytes has no range of its size", doing, len(o.Version))
	}
	if o.Version == nil && len(o.Free) == 0 {
		return nil, fmt.Errorf("%s: neither a version nor a free range is there to tell what is forged by", doing)
	}
	m.set = mutant.NewSet(parent, o.Seed, m.shows(parent))
	m.flips()
	m.shapes()
	m.strangers()
	m.versions()
	m.around()
	m.lengths()
	m.mixed()
	m.genuine()
	return m.set, nil
}

func (m *maker) role(role blob.Role) (out []blob.Region) {
	for _, r := range m.regions {
		if r.Role == role {
			out = append(out, r)
		}
	}
	return out
}

// covered says whether a signature covers a region, itself or by a check that it
// covers, as far as that is declared.
func (m *maker) covered(r blob.Region) bool {
	s := m.o.Layout.Signed
	if s == nil {
		return r.Role != blob.Padding && r.Role != blob.Digest
	}
	names := slices.Clone(s.Covers)
	for i := 0; i < len(names); i++ {
		if names[i] == r.Name {
			return true
		}
		for _, c := range m.o.Layout.Checks {
			for _, n := range c.Covers {
				if c.Range == names[i] && !slices.Contains(names, n) {
					names = append(names, n)
				}
			}
		}
	}
	return false
}

// carrier gives the parent as something that nobody signed, its checks not yet right.
func (m *maker) carrier() []byte {
	b := bytes.Clone(m.parent)
	if v := m.role(blob.Version); m.o.Version != nil {
		copy(v[0].Of(b), m.o.Version)
	}
	for _, name := range m.o.Free {
		r := blob.Find(m.regions, name)
		rnd := m.set.Rand("carrier " + name)
		b[r.Offset+rnd.IntN(r.Length)] ^= 1 << rnd.IntN(8)
	}
	return b
}

// forge adds a mutant that is made of a carrier and whose checks are right.
func (m *maker) forge(kind mutant.Kind, name, why string, alter func(b []byte) ([]byte, error)) {
	m.edit(kind, name, mutant.Refuse, why, func() ([]byte, error) {
		b, err := alter(m.carrier())
		if err != nil {
			return nil, err
		}
		return m.o.Layout.Fix(b)
	})
}

func (m *maker) edit(kind mutant.Kind, name string, expect mutant.Expect, why string, alter func() ([]byte, error)) {
	m.set.Add(kind, name, expect, why, func() (mutant.Made, error) {
		b, err := alter()
		if err != nil {
			return mutant.Made{}, err
		}
		made := m.made(b)
		if expect == mutant.Harmless {
			made.Lacks, made.Shows = "", m.set.Shows
		}
		return made, nil
	})
}

func (m *maker) made(b []byte) mutant.Made {
	made := mutant.Made{Bytes: b, Parts: m.parts(b), Shows: m.shows(b)}
	verified := errors.New("nobody here can verify a signature of it")
	if m.o.Verify != nil {
		verified = m.o.Verify(b)
	}
	made.Judged(m.o.Layout.Unsigned(b), verified, blob.ErrMalformed, m.o.Verify != nil)
	return made
}

// parts names the changes after the ranges.
func (m *maker) parts(b []byte) (parts []mutant.Part) {
	switch {
	case len(b) == len(m.parent):
		at := 0
		for _, r := range append(m.regions[:len(m.regions):len(m.regions)], blob.Region{Offset: len(b)}) {
			if r.Offset > at {
				parts = append(parts, mutant.Part{What: "undeclared", Old: m.parent[at:r.Offset], New: b[at:r.Offset]})
			}
			parts = append(parts, mutant.Part{What: r.Name, Old: r.Of(m.parent), New: r.Of(b)})
			at = r.End()
		}
	case bytes.HasPrefix(m.parent, b):
		parts = []mutant.Part{{What: "before the cut", Old: b, New: b}, {What: "all from here on", Old: m.parent[len(b):]}}
	case bytes.HasPrefix(b, m.parent):
		parts = []mutant.Part{{What: "image", Old: m.parent, New: m.parent}, {What: "after the end", New: b[len(m.parent):]}}
	default:
		parts = []mutant.Part{{What: "image", Old: m.parent, New: b}}
	}
	return parts
}

// upTo gives the parts before an offset.
func (m *maker) upTo(b []byte, end int) (parts []mutant.Part) {
	n := 0
	for _, p := range m.parts(b) {
		if n += len(p.Old); n <= end {
			parts = append(parts, p)
		}
	}
	return parts
}

// shows reads out of an image what a device shows that runs it.
func (m *maker) shows(b []byte) mutant.Shows {
	regions, err := m.o.Layout.Regions(b)
	if err != nil {
		return mutant.Shows{}
	}
	var s mutant.Shows
	var payload []byte
	var hashes []string // a checksum is none: many images have the same
	for _, r := range regions {
		switch r.Role {
		case blob.Digest:
			if r.Length >= 16 {
				hashes = append(hashes, hex.EncodeToString(r.Of(b)))
			}
		case blob.Version:
			s.Version = readable(r.Of(b))
		case blob.Counter:
			s.Counter = hex.EncodeToString(r.Of(b))
		case blob.Payload:
			payload = append(payload, r.Of(b)...)
		}
	}
	if len(hashes) == 1 {
		s.Hash = hashes[0]
	}
	s.Payload = mutant.Digest(payload)
	return s
}

// readable gives a text without the zeros behind it, or hex.
func readable(b []byte) string {
	text := strings.TrimRight(string(b), "\x00 ")
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return hex.EncodeToString(b)
		}
	}
	return text
}

// flips changes one bit in each range.
func (m *maker) flips() {
	at := 0
	for _, r := range append(m.regions[:len(m.regions):len(m.regions)], blob.Region{Offset: len(m.parent)}) {
		if r.Offset > at {
			m.set.Cannot(mutant.BitFlip, fmt.Sprintf("flip-undeclared-%d", at), "one bit of what is not declared", fmt.Sprintf("nobody says what the %d bytes from %d on are", r.Offset-at, at))
		}
		at = r.End()
		if r.Length == 0 {
			continue
		}
		name, expect := "flip-"+r.Name, mutant.Harmless
		if m.covered(r) || r.Role == blob.Signature {
			expect = mutant.Refuse
		}
		m.edit(mutant.BitFlip, name, expect, "one bit of "+string(r.Role), func() ([]byte, error) {
			rnd, b := m.set.Rand(name), bytes.Clone(m.parent)
			n := r.Length
			if s := m.o.Layout.Signed; s != nil && s.Range == r.Name && s.Scheme == "ecdsa-der" {
				b[r.Offset+8+rnd.IntN(16)] ^= 1 << rnd.IntN(8) // within a number, not in what frames it
				return b, nil
			}
			b[r.Offset+rnd.IntN(n)] ^= 1 << rnd.IntN(8)
			return b, nil
		})
	}
}

// shapes makes the signature of a carrier something that is none.
func (m *maker) shapes() {
	fill := func(c byte) func(b []byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) {
			for _, r := range m.sig {
				copy(r.Of(b), bytes.Repeat([]byte{c}, r.Length))
			}
			return b, nil
		}
	}
	m.forge(mutant.SignatureShape, "signature-stale", "all checks are right, and the signature is that of the parent", func(b []byte) ([]byte, error) { return b, nil })
	m.forge(mutant.SignatureShape, "signature-zeroed", "all bytes of the signature are 00", fill(0))
	m.forge(mutant.SignatureShape, "signature-ones", "all bytes of the signature are ff, as erased flash", fill(0xff))
	m.set.Cannot(mutant.SignatureShape, "signature-length", "a signature of no bytes, or of one more or less", "its length is not declared to stand anywhere")
	const why = "it ends where the signature begins, and all that is before it is consistent"
	last := m.sig[len(m.sig)-1]
	if last.End() != len(m.parent) {
		m.set.Cannot(mutant.Unsigned, "unsigned", why, "the signature is not at the end")
		return
	}
	m.set.Add(mutant.Unsigned, "unsigned", mutant.Refuse, why, func() (mutant.Made, error) {
		b, err := m.o.Layout.Fix(m.carrier())
		if err != nil {
			return mutant.Made{}, err
		}
		made := m.made(b)
		made.Bytes = b[:last.Offset]
		// All but the signature is judged above, where the signature is still there; what is
		// cut off is nothing else.
		made.Parts = append(m.upTo(b, last.Offset), mutant.Part{What: last.Name, Old: last.Of(m.parent)})
		if m.o.Verify != nil {
			made.Proof.Verifier = mutant.Judge(m.o.Verify(made.Bytes))
		}
		return made, nil
	})
}

// strangers sign with keys that are not the maker's.
func (m *maker) strangers() {
	const wrong, dev = "well signed by a stranger", "well signed with a key that is published for development"
	s := m.o.Layout.Signed
	if s == nil {
		m.set.Cannot(mutant.WrongKey, "wrong-key", wrong, "it is not declared how it is signed")
		m.set.Cannot(mutant.DevKey, "dev-key", dev, "it is not declared how it is signed")
		return
	}
	sign := func(kind mutant.Kind, name, why string, key crypto.Signer) {
		if _, err := m.o.Layout.Sign(m.parent, key); err != nil {
			m.set.Cannot(kind, name, why, err.Error())
			return
		}
		m.edit(kind, name, mutant.Refuse, why, func() ([]byte, error) { return m.o.Layout.Sign(m.carrier(), key) })
	}
	made := false
	for _, scheme := range stranger.Schemes() {
		key, err := stranger.Key(scheme)
		if err != nil || !fits(s.Scheme, scheme, blob.Find(m.regions, s.Range).Length) {
			continue
		}
		made = true
		sign(mutant.WrongKey, "wrong-key-"+string(scheme), wrong, key)
	}
	if !made {
		m.set.Cannot(mutant.WrongKey, "wrong-key", wrong, fmt.Sprintf("no stranger has a key whose signatures are %d bytes of %s", blob.Find(m.regions, s.Range).Length, s.Scheme))
	}
	if len(m.o.DevKeys) == 0 {
		m.set.Cannot(mutant.DevKey, "dev-key", dev, "no key is known to be published for this format: give it")
	}
	for i, key := range m.o.DevKeys {
		sign(mutant.DevKey, fmt.Sprintf("dev-key-%d", i+1), dev, key)
	}
}

// fits says whether a stranger's signature has its place in a range.
func fits(scheme string, s stranger.Scheme, length int) bool {
	switch s {
	case stranger.RSA2048:
		return strings.HasPrefix(scheme, "rsa-") && length == 256
	case stranger.RSA3072:
		return strings.HasPrefix(scheme, "rsa-") && length == 384
	case stranger.ECDSAP256:
		return scheme == "ecdsa-raw" && length == 64 || scheme == "ecdsa-der" && length >= 72
	}
	return scheme == "ed25519" && length == 64
}

// versions lies about version and counter.
func (m *maker) versions() {
	for _, c := range []struct {
		name string
		role blob.Role
		with []byte
	}{{"version-raised", blob.Version, m.o.Version}, {"counter-raised", blob.Counter, m.raised()}} {
		rs := m.role(c.role)
		why := "another " + string(c.role)
		if len(rs) != 1 || c.with == nil {
			m.set.Cannot(mutant.VersionForge, c.name, why, "there is no such range, several, or nothing to put there")
			m.set.Cannot(mutant.VersionForge, c.name+"-checks-right", why, "there is no such range, several, or nothing to put there")
			continue
		}
		lie := func() []byte {
			b := bytes.Clone(m.parent)
			copy(rs[0].Of(b), c.with)
			return b
		}
		if len(m.o.Layout.Checks) > 0 {
			m.edit(mutant.VersionForge, c.name, mutant.Refuse, why+", and nothing else", func() ([]byte, error) { return lie(), nil })
		} else {
			m.set.Cannot(mutant.VersionForge, c.name, why+", and nothing else", "no check is declared: it is the one below")
		}
		m.edit(mutant.VersionForge, c.name+"-checks-right", mutant.Refuse, why+", and the checks made right", func() ([]byte, error) { return m.o.Layout.Fix(lie()) })
	}
}

// raised gives the counter raised by one, or nil.
func (m *maker) raised() []byte {
	rs := m.role(blob.Counter)
	if len(rs) != 1 {
		return nil
	}
	b := bytes.Clone(rs[0].Of(m.parent))
	for i := range b {
		at := i
		if m.o.Layout.Big {
			at = len(b) - 1 - i
		}
		if b[at]++; b[at] != 0 {
			return b
		}
	}
	return nil
}

// around puts bytes after the image, and takes some away.
func (m *maker) around() {
	expect := mutant.Harmless
	for _, r := range m.o.Layout.Ranges {
		if r.From < 0 || r.To <= 0 {
			expect = mutant.Refuse // its parts are found from the end
		}
	}
	m.edit(mutant.Append, "append-bytes", expect, "64 bytes after the end", func() ([]byte, error) {
		b, r := bytes.Clone(m.parent), m.set.Rand("append-bytes")
		for range 8 {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		return b, nil
	})
	cut := func(name string, at int) {
		why := fmt.Sprintf("it ends at byte %d", at)
		if mutant.Erased(m.parent[at:]) {
			m.set.Cannot(mutant.Truncated, "truncated-"+name, why, "what would be missing is what erased flash holds: it would be whole there")
			return
		}
		m.edit(mutant.Truncated, "truncated-"+name, mutant.Refuse, why, func() ([]byte, error) { return bytes.Clone(m.parent[:at]), nil })
	}
	cut("empty", 0)
	for _, r := range m.regions {
		if r.Offset > 0 {
			cut("before-"+r.Name, r.Offset)
		}
		if r.Length > 1 {
			cut("in-"+r.Name, r.Offset+r.Length/2)
		}
	}
	if m.regions[len(m.regions)-1].End() == len(m.parent) {
		cut("last-byte", len(m.parent)-1)
	}
}

// lengths makes each length nothing, too much, and a little wrong.
func (m *maker) lengths() {
	if len(m.role(blob.Length)) == 0 {
		m.set.Cannot(mutant.Malformed, "structure-length", "a wrong length", "no range is a length")
	}
	for _, r := range m.role(blob.Length) {
		expect := mutant.Harmless
		if m.covered(r) {
			expect = mutant.Refuse
		}
		last, first := r.Offset, r.End()-1
		if m.o.Layout.Big {
			last, first = first, last
		}
		for _, t := range []struct {
			name  string
			alter func(b []byte)
		}{
			{"zero", func(b []byte) { clear(r.Of(b)) }},
			{"max", func(b []byte) { copy(r.Of(b), bytes.Repeat([]byte{0xff}, r.Length)) }},
			{"near", func(b []byte) { b[last] ^= 1 }},
			{"negative", func(b []byte) { b[first] ^= 0x80 }},
		} {
			name, why := "structure-"+r.Name+"-"+t.name, "a wrong length, all checks right"
			b := bytes.Clone(m.parent)
			if t.alter(b); bytes.Equal(b, m.parent) {
				m.set.Cannot(mutant.Malformed, name, why, "it is that already")
				continue
			}
			m.edit(mutant.Malformed, name, expect, why, func() ([]byte, error) {
				b := bytes.Clone(m.parent)
				t.alter(b)
				return m.o.Layout.Fix(b)
			})
		}
	}
}

// mixed puts ranges of two genuine images together.
func (m *maker) mixed() {
	for _, with := range []struct {
		name   string
		others [][]byte
	}{{"older", m.o.Older}, {"other-product", m.o.OtherProduct}} {
		for _, r := range m.regions {
			name, why := "mix-"+r.Name+"-of-"+with.name, "the parent with a range of another genuine image"
			if !m.covered(r) && r.Role != blob.Signature {
				continue // nothing binds it to the rest
			}
			if len(with.others) == 0 {
				m.set.Cannot(mutant.MixMatch, name, why, "no such image was given")
				continue
			}
			regions, err := m.o.Layout.Regions(with.others[0])
			o := blob.Find(regions, r.Name)
			switch {
			case err != nil:
				m.set.Cannot(mutant.MixMatch, name, why, err.Error())
			case o.Length != r.Length:
				m.set.Cannot(mutant.MixMatch, name, why, "it has another length")
			case bytes.Equal(o.Of(with.others[0]), r.Of(m.parent)):
				m.set.Cannot(mutant.MixMatch, name, why, "it is the same in both")
			default:
				m.edit(mutant.MixMatch, name, mutant.Refuse, why+", all checks but a mixed one made right", func() ([]byte, error) {
					b := bytes.Clone(m.parent)
					copy(r.Of(b), o.Of(with.others[0]))
					if r.Role == blob.Digest {
						return b, nil
					}
					return m.o.Layout.Fix(b)
				})
			}
		}
	}
}

// genuine adds what is signed and is not for this device, or no longer.
func (m *maker) genuine() {
	for _, g := range []struct {
		kind   mutant.Kind
		lacks  mutant.Property
		name   string
		why    string
		others [][]byte
	}{{mutant.Downgrade, mutant.Freshness, "older", "genuine and older, as its giver says", m.o.Older}, {mutant.OtherProduct, mutant.Product, "other-product", "genuine, and of another product, as its giver says", m.o.OtherProduct}} {
		if len(g.others) == 0 {
			m.set.Cannot(g.kind, g.name, g.why, "none was given")
		}
		for i, b := range g.others {
			name := g.name
			if len(g.others) > 1 {
				name = fmt.Sprintf("%s-%d", name, i+1)
			}
			err := m.o.Layout.Unsigned(b)
			if err == nil && m.o.Verify != nil && g.lacks == mutant.Freshness {
				err = m.o.Verify(b)
			}
			if err == nil && bytes.Equal(b, m.parent) {
				err = errors.New("it would be its parent")
			}
			if err != nil {
				m.set.Cannot(g.kind, name, g.why, err.Error())
				continue
			}
			m.set.Add(g.kind, name, mutant.Refuse, g.why, func() (mutant.Made, error) {
				made := m.made(bytes.Clone(b))
				made.Lacks, made.Parts = g.lacks, []mutant.Part{{What: "another genuine image", Old: m.parent, New: made.Bytes}}
				return made, nil
			})
		}
	}
}
