package offit

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/fit"
	"rigor/harness/firmware/internal/peers"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/stranger"
)

// vectors gives images that mkimage made, by where their data are, and the maker's key.
func vectors(t testing.TB) (map[string][]byte, *rsa.PublicKey) {
	t.Helper()
	dir := filepath.Join("..", "..", "fit", "testdata")
	text, err := os.ReadFile(filepath.Join(dir, "boot.pub.pem"))
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	all := map[string][]byte{}
	for _, name := range []string{"data", "data-offset", "data-position"} {
		all[name], err = os.ReadFile(filepath.Join(dir, name+".fit"))
		require.NoError(t, err)
		all[name+" in a slot"] = append(bytes.Clone(all[name]), bytes.Repeat([]byte("older "), 50)...)
	}
	return all, public.(*rsa.PublicKey)
}

// free is a stretch of the kernel that nothing needs.
var free = []Range{{Offset: 200, Length: 16}}

// TestEveryMutant: each is the same each time, lacks what it says, and its changes are all.
func TestEveryMutant(t *testing.T) {
	all, key := vectors(t)
	lacks := map[string]mutant.Property{"fit-unsigned": mutant.Authenticity, "fit-stale-signature": mutant.Authenticity, "fit-wrong-key": mutant.Authenticity, "fit-payload-bit": mutant.Integrity}
	for name, parent := range all {
		for _, o := range []Options{{Seed: 1, Keys: []*rsa.PublicKey{key}}, {Seed: 2, Free: free, Keys: []*rsa.PublicKey{key}}, {Seed: 1}} {
			t.Run(name, func(t *testing.T) {
				set, err := Plan(parent, o)
				require.NoError(t, err)
				require.Len(t, set.Recipes, len(lacks))
				digests := map[string]bool{}
				for _, r := range set.Recipes {
					m, err := r.Make()
					require.NoError(t, err, r.Name)
					again, err := r.Make()
					require.NoError(t, err)
					assert.Equal(t, m, again, "the same each time")
					assert.Equal(t, lacks[r.Name], m.Lacks, r.Name)
					assert.Equal(t, mutant.Refuse, m.Expect)
					assert.Equal(t, len(o.Keys) > 0, m.Proof.Anchored)
					_, unsigned := fit.Unsigned(m.Bytes())
					_, real := fit.Verifier{Keys: []*rsa.PublicKey{key}}.Verify(m.Bytes())
					assert.Equal(t, m.Lacks == mutant.Authenticity, unsigned == nil, r.Name)
					assert.Error(t, real, r.Name)
					assert.True(t, m.Shows.TellsApart(set.Shows), r.Name)
					payload := m.Shows.Payload != set.Shows.Payload
					assert.Equal(t, r.Kind == mutant.BitFlip || len(o.Free) > 0, payload, r.Name)
					if strings.HasSuffix(name, "slot") {
						assert.Len(t, m.Bytes(), len(parent), "what is behind it stays where it is")
						assert.True(t, bytes.HasSuffix(m.Bytes(), []byte("older older ")))
					}
					assert.Equal(t, m.Bytes(), applied(parent, m), "its changes are all")
					digests[m.Digest] = true
				}
				assert.Len(t, digests, len(lacks))
			})
		}
	}
}

// applied makes a mutant out of its parent and its changes.
func applied(parent []byte, m *mutant.Mutant) (b []byte) {
	at, place := 0, 0
	for _, c := range m.Changes {
		b = append(b, parent[at:c.Offset]...)
		place += c.Offset - at
		b = append(b, m.Bytes()[place:place+c.Added]...)
		at, place = c.Offset+c.Removed, place+c.Added
	}
	return append(b, parent[at:]...)
}

