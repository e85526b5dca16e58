package portscan

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Question is a datagram that a protocol answers.
type Question struct {
	Name  string // of the protocol
	Bytes []byte
}

// CommonUDP gives the ports of UDP on which devices are known to serve
// something: what Questions has a question for.
func CommonUDP() []int { return slices.Sorted(maps.Keys(questions())) }

// Questions gives what a port is asked, by what is usually there. A port that
// nobody knows is sent an empty line and a word.
func Questions(port int) []Question {
	if q, ok := questions()[port]; ok {
		return q
	}
	return []Question{{"a line", []byte("\r\n\r\n")}, {"a word", []byte("help\n")}}
}

// questions asks for what any server of the protocol gives to a stranger, and
// changes nothing.
func questions() map[int][]Question {
	one := func(name string, b []byte) []Question { return []Question{{name, b}} }
	text := func(name, s string) []Question { return one(name, []byte(s)) }
	return map[int][]Question{
		7:     text("echo", "rigor\n"),
		13:    text("daytime", "\n"),
		17:    text("quote of the day", "\n"),
		19:    text("chargen", "\n"),
		53:    {{"DNS, version.bind", dns(0x5247, "version", "bind", 16, 3)}, {"DNS, root servers", dns(0x5248, "", "", 2, 1)}},
		67:    one("DHCP inform", dhcpInform()),
		69:    text("TFTP read", "\x00\x01rigor-no-such-file\x00octet\x00"), // RFC 1350
		111:   one("portmapper null", rpcNull(100000, 2)),
		123:   {{"NTP client", ntp(0x23)}, {"NTP control, read variables", append([]byte{0x16, 0x02, 0, 1}, make([]byte, 8)...)}},
		137:   one("NetBIOS status", netbios()),
		161:   {{"SNMP v1 sysDescr, public", snmp(0, "public")}, {"SNMP v2c sysDescr, public", snmp(1, "public")}, {"SNMP v3 discovery", snmpV3()}},
		177:   one("XDMCP query", []byte{0, 1, 0, 2, 0, 1, 0}),
		500:   one("IKE", ike()),
		623:   one("RMCP ping", []byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0}),
		1434:  one("SQL server browser", []byte{2}),
		1604:  one("Citrix browser", []byte{0x1e, 0, 1, 0x30, 2, 0xfd, 0xa8, 0xe3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}),
		1900:  text("SSDP search", "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n"),
		2049:  one("NFS null", rpcNull(100003, 3)),
		2362:  text("Digi discovery", "DIGI\x00\x01\x00\x06\xff\xff\xff\xff\xff\xff"),
		3478:  one("STUN binding", stun()),
		3671:  one("KNXnet/IP description", []byte{6, 0x10, 2, 3, 0, 14, 8, 1, 0, 0, 0, 0, 0, 0}),
		3702:  text("WS-Discovery probe", wsProbe),
		5060:  text("SIP options", "OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=z9hG4bK1\r\nFrom: <sip:nm@nm>;tag=r\r\nTo: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"),
		5351:  one("NAT-PMP address", []byte{0, 0}),
		5353:  one("mDNS services", mdns()),
		5683:  one("CoAP .well-known/core", coap()),
		9034:  text("a diagnostic server of Realtek's SDK", "\n"),
		9999:  one("a plug's discovery", kasa(`{"system":{"get_sysinfo":{}}}`)),
		10001: one("Ubiquiti discovery", []byte{1, 0, 0, 0}),
		11211: text("memcached version", "\x00\x01\x00\x00\x00\x01\x00\x00version\r\n"),
		17185: one("VxWorks debug agent", wdb()),
		20000: one("DNP3 link status", []byte{5, 0x64, 5, 0xc9, 0, 0, 0, 0, 0x36, 0x4c}),
		30718: one("Lantronix query", []byte{0, 0, 0, 0xf6}),
		34964: one("PROFINET endpoint mapper", profinet()),
		37020: text("camera discovery", `<?xml version="1.0" encoding="utf-8"?><Probe><Uuid>52494752-0000-4000-8000-000000000001</Uuid><Types>inquiry</Types></Probe>`),
		44818: one("EtherNet/IP list identity", append([]byte{0x63}, make([]byte, 23)...)),
		47808: one("BACnet who-is and device name", []byte{0x81, 0x0a, 0, 0x11, 1, 4, 0, 5, 1, 0x0c, 0x0c, 2, 0x3f, 0xff, 0xff, 0x19, 0x4b}),
		48899: text("a Wi-Fi module's set-up", "HF-A11ASSISTHREAD"),
		53413: one("a known back door of routers", make([]byte, 8)),
	}
}

// dns is one question (RFC 1035 section 4.1).
func dns(id uint16, name, under string, kind, class uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) // recursion desired, one question
	for _, label := range []string{name, under} {
		if label != "" {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	b = append(b, 0)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, kind), class)
}

