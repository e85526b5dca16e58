package update_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/harness/wire"
	"rigor/rigs"
	"rigor/rigs/rigtest"
	"rigor/suites/update"
)

// partsImages are what the maker hands out, and what is started of them.
func partsImages(t *testing.T, name, older string, kernel func(version string) []byte) (packages, kernels map[string][]byte) {
	t.Helper()
	packages, kernels = map[string][]byte{}, map[string][]byte{}
	for file, version := range map[string]string{"older": "1.9.0", "current": "2.0.0", "newer": "2.1.0"} {
		kernels[file] = kernel(version)
		called := name
		if file == "older" {
			called = older
		}
		packages[file] = partsPackage(t, version, called, kernels[file])
	}
	return packages, kernels
}

// partsRig is a stand-in on its rig.
type partsRig struct {
	*runner.Job
	d       *partsDevice
	kernels map[string][]byte
	was     []byte // what its memory held
}

// partsPlan is what there is beside the kind of the stand-in.
type partsPlan struct {
	kind  partsKind
	file  string                      // what a package calls what is started; "": kernel.gz
	older string                      // what the older one calls it; "": the same
	image func(version string) []byte // what is started; nil: an image that the maker signed
	slots func(r *partsRig)           // changes what the slots hold; nil: what runs, and the older one
	rig   string                      // more lines of the rig file
	prof  func(text string) string
}

