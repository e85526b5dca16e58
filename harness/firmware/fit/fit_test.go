package fit

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/internal/peers"
	"rigor/harness/firmware/stranger"
)

var (
	update = flag.Bool("update", false, "make the images in testdata anew, by mkimage and a new key")
	rounds = flag.Int("rounds", 600, "how many foreign images of each layout are read")
)

// layouts are where mkimage puts data, by what it is told.
var layouts = map[Place][]string{Inside: nil, ByOffset: {"-E"}, ByPosition: {"-E", "-p", "0x800"}}

// payload is what images have.
func payload(name string, size int) []byte {
	return bytes.Repeat([]byte(name+" of the gateway. "), size)[:size]
}

var (
	kernel    = payload("kernel", 333)
	initramfs = payload("initramfs", 217)
)

// vectors gives images that mkimage made and signed, and the key.
func vectors(t testing.TB) (map[Place][]byte, *rsa.PublicKey) {
	t.Helper()
	if *update {
		peer := peers.NewMkimage(t)
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		require.NoError(t, peer.Key("boot", key))
		require.NoError(t, peer.Lay(map[string][]byte{"kernel": kernel, "initramfs": initramfs}))
		for place, args := range layouts {
			b, err := peer.FIT(t.Context(), peers.FITSource{Config: "sha256,rsa2048", Hashes: []string{"sha256", "crc32"}}.String(), args...)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join("testdata", string(place)+".fit"), b, 0o600))
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "boot.pub.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
		*update = false
	}
	text, err := os.ReadFile(filepath.Join("testdata", "boot.pub.pem"))
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	all := map[Place][]byte{}
	for place := range layouts {
		all[place], err = os.ReadFile(filepath.Join("testdata", string(place)+".fit"))
		require.NoError(t, err)
	}
	return all, public.(*rsa.PublicKey)
}

// strangers is a key that signed nothing here.
func strangers(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	return k.(*rsa.PrivateKey)
}

// TestVectors: what mkimage made is read, and is genuine.
func TestVectors(t *testing.T) {
	all, key := vectors(t)
	for place, b := range all {
		t.Run(string(place), func(t *testing.T) {
			slot := append(bytes.Clone(b), "what a slot held before"...)
			img, err := Verifier{[]*rsa.PublicKey{&strangers(t).PublicKey, key}}.Verify(slot)
			require.NoError(t, err)
			assert.Equal(t, len(b), img.Len)
			assert.Equal(t, "gateway", img.Default)
			require.Len(t, img.Components, 2)
			k, r := img.Components[0], img.Components[1]
			assert.Equal(t, []string{"kernel", "kernel", "initramfs", "ramdisk"}, []string{k.Name, k.Type, r.Name, r.Type})
			assert.Equal(t, kernel, img.Bytes(k))
			assert.Equal(t, initramfs, img.Bytes(r))
			assert.Equal(t, place, k.Data.Place)
			assert.Len(t, k.Hashes, 1)
			require.Len(t, r.Hashes, 2)
			assert.Equal(t, "crc32", r.Hashes[1].Algo)
			config, ok := img.Config()
			require.True(t, ok)
			assert.Equal(t, []string{"kernel", "initramfs"}, config.Images)
			require.Len(t, img.Signatures(), 1)
			sig := img.Signatures()[0]
			assert.Equal(t, Signature{"/configurations/gateway/signature-1", "sha256,rsa2048", "boot", "", sig.Value, sig.HashedNodes, sig.HashedStrings}, sig)
			assert.Len(t, sig.HashedNodes, 7)
			again, err := img.Rewrite()
			require.NoError(t, err)
			assert.True(t, bytes.Equal(b, again), "byte for byte")
			at := 0
			names := map[string]bool{}
			for _, reg := range img.Regions() {
				assert.Equal(t, at, reg.Offset, reg.Name)
				assert.False(t, names[reg.Name], reg.Name)
				names[reg.Name], at = true, reg.End()
			}
			assert.Equal(t, img.Len, at)

			_, err = Verifier{[]*rsa.PublicKey{&strangers(t).PublicKey}}.Verify(b)
			assert.ErrorIs(t, err, ErrBadSignature)
			_, err = Verifier{}.Verify(b)
			assert.ErrorIs(t, err, ErrBadSignature)
		})
	}
}

