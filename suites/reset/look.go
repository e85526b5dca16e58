package reset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"rigor/harness/canary"
	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// look is what was seen of the stores at one moment, in each view, by one search.
type look struct {
	when    string
	found   map[string]canary.Found // by view and what is looked at, as key gives it
	missing map[string]string       // why there is nothing
	slot    []byte                  // what is where the key is kept, if that is declared
	keys    map[string]canary.Found // by storage: where keys of before are, which a reset is to destroy
}

// key names what is looked at for a view of a store: all stores of one image share it.
func key(store string, s *profile.Store, view string) string {
	switch view {
	case viewStorage:
		return "storage " + s.Storage.Part
	case viewConsole:
		return "console " + s.Console.Part
	}
	return view + " " + store
}

// of gives what a moment showed of a view.
func (l *look) of(t *check.T, store, view string) (f canary.Found, why string) {
	k := key(store, t.Profile().Stores.Items[store], view)
	f, ok := l.found[k]
	if !ok {
		why = l.missing[k]
		if why == "" {
			why = "it was not looked at"
		}
	}
	return f, why
}

// lineQuiet is how long nothing may come on a console at the end: longer than a USB
// adapter holds bytes back.
const lineQuiet = 20 * time.Millisecond

// moment looks at the device in every view.
type moment struct {
	t    *check.T
	set  *canary.Set
	keys *canary.Set          // those that a reset is to destroy, as far as they are known; nil for none
	from map[string]hc.Cursor // from where on the consoles are looked at
}

// begin notes where the consoles are.
func begin(t *check.T, set *canary.Set) *moment {
	m := &moment{t: t, set: set, from: map[string]hc.Cursor{}}
	for _, name := range t.Device().Consoles() { // what nobody declares is heard too
		con, err := t.Device().Console(name)
		t.OK(err)
		m.from[name] = con.Mark()
	}
	return m
}

// partsOf gives the storages or consoles that stores are seen in and the rig has.
func partsOf(t *check.T, view string) (out []string) {
	have := t.Input().Consoles
	if view == viewStorage {
		if have = t.Input().Storages; !t.Input().Power || !slices.Contains(t.Input().Allow, check.Supply) {
			return nil
		}
	}
	for _, name := range storeNames(t.Profile()) {
		s := t.Profile().Stores.Items[name]
		if s == nil || s.Declared() {
			continue
		}
		if v := viewOf(s, view); !v.Declared() && slices.Contains(have, v.Part) && !slices.Contains(out, v.Part) {
			out = append(out, v.Part)
		}
	}
	return out
}

// images reads the storages; the device has had a boot then, or none where there is
// nothing to read.
func (m *moment) images(ctx context.Context, l *look) {
	names := partsOf(m.t, viewStorage)
	k := m.t.Profile().Reset.Crypto.Key
	if len(names) > 0 && k.Storage != "" && slices.Contains(m.t.Input().Storages, k.Storage) && !slices.Contains(names, k.Storage) {
		names = append(names, k.Storage)
	}
	if len(names) == 0 {
		return
	}
	scans, keys, part := map[string]*canary.Scanner{}, map[string]*canary.Scanner{}, &slice{from: k.Offset, length: k.Length}
	m.t.OK(m.t.Device().Image(ctx, names, func(name string) io.Writer {
		scans[name] = m.set.Scanner()
		to := []io.Writer{scans[name]}
		if m.keys != nil {
			keys[name] = m.keys.Scanner()
			to = append(to, keys[name])
		}
		if name == k.Storage {
			to = append(to, part)
		}
		return io.MultiWriter(to...)
	}))
	l.slot = part.bytes
	for _, name := range names {
		l.found["storage "+name] = scans[name].Found()
		if s := keys[name]; s != nil {
			l.keys[name] = s.Found()
		}
	}
}

// slice keeps a part of what is written to it.
type slice struct {
	from, length, at int64
	bytes            []byte
}

// Write takes all of p. It never fails.
func (s *slice) Write(p []byte) (int, error) {
	lo, hi := max(s.from, s.at), min(s.from+s.length, s.at+int64(len(p)))
	if lo < hi {
		s.bytes = append(s.bytes, p[lo-s.at:hi-s.at]...)
	}
	s.at += int64(len(p))
	return len(p), nil
}

