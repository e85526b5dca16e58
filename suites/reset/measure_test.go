package reset_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"rigor/rigs/rigtest"
)

func TestMeasure(t *testing.T) {
	for _, w := range strings.Fields(os.Getenv("R2W")) {
		p := rigtest.Planted{Weaknesses: []string{w}}
		if f, ok := strings.CutPrefix(w, "fault:"); ok {
			p = rigtest.Planted{Faults: []string{f}}
		}
		res := run(t, p)
		fmt.Fprintf(os.Stderr, "@@ %s took %v\n", w, res.Took)
		for _, c := range res.Cases {
			if v := string(c.Judgement.Verdict); v != "pass" && (v != "not-applicable") {
				fmt.Fprintf(os.Stderr, "@@   %s: %s\n", c.ID, c.Judgement)
			}
		}
	}
}
