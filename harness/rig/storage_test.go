package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/wire"
)

// fakeStorage is a memory: what is read the next times, the last one for ever.
type fakeStorage struct {
	log    *events
	images []string
	err    error
	wrote  []byte
}

func (s *fakeStorage) Size() int64 { return 0 }
func (s *fakeStorage) Read(_ context.Context, w io.Writer) error {
	s.log.add("read storage")
	if s.err != nil {
		return s.err
	}
	image := s.images[0]
	if len(s.images) > 1 {
		s.images = s.images[1:]
	}
	_, err := io.WriteString(w, image)
	return err
}

func (s *fakeStorage) Write(_ context.Context, _ int64, b []byte) error {
	s.log.add("write storage")
	s.wrote = append(s.wrote, b...)
	return s.err
}
func (s *fakeStorage) Close() error { s.log.add("close storage"); return nil }

// clipped is a rig of fakes with a clip on the DUT's flash.
func clipped(t *testing.T, change func(*workbench, *fakeStorage)) (*workbench, *fakeStorage, *Bench) {
	t.Helper()
	w := newWorkbench()
	w.file.Power.Proof = "switch"
	w.file.Allow = []string{"power", StorageWrite}
	w.file.Storages = map[string]*Storage{"main": {Driver: "fake", Size: 4, Reset: "reset"}}
	s := &fakeStorage{log: w.log, images: []string{"\x00\x01\x02\x03"}}
	if change != nil {
		change(w, s)
	}
	d := w.drivers()
	d.Storage = map[string]func(context.Context, *Storage, Env) (wire.Storage, error){
		"fake": func(_ context.Context, _ *Storage, env Env) (wire.Storage, error) {
			if err := w.fail[env.Part]; err != nil {
				return nil, err
			}
			return s, nil
		},
	}
	b, err := Bind(t.Context(), w.file, nil, d, Env{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return w, s, b
}

func TestStorageIsReadOnlyWhileTheDUTRestsOrIsHeld(t *testing.T) {
	w, s, b := clipped(t, func(w *workbench, _ *fakeStorage) { w.power.state = wire.PowerOn })
	main := b.Storages["main"]
	read := func() error { return main.Read(t.Context(), io.Discard) }
	err := read()
	require.ErrorIs(t, err, wire.ErrRuns)
	assert.ErrorContains(t, err, "storage.main: read: the DUT runs: its memory is read while it is off, or held in reset")
	_, fault := wire.AsFault(err)
	assert.False(t, fault, "it is no trouble of the clip")

	require.NoError(t, b.Power.Off(t.Context()))
	require.NoError(t, read())
	require.NoError(t, b.Power.On(t.Context()))
	require.ErrorIs(t, read(), wire.ErrRuns)

	require.NoError(t, b.Lines["reset"].Assert(t.Context()))
	require.NoError(t, read(), "held in reset")
	require.NoError(t, main.(wire.Programmer).Write(t.Context(), 0, []byte("x")))
	require.NoError(t, b.Lines["reset"].Release(t.Context()))
	require.ErrorIs(t, read(), wire.ErrRuns)
	require.ErrorIs(t, main.(wire.Programmer).Write(t.Context(), 0, []byte("x")), wire.ErrRuns)
	assert.Equal(t, "x", string(s.wrote))

	w.power.stuck = true // the switch cannot tell, and was told to be off
	require.NoError(t, b.Power.Off(t.Context()))
	require.NoError(t, read(), "what the switch was told counts: whether it did is proven elsewhere")
}

func TestStorageTellsThroughWhatItWasRead(t *testing.T) {
	_, _, b := clipped(t, func(w *workbench, s *fakeStorage) {
		w.file.Storages["main"].Through = "swd"
		s.images = []string{"\xff\xff\xff\xff", "\x00\x01\x02\x03"}
	})
	require.NoError(t, b.Power.Off(t.Context()))
	assert.Empty(t, b.ReadThrough("swd"), "it was not read")
	require.NoError(t, b.Storages["main"].Read(t.Context(), io.Discard))
	assert.Empty(t, b.ReadThrough("swd"), "a memory that is all ones gives nothing")
	require.NoError(t, b.Storages["main"].Read(t.Context(), io.Discard))
	assert.Equal(t, []string{"main"}, b.ReadThrough("swd"))
	assert.Empty(t, b.ReadThrough("jtag"))
	assert.Empty(t, b.ReadThrough(""), "it is no storage that is read past all ports")
}

func TestStorageAsksASwitchThatWasNotTold(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*fakePower)
		want error
	}{
		"off":         {func(*fakePower) {}, nil},
		"on":          {func(p *fakePower) { p.state = wire.PowerOn }, wire.ErrRuns},
		"cannot tell": {func(p *fakePower) { p.mute = true }, wire.ErrRuns},
		"broken":      {func(p *fakePower) { p.err = io.ErrUnexpectedEOF }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, b := clipped(t, func(w *workbench, _ *fakeStorage) { c.set(w.power) })
			require.ErrorIs(t, b.Storages["main"].Read(t.Context(), io.Discard), c.want)
		})
	}
	_, _, b := clipped(t, func(w *workbench, _ *fakeStorage) { w.file.Power = nil })
	require.ErrorIs(t, b.Storages["main"].Read(t.Context(), io.Discard), wire.ErrRuns, "nothing here switches the DUT off")
}