// TestEveryBit: no bit of an image can be another without the verifier refusing it, but
// those that U-Boot's signatures do not cover.
func TestEveryBit(t *testing.T) {
	all, key := vectors(t)
	v := Verifier{[]*rsa.PublicKey{key}}
	sig := "/configurations/gateway/signature-1"
	open := map[string]bool{"header": true, "reservations": true, "names": true, "end": true, "free space": true, "end of data": true, "before the data of kernel": true, "before the data of initramfs": true,
		// Of nodes that no configuration needs only where they begin and end is covered.
		"/configurations:default": true,
		// The signature's own node, but for its value and what it covers.
		sig + ":timestamp": true, sig + ":signer-version": true, sig + ":signer-name": true, sig + ":key-name-hint": true, sig + ":sign-images": true, sig + ":hashed-strings": true, sig + ":hashed-nodes": true, sig + ":algo": true, sig: true}
	for place, b := range all {
		t.Run(string(place), func(t *testing.T) {
			img, err := Parse(b)
			require.NoError(t, err)
			// What is called other is not looked at: of names the part that has been added since.
			added := img.tree.stringsAt + img.Signatures()[0].HashedStrings
			step := 1
			if testing.Short() {
				step = 7
			}
			taken := map[string]int{}
			for _, r := range img.Regions() {
				for at := r.Offset; at < r.End(); at += step {
					m := bytes.Clone(b)
					m[at] ^= 1 << (at % 8)
					unsigned, verified := v.Both(m)
					if unsigned != nil {
						assert.Equal(t, unsigned, verified)
					}
					if verified == nil {
						taken[r.Name]++
						pads := strings.HasPrefix(r.Name, "/images/") && strings.HasSuffix(r.Name, ":data") && r.End()-at < 4
						assert.True(t, pads || open[r.Name] && (r.Name != "names" || at >= added), "byte %d of %s", at-r.Offset, r.Name)
					}
				}
			}
			t.Logf("taken: %v", taken)
		})
	}
}

// TestRewrite: values become longer and shorter, properties and nodes go, and data stay
// what they are.
func TestRewrite(t *testing.T) {
	all, key := vectors(t)
	const sig = "/configurations/gateway/signature-1"
	for place, b := range all {
		for _, c := range []struct {
			name  string
			edits []Edit
			grows bool // by more than there is room for
		}{
			{"longer", []Edit{{"/", "description", []byte("a gateway that is called something else\x00")}}, false},
			{"shorter", []Edit{{"/", "description", []byte("g\x00")}, {"/images/kernel", "description", []byte{}}}, false},
			{"without a property", []Edit{{"/images/initramfs", "os", nil}, {sig, "timestamp", nil}}, false},
			{"without a node", []Edit{{sig, "", nil}, {"/images/initramfs/hash-2", "", nil}}, false},
			{"all at once", []Edit{{sig, "", nil}, {"/configurations/gateway", "description", []byte("other\x00")}, {"/images/kernel", "load", []byte{1, 2, 3, 4}}}, false},
			{"much longer", []Edit{{sig, "value", bytes.Repeat([]byte{7}, 4001)}}, true},
		} {
			t.Run(fmt.Sprintf("%s %s", place, c.name), func(t *testing.T) {
				img, err := Parse(b)
				require.NoError(t, err)
				out, err := img.Rewrite(c.edits...)
				if place == ByPosition && c.grows {
					assert.ErrorContains(t, err, "data begin at 2048")
					return
				}
				require.NoError(t, err)
				now, err := Parse(out)
				require.NoError(t, err)
				assert.Equal(t, len(out), now.Len)
				assert.Equal(t, kernel, now.Bytes(now.Components[0]))
				assert.Equal(t, initramfs, now.Bytes(now.Components[1]))
				for _, e := range c.edits {
					n := now.Root.find(e.Node)
					if e.Prop == "" {
						assert.Nil(t, n)
						continue
					}
					p, ok := n.Prop(e.Prop)
					assert.Equal(t, e.Value != nil, ok)
					assert.Equal(t, string(e.Value), string(p.Value))
				}
				_, err = Unsigned(out)
				assert.NoError(t, err)
				_, err = Verifier{[]*rsa.PublicKey{key}}.Verify(out)
				assert.Error(t, err)
				if c.edits[0].Node == "/" { // and back
					var undo []Edit
					for _, e := range c.edits {
						p, _ := img.Root.find(e.Node).Prop(e.Prop)
						undo = append(undo, Edit{e.Node, e.Prop, p.Value})
					}
					back, err := now.Rewrite(undo...)
					require.NoError(t, err)
					_, err = Verifier{[]*rsa.PublicKey{key}}.Verify(back)
					assert.NoError(t, err)
				}
			})
		}
	}
	img, err := Parse(all[Inside])
	require.NoError(t, err)
	for _, edits := range [][]Edit{{{"/nowhere", "", nil}}, {{"/", "", nil}}, {{"/", "nothing", []byte{}}}, {{sig, "", nil}, {sig, "value", []byte{1}}}, {{"/", "timestamp", []byte{1}}, {"/", "timestamp", []byte{2}}}} {
		_, err := img.Rewrite(edits...)
		assert.Error(t, err, edits)
	}
}

