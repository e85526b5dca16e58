package dap

// Selector knows what stands in SELECT and, of ADIv6, SELECT1 of one debug port, and says
// which of them has to be written before a register is reached.
type Selector struct {
	known bool
	sel   uint32
	hi    uint32 // SELECT1; it is 0 after power-on, and nobody but us writes it
}

// select1 is SELECT1, which is written and never read.
const select1 DPReg = 0x54

// Step is one write to the debug port that selects.
type Step struct {
	Reg   DPReg // RESEND's address for SELECT, which is written there
	Value uint32
}

// Address gives the address on the wire.
func (s Step) Address() uint8 { return s.Reg.Addr() }

// Forget says that the register may hold anything now.
func (s *Selector) Forget() { s.known = false }

// Wrote notes a step that was answered with OK.
func (s *Selector) Wrote(st Step) {
	if st.Reg == RESEND {
		s.sel, s.known = st.Value, true
		return
	}
	s.hi = st.Value
}

// DP gives the next step towards a register of the debug port; more is false where it is
// reached.
func (s *Selector) DP(r DPReg) (step Step, more bool) {
	bank, banked := r.Bank()
	switch {
	case r == DPIDR && (!s.known || s.sel&0xf == 0), r != DPIDR && !banked:
		return Step{}, false
	case s.known && s.sel&0xf == uint32(bank):
		return Step{}, false
	case s.known:
		return Step{RESEND, s.sel&^0xf | uint32(bank)}, true
	}
	return Step{RESEND, uint32(bank)}, true
}

// Known says whether it is known what stands in SELECT.
func (s *Selector) Known() bool { return s.known }

// AP gives the next step towards a register of an access port. It selects bank 0 of the
// debug port with it, where it has to select at all.
func (s *Selector) AP(ap AP, r APReg) (step Step, more bool) {
	want, hi := uint32(ap.At)<<24|r.Offset(false)&0xf0, uint32(0)
	if ap.V6 {
		at := ap.At + uint64(r.Offset(true))
		want, hi = uint32(at)&^0xf, uint32(at>>32)
	}
	switch {
	case ap.V6 && hi != s.hi:
		if st, more := s.DP(select1); more {
			return st, true
		}
		return Step{select1, hi}, true
	case !s.known:
		return Step{RESEND, want}, true
	case s.sel&^0xf == want:
		return Step{}, false
	}
	return Step{RESEND, want}, true
}
