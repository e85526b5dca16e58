package credential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// answers makes refusals with these texts.
func answers(texts ...string) []dut.Answer {
	var out []dut.Answer
	for _, s := range texts {
		out = append(out, dut.Answer{Kind: verdict.Refused, Raw: []byte(s), Took: time.Millisecond})
	}
	return out
}

// TestJudgeEnum: a difference between known and unknown accounts is one only
// where equal tries are answered alike; a wire that garbles makes others.
func TestJudgeEnum(t *testing.T) {
	const wrong, none = "Login incorrect\nvg login: ", "Unknown user\nvg login: "
	for _, c := range []struct {
		name           string
		known, unknown []dut.Answer
		fails          bool
	}{
		{"alike", answers(wrong, wrong), answers(wrong, wrong), false},
		{"another text", answers(wrong, wrong), answers(none, none), true},
		{"only the name differs", answers("no operator here", "no operator here"), answers("no q0000000 here", "no q0000001 here"), false},
		{"garbled on one side", answers("Login incorregt\nvg lgkn: ", wrong), answers(wrong, wrong), false},
		{"garbled on both", answers("Login incorregt\n", wrong), answers(wrong, "Logn incorrect\n"), false},
		{"a token in it", answers("Login incorrect #a81f", "Login incorrect #77b2"), answers("Login incorrect #c0d1", "Login incorrect #9e9e"), false},
		{"another code", answers(`{"code":1002}`, `{"code":1002}`), answers(`{"code":1001}`, `{"code":1001}`), true},
		{"another code, in a lock", answers(`{"code":1002}`), answers(`{"code":1001}`), true},
		{"another script", answers("密码错误", "密码错误"), answers("用户不存在", "用户不存在"), true},
		{"another script, in a lock", answers("密码错误"), answers("用户不存在"), true},
		{"a full stop", answers("Wrong name or password.", "Wrong name or password."), answers("Wrong name or password", "Wrong name or password"), true},
		{"a code beside a token", answers("E12 a1c9", "E12 b77f"), answers("E13 c0d1", "E13 9e9e"), true},
		{"tokens with signs", answers("<a9+/x==> no", "<bb8/_-0q> no"), answers("<c7xx-y=> no", "<d+d+d0/> no"), false},
		{"tries that are left", answers("no, 4 left", "no, 3 left"), answers("no, 4 left", "no, 3 left"), false},
		{"tries that are left of one of them alone", answers("no, 4 left", "no, 3 left"), answers("no, 9 left", "no, 9 left"), false}, // cannot be said
		{"the name is a word of the page", answers("no. Ask the operator", "no. Ask the operator"), answers("no. Ask the operator", "no. Ask the operator"), false},
		{"the name is a part of a word", answers("cooperators: no operator", "cooperators: no operator"), answers("cooperators: no q0000000", "cooperators: no q0000001"), false},
		{"a lock, shorter by a second", answers("locked, 1 minute 3 seconds. id a81f77b2c0d19e9e"), answers("locked, 1 minute 2 seconds. id b81f77b2c0d19e9f"), false},
		{"a lock, a header", answers("Retry-After: 30\n{\"retry_after\": 30}"), answers("Retry-After: 29\n{\"retry_after\": 29}"), false},
		{"a lock in another script", answers("请在30秒后重试"), answers("请在29秒后重试"), false},
		{"nothing came", []dut.Answer{{Kind: verdict.Silent}}, answers(wrong), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claim check.Claim
			judgeEnum(&claim, []string{"operator", "q0000000", "q0000001"}, c.known, c.unknown)
			assert.Equal(t, c.fails, claim.Failed())
		})
	}
}

// TestIncomparable: where equal tries are not answered alike, nobody is locked to be compared
// by one answer each: on such a wire that one would differ too.
func TestIncomparable(t *testing.T) {
	for _, c := range []struct {
		name           string
		known, unknown []dut.Answer
		reason         verdict.Reason
	}{
		{"alike", answers("no", "no"), answers("no", "no"), ""},
		{"a difference that tells", answers("no", "no"), answers("who?", "who?"), ""},
		{"tries that are left", answers("no, 4 left", "no, 3 left"), answers("no, 4 left", "no, 3 left"), ""},
		{"several texts to both", answers("no", "not so"), answers("not so", "no"), ""},
		{"garbled on one side", answers("n o", "no"), answers("no", "no"), verdict.ReasonAmbiguous},
		{"garbled on both", answers("n\x01", "no"), answers("no", "o"), verdict.ReasonAmbiguous},
		{"nothing came once", []dut.Answer{{Kind: verdict.Refused}, {Kind: verdict.Silent}}, answers("", ""), verdict.ReasonIneffective},
		{"it could not be asked", answers("no"), []dut.Answer{{Kind: verdict.Unreachable}}, verdict.ReasonIneffective},
	} {
		t.Run(c.name, func(t *testing.T) {
			reason, why := incomparable([]string{"operator", "q0000000"}, c.known, c.unknown)
			assert.Equal(t, c.reason, reason, why)
			assert.Equal(t, c.reason == "", why == "")
		})
	}
}