// TestSign: who signs with another key makes what a verifier with that key takes.
func TestSign(t *testing.T) {
	all, key := vectors(t)
	for place, b := range all {
		img, err := Parse(b)
		require.NoError(t, err)
		value, err := img.Sign(img.Signatures()[0], strangers(t))
		require.NoError(t, err)
		out, err := img.Rewrite(Edit{img.Signatures()[0].Path, valueProp, value})
		require.NoError(t, err)
		_, err = Verifier{[]*rsa.PublicKey{&strangers(t).PublicKey}}.Verify(out)
		assert.NoError(t, err, place)
		_, err = Verifier{[]*rsa.PublicKey{key}}.Verify(out)
		assert.ErrorIs(t, err, ErrBadSignature)
		s := img.Signatures()[0]
		for _, broken := range []Signature{{Path: s.Path, Algo: "sha256,rsa4096"}, {Path: s.Path, Algo: "sha256,ecdsa256"}, {Path: s.Path, Algo: s.Algo, Padding: "pss"}, {Path: s.Path, Algo: s.Algo, HashedNodes: []string{"/"}},
			{Path: s.Path, Algo: s.Algo, HashedNodes: s.HashedNodes, HashedStrings: 1 << 20}, {Path: "", Algo: s.Algo}} {
			_, err = img.Sign(broken, strangers(t))
			assert.Error(t, err, "%+v", broken)
		}
	}
}

