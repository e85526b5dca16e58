package update

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// IntentSlots is the kind of what the next start may have to undo: that slots hold, past
// the DUT's installer, what is none of the maker's images.
const IntentSlots = "slots"

// slots are those of the DUT, as the rig sees them past it.
type slots struct {
	*seat
	decl  profile.Slots
	was   [][]byte          // what each held
	holds []*shelf.Image    // the maker's image in each
	run   int               // the slot whose image runs
	most  int64             // bytes that are written of each
	who   string            // the unit, as it was before
	dirty bool              // what is in them is not what was
	bare  *started          // without any image in them; nil until that was looked at
	doubt map[string]string // of a probe with which something ran once that was not shown to be what was written
}

// find reads the slots, and has them hold two of the maker's images that can be told
// apart, one of which runs. What a next start could not put back is not written over.
func find(ctx context.Context, s *seat) *slots {
	l := &slots{seat: s, decl: s.d.Profile.Images.Slots, who: unit(ctx, s.t), doubt: map[string]string{}}
	s.t.OK(s.d.FlashLeft(slotsWritten * len(l.decl.At))) // else it may end with what must not stay there
	why := ""
	for range 3 {
		memory, err := s.d.Memory(ctx, l.decl.Storage)
		s.t.OK(err)
		if why = l.take(memory); why == "" {
			return l
		}
		l.up(ctx)
		s.read(ctx)
		a, err := s.install(ctx, s.next())
		s.t.OK(err)
		if a.Kind != verdict.Accepted {
			s.t.Inconclusive(verdict.ReasonControlFailed, "%s; and a genuine image was not taken: %s: %s", why, a.Kind, a.Detail)
		}
	}
	l.up(ctx)
	s.t.Inconclusive(verdict.ReasonPrecondition, "%s", why)
	return nil
}

// up starts a DUT that is off, whatever it is in.
func (l *slots) up(ctx context.Context) {
	start, err := l.d.StartFromOff(ctx, 1)
	l.t.OK(err)
	if !start.Up {
		l.t.OK(fmt.Errorf("%w: it does not start", dut.ErrLost))
	}
}

// take looks what the slots hold, and says what is missing.
func (l *slots) take(memory []byte) (why string) {
	l.was, l.holds, l.run, l.most = nil, nil, -1, 0
	for i, at := range l.decl.At {
		if at.Offset+at.Length > int64(len(memory)) {
			return fmt.Sprintf("the slot at %s ends behind the storage, which has %d bytes", at, len(memory))
		}
		held := bytes.Clone(memory[at.Offset : at.Offset+at.Length])
		l.was = append(l.was, held)
		l.holds = append(l.holds, l.shelf.Held(held))
		switch img := l.holds[i]; {
		case img == nil:
			why = fmt.Sprintf("the slot at %s does not begin with an image of the maker's", at)
		case img == l.running && l.run >= 0:
			why = "several slots hold the image that runs: which of them was started cannot be told"
		case img == l.running:
			l.run = i
		}
	}
	switch other := l.other(); {
	case why != "":
		return why
	case l.run < 0:
		return fmt.Sprintf("no slot begins with the image that runs, %s", l.running)
	case other >= 0 && l.holds[other].Rank != l.running.Rank && l.shelf.Twin(l.running) != nil:
		return "the other slot holds an image of another version" // to which a security counter may not let back
	}
	for _, img := range l.holds {
		l.most = max(l.most, int64(len(img.Bytes)))
	}
	return ""
}

// other gives a slot that does not run, -1 where there is none.
func (l *slots) other() int {
	for i := range l.decl.At {
		if i != l.run {
			return i
		}
	}
	return -1
}

// room is how many bytes fit into each slot.
func (l *slots) room() int64 {
	n := l.decl.At[0].Length
	for _, at := range l.decl.At {
		n = min(n, at.Length)
	}
	return n
}

// unitNow says which unit it is now.
func (l *slots) unitNow(ctx context.Context) (string, error) {
	if len(l.t.Profile().Identity.Steps) == 0 {
		return l.who, nil
	}
	id, err := l.d.ReadIdentity(ctx)
	return fmt.Sprintf("%q", id), err
}

