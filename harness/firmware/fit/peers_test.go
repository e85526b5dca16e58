package fit

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/firmware/internal/peers"
)

// made gives mkimage with a maker's key of a size, and the files laid.
func made(t *testing.T, bits int) (*peers.Mkimage, *rsa.PrivateKey) {
	t.Helper()
	peer := peers.NewMkimage(t)
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	require.NoError(t, peer.Key("boot", key))
	require.NoError(t, peer.Lay(map[string][]byte{"kernel": kernel, "initramfs": initramfs}))
	return peer, key
}

// TestMkimage: what mkimage makes is read as dumpimage and fdtget read it, is genuine,
// and a signature made here is mkimage's, byte for byte.
func TestMkimage(t *testing.T) {
	all := []string{"crc32", "md5", "sha1", "sha256", "sha384", "sha512"}
	for _, c := range []struct {
		bits   int
		source peers.FITSource
	}{
		{2048, peers.FITSource{Config: "sha256,rsa2048", Hashes: all}},
		{2048, peers.FITSource{Config: "sha1,rsa2048", Others: true}},
		{2048, peers.FITSource{Images: "sha1,rsa2048"}},
		{3072, peers.FITSource{Config: "sha384,rsa3072", Extra: `compatible = "a", "b"; loadables = "kernel", "initramfs";`}},
		{4096, peers.FITSource{Config: "sha512,rsa4096", Images: "sha512,rsa4096", Hashes: all, Others: true}},
	} {
		peer, key := made(t, c.bits)
		for _, args := range [][]string{nil, {"-E"}, {"-E", "-p", "0x4000"}, {"-E", "-B", "0x200"}} {
			t.Run(strings.Join(append([]string{c.source.Config + c.source.Images}, args...), " "), func(t *testing.T) {
				b, err := peer.FIT(t.Context(), c.source.String(), args...)
				require.NoError(t, err)
				img, err := Verifier{[]*rsa.PublicKey{&key.PublicKey}}.Verify(b)
				require.NoError(t, err)
				again, err := img.Rewrite()
				require.NoError(t, err)
				assert.True(t, bytes.Equal(b[:img.Len], again))
				assert.Empty(t, bytes.Trim(b[img.Len:], "\x00"), "what follows only aligns")
				for _, s := range img.Signatures() {
					value, err := img.Sign(s, key)
					require.NoError(t, err)
					assert.Equal(t, s.Value, value, s.Path)
				}
				listed(t, peer, img)
				nodes(t, peer, img.Root, c.bits == 2048 && len(args) == 3)
				for i, want := range map[string][]byte{"0": kernel, "1": initramfs} {
					_, err := peer.Run(t.Context(), "dumpimage", "-T", "flat_dt", "-p", i, "-o", "data", "made.fit")
					require.NoError(t, err)
					got, err := os.ReadFile(filepath.Join(peer.Dir, "data"))
					require.NoError(t, err)
					assert.Equal(t, want, got)
					assert.Equal(t, want, img.Bytes(img.Components[map[string]int{"0": 0, "1": 1}[i]]))
				}
			})
		}
	}
}

// listed holds an image against what dumpimage lists of made.fit.
func listed(t *testing.T, peer *peers.Mkimage, img *Image) {
	t.Helper()
	out, err := peer.Run(t.Context(), "dumpimage", "-l", "made.fit")
	require.NoError(t, err)
	var got []string
	for line := range strings.Lines(out) {
		line = strings.Join(strings.Fields(line), " ")
		for _, known := range []string{"Image ", "Data Size:", "Hash algo:", "Hash value:", "Default Configuration:", "Configuration ", "Sign algo:", "Sign value:", "FIT description:"} {
			if strings.HasPrefix(line, known) {
				line, _, _ = strings.Cut(line, " Bytes")
				got = append(got, line)
			}
		}
	}
	want := []string{"FIT description: " + img.Root.text("description")}
	signed := func(all []Signature) {
		for _, s := range all {
			want = append(want, fmt.Sprintf("Sign algo: %s:%s", s.Algo, s.KeyName), fmt.Sprintf("Sign value: %x", s.Value))
		}
	}
	for i, c := range img.Components {
		want = append(want, fmt.Sprintf("Image %d (%s)", i, c.Name), fmt.Sprintf("Data Size: %d", c.Data.Length))
		for _, h := range c.Hashes {
			want = append(want, "Hash algo: "+h.Algo, fmt.Sprintf("Hash value: %x", h.Value))
		}
		signed(c.Signatures)
	}
	want = append(want, fmt.Sprintf("Default Configuration: '%s'", img.Default))
	for i, c := range img.Configs {
		want = append(want, fmt.Sprintf("Configuration %d (%s)", i, c.Name))
		signed(c.Signatures)
	}
	assert.Equal(t, want, got)
}