// TestUnsigned: what is not whole is refused, each for what it is.
func TestUnsigned(t *testing.T) {
	all, _ := vectors(t)
	img, err := Parse(all[ByPosition])
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		edit Edit
		want error
	}{
		{"no hash", Edit{"/images/kernel/hash-1", "", nil}, ErrNoHash},
		{"wrong hash", Edit{"/images/initramfs/hash-2", "value", []byte{1, 2, 3, 4}}, ErrWrongHash},
		{"no value", Edit{"/images/initramfs/hash-2", "value", nil}, ErrWrongHash},
		{"unknown hash", Edit{"/images/kernel/hash-1", "algo", []byte("sha3\x00")}, ErrUnsupported},
		{"no algorithm", Edit{"/images/kernel/hash-1", "algo", nil}, ErrUnsupported},
		{"no image", Edit{"/images/initramfs", "", nil}, ErrNoConfig},
		{"no data", Edit{"/images/kernel", "data-position", nil}, ErrNoConfig},
		{"another default", Edit{"/configurations", "default", []byte("other\x00")}, ErrNoConfig},
		{"the only one", Edit{"/configurations", "default", nil}, nil},
		{"none to start", Edit{"/configurations/gateway", "", nil}, ErrNoConfig},
		{"none", Edit{"/configurations", "", nil}, ErrNoConfig},
		{"names another", Edit{"/configurations/gateway", "kernel", []byte("kernel\x00more\x00")}, ErrNoConfig},
		{"names no list", Edit{"/configurations/gateway", "kernel", []byte("kernel")}, ErrMalformed},
		{"position in the tree", Edit{"/images/kernel", "data-position", []byte{0, 0, 0, 64}}, ErrMalformed},
		{"position behind all", Edit{"/images/kernel", "data-position", []byte{0x7f, 0, 0, 0}}, ErrMalformed},
		{"huge position", Edit{"/images/kernel", "data-position", []byte{0xff, 0xff, 0xff, 0xff}}, ErrMalformed},
		{"huge size", Edit{"/images/kernel", "data-size", []byte{0xff, 0xff, 0xff, 0xff}}, ErrMalformed},
		{"no size", Edit{"/images/kernel", "data-size", nil}, ErrMalformed},
		{"hashed nodes", Edit{"/configurations/gateway/signature-1", "hashed-nodes", []byte("/")}, ErrMalformed},
		{"hashed names", Edit{"/configurations/gateway/signature-1", "hashed-strings", []byte{1}}, ErrMalformed},
		{"no images", Edit{"/images", "", nil}, ErrMalformed},
	} {
		b, err := img.Rewrite(c.edit)
		require.NoError(t, err, c.name)
		_, err = Unsigned(b)
		if c.want == nil {
			assert.NoError(t, err, c.name)
			continue
		}
		assert.ErrorIs(t, err, c.want, c.name)
		var at *FormatError
		assert.Equal(t, errors.Is(c.want, ErrMalformed), errors.As(err, &at), c.name)
	}
	bare, err := img.Rewrite(Edit{Node: "/configurations/gateway/signature-1"})
	require.NoError(t, err)
	_, err = Verifier{}.Verify(bare)
	assert.ErrorIs(t, err, ErrNoSignature)
	for _, edit := range []Edit{{"/configurations/gateway/signature-1", "value", nil}, {"/configurations/gateway/signature-1", "hashed-nodes", nil}} {
		b, err := img.Rewrite(edit)
		require.NoError(t, err)
		_, err = Verifier{}.Verify(b)
		assert.ErrorIs(t, err, ErrBadSignature)
	}
}

