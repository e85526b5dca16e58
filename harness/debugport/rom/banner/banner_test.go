package banner

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
)

func TestIn(t *testing.T) {
	for text, want := range map[string]Found{
		"CCCC":                 {Name: "XMODEM with CRC, or YMODEM", Waits: true},
		"\r\nCCCCCCCC":         {Name: "XMODEM with CRC, or YMODEM", Waits: true},
		"\x15\x15\x15\x15\x15": {Name: "XMODEM with checksum", Waits: true},
		"ESP-ROM:esp32c3-api1-20210207\r\nboot:0x4 (DOWNLOAD(USB/UART0/1))\r\nwaiting for download\r\n": {Name: "ESP32 family, download mode", Waits: true},
		"ESP-ROM:esp32c3-api1-20210207\r\nboot:0xc (SPI_FAST_FLASH_BOOT)\r\n":                           {Name: "ESP32 family"},
		"RomBOOT\r\n>": {Name: "SAM-BA monitor", Waits: true},
		"RomBOOT\r\n":  {Name: "SAM9/SAMA5 boot ROM"},
	} {
		got, there := In([]byte(text))
		require.True(t, there, "%q", text)
		assert.Equal(t, want.Name, got.Name)
		assert.Equal(t, want.Waits, got.Waits)
	}
	for _, text := range []string{"", "CCC", "U-Boot 2023.01 (Jan 2023)\r\nDRAM: 512 MiB\r\n=> ", "ABCCCC", "CCCC and more", strings.Repeat("x", 9000)} {
		_, there := In([]byte(text))
		assert.False(t, there, "%q", text)
	}
}

// wire is a console that has said something already, and says the rest later.
type wire struct {
	now, later string
	at         time.Time
}

func (w *wire) Mark() console.Cursor { return 0 }
func (w *wire) Send(context.Context, []byte, ...console.How) (console.Cursor, error) {
	panic("a listener sends nothing")
}
func (w *wire) Read(ctx context.Context, from console.Cursor, p []byte) (int, error) {
	if n := copy(p, w.now[from:]); n > 0 {
		return n, nil
	}
	if w.later != "" {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Until(w.at)):
		}
		w.now, w.later = w.now+w.later, ""
		return copy(p, w.now[from:]), nil
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{now: "ESP-ROM:esp32s3-20210327\r\n", later: "waiting for download\r\n", at: time.Now().Add(2 * time.Second)}
		f, there, err := Listen(t.Context(), w, 0, 5*time.Second)
		require.NoError(t, err)
		assert.True(t, there && f.Waits, "%+v", f)
		assert.Equal(t, console.Cursor(26), f.At)

		w = &wire{now: "ESP-ROM:esp32s3-20210327\r\n", later: "waiting for download\r\n", at: time.Now().Add(9 * time.Second)}
		f, there, err = Listen(t.Context(), w, 0, 5*time.Second)
		require.NoError(t, err)
		assert.True(t, there)
		assert.False(t, f.Waits, "it said who it is, and no more in time")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = Listen(ctx, &wire{}, 0, 5*time.Second)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
