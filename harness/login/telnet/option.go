package telnet

// Commands and options of the Telnet protocol, by their RFC.
const (
	cmdSE   = 240 // RFC 854: end of a subnegotiation
	cmdSB   = 250
	cmdWill = 251
	cmdWont = 252
	cmdDo   = 253
	cmdDont = 254
	cmdIAC  = 255

	optEcho     = 1  // RFC 857
	optSGA      = 3  // RFC 858: suppress go-ahead
	optTermType = 24 // RFC 1091
	optNAWS     = 31 // RFC 1073: window size
)

// Window and terminal that we say we are: wide, so that the echo of a long
// command is not broken up; dumb, so that nothing is coloured.
const (
	columns  = 250
	rows     = 24
	termType = "dumb"
)

// side is the state of one option on one side. An option is answered only when
// its state changes, which is what RFC 1143 asks for lest two ends answer each
// other for ever.
type side [256]bool

// codec takes the protocol out of a stream: bytes of the connection go in,
// text comes out, and answers to negotiations. It does not depend on how the
// bytes are cut. The zero value is a fresh connection.
type codec struct {
	state  int
	cmd    byte
	sub    []byte
	ours   side // options that we perform
	theirs side // options that the DUT performs
	wasCR  bool
}

const (
	inText = iota
	inIAC
	inOption
	inSub
	inSubIAC
)

// maxSub bounds a subnegotiation: the longest that we answer has two bytes.
const maxSub = 512

// feed reads bytes that came. Text is appended to text, what has to be sent
// back to reply.
func (c *codec) feed(in, text, reply []byte) (outText, outReply []byte) {
	for _, b := range in {
		switch c.state {
		case inText:
			switch {
			case b == cmdIAC:
				c.state = inIAC
			case c.wasCR && b == 0:
				c.wasCR = false // CR NUL is a carriage return, RFC 854
			default:
				c.wasCR = b == '\r'
				text = append(text, b)
			}
		case inIAC:
			c.state = inText
			switch b {
			case cmdIAC:
				c.wasCR = false
				text = append(text, b)
			case cmdWill, cmdWont, cmdDo, cmdDont:
				c.cmd, c.state = b, inOption
			case cmdSB:
				c.sub, c.state = c.sub[:0], inSub
			}
		case inOption:
			c.state = inText
			reply = c.negotiate(c.cmd, b, reply)
		case inSub:
			if b == cmdIAC {
				c.state = inSubIAC
			} else if len(c.sub) < maxSub {
				c.sub = append(c.sub, b)
			}
		case inSubIAC:
			switch b {
			case cmdSE:
				c.state = inText
				reply = c.subnegotiation(reply)
			case cmdIAC:
				c.state = inSub
				if len(c.sub) < maxSub {
					c.sub = append(c.sub, b)
				}
			default: // a broken subnegotiation: take up where the next begins
				c.state = inText
			}
		}
	}
	return text, reply
}

func (c *codec) negotiate(cmd, opt byte, reply []byte) []byte {
	switch cmd {
	case cmdWill:
		wanted := opt == optEcho || opt == optSGA
		switch {
		case !wanted:
			// Refusals are always answered: the DUT's state is off and stays so.
			return append(reply, cmdIAC, cmdDont, opt)
		case !c.theirs[opt]:
			c.theirs[opt] = true
			return append(reply, cmdIAC, cmdDo, opt)
		}
	case cmdWont:
		if c.theirs[opt] {
			c.theirs[opt] = false
			return append(reply, cmdIAC, cmdDont, opt)
		}
	case cmdDo:
		wanted := opt == optSGA || opt == optTermType || opt == optNAWS
		switch {
		case !wanted:
			return append(reply, cmdIAC, cmdWont, opt)
		case !c.ours[opt]:
			c.ours[opt] = true
			reply = append(reply, cmdIAC, cmdWill, opt)
			if opt == optNAWS {
				reply = append(reply, cmdIAC, cmdSB, optNAWS, 0, columns, 0, rows, cmdIAC, cmdSE)
			}
		}
	case cmdDont:
		if c.ours[opt] {
			c.ours[opt] = false
			return append(reply, cmdIAC, cmdWont, opt)
		}
	}
	return reply
}

func (c *codec) subnegotiation(reply []byte) []byte {
	const is, send = 0, 1
	if len(c.sub) == 2 && c.sub[0] == optTermType && c.sub[1] == send {
		reply = append(reply, cmdIAC, cmdSB, optTermType, is)
		reply = append(reply, termType...)
		reply = append(reply, cmdIAC, cmdSE)
	}
	return reply
}

// escape doubles IAC in what we send (RFC 854).
func escape(text string) []byte {
	out := make([]byte, 0, len(text)+2)
	for i := range len(text) {
		out = append(out, text[i])
		if text[i] == cmdIAC {
			out = append(out, cmdIAC)
		}
	}
	return out
}