// TestMalformed: what is no tree is refused, at the byte where it is none.
func TestMalformed(t *testing.T) {
	all, _ := vectors(t)
	good := all[Inside]
	img, err := Parse(good)
	require.NoError(t, err)
	put := func(at int, words ...uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			for i, w := range words {
				binary.BigEndian.PutUint32(b[at+4*i:], w)
			}
			return b
		}
	}
	st := img.tree.structAt
	first, kernel := img.Root.Props[0], img.Root.find("/images/kernel")
	// The structure in place of the image's, as far as it goes; the end is that of all.
	structure := func(words ...uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			for len(words) < (img.tree.structEnd-st)/4-1 {
				words = append(words, tokenNop)
			}
			return put(st, append(words, tokenLast)...)(b)
		}
	}
	begins := func(n int) (words []uint32) {
		words = []uint32{tokenBegin, 0}
		for range n {
			words = append(words, tokenBegin, 'a'<<24)
		}
		return words
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		at     int // -1: not asked
		want   string
	}{
		{"nothing", func([]byte) []byte { return nil }, 0, "40 bytes"},
		{"half a header", func(b []byte) []byte { return b[:39] }, 39, "40 bytes"},
		{"magic", put(0, 0xd00dfeee), 0, "magic"},
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] }, 4, "are there"},
		{"small", put(4, 39), 4, "39 bytes"},
		{"huge", put(4, 0xffffffff), 4, "are there"},
		{"older", put(20, 16), 20, "version 16"},
		{"newer", put(24, 18), 20, "18"},
		{"reservations in the header", put(16, 32), 16, "reservations"},
		{"reservations not aligned", put(16, 44), 16, "reservations"},
		{"reservations behind", put(16, uint32(st+8)), 8, "reservations"},
		{"reservations without end", put(40, 1), st, "no end"},
		{"structure not aligned", put(8, uint32(st+1)), 8, "structure"},
		{"structure huge", put(36, 0xffffffff), 36, "structure"},
		{"names huge", put(32, 0xffffffff), 32, "names"},
		{"names before", put(12, 40), 36, "names"},
		{"no structure", put(36, 0), st, "without its last token"},
		{"token", put(st, 5), st, "token 0x5"},
		{"token in the root", put(first.start, 0x80000001), first.start, "token 0x80000001"},
		{"root with a name", put(st+4, 'x'<<24), st, "root called"},
		{"property of nobody", put(st, tokenNop, tokenNop), first.start, "before the root"},
		{"long property", put(first.start+4, 0x10000), first.start + 4, "are left"},
		{"huge property", put(first.start+4, 0xfffffffe), first.start + 4, "are left"},
		{"name nowhere", put(first.start+8, 0x10000), first.start + 8, "name of a property"},
		{"name in a name", put(first.start+8, 0xffffffff), first.start + 8, "name of a property"},
		{"names without end", func(b []byte) []byte { b[img.tree.stringsEnd-1] = 'x'; return b }, -1, ""},
		{"name of a node", func(b []byte) []byte { b[kernel.start+4] = '/'; return b }, kernel.start, "called"},
		{"two of a name", structure(tokenBegin, 0, tokenBegin, 'a'<<24, tokenEnd, tokenBegin, 'a'<<24, tokenEnd, tokenEnd), st + 20, "second one"},
		{"two roots", structure(tokenBegin, 0, tokenEnd, tokenBegin, 0, tokenEnd), st + 12, "behind the root"},
		{"no root", structure(), img.tree.structEnd - 4, "last token"},
		{"end of nothing", structure(tokenEnd), st, "before the root"},
		{"open at the end", structure(tokenBegin, 0), img.tree.structEnd - 4, "last token"},
		{"end too early", structure(tokenBegin, 0, tokenEnd, tokenLast), st + 12, "last token"},
		{"property behind a node", structure(tokenBegin, 0, tokenBegin, 'a'<<24, tokenEnd, tokenProp, 0, 0, tokenEnd), st + 20, "behind a node"},
		{"property twice", structure(tokenBegin, 0, tokenProp, 0, 0, tokenProp, 0, 0, tokenEnd), st + 20, "twice"},
		{"as deep as may be", structure(append(begins(31), slicesOf(tokenEnd, 32)...)...), st, "no node /images"},
		{"too deep", structure(begins(32)...), st + 8*32, "deeper than 32"},
		{"name without end", structure(append([]uint32{tokenBegin, 0, tokenBegin}, slicesOf('a'<<24|'a'<<16|'a'<<8|'a', 80)...)...), st + 12, "longer than 255"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.change(bytes.Clone(good)))
			var format *FormatError
			if c.at < 0 && err == nil {
				return
			}
			require.ErrorAs(t, err, &format)
			assert.ErrorIs(t, err, ErrMalformed)
			assert.ErrorContains(t, err, c.want)
			if c.at >= 0 {
				assert.Equal(t, c.at, format.Offset, err)
			}
		})
	}
}

// slicesOf gives a word several times.
func slicesOf(word uint32, n int) (all []uint32) {
	for range n {
		all = append(all, word)
	}
	return all
}

// TestTwoPlaces: data that a reader could take from two places are refused.
func TestTwoPlaces(t *testing.T) {
	all, _ := vectors(t)
	b := bytes.Clone(all[ByPosition])
	img, err := Parse(b)
	require.NoError(t, err)
	// os is to be called data.
	p, _ := img.Root.find("/images/kernel").Prop("os")
	at := bytes.Index(b[img.tree.stringsAt:img.tree.stringsEnd], []byte("\x00data\x00")) + 1
	require.Positive(t, at)
	binary.BigEndian.PutUint32(b[p.start+8:], uint32(at))
	_, err = Parse(b)
	assert.ErrorContains(t, err, "in two places")
}