// A device that restarted between the samples said what it says at a start; that a
// wrong password opened it is none of that.
func TestJudgeSamplesOfARestart(t *testing.T) {
	const boot = "Password: VG-1 ROM 1.0 (rev B)"
	for _, c := range []struct {
		name, now      string
		known          []dut.Answer
		fails, unknown bool
	}{
		{"the same boot", "boot 1", answers(boot), true, false},
		{"another boot", "boot 2", answers(boot), false, true},
		{"another boot, and it opened", "boot 2", []dut.Answer{{Kind: verdict.Accepted}}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claim check.Claim
			judgeSamples(&claim, []string{"operator", "q0000000"}, c.known, answers("Password: Login incorrect"), "boot 1", c.now)
			assert.Equal(t, c.fails, claim.Failed())
			assert.Equal(t, c.unknown, claim.Undecided())
		})
	}
}

// A lock is waited out by who has brought it about, also where it lasts for minutes.
func TestLocksAreWaitedOut(t *testing.T) {
	for _, ch := range []check.Check{BruteForce, Enum, LockRecover} {
		assert.Greater(t, ch.Budget.Cleanup, 5*time.Minute, ch.ID)
	}
}

// TestFacesFindNames: the name is taken out as the answer spells it.
func TestFacesFindNames(t *testing.T) {
	names := []string{"a&b@c.d", "q000000"}
	k, u := faces(names, answers("to /in?u=a%26b%40c.d, a&amp;b@c.d", "A&B@C.D"), answers("to /in?u=q000000, q000000", "Q000000"))
	assert.Equal(t, k, u)
	assert.Equal(t, []string{"refused to /in?u=USER, USER", "refused USER"}, k)
}

// Time tells accounts apart only where there are enough samples, far apart and
// hardly overlapping.
func TestJudgeEnumByTime(t *testing.T) {
	timed := func(n int, from, step time.Duration) []dut.Answer {
		out := make([]dut.Answer, n)
		for i := range out {
			out[i] = dut.Answer{Kind: verdict.Refused, Raw: []byte("no"), Took: from + time.Duration(i)*step}
		}
		return out
	}
	for _, c := range []struct {
		name           string
		known, unknown []dut.Answer
		fails          bool
	}{
		{"40 ms slower", timed(enumSamples, 45*time.Millisecond, 100*time.Microsecond), timed(enumSamples, 5*time.Millisecond, 100*time.Microsecond), true},
		{"40 ms faster", timed(enumSamples, 5*time.Millisecond, 0), timed(enumSamples, 45*time.Millisecond, 0), true},
		{"5 ms slower", timed(enumSamples, 10*time.Millisecond, 0), timed(enumSamples, 5*time.Millisecond, 0), false},
		{"slower, but they overlap", timed(enumSamples, 25*time.Millisecond, 10*time.Millisecond), timed(enumSamples, 0, 10*time.Millisecond), false},
		{"too few", timed(2, 45*time.Millisecond, 0), timed(2, 5*time.Millisecond, 0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claim check.Claim
			judgeEnum(&claim, []string{"operator", "q0000000", "q0000001"}, c.known, c.unknown)
			assert.Equal(t, c.fails, claim.Failed())
		})
	}
}

// spread gives refusals whose times lie evenly between two, in a mixed order.
func spread(n int, from, to time.Duration) []dut.Answer {
	out := make([]dut.Answer, n)
	for i := range out {
		out[i] = dut.Answer{Kind: verdict.Refused, Raw: []byte("no"), Took: from + (to-from)*time.Duration(i*7%n)/time.Duration(n)}
	}
	return out
}

// A difference in which the times of both kinds overlap is one where more samples show it
// again. Where it cannot be looked at again it is no proof of the contrary.
func TestJudgeEnumAmidNoise(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	unknown := func(n int) []dut.Answer { return spread(n, 1500*ms, 2500*ms) }
	slower := func(n int, by time.Duration) []dut.Answer { return spread(n, 1500*ms+by, 2500*ms+by) }
	none := []dut.Answer(nil)
	for _, c := range []struct {
		name                          string
		known, more, unknown, moreNot []dut.Answer
		fails, undecided              bool
	}{
		{"400 ms slower, amid a second of noise", slower(enumSamples, 400*ms), slower(enumMore, 400*ms), unknown(enumSamples), unknown(enumMore), true, false},
		{"400 ms faster", unknown(enumSamples), unknown(enumMore), slower(enumSamples, 400*ms), slower(enumMore, 400*ms), true, false},
		{"400 ms slower, and no more samples", slower(enumSamples, 400*ms), none, unknown(enumSamples), none, false, true},
		{"slower by chance", slower(enumSamples, 400*ms), slower(enumMore, 50*ms), unknown(enumSamples), unknown(enumMore), false, false},
		{"slower by chance, then faster", slower(enumSamples, 400*ms), unknown(enumMore), unknown(enumSamples), slower(enumMore, 400*ms), false, false},
		{"slower, and again a little", slower(enumSamples, 400*ms), slower(enumMore, 260*ms), unknown(enumSamples), unknown(enumMore), false, true},
		{"a little slower, and no more samples", slower(enumSamples, 230*ms), none, unknown(enumSamples), none, false, false},
		{"much of a second, at once", slower(enumSamples, s), none, unknown(enumSamples), none, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claim check.Claim
			judgeEnum(&claim, []string{"operator", "q0000000"}, slices.Concat(c.known, c.more), slices.Concat(c.unknown, c.moreNot))
			assert.Equal(t, c.fails, claim.Failed())
			assert.Equal(t, c.undecided, claim.Undecided())
		})
	}
}

