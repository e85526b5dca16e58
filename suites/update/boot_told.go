package update

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// probe starts what was tampered with. A DUT with which something ran once that no slot
// held before, and that was not shown to be what was written, is not held to refuse that
// because it did the next time.
func (l *slots) probe(ctx context.Context, p tampered) (dut.Answer, error) {
	s, err := l.start(ctx, p.with, loaderTries)
	a := s.Answer
	if err == nil && s.up && s.slot < 0 {
		a, err = l.isIt(ctx, p, s)
	}
	if err != nil {
		return a, err
	}
	switch doubt := l.doubt[p.name]; {
	case a.Kind == verdict.Accepted:
	case doubt != "":
		a.Kind, a.Detail = verdict.Unproven, a.Detail+"; before, "+doubt
	case a.Kind == verdict.Unproven:
		l.doubt[p.name] = a.Detail
	}
	return a, nil
}

// isIt says of what runs, and no slot held before, whether it is what was written: by all
// that it tells, twice, which nothing else tells. A loader that refuses what is in its slots
// may start something of its own, in which nobody has forged anything: Refused is that it
// does so too where no slot holds any image.
func (l *slots) isIt(ctx context.Context, p tampered, s started) (dut.Answer, error) {
	a := s.Answer
	a.Kind = verdict.Unproven
	again, err := l.look(ctx)
	if err != nil {
		return a, err
	}
	if !again.Same(s.now) {
		a.Detail = fmt.Sprintf("%s runs, and at the next look %s", s.now, again)
		return a, nil
	}
	bare, err := l.without(ctx)
	if err != nil {
		return a, err
	}
	a.Raw = slices.Concat(a.Raw, []byte("\n"), bare.Raw)
	m, img := l.told(p.is, s.now), l.shelf.Fits(s.now.Version, s.now.Digest)
	switch {
	case m != nil && img != nil:
		a.Detail = fmt.Sprintf("%s runs: %s and %s would tell that", s.now, m.Name, img)
	case m != nil && bare.up && l.told(p.is, bare.now) != nil:
		a.Detail = fmt.Sprintf("%s runs, as %s would tell it, and where no slot holds any image %s", s.now, m.Name, bare.Detail)
	case m != nil:
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("%s runs, which is %s and none of the maker's images; where no slot holds any image %s", s.now, m.Name, bare.Detail)
	case bare.up && bare.now.Same(s.now):
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("%s runs, which is not what was written: it runs too where no slot holds any image", s.now)
	default:
		a.Detail = fmt.Sprintf("%s runs, which is not shown to be what was written; where no slot holds any image %s", s.now, bare.Detail)
	}
	return a, nil
}

// without gives what the DUT starts where no slot holds any image, and looks at it once.
// Where that shows nothing at all the rig may be deaf: then it has to see what the slots
// held come up.
func (l *slots) without(ctx context.Context) (*started, error) {
	if l.bare != nil {
		return l.bare, nil
	}
	s, err := l.start(ctx, slices.Repeat([][]byte{l.garbage()}, len(l.was)), hollowTries)
	if err != nil {
		return nil, err
	}
	if s.Kind == verdict.Silent {
		back, err := l.asBefore(ctx)
		if err != nil {
			return nil, err
		}
		if back.Kind != verdict.Accepted {
			l.t.Inconclusive(verdict.ReasonControlFailed, "where no slot holds any image %s, and with what the slots held %s", s.Detail, back.Detail)
		}
	}
	l.bare = &s
	return l.bare, nil
}

// told gives the mutant that what runs is by what the DUT tells: by all of it, or by a digest
// that none of the maker's images has, since some tell a version that is built in elsewhere
// than where it was changed. Nil for none.
func (l *slots) told(ms []*mutant.Mutant, now dut.Running) *mutant.Mutant {
	own := l.shelf.Genuine("", now.Digest) == nil
	for _, m := range ms {
		if shelf.Fits(now.Version, now.Digest, m.Shows) || own && shelf.Says("", now.Digest, m.Shows) {
			return m
		}
	}
	return nil
}
