package rig

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"rigor/harness/wire"
)

// piModel gives the model of a Raspberry Pi, or nothing on another computer.
func piModel(root fs.FS) string {
	for _, name := range []string{"proc/device-tree/model", "sys/firmware/devicetree/base/model"} {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		if model := strings.TrimRight(string(b), "\x00\n"); strings.HasPrefix(model, "Raspberry Pi") {
			return model
		}
	}
	return ""
}

// bootPulls looks whether the pulls that a Raspberry Pi has on its pins from
// reset until a program sets them press something: GPIO0 to 8 are pulled up,
// 9 to 27 down (BCM2835 ARM Peripherals, table 6-31; a Pi 5 does the same).
func (v *visit) bootPulls() {
	model := piModel(v.Root)
	look := func(part wire.Part, chip, line, active, drive string) {
		n, ok := bcmNumber(chip, line, model != "")
		if !ok || drive == "input" {
			return
		}
		up := pulledUp(n)
		low := active == "low"
		pull, other := "down", "GPIO4 to GPIO8" // 0 to 3 have other work on the header
		if up {
			pull, other = "up", "GPIO9 to GPIO27"
		}
		switch {
		case up == low: // pulled to its idle
			v.ok("boot-pull", part, "GPIO%d is pulled %s at boot, which is its idle", n, pull)
		case model == "":
			v.ok("boot-pull", part, "on a Raspberry Pi, GPIO%d would be pulled %s at each boot, towards asserted; this computer is none", n, pull)
		default:
			v.broken("boot-pull", part, "%s pulls GPIO%d %s at each of its boots, towards asserted: take one of %s, or invert the line with a transistor", model, n, pull, other)
		}
	}
	for _, name := range sortedNames(v.file.Lines) {
		if l := v.file.Lines[name]; l.Driver == "gpio" {
			look(LinePart(name), l.Chip, l.Line, l.Active, l.Drive)
		}
	}
	if p := v.file.Power; p != nil && p.Driver == "gpio" {
		look(PowerPart, p.Chip, p.Line, p.Active, "")
	}
}

// pulledUp says whether a pin of a Pi's header is pulled up at boot, and not down.
func pulledUp(n int) bool { return n <= 8 }

// BootPull gives the pull, "up" or "down", that a Raspberry Pi has on a line until a
// program asks for it; "" on another computer, or for a line that is none of its
// header's.
func BootPull(root fs.FS, chip, line string) string {
	pi := piModel(root) != ""
	n, ok := bcmNumber(chip, line, pi)
	switch {
	case !ok || !pi:
		return ""
	case pulledUp(n):
		return "up"
	}
	return "down"
}

// mainlineNames are lines of a Pi's header that a mainline kernel names by their
// use and not by their number (gpio-line-names in bcm2711-rpi-4-b.dts and its
// neighbours). The Pi's own kernel does so with the first two alone.
var mainlineNames = map[string]int{
	"ID_SDA": 0, "ID_SCL": 1, "SDA1": 2, "SCL1": 3, "GPIO_GCLK": 4, "SPI_CE1_N": 7, "SPI_CE0_N": 8,
	"SPI_MISO": 9, "SPI_MOSI": 10, "SPI_SCLK": 11, "TXD1": 14, "RXD1": 15,
}

// bcmNumber gives the number of a pin on a Pi's header: by its name, or by its
// offset on the chip that has the header (gpiochip4 under older kernels of a
// Pi 5), which a rig file may call by its label. Names that say no number are
// those of a Pi only on a Pi.
func bcmNumber(chip, line string, pi bool) (int, bool) {
	if n, ok := mainlineNames[line]; ok && pi {
		return n, true
	}
	digits, named := strings.CutPrefix(line, "GPIO")
	if !named {
		switch path.Base(chip) {
		case "gpiochip0", "gpiochip4", "pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1":
		default:
			return 0, false
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 27 {
		return 0, false
	}
	return n, true
}

// Bits of get_throttled (Raspberry Pi documentation, vcgencmd).
const (
	underVoltageNow  = 1 << 0
	underVoltageOnce = 1 << 16
)

// supply asks a Raspberry Pi whether its own supply is too weak: adapters on
// its USB ports then drop out, and pins lose their levels.
func (v *visit) supply() {
	const item = "under-voltage"
	if b, err := fs.ReadFile(v.Root, "sys/devices/platform/soc/soc:firmware/get_throttled"); err == nil {
		bits, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x"), 16, 64)
		switch {
		case err != nil:
			v.skipped(item, "", "get_throttled says %s", quoteCut(b))
		case bits&underVoltageNow != 0:
			v.broken(item, "", "this computer's supply is too low now: take a stronger one, and a shorter cable")
		case bits&underVoltageOnce != 0:
			v.ok(item, "", "none now, but there was since this computer's boot: its supply is weak")
		default:
			v.ok(item, "", "none")
		}
		return
	}
	names, err := fs.Glob(v.Root, "sys/class/hwmon/*/name")
	if err != nil {
		names = nil
	}
	for _, name := range names {
		b, err := fs.ReadFile(v.Root, name)
		if err != nil || strings.TrimSpace(string(b)) != "rpi_volt" {
			continue
		}
		alarm, err := fs.ReadFile(v.Root, path.Join(path.Dir(name), "in0_lcrit_alarm"))
		switch {
		case err != nil:
			v.skipped(item, "", "%v", err)
		case strings.TrimSpace(string(alarm)) == "0":
			v.ok(item, "", "none")
		default:
			v.broken(item, "", "this computer's supply is too low: take a stronger one, and a shorter cable")
		}
		return
	}
	v.skipped(item, "", "this computer does not tell")
}

// quoteCut shows bytes that are not ours.
func quoteCut(b []byte) string {
	const most = 60
	if len(b) > most {
		return fmt.Sprintf("%q…", b[:most])
	}
	return fmt.Sprintf("%q", b)
}
