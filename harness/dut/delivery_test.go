package dut

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// TestDeliveryUntold: a program or a person carries the image. Where nobody says how much
// of it went over, a refusal is not one of the image: an upload that broke looks so too.
func TestDeliveryUntold(t *testing.T) {
	t.Parallel()
	no := errors.Join(steps.ErrNotDone, errors.New("bad signature"))
	refused := profile.Refusals{{Match: profile.Pattern{Literal: "bad signature"}}}
	exec := profile.Step{Verb: "exec", Exec: []string{"put"}, Expect: profile.Expect{Match: profile.Pattern{Literal: "done"}}}
	for _, c := range []struct {
		name    string
		err     error
		text    string
		got     map[string]string
		refused profile.Refusals
		kind    verdict.Kind
		whole   bool
		carried string
	}{
		{"a program's no", no, "", nil, refused, verdict.Refused, false, "how many of its 4 bytes had gone over is not told"},
		{"a program's no, of all", no, "", map[string]string{"carried": "4"}, refused, verdict.Refused, true, "4 of its 4 bytes had gone over"},
		{"a program's no, of a piece", no, "", map[string]string{"carried": "3"}, refused, verdict.Refused, false, "3 of its 4 bytes had gone over"},
		{"a program that cannot count", no, "", map[string]string{"carried": "all"}, refused, verdict.Refused, false, "how many of its 4 bytes had gone over is not told"},
		{"the DUT's words", nil, "bad signature", nil, refused, verdict.Refused, false, "how many of its 4 bytes had gone over is not told"},
		{"the DUT's words, of all", nil, "bad signature", map[string]string{"carried": "4"}, refused, verdict.Refused, true, "4 of its 4 bytes had gone over"},
		{"what the DUT says of whole images alone", no, "", nil, profile.Refusals{{Match: profile.Pattern{Literal: "bad signature"}, Whole: true}}, verdict.Refused, true, "as declared, the DUT says that of whole images alone"},
		{"another no", no, "", nil, profile.Refusals{{Match: profile.Pattern{Literal: "too old"}, Whole: true}}, verdict.Garbled, false, "how many of its 4 bytes had gone over is not told"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := &profile.Profile{}
			p.Updates.Items = map[string]*profile.Update{"app": {Steps: []profile.Step{exec}, Refused: c.refused}}
			d := New(p, Unit{}, &Bench{Exec: func(context.Context, []string, map[string]string) (string, map[string]string, error) {
				return c.text, c.got, c.err
			}}).With(NewSession(t.Context(), nil))
			got, err := d.Update("app").Deliver(t.Context(), Image{Name: "mutant", Bytes: []byte("abcd")})
			require.NoError(t, err)
			assert.Equal(t, c.kind, got.Kind)
			assert.Equal(t, c.whole, got.Whole())
			assert.Equal(t, c.carried, got.Reach())
		})
	}
}

// TestDeliveryCarried: of several files all have to have gone over, and what the DUT
// tells counts beside what went out.
func TestDeliveryCarried(t *testing.T) {
	t.Parallel()
	c := &carrying{}
	to := target{c: c}
	to.Carried(1, 10)
	to.Carried(2, 2)
	d := c.delivery(Image{Bytes: make([]byte, 10)}, nil)
	assert.False(t, d.Whole(), "the signature came, the image did not")
	to = target{c: &carrying{}}
	to.Carried(0, 0)
	assert.False(t, to.c.delivery(Image{Bytes: make([]byte, 10)}, nil).Whole(), "an empty file went over, and not the image")
	assert.True(t, to.c.delivery(Image{}, nil).Whole(), "an image without a byte has no more to it")
	to = target{c: &carrying{}}
	to.Carried(10, 10)
	assert.True(t, to.c.delivery(Image{Bytes: make([]byte, 10)}, nil).Whole())
	assert.True(t, to.c.delivery(Image{Bytes: make([]byte, 10)}, map[string]string{"carried": "10"}).Whole())
	assert.False(t, to.c.delivery(Image{Bytes: make([]byte, 10)}, map[string]string{"carried": "9"}).Whole(), "the DUT has got less")
}
