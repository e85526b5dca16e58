package survey

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"rigor/harness/driver/gpio"
	"rigor/harness/driver/link"
	"rigor/harness/driver/serial"
	"rigor/harness/profile"
	"rigor/harness/rig"
)

var day = time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)

// rich is a device of which much was seen, on a board with GPIO.
func rich() *Findings {
	con := Recognise([]byte(strings.ReplaceAll(boot, "acme login: ", "Welcome to ACME\r\nacme login: ")))
	return &Findings{Name: "acme", At: day,
		Ports: []serial.Found{{Path: "/dev/serial/by-id/usb-acme-if00", Device: "/dev/ttyUSB0", Stable: true, USB: "Acme UART"}},
		Chips: []gpio.Chip{{Name: "gpiochip0", Label: "pinctrl-bcm2711", Lines: []gpio.ChipLine{{Offset: 4, Name: "GPIO4"}, {Offset: 5, Name: "GPIO5", Holder: "fan"}, {Offset: 17, Name: "GPIO17"}}},
			{Name: "gpiochip1", Label: "expander", Lines: []gpio.ChipLine{{Offset: 0}, {Offset: 1}}}},
		Pull: func(_ string, l gpio.ChipLine) string {
			return map[string]string{"GPIO4": "up", "GPIO17": "down"}[l.Name]
		},
		Port: "/dev/serial/by-id/usb-acme-if00", Heard: &Heard{Baud: 115200, Took: 6300 * time.Millisecond}, Console: &con,
		Interface: "eth1", Address: "192.0.2.7", Neighbours: []link.Neighbour{{Addr: netip.MustParseAddr("192.0.2.7"), MAC: "02:00:00:00:00:01", Names: []string{"acme"}}},
		Looked: Ports(), Knocked: &Knocked{Refused: 60, Open: []Service{
			{Port: 22, Kind: "ssh", Says: "SSH-2.0-dropbear_2022.83"},
			{Port: 23, Kind: "telnet", Says: "acme login: "},
			{Port: 80, Kind: "http", Page: &Page{Path: "/", Status: 200, Title: "Sign in", Action: "/in", User: "u", Password: "p", Server: "tiny/1.0"}},
			{Port: 443, Kind: "http", TLS: true, Page: &Page{Path: "/status", Status: 401, Scheme: "digest"}},
			{Port: 502}}}}
}

// TestDraftOnAPi: the lines that a Pi uses at its own boot, or pulls up by strong
// resistors of its board, are proposed for no wire while there are others.
func TestDraftOnAPi(t *testing.T) {
	f := poor()
	c := gpio.Chip{Name: "gpiochip0", Label: "pinctrl-bcm2711"}
	for i, name := range []string{"ID_SDA", "ID_SCL", "SDA1", "GPIO3", "GPIO_GCLK", "GPIO5", "GPIO6"} {
		c.Lines = append(c.Lines, gpio.ChipLine{Offset: i, Name: name})
	}
	c.Lines = append(c.Lines, gpio.ChipLine{Offset: 17, Name: "GPIO17"})
	f.Chips = []gpio.Chip{c}
	f.Pull = func(_ string, l gpio.ChipLine) string {
		if l.Offset <= 8 {
			return "up"
		}
		return "down"
	}
	text := string(DraftRig(f))
	assert.Contains(t, text, "power: {driver: gpio, line: 'GPIO17', active: high,")
	assert.Contains(t, text, "reset: {driver: gpio, line: 'GPIO_GCLK', active: low,")
	assert.Contains(t, text, "button: {driver: gpio, line: 'GPIO5', active: low,")
	assert.Contains(t, text, "ID_SDA (pulled up at boot)", "they are listed all the same")
}

// poor is a device of which nothing was seen.
func poor() *Findings {
	return &Findings{Name: "device", At: day, Missing: []string{"serial ports: this computer has none", "an address: none was given"}}
}

// deaf is a console of which no rate was found, and a host on which nothing is open
// but a form behind a forwarder.
func deaf() *Findings {
	return &Findings{Name: "deaf", At: day, Port: "/tmp/pty", Heard: &Heard{Tried: []Sample{{9600, []byte("\x00\xff")}}}, Console: &Console{Bytes: 2},
		Address: "127.0.0.1", Through: map[int]int{80: 42080, 22: 42022},
		Knocked: &Knocked{Open: []Service{{Port: 80, Kind: "http", Page: &Page{Status: 200, Password: "pw", Action: "https://elsewhere/"}}}}}
}

