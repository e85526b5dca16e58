package survey

import (
	"bufio"
	"bytes"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Service is an open TCP port, and what it says to a stranger.
type Service struct {
	Port int    `json:"port"`           // of the DUT
	Kind string `json:"kind,omitempty"` // ssh, telnet, http, ftp, …; "" where it said nothing that is known
	TLS  bool   `json:"tls,omitempty"`
	Says string `json:"says,omitempty"` // its first line, the device's own
	Page *Page  `json:"page,omitempty"` // of a web server
	Cert string `json:"certificate,omitempty"`
}

// Page is the front page of a web server.
type Page struct {
	Path   string `json:"path"`
	Status int    `json:"status"`
	Title  string `json:"title,omitempty"`
	Server string `json:"server,omitempty"`
	Goes   string `json:"location,omitempty"`
	Scheme string `json:"scheme,omitempty"` // basic or digest, where it asks for one
	// Action and the fields are those of a form with a field for a password.
	Action   string `json:"action,omitempty"`
	User     string `json:"user_field,omitempty"`
	Password string `json:"password_field,omitempty"`
}

// greetings are how services begin that speak first.
var greetings = []struct {
	kind string
	re   func() *regexp.Regexp
}{
	{"ssh", lazily(`^SSH-\d`)},
	{"telnet", lazily(`^\xff[\xfb-\xfe]`)},
	{"ftp", lazily(`(?i)^220[ -].*ftp`)},
	{"smtp", lazily(`(?i)^220[ -].*smtp`)},
	{"vnc", lazily(`^RFB \d{3}\.\d{3}`)},
	{"imap", lazily(`^\* OK`)},
	{"pop3", lazily(`^\+OK`)},
	{"rsync", lazily(`^@RSYNCD:`)},
	{"adb", lazily(`^(?:CNXN|AUTH)\x00`)},
	{"telnet", lazily(`(?im)^.{0,80}(?:login|user ?name|password) ?: *\z`)}, // without options
	{"http", lazily(`^HTTP/1\.[01] \d{3}`)},
}

// Greeting says which service begins like this, "" where none is known.
func Greeting(raw []byte) string {
	for _, g := range greetings {
		if g.re().Match(raw) {
			return g.kind
		}
	}
	return ""
}

// FirstLine gives the first line that says something, without options of Telnet;
// it is the device's own, 200 bytes at most.
func FirstLine(raw []byte) string {
	var plain []byte
	for i := 0; i < len(raw); i++ {
		if raw[i] == 0xff && i+2 < len(raw) && raw[i+1] >= 0xfb && raw[i+1] <= 0xfe {
			i += 2
			continue
		}
		plain = append(plain, raw[i])
	}
	for _, l := range split(plain) {
		if strings.TrimSpace(l) != "" {
			return l[:min(len(l), 200)]
		}
	}
	return ""
}

var (
	title = lazily(`(?is)<title[^>]*>(.*?)</title`)
	form  = lazily(`(?is)<form\b([^>]*)>(.*?)(?:</form|\z)`)
	input = lazily(`(?is)<input\b([^>]*)>`)
	attr  = lazily(`(?is)\b([a-z-]{1,20})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
)

// ReadPage reads the answer to a request for a page; nil where it is none of HTTP.
// A body that is cut short is read as far as it goes.
func ReadPage(path string, raw []byte) *Page {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }() // it is in memory
	p := &Page{Path: path, Status: resp.StatusCode, Server: cut(resp.Header.Get("Server")), Goes: cut(resp.Header.Get("Location"))}
	for _, h := range resp.Header.Values("WWW-Authenticate") {
		scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(h)), " ")
		if slices.Contains([]string{"basic", "digest"}, scheme) && p.Scheme == "" {
			p.Scheme = scheme
		}
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(http.MaxBytesReader(nil, resp.Body, most)) // what came of it
	if m := title().FindSubmatch(body.Bytes()); m != nil {
		p.Title = cut(strings.Join(strings.Fields(html.UnescapeString(string(m[1]))), " "))
	}
	for _, f := range form().FindAllSubmatch(body.Bytes(), 8) {
		p.form(string(f[1]), f[2])
	}
	return p
}

// form takes down a form that asks for a password.
func (p *Page) form(attrs string, body []byte) {
	user, pass := "", ""
	for _, in := range input().FindAllSubmatch(body, 32) {
		a := attributes(string(in[1]))
		switch strings.ToLower(a["type"]) {
		case "password":
			pass = a["name"]
		case "", "text", "email":
			if user == "" {
				user = a["name"]
			}
		}
	}
	if pass == "" || p.Password != "" {
		return
	}
	p.Action, p.User, p.Password = cut(attributes(attrs)["action"]), cut(user), cut(pass)
}

func attributes(s string) map[string]string {
	out := map[string]string{}
	for _, m := range attr().FindAllStringSubmatch(s, 32) {
		out[strings.ToLower(m[1])] = html.UnescapeString(m[2] + m[3] + m[4])
	}
	return out
}

// cut bounds what stands on a page.
func cut(s string) string { return s[:min(len(s), 200)] }

// Ports gives the TCP ports that devices are known to serve, in order: those of
// logins, of the web, of files, of cameras, of field buses and of makers' own
// services. It is a first look and no scan: what is open elsewhere is not seen.
func Ports() []int {
	return []int{21, 22, 23, 25, 53, 80, 81, 102, 110, 111, 139, 143, 389, 443, 445, 502, 515, 548, 554, 587, 631, 873, 990, 993, 1080, 1443, 1723, 1883, 1900,
		2000, 2049, 2222, 2323, 2375, 2404, 3000, 3306, 3389, 3478, 4443, 4840, 4843, 5000, 5001, 5060, 5353, 5432, 5555, 5683, 5800, 5900, 6379, 6668, 7547, 8000,
		8008, 8080, 8081, 8086, 8088, 8123, 8443, 8554, 8883, 8888, 9000, 9090, 9100, 9443, 9999, 10000, 10554, 20000, 32400, 34567, 37777, 44818, 47808, 49152, 55443}
}

// mayBeTLS and mayBeWeb say on which ports a service that is silent is asked: a
// handshake, a front page. Others are left alone, since what they make of it is not
// known.
func mayBeTLS(port int) bool {
	return slices.Contains([]int{443, 990, 993, 1443, 4443, 4843, 8443, 8883, 9443}, port)
}

func mayBeWeb(port int) bool {
	return slices.Contains([]int{80, 81, 443, 631, 1443, 3000, 4443, 5000, 5001, 5800, 7547, 8000, 8008, 8080, 8081, 8086, 8088, 8123, 8443, 8888, 9000, 9090, 9443, 10000, 32400, 49152}, port)
}

// ParsePorts reads a list of ports, as 22,80,8000-8100.
func ParsePorts(list string) ([]int, bool) {
	var out []int
	for one := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(one), "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 1 || b > 65535 || a > b {
			return nil, false
		}
		for p := a; p <= b; p++ {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return out, true
}
