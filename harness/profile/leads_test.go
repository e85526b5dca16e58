package profile

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What one of several ways does without is not needed to get there.
func TestLeadsBy(t *testing.T) {
	button := Way{To: "factory", Steps: []Step{{Verb: "assert", Assert: "button"}, {Verb: "console", Console: "main"}, {Verb: "release", Release: "button"}}}
	menu := Way{To: "factory", Steps: []Step{{Verb: "http", HTTP: "POST /reset"}}, Done: []Step{{Verb: "console", Console: "main"}}}
	elsewhere := Way{To: "onboarded", Steps: []Step{{Verb: "assert", Assert: "pairing"}}}
	for _, tt := range []struct {
		name            string
		ways            []Way
		lines, consoles []string
	}{
		{"none", nil, nil, nil},
		{"one", []Way{elsewhere, button}, []string{"button"}, []string{"main"}},
		{"another without the button", []Way{button, menu}, []string{}, []string{"main"}},
		{"the other way round", []Way{menu, button}, nil, []string{"main"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, consoles := (&Profile{Ways: tt.ways}).LeadsBy("factory")
			assert.ElementsMatch(t, tt.lines, lines)
			assert.ElementsMatch(t, tt.consoles, consoles)
		})
	}
}
