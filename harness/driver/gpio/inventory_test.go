package gpio

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A line is listed as a rig file has to name it: one that has no name, or shares
// it, by chip and offset.
func TestInventory(t *testing.T) {
	got := inventory([]chip{
		{name: "gpiochip0", label: "pinctrl-bcm2711", lines: []chipLine{{offset: 0, name: "ID_SDA"}, {offset: 1, name: "GPIO17", consumer: "reset"}, {offset: 2}, {offset: 3, name: "-"}}},
		{name: "gpiochip1", label: "expander", lines: []chipLine{{offset: 0, name: "GPIO17"}, {offset: 1}}},
	})
	assert.Equal(t, []Chip{
		{Name: "gpiochip0", Label: "pinctrl-bcm2711", Lines: []ChipLine{{Offset: 0, Name: "ID_SDA"}, {Offset: 1, Name: "GPIO17", Holder: "reset", Shared: true}, {Offset: 2}, {Offset: 3}}},
		{Name: "gpiochip1", Label: "expander", Lines: []ChipLine{{Offset: 0, Name: "GPIO17", Shared: true}, {Offset: 1}}},
	}, got)
}

func TestInventoryHere(t *testing.T) {
	if len(devices()) > 0 {
		t.Skip("this computer has GPIO chips, which only their group may open")
	}
	got, err := Inventory()
	assert.NoError(t, err)
	assert.Empty(t, got)
}
