package identity

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
)

// TestTelling: which words of a service help an attacker, and which every speaker of its
// protocol says. What products say of themselves is theirs, word for word.
func TestTelling(t *testing.T) {
	t.Parallel()
	p := &profile.Profile{}
	p.Firmware.Version = "1.4.2"
	told := func(text string) string {
		_, m := undeclared(p, []byte(text))
		return string(m)
	}
	for text, want := range map[string]string{
		"Server: h2o/2.2.6\r\n":                                           "h2o/2.2.6",
		"Server: mini_httpd/1.19 19dec2003\r\n":                           "mini_httpd/1.19",
		"Server: mini_httpd/1.30 26Oct2018\r\n":                           "mini_httpd/1.30",
		"Server: thttpd/2.25b 29dec2003\r\n":                              "thttpd/2.25b",
		"Server: Boa/0.94.14rc21\r\n":                                     "Boa/0.94.14rc21",
		"Server: lighttpd/1.4.35\r\n":                                     "lighttpd/1.4.35",
		"Server: uc-httpd 1.0.0\r\n":                                      "uc-httpd 1.0.0",
		"Server: RomPager/4.07 UPnP/1.0\r\n":                              "RomPager/4.07",
		"Server: Allegro-Software-RomPager/ 4.34\r\n":                     "Allegro-Software-RomPager/ 4.34",
		"Server: Linux/2.6.31, UPnP/1.0, Portable SDK for UPnP\r\n":       "Linux/2.6.31",
		"Server: Virata-EmWeb/R6_2_1\r\n":                                 "Server: Virata-EmWeb/R6_2_1",
		"Server: Jetty(9.4.z-SNAPSHOT)\r\n":                               "Jetty(9.4.z-SNAPSHOT",
		"Server: Jetty(9.4.51.v20230217)\r\n":                             "Jetty(9.4.51.v20230217",
		"Server: Microsoft-HTTPAPI/2.0\r\n":                               "Microsoft-HTTPAPI/2.0",
		"Server: Webs V5.2.0\r\n":                                         "Webs V5.2.0",
		"X-AspNet-Version: 4.0.30319\r\n":                                 "X-AspNet-Version: 4.0.30319",
		"X-Powered-By: PHP/5.4.45\r\n":                                    "PHP/5.4.45",
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n":                      "SSH-2.0-OpenSSH_9.2p1",
		"SSH-2.0-dropbear_2022.83\r\n":                                    "SSH-2.0-dropbear_2022.83",
		"SSH-1.99-OpenSSH_3.5p1\r\n":                                      "SSH-1.99-OpenSSH_3.5p1",
		"SSH-2.0-libssh_0.9.6\r\n":                                        "SSH-2.0-libssh_0.9.6",
		"BusyBox v1.30.1 (2021-03-02)":                                    "BusyBox v1.30.1",
		"220 (vsFTPd 3.0.3)\r\n":                                          "vsFTPd 3.0.3",
		"220 ProFTPD 1.3.5e Server ready.\r\n":                            "ProFTPD 1.3.5e",
		"Authorised users only. ACME OS 2.1.7, kernel 5.10.0\n":           "kernel 5.10.0",
		"Netgear R7000 Version 1.0.9.88\n":                                "Version 1.0.9.88",
		"Version 10.0.0.12\n":                                             "Version 10.0.0.12",
		`<script src="/js/jquery-3.6.0.min.js">`:                          "jquery-3.6.0.min.js",
		"<td>V1.4.2</td>":                                                 "V1.4.2",
		"<td>1.4.2</td>":                                                  "1.4.2",
		"box_1.4.2_eu":                                                    "box_1.4.2_eu",
		"<td>VGOS1.4.2</td>":                                              "S1.4.2",
		`{"version":"7"}`:                                                 `"version":"7"`,
		"Firmware: 2.1.7":                                                 "Firmware: 2.1.7",
		"HTTP/1.1 200\nServer: nginx/1.22\nUPnP/1.0":                      "nginx/1.22",
		"Apache/2.0":                                                      "Apache/2.0",
		"gateway at 192.168.1.1 (dnsmasq-2.80)":                           "dnsmasq-2.80",
		"Set-Cookie: sid=eyJ1IjoxfQ.aB3; path=/\nServer: mini_httpd/1.19": "mini_httpd/1.19",
	} {
		assert.Equal(t, want, told(text), "in %q", text)
	}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\n", "HTTP/2.0", "RTSP/1.0 401 Unauthorized", "Via: SIP/2.0/UDP 10.0.0.5:5060",
		"SSH-2.0-VG1\r\n", "SSH-2.0-dropbear\r\n", "SSH-1.99-box\r\n", "SSH-2.0-mod-sftp\r\n", "SSH-2.0-",
		"TLS 1.2", "TLSv1.3", "Server: UPnP/1.0\r\n", "Server: GoAhead-Webs\r\n", "Server: lighttpd\r\n",
		"Accept: text/html;q=0.9", "Content-Type: text/html; charset=utf-8", "ISO-8859-1",
		"Date: Thu, 01 Jan 1970 00:00:00 GMT", "Last-Modified: Fri, 27 Nov 2026 19:41:48 GMT", "Updated 27.11.2026",
		"Your address 192.168.1.10", "o=- 0 0 IN IP4 0.0.0.0", "c=IN IP4 203.0.113.7", "Connected from 203.0.113.7.", "gateway 10.0.0.1", "netmask 255.255.255.0", "http://192.168.1.1/", "host-192.168.1.1",
		`<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">`,
		`<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">`, `<?xml version="1.0"?>`, `content="width=device-width, initial-scale=1.0"`,
		"MIME-Version: 1.0\r\n", "OData-Version: 4.0\r\n",
		"transform: scale(1.5); color: rgba(0.5,0.4,0,.2)", "room 1.4",
		"curve25519-sha256@libssh.org,diffie-hellman-group14-sha256,ecdh-sha2-nistp256,ecdh-sha2-1.3.132.0.10,kex-strict-s-v00@openssh.com",
		"aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,umac-64-etm@openssh.com,hmac-sha2-256",
		"Licensed under GPL-2.0-or-later", "MIT, Apache-2.0", // SPDX's names of licences
		"Set-Cookie: session=eyJhIjoiYiJ9-1.1dHk3OTk2ZmE4ZGM1ZTkwNmM3Yjk",
		"Authorised users only.\n",
	} {
		assert.Empty(t, told(text), "in %q", text)
	}
}
