package credential

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestNeighbours: a number counted up is told from two numbers that chance made.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want alikeness
	}{
		{"4821", "7093", unlike}, {"482193", "487093", unlike}, {"48219377", "48701502", unlike},
		{"AB000999", "AB001000", counting}, {"47000123", "47000124", counting}, {"AB00009999", "AB00010000", counting},
		{"wifi-0042x", "wifi-0043x", counting}, {"vg1-setup-7", "vg1-setup-9", counting}, {"3f9c1a7be025", "3f9c1a7be028", counting},
		{"000000000000000000000123", "000000000000000000000124", counting},
		{"WIFI4821", "WIFI7093", unlike}, {"WIFI0042", "WIFI0342", nearby}, // as close by chance, as every fifteenth
		{"0001", "0002", nearby}, {"48219", "48220", nearby}, {"20000000", "19999999", nearby},
		{"0001", "0101", unlike}, {"3f9c1a7be02d", "91be04c277fa", unlike}, {"abcd1", "abcde", unlike},
		{"48219", "482193", unlike}, {"", "", unlike},
	} {
		assert.Equal(t, c.want, neighbours(c.a, c.b), "%s and %s", c.a, c.b)
		assert.Equal(t, c.want, neighbours(c.b, c.a), "%s and %s", c.b, c.a)
	}
}
