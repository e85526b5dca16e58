package debugporttest

// TAP is one TAP of a chain.
type TAP struct {
	IDCode uint32 // 0: it has none
	IR     int
	High   uint32 // what its instruction register captures above the two lowest bits
	*Registers

	ir, irShift uint32
	dr          uint64
	n           int
	ack         uint8
	result      uint32
}

// Chain are TAPs in series; the first is the one whose TDO is the chain's. Its pins are
// TCK, TMS, TDI, TDO. TDO is pulled up, and driven while something is shifted.
type Chain struct {
	TAPs []*TAP

	tck, tdo, shifting bool
	state              int
	Steps              int      // that came through Serve
	Updates            []uint32 // each instruction that came to be in the first TAP
}

// Wave gives its pads.
func (c *Chain) Wave() *Wave {
	return &Wave{Names: []string{"TCK", "TMS", "TDI", "TDO"}, Step: c.step}
}

// The states, as figure 6-1 of IEEE 1149.1 has them.
const (
	tlr = iota
	rti
	selDR
	capDR
	shDR
	ex1DR
	pauDR
	ex2DR
	updDR
	selIR
	capIR
	shIR
	ex1IR
	pauIR
	ex2IR
	updIR
)

var follow = [16][2]int{
	{rti, tlr}, {rti, selDR}, {capDR, selIR}, {shDR, ex1DR}, {shDR, ex1DR}, {pauDR, updDR}, {pauDR, ex2DR}, {shDR, updDR}, {rti, selDR},
	{capIR, tlr}, {shIR, ex1IR}, {shIR, ex1IR}, {pauIR, updIR}, {pauIR, ex2IR}, {shIR, updIR}, {rti, selDR},
}

func (c *Chain) step(drive, level uint32) uint32 {
	high := func(b uint32) bool { return drive&b == 0 || level&b != 0 } // TMS and TDI are pulled up
	tck := level&1 != 0
	switch {
	case tck && !c.tck:
		c.rise(high(2), high(4))
	case !tck && c.tck:
		c.fall()
	}
	c.tck = tck
	now := level & 7
	if drive&8 != 0 {
		now |= level & 8
	} else if !c.shifting || c.tdo {
		now |= 8
	}
	return now
}

func (c *Chain) fall() {
	c.shifting = c.state == shDR || c.state == shIR
	if len(c.TAPs) == 0 {
		c.shifting = false
		return
	}
	t := c.TAPs[0]
	c.tdo = t.dr&1 != 0
	if c.state == shIR {
		c.tdo = t.irShift&1 != 0
	}
	switch c.state {
	case updIR:
		for _, t := range c.TAPs {
			t.ir = t.irShift
		}
		c.Updates = append(c.Updates, t.ir)
	case updDR:
		for _, t := range c.TAPs {
			t.update()
		}
	case tlr:
		for _, t := range c.TAPs {
			t.reset()
		}
	}
}

func (c *Chain) rise(tms, tdi bool) {
	switch c.state {
	case capDR:
		for _, t := range c.TAPs {
			t.capture()
		}
	case capIR:
		for _, t := range c.TAPs {
			t.irShift = (t.High<<2 | 1) & (1<<t.IR - 1)
		}
	case shDR, shIR:
		in := tdi
		for i := len(c.TAPs) - 1; i >= 0; i-- {
			in = c.TAPs[i].shift(c.state == shIR, in)
		}
	}
	c.state = follow[c.state][bit(tms)]
}

const idcodeIR, bypassIR = 0xe, 0xffffffff

func (t *TAP) reset() {
	t.ir = bypassIR
	if t.IDCode != 0 {
		t.ir = idcodeIR
	}
}

func (t *TAP) instruction() uint32 {
	if t.ir&(1<<t.IR-1) == 1<<t.IR-1 {
		return bypassIR
	}
	if t.IR > 4 && t.ir>>4 != 1<<(t.IR-4)-1 && t.ir != idcodeIR {
		return bypassIR
	}
	return t.ir & 0xf
}

func (t *TAP) capture() {
	switch i := t.instruction(); {
	case i == idcodeIR && t.IDCode != 0:
		t.dr, t.n = uint64(t.IDCode), 32
	case t.Registers != nil && (i == 8 || i == 0xa || i == 0xb):
		t.n = 35
		t.ack = 2
		if i == 0xb && t.waited < t.Waits || i != 8 && t.AllWait {
			t.waited++
			t.ack = 1
		}
		t.dr = uint64(t.result)<<3 | uint64(t.ack)
	default:
		t.dr, t.n = 0, 1
	}
}

func (t *TAP) shift(ir, in bool) (out bool) {
	if ir {
		out = t.irShift&1 != 0
		t.irShift = t.irShift>>1 | uint32(bit(in))<<(t.IR-1)
		return out
	}
	out = t.dr&1 != 0
	t.dr = t.dr>>1 | bit(in)<<(t.n-1)
	return out
}

func (t *TAP) update() {
	i := t.instruction()
	if t.Registers == nil || t.n != 35 || i != 0xa && i != 0xb || t.ack == 1 {
		return
	}
	t.waited = 0
	read, addr, v := t.dr&1 != 0, uint8(t.dr<<1&0xc), uint32(t.dr>>3)
	switch {
	case i == 0xa && read && addr == 0xc:
		t.result = 0
	case i == 0xa && read:
		t.result = t.ReadDP(addr)
	case i == 0xa:
		if addr == 4 {
			t.ClearByOne(v)
		}
		t.WriteDP(addr, v)
	case t.Sticky() || t.AllFault:
		t.ctrl |= 0x20
	case read:
		t.ReadAP(addr)
		t.result = t.buffer
	default:
		t.WriteAP(addr, v)
	}
}
