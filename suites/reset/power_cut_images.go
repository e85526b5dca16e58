package reset

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/powercut"
	"rigor/harness/verdict"
)

// memory gives the memory of the rig in whose image a store is seen, "" for none.
func (r *cutReset) memory(store string) string {
	st := r.t.Profile().Stores.Items[store]
	if st == nil || st.Storage.Declared() || !slices.Contains(r.t.Input().Storages, st.Storage.Part) {
		return ""
	}
	return st.Storage.Part
}

// seenIn is where a store's marker was found.
type seenIn struct{ store, where, what string }

// look reads memories, and searches them for the markers of this run. The device has had
// a boot then.
func (r *cutReset) look(ctx context.Context, memories []string) (out []seenIn, err error) {
	if len(memories) == 0 {
		return nil, nil
	}
	var list []canary.Marker
	for _, name := range r.way.Cut.Stores {
		st := r.t.Profile().Stores.Items[name]
		f, err := canary.FormOf(st.Alphabet, st.Length)
		if err != nil {
			return nil, err // ready has asked for it
		}
		list = append(list, f.Marker(name, r.markers[name]))
	}
	set, scans := canary.NewSet(list...), map[string]*canary.Scanner{}
	if err := r.t.Device().Image(ctx, memories, func(name string) io.Writer {
		scans[name] = set.Scanner()
		return scans[name]
	}); err != nil {
		return nil, err
	}
	for _, name := range r.way.Cut.Stores {
		if s := scans[r.memory(name)]; s != nil {
			for _, h := range s.Found().Of(name) {
				out = append(out, seenIn{store: name, where: r.memory(name), what: name + ", " + h.String()})
				break
			}
		}
	}
	return out, nil
}

// witnesses finds, before the reset that is not cut, the memories whose image shows what is
// in each store that is to be seen there: another one shows nothing by what it lacks. It
// says whether the device was off for that.
func (r *cutReset) witnesses(ctx context.Context) (dark bool, err error) {
	var all []string
	for _, name := range r.way.Cut.Stores {
		if m := r.memory(name); m != "" && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	found, err := r.look(ctx, all)
	if err != nil {
		return len(all) > 0, err
	}
	r.images, r.blind = nil, nil
	for _, m := range all {
		lacks := slices.ContainsFunc(r.way.Cut.Stores, func(store string) bool {
			return r.memory(store) == m && !slices.ContainsFunc(found, func(s seenIn) bool { return s.store == store })
		})
		if lacks {
			r.blind = append(r.blind, m)
			continue
		}
		r.images = append(r.images, m)
	}
	return len(all) > 0, nil
}

// claimImages says what the images of the memories show of the cuts: a reset that has left
// something in one has ended as half a reset already.
func (r *cutReset) claimImages(cuts *check.Cuts) {
	if len(r.images)+len(r.blind) == 0 {
		return
	}
	r.t.Claim("behind no power cut in a factory reset by "+r.way.ID+" the image of a memory has what the owner before had put there", func(c *check.Claim) {
		c.Show(cuts.Ref)
		c.Expect("nothing of it is found in an image in which it was found before", "it was looked for in that of "+strings.Join(r.images, ", "))
		if len(r.blind) > 0 {
			c.Unknown(verdict.ReasonControlFailed, "before the first reset, what was put there was not found in the image of %s: that it is not found behind one shows nothing", strings.Join(r.blind, ", "))
		}
	})
}

// residue is the end of a reset that has left something in a memory. Of one that was not
// cut it says that no cut can be told by it.
func (r *cutReset) residue(ctx context.Context, when string) (powercut.End, error) {
	found, err := r.look(ctx, r.images)
	if err != nil || len(found) == 0 {
		return powercut.End{}, err
	}
	return powercut.End{Name: endHalf, Detail: fmt.Sprintf("%s, and what the owner before had put there is in the image of %s: %s", when, found[0].where, found[0].what)}, nil
}