// mdns asks for the services (RFC 6763 section 9), the answer to us alone.
func mdns() []byte {
	b := []byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, label := range []string{"_services", "_dns-sd", "_udp", "local"} {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 12, 0x80, 1)
}

// ntp is a packet of RFC 5905 with this first byte.
func ntp(first byte) []byte { return append([]byte{first}, make([]byte, 47)...) }

// snmp asks for sysDescr.0 (RFC 1157, RFC 3416).
func snmp(version byte, community string) []byte {
	oid := []byte{6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0}
	bind := ber(0x30, ber(0x30, append(oid, 5, 0)))
	pdu := ber(0xa0, slices.Concat([]byte{2, 1, 1, 2, 1, 0, 2, 1, 0}, bind))
	return ber(0x30, slices.Concat([]byte{2, 1, version}, ber(4, []byte(community)), pdu))
}

// snmpV3 asks for the engine's name (RFC 3414 section 4), which needs no account.
func snmpV3() []byte {
	global := ber(0x30, []byte{2, 1, 1, 2, 2, 4, 0, 4, 1, 4, 2, 1, 3})
	user := ber(4, ber(0x30, []byte{4, 0, 2, 1, 0, 2, 1, 0, 4, 0, 4, 0, 4, 0}))
	scoped := ber(0x30, slices.Concat([]byte{4, 0, 4, 0}, ber(0xa0, []byte{2, 1, 1, 2, 1, 0, 2, 1, 0, 0x30, 0})))
	return ber(0x30, slices.Concat([]byte{2, 1, 3}, global, user, scoped))
}

// ber writes one short value of BER.
func ber(tag byte, v []byte) []byte { return append([]byte{tag, byte(len(v))}, v...) }

// rpcNull calls the procedure that every program has (RFC 5531).
func rpcNull(program, version uint32) []byte {
	var b []byte
	for _, v := range []uint32{0x52494752, 0, 2, program, version, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// netbios asks for the names of a node (RFC 1002 section 4.2.17).
func netbios() []byte {
	b := []byte{0x52, 0x47, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 32, 'C', 'K'}
	for range 30 {
		b = append(b, 'A')
	}
	return append(b, 0, 0, 0x21, 0, 1)
}

// ike opens a negotiation of version 1 without a proposal that anybody takes.
func ike() []byte {
	b := []byte{0x52, 0x49, 0x47, 0x4f, 0x52, 0, 0, 1}
	b = append(b, make([]byte, 8)...)
	b = append(b, 1, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 64)
	b = append(b, 0, 0, 0, 36, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 24, 1, 1, 0, 1, 0, 0, 0, 16, 1, 1, 0, 0, 0x80, 1, 0, 5, 0x80, 2, 0, 2)
	return b
}

// stun is a binding request (RFC 8489 section 5).
func stun() []byte {
	return append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "rigor-stun-1"...)
}

// coap is GET /.well-known/core (RFC 7252).
func coap() []byte {
	return append([]byte{0x40, 1, 0x52, 0x47, 0xbb}, ".well-known\x04core"...)
}

// kasa is how a family of plugs hides its JSON: each byte with the one before.
func kasa(text string) []byte {
	key, out := byte(171), make([]byte, 0, len(text))
	for _, c := range []byte(text) {
		key ^= c
		out = append(out, key)
	}
	return out
}

// wdb pings the debug agent of VxWorks: ONC RPC, program 0x55555555, version 1,
// procedure 0. It attaches to nothing.
func wdb() []byte { return rpcNull(0x55555555, 1) }

// dhcpInform asks a server for what it would configure (RFC 2131 section 4.4.3).
func dhcpInform() []byte {
	b := append([]byte{1, 1, 6, 0, 0x52, 0x49, 0x47, 0x52}, make([]byte, 20)...)
	b = append(b, 2, 0, 0, 0, 0, 1)
	b = append(b, make([]byte, 236-len(b))...)
	return append(b, 0x63, 0x82, 0x53, 0x63, 53, 1, 8, 255)
}

// profinet looks for the endpoint mapper of a PROFINET device by DCE/RPC.
func profinet() []byte {
	b := []byte{4, 0, 0x20, 0, 0x10, 0, 0, 0}
	b = append(b, make([]byte, 16)...)                                                                      // object
	b = append(b, 0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 8, 0, 0x2b, 0x14, 0xa0, 0xfa) // the mapper's interface
	b = append(b, "rigor-activity-1"...)
	b = append(b, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0)
	return b
}

const wsProbe = `<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><e:Header><w:MessageID>uuid:52494752-0000-4000-8000-000000000002</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To><w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header><e:Body><d:Probe/></e:Body></e:Envelope>`
