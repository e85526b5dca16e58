package tlshello

import (
	"encoding/xml"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
)

// opensslServer starts openssl's server with further arguments and gives its address.
func opensslServer(t *testing.T, args ...string) string {
	t.Helper()
	openssl := peers.Need(t, "openssl", "openssl")
	dir := t.TempDir()
	key, cert := filepath.Join(dir, "key"), filepath.Join(dir, "cert")
	out, err := exec.Command(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=peer").CombinedOutput()
	require.NoError(t, err, "%s", out)
	address := peers.Port(t)
	peers.Start(t, address, append([]string{openssl, "s_server", "-accept", address, "-key", key, "-cert", cert, "-quiet", "-no_ticket"}, args...)...)
	return address
}

func ask(t *testing.T, address string, h Hello) Answer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	a, err := Ask(t.Context(), c, h, 5*time.Second)
	require.NoError(t, err)
	return a
}

// scanned is what sslscan says of a server.
type scanned struct {
	Protocols []struct {
		Type    string `xml:"type,attr"`
		Version string `xml:"version,attr"`
		Enabled string `xml:"enabled,attr"`
	} `xml:"ssltest>protocol"`
	Compression []struct {
		Supported string `xml:"supported,attr"`
	} `xml:"ssltest>compression"`
	Ciphers []struct {
		Version string `xml:"sslversion,attr"`
		ID      string `xml:"id,attr"`
		DHE     string `xml:"dhebits,attr"`
	} `xml:"ssltest>cipher"`
}

func scan(t *testing.T, address string) (s scanned) {
	t.Helper()
	sslscan := peers.Need(t, "sslscan", "sslscan")
	file := filepath.Join(t.TempDir(), "scan.xml")
	out, err := exec.Command(sslscan, "--no-colour", "--show-ciphers", "--no-fallback", "--no-heartbleed", "--no-groups", "--xml="+file, address).CombinedOutput()
	require.NoError(t, err, "%s", out)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(text, &s), "%s", text)
	return s
}

// What we say of openssl's server is what sslscan says of it: which versions, which
// classes of suites, the size of its group and compression; and of renegotiation what
// openssl's client says.
func TestAgainstSSLScan(t *testing.T) {
	if testing.Short() {
		t.Skip("another program looks at several servers; left out by -short")
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"strong", []string{"-no_tls1", "-no_tls1_1", "-cipher", "ECDHE+AESGCM:DHE+AESGCM"}},
		{"1.3 alone", []string{"-tls1_3"}},
		{"old", []string{"-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"}},
		{"1.2 with all", []string{"-tls1_2", "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"}},
		{"CBC", []string{"-tls1_2", "-cipher", "AES128-SHA"}},
		{"small group", []string{"-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "-dhparam", "DH1024"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := slices.Clone(c.args)
			if i := slices.Index(args, "DH1024"); i >= 0 {
				args[i] = peers.Write(t, filepath.Join(t.TempDir(), "dh.pem"), dh1024)
			}
			address := opensslServer(t, args...)
			s := scan(t, address)
			require.NotEmpty(t, s.Protocols)
			for _, p := range s.Protocols {
				if p.Type != "tls" && p.Version != "3" {
					continue
				}
				v := map[string]uint16{"3": SSL30, "1.0": TLS10, "1.1": TLS11, "1.2": TLS12, "1.3": TLS13}[p.Version]
				got := ask(t, address, Modern(v))
				assert.Equal(t, p.Enabled == "1", got.Kind == verdict.Accepted, "%s: %s", Version(v), got)
			}
			theirs := map[Class]bool{}
			var bits []int // the group may be another one for each suite
			for _, ci := range s.Ciphers {
				id, err := strconv.ParseUint(strings.TrimPrefix(ci.ID, "0x"), 16, 16)
				require.NoError(t, err)
				if ci.Version == "TLSv1.2" {
					theirs[ClassOf(uint16(id))] = true
					if n, err := strconv.Atoi(ci.DHE); err == nil && slices.Contains(ephemeral, uint16(id)) {
						bits = append(bits, n)
					}
				}
			}
			for _, class := range Classes() {
				got := ask(t, address, With(TLS12, class))
				assert.Equal(t, theirs[class], got.Kind == verdict.Accepted, "%s: %s", class, got)
				if got.Kind == verdict.Accepted {
					assert.Equal(t, class, ClassOf(got.Suite))
				}
			}
			if got := ask(t, address, Ephemeral()); len(bits) > 0 || got.GroupBits > 0 {
				assert.Contains(t, bits, got.GroupBits, "%s", got)
			}
			for _, z := range s.Compression {
				assert.Equal(t, z.Supported == "1", ask(t, address, Compressed()).Deflate)
			}
			if got := ask(t, address, Modern(TLS12)); got.Kind == verdict.Accepted {
				out, _ := exec.Command("openssl", "s_client", "-connect", address, "-tls1_2", "-cipher", "ALL:@SECLEVEL=0").CombinedOutput() // ends with its input
				assert.Equal(t, strings.Contains(string(out), "Secure Renegotiation IS supported"), got.Renegotiation)
			}
			assert.Equal(t, verdict.Refused, ask(t, address, Nonsense()).Kind)
		})
	}
}

// dh1024 are parameters of a group of 1024 bits, made for this test.
const dh1024 = `-----BEGIN DH PARAMETERS-----
MIGHAoGBAMqSbLzeTYuRmHSKAqjc9logmBXeWLofN0rUKx5e/oihLK26C9nETIsz
/0Ero5xx1nnlGSqN5eeI+PG0B8grAa1vPIfLc1uSRmzYlRw2eUCKf5myFhUMFzWf
Y9NzlBUusw4WTVp7/QTC6HCP5VYqmNwy1v1sibt4r+oRYp3WZ1o/AgEC
-----END DH PARAMETERS-----
`
