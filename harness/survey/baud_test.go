package survey

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// heardAt gives what a receiver at one rate makes of a text that is sent at
// another, 8N1: a character without a stop bit is 00, as the kernel gives it, and
// the next one begins at the next edge.
func heardAt(text string, sent, heard int) []byte {
	var bits []bool
	for _, c := range []byte(text) {
		bits = append(bits, false)
		for i := range 8 {
			bits = append(bits, c>>i&1 == 1)
		}
		bits = append(bits, true)
	}
	end := float64(len(bits)) / float64(sent)
	level := func(t float64) bool {
		if i := int(t * float64(sent)); i < len(bits) {
			return bits[i]
		}
		return true
	}
	var out []byte
	one := 1 / float64(heard)
	for t := 0.0; t < end; {
		if level(t) { // idle: look for the edge
			t += one / 16
			continue
		}
		var c byte
		for i := range 8 {
			if level(t + one*(1.5+float64(i))) {
				c |= 1 << i
			}
		}
		stop := t + one*9.5
		if !level(stop) {
			c = 0
			for stop < end && !level(stop) {
				stop += one / 16
			}
		}
		out = append(out, c)
		t = stop
	}
	return out
}

const boot = "\r\nU-Boot SPL 2023.01 (Jan 10 2023 - 12:00:00 +0000)\r\nTrying to boot from MMC1\r\n\r\n\r\n" +
	"U-Boot 2023.01 (Jan 10 2023 - 12:00:00 +0000) ACME\r\n\r\nDRAM:  512 MiB\r\nMMC:   mmc@7e202000: 0\r\n" +
	"Hit any key to stop autoboot:  2 \b\b\b 1 \b\b\b 0 \r\nStarting kernel ...\r\n\r\n" +
	"[    0.000000] Booting Linux on physical CPU 0x0\r\n[    1.204500] Run /sbin/init as init process\r\n\r\nacme login: "

// Whatever the device's rate, the text is found at it and at no other one.
func TestGuessBaud(t *testing.T) {
	t.Parallel()
	for _, sent := range Rates() {
		var samples []Sample
		for _, rate := range Rates() {
			raw := heardAt(boot, sent, rate)
			if near := float64(rate) / float64(sent); near > 1.04 || near < 0.96 {
				assert.False(t, IsText(raw), "%d heard at %d: %q", sent, rate, raw)
			}
			samples = append(samples, Sample{rate, raw})
		}
		assert.Equal(t, sent, GuessBaud(samples), "sent at %d", sent)
	}
}

func TestIsText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       bool
	}{
		{"nothing", "", false},
		{"too little to say", "login: ", false},
		{"a boot", boot, true},
		{"noise of an open line", "\x00\x00\xff\x00\xfe\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", false},
		{"one character again and again", "................................................", false},
		{"one letter again and again", "UUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUUU", false},
		{"colours", "\x1b[32mI (31) boot: ESP-IDF v5.1 2nd stage bootloader\x1b[0m\r\n", true},
		{"another alphabet", "загрузка ядра, пожалуйста подождите\r\nok", false}, // its words are none of ours: nothing is said
		{"a dump of bytes", "\x01\x02\x03\x04\x05\x06\x07\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x90\x91\x92\x93\x94\x95\x96\x97", false},
	} {
		assert.Equal(t, tc.want, IsText([]byte(tc.text)), tc.name)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte(boot))
	f.Add([]byte("\x00\xff\xc3\x28"))
	f.Fuzz(func(t *testing.T, b []byte) {
		shown, words := Text(b)
		assert.True(t, 0 <= words && words <= shown && shown <= 1, "%v %v", shown, words)
		if IsText(b) {
			assert.Equal(t, 9600, GuessBaud([]Sample{{9600, b}}))
		}
	})
}