// FuzzParse: foreign bytes are an image that is written again byte for byte, or are
// refused.
func FuzzParse(f *testing.F) {
	all, key := vectors(f)
	for _, b := range all {
		f.Add(b)
		f.Add(append(bytes.Clone(b), "slot"...))
	}
	v, signer := Verifier{[]*rsa.PublicKey{key}}, strangers(f)
	f.Fuzz(func(t *testing.T, b []byte) { foreign(t, b, v, signer) })
}

// TestForeign is the same of some thousand images with a few words or bytes changed, each
// time the same.
func TestForeign(t *testing.T) {
	all, key := vectors(t)
	v, signer := Verifier{[]*rsa.PublicKey{key}}, strangers(t)
	words := []uint32{0, 1, 2, 3, 4, 8, 9, 39, 40, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 1 << 29}
	read, rounds := 0, *rounds
	if testing.Short() {
		rounds /= 4 // each round is signed
	}
	for _, place := range []Place{Inside, ByOffset, ByPosition} {
		img, err := Parse(all[place])
		require.NoError(t, err)
		r := mrand.New(mrand.NewPCG(1, uint64(len(place))))
		for range rounds {
			b := bytes.Clone(all[place])
			for range 1 + r.IntN(3) {
				at := r.IntN(img.TreeLen - 3)
				switch r.IntN(5) {
				case 0:
					b[at] ^= 1 << r.IntN(8)
				case 1:
					binary.BigEndian.PutUint32(b[at/4*4:], words[r.IntN(len(words))])
				case 2:
					binary.BigEndian.PutUint32(b[at/4*4:], uint32(r.IntN(len(b))))
				case 3: // one token in the place of another
					binary.BigEndian.PutUint32(b[at/4*4:], words[1+r.IntN(4)])
				case 4:
					copy(b[at/4*4:], bytes.Clone(b[r.IntN(len(b)-40)/4*4:][:4*r.IntN(10)]))
				}
			}
			if _, err := Parse(b); err == nil {
				read++
			}
			foreign(t, b, v, signer)
		}
	}
	assert.Greater(t, read, rounds/2, "most is refused, and not all")
}

// foreign holds what is said of bytes together.
func foreign(t *testing.T, b []byte, v Verifier, signer *rsa.PrivateKey) {
	t.Helper()
	img, err := Parse(b)
	unsigned, verified := v.Both(b)
	if err != nil {
		if !errors.Is(err, ErrMalformed) || unsigned == nil || verified == nil {
			t.Fatalf("%v, %v, %v", err, unsigned, verified)
		}
		return
	}
	if verified == nil && unsigned != nil {
		t.Fatalf("signed, and %v", unsigned)
	}
	out, err := img.Rewrite()
	if err != nil || !bytes.Equal(out, b[:img.Len]) {
		t.Fatalf("written as %q, %v", out, err)
	}
	at := 0
	for _, r := range img.Regions() {
		if r.Offset != at || r.Length <= 0 {
			t.Fatalf("%+v at %d", r, at)
		}
		at = r.End()
	}
	if at != img.Len {
		t.Fatalf("regions of %d bytes of %d", at, img.Len)
	}
	var edits []Edit
	for _, s := range img.Signatures() {
		_, _ = img.Sign(s, signer)
		edits = append(edits, Edit{Node: s.Path})
	}
	if len(img.Root.Props) > 0 {
		edits = append(edits, Edit{"/", img.Root.Props[0].Name, []byte("hello")})
	}
	if out, err = img.Rewrite(edits...); err != nil {
		return
	}
	now, err := Parse(out)
	if err != nil || len(now.Signatures()) != 0 || len(now.Components) != len(img.Components) {
		t.Fatalf("changed to %q, %v", out, err)
	}
	for i, c := range img.Components {
		if !bytes.Equal(img.Bytes(c), now.Bytes(now.Components[i])) {
			t.Fatalf("the data of %s are others", c.Name)
		}
	}
}
