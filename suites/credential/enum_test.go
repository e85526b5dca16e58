package credential

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rigor/harness/check"
	"rigor/harness/dut"
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
		{"nothing came", []dut.Answer{{Kind: verdict.Silent}}, answers(wrong), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var claim check.Claim
			judgeEnum(&claim, "operator", c.known, c.unknown)
			assert.Equal(t, c.fails, claim.Failed())
		})
	}
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
			judgeEnum(&claim, "operator", c.known, c.unknown)
			assert.Equal(t, c.fails, claim.Failed())
		})
	}
}
