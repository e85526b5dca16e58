package rigs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMeant(t *testing.T) {
	many := []string{"default-ssh", "blank-ssh", "blank-web"}
	for i := range 30 {
		many = append(many, fmt.Sprintf("fw-weakness-%d", i))
	}
	for _, c := range []struct {
		name  string
		names []string
		want  string
	}{
		{"blank-shs", many, `did you mean "blank-ssh"?`},
		{"x", []string{"left", "right"}, "there are left, right"},
		{"SSH", many, "did you mean one of default-ssh, blank-ssh?"},
		{"fw-", many, "30 have that in them; see LIST"},
		{"nonsense", many, "there are 33; see LIST"},
		{"", many, "there are 33; see LIST"},
	} {
		assert.Equal(t, c.want, Meant(c.name, c.names, "LIST"), c.name)
	}
}
