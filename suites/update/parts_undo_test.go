package update_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/rigs/rigtest"
	"rigor/suites/update"
)

// killed gives what a run that was killed behind each write of a slot leaves: the memory,
// and what it had written down.
func killed(t *testing.T) (memories [][]byte, left map[string]string) {
	t.Helper()
	r := newPartsRig(t, partsPlan{})
	store, err := rig.OpenStore(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	r.Store = store
	r.d.written = func(memory []byte) {
		memories = append(memories, memory)
		pending, err := store.Pending()
		if assert.NoError(t, err) && assert.Len(t, pending, 1) && left == nil {
			left = pending[0].Undo
		}
	}
	assert.Equal(t, "pass", rigtest.Judged(r.judged(t)))
	pending, err := store.Pending()
	require.NoError(t, err)
	assert.Empty(t, pending, "it was put right")
	require.Len(t, memories, 2*10)
	require.Equal(t, "kernel.gz", left["part"])
	return memories, left
}

// undone begins a run behind one that was killed.
func (r *partsRig) undone(t *testing.T, memory []byte, left map[string]string) (pending int) {
	t.Helper()
	store, err := rig.OpenStore(filepath.Join(t.TempDir(), "state"))
	require.NoError(t, err)
	_, err = store.Begin(rig.Intent{Kind: update.IntentSlots, What: "slots are written", Undo: left})
	require.NoError(t, err)
	copy(r.d.memory, memory)
	r.Store = store
	k := r.judged(t)
	all, err := store.Pending()
	require.NoError(t, err)
	if len(all) == 0 {
		assert.Equal(t, "pass", rigtest.Judged(k), "%s", k.Judgement)
	}
	return len(all)
}

// TestPartsUndone: wherever a run was killed, the next one puts the parts back.
func TestPartsUndone(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a stand-in many times")
	}
	t.Parallel()
	memories, left := killed(t)
	anonymous := func(text string) string {
		from, to := strings.Index(text, "identity:"), strings.Index(text, "consoles:")
		return text[:from] + text[to:]
	}
	for _, c := range []struct {
		name string
		prof func(string) string
		at   []int // behind which writes
	}{
		{"it says who it is", nil, []int{0, 3, 6, 13}},
		{"it does not", anonymous, []int{3, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, i := range c.at {
				r := newPartsRig(t, partsPlan{prof: c.prof})
				assert.Zero(t, r.undone(t, memories[i], left), "behind write %d", i)
				now := r.d.held()
				assert.True(t, bytes.HasPrefix(now[partsA:], r.kernels["current"]), "behind write %d", i)
				assert.True(t, bytes.HasPrefix(now[partsB:], r.kernels["older"]), "behind write %d", i)
				assert.True(t, bytes.Equal(r.was[:partsA], now[:partsA]))
				assert.True(t, bytes.Equal(r.was[partsB+partsSlot:], now[partsB+partsSlot:]))
			}
		})
	}
	with := func(key, value string) map[string]string {
		out := map[string]string{}
		for k, v := range left {
			out[k] = v
		}
		out[key] = value
		return out
	}
	for _, c := range []struct {
		name string
		left map[string]string
		prof func(string) string
		slot []byte // what the first slot holds now
	}{
		{"an unknown image", with("slot 12288", "lost.swu"), nil, nil},
		{"another part", with("part", "root"), nil, nil},
		{"no part is declared any more", left, func(text string) string {
			return strings.Replace(text, "part: kernel.gz, format: fit, ", "", 1)
		}, nil},
		{"a slot that is none", with("slot 24000", "older.swu"), nil, nil},
		{"another unit, that does not say so", left, anonymous, []byte("what neither run has written there")},
	} {
		t.Run("refused: "+c.name, func(t *testing.T) {
			t.Parallel()
			r := newPartsRig(t, partsPlan{prof: c.prof})
			memory := bytes.Clone(memories[3]) // nothing starts
			copy(memory[partsA:], c.slot)
			assert.Equal(t, 1, r.undone(t, memory, c.left))
			assert.True(t, bytes.Equal(memory, r.d.held()), "nothing was written")
		})
	}
}

// TestPartsOfAFlashThatWears: as many writes are left as put the slots right, however many
// a device costs that shows nothing of what it refuses.
func TestPartsOfAFlashThatWears(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a stand-in many times")
	}
	t.Parallel()
	for _, c := range []struct {
		name, writes string
		want         verdict.Reason
	}{
		{"not enough to begin", "26", verdict.ReasonRigLacks},
		{"enough for one that shows what it does", "27", verdict.ReasonRigLacks},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newPartsRig(t, partsPlan{kind: partsKind{hangs: true}, rig: "limits: {flash-writes: " + c.writes + "}\n"})
			k := r.judged(t)
			assert.Equal(t, "inconclusive."+string(c.want), rigtest.Judged(k), "%s", k.Judgement)
			assert.True(t, bytes.Equal(r.was, r.d.held()), "what the slots held is there again")
		})
	}
	t.Run("a device that shows what it does", func(t *testing.T) {
		t.Parallel()
		r := newPartsRig(t, partsPlan{rig: "limits: {flash-writes: 27}\n"})
		k := r.judged(t)
		assert.Equal(t, "pass", rigtest.Judged(k), "%s", k.Judgement)
	})
}
