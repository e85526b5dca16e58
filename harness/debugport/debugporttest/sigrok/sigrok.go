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

// AsSWD gives what sigrok's decoder of serial wire says of transactions. It knows neither the
// sequences of a dormant port nor TARGETSEL.
func AsSWD(kept []debugport.Transaction) (texts []string) {
	bank := uint32(0)
	for i := range kept {
		k := &kept[i]
		switch {
		case k.Name == "line reset":
			texts = append(texts, "LINERESET")
			continue
		case k.Name == "JTAG to SWD":
			texts = append(texts, "LINERESET", "JTAG->SWD", "LINERESET")
			continue
		case k.Op == debugport.OpSequence:
			continue
		}
		texts = append(texts, asked(k, bank))
		switch k.Answer {
		case dap.OK:
			texts = append(texts, "OK", fmt.Sprintf("0x%08x", k.Data))
		case dap.Wait:
			texts = append(texts, "WAIT")
		case dap.Fault:
			texts = append(texts, "FAULT")
		}
		if k.Op == debugport.OpDPWrite && k.Addr == 8 && k.Answer == dap.OK {
			bank = k.Data & 1
		}
	}
	return texts
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