// newPartsRig writes its rig file and profile, and what its maker hands out.
func newPartsRig(t *testing.T, p partsPlan) *partsRig {
	t.Helper()
	p.file = cmp.Or(p.file, "kernel.gz")
	if p.image == nil {
		p.image = func(version string) []byte { return partsKernel(t, version) }
	}
	p.kind.takes = cmp.Or(p.kind.takes, "hardened")
	packages, kernels := partsImages(t, p.file, cmp.Or(p.older, p.file), p.image)
	d := &partsDevice{kind: p.kind, runs: packages["current"], memory: bytes.Repeat([]byte("whatever else. "), partsSize)[:partsSize], said: make(chan []byte), closed: make(chan struct{})}
	copy(d.memory[partsA:], kernels["current"])
	copy(d.memory[partsB:], kernels["older"])
	r := &partsRig{d: d, kernels: kernels}
	if p.slots != nil {
		p.slots(r)
	}
	d.shadow, r.was = bytes.Clone(d.memory), bytes.Clone(d.memory)
	server := httptest.NewServer(d)
	t.Cleanup(func() {
		server.Close()
		d.kind.stuck = false
		d.power(false)
	})
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	dir := t.TempDir()
	write := func(name string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	for name, b := range packages {
		write(name+".swu", b)
	}
	write("maker.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: partsCert().Raw}))
	write("operator.txt", []byte("Keeper-of-7-boxes\n"))
	write("rig.yaml", []byte(`rig: gx-1
profile: profile.yaml
unit: {serial: GX-9}
allow: [login-tries, config, update, power, storage-write]
power: {driver: exec, exec: [sh], off-settle: 1ms, rest: off, proof: cold-boot}
consoles: {main: {driver: exec, exec: [sh]}}
storages: {chip: {driver: exec, exec: [sh, '${file}'], write: [sh, '${file}']}}
network: {address: 127.0.0.1}
secrets: {operator: "file:operator.txt"}
`+p.rig))
	profile := fmt.Sprintf(`profile: gx-1
maker: Acme
model: GX-1
firmware:
  read: [{http: GET /status, login: web, as: owner, extract: {version: $.version, digest: $.digest, pending: $.pending, boot: $.boot}}]
identity: {steps: [{http: GET /info, port: %[1]s, extract: {serial: $.serial}}], equals: unit.serial}
consoles:
  main:
    newline: cr
    boot: {banner: GX-1 loader, done: system ready, within: 300ms, fail: {sign: 'boot failed, retrying'}}
logins:
  web:
    protocol: http-basic
    port: %[1]s
    owner: {user: admin, password: secret:operator}
    proof: {get: /status, status: 200, match: '"boot"'}
    lockout: {none: it has none}
states:
  onboarded: {logins: [web], services: [tcp/%[1]s], holds: [{http: GET /info, port: %[1]s, expect: {status: 200}}]}
images:
  format: swu
  keys: maker.pem
  current: current.swu
  newer: newer.swu
  older: older.swu
  return-to: {none: it only goes upwards}
  channels: [web]
  way-back: {over: web}
  slots: {storage: chip, part: kernel.gz, format: fit, at: [{offset: %[2]d, length: %[4]d}, {offset: %[3]d, length: %[4]d}]}
updates:
  web:
    steps: [{http: POST /update, login: web, as: owner, upload: '${image}'}]
    refused: {status: 422, match: 'refused: '}
    apply: [{power: cycle}]
    stranger: {refused: {status: 401}}
    cut: {none: the rig cannot cut its power}
recovery: {steps: [{power: cycle}]}
`, port, partsA, partsB, partsSlot)
	if p.prof != nil {
		profile = p.prof(profile)
	}
	write("profile.yaml", []byte(profile))
	file, prof, err := rigs.Load(filepath.Join(dir, "rig.yaml"))
	require.NoError(t, err)
	drivers := rigs.Drivers()
	drivers.Power["exec"] = func(context.Context, *rig.Power, rig.Env) (wire.Power, error) { return partsPower{d}, nil }
	drivers.Port["exec"] = func(context.Context, *rig.Port, rig.Env) (wire.Port, error) { return &partsConsole{d: d}, nil }
	drivers.Storage["exec"] = func(context.Context, *rig.Storage, rig.Env) (wire.Storage, error) { return partsClip{d}, nil }
	drivers.Link["link"] = func(context.Context, *rig.Network, rig.Env) (wire.Link, error) { return partsLink{d}, nil }
	r.Job = &runner.Job{File: file, Profile: prof, Suites: []check.Suite{update.Suite}, Drivers: drivers, Dir: filepath.Join(dir, "run"), RunID: "test", Seed: 7, Exec: rigs.Exec,
		Env: rig.Env{Dir: dir}, Selectors: []string{"upd-boot-verify"}, Undo: map[string]runner.Undo{update.IntentSlots: update.UndoSlots, update.IntentUpdate: update.Undo}}
	return r
}

// judged runs the case.
func (r *partsRig) judged(t *testing.T) *journal.Case {
	t.Helper()
	require.NoError(t, r.Run(t.Context()))
	res, err := runner.Load(r.Dir)
	require.NoError(t, err)
	assert.Empty(t, res.Damage)
	for i := range res.Cases {
		if k := &res.Cases[i]; k.Check == "upd-boot-verify" {
			t.Logf("%s %.1fs: %s", k.ID, k.Took.Seconds(), k.Judgement)
			return k
		}
	}
	t.Fatal("it was not planned")
	return nil
}

// TestParts: a loader that verifies what it starts passes, and one that does not fails.
func TestParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		kind     partsKind
		want, by string
	}{
		{"hardened", partsKind{}, "pass", ""},
		{"it takes what has right hashes", partsKind{takes: "hashes"}, "fail.access", "fit-unsigned"},
		{"it takes any signature", partsKind{takes: "any signature"}, "fail.access", "fit-wrong-key"},
		{"it takes what has no signature", partsKind{takes: "no signature"}, "fail.access", "fit-unsigned"},
		{"it checks nothing", partsKind{takes: "nothing"}, "fail.access", "fit-unsigned"},
		{"it checks nothing in the second slot", partsKind{second: "nothing"}, "fail.access", "fit-unsigned"},
		{"it looks less closely the fifth time", partsKind{tires: 4}, "fail.access", "fit-unsigned"},
		// What is refused by who starts nothing at all is not refused.
		{"hardened, and locked until a genuine image comes up", partsKind{locks: 3, frees: 1, signs: true}, "pass", ""},
		{"weak, and locked until a genuine image comes up", partsKind{takes: "no signature", locks: 3, frees: 1, signs: true}, "fail.access", "fit-unsigned"},
		{"hardened, and shows one boot that failed, and stops", partsKind{once: true}, "pass", ""},
		{"weak, and shows one boot that failed, and stops", partsKind{takes: "any signature", once: true}, "fail.access", "fit-wrong-key"},
		{"weak, and shows nothing of what cannot run", partsKind{takes: "hashes", crash: "nothing"}, "fail.access", "fit-unsigned"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && (c.kind.once || c.kind.locks > 0) {
				t.Skip("left out by -short: it waits out locks and second starts, which the other forms do without")
			}
			r := newPartsRig(t, partsPlan{kind: c.kind})
			k := r.judged(t)
			assert.Equal(t, c.want, rigtest.Judged(k), "%s", k.Judgement)
			assert.Contains(t, k.Judgement.Detail, c.by)
			assert.True(t, bytes.Equal(r.was, r.d.held()), "what the slots held is there again")
		})
	}
}