// TestNames: they are evidence of cases, in this order, with what a reader is told.
func TestNames(t *testing.T) {
	all, _ := vectors(t)
	const about = "description of /, description of /configurations/gateway"
	for _, c := range []struct {
		o    Options
		what string
	}{{Options{}, about}, {Options{Free: free}, about + `, one bit of a free stretch of "kernel"`}} {
		set, err := Plan(all["data"], c.o)
		require.NoError(t, err)
		var got []string
		for _, r := range set.Recipes {
			got = append(got, string(r.Kind)+" "+r.Name+": "+r.Why)
		}
		assert.Equal(t, []string{
			"unsigned fit-unsigned: " + c.what + " changed, all hashes right, and no signature is left of 1",
			"unsigned fit-stale-signature: " + c.what + " changed, all hashes right, and the signatures are those of the parent",
			"wrong-key fit-wrong-key: " + c.what + " changed, all hashes right, and well signed by a stranger, who has the name of the maker's key",
			"bitflip fit-payload-bit: one bit of the data of an image, and the hashes are those of the parent",
		}, got)
	}
}

// TestChanges: a reader sees what was changed by its name.
func TestChanges(t *testing.T) {
	all, key := vectors(t)
	set, err := Plan(all["data-position"], Options{Seed: 1, Keys: []*rsa.PublicKey{key}, Free: free})
	require.NoError(t, err)
	want := map[string][]string{
		"fit-unsigned":        {"header", "/:description", "/images/kernel/hash-1:value", "/configurations/gateway:description", "/configurations/gateway/signature-1", "before the data of kernel", "data of kernel"},
		"fit-stale-signature": {"/:description", "/images/kernel/hash-1:value", "/configurations/gateway:description", "data of kernel"},
		"fit-wrong-key":       {"/:description", "/images/kernel/hash-1:value", "/configurations/gateway:description", "/configurations/gateway/signature-1:value", "data of kernel"},
		"fit-payload-bit":     {"data of kernel"},
	}
	for _, r := range set.Recipes {
		m, err := r.Make()
		require.NoError(t, err)
		var got []string
		for _, c := range m.Changes {
			got = append(got, c.What)
		}
		for _, what := range want[r.Name] {
			assert.Contains(t, got, what, r.Name)
		}
		for _, what := range got {
			assert.True(t, strings.HasPrefix(what, "/configurations/gateway/signature-1") && r.Name == "fit-unsigned" || assert.Contains(t, want[r.Name], what, r.Name))
		}
	}
}

// without gives an image with changes.
func without(t *testing.T, b []byte, edits ...fit.Edit) []byte {
	t.Helper()
	img, err := fit.Parse(b)
	require.NoError(t, err)
	out, err := img.Rewrite(edits...)
	require.NoError(t, err)
	return out
}

// TestCannot: what cannot be made of a parent says why.
func TestCannot(t *testing.T) {
	all, _ := vectors(t)
	const sig = "/configurations/gateway/signature-1"
	bare := []fit.Edit{{Node: "/", Prop: "description"}, {Node: "/", Prop: "timestamp"}, {Node: "/configurations/gateway", Prop: "description"}}
	for _, c := range []struct {
		name   string
		parent []byte
		free   []Range
		want   [4]string // of the recipes in their order; empty: it is made
	}{
		{"no signature", without(t, all["data"], fit.Edit{Node: sig}), nil, [4]string{noSignature, noSignature, noSignature, ""}},
		{"nothing to change", without(t, all["data"], bare...), nil, [4]string{nothingElse, nothingElse, nothingElse, ""}},
		{"only what is free", without(t, all["data"], bare...), free, [4]string{}},
		{"a time", without(t, all["data"], bare[0], bare[2]), nil, [4]string{}},
		{"no texts", without(t, all["data"], fit.Edit{Node: "/", Prop: "description", Value: []byte{0}}, fit.Edit{Node: "/configurations/gateway", Prop: "description", Value: []byte("a\x00b\x00")}), nil, [4]string{}},
		{"another scheme", without(t, all["data"], fit.Edit{Node: sig, Prop: "algo", Value: []byte("sha256,ecdsa256\x00")}), nil, [4]string{"", "", "cannot be made here", ""}},
		{"another hash", without(t, all["data"], fit.Edit{Node: sig, Prop: "algo", Value: []byte("sha1,rsa4096\x00")}), nil, [4]string{}},
		{"it does not say what it covers", without(t, all["data"], fit.Edit{Node: sig, Prop: "hashed-nodes"}), nil, [4]string{"", "", "covers neither", ""}},
	} {
		set, err := Plan(c.parent, Options{Free: c.free})
		require.NoError(t, err, c.name)
		for i, r := range set.Recipes {
			if c.want[i] != "" {
				assert.Contains(t, r.Unmade, c.want[i], "%s: %s", c.name, r.Name)
				continue
			}
			_, err := r.Make()
			assert.NoError(t, err, "%s: %s", c.name, r.Name)
		}
	}
}

