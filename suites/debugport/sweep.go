package debugport

import (
	"context"
	"fmt"
	"time"

	"rigor/harness/dut"
)

// sweep looks again and again from the release of the reset, or the supply's coming, on
// to the end of the boot. It gives how long the first sign of a boot took; 0 where no
// console shows one.
func (v *surveyor) sweep(ctx context.Context) (banner time.Duration) {
	con, conErr := v.d.BootConsole()
	from := mark(con, conErr)
	if v.reset != "" {
		line, err := v.d.Line(v.reset)
		v.OK(err)
		v.OK(line.Assert(ctx))
		v.OK(v.d.PowerOn(ctx))
		v.OK(line.Release(ctx))
	} else {
		v.OK(v.d.PowerOn(ctx))
	}
	start := time.Now()
	longest := time.Duration(0)
	for _, s := range v.all.list {
		longest = max(longest, s.decl.SweepTime())
	}
	at := v.marks()
	last := make([]string, len(v.all.list))
	done := time.Duration(0)
	for booted := false; !booted || time.Since(start) < longest; {
		phase := released
		if conErr == nil {
			phase = phaseOf(con, from)
			booted = phase == inSystem
		}

		first(&banner, phase != released, start)
		first(&done, booted, start)
		for i, s := range v.all.list {
			l, err := s.port.Quick(ctx, s.best)
			v.OK(err)
			l.Phase, l.After = phase, time.Since(start)
			s.paced(l.After)
			if key := sameness(&l); key != last[i] { // as before is said once
				s.take(l)
				last[i] = key
			}
		}
		if conErr != nil && time.Since(start) >= longest {
			break
		}
		v.OK(v.d.Wait(ctx, sweepStep))
		if conErr == nil && !booted && time.Since(start) > longest+v.bootTime(con) {
			break // Booted says what is wrong
		}
	}
	if conErr == nil {
		_, err := v.d.Booted(ctx, con, from)
		v.OK(err)
	} else {
		v.OK(v.d.Reachable(ctx))
	}
	for i, s := range v.all.list {
		s.supplies(at[i])
		for j := at[i]; j < len(s.Looks); j++ {
			// A computer that is slow to look is as slow to hear of it.
			if l := &s.Looks[j]; done > 0 && l.After > done-behindPort-s.gap {
				l.Phase = inSystem
			}
		}
		s.say("%d looks from the release on to the end of the boot, %v behind it; those that are as the one before are not told", s.swept, time.Since(start).Round(time.Millisecond))
	}
	return banner
}

// while has something done, and looks again and again until it is.
func (v *surveyor) while(ctx context.Context, phase string, work func(ctx context.Context) error) {
	start, last, at := time.Now(), make([]string, len(v.all.list)), v.marks()
	v.OK(dut.While(ctx, work, func(ctx context.Context) error {
		for i, s := range v.all.list {
			l, err := s.port.Quick(ctx, s.best)
			if err != nil {
				return err
			}
			l.Phase, l.After = phase, time.Since(start)
			if key := sameness(&l); key != last[i] {
				s.take(l)
				last[i] = key
			}
		}
		return v.d.Wait(ctx, sweepStep)
	}))
	for i, s := range v.all.list {
		s.supplies(at[i])
	}
}

// first notes when something was so first.
func first(at *time.Duration, is bool, start time.Time) {
	if is && *at == 0 {
		*at = time.Since(start)
	}
}

// paced counts a look of the sweep, and notes how long none was made.
func (s *survey) paced(after time.Duration) {
	s.swept++
	s.gap, s.last = max(s.gap, after-s.last), after
}

// pace says what a sweep can have missed.
func (s *survey) pace() string {
	return fmt.Sprintf("%d looks, at most %v apart: a port that is open for less may not have been seen", s.swept, s.gap.Round(100*time.Microsecond))
}

// longer holds the device in reset for longer than a boot takes to its first sign, where
// it was not before: that none was seen shows nothing then.
func (v *surveyor) longer(ctx context.Context, banner time.Duration) {
	if v.still == 0 || v.still > banner+banner/4 {
		return
	}
	con, err := v.d.BootConsole()
	v.OK(err)
	from := con.Mark()
	v.start(ctx, inReset)
	v.OK(v.d.Wait(ctx, banner+banner/2))
	quiet := !shown(con, from, con.Boot().Banner)
	v.stop(ctx)
	for _, s := range v.all.list {
		if !quiet {
			s.Against, s.Wire, s.holds = fmt.Sprintf("the device boots while line %s is held", v.reset), "", ""
		}
	}
	v.OK(v.d.PowerCycle(ctx))
}
