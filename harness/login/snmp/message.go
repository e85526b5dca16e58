package snmp

import (
	"bytes"

	"rigor/harness/login/internal/stream"
)

// pdu is what a message asks or answers (RFC 3416, section 3).
type pdu struct {
	kind    byte
	request int // number of the request
	status  int // error-status
	name    string
	tag     byte
	value   []byte // of the first object; we ask for one
}

// message is a message of any version.
type message struct {
	version   int // 0 is 1, 1 is 2c, 3 is 3
	community []byte
	usm       usm
	pdu       pdu
}

// usm is the head of a message of version 3 (RFC 3412, section 6; RFC 3414,
// section 2.4).
type usm struct {
	id     int // of the message
	flags  byte
	engine []byte
	boots  int
	time   int
	user   []byte
	auth   []byte // the digest
	priv   []byte // the salt
	// scoped is the scoped PDU, a sequence; sealed is what it is encrypted.
	scoped, sealed []byte
}

// Flags of a message of version 3.
const (
	flagAuth   = 1
	flagPriv   = 2
	flagReport = 4
)

// getPDU asks for one object.
func getPDU(request int, object []uint32) []byte {
	return tlv(pduGet, number(request), number(0), number(0), tlv(tagSequence, tlv(tagSequence, oid(object), tlv(tagNull))))
}

// community gives a message of version 1 or 2c.
func community(version int, name string, pdu []byte) []byte {
	return tlv(tagSequence, number(version), tlv(tagOctets, []byte(name)), pdu)
}

// maxMessage is what we can receive, in bytes: the largest datagram.
const maxMessage = 65507

// bytes gives a message of version 3, its digest as it stands in auth.
func (u *usm) bytes() []byte {
	data := u.scoped
	if u.sealed != nil {
		data = tlv(tagOctets, u.sealed)
	}
	security := tlv(tagSequence, tlv(tagOctets, u.engine), number(u.boots), number(u.time), tlv(tagOctets, u.user), tlv(tagOctets, u.auth), tlv(tagOctets, u.priv))
	return tlv(tagSequence, number(3),
		tlv(tagSequence, number(u.id), number(maxMessage), tlv(tagOctets, []byte{u.flags}), number(3)),
		tlv(tagOctets, security), data)
}

// scopedPDU puts a PDU into the engine's default context.
func scopedPDU(engine, pdu []byte) []byte {
	return tlv(tagSequence, tlv(tagOctets, engine), tlv(tagOctets), pdu)
}

var errBroken = stream.Foreign("a broken message")

// parse reads a message. What a message of version 3 encrypts is left as it is.
func parse(b []byte) (message, error) {
	outer := reader{rest: b}
	r := outer.in(tagSequence)
	m := message{version: r.integer()}
	if r.bad {
		return m, errBroken
	}
	switch m.version {
	case 0, 1:
		m.community = r.want(tagOctets)
		if r.bad {
			return m, errBroken
		}
		p, err := parsePDU(r.rest)
		m.pdu = p
		return m, err
	case 3:
		return m, m.usm.parse(r)
	}
	return m, stream.Foreign("a message of version %d", m.version)
}

func (u *usm) parse(r *reader) error {
	head := r.in(tagSequence)
	u.id = head.integer()
	head.integer() // what the agent can receive
	flags := head.want(tagOctets)
	model := head.integer()
	security := r.in(tagOctets)
	s := security.in(tagSequence)
	u.engine, u.boots, u.time = s.want(tagOctets), s.integer(), s.integer()
	u.user, u.auth, u.priv = s.want(tagOctets), s.want(tagOctets), s.want(tagOctets)
	if r.bad || head.bad || security.bad || s.bad || len(flags) != 1 || model != 3 || u.boots < 0 || u.time < 0 {
		return errBroken
	}
	u.flags = flags[0]
	if u.flags&flagPriv != 0 {
		u.sealed = r.want(tagOctets)
	} else {
		data := r.rest
		r.want(tagSequence)
		u.scoped = data[:len(data)-len(r.rest)]
	}
	if r.bad {
		return errBroken
	}
	return nil
}

// parseScoped reads a scoped PDU.
func parseScoped(b []byte) (pdu, error) {
	outer := reader{rest: b}
	r := outer.in(tagSequence)
	r.want(tagOctets)
	r.want(tagOctets)
	if r.bad {
		return pdu{}, errBroken
	}
	return parsePDU(r.rest)
}

func parsePDU(b []byte) (pdu, error) {
	outer := reader{rest: b}
	kind, body := outer.next()
	if outer.bad || kind != pduResponse && kind != pduReport {
		return pdu{}, errBroken
	}
	r := reader{rest: body}
	p := pdu{kind: kind, request: r.integer(), status: r.integer()}
	r.integer() // which of the objects it is about: there is one
	list := r.in(tagSequence)
	if r.bad || list.bad {
		return p, errBroken
	}
	if len(list.rest) == 0 { // some agents leave it out of an error
		return p, nil
	}
	object := list.in(tagSequence)
	name, ok := dotted(object.want(tagOID))
	p.tag, p.value = object.next()
	if list.bad || object.bad || !ok {
		return p, errBroken
	}
	p.name, p.value = name, bytes.Clone(p.value)
	return p, nil
}
