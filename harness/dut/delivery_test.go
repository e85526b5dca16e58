package dut

import (
	"context"
	"errors"
	"testing"
	"time"

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
	img := Image{Bytes: []byte("0123456789")}
	went := func(img Image) (*carrying, func(file string, n, of int)) {
		c := &carrying{image: img}
		return c, func(file string, n, of int) { target{c: c}.Carried([]byte(file), n, of, time.Now()) }
	}
	c, file := went(img)
	file("0123456789", 1, 10)
	file("ab", 2, 2)
	assert.False(t, c.delivery(img, nil).Whole(), "the signature came, the image did not")
	c, file = went(img)
	file("0123456789", 10, 10)
	file("ab", 1, 2)
	assert.False(t, c.delivery(img, nil).Whole(), "the image came, the signature did not")
	c, file = went(img)
	file("", 0, 0)
	assert.False(t, c.delivery(img, nil).Whole(), "an empty file went over, and not the image")
	c, file = went(img)
	file("sha256 of it", 12, 12)
	d := c.delivery(img, nil)
	assert.False(t, d.Whole(), "a file beside it went over, and nobody tells of the image")
	assert.Equal(t, "how many of its 10 bytes had gone over is not told", d.Reach())
	assert.True(t, c.delivery(img, map[string]string{"carried": "10"}).Whole(), "the DUT tells of the image")
	c, file = went(img)
	file("0123456788", 10, 10)
	assert.False(t, c.delivery(img, nil).Whole(), "another file of its length")
	c, file = went(Image{})
	file("", 0, 0)
	assert.True(t, c.delivery(Image{}, nil).Whole(), "an image without a byte has no more to it")
	c, file = went(img)
	file("0123456789", 110, 110)
	assert.True(t, c.delivery(img, nil).Whole(), "in a form")
	assert.True(t, c.delivery(img, map[string]string{"carried": "10"}).Whole())
	assert.False(t, c.delivery(img, map[string]string{"carried": "9"}).Whole(), "the DUT has got less")
}

// TestErred: an error of the server's own is one of what it has got; a DUT that fetches and
// does not reach the rig answers the same.
func TestErred(t *testing.T) {
	half, whole := Delivery{Carried: 2, Of: 4}, Delivery{Carried: 4, Of: 4}
	assert.True(t, erred(500, false, half))
	assert.True(t, erred(502, true, whole))
	assert.False(t, erred(502, true, half))
	assert.False(t, erred(502, true, Delivery{Carried: -1, Of: 4}))
	assert.False(t, erred(422, false, whole))
}
