// Package banner says whether what a console shows is a loader in ROM: one that waits for
// a file by XMODEM or YMODEM, or that says who it is. It only listens.
package banner

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"rigor/harness/console"
	"rigor/harness/debugport/rom"
)

// Found is a loader that shows itself.
type Found struct {
	Name string `json:"name"`
	// Waits says that it waits for somebody to load something; else it has said who it is
	// and may have gone on to the program.
	Waits bool           `json:"waits"`
	Text  string         `json:"text"` // what it was known by
	At    console.Cursor `json:"at"`
}

// known is a text of a loader. Once is enough where it is long; a byte has to come alone,
// again and again.
type known struct {
	name   string
	text   string
	waits  bool
	repeat bool
}

// all are in the order in which they are looked for: what waits goes first.
var all = []known{
	// esptool's "Boot Mode Selection": the ESP32 family's ROM, in download mode and not.
	{name: "ESP32 family, download mode", text: "waiting for download", waits: true},
	{name: "ESP32 family", text: "ESP-ROM:esp"},
	{name: "ESP32", text: "ets Jun  8 2016"},
	{name: "ESP32", text: "ets Jul 29 2019"},
	{name: "ESP8266", text: "ets Jan  8 2013"},
	// Atmel/Microchip SAM9 and SAMA5: SAM-BA's monitor prompts after it.
	{name: "SAM-BA monitor", text: "RomBOOT\n\r>", waits: true},
	{name: "SAM-BA monitor", text: "RomBOOT\r\n>", waits: true},
	{name: "SAM9/SAMA5 boot ROM", text: "RomBOOT"},
	// Renesas R-Car and RZ/G: SCIF download mode.
	{name: "Renesas SCIF download mode", text: "SCIF Download mode", waits: true},
	{name: "Renesas SCI download mode", text: "SCI Download mode", waits: true},
	// Amlogic's ROM names itself before anything of the flash runs.
	{name: "Amlogic boot ROM", text: ":BL1:"},
	// Marvell Armada: the ROM's own console.
	{name: "Marvell boot ROM", text: "BootROM 1."},
	// NXP LPC: the ISP handler, once it was called.
	{name: "NXP LPC ISP", text: "Synchronized\r\n", waits: true},
	// TI AM335x and kin, and whoever else takes XMODEM with CRC or YMODEM: C once a
	// second or so; the old form with checksum says NAK.
	{name: "XMODEM with CRC, or YMODEM", text: "C", waits: true, repeat: true},
	{name: "XMODEM with checksum", text: "\x15", waits: true, repeat: true},
}

// repeats is how often a byte has to come, alone.
const repeats = 4

// In looks through what came.
func In(b []byte) (Found, bool) {
	for _, k := range all {
		if k.repeat {
			if at := alone(b, k.text[0]); at >= 0 {
				return Found{Name: k.name, Waits: k.waits, Text: fmt.Sprintf("%q, %d times or more, alone", k.text, repeats), At: console.Cursor(at)}, true
			}
			continue
		}
		if at := bytes.Index(b, []byte(k.text)); at >= 0 {
			return Found{Name: k.name, Waits: k.waits, Text: k.text, At: console.Cursor(at)}, true
		}
	}
	return Found{}, false
}

// alone gives where c comes at least so often at the end of b, with nothing else between;
// a line's end before it may be. A text that ends so would have had other letters too.
func alone(b []byte, c byte) int {
	at := len(b)
	for at > 0 && b[at-1] == c {
		at--
	}
	if len(b)-at < repeats || (at > 0 && b[at-1] != '\n' && b[at-1] != '\r' && b[at-1] != 0) {
		return -1
	}
	return at
}

// Listen hears a console from a cursor on until a loader that waits has shown itself, or
// until d is over. What it has found by then, it gives; one that only said who it is may
// be followed by one that waits. An error is the port's or the context's.
func Listen(ctx context.Context, w rom.Wire, from console.Cursor, d time.Duration) (f Found, there bool, err error) {
	const most = 64 << 10
	var heard []byte
	end := time.Now().Add(d)
	for ear := rom.Listen(w, from); len(heard) < most; {
		b, more, err := ear.Byte(ctx, end)
		if err != nil {
			return f, there, err
		}
		if !more {
			break
		}
		heard = append(heard, b)
		now, is := In(heard)
		if !is {
			continue
		}
		now.At += from
		if f, there = now, true; f.Waits {
			break
		}
	}
	return f, there, nil
}
