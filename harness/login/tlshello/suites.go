package tlshello

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// Versions of the protocol as they stand on the wire.
const (
	SSL30 uint16 = 0x0300
	TLS10 uint16 = 0x0301
	TLS11 uint16 = 0x0302
	TLS12 uint16 = 0x0303
	TLS13 uint16 = 0x0304
)

// Version names a version of the protocol.
func Version(v uint16) string {
	switch v {
	case SSL30:
		return "SSL 3.0"
	case TLS10, TLS11, TLS12, TLS13:
		return fmt.Sprintf("TLS 1.%d", v-TLS10)
	}
	return fmt.Sprintf("version 0x%04x", v)
}

// Class is a kind of cipher suites that a server may be wrong to take.
type Class string

// The classes. A suite is in one at most: the first that fits.
const (
	Null    Class = "null"     // no encryption
	Anon    Class = "anon"     // no certificate: who is in the middle reads along
	Export  Class = "export"   // keys of 40 and 56 bits, as once exported
	RC4     Class = "rc4"      // RFC 7465
	DES     Class = "des"      // DES and RC2: keys of 56 bits; and IDEA, RFC 5469
	DES3    Class = "3des"     // blocks of 64 bits, RFC 8429
	CBCSHA1 Class = "cbc-sha1" // CBC with a MAC of SHA-1 before it: Lucky 13
)

// Classes lists the classes, the worst first.
func Classes() []Class { return []Class{Null, Anon, Export, RC4, DES, DES3, CBCSHA1} }

// suites are the cipher suites of each class, by their numbers in IANA's registry of
// TLS parameters; those with Kerberos, which no server for a device has, are left out.
var suites = map[Class][]uint16{
	Null: {0x0001, 0x0002, 0x003b, 0x002c, 0x002d, 0x002e, 0x00b0, 0x00b1, 0x00b4, 0x00b5, 0x00b8, 0x00b9,
		0xc001, 0xc006, 0xc00b, 0xc010, 0xc039, 0xc03a, 0xc03b},
	Anon: {0x0017, 0x0018, 0x0019, 0x001a, 0x001b, 0x0034, 0x003a, 0x0046, 0x0089, 0x006c, 0x006d, 0x009b, 0x00a6, 0x00a7,
		0x00bf, 0x00c5, 0xc015, 0xc016, 0xc017, 0xc018, 0xc019},
	Export: {0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0060, 0x0061, 0x0062, 0x0063, 0x0064, 0x0065},
	RC4:    {0x0004, 0x0005, 0x0066, 0x008a, 0x008e, 0x0092, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc033},
	DES:    {0x0007, 0x0009, 0x000c, 0x000f, 0x0012, 0x0015},
	DES3: {0x000a, 0x000d, 0x0010, 0x0013, 0x0016, 0x008b, 0x008f, 0x0093, 0xc003, 0xc008, 0xc00d, 0xc012,
		0xc01a, 0xc01b, 0xc01c, 0xc034},
	CBCSHA1: {0x002f, 0x0030, 0x0031, 0x0032, 0x0033, 0x0035, 0x0036, 0x0037, 0x0038, 0x0039, 0x0041, 0x0042, 0x0043, 0x0044, 0x0045,
		0x0084, 0x0085, 0x0086, 0x0087, 0x0088, 0x0096, 0x0097, 0x0098, 0x0099, 0x009a, 0x008c, 0x008d, 0x0090, 0x0091, 0x0094, 0x0095,
		0xc004, 0xc005, 0xc009, 0xc00a, 0xc00e, 0xc00f, 0xc013, 0xc014, 0xc01d, 0xc01e, 0xc01f, 0xc020, 0xc021, 0xc022, 0xc035, 0xc036},
}

// modern are the suites that nothing is wrong with, of TLS 1.3 and of 1.2.
var (
	modern13 = []uint16{0x1301, 0x1302, 0x1303, 0x1304, 0x1305}
	modern12 = []uint16{0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8, 0x009e, 0x009f, 0xccaa, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af,
		0xc09e, 0xc09f, 0x009c, 0x009d, 0xc09c, 0xc09d, 0xc023, 0xc024, 0xc027, 0xc028, 0x0067, 0x006b, 0x003c, 0x003d}
	// ephemeral are suites with a Diffie-Hellman group of the server's choice.
	ephemeral = []uint16{0x009e, 0x009f, 0xccaa, 0xc09e, 0xc09f, 0x0067, 0x006b, 0x0033, 0x0039, 0x0032, 0x0038, 0x0016, 0x0013, 0x0045, 0x0088}
	// curved are suites with a curve of those that the client names.
	curved = []uint16{0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8, 0xc023, 0xc024, 0xc027, 0xc028, 0xc009, 0xc00a, 0xc013, 0xc014}
)

// Of gives the suites of some classes.
func Of(classes ...Class) (out []uint16) {
	for _, c := range classes {
		out = append(out, suites[c]...)
	}
	return out
}

// ClassOf gives the class of a suite, and "" where it has none.
func ClassOf(suite uint16) Class {
	for _, c := range Classes() {
		if slices.Contains(suites[c], suite) {
			return c
		}
	}
	return ""
}

// SuiteName names a suite: as crypto/tls does, or by its number and class.
func SuiteName(suite uint16) string {
	name := tls.CipherSuiteName(suite)
	if c := ClassOf(suite); c != "" {
		return fmt.Sprintf("%s (%s)", name, c)
	}
	return name
}