// mindSlots writes down what the slots are to hold again, and sees to it. It is given all
// that they are written with.
func (l *slots) mindSlots(with [][]byte) {
	var wrote []string
	for _, b := range with {
		wrote = append(wrote, digest(padded(b, int(l.most))))
	}
	data := map[string]string{"storage": l.decl.Storage, "bytes": strconv.FormatInt(l.most, 10), "wrote": strings.Join(wrote, " ")}
	if l.decl.Part != "" {
		data["part"] = l.decl.Part
	}
	for i, at := range l.decl.At {
		data["slot "+strconv.FormatInt(at.Offset, 10)] = l.holds[i].Ref
	}
	done := l.t.Intent(IntentSlots, "slots of storage "+l.decl.Storage+" are written past the installer", data)
	l.t.Cleanup(func(ctx context.Context, t *check.T) {
		if l.dirty {
			at := map[int64][]byte{}
			for i, slot := range l.decl.At {
				at[slot.Offset] = l.was[i][:l.most]
			}
			t.OK(t.Device().Rewrite(ctx, l.decl.Storage, at))
			start, err := t.Device().StartFromOff(ctx, 1)
			t.OK(err)
			if !start.Up {
				t.OK(fmt.Errorf("%w: it does not start from what its slots held before", dut.ErrLost))
			}
		}
		c := &seat{t: t, d: t.Device(), u: t.Device().Update(l.u.Name()), shelf: l.shelf, rank: l.rank, minded: func() {}}
		c.read(ctx)
		if !c.usable() {
			t.OK(c.back(ctx))
		}
		done()
	})
}

// put switches the DUT off and writes what each slot is to begin with, and shows that it
// is there. Nil: what it held.
func (l *slots) put(ctx context.Context, with [][]byte) {
	full := make([][]byte, len(l.was))
	for i := range full {
		full[i] = l.was[i][:l.most]
		if with != nil && with[i] != nil {
			full[i] = padded(with[i], int(l.most))
		}
	}
	at, same := map[int64][]byte{}, true
	for i, b := range full {
		at[l.decl.At[i].Offset] = b
		same = same && bytes.Equal(b, l.was[i][:l.most])
	}
	l.t.OK(l.d.FlashLeft(2 * len(at))) // what they held is written again
	l.dirty = true
	l.t.OK(l.d.Rewrite(ctx, l.decl.Storage, at))
	l.dirty = !same
}

// UndoSlots writes the maker's images back into slots that a run before left with
// something else. A DUT that tells who it is may be any way in them; of one that does not,
// every slot holds either that image or what that run wrote there: else it may be another
// unit, and nothing is written.
func UndoSlots(ctx context.Context, d *dut.Device, data map[string]string, _ func(string, int) string) error {
	images, err := d.Images()
	if err != nil {
		return err
	}
	most, err := strconv.Atoi(data["bytes"])
	if err != nil {
		return fmt.Errorf("how much of a slot was written: %w", err)
	}
	_, who := d.Identify(ctx)
	if errors.Is(who, dut.ErrOtherUnit) {
		return who
	}
	memory, err := d.Memory(ctx, data["storage"])
	if err != nil {
		return err
	}
	back := map[int64][]byte{}
	for key, ref := range data {
		at, ok := strings.CutPrefix(key, "slot ")
		if !ok {
			continue
		}
		off, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return fmt.Errorf("where a slot is: %w", err)
		}
		img := images.Named(ref)
		if img == nil || off < 0 || off+int64(most) > int64(len(memory)) {
			return fmt.Errorf("what the slot at 0x%x held: %w: %s", off, dut.ErrNotDeclared, ref)
		}
		held := img.Bytes
		if name := data["part"]; name != "" {
			if name != d.Profile.Images.Slots.Part {
				return fmt.Errorf("what the slot at 0x%x held: %w: part %q of %s", off, dut.ErrNotDeclared, name, ref)
			}
			part, err := images.Part(img)
			if err != nil {
				return fmt.Errorf("what the slot at 0x%x held: %w", off, err)
			}
			held = part.Bytes
		}
		full := padded(held, most)
		switch holds := memory[off : off+int64(most)]; {
		case bytes.HasPrefix(holds, held): // it was not written, or is back
		case who == nil, slices.Contains(strings.Fields(data["wrote"]), digest(holds)):
			back[off] = full
		default:
			return fmt.Errorf("%w: it does not say which unit it is, and the slot at 0x%x holds neither what was there nor what was written", dut.ErrLost, off)
		}
	}
	if err := d.Rewrite(ctx, data["storage"], back); err != nil {
		return err
	}
	start, err := d.StartFromOff(ctx, 1)
	if err != nil {
		return err
	}
	if !start.Up {
		return fmt.Errorf("%w: it does not start from the maker's images in its slots", dut.ErrLost)
	}
	return d.Reachable(ctx)
}

// digest is the SHA-256 of bytes in hex.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