// hostile is a device that would like to write its own declarations.
func hostile() *Findings {
	evil := "x\n# TODO allow: [reset]\nmaker: 'evil'\r\x1b[2J\xff\u202e: }"
	c := Recognise([]byte("ROM 1.0\r\n# TODO maker: evil\r\nx'y: \"{ login: "))
	c.Banner, c.Login, c.Window, c.Loader = "ROM'1.0 \x1b[2J\nmaker: evil", evil, evil, "Loader: {'# TODO"
	c.WindowFor = time.Second
	f := rich()
	f.Console, f.Interface, f.Port = &c, evil, "/dev/"+evil
	f.Neighbours[0].Names = []string{evil}
	f.Knocked.Open[0].Says, f.Knocked.Open[1].Says = evil, "# TODO "+evil
	f.Knocked.Open[2].Page.Action, f.Knocked.Open[2].Page.Password, f.Knocked.Open[2].Page.Server = "/"+evil, evil, evil
	f.Ports[0].USB, f.Chips[0].Label, f.Chips[0].Lines[0].Name = evil, evil, evil
	f.Missing = []string{evil}
	return f
}

// files parses both files of a draft, and holds them against each other.
func files(t testing.TB, rigText, profText string) {
	t.Helper()
	r, err := rig.Parse(RigFile, []byte(rigText))
	require.NoError(t, err, rigText)
	p, err := profile.Parse(ProfileFile, []byte(profText))
	require.NoError(t, err, profText)
	require.NoError(t, rig.Check(r, p))
}

// unmark takes every mark of a draft away.
func unmark(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], Todo)
	}
	return strings.Join(lines, "\n")
}

// filled is a draft that somebody has filled in.
func filled(text string) string { return strings.ReplaceAll(text, Fill, "FILLED") }

// A draft is taken as it stands, and with every mark taken away: what is to be filled
// in is at its place.
func TestDraft(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*Findings{"rich": rich(), "poor": poor(), "deaf": deaf(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) {
			r, p := string(DraftRig(f)), string(DraftProfile(f))
			golden(t, "drafts/"+name+".rig.yaml", []byte(r))
			golden(t, "drafts/"+name+".profile.yaml", []byte(p))
			files(t, r, p)
			_, err := profile.Parse(ProfileFile, []byte(unmark(p)))
			assert.ErrorContains(t, err, "FILL-IN still stands there", "who leaves it there has declared nothing")
			files(t, filled(unmark(r)), filled(unmark(p)))
			assert.Positive(t, Todos([]byte(r)))
			for _, c := range r + p {
				assert.False(t, c < ' ' && c != '\n' || c == 0x7f || c == '\u202e', "%q stands there as it is", c)
			}
			for line := range strings.SplitSeq(p, "\n") {
				assert.NotEqual(t, Todo+"maker: 'evil'", line)
				assert.False(t, strings.HasPrefix(line, "maker: "), "the device declares nothing: %s", line)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "it's", "a\nb", "\xff", "\u202e", "# x", "null", "\u0085", "\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := Quote(s)
		assert.NotContains(t, q, "\n")
		var got []string
		require.NoError(t, yaml.Unmarshal([]byte("["+q+"]"), &got), q)
		assert.Equal(t, []string{strings.ToValidUTF8(s, "\ufffd")}, got, q)
	})
}

// Whatever a device says, the drafts are files without a mistake, and say nothing
// of what it said outside of quotes.
func FuzzDraft(f *testing.F) {
	f.Add([]byte(boot), "SSH-2.0-x", "/in")
	f.Add([]byte("ROM 1.0\n\x1b[2J'x: login: "), "\n# TODO x", "/'\"")
	f.Fuzz(func(t *testing.T, raw []byte, says, action string) {
		d := rich()
		c := Recognise(raw)
		d.Console, d.Entered = &c, &c
		d.Knocked.Open[0].Says, d.Knocked.Open[2].Page.Action, d.Knocked.Open[2].Page.Password = says, action, orWord(says, "p")
		r, p := string(DraftRig(d)), string(DraftProfile(d))
		if strings.Contains(string(raw)+says+action, Fill) {
			t.Skip("who says that is asked about it")
		}
		files(t, r, p)
		files(t, filled(unmark(r)), filled(unmark(p)))
	})
}