func TestStorageFaultsAndLimits(t *testing.T) {
	_, _, b := clipped(t, func(_ *workbench, s *fakeStorage) { s.images = []string{"abc"} })
	err := b.Storages["main"].Read(t.Context(), io.Discard)
	f, ok := wire.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, StoragePart("main"), f.Part)
	assert.ErrorContains(t, err, "an image of 3 bytes, and it has 4")

	_, _, b = clipped(t, func(_ *workbench, s *fakeStorage) { s.err = errors.New("clip?") })
	_, ok = wire.AsFault(b.Storages["main"].Read(t.Context(), io.Discard))
	assert.True(t, ok)

	w, _, b := clipped(t, func(w *workbench, _ *fakeStorage) { w.file.Allow = []string{"power"} })
	assert.ErrorContains(t, b.Storages["main"].(wire.Programmer).Write(t.Context(), 0, nil), "allow: [storage-write]")
	assert.NotContains(t, w.log.all(), "write storage")

	w, _, b = clipped(t, func(w *workbench, _ *fakeStorage) { w.file.Limits.FlashWrites = 1 })
	require.NoError(t, b.Storages["main"].(wire.Programmer).Write(t.Context(), 0, nil))
	require.ErrorIs(t, b.Storages["main"].(wire.Programmer).Write(t.Context(), 0, nil), wire.ErrLimit)
	assert.Equal(t, 1, b.Spent(LimitFlashWrites))
	require.NoError(t, b.Close())
	assert.Contains(t, w.log.all(), "close storage")
	require.ErrorIs(t, b.Storages["main"].Read(t.Context(), io.Discard), ErrClosed)

	_, _, b = clipped(t, func(w *workbench, _ *fakeStorage) {
		w.fail[StoragePart("main")] = &wire.Fault{Part: StoragePart("main"), Op: "open", Err: errors.New("no clip")}
	})
	assert.ErrorContains(t, b.Storages["main"].Read(t.Context(), &bytes.Buffer{}), "no clip")
	assert.Contains(t, b.Parts(), StoragePart("main"))
}

