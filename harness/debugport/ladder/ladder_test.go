package ladder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/debugport/idle"
	"rigor/harness/debugport/ladder"
	"rigor/harness/verdict"
)

const maker, ahb = 0x02880000, 0x24770011

func answered(phase string, f func(l *ladder.Look)) ladder.Look {
	l := ladder.Look{Phase: phase, Way: "swd", Supplied: ladder.Yes, Reply: ladder.Answered, ID: 0x2ba01477, Up: ladder.Yes, All: true,
		AP: []ladder.AP{{Addr: 1, IDR: maker, Kind: ladder.Maker}}}
	if f != nil {
		f(&l)
	}
	return l
}

func mem(enabled ladder.Tri, reads ...ladder.Read) func(l *ladder.Look) {
	return func(l *ladder.Look) {
		l.AP = append([]ladder.AP{{Addr: 0, IDR: ahb, Kind: ladder.Memory, Enabled: enabled}}, l.AP...)
		l.Reads = reads
	}
}

func silent(phase string, pads ...idle.Pad) ladder.Look {
	return ladder.Look{Phase: phase, Way: "swd", Supplied: ladder.Yes, Reply: ladder.Silent, Idle: pads}
}

// asked has the same look by each class of ways.
func asked(l ladder.Look) (out []ladder.Look) {
	for _, way := range []string{"swd", "swd dormant wake", "swd target 0x01002927"} {
		l.Way = way
		out = append(out, l)
	}
	return out
}

func pads(clk, io idle.State) []idle.Pad {
	return []idle.Pad{{Name: "J3.2", State: clk}, {Name: "J3.4", State: io}}
}