func TestNoPlan(t *testing.T) {
	all, _ := vectors(t)
	parent := all["data"]
	key, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	for _, c := range []struct {
		b    []byte
		o    Options
		want string
	}{
		{[]byte("PK"), Options{}, "no FIT image"},
		{without(t, parent, fit.Edit{Node: "/images/kernel/hash-1"}), Options{}, "no hash"},
		{parent, Options{Keys: []*rsa.PublicKey{key.Public().(*rsa.PublicKey)}}, "do not verify it"},
		{parent, Options{Free: []Range{{Offset: 330, Length: 4}}}, "no range"},
		{parent, Options{Free: []Range{{Offset: math.MaxInt, Length: math.MaxInt}}}, "no range"},
		{parent, Options{Free: []Range{{Offset: 0, Length: 0}}}, "no range"},
	} {
		_, err := Plan(c.b, c.o)
		assert.ErrorContains(t, err, c.want)
	}
	assert.Empty(t, Shows([]byte("PK")))
}

// TestUnproven: what the real verifier takes is not given out: here the one who is called
// a stranger is the maker's second key.
func TestUnproven(t *testing.T) {
	all, key := vectors(t)
	k, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	set, err := Plan(all["data"], Options{Keys: []*rsa.PublicKey{key, k.Public().(*rsa.PublicKey)}})
	require.NoError(t, err)
	_, err = set.Of(mutant.WrongKey)[0].Make()
	assert.ErrorIs(t, err, mutant.ErrUnproven)
}

// boards are what U-Boot is told to require: the maker's key, the stranger's, and none.
const maker1, stranger1, nobody = "maker.dtb", "stranger.dtb", "nobody.dtb"

