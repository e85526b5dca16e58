package mcuboot

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// vectors gives the folder with images that imgtool made, which is no part of the
// project.
func vectors(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("RIGOR_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "vectors")
	}
	dir = filepath.Join(dir, "mcuboot")
	if _, err := os.Stat(filepath.Join(dir, "app-a.bin")); err != nil {
		t.Skip("needs the vectors: set RIGOR_VECTORS to a folder with mcuboot/*.bin as imgtool signed them, their keys and dumps")
	}
	return dir
}

// vector reads a file of the vectors.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors(t), name))
	require.NoError(t, err)
	return b
}

// images gives the names of the signed images without their ending.
func images(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(vectors(t), "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 17)
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".yaml"))
	}
	return names
}

// signer reads a private key of the vectors.
func signer(t testing.TB, name string) crypto.Signer {
	t.Helper()
	block, _ := pem.Decode(vector(t, name+".pem"))
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.(crypto.Signer)
}

// public reads a public key of the vectors.
func public(t testing.TB, name string) Key {
	t.Helper()
	if name == "other" {
		k, err := NewKey(signer(t, name).Public())
		require.NoError(t, err)
		return k
	}
	k, err := ParseKey(vector(t, name+".pub.pem"))
	require.NoError(t, err)
	return k
}

func TestVectorsRoundTrip(t *testing.T) {
	for _, name := range images(t) {
		t.Run(name, func(t *testing.T) {
			b := vector(t, name+".bin")
			img, err := Parse(b)
			require.NoError(t, err)
			out, err := img.Marshal()
			require.NoError(t, err)
			assert.Equal(t, b, out)
			regions, err := Regions(b)
			require.NoError(t, err)
			at := 0
			for _, r := range regions {
				require.Equal(t, at, r.Offset, r.Name)
				at = r.End()
			}
			assert.Len(t, b, at)
		})
	}
}

// dump is what imgtool dumpinfo says.
type dump struct {
	Header struct {
		Magic         uint32 `yaml:"magic"`
		LoadAddr      uint32 `yaml:"load_addr"`
		HdrSize       int    `yaml:"hdr_size"`
		ProtectedSize int    `yaml:"protected_tlv_size"`
		ImgSize       int    `yaml:"img_size"`
		Flags         uint32 `yaml:"flags"`
		Version       string `yaml:"version"`
	} `yaml:"header"`
	Area struct {
		Protected []dumped `yaml:"tlvs_prot"`
		TLVs      []dumped `yaml:"tlvs"`
	} `yaml:"tlv_area"`
}

type dumped struct {
	Type uint16 `yaml:"type"`
	Name string `yaml:"type_name"`
	Len  int    `yaml:"len"`
	Data string `yaml:"data"`
}

// TestVectorsRead: imgtool reads the same out of each image.
func TestVectorsRead(t *testing.T) {
	for _, name := range images(t) {
		t.Run(name, func(t *testing.T) {
			img, err := Parse(vector(t, name+".bin"))
			require.NoError(t, err)
			var d dump
			require.NoError(t, yaml.Unmarshal(vector(t, name+".yaml"), &d))
			assert.Equal(t, d.Header.Version, img.Version.String())
			assert.Equal(t, d.Header.LoadAddr, img.LoadAddr)
			assert.Equal(t, d.Header.Flags, img.Flags)
			assert.Equal(t, d.Header.HdrSize, HeaderSize+len(img.Extension))
			assert.Len(t, img.Payload, d.Header.ImgSize)
			assert.Equal(t, d.Header.ProtectedSize, protectedSize(img))
			for _, area := range []struct {
				want []dumped
				got  []TLV
			}{{d.Area.Protected, img.Protected}, {d.Area.TLVs, img.TLVs}} {
				require.Len(t, area.got, len(area.want))
				for i, w := range area.want {
					assert.Equal(t, w.Type, area.got[i].Type)
					assert.Equal(t, w.Name, TypeName(area.got[i].Type))
					assert.Equal(t, w.Data, string(area.got[i].Value))
				}
			}
		})
	}
}