func TestDoctorReadsAMemoryTwice(t *testing.T) {
	for name, c := range map[string]struct {
		phase string
		set   func(*workbench, *fakeStorage)
		boot  bool // a cold boot follows
		want  string
		off   bool // the DUT is switched off for it
	}{
		"alike":                 {PhaseBefore, func(*workbench, *fakeStorage) {}, false, "ok storage.main: 4 bytes, alike in two readings", false},
		"loose":                 {PhaseBefore, func(_ *workbench, s *fakeStorage) { s.images = []string{"\xff\xff\xff\xff"} }, false, "broken storage.main: all 4 bytes read 0xff: the clip is loose, or the memory is empty", false},
		"differ":                {PhaseBefore, func(_ *workbench, s *fakeStorage) { s.images = []string{"abcd", "abce"} }, false, "broken storage.main: two readings differ: the clip is loose, or somebody else drives its pins", false},
		"another size":          {PhaseBefore, func(_ *workbench, s *fakeStorage) { s.images = []string{"abcde"} }, false, "broken storage.main: storage.main: read: an image of 5 bytes, and it has 4", false},
		"empty":                 {PhaseBefore, func(w *workbench, s *fakeStorage) { s.images, w.file.Storages["main"].Size = []string{""}, 0 }, false, "broken storage.main: an image without a byte", false},
		"on, and a boot to be":  {PhaseBefore, func(w *workbench, _ *fakeStorage) { w.power.state = wire.PowerOn }, true, "ok storage.main: 4 bytes, alike in two readings", true},
		"on, and no boot to be": {PhaseBefore, func(w *workbench, _ *fakeStorage) { w.power.state = wire.PowerOn }, false, "skipped storage.main: the DUT is not off, and stays on", false},
		"on, and not allowed": {PhaseBefore, func(w *workbench, _ *fakeStorage) { w.power.state, w.file.Allow = wire.PowerOn, nil }, true,
			"skipped storage.main: the DUT is not off, and the rig file does not allow to switch it off (allow: [power])", false},
		"behind a run":           {PhaseAfter, func(w *workbench, _ *fakeStorage) { w.power.state = wire.PowerOn }, false, "ok storage.main: 4 bytes, alike in two readings", true},
		"behind it, and left on": {PhaseAfter, func(w *workbench, _ *fakeStorage) { w.power.state, w.file.Power.Rest = wire.PowerOn, "on" }, false, "skipped storage.main: the DUT is not off, and stays on", false},
		"amid a run":             {"during", func(*workbench, *fakeStorage) {}, false, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, b := clipped(t, func(w *workbench, s *fakeStorage) {
				w.file.Power.Proof = ""
				c.set(w, s)
			})
			p := well(computer(nil))
			if c.boot {
				p.ColdBoot = func(context.Context) (string, error) { return "banner", nil }
			}
			found := Doctor(t.Context(), c.phase, b, w.file, nil, p)
			assert.Equal(t, c.want, finding(found, "image"))
			if c.off {
				assert.Contains(t, w.log.all(), "off power")
			} else {
				assert.NotContains(t, w.log.all(), "off power")
			}
		})
	}
	assert.Equal(t, DefaultStorageWithin, storageWithin(&Storage{}))
	assert.Equal(t, time.Minute, storageWithin(&Storage{Within: time.Minute}))
}

// A clip is a program of one rig at a time.
func TestStorageIsLeased(t *testing.T) {
	f := &File{Name: "a", Storages: map[string]*Storage{"main": {Driver: "exec", Exec: []string{"flashrom", "-r", "${file}"}}, "own": {Driver: "virtual"}}}
	assert.Equal(t, []Resource{{StoragePart("main"), "exec flashrom -r ${file}"}, {"rig", "rig a"}}, Resources(f))
}

func TestStorageIsReadThroughAPortThatIsDeclared(t *testing.T) {
	p, err := profile.Parse("p.yaml", []byte("profile: a\ndebug: {ports: {swd: {protocol: swd, pads: {clk: c, io: d}, level: L1}, old: {none: gone}}}\n"))
	require.NoError(t, err)
	for port, want := range map[string]string{"swd": "", "sdw": `did you mean "swd"?`, "old": "declares no debug port old"} {
		f, err := Parse("r.yaml", []byte(padRig+"storages: {main: {driver: exec, exec: [read, '${file}'], through: "+port+"}}\n"))
		require.NoError(t, err)
		if err = Check(f, p); want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}
