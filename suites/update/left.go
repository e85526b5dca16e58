package update

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
)

// looksIn says whether the rig sees the slots of the DUT, and may switch it off for that.
// Where a part of a package lies there, no package is told by it.
func looksIn(in check.Input) bool {
	sl := in.Profile.Images.Slots
	return len(sl.At) > 0 && sl.Part == "" && slices.Contains(in.Storages, sl.Storage) && in.Power && slices.Contains(in.Allow, check.Supply)
}

// held switches the DUT off, looks into its slots and starts it: what lies there that was
// refused is told.
func (s *seat) held(ctx context.Context, refused []*mutant.Mutant) (string, error) {
	return s.startedBy(ctx, func(ctx context.Context) (string, error) {
		sl := s.d.Profile.Images.Slots
		memory, err := s.d.Memory(ctx, sl.Storage)
		if err != nil {
			return "", err
		}
		what := s.inSlots(memory, refused)
		start, err := s.d.StartFromOff(ctx, 1)
		if err != nil {
			return "", err
		}
		if !start.Up {
			return what, fmt.Errorf("%w: it does not start", dut.ErrLost)
		}
		if err := s.d.Reachable(ctx); err != nil {
			return what, err
		}
		if !onlySupply(s.d.Profile.Updates.Items[s.u.Name()].Apply) { // that was no start that has an update run
			_, err = s.u.Apply(ctx)
		}
		return what, err
	})
}

// inSlots says what lies in the slots that a start may run and that is not to be there:
// something refused, or what is none of the maker's. A memory in which what runs is not to
// be seen is not the one that the DUT starts from.
func (s *seat) inSlots(memory []byte, refused []*mutant.Mutant) string {
	var what []string
	runs := false
	for _, at := range s.d.Profile.Images.Slots.At {
		if at.Offset+at.Length > int64(len(memory)) {
			return fmt.Sprintf("the slot at %s ends behind the memory", at)
		}
		slot := memory[at.Offset : at.Offset+at.Length]
		img := s.shelf.Held(slot)
		runs = runs || img != nil && shelf.Says(s.now.Version, s.now.Digest, img.Shows)
		least := 1 // what is cut off is the beginning of the whole, too
		if img != nil {
			least = len(img.Bytes)
		}
		switch i := slices.IndexFunc(refused, func(m *mutant.Mutant) bool { return m.Len() >= least && bytes.HasPrefix(slot, m.Bytes()) }); {
		case i >= 0:
			what = append(what, fmt.Sprintf("%s lies in the slot at %s", refused[i].Name, at))
		case img == nil && !mutant.Erased(slot):
			what = append(what, fmt.Sprintf("the slot at %s does not begin with an image of the maker's", at))
		}
	}
	if !runs {
		what = append(what, "the image that runs is not seen in the memory")
	}
	return strings.Join(what, ", ")
}

// onlySupply says whether steps restart by the supply, and do nothing else.
func onlySupply(ss []profile.Step) bool { return len(ss) == 1 && ss[0].Verb == "power" }
