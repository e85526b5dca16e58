package rig

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Alphabets of derived secrets. Letters and digits alone survive every
// console, form and shell without quoting.
const (
	AlphabetDigits = "0123456789"
	AlphabetHex    = "0123456789abcdef"
	AlphabetAlnum  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

// AlphabetASCII has all printable characters of ASCII but the space, which
// forms are known to trim.
var AlphabetASCII = func() string {
	var b strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

const seedFile = "seed"

// DeriveSecret gives the temporary secret with this label: HMAC-SHA256 (RFC
// 2104) under a key that never leaves the state folder, mapped to the alphabet
// without bias. The next start gets the same from the label that an intent
// holds, so no secret is ever written down. The label should be unique for
// each secret. Where the alphabet has lower case, upper case, digits or signs
// and the length allows, the secret has one of each, as passwords are often
// asked to. The alphabet needs 2 to 256 different bytes, the length is 1 to
// 1024.
func (s *Store) DeriveSecret(label, alphabet string, length int) (string, error) {
	switch {
	case label == "":
		return "", errors.New("derive a secret: it needs a label")
	case length < 1 || length > 1024:
		return "", fmt.Errorf("derive secret %q: length %d is not in 1 to 1024", label, length)
	case len(alphabet) < 2 || len(alphabet) > 256 || repeats(alphabet):
		return "", fmt.Errorf("derive secret %q: the alphabet needs 2 to 256 different bytes", label)
	}
	key, err := s.seed()
	if err != nil {
		return "", fmt.Errorf("derive secret %q: %w", label, err)
	}
	want := classes(alphabet)
	if len(want) > length || length < 4 {
		want = nil
	}
	// With 62 characters and length 8 about one of two candidates has all
	// classes; 1000 without one does not happen.
	for round := range uint32(1000) {
		if c := candidate(key, label, alphabet, length, round); hasAll(c, want) {
			return c, nil
		}
	}
	return "", fmt.Errorf("derive secret %q: no candidate has every class of the alphabet", label)
}

// candidate maps the stream HMAC(key, round, block, label) to the alphabet.
// Bytes past the largest multiple of its size are dropped, else some
// characters would come up more often.
func candidate(key []byte, label, alphabet string, length int, round uint32) string {
	out := make([]byte, 0, length)
	limit := 256 - 256%len(alphabet)
	for block := uint32(0); ; block++ {
		mac := hmac.New(sha256.New, key)
		mac.Write(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, round), block))
		mac.Write([]byte(label))
		for _, b := range mac.Sum(nil) {
			if int(b) >= limit {
				continue
			}
			out = append(out, alphabet[int(b)%len(alphabet)])
			if len(out) == length {
				return string(out)
			}
		}
	}
}

func repeats(s string) bool {
	var seen [256]bool
	for i := range len(s) {
		if seen[s[i]] {
			return true
		}
		seen[s[i]] = true
	}
	return false
}

func class(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return 0
	case c >= 'A' && c <= 'Z':
		return 1
	case c >= '0' && c <= '9':
		return 2
	}
	return 3
}

func classes(s string) map[int]bool {
	m := map[int]bool{}
	for i := range len(s) {
		m[class(s[i])] = true
	}
	return m
}

func hasAll(s string, want map[int]bool) bool {
	got := classes(s)
	for c := range want {
		if !got[c] {
			return false
		}
	}
	return true
}

// seed reads the key, and makes one where there is none yet.
func (s *Store) seed() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, seedFile)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.newSeed(path)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it", path, mode)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("%s is damaged: the temporary secrets of earlier runs are lost with it; put the device right by hand, then remove it", path)
	}
	return key, nil
}

func (s *Store) newSeed(path string) ([]byte, error) {
	// With a new key the secrets of open intents would be other ones.
	if left, _ := filepath.Glob(filepath.Join(s.dir, intentsDir, "*-"+IntentPassword+"*"+intentExt)); len(left) > 0 {
		return nil, fmt.Errorf("%s is gone, and %s needs it: put the device's password right by hand, then remove that file", path, left[0])
	}
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	if err := writeDurably(path, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, err
	}
	return key, nil
}