// TestUBoot: U-Boot refuses every mutant where it requires the maker's key. Where it
// requires none it takes those that lack no more than a signature, and where it requires
// the stranger's that of his.
func TestUBoot(t *testing.T) {
	if testing.Short() {
		t.Skip("boots an emulated device")
	}
	peer := peers.NewUBoot(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	other, err := stranger.Key(stranger.RSA2048)
	require.NoError(t, err)
	kernel, initramfs := bytes.Repeat([]byte("kernel "), 100), bytes.Repeat([]byte("initramfs "), 77)
	require.NoError(t, peer.Lay(map[string][]byte{"kernel": kernel, "initramfs": initramfs}))
	for _, c := range []struct {
		source peers.FITSource
		wants  string // the signatures that a device goes by
	}{{peers.FITSource{Config: "sha256,rsa2048", Hashes: []string{"sha256", "crc32"}}, "conf"}, {peers.FITSource{Config: "sha256,rsa2048", Others: true}, "conf"}, {peers.FITSource{Images: "sha256,rsa2048"}, "image"},
		{peers.FITSource{Config: "sha256,rsa2048", Images: "sha256,rsa2048"}, "conf"}, {peers.FITSource{Config: "sha256,rsa2048", Images: "sha256,rsa2048"}, "image"}} {
		source, what := c.source, c.source.Config+" "+c.source.Images+" "+c.wants
		for board, k := range map[string]*rsa.PrivateKey{stranger1: other.(*rsa.PrivateKey), nobody: nil, maker1: key} {
			require.NoError(t, peer.Board(t.Context(), board))
			if k == nil {
				continue
			}
			require.NoError(t, peer.Key("boot", k))
			_, err := peer.FIT(t.Context(), source.String(), "-K", board, "-r")
			require.NoError(t, err)
			_, err = peer.Run(t.Context(), "fdtput", "-t", "s", board, "/signature/key-boot", "required", c.wants)
			require.NoError(t, err)
		}
		require.NoError(t, peer.Key("boot", key))
		files, names := [][]byte{}, []string{}
		lacks := map[string]mutant.Property{}
		for _, args := range [][]string{nil, {"-E"}, {"-E", "-p", "0x1000"}} {
			parent, err := peer.FIT(t.Context(), source.String(), args...)
			require.NoError(t, err)
			if len(args) > 1 { // in a slot
				parent = append(parent, bytes.Repeat([]byte{0xff}, 4096)...)
			}
			for _, free := range [][]Range{nil, free} {
				files, names = append(files, parent), append(names, "parent")
				set, err := Plan(parent, Options{Seed: 1, Keys: []*rsa.PublicKey{&key.PublicKey}, Free: free})
				require.NoError(t, err)
				for _, r := range set.Recipes {
					if r.Unmade == onlyData && source.Images != "" && free == nil {
						continue
					}
					m, err := r.Make()
					require.NoError(t, err, "%s %v", r.Name, args)
					files, names, lacks[m.Name] = append(files, m.Bytes()), append(names, m.Name), m.Lacks
				}
			}
		}
		for board, takes := range map[string]func(name string) bool{
			maker1:    func(name string) bool { return name == "parent" },
			stranger1: func(name string) bool { return name == "fit-wrong-key" },
			nobody:    func(name string) bool { return name == "parent" || lacks[name] == mutant.Authenticity },
		} {
			said, console, err := peer.Judge(t.Context(), board, "gateway", files)
			require.NoError(t, err)
			n := map[string]int{}
			for i, name := range names {
				want := map[bool]string{true: peers.Taken, false: peers.Refused}[takes(name)]
				if !assert.Equal(t, want, said[i], "%s: %s by %s", what, name, board) {
					t.Log(console)
				}
				n[name+" "+said[i]]++
			}
			t.Logf("%s %s: %v", what, board, n)
		}
	}
}

// TestHollow: what is made hollow is as whole as it was, lacks what it lacked, and is as long.
func TestHollow(t *testing.T) {
	all, key := vectors(t)
	v := fit.Verifier{Keys: []*rsa.PublicKey{key}}
	for name, parent := range all {
		t.Run(name, func(t *testing.T) {
			set, err := Plan(parent, Options{Seed: 1, Keys: v.Keys})
			require.NoError(t, err)
			for _, r := range set.Of(mutant.Unsigned, mutant.WrongKey) {
				m, err := r.Make()
				require.NoError(t, err)
				hollow, err := Hollow(m.Bytes())
				require.NoError(t, err)
				assert.Len(t, hollow, m.Len())
				was, err := fit.Parse(m.Bytes())
				require.NoError(t, err)
				img, err := fit.Unsigned(hollow)
				require.NoError(t, err, "its hashes are right")
				_, err = v.Verify(hollow)
				_, before := v.Verify(m.Bytes())
				for _, kind := range []error{fit.ErrNoSignature, fit.ErrBadSignature} {
					assert.Equal(t, errors.Is(before, kind), errors.Is(err, kind), "it is refused for the same")
				}
				assert.Equal(t, m.Bytes()[was.Len:], hollow[img.Len:])
				assert.Equal(t, was.Signatures(), img.Signatures())
				for i, c := range img.Components {
					b := img.Bytes(c)
					assert.Equal(t, was.Bytes(was.Components[i])[:head], b[:head])
					assert.Equal(t, make([]byte, len(b)-head), b[head:])
				}
			}
		})
	}
	_, err := Hollow([]byte("no image"))
	require.Error(t, err)
	img, err := fit.Parse(all["data"])
	require.NoError(t, err)
	bare, err := img.Rewrite(fit.Edit{Node: "/configurations/gateway"})
	require.NoError(t, err)
	_, err = Hollow(bare)
	assert.ErrorContains(t, err, "it is", "nothing is started of it")
}