// TestPartsNeither: where nothing is shown, nothing is said: neither for the device nor
// against it.
func TestPartsNeither(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a stand-in many times")
	}
	t.Parallel()
	for _, c := range []struct {
		name string
		plan partsPlan
		left bool // the slots cannot be put right
		up   bool // it runs behind the case
	}{
		{name: "the console hears nothing", plan: partsPlan{kind: partsKind{deaf: true}}},
		{name: "the supply stays on", plan: partsPlan{kind: partsKind{stuck: true}}},
		{name: "what is written is not there", plan: partsPlan{kind: partsKind{writing: "nothing"}}},
		{name: "what is written is elsewhere", plan: partsPlan{kind: partsKind{writing: "elsewhere"}}, left: true},
		{name: "half of it is written", plan: partsPlan{kind: partsKind{writing: "half"}}, left: true},
		{name: "what is written is read back, and is not there", plan: partsPlan{kind: partsKind{writing: "unread"}}},
		{name: "it is read back, and each second start fails", plan: partsPlan{kind: partsKind{writing: "unread", sags: 2, sagging: 4}}},
		{name: "another medium is started", plan: partsPlan{kind: partsKind{rescue: "always"}}},
		{name: "another medium of another version is started", plan: partsPlan{kind: partsKind{rescue: "always", shows: "0.9.0"}}, left: true}, // genuine ones are delivered to it
		{name: "another medium behind three boots that failed", plan: partsPlan{kind: partsKind{rescue: "behind", behind: 3}}},
		{name: "another medium behind eight boots that failed ever", plan: partsPlan{kind: partsKind{rescue: "counted", behind: 8}}},
		{name: "another medium behind eight boots that failed ever, which counts anew", plan: partsPlan{kind: partsKind{rescue: "counted", behind: 8, forgets: true}}},
		{name: "another medium behind twelve boots that failed ever, which counts anew", plan: partsPlan{kind: partsKind{rescue: "counted", behind: 12, forgets: true}}},
		{name: "another medium where an image is refused", plan: partsPlan{kind: partsKind{rescue: "refused"}}},
		{name: "another medium of another version where an image is refused", plan: partsPlan{kind: partsKind{rescue: "refused", shows: "0.9.0"}}},
		{name: "it never shows that a boot failed", plan: partsPlan{kind: partsKind{quiet: true}}},
		{name: "a weak one is locked by one boot that failed", plan: partsPlan{kind: partsKind{takes: "hashes", locks: 1, frees: 1}}},
		{name: "another medium where an image is refused, and then a console that hears nothing", plan: partsPlan{kind: partsKind{rescue: "refused", deafens: 6}}},
		{name: "it does not show that it refused", plan: partsPlan{kind: partsKind{hangs: true}}},
		{name: "it starts nothing any more", plan: partsPlan{kind: partsKind{locks: 3}}},
		{name: "it starts nothing any more, and shows it", plan: partsPlan{kind: partsKind{locks: 3, signs: true}}},
		{name: "it starts something the second time", plan: partsPlan{kind: partsKind{locks: 3, frees: 2}}},
		{name: "it starts something the second time, and shows it", plan: partsPlan{kind: partsKind{locks: 3, frees: 2, signs: true}}},
		{name: "a weak one starts nothing any more, and shows it", plan: partsPlan{kind: partsKind{takes: "hashes", locks: 3, signs: true}}},
		{name: "a weak one starts something the second time", plan: partsPlan{kind: partsKind{takes: "no signature", locks: 3, frees: 2, signs: true}}},
		{name: "each second start fails", plan: partsPlan{kind: partsKind{sags: 2, sagging: 3}}},
		{name: "each second start fails, from the next on", plan: partsPlan{kind: partsKind{sags: 2, sagging: 4}}},
		{name: "each second start fails once", plan: partsPlan{kind: partsKind{sags: 2, sagging: 4, mends: true}}},
		{name: "the slots hold nothing of the maker's", plan: partsPlan{slots: func(r *partsRig) {
			copy(r.d.memory[partsA:], bytes.Repeat([]byte{0xff}, partsSlot))
			copy(r.d.memory[partsB:], partsKernel(t, "7.0.0"))
		}}},
		{name: "a slot holds nothing of the maker's", up: true, plan: partsPlan{slots: func(r *partsRig) {
			copy(r.d.memory[partsB:], "nothing of the maker's")
		}}},
		{name: "the package has no such file", up: true, plan: partsPlan{file: "kernel.xz"}},
		{name: "the other package has no such file", up: true, plan: partsPlan{older: "kernel.xz"}},
		{name: "it is no image", up: true, plan: partsPlan{kind: partsKind{raw: true}, image: func(version string) []byte { return []byte("a kernel of " + version) }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newPartsRig(t, c.plan)
			up := false
			r.Observe = func(e *journal.Event) {
				if e.CaseEnd != nil {
					up = up || r.d.answers()
				}
			}
			k := r.judged(t)
			assert.True(t, up || !c.up, "it runs behind the case")
			assert.Contains(t, []verdict.Verdict{verdict.Inconclusive, verdict.Error}, k.Judgement.Verdict, "%s", k.Judgement)
			if !c.left {
				assert.True(t, bytes.Equal(r.was, r.d.held()), "what the slots held is there again")
			}
		})
	}
}