// TestEnumByChance: of devices that answer both kinds alike, however widely spread, none
// fails and hardly any is left undecided; of those whose known accounts take longer by
// four tenths of the spread hardly any passes.
func TestEnumByChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	drawn := func(n int, by time.Duration) []dut.Answer {
		out := make([]dut.Answer, n)
		for i := range out {
			out[i] = dut.Answer{Kind: verdict.Refused, Raw: []byte("no"), Took: 1500*time.Millisecond + by + time.Duration(rng.Int64N(int64(time.Second)))}
		}
		return out
	}
	judged := func(by time.Duration) (fails, undecided, passes int) {
		for range 2000 {
			known, unknown := drawn(enumSamples, by), drawn(enumSamples, 0)
			if hints(known, unknown) {
				known, unknown = append(known, drawn(enumMore, by)...), append(unknown, drawn(enumMore, 0)...)
			}
			var claim check.Claim
			judgeTimes(&claim, known, unknown)
			switch {
			case claim.Failed():
				fails++
			case claim.Undecided():
				undecided++
			default:
				passes++
			}
		}
		return fails, undecided, passes
	}
	fails, undecided, _ := judged(0)
	assert.Zero(t, fails)
	assert.LessOrEqual(t, undecided, 2)
	fails, _, passes := judged(400 * time.Millisecond)
	assert.Greater(t, fails, 1600)
	assert.Less(t, passes, 40)
}

// guarded is a device that counts wrong tries by account or by source, and a clock
// that only waiting moves.
type guarded struct {
	pace  check.Pace
	now   time.Duration
	wrong map[string][]time.Duration
	until map[string]time.Duration
	into  int // tries that went into a lock
}

func (g *guarded) try(c login.Credential) dut.Answer {
	key := c.User
	if g.pace.Source {
		key = ""
	}
	switch {
	case g.now < g.until[key]:
		g.into++
		return dut.Answer{Kind: verdict.Refused, Detail: "locked"}
	case c.Password == "right":
		if g.pace.SuccessClears {
			delete(g.wrong, key)
		}
		return dut.Answer{Kind: verdict.Accepted}
	}
	g.wrong[key] = append(slices.DeleteFunc(g.wrong[key], func(at time.Duration) bool { return g.now-at >= g.pace.Window }), g.now)
	if len(g.wrong[key]) >= g.pace.After && g.pace.After > 0 {
		g.until[key] = g.now + g.pace.Lasts
		delete(g.wrong, key)
	}
	return dut.Answer{Kind: verdict.Refused}
}

// TestSamplesDoNotLock: whatever the declared lock-out, no sample is taken in a lock,
// and the owner is let in behind the last of them.
func TestSamplesDoNotLock(t *testing.T) {
	for after := range 7 {
		for _, source := range []bool{false, true} {
			for _, clears := range []bool{false, true} {
				p := check.Pace{Known: true, After: after, Window: time.Minute, Lasts: 2 * time.Minute, Source: source, SuccessClears: clears}
				t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
					g := &guarded{pace: p, wrong: map[string][]time.Duration{}, until: map[string]time.Duration{}}
					s := &sampling{pace: p, own: login.Credential{User: "operator", Password: "right"}, rng: rand.New(rand.NewPCG(1, 2)), try: g.try, wait: func(d time.Duration) { g.now += d }}
					known, unknown, _, owner := s.take(30)
					assert.Equal(t, verdict.Accepted, owner.Kind, "the owner is locked at the end")
					assert.Len(t, known, 30)
					assert.Len(t, unknown, 30)
					assert.Zero(t, g.into, "tries in a lock say nothing")
					assert.LessOrEqual(t, g.now, s.takes(30))
				})
			}
		}
	}
}

// TestCapped: what a DUT may take for one account gets no more tries than one account.
func TestCapped(t *testing.T) {
	t.Parallel()
	c := func(user, password string) login.Credential {
		return login.Credential{User: user, Password: password}
	}
	blank := login.Credential{User: "admin", NoPassword: true}
	got := capped([]login.Credential{c("admin", "1"), c("ADMIN", "2"), blank, c("root", "1"), c("Admin", "3"), login.Nobody, c("root", "2")}, 2)
	assert.Equal(t, []login.Credential{c("admin", "1"), c("ADMIN", "2"), blank, c("root", "1"), login.Nobody, c("root", "2")}, got)
}
