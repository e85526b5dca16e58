package debugport

import (
	"context"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// SWDUnderReset: nor while the device is held in reset, nor in any moment behind the release up to the end
// of its boot. Firmware that takes the pads for something else, or closes the port late, is
// not there yet.
var SWDUnderReset = check.Check{
	ID:      "dbg-swd-under-reset",
	Title:   "The debug port lets nobody in under reset and behind it",
	Clauses: closed,
	From:    states.Onboarded.State,
	Effect:  check.Disturbs,
	Allow:   attaches,
	Budget:  lookTime,
	Cases:   perPort(profile.SWD, held(profile.SWD)),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		for _, s := range all.of(profile.SWD) {
			var unheld verdict.Reason
			if s.holds == "" {
				unheld = verdict.ReasonControlFailed
			}
			s.judged(t, "port "+s.Port+" lets nobody in while it is held in reset", func(l *ladder.Look) bool { return l.Phase == inReset },
				unheld, "that line "+s.decl.Reset+" holds the device is not shown; "+s.Against)
			s.judged(t, "port "+s.Port+" lets nobody in from the release on to the end of the boot",
				func(l *ladder.Look) bool { return l.Quick && l.After > 0 && l.Phase != inSystem }, "", s.pace())
		}
	},
}
