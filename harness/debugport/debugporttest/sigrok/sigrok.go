// Package sigrok holds our own log of a debug port against what the decoders of sigrok say
// of the waves, for tests.
package sigrok

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/dap"
	"rigor/harness/debugport"
)

// Decode lets sigrok-cli read the waves of wires, with the file put into a folder, and gives
// the texts of its annotations.
func Decode(ctx context.Context, w *debugport.Wires, dir, decoder, annotations string) ([]string, error) {
	file := filepath.Join(dir, "waves.vcd")
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.WriteVCD(f), f.Close()); err != nil {
		return nil, err
	}
	return DecodeFile(ctx, file, decoder, annotations)
}

// DecodeFile does that with a file of waves.
func DecodeFile(ctx context.Context, file, decoder, annotations string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "sigrok-cli", "-l", "1", "-i", file, "-I", "vcd", "-P", decoder, "-A", annotations).Output()
	if err != nil {
		return nil, fmt.Errorf("sigrok-cli -P %s: %w", decoder, err)
	}
	var texts []string
	hexadecimal := regexp.MustCompile(` \(0x[0-9a-f]+\)`)
	for line := range strings.Lines(string(out)) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		texts = append(texts, hexadecimal.ReplaceAllString(strings.Trim(text, `"`), ""))
	}
	return texts, nil
}

// Part is what the decoder of serial wire says from one line reset to the next. Of one that
// is not Whole only the beginning can be compared: it knows neither the sequences of a
// dormant port nor TARGETSEL, and takes what follows for requests.
type Part struct {
	Texts []string
	Whole bool
}

const lineReset = "LINERESET"

// AsSWD gives what sigrok's decoder of serial wire says of transactions, in parts that begin
// with a line reset each, but for the first.
func AsSWD(kept []debugport.Transaction) []Part {
	parts := []Part{{Whole: true}}
	last := func() *Part { return &parts[len(parts)-1] }
	reset := func(more ...string) { parts = append(parts, Part{append([]string{lineReset}, more...), true}) }
	bank := uint32(0)
	for i := range kept {
		k := &kept[i]
		switch {
		case k.Op == debugport.OpSequence:
			last().Whole = last().Whole && !strings.HasPrefix(k.Name, "dormant wake") // the alert is behind it
			switch k.Name {
			case "JTAG to SWD":
				reset("JTAG->SWD")
			case "dormant wake after a line reset", "dormant wake from SWD", "SWD to dormant", "SWD to JTAG":
				reset()
				last().Whole = false
			}
			if k.Name != "SWD to dormant" && k.Name != "SWD to JTAG" {
				reset()
			}
			continue
		case k.Op == debugport.OpDPWrite && k.Addr == 0xc:
			last().Whole = false
		}
		if !last().Whole {
			continue
		}
		p := last()
		p.Texts = append(p.Texts, asked(k, bank))
		switch k.Answer {
		case dap.OK:
			p.Texts = append(p.Texts, "OK", fmt.Sprintf("0x%08x", k.Data))
		case dap.Wait:
			p.Texts = append(p.Texts, "WAIT")
		case dap.Fault:
			p.Texts = append(p.Texts, "FAULT")
		case dap.None, dap.Low, dap.Protocol: // what comes then is nobody's
			p.Texts = p.Texts[:len(p.Texts)-1]
			p.Whole = false
		}
		if k.Op == debugport.OpDPWrite && k.Addr == 8 && k.Answer == dap.OK {
			bank = k.Data & 1
		}
	}
	return parts
}

// Compare says where what sigrok says differs from what it should, and how many transactions'
// texts were compared.
func Compare(want []Part, got []string) (compared int, err error) {
	parts := [][]string{nil}
	for _, text := range got {
		if text == lineReset {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], text)
	}
	if len(parts) != len(want) {
		return 0, fmt.Errorf("sigrok sees %d line resets, and there are %d", len(parts)-1, len(want)-1)
	}
	for i, w := range want {
		g := parts[i]
		if !w.Whole && len(g) > len(w.Texts) {
			g = g[:len(w.Texts)]
		}
		if !slices.Equal(g, w.Texts) {
			return compared, fmt.Errorf("behind line reset %d sigrok says %q, and it is %q", i, g, w.Texts)
		}
		compared += len(g)
	}
	return compared, nil
}

// asked gives what sigrok calls a request.
func asked(k *debugport.Transaction, bank uint32) string {
	at4 := [...]string{"CTRL/STAT", "DLCR"}[bank]
	switch k.Op {
	case debugport.OpDPRead:
		return map[uint8]string{0: "IDCODE", 4: "R " + at4, 8: "RESEND", 12: "RDBUFF"}[k.Addr]
	case debugport.OpDPWrite:
		return map[uint8]string{0: "W ABORT", 4: "W " + at4, 8: "W SELECT", 12: "W RESERVED"}[k.Addr]
	case debugport.OpAPRead:
		return fmt.Sprintf("R AP%x", k.Addr)
	}
	return fmt.Sprintf("W AP%x", k.Addr)
}

// AsJTAG gives what sigrok's decoder of JTAG says of transactions, of bitstring-tdi and
// bitstring-tdo: the bits of each scan, both ways.
func AsJTAG(kept []debugport.Transaction) (texts []string) {
	for i := range kept {
		k := &kept[i]
		if k.Op != debugport.OpIR && k.Op != debugport.OpDR {
			continue
		}
		texts = append(texts, fmt.Sprintf("%v TDI: %s, %d bits", k.Op, binary(k.Out, k.Bits), k.Bits),
			fmt.Sprintf("%v TDO: %s, %d bits", k.Op, binary(k.In, k.Bits), k.Bits))
	}
	return texts
}

// binary gives bits with the least significant one last.
func binary(b []byte, n int) string {
	s := make([]byte, n)
	for i := range n {
		s[n-1-i] = '0' + b[i/8]>>(i%8)&1
	}
	return string(s)
}

// line is one of what debugport.Wires.WriteLog writes, of serial wire.
var line = regexp.MustCompile(`^\S+ +\d+ (?:(DP|AP) (read|write) ([0-9a-f]) (?:(0x[0-9a-f]+) )?([a-z-]+)(?: (0x[0-9a-f]+))?|(.*))$`)

// Read takes back what debugport.Wires.WriteLog wrote of a port of serial wire: the kinds of
// the transactions, their registers, answers and data.
func Read(log string) (kept []debugport.Transaction, err error) {
	ops := map[string]debugport.Op{"DPread": debugport.OpDPRead, "DPwrite": debugport.OpDPWrite, "APread": debugport.OpAPRead, "APwrite": debugport.OpAPWrite}
	for l := range strings.Lines(log) {
		m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			return nil, fmt.Errorf("%q is no line of a log", l)
		}
		if m[1] == "" {
			kept = append(kept, debugport.Transaction{Op: debugport.OpSequence, Name: m[7]})
			continue
		}
		addr, _ := strconv.ParseUint(m[3], 16, 8)
		data, _ := strconv.ParseUint(m[4]+m[6], 0, 32) // one of them is there, or none
		t := debugport.Transaction{Op: ops[m[1]+m[2]], Addr: uint8(addr), Data: uint32(data)}
		for t.Answer = dap.NotDone; t.Answer <= dap.Protocol && t.Answer.String() != m[5]; {
			t.Answer++
		}
		kept = append(kept, t)
	}
	return kept, nil
}