// nodes holds the names of properties, and their values if asked, against what fdtget
// says of made.fit.
func nodes(t *testing.T, peer *peers.Mkimage, n *Node, values bool) {
	t.Helper()
	names, err := peer.Run(t.Context(), "fdtget", "-p", "made.fit", n.Path)
	require.NoError(t, err)
	var ours []string
	for _, p := range n.Props {
		ours = append(ours, p.Name)
		if !values {
			continue
		}
		theirs, err := peer.Run(t.Context(), "fdtget", "-t", "bx", "made.fit", n.Path, p.Name)
		require.NoError(t, err)
		var value strings.Builder
		for _, c := range p.Value {
			fmt.Fprintf(&value, "%x ", c)
		}
		assert.Equal(t, strings.TrimSpace(value.String()), strings.TrimSpace(theirs), "%s of %s", p.Name, n.Path)
	}
	assert.Equal(t, strings.Join(ours, " "), strings.Join(strings.Fields(names), " "), n.Path)
	for _, c := range n.Nodes {
		nodes(t, peer, c, values)
	}
}

// TestFdtput: changes are those that fdtput makes, as dtc reads both, and the image
// stays one to dumpimage.
func TestFdtput(t *testing.T) {
	peer, _ := made(t, 2048)
	const sig = "/configurations/gateway/signature-1"
	for _, args := range [][]string{nil, {"-E"}, {"-E", "-p", "0x4000"}} {
		b, err := peer.FIT(t.Context(), peers.FITSource{Config: "sha256,rsa2048"}.String(), args...)
		require.NoError(t, err)
		img, err := Parse(b)
		require.NoError(t, err)
		for _, c := range []struct {
			edit Edit
			put  []string
		}{
			{Edit{Node: sig}, []string{"-r", "FIT", sig}},
			{Edit{Node: sig, Prop: "value"}, []string{"-d", "FIT", sig, "value"}},
			{Edit{"/", "description", []byte("something that is much longer\x00")}, []string{"-t", "s", "FIT", "/", "description", "something that is much longer"}},
			{Edit{"/configurations/gateway", "description", []byte("g\x00")}, []string{"-t", "s", "FIT", "/configurations/gateway", "description", "g"}},
			{Edit{"/images/kernel", "load", []byte{1, 2, 3, 4}}, []string{"-t", "x", "FIT", "/images/kernel", "load", "1020304"}},
		} {
			out, err := img.Rewrite(c.edit)
			require.NoError(t, err)
			require.NoError(t, peer.Lay(map[string][]byte{"ours.fit": out, "FIT": b[:img.TreeLen]}))
			_, err = peer.Run(t.Context(), "fdtput", c.put...)
			require.NoError(t, err)
			ours, err := peer.Run(t.Context(), "dtc", "-q", "-I", "dtb", "-O", "dts", "ours.fit")
			require.NoError(t, err)
			theirs, err := peer.Run(t.Context(), "dtc", "-q", "-I", "dtb", "-O", "dts", "FIT")
			require.NoError(t, err)
			assert.True(t, ours == theirs, "%v %+v", args, c.edit)
			_, err = peer.Run(t.Context(), "dumpimage", "-T", "flat_dt", "-p", "1", "-o", "data", "ours.fit")
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join(peer.Dir, "data"))
			require.NoError(t, err)
			assert.Equal(t, initramfs, got)
		}
	}
}