// TestPartsOfAFlakySupply: a start that fails because of the supply is no refusal, however
// it falls.
func TestPartsOfAFlakySupply(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a stand-in many times")
	}
	t.Parallel()
	const once = 1000
	for sags, starts := range map[int][]int{once: {3, 4, 5, 6, 7}, 2: {3, 4}, 3: {3, 4, 5}} {
		for _, from := range starts {
			t.Run(fmt.Sprintf("each of %d starts from %d on", sags, from), func(t *testing.T) {
				t.Parallel()
				r := newPartsRig(t, partsPlan{kind: partsKind{takes: "no signature", sags: sags, sagging: from}})
				k := r.judged(t)
				assert.NotEqual(t, verdict.Pass, k.Judgement.Verdict, "%s", k.Judgement)
				assert.NotEqual(t, verdict.ReasonOpenToAll, k.Judgement.Reason, "%s", k.Judgement)
			})
		}
	}
}

// TestPartsTakenOnce: what was taken once, and not again, is no pass.
func TestPartsTakenOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a stand-in many times")
	}
	t.Parallel()
	for _, crash := range []string{"", "nothing"} {
		t.Run("it shows "+crash+" of what cannot run", func(t *testing.T) {
			t.Parallel()
			r := newPartsRig(t, partsPlan{kind: partsKind{takes: "hashes", rarely: 100, crash: crash}})
			k := r.judged(t)
			assert.NotEqual(t, verdict.Pass, k.Judgement.Verdict, "%s", k.Judgement)
		})
	}
}
