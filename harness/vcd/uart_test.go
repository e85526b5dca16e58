package vcd

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUARTSigrok: sigrok's decoder reads the waves to the bytes that were drawn, both ways
// and at the rates and parities of the loaders in ROM.
func TestUARTSigrok(t *testing.T) {
	if _, err := exec.LookPath("sigrok-cli"); err != nil {
		t.Skip("needs sigrok-cli: apt-get install sigrok-cli")
	}
	began := time.Unix(1000, 0)
	for _, c := range []struct {
		baud   int
		parity Parity
		name   string
	}{{115200, EvenParity, "even"}, {115200, NoParity, "none"}, {9600, OddParity, "odd"}, {921600, NoParity, "none"}} {
		var frames []Frame
		want := map[string][]string{}
		for i := range 300 {
			f := Frame{Line: []string{"tx", "rx"}[i/7%2], At: began.Add(time.Duration(i) * 20 * time.Microsecond), Byte: byte(i * 37)}
			frames = append(frames, f)
			want[f.Line] = append(want[f.Line], fmt.Sprintf("%02X", f.Byte))
		}
		file := filepath.Join(t.TempDir(), "uart.vcd")
		var b bytes.Buffer
		require.NoError(t, UART(&b, began, c.baud, c.parity, []string{"tx", "rx"}, frames))
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
		for line, bytes := range want {
			out, err := exec.CommandContext(t.Context(), "sigrok-cli", "-l", "1", "-i", file, "-I", "vcd",
				"-P", fmt.Sprintf("uart:rx=%s:baudrate=%d:parity=%s", line, c.baud, c.name), "-A", "uart=rx-data:rx-parity-err:rx-warnings").Output()
			require.NoError(t, err)
			var got []string
			for l := range strings.Lines(string(out)) {
				_, text, _ := strings.Cut(strings.TrimSpace(l), ": ")
				got = append(got, strings.Trim(text, `"`))
			}
			assert.Equal(t, bytes, got, "%s at %d bit/s, parity %s", line, c.baud, c.name)
		}
	}
}

func TestUART(t *testing.T) {
	var b bytes.Buffer
	began := time.Unix(0, 0)
	require.NoError(t, UART(&b, began, 9600, NoParity, []string{"tx"}, []Frame{{"tx", began, 0x0f}, {"other", began, 1}}))
	assert.Equal(t, `$date 1970-01-01T00:00:00Z $end
$timescale 10 us $end
$scope module uart $end
$var wire 1 ! tx $end
$upscope $end
$enddefinitions $end
#0
$dumpvars
1!
$end
#10
0!
#21
1!
#62
0!
#104
1!
#313
`, b.String())
	require.Error(t, UART(&b, began, 0, NoParity, nil, nil))
}