// owner reads what the owner can read, and what anybody can, in the state of use.
func (m *moment) owner(ctx context.Context, l *look) {
	for _, store := range storeNames(m.t.Profile()) {
		s := m.t.Profile().Stores.Items[store]
		if s == nil || s.Declared() {
			continue
		}
		for view, ss := range map[string][]profile.Step{viewLogical: s.Read, viewNetwork: s.Network.Steps} {
			if len(ss) == 0 {
				continue
			}
			k := key(store, s, view)
			if text, why := m.extract(ctx, ss); why != "" {
				l.missing[k] = why
			} else {
				l.found[k] = m.set.Find(text)
			}
		}
		if len(s.Console.Steps) > 0 && slices.Contains(m.t.Input().Consoles, s.Console.Part) {
			if _, why := m.extract(ctx, s.Console.Steps); why != "" {
				l.missing[key(store, s, viewConsole)] = why
			}
		}
	}
	m.told(ctx, l)
}

// told reads what the services tell who is not logged in: all stores share it.
func (m *moment) told(ctx context.Context, l *look) {
	for _, name := range check.LoginChannels(m.t.Profile()) {
		d := m.t.Profile().Logins.Items[name]
		if d == nil || d.Declared() || !strings.HasPrefix(d.Protocol, "http") {
			continue
		}
		text, err := m.t.Device().Disclosed(ctx, name)
		if m.t.OK(ours(err)); err != nil {
			l.missing["told "+name] = err.Error()
			continue
		}
		l.found["told "+name] = m.set.Find(text)
	}
}

// extract carries steps out, and gives what they took out of the answers. Why is set
// where the device did not do what they say.
func (m *moment) extract(ctx context.Context, ss []profile.Step) (text []byte, why string) {
	vars, err := m.t.Device().Steps(ctx, ss, nil)
	if err != nil {
		m.t.OK(ours(err))
		return nil, err.Error()
	}
	var b bytes.Buffer
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		b.WriteString(vars[k])
		b.WriteByte('\n')
	}
	return b.Bytes(), ""
}

// ours gives an error that is no doing of the device's: it ends the case.
func ours(err error) error {
	if err == nil {
		return nil
	}
	j := check.Judge(err)
	if j.Verdict == verdict.Error || j.Reason == verdict.ReasonRigLacks || j.Reason == verdict.ReasonNeedsHuman || j.Reason == verdict.ReasonProfileMissing || j.Reason == verdict.ReasonRigLate ||
		errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// consoles looks through what the consoles have said since begin.
func (m *moment) consoles(ctx context.Context, l *look) {
	for _, name := range slices.Sorted(maps.Keys(m.from)) {
		k := "console " + name
		con, err := m.t.Device().Console(name)
		m.t.OK(err)
		_, err = con.Quiet(ctx, lineQuiet)
		m.t.OK(err)
		raw, err := con.Since(m.from[name])
		if errors.Is(err, hc.ErrForgotten) {
			l.missing[k] = err.Error()
			continue
		}
		m.t.OK(err)
		f := m.set.Find(raw)
		for _, h := range m.set.Find(expect.Plain(raw)).Hits { // without colours and cursors between
			if len(f.Of(h.Marker)) == 0 {
				f.Hits = append(f.Hits, h)
			}
		}
		l.found[k] = f
	}
}

func newLook(when string) *look {
	return &look{when: when, found: map[string]canary.Found{}, missing: map[string]string{}, keys: map[string]canary.Found{}}
}

// text says what a moment showed of one view, for the evidence.
func (l *look) text(t *check.T, store, view string) string {
	f, why := l.of(t, store, view)
	if why != "" {
		return l.when + ": not seen: " + why
	}
	return fmt.Sprintf("%s, %d bytes: %s", l.when, f.Bytes, f.Summary(8))
}

// astray gives where a marker was found that is declared to be seen nowhere there: on a
// console, or by who is not logged in.
func (l *look) astray(view, marker string) (where string) {
	prefix := map[string]string{viewConsole: "console ", viewNetwork: "told "}[view]
	for _, k := range slices.Sorted(maps.Keys(l.found)) {
		if prefix == "" || !strings.HasPrefix(k, prefix) {
			continue
		}
		for _, h := range l.found[k].Of(marker) {
			return fmt.Sprintf("%s, in %s: %s", l.when, k, h)
		}
	}
	return ""
}

// answer says whether a marker was found at a moment: Accepted where it was.
func (l *look) answer(t *check.T, store, view, marker string) dut.Answer {
	f, why := l.of(t, store, view)
	if why != "" {
		return dut.Answer{Kind: verdict.Unproven, Detail: l.when + ": " + why}
	}
	hits := f.Of(marker)
	if len(hits) == 0 {
		return dut.Answer{Kind: verdict.Refused, Detail: fmt.Sprintf("%s: it is not in %d bytes", l.when, f.Bytes)}
	}
	var where []string
	for _, h := range hits[:min(len(hits), 4)] {
		where = append(where, h.String())
	}
	if len(hits) > 4 {
		where = append(where, fmt.Sprintf("%d more", len(hits)-4))
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: l.when + ": " + strings.Join(where, "; ")}
}