// TestLevel: each level by what shows it, and what shows none.
func TestLevel(t *testing.T) {
	refused := ladder.Read{At: 0, Length: 64, What: "flash", Got: ladder.Refused}
	flash := ladder.Read{At: 0, Length: 64, What: "flash", Got: ladder.Data}
	ram := ladder.Read{At: 0x20000000, Length: 64, What: "ram", Got: ladder.Data}
	guess := refused
	guess.Guessed = true
	auth := func(a ladder.Auth, f func(l *ladder.Look)) func(l *ladder.Look) {
		return func(l *ladder.Look) { f(l); l.Auth = &a }
	}
	for name, c := range map[string]struct {
		look ladder.Look
		want ladder.Level
	}{
		"silent":                          {silent("system"), ladder.L0},
		"silent, and it restarts":         {ladder.Look{Reply: ladder.Silent, Restarted: true}, ladder.Unsaid},
		"held low":                        {ladder.Look{Reply: ladder.HeldLow}, ladder.Unsaid},
		"wrong parity":                    {ladder.Look{Reply: ladder.Garbled}, ladder.Unsaid},
		"waits for ever":                  {ladder.Look{Reply: ladder.Waits}, ladder.Unsaid},
		"faults":                          {ladder.Look{Reply: ladder.Faulted}, ladder.Unsaid},
		"not asked":                       {ladder.Look{}, ladder.Unsaid},
		"no debug power":                  {answered("system", func(l *ladder.Look) { l.AP, l.All, l.Up = nil, false, ladder.No }), ladder.Unsaid},
		"no access port":                  {answered("system", func(l *ladder.Look) { l.AP = nil }), ladder.L1},
		"the maker's alone":               {answered("system", nil), ladder.L1},
		"not all asked":                   {answered("system", func(l *ladder.Look) { l.All = false }), ladder.Unsaid},
		"fell silent":                     {answered("system", func(l *ladder.Look) { l.Broke = "AP 3" }), ladder.Unsaid},
		"a fault where memory is guessed": {answered("system", mem(ladder.Yes, guess)), ladder.Unsaid},
		"and one where it is declared":    {answered("system", mem(ladder.Yes, guess, refused)), ladder.L2},
		"it was refused by another access port": {answered("system", func(l *ladder.Look) {
			mem(ladder.Yes, refused)(l)
			l.AP = append(l.AP, ladder.AP{Addr: 2, IDR: ahb, Kind: ladder.Memory})
		}), ladder.Unsaid},
		"what answers cannot be asked":       {answered("system", func(l *ladder.Look) { l.AP, l.Blind = nil, "a TAP of another kind" }), ladder.Unsaid},
		"not enabled":                        {answered("system", mem(ladder.No)), ladder.L2},
		"enabled, all refused":               {answered("system", mem(ladder.Yes, refused)), ladder.L2},
		"enabled, not asked":                 {answered("system", mem(ladder.Yes)), ladder.Unsaid},
		"does not say, not asked":            {answered("system", mem(ladder.Unknown)), ladder.Unsaid},
		"does not say, refused":              {answered("system", mem(ladder.Unknown, refused)), ladder.L2},
		"all zeros":                          {answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Blank})), ladder.Unsaid},
		"all zeros, and they are":            {answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Blank, Known: ladder.Yes})), ladder.Unsaid},
		"all zeros, and they are not":        {answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Blank, Known: ladder.No})), ladder.L2},
		"something else than is there":       {answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Data, Known: ladder.No})), ladder.Unsaid},
		"the core says what it is":           {answered("system", mem(ladder.Yes, ladder.Read{Length: 4, What: ladder.System, Got: ladder.Data})), ladder.Unsaid},
		"it says so, and all is refused":     {answered("system", mem(ladder.Yes, refused, ladder.Read{Length: 4, What: ladder.System, Got: ladder.Data})), ladder.L2},
		"a read without an answer":           {answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Broke})), ladder.Unsaid},
		"RAM alone":                          {answered("system", mem(ladder.Yes, refused, ram)), ladder.L3},
		"halted":                             {answered("system", func(l *ladder.Look) { mem(ladder.Yes, refused)(l); l.Halt = ladder.Halted }), ladder.L3},
		"a halt that restarts":               {answered("system", func(l *ladder.Look) { mem(ladder.Yes, refused)(l); l.Halt = ladder.HaltRestarts }), ladder.L2},
		"flash":                              {answered("system", mem(ladder.Yes, flash)), ladder.L5},
		"flash, and then it fell silent":     {answered("system", func(l *ladder.Look) { mem(ladder.Yes, flash)(l); l.Broke = "AP 3" }), ladder.L5},
		"flash of the side that is not shut": {answered("system", auth(0xae|1, mem(ladder.Yes, flash))), ladder.L4},
		"flash of both sides":                {answered("system", auth(0xff, mem(ladder.Yes, flash))), ladder.L5},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := c.look.Level()
			assert.Equal(t, c.want, got, why)
			assert.NotEmpty(t, why)
		})
	}
	assert.Equal(t, "NSID enabled, NSNID enabled, SID disabled, SNID disabled", ladder.Auth(0xaf).String())
	assert.Equal(t, ladder.L3, ladder.Parse("L3"))
	assert.Equal(t, ladder.Unsaid, ladder.Parse("L9"))
}

