package tcp

// Telnet's commands and the options that a console needs (RFC 854, 856, 857,
// 858, 2217).
const (
	se   = 240
	brk  = 243
	sb   = 250
	will = 251
	wont = 252
	do   = 253
	dont = 254
	iac  = 255

	optBinary  = 0
	optEcho    = 1
	optSGA     = 3
	optComPort = 44
)

// maxSub bounds a subnegotiation; a longer one is dropped whole. RFC 2217 has
// nothing longer than a signature.
const maxSub = 1024

// stream takes a Telnet stream apart, however the reads cut it.
type stream struct {
	binary bool // the other side sends eight-bit data (RFC 856)
	state  uint8
	verb   byte
	sub    []byte
	over   bool // the subnegotiation is too long
	cr     bool // the last data byte was a CR
}

const (
	inData = iota
	inIAC
	inVerb
	inSub
	inSubIAC
)

// feed appends the data in in to out. It calls option for each WILL, WONT, DO
// and DONT, and sub for each subnegotiation; both may change binary.
func (s *stream) feed(out, in []byte, option func(verb, opt byte), sub func([]byte)) []byte {
	for _, b := range in {
		switch s.state {
		case inData:
			if b == iac {
				s.state = inIAC
				continue
			}
			out = s.data(out, b)
		case inIAC:
			s.state = inData
			switch b {
			case iac:
				out = s.data(out, b)
			case will, wont, do, dont:
				s.state, s.verb = inVerb, b
			case sb:
				s.state, s.sub, s.over = inSub, s.sub[:0], false
			}
		case inVerb:
			s.state = inData
			option(s.verb, b)
		case inSub:
			if b == iac {
				s.state = inSubIAC
				continue
			}
			s.keep(b)
		case inSubIAC:
			s.state = inSub
			switch b {
			case iac:
				s.keep(b)
			case se:
				s.state = inData
				if !s.over {
					sub(s.sub)
				}
			default:
				// Not allowed here (RFC 855). The side that sent it has left the
				// subnegotiation, and so do we.
				s.state = inData
			}
		}
	}
	return out
}

// data takes one byte. Outside of binary a CR that stands alone is sent as CR NUL.
func (s *stream) data(out []byte, b byte) []byte {
	if s.cr && b == 0 && !s.binary {
		s.cr = false
		return out
	}
	s.cr = b == '\r'
	return append(out, b)
}

func (s *stream) keep(b byte) {
	if len(s.sub) == maxSub {
		s.over = true
		return
	}
	s.sub = append(s.sub, b)
}

// escape makes data fit for the stream: IAC doubled, and outside of binary a
// NUL after each CR that no LF follows.
func escape(data []byte, binary bool) []byte {
	out := make([]byte, 0, len(data)+8)
	for i, b := range data {
		out = append(out, b)
		switch {
		case b == iac:
			out = append(out, iac)
		case b == '\r' && !binary && (i+1 == len(data) || data[i+1] != '\n'):
			out = append(out, 0)
		}
	}
	return out
}

// side is what one side does of an option.
type side uint8

const (
	no side = iota
	asked
	yes
)

// options negotiates so that no answer ever answers an answer (RFC 1143).
type options struct {
	us, him [256]side
}

// ask gives what to say first.
func (o *options) ask() []byte {
	var out []byte
	for _, opt := range []byte{optBinary, optSGA, optComPort} {
		o.us[opt] = asked
		out = append(out, iac, will, opt)
	}
	for _, opt := range []byte{optBinary, optSGA} {
		o.him[opt] = asked
		out = append(out, iac, do, opt)
	}
	return out
}

// hear takes what the other side says of an option and gives the reply, if
// there is one.
func (o *options) hear(verb, opt byte) []byte {
	state, yea, nay := &o.him[opt], byte(do), byte(dont)
	takes := opt == optBinary || opt == optSGA || opt == optEcho
	if verb == do || verb == dont {
		state, yea, nay = &o.us[opt], will, wont
		takes = opt == optBinary || opt == optSGA || opt == optComPort
	}
	was := *state
	if verb == will || verb == do {
		switch {
		case was == yes:
			return nil
		case was == asked:
			*state = yes
			return nil
		case takes:
			*state = yes
			return []byte{iac, yea, opt}
		}
		return []byte{iac, nay, opt}
	}
	*state = no
	if was == yes {
		return []byte{iac, nay, opt}
	}
	return nil
}

// The commands of RFC 2217, from the client; a server's are 100 more.
const (
	setBaud     = 1
	setDataSize = 2
	setParity   = 3
	setStopSize = 4
	setControl  = 5

	fromServer   = 100
	flowSuspend  = 108
	flowResume   = 109
	controlBreak = 5 // values of setControl
	controlEnd   = 6
)

// comPort makes a request of RFC 2217.
func comPort(command byte, value []byte) []byte {
	out := append([]byte{iac, sb, optComPort}, escape([]byte{command}, true)...)
	return append(append(out, escape(value, true)...), iac, se)
}
