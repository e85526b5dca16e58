package update

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// BootSelfConsistent: what a boot says of the image that it starts is what runs, and what
// was installed. A loader that tells of another image has looked at another one than it
// starts, or nobody who reads its log knows what a unit runs.
var BootSelfConsistent = check.Check{
	ID:    "boot-selfconsistent",
	Title: "A boot tells of the image that it starts",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CSA1, en303645.V3("5.7-1"), en18031.Code("GEC-8")},
		baseline.Local:   {nist8259a.CSA1, en303645.V3("5.7-1"), en18031.Code("GEC-8")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.Update, check.Supply},
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: 10 * time.Minute},
	Cases:  check.Planner(First).With(needsImages, needsBootSays, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		b := &bootLog{seat: s, decl: &t.Profile().Firmware.Boot}
		before := s.running
		b.restart(ctx, "as it was", before, t.Device().PowerCycle)
		if up := s.shelf.Newer(s.running.Rank); len(up) > 0 {
			var a dut.Answer
			b.restart(ctx, "behind the installation of "+up[0].String(), up[0], func(ctx context.Context) (err error) {
				a, err = s.install(ctx, up[0])
				return err
			})
			if a.Kind == verdict.Accepted {
				b.restart(ctx, "once more", up[0], t.Device().PowerCycle)
				b.stepBack(ctx, before)
			} else {
				b.gap = "the newer image was not installed: " + a.Detail
			}
		} else {
			b.gap = fmt.Sprintf(exhausted, s.now.Version)
		}
		ref := t.Keep("boots.txt", "what each boot said of its image, what ran behind it, and what had been installed", []byte(b.text.String()))
		t.Claim("each boot tells of the image that it starts, which is the one that was installed", func(c *check.Claim) {
			c.Show(ref)
			c.Expect("boot, status and what was installed say the same", fmt.Sprintf("they do, in %d boots", b.n))
			switch {
			case b.differs != "":
				c.Fail(verdict.ReasonContradicted, "%s", b.differs)
			case b.mute != "":
				c.Unknown(verdict.ReasonAmbiguous, "%s", b.mute)
			case b.gap != "":
				c.Unknown(verdict.ReasonCoverageGap, "%d boots of one image agree; %s", b.n, b.gap)
			}
		})
	},
}

// needsBootSays: what a boot says of its image is declared, on a console that the rig
// has.
var needsBootSays check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
	b := &in.Profile.Firmware.Boot
	switch {
	case b.Declared():
		return check.DeclaredNone(b.None.None)
	case b.Console == "":
		return check.NotDeclared("what a boot says of the image that it starts is not declared (firmware.boot)")
	case !slices.Contains(in.Consoles, b.Console):
		return check.RigLacks("the rig has no console %s", b.Console)
	}
	c.Lean(check.PartConsole(b.Console))
	return nil
}

// bootLog holds what boots say against what runs.
type bootLog struct {
	*seat
	decl *profile.BootSays
	n    int
	text strings.Builder

	differs, mute, gap string
}

// restart has the DUT boot, and compares.
func (b *bootLog) restart(ctx context.Context, when string, installed *shelf.Image, boot func(context.Context) error) {
	con, err := b.d.Console(b.decl.Console)
	b.t.OK(err)
	from := con.Mark()
	b.t.OK(boot(ctx))
	now, err := b.look(ctx)
	b.t.OK(err)
	version, digest, err := bootSays(con, from, b.decl)
	b.t.OK(err)
	b.n++
	fmt.Fprintf(&b.text, "boot %d, %s: it says version %q, digest %q; then %s runs; installed is %s, %s\n", b.n, when, version, digest, now, installed, installed.Shows.Hash)
	switch {
	case b.differs != "":
	case version == "":
		b.mute = fmt.Sprintf("boot %d, %s: console %s told nothing of its image", b.n, when, con.Name())
	case !shelf.SameVersion(version, now.Version):
		b.differs = fmt.Sprintf("boot %d, %s: the boot says that it starts %s, and %s runs", b.n, when, version, now)
	case digest != "" && now.Digest != "" && !strings.EqualFold(digest, now.Digest):
		b.differs = fmt.Sprintf("boot %d, %s: the boot says that it starts %s, and %s runs", b.n, when, digest, now.Digest)
	case !shelf.Says(now.Version, now.Digest, installed.Shows):
		b.gap = fmt.Sprintf("boot %d, %s: %s was installed, and %s runs", b.n, when, installed, now)
	}
}

// stepBack goes back to the image from before, where that is declared, and compares that
// boot too.
func (b *bootLog) stepBack(ctx context.Context, before *shelf.Image) {
	if len(b.d.Profile.Images.ReturnTo.Steps) == 0 {
		return
	}
	var gone error
	b.restart(ctx, "behind the way back to "+before.String(), before, func(ctx context.Context) error {
		gone = b.d.ReturnTo(ctx)
		if gone != nil && check.Judge(gone).Verdict == verdict.Error {
			return gone
		}
		return nil
	})
	if gone != nil {
		b.t.Note("the version from before is not to be had again: %v", gone)
		b.gap = ""
	}
	b.read(ctx)
}

// bootSays gives what the last boot behind a cursor said of its image.
func bootSays(con *dut.Console, from console.Cursor, decl *profile.BootSays) (version, digest string, err error) {
	raw, err := con.Since(from)
	if err != nil {
		return "", "", fmt.Errorf("what console %s showed of the boot: %w", con.Name(), err)
	}
	re := decl.Seen.Regexp
	all := re.FindAllSubmatch(raw, -1)
	if len(all) == 0 {
		return "", "", nil
	}
	last := all[len(all)-1]
	version = string(last[re.SubexpIndex("version")])
	if i := re.SubexpIndex("digest"); i >= 0 {
		digest = string(last[i])
	}
	return version, digest, nil
}
