package capture

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

func talk(client, server string, chunks ...string) Conversation {
	at := time.Date(2026, 11, 26, 4, 0, 0, 123456789, time.UTC)
	c := Conversation{Client: netip.MustParseAddrPort(client), Server: netip.MustParseAddrPort(server), Opened: at}
	for i, text := range chunks {
		c.Chunks = append(c.Chunks, Chunk{At: at.Add(time.Duration(i+1) * time.Millisecond), Sent: i%2 == 0, Data: []byte(text)})
	}
	return c
}

func TestStreams(t *testing.T) {
	long := strings.Repeat("x", 3000)
	frames := talk("192.0.2.1:40000", "192.0.2.2:80", "GET /", "200 OK", long+"secret", "bye").Frames()
	frames = append(frames, talk("[2001:db8::1]:40001", "[2001:db8::2]:443", "six").Frames()...)
	frames = append(frames, wire.Frame{Data: []byte("no frame")})
	// The network may turn frames around and bring one twice.
	frames[3], frames[6] = frames[6], frames[3]
	frames = append(frames, frames[6])
	ss := Streams(frames)
	require.Len(t, ss, 4)
	assert.Equal(t, "GET /"+long+"secret", string(ss[0].Data))
	assert.Equal(t, "200 OKbye", string(ss[1].Data))
	assert.Equal(t, "six", string(ss[2].Data))
	assert.Equal(t, "no frame", string(ss[3].Data))
	for _, s := range ss {
		assert.False(t, s.Gap)
	}
	i := bytes.Index(ss[0].Data, []byte("secret"))
	n := ss[0].Frame(i)
	assert.Contains(t, string(frames[n-1].Data), "secret")
	ss[0].Blank(frames, i, 6)
	assert.NotContains(t, string(frames[n-1].Data), "secret")
	assert.Contains(t, string(frames[n-1].Data), "x******")

	ss = Streams(slices.Delete(slices.Clone(frames), 5, 6))
	assert.True(t, ss[0].Gap || ss[1].Gap)

	// The same ports, once more.
	twice := append(talk("192.0.2.1:40000", "192.0.2.2:80", "one").Frames(), talk("192.0.2.1:40000", "192.0.2.2:80", "two").Frames()...)
	var all []string
	for _, s := range Streams(twice) {
		all = append(all, string(s.Data))
	}
	assert.Contains(t, strings.Join(all, "+"), "one")
}

// Other programs read the file, and see in it what was said, with good checksums.
func TestAgainstTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	capinfos, err := exec.LookPath("capinfos")
	if err != nil {
		t.Skip("needs capinfos: apt-get install wireshark-common")
	}
	frames := talk("192.0.2.1:40000", "192.0.2.2:80", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").Frames()
	frames = append(frames, talk("[2001:db8::1]:40001", "[2001:db8::2]:8080", "GET /six HTTP/1.1\r\nHost: b\r\n\r\n").Frames()...)
	file := filepath.Join(t.TempDir(), "a.pcapng")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, Write(f, "rig", "what the rig said", frames, map[int]string{4: "the proof"}))
	require.NoError(t, f.Close())
	out, err := exec.Command(capinfos, "-M", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `Number of packets:\s+9`, string(out))
	assert.Contains(t, string(out), "pcapng")
	assert.Contains(t, string(out), "what the rig said")
	cmd := exec.Command(tshark, "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields", "-e", "frame.number", "-e", "http.request.uri", "-e", "http.response.code",
		"-e", "frame.comment", "-e", "frame.time_epoch", "-e", "tcp.checksum.status", "-e", "tcp.analysis.flags")
	out, err = cmd.Output()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 9, "%s", out)
	assert.Equal(t, []string{"4", "/", "", "the proof", "1795665600.124456789", "1"}, strings.Split(strings.TrimRight(lines[3], "\t"), "\t"))
	assert.Equal(t, "200", strings.Split(lines[4], "\t")[2])
	assert.Equal(t, "/six", strings.Split(lines[8], "\t")[1])
}

func FuzzStreams(f *testing.F) {
	for _, fr := range talk("192.0.2.1:40000", "192.0.2.2:80", "GET /", "200 OK").Frames() {
		f.Add(fr.Data, fr.Data)
	}
	f.Add([]byte("x"), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		frames := []wire.Frame{{Data: bytes.Clone(a)}, {Data: bytes.Clone(b)}, {Data: bytes.Clone(a)}}
		for _, s := range Streams(frames) {
			for i := range s.Data {
				n := s.Frame(i)
				if n < 1 || n > 3 {
					t.Fatalf("byte %d is in frame %d", i, n)
				}
			}
			s.Blank(frames, 0, len(s.Data))
			assert.Empty(t, bytes.Trim(s.Data, "*"))
		}
		require.NoError(t, Write(&bytes.Buffer{}, "a", "b", frames, nil))
	})
}
