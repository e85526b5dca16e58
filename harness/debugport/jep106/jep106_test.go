package jep106

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMakers holds codes that stand in ids of real chips, as their manuals give them.
func TestMakers(t *testing.T) {
	for id, want := range map[uint32]string{
		0x4BA00477: "ARM",       // JTAG-DP of a Cortex-M
		0x2BA01477: "ARM",       // SW-DP of an STM32F4
		0x06413041: "STMicro",   // its boundary scan TAP
		0x0BC12477: "ARM",       // RP2040
		0x01002927: "Raspberry", // its TARGETID
		0x6BA02477: "ARM",       // STM32H7
		0x00005C25: "Espressif", // ESP32-C3
		0x120034E5: "Tensilica", // ESP32: the core's maker
		0x0362D093: "Xilinx",    // Artix-7
		0x020F30DD: "Altera",    // MAX 10 and others
		0x0012002B: "NXP",       // LPC
		0x10001C05: "Open HW",   // CORE-V
		0x0000002F: "Texas",     // all of its chips end so
		0x0498F03F: "Atmel",     // ATmega128RFA1
		0x00070289: "Nordic",    // TARGETID of an nRF
		0x1000563D: "Andes",     // GD32VF103
	} {
		got := Of(id).String()
		assert.True(t, strings.Contains(strings.ToLower(got), strings.ToLower(want)), "%#08x: %s, want %s", id, got, want)
		assert.True(t, Of(id).Valid())
	}
}

func TestCodes(t *testing.T) {
	assert.False(t, Of(0).Valid())
	assert.False(t, Of(0xFFFFFFFF).Valid(), "all ones are a line that nobody drives")
	assert.False(t, Of(0x000000FF).Valid(), "a continuation code")
	assert.Equal(t, "maker 15/0x10", Code(15<<7|0x10).String())
	assert.Empty(t, Code(15<<7|0x10).Maker())
	assert.Greater(t, len(makers()), 1500)
	for c, name := range makers() {
		assert.True(t, c.Valid(), "%d", c)
		assert.NotEmpty(t, strings.TrimSpace(name))
	}
}
