package update_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/rigs/rigtest"
	"rigor/suites/update"
)

// ofParts declares that header and payload of an image are parts that come apart.
func ofParts(p *profile.Profile) { p.Images.Components = 2 }

// cutByForm declares of the form what an update by it looks like, as of the API. Each phase
// is cut more than once: right behind its beginning nothing is torn yet.
func cutByForm(p *profile.Profile) {
	p.Updates.Items["web"].Cut = p.Updates.Items["api"].Cut
	p.Updates.Items["web"].Cut.Hits = 3
}

// The device in its forms: what each case says is the matrix's, here is that the suite
// stands by itself.
func TestForms(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("updates a device many times")
	}
	for _, c := range []struct {
		name      string
		planted   rigtest.Planted
		selectors []string
		want      map[string]string // every other case passes, or does not apply
	}{
		{"hardened", rigtest.Planted{}, []string{"upd-genuine", "upd-bitflip", "upd-unsigned", "upd-signature-shape", "upd-wrong-key", "upd-dev-key", "upd-other-product",
			"upd-downgrade", "upd-version-forge", "upd-mix-match", "upd-structure", "upd-truncated"}, nil},
		{"hardened, over each channel", rigtest.Planted{}, []string{"upd-every-channel"}, nil},
		{"hardened, from who may not", rigtest.Planted{}, []string{"upd-unauth-trigger", "upd-toctou"}, nil},
		{"hardened, behind an update", rigtest.Planted{}, []string{"upd-resource", "upd-authorised-rollback", "upd-append", "upd-failed-boot-revert", "upd-boot-verify", "upd-power-cut"}, nil},
		{"an image without a signature is taken", rigtest.Planted{Weaknesses: []string{"fw-unsigned"}}, []string{"upd-unsigned", "upd-wrong-key"},
			map[string]string{"upd-unsigned[api]": "fail.access"}},
		{"parts of two images are refused together", rigtest.Planted{Profile: ofParts}, []string{"upd-mix-match"}, nil},
		{"each part is taken that the maker signed", rigtest.Planted{Profile: ofParts, Weaknesses: []string{"fw-parts-apart"}}, []string{"upd-mix-match"},
			map[string]string{"upd-mix-match[api]": "fail.access"}},
		{"power cuts by each channel that says how it looks", rigtest.Planted{Profile: cutByForm}, []string{"upd-power-cut[api]", "upd-power-cut[web]"}, nil},
		{"what comes by the form is torn", rigtest.Planted{Profile: cutByForm, Weaknesses: []string{"fw-half-written-web"}}, []string{"upd-power-cut[api]", "upd-power-cut[web]"},
			map[string]string{"upd-power-cut[web]": "fail.expectation"}},
		{"the power bounces", rigtest.Planted{Profile: cutByForm, Faults: []string{"power-bounces"}}, []string{"upd-power-cut[web]"},
			map[string]string{"upd-power-cut[web]": "inconclusive.coverage-gap"}},
		{"the upload breaks in the middle of parts", rigtest.Planted{Profile: ofParts, Faults: []string{"upload-cut"}}, []string{"upd-mix-match"},
			map[string]string{"upd-mix-match[api]": "inconclusive.control-failed"}},
		{"the upload breaks", rigtest.Planted{Faults: []string{"upload-cut"}}, []string{"upd-unsigned"},
			map[string]string{"upd-unsigned[api]": "inconclusive.control-failed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := rigtest.Run(t, update.Suite, c.planted, c.selectors...)
			seen := 0
			for i := range res.Cases {
				k := &res.Cases[i]
				if k.Unselected {
					continue
				}
				seen++
				if !strings.HasPrefix(c.name, "hardened") {
					assert.NotEqual(t, verdict.NotApplicable, k.Judgement.Verdict, "%s is not tried", k.ID)
				}
				switch want := c.want[k.ID]; {
				case want == string(verdict.Error): // whichever part is named
					assert.Equal(t, verdict.Error, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement)
				case want != "":
					assert.Equal(t, want, rigtest.Judged(k), "%s: %s", k.ID, k.Judgement)
				default:
					assert.Contains(t, []verdict.Verdict{verdict.Pass, verdict.NotApplicable}, k.Judgement.Verdict, "%s: %s", k.ID, k.Judgement)
				}
			}
			assert.Positive(t, seen)
		})
	}
}