// TestJudge: what may be said of a port, and on what ground. Silence is a lock only
// where the wiring is shown.
func TestJudge(t *testing.T) {
	roles := map[string]string{"clk": "J3.2", "io": "J3.4"}
	held, dead := pads(idle.Low, idle.High), pads(idle.Floats, idle.Floats)
	flash := answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Data}))
	golden := [2]*ladder.Look{&flash, &flash}
	none := silent("system")
	unsupplied := silent("system", held...)
	unsupplied.Supplied = ladder.Unknown
	chip := ladder.Chip{Version: 1, ID: 0x2ba01477}
	other := func(l *ladder.Look) { l.ID = 0x1ba01477 }
	of := func(target uint32) func(l *ladder.Look) { return func(l *ladder.Look) { l.Target = target } }
	for name, c := range map[string]struct {
		survey ladder.Survey
		level  ladder.Level
		shut   bool
		open   bool
		reason verdict.Reason
		ground []ladder.Basis
	}{
		"the maker's recovery port alone":                {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("system", nil)}}, level: ladder.L1, shut: true},
		"open":                                           {survey: ladder.Survey{Declared: ladder.L5, Looks: []ladder.Look{flash}}, level: ladder.L5, open: true, reason: verdict.ReasonAccess},
		"zeros, and no memory port is declared":          {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Blank}))}}, level: ladder.L2, open: true, reason: verdict.ReasonContradicted},
		"zeros, and one is":                              {survey: ladder.Survey{Declared: ladder.L2, Looks: []ladder.Look{answered("system", mem(ladder.Yes, ladder.Read{Length: 64, What: "flash", Got: ladder.Blank}))}}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"more open than declared":                        {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("system", mem(ladder.No))}}, level: ladder.L2, open: true, reason: verdict.ReasonContradicted},
		"open in one phase":                              {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("reset", nil), silent("2ms"), flash, answered("later", nil)}}, level: ladder.L5, open: true, reason: verdict.ReasonAccess},
		"open, and open without a supply too":            {survey: ladder.Survey{Looks: []ladder.Look{flash}, Astray: "it answers without a supply"}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"not looked at":                                  {survey: ladder.Survey{}, level: ladder.Unsaid, reason: verdict.ReasonCoverageGap},
		"silent, nothing shows the wiring":               {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, without a supply":                       {survey: ladder.Survey{Looks: []ladder.Look{unsupplied}, Roles: roles, Off: dead}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, pads float":                             {survey: ladder.Survey{Looks: []ladder.Look{silent("system", dead...)}, Roles: roles, Off: dead}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, pads are held":                          {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", held...)), Roles: roles, Off: dead}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, an adapter in between holds its pads":   {survey: ladder.Survey{Protocol: "swd", Buffered: true, Looks: asked(silent("system", held...)), Roles: roles, Off: dead, Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, held without the supply":                {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", held...)), Roles: roles, Off: held, Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, both are high":                          {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", pads(idle.High, idle.High)...)), Roles: roles, Off: dead, Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent between answers":                         {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("reset", nil), none, answered("reset again", nil)}, Roles: roles}, level: ladder.L1, shut: true, ground: []ladder.Basis{ladder.W1}},
		"silent behind an answer":                        {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("reset", nil), none}, Roles: roles}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, another wire acts":                      {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles, Wire: "vref follows"}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, an open unit answers":                   {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles, Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, both":                                   {survey: ladder.Survey{Protocol: "swd", Looks: asked(none), Roles: roles, Wire: "vref follows", Golden: golden}, level: ladder.L0, shut: true, ground: []ladder.Basis{ladder.W2, ladder.W3}},
		"silent, both, and asked in one way":             {survey: ladder.Survey{Protocol: "swd", Looks: []ladder.Look{none}, Roles: roles, Wire: "vref follows", Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, pads are held, an open unit answers":    {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", held...)), Roles: roles, Off: dead, Golden: golden}, level: ladder.L0, shut: true, ground: []ladder.Basis{ladder.W2, ladder.W3}},
		"silent, the reference level is low":             {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", idle.Pad{Name: "J3.1", State: idle.Low})), Roles: map[string]string{"clk": "J3.2", "io": "J3.4", "vref": "J3.1"}, Wire: "reset acts", Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, the reference level follows the supply": {survey: ladder.Survey{Protocol: "swd", Looks: asked(silent("system", idle.Pad{Name: "J3.1", State: idle.High})), Off: []idle.Pad{{Name: "J3.1", State: idle.Low}}, Roles: map[string]string{"clk": "J3.2", "io": "J3.4", "vref": "J3.1"}, Golden: golden}, level: ladder.L0, shut: true, ground: []ladder.Basis{ladder.W2, ladder.W3}},
		"silent, both, and vref is low":                  {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles, Wire: "reset acts", Against: "vref is low", Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, the open unit is locked behind":         {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles, Wire: "vref follows", Golden: [2]*ladder.Look{&flash, &none}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, no open unit behind":                    {survey: ladder.Survey{Looks: []ladder.Look{none}, Roles: roles, Wire: "vref follows", Golden: [2]*ladder.Look{&flash}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"TDO shows nothing by itself":                    {survey: ladder.Survey{Looks: []ladder.Look{silent("system", held...)}, Roles: map[string]string{"tck": "J3.2", "tms": "J3.4", "tdo": "J3.6"}, Off: dead}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"garbled":                                        {survey: ladder.Survey{Looks: []ladder.Look{answered("reset", nil), {Reply: ladder.Garbled}}}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"two that answer":                                {survey: ladder.Survey{Looks: []ladder.Look{answered("reset", nil), answered("system", func(l *ladder.Look) { l.ID++ })}}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"another one that is woken":                      {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("a", nil), answered("a", func(l *ladder.Look) { l.ID++; l.Way = "swd dormant wake" })}}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"shut, and a flash by it works":                  {survey: ladder.Survey{Looks: []ladder.Look{answered("reset", nil)}, Contrary: []string{"storage main was read by it"}}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"silent by one way, and answers by another":      {survey: ladder.Survey{Looks: []ladder.Look{answered("a", nil), none, answered("b", func(l *ladder.Look) { l.Way = "swd dormant" })}, Roles: roles}, level: ladder.L1, shut: true, ground: []ladder.Basis{ladder.W1}},
		"an answer that fell silent is no basis":         {survey: ladder.Survey{Looks: []ladder.Look{answered("a", func(l *ladder.Look) { l.Broke = "AP 1" }), none, answered("b", nil)}, Roles: roles}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"silent where one restarts it":                   {survey: ladder.Survey{Looks: []ladder.Look{{Phase: "system", Supplied: ladder.Yes, Reply: ladder.Silent, Restarted: true, Idle: held}}, Roles: roles, Off: dead}, level: ladder.Unsaid, reason: verdict.ReasonAmbiguous},
		"the declared chip":                              {survey: ladder.Survey{Declared: ladder.L1, Chip: chip, Looks: []ladder.Look{answered("system", nil)}}, level: ladder.L1, shut: true},
		"another version":                                {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{Version: 2}, Looks: []ladder.Look{answered("system", nil)}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"another DPIDR":                                  {survey: ladder.Survey{Declared: ladder.L1, Chip: chip, Looks: []ladder.Look{answered("system", other)}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"another target":                                 {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{Target: 0x01002927}, Looks: []ladder.Look{answered("system", of(0x00040927))}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"none of the targets":                            {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{Targets: []uint32{0x01002927}}, Looks: []ladder.Look{answered("system", of(0x00040927))}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"one of the targets, another revision":           {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{Targets: []uint32{0x11002927}, Target: 0x01002927}, Looks: []ladder.Look{answered("system", of(0x31002927))}}, level: ladder.L1, shut: true},
		"another chain":                                  {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{TAPs: []uint32{1, 3}}, Looks: []ladder.Look{answered("system", func(l *ladder.Look) { l.ID, l.TAPs = 0, []uint32{1} })}}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"another chip, and open":                         {survey: ladder.Survey{Declared: ladder.L1, Chip: ladder.Chip{Version: 3}, Looks: []ladder.Look{flash}}, level: ladder.L5, open: true, reason: verdict.ReasonAccess},
		"silent between answers of another chip":         {survey: ladder.Survey{Declared: ladder.L1, Chip: chip, Looks: []ladder.Look{answered("reset", other), none, answered("reset again", other)}, Roles: roles}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent between an answer and another's":         {survey: ladder.Survey{Declared: ladder.L1, Looks: []ladder.Look{answered("reset", nil), none, answered("reset again", other)}, Roles: roles}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"silent, another chip is open in its place":      {survey: ladder.Survey{Protocol: "swd", Chip: ladder.Chip{ID: 0x0bc11477}, Looks: asked(none), Roles: roles, Wire: "vref follows", Golden: golden}, level: ladder.Unsaid, reason: verdict.ReasonControlFailed},
		"a level that is not declared is not judged":     {survey: ladder.Survey{Declared: ladder.Unsaid, Looks: []ladder.Look{answered("system", mem(ladder.No))}}, level: ladder.L2, shut: true},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.survey.Judge(nil)
			assert.Equal(t, c.level, got.Level, got.Why)
			assert.Equal(t, c.shut, got.Shut, got.Why)
			assert.Equal(t, c.open, got.Open, got.Why)
			assert.Equal(t, c.reason, got.Reason, got.Why)
			assert.NotEmpty(t, got.Why)
			var bases []ladder.Basis
			for _, g := range got.Ground {
				bases = append(bases, g.Basis)
				assert.Contains(t, g.String(), string(g.Basis)+": ")
			}
			assert.Equal(t, c.ground, bases)
		})
	}
}
