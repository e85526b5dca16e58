package gpio

import (
	"fmt"
	"path/filepath"
)

// Chip is a GPIO chip of this computer.
type Chip struct {
	Name  string     `json:"name"`  // gpiochip0
	Label string     `json:"label"` // what its driver calls it
	Lines []ChipLine `json:"lines"`
}

// ChipLine is a line of a chip.
type ChipLine struct {
	Offset int    `json:"offset"`
	Name   string `json:"name,omitempty"`   // in the kernel; "" where it has none
	Holder string `json:"holder,omitempty"` // who has it
	// Shared says that another line has the same name, so that it has to be
	// declared by chip and offset, as one without a name.
	Shared bool `json:"shared,omitempty"`
}

// Inventory lists the GPIO chips of this computer and their lines. None of them is
// taken. A computer without any has none, which is no error; chips that may not be
// opened are one.
func Inventory() ([]Chip, error) {
	if err := start(); err != nil {
		if len(devices()) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("look for GPIO chips: %w", err)
	}
	return inventory(chips()), nil
}

func inventory(all []chip) []Chip {
	count := map[string]int{}
	for _, c := range all {
		for _, l := range c.lines {
			count[l.name]++
		}
	}
	var out []Chip
	for _, c := range all {
		one := Chip{Name: c.name, Label: c.label}
		for _, l := range c.lines {
			line := ChipLine{Offset: l.offset, Name: l.name, Holder: l.consumer, Shared: count[l.name] > 1}
			if l.name == "-" || l.name == "_" { // how some boards write that there is none
				line.Name, line.Shared = "", false
			}
			if line.Name == "" {
				line.Shared = false
			}
			one.Lines = append(one.Lines, line)
		}
		out = append(out, one)
	}
	return out
}

// devices gives the character devices of GPIO chips, whether they can be opened or
// not.
func devices() []string {
	all, err := filepath.Glob("/dev/gpiochip*")
	if err != nil {
		return nil
	}
	return all
}
