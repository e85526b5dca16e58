package update_test

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/rigs/rigtest"
	"rigor/suites/update"
)

// Sizes of an image of the stand-in's: a format that nobody else has.
const (
	opaqueName    = 8
	opaqueVersion = 12
	opaquePart    = 1 << 10
	opaqueHead    = opaqueName + opaqueVersion + 4
	opaqueSigned  = opaqueHead + 2*opaquePart + sha256.Size
	opaqueAll     = opaqueSigned + ed25519.SignatureSize
)

// opaqueLayout declares it.
const opaqueLayout = `  layout:
    ranges:
      - {name: product, role: header, from: 0, to: 8}
      - {name: version, role: version, from: 8, to: 20}
      - {name: counter, role: counter, from: 20, to: 24}
      - {name: kernel, role: payload, from: 24, to: 1048}
      - {name: system, role: payload, from: 1048, to: 2072}
      - {name: hash, role: digest, from: 2072, to: 2104}
      - {name: signature, role: signature, from: 2104, to: 2168}
    checks: [{range: hash, algorithm: sha256, covers: [product, version, counter, kernel, system]}]
    signed: {range: signature, scheme: ed25519, covers: [product, version, counter, kernel, system, hash]}
    free: [system]
`

func opaqueKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

// opaque makes an image of the maker's.
func opaque(product, version string, counter uint32, fill byte) []byte {
	b := make([]byte, opaqueHead, opaqueAll)
	copy(b, product)
	copy(b[opaqueName:], version)
	binary.LittleEndian.PutUint32(b[opaqueName+opaqueVersion:], counter)
	b = append(b, bytes.Repeat([]byte{fill}, opaquePart)...)
	b = append(b, bytes.Repeat([]byte{fill + 100}, opaquePart)...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return append(b, ed25519.Sign(opaqueKey(1), b)...)
}

// opaqueImages are what the maker hands out.
func opaqueImages() map[string][]byte {
	out := map[string][]byte{
		"current": opaque("ACME-9", "2.0.0", 20, 1), "second": opaque("ACME-9", "2.0.0", 20, 2),
		"older": opaque("ACME-9", "1.9.0", 19, 3), "other": opaque("ACME-7", "3.0.0", 22, 4),
	}
	for i := range 16 {
		out[fmt.Sprintf("newer-%d", i+1)] = opaque("ACME-9", fmt.Sprintf("2.%d.0", i+1), uint32(21+i), byte(10+i))        //nolint:gosec // small
		out[fmt.Sprintf("newer-%d-second", i+1)] = opaque("ACME-9", fmt.Sprintf("2.%d.0", i+1), uint32(21+i), byte(30+i)) //nolint:gosec // small
	}
	return out
}

// opaqueWrites is how long it writes an image. It serves one request at a time: whoever comes
// meanwhile is kept waiting. Into what takes no time, nothing could be sent.
const opaqueWrites = 200 * time.Millisecond

// opaqueDevice takes such images over HTTP. What is wrong with it is in weak.
type opaqueDevice struct {
	weak string

	mu    sync.Mutex
	runs  []byte
	waits []byte
	boots int
}

// verify says why an image is not taken.
func (d *opaqueDevice) verify(b []byte) string {
	switch {
	case len(b) == opaqueSigned && d.weak == "unsigned":
	case len(b) != opaqueAll:
		return "length"
	}
	if sum := sha256.Sum256(b[:opaqueSigned-sha256.Size]); !bytes.Equal(sum[:], b[opaqueSigned-sha256.Size:opaqueSigned]) {
		return "hash"
	}
	signed := len(b) == opaqueAll && ed25519.Verify(opaqueKey(1).Public().(ed25519.PublicKey), b[:opaqueSigned], b[opaqueSigned:])
	switch {
	case signed:
	case d.weak == "unsigned" && len(b) == opaqueSigned, d.weak == "hash-only":
	case d.weak == "parts" && d.known(b):
	default:
		return "signature"
	}
	if !bytes.HasPrefix(b, []byte("ACME-9\x00\x00")) && d.weak != "product" {
		return "product"
	}
	if counterOf(b) < counterOf(d.runs) && d.weak != "older" {
		return "older"
	}
	return ""
}

// known says whether each part of an image is one that the maker has signed in some image.
func (d *opaqueDevice) known(b []byte) bool {
	for at, end := range map[int]int{0: opaqueHead, opaqueHead: opaqueHead + opaquePart, opaqueHead + opaquePart: opaqueHead + 2*opaquePart} {
		ok := false
		for _, img := range opaqueImages() {
			ok = ok || bytes.Equal(img[at:end], b[at:end])
		}
		if !ok {
			return false
		}
	}
	return true
}

func counterOf(b []byte) uint32 { return binary.LittleEndian.Uint32(b[opaqueName+opaqueVersion:]) }

func versionOf(b []byte) string {
	return strings.TrimRight(string(b[opaqueName:opaqueName+opaqueVersion]), "\x00")
}

func (d *opaqueDevice) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	say := func(status int, v any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if user, pass, ok := req.BasicAuth(); req.URL.Path != "/info" && (!ok || user != "admin" || pass != "Keeper-of-7-boxes") {
		w.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
		say(http.StatusUnauthorized, "no")
		return
	}
	switch req.Method + " " + req.URL.Path {
	case "GET /info":
		say(http.StatusOK, map[string]string{"serial": "AC-9"})
	case "GET /status":
		sum := sha256.Sum256(d.runs[opaqueHead : opaqueHead+2*opaquePart])
		waits := ""
		if d.waits != nil {
			waits = versionOf(d.waits)
		}
		say(http.StatusOK, map[string]string{"version": versionOf(d.runs), "digest": hex.EncodeToString(sum[:]), "pending": waits, "boot": fmt.Sprint(d.boots)})
	case "POST /update":
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if why := d.verify(b); why != "" {
			say(http.StatusUnprocessableEntity, "refused: "+why)
			return
		}
		time.Sleep(opaqueWrites)
		d.waits = b
		say(http.StatusOK, "taken")
	case "POST /reboot":
		if d.boots++; d.waits != nil {
			d.runs, d.waits = d.waits, nil
		}
		say(http.StatusOK, "again")
	default:
		say(http.StatusNotFound, "no")
	}
}

// opaqueRig writes the rig of a stand-in, its profile and what its maker hands out.
func opaqueRig(t *testing.T, weak, tells string) *runner.Job {
	t.Helper()
	dir := t.TempDir()
	images := opaqueImages()
	server := httptest.NewServer(&opaqueDevice{weak: weak, runs: images["current"]})
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	write := func(name string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for name, b := range images {
		write(name+".bin", b)
	}
	der, err := x509.MarshalPKIXPublicKey(opaqueKey(1).Public())
	require.NoError(t, err)
	write("maker.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	der, err = x509.MarshalPKCS8PrivateKey(opaqueKey(2))
	require.NoError(t, err)
	write("dev.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write("operator.txt", []byte("Keeper-of-7-boxes\n"))
	write("rig.yaml", []byte("rig: opaque\nprofile: profile.yaml\nunit: {serial: AC-9}\nallow: [login-tries, config, update]\nnetwork: {address: 127.0.0.1}\nsecrets: {operator: \"file:operator.txt\"}\n"))
	write("profile.yaml", []byte(`profile: acme-9
maker: Acme
model: ACME-9
firmware:
  read: [{http: GET /status, login: web, as: owner, extract: {version: $.version, `+tells+`pending: $.pending, boot: $.boot}}]
identity: {steps: [{http: GET /info, port: `+port+`, extract: {serial: $.serial}}], equals: unit.serial}
consoles: {none: it has none}
logins:
  web:
    protocol: http-basic
    port: `+port+`
    owner: {user: admin, password: secret:operator}
    proof: {get: /status, status: 200, match: '"boot"'}
    lockout: {none: it has none}
states:
  onboarded: {logins: [web], services: [tcp/`+port+`], holds: [{http: GET /info, port: `+port+`, expect: {status: 200}}]}
images:
  format: blob
  keys: maker.pem
  dev-keys: dev.pem
  current: current.bin
  newer: [second.bin, 'newer-{1..16}.bin', 'newer-{1..16}-second.bin']
  older: older.bin
  other-product: other.bin
  equal: true
  components: 2
  return-to: {none: it only goes upwards}
  channels: [web]
  way-back: {over: web}
`+opaqueLayout+`updates:
  web:
    steps: [{http: POST /update, login: web, as: owner, upload: '${image}'}]
    refused: {status: 422, match: 'refused: '}
    apply: [{http: POST /reboot, login: web, as: owner}]
    stranger: {refused: {status: 401}}
    cut: {none: the rig cannot cut its power}
recovery: {none: it does not stop}
`))
	file, prof, err := rigs.Load(filepath.Join(dir, "rig.yaml"))
	require.NoError(t, err)
	return &runner.Job{File: file, Profile: prof, Suites: []check.Suite{update.Suite}, Drivers: rigs.Drivers(), Dir: filepath.Join(dir, "run"), RunID: "test", Seed: 7, Exec: rigs.Exec,
		Env: rig.Env{Dir: dir}}
}

// TestOpaqueImages: images of a maker's own format, of which the profile declares bytes and
// no more, are delivered and judged as any others are.
func TestOpaqueImages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("updates a device many times")
	}
	always := map[string]string{ // what its maker does not say, or its images do not have
		"boot-selfconsistent": "inconclusive.profile-missing", "upd-failed-boot-revert": "inconclusive.profile-missing", "upd-boot-verify": "inconclusive.profile-missing",
		"upd-structure": "inconclusive.coverage-gap", "upd-every-channel": "not-applicable.declared-none", "upd-power-cut": "not-applicable.declared-none", "upd-authorised-rollback": "not-applicable.declared-none",
	}
	const digest = "digest: $.digest, "
	for _, c := range []struct {
		name, weak, tells string
		want              map[string]string // every other case passes
	}{
		{"hardened", "", digest, nil},
		// A genuine image and a forged one show the same then: little can be said, and nothing
		// against the device.
		{"it tells no digest", "", "", nil},
		{"it looks at no signature", "hash-only", digest, map[string]string{"upd-bitflip": "fail.access", "upd-signature-shape": "fail.access", "upd-wrong-key": "fail.access", "upd-dev-key": "fail.access",
			"upd-version-forge": "fail.access", "upd-mix-match": "fail.access", "upd-toctou": "inconclusive.anti-control"}},
		// What is cut off is the signature alone: what runs is the maker's, and the change is told.
		{"it takes what has no signature", "unsigned", digest, map[string]string{"upd-unsigned": "fail.access", "upd-truncated": "inconclusive.dut-changed"}},
		{"it takes what is older", "older", digest, map[string]string{"upd-downgrade": "fail.access"}},
		{"it takes another product's", "product", digest, map[string]string{"upd-other-product": "fail.access"}},
		{"it takes each part that the maker signed", "parts", digest, map[string]string{"upd-bitflip": "fail.access", "upd-mix-match": "fail.access"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := opaqueRig(t, c.weak, c.tells)
			require.NoError(t, job.Run(t.Context()))
			res, err := runner.Load(job.Dir)
			require.NoError(t, err)
			for i := range res.Cases {
				k := &res.Cases[i]
				if c.tells == "" {
					assert.NotContains(t, []verdict.Verdict{verdict.Fail, verdict.Error}, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement)
					continue
				}
				want := cmp.Or(c.want[k.Check], always[k.Check], "pass")
				assert.Equal(t, want, rigtest.Judged(k), "%s: %s", k.ID, k.Judgement)
			}
		})
	}
}