func TestVectorsMeaning(t *testing.T) {
	img, err := Parse(vector(t, "dep-v2.0.0.bin"))
	require.NoError(t, err)
	needs, err := img.Dependencies()
	require.NoError(t, err)
	assert.Equal(t, []Needs{{Image: 1, Version: Version{1, 2, 0, 0}}}, needs)
	assert.Equal(t, TLV{Dependency, img.Protected[1].Value}, needs[0].TLV())
	n, ok := img.SecurityCounter()
	assert.True(t, ok)
	assert.Equal(t, uint32(4), n)
	assert.Equal(t, vector(t, "app-b.bin"), img.Payload)
	img, err = Parse(vector(t, "ed25519pure-v1.3.0+7.bin"))
	require.NoError(t, err)
	_, ok = img.SecurityCounter()
	assert.False(t, ok)
}

// TestVectorsVerify: each image by each key, and what the README of the vectors says
// that imgtool says.
func TestVectorsVerify(t *testing.T) {
	keys := []string{"rsa-2048", "rsa-3072", "ecdsa-p256", "ed25519", "other"}
	by := func(name string) string {
		switch {
		case strings.HasPrefix(name, "dep-"), strings.HasPrefix(name, "fullpubkey-"):
			return "ecdsa-p256"
		case strings.HasPrefix(name, "ed25519pure-"):
			return "ed25519"
		case strings.HasPrefix(name, "wrongkey-"):
			return "other"
		case strings.HasPrefix(name, "unsigned-"):
			return ""
		}
		return name[:strings.LastIndex(name, "-v")]
	}
	judged := 0
	for _, name := range images(t) {
		for _, key := range keys {
			t.Run(name+" by "+key, func(t *testing.T) {
				b := vector(t, name+".bin")
				found, err := Verifier{[]Key{public(t, key)}}.Verify(b)
				switch by(name) {
				case key:
					require.NoError(t, err)
					assert.Equal(t, public(t, key), *found.Key)
				case "":
					assert.ErrorIs(t, err, ErrNoSignature)
				default:
					assert.ErrorIs(t, err, ErrUnknownKey)
				}
				judged++
			})
		}
		t.Run(name+" unsigned", func(t *testing.T) {
			found, err := Unsigned(vector(t, name+".bin"))
			require.NoError(t, err)
			assert.Nil(t, found.Key)
		})
	}
	assert.Equal(t, len(images(t))*len(keys), judged)
}

// TestVectorsSign: Ed25519 and the hashes have but one result; with them an image that
// is made here is imgtool's, byte for byte.
func TestVectorsSign(t *testing.T) {
	key := signer(t, "ed25519")
	for _, v := range []struct {
		name    string
		version Version
		counter []TLV
		o       SignOptions
	}{
		{"ed25519-v1.1.0+0", Version{1, 1, 0, 0}, []TLV{CounterTLV(1)}, SignOptions{}},
		{"ed25519-v1.2.0+0", Version{1, 2, 0, 0}, []TLV{CounterTLV(2)}, SignOptions{}},
		{"ed25519-v1.3.0+7", Version{1, 3, 0, 7}, []TLV{CounterTLV(3)}, SignOptions{}},
		{"ed25519pure-v1.3.0+7", Version{1, 3, 0, 7}, nil, SignOptions{Hash: SHA512, Pure: true}},
	} {
		t.Run(v.name, func(t *testing.T) {
			want := vector(t, v.name+".bin")
			img := &Image{Version: v.version, Extension: bytes.Repeat([]byte{0xff}, 0x200-HeaderSize), Payload: vector(t, "app-a.bin"), Protected: v.counter}
			require.NoError(t, img.Sign(key, v.o))
			got, err := img.Marshal()
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	// Others differ in the signature alone.
	for _, name := range []string{"rsa-2048", "rsa-3072", "ecdsa-p256"} {
		t.Run(name, func(t *testing.T) {
			img, err := Parse(vector(t, name+"-v1.3.0+7.bin"))
			require.NoError(t, err)
			again := img.Clone()
			require.NoError(t, again.Sign(signer(t, name), SignOptions{}))
			assert.Equal(t, img.TLVs[:2], again.TLVs[:2])
			assert.Equal(t, img.TLVs[2].Type, again.TLVs[2].Type)
			b, err := again.Marshal()
			require.NoError(t, err)
			_, err = Verifier{[]Key{public(t, name)}}.Verify(b)
			assert.NoError(t, err)
		})
	}
	t.Run("fullpubkey", func(t *testing.T) {
		img, err := Parse(vector(t, "fullpubkey-v1.3.0+7.bin"))
		require.NoError(t, err)
		again := img.Clone()
		require.NoError(t, again.Sign(signer(t, "ecdsa-p256"), SignOptions{WholeKey: true}))
		assert.Equal(t, img.TLVs[:2], again.TLVs[:2])
	})
}
