package snmp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what agents of their time take: RFC 3414
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // likewise
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"
)

// Digests and ciphers of version 3 (RFC 3414, RFC 7860, RFC 3826).
const (
	MD5    = "md5"
	SHA    = "sha"
	SHA224 = "sha224"
	SHA256 = "sha256"
	SHA384 = "sha384"
	SHA512 = "sha512"

	AES = "aes"
	DES = "des"
)

// Digests lists what a password can authenticate by.
func Digests() []string { return []string{MD5, SHA, SHA224, SHA256, SHA384, SHA512} }

// Ciphers lists what can encrypt.
func Ciphers() []string { return []string{AES, DES} }

// digests gives each with how many bytes of it are sent.
var digests = map[string]struct {
	make func() hash.Hash
	sent int
}{
	MD5: {md5.New, 12}, SHA: {sha1.New, 12}, SHA224: {sha256.New224, 16},
	SHA256: {sha256.New, 24}, SHA384: {sha512.New384, 32}, SHA512: {sha512.New, 48},
}

// expanded is how many bytes a password is repeated to (RFC 3414, section A.2).
const expanded = 1 << 20

// localKey gives the key that a password, which is not empty, is at an engine.
func localKey(digest, password string, engine []byte) []byte {
	h := digests[digest].make()
	block := make([]byte, 0, 64*len(password))
	for len(block) < 64*len(password) { // whole passwords, a whole number of blocks
		block = append(block, password...)
	}
	for left := expanded; left > 0; left -= len(block) {
		h.Write(block[:min(left, len(block))])
	}
	key := h.Sum(nil)
	h.Reset()
	h.Write(key)
	h.Write(engine)
	h.Write(key)
	return h.Sum(nil)
}

// sign gives the bytes of the message with its digest in place.
func (u *usm) sign(digest string, key []byte) []byte {
	u.auth = make([]byte, digests[digest].sent)
	u.auth = mac(digest, key, u.bytes())
	return u.bytes()
}

func mac(digest string, key, b []byte) []byte {
	h := hmac.New(digests[digest].make, key)
	h.Write(b)
	return h.Sum(nil)[:digests[digest].sent]
}

// signed says whether the bytes of a received message have the digest that it
// shows.
func (u *usm) signed(digest string, key, whole []byte) bool {
	if len(u.auth) != digests[digest].sent {
		return false
	}
	// The digest is a piece of whole, which is looked at with zeros in its place.
	at := cap(whole) - cap(u.auth)
	if at < 0 || at+len(u.auth) > len(whole) {
		return false
	}
	blank := slices.Clone(whole)
	clear(blank[at : at+len(u.auth)])
	return hmac.Equal(u.auth, mac(digest, key, blank))
}

// crypt encrypts or decrypts with the local key of a password; nil where it cannot.
func (u *usm) crypt(method string, key, text []byte, decrypt bool) []byte {
	if len(u.priv) != 8 {
		return nil
	}
	if method == DES {
		return u.des(key, text, decrypt)
	}
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil
	}
	iv := binary.BigEndian.AppendUint32(nil, uint32(u.boots))
	iv = append(binary.BigEndian.AppendUint32(iv, uint32(u.time)), u.priv...)
	// CFB with whole blocks (RFC 3826, section 3.1.3), which the standard library
	// has for old protocols alone.
	out, mask := make([]byte, len(text)), make([]byte, aes.BlockSize)
	for i := 0; i < len(text); i += aes.BlockSize {
		block.Encrypt(mask, iv)
		end := min(i+aes.BlockSize, len(text))
		for j := i; j < end; j++ {
			out[j] = text[j] ^ mask[j-i]
		}
		if decrypt {
			copy(iv, text[i:end])
		} else {
			copy(iv, out[i:end])
		}
	}
	return out
}

// des is CBC (RFC 3414, section 8.1.1).
func (u *usm) des(key, text []byte, decrypt bool) []byte {
	block, err := des.NewCipher(key[:8]) //nolint:gosec // see above
	if err != nil {
		return nil
	}
	iv := make([]byte, 8)
	for i := range iv {
		iv[i] = key[8+i] ^ u.priv[i]
	}
	if decrypt {
		if len(text)%8 != 0 {
			return nil
		}
		out := make([]byte, len(text))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, text)
		return out
	}
	out := append(slices.Clone(text), make([]byte, (8-len(text)%8)%8)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	return out
}
