// Package openocd reaches a debug port through a running OpenOCD, by its TCL port: an
// adapter that Rigor does not speak to itself (J-Link, CMSIS-DAP, FTDI) serves the same
// looks.
//
// Only commands for the adapter, the transport, and the registers of a debug port are
// sent. An OpenOCD that has a target other than mem_ap, or a flash bank, is refused: the
// scripts of some targets unlock by themselves, with a mass erase. OpenOCD powers the port
// up when it starts: it must not be pointed at the rescue port of an RP2040.
package openocd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rigor/harness/dap"
	"rigor/harness/wire"
)

// end ends a command and a reply.
const end = 0x1a

// Limits of a reply.
const (
	longest = 1 << 20
	patient = 15 * time.Second // where the context has no nearer end
)

// ErrScripts says that OpenOCD runs scripts of a target.
var ErrScripts = errors.New("started with a target or a flash bank, whose scripts may unlock by themselves: use only adapter, transport, jtag newtap or swd newdap, and dap create")

// DAP is one debug port of an OpenOCD. It is not safe for concurrent use.
type DAP struct {
	part wire.Part
	name string
	conn net.Conn
	in   *bufio.Reader
	bad  error // why the connection is of no use any more

	gate               *dap.Gate
	adapter, transport string
	power              uint32
}

var (
	_ dap.Transport = (*DAP)(nil)
	_ dap.Attacher  = (*DAP)(nil)
)

// word is what a name may be, so that it is one word to TCL.
var word = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// Dial connects to an OpenOCD's TCL port and takes the debug port with a name, or the only
// one where name is empty. The part names it in faults.
func Dial(ctx context.Context, part wire.Part, address, name string) (*DAP, error) {
	var dialer net.Dialer
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &wire.Fault{Part: part, Op: "connect to OpenOCD at " + address, Err: err}
	}
	d := &DAP{part: part, name: name, conn: conn, in: bufio.NewReader(conn), gate: dap.NewGate(2)}
	if err := d.begin(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return d, nil
}

// begin asks who is there.
func (d *DAP) begin(ctx context.Context) error {
	names, err := d.query(ctx, "dap names")
	if err != nil {
		return err
	}
	all := strings.Fields(names)
	switch {
	case d.name == "" && len(all) == 1:
		d.name = all[0]
	case d.name == "":
		return d.fault("choose a debug port", fmt.Errorf("OpenOCD has %d of them: %q", len(all), all))
	}
	found := false
	for _, n := range all {
		found = found || n == d.name
	}
	if !found || !word.MatchString(d.name) {
		return d.fault("choose a debug port", fmt.Errorf("OpenOCD has no %q, but %q", d.name, all))
	}
	targets, err := d.query(ctx, "set k {}; foreach t [target names] {lappend k [$t cget -type]}; set k")
	if err != nil {
		return err
	}
	for _, k := range strings.Fields(targets) {
		if k != "mem_ap" {
			return d.fault("use OpenOCD", fmt.Errorf("%w: %q", ErrScripts, k))
		}
	}
	if banks, err := d.query(ctx, "flash list"); err != nil {
		return err
	} else if strings.TrimSpace(banks) != "" {
		return d.fault("use OpenOCD", fmt.Errorf("%w: %q", ErrScripts, banks))
	}
	if d.adapter, err = d.query(ctx, "adapter name"); err != nil {
		return err
	}
	d.transport, err = d.query(ctx, "transport select")
	return err
}

// Attach has OpenOCD bring a JTAG chain to Test-Logic-Reset and look who is in it: of a DUT
// that had no supply meanwhile it would take the chain for where it left it. That nobody
// answers is no error: what is asked then shows it. Of serial wire it attaches anew by
// itself.
func (d *DAP) Attach(ctx context.Context) error {
	if !strings.Contains(d.transport, "jtag") {
		return nil
	}
	_, _, err := d.run(ctx, "jtag arp_init")
	return err
}

// Adapter gives the name of the adapter's driver in OpenOCD, such as "cmsis-dap".
func (d *DAP) Adapter() string { return d.adapter }

// Transport gives "jtag" or "swd", as OpenOCD names it.
func (d *DAP) Transport() string { return d.transport }

// Close ends the connection; OpenOCD goes on.
func (d *DAP) Close() error { return d.conn.Close() }

// fault is trouble of the bench.
func (d *DAP) fault(op string, err error) error {
	return &wire.Fault{Part: d.part, Op: op, Err: fmt.Errorf("not done: %w", err)}
}

// exchange sends a command and reads the reply. Where it ends badly, nothing more is sent:
// a late reply would be taken for that of the next.
func (d *DAP) exchange(ctx context.Context, command string) (string, error) {
	if d.bad != nil {
		return "", d.fault("ask OpenOCD", d.bad)
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = d.conn.SetDeadline(time.Unix(1, 0)) })
	reply, err := d.talk(command)
	stop()
	if err == nil {
		return reply, nil
	}
	d.bad = fmt.Errorf("the connection ended before: %w", err)
	d.conn.Close()
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	return "", d.fault("ask OpenOCD", fmt.Errorf("%w; the last bytes: %q", err, tail(reply)))
}

// tail gives the end of a text.
func tail(s string) string { return s[max(0, len(s)-80):] }

func (d *DAP) talk(command string) (string, error) {
	if _, err := io.WriteString(d.conn, command+string(rune(end))); err != nil {
		return "", err
	}
	var b strings.Builder
	for b.Len() < longest {
		c, err := d.in.ReadByte()
		if err != nil {
			return b.String(), err
		}
		if c == end {
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return b.String(), errors.New("a reply without end")
}

// query asks for something that OpenOCD knows without the DUT.
func (d *DAP) query(ctx context.Context, command string) (string, error) {
	result, log, err := d.run(ctx, command)
	if err != nil {
		return "", err
	}
	if len(result) != 2 || result[0] != "0" {
		return "", d.fault(command, fmt.Errorf("OpenOCD says %q, %q", result, tail(log)))
	}
	return strings.TrimSpace(result[1]), nil
}

// run does a command. Result is its code and what it gave; log is what OpenOCD said
// meanwhile.
func (d *DAP) run(ctx context.Context, command string) (result []string, log string, err error) {
	reply, err := d.exchange(ctx, "set r {}; set o [capture {set a [catch {"+command+"} r]}]; list $a $r $o")
	if err != nil {
		return nil, "", err
	}
	parts, ok := list(reply)
	if !ok || len(parts) != 3 {
		return nil, "", d.fault("ask OpenOCD", fmt.Errorf("a reply that is none: %q", tail(reply)))
	}
	return parts[:2], parts[2], nil
}

// numbers reads hexadecimal numbers.
func numbers(s string) (all []uint32, ok bool) {
	for _, f := range strings.Fields(s) {
		v, err := strconv.ParseUint(f, 0, 32)
		if err != nil {
			return all, false
		}
		all = append(all, uint32(v))
	}
	return all, true
}

// list takes a TCL list apart: words, braces, and backslashes.
func list(s string) (all []string, ok bool) {
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return all, true
		}
		var item string
		if s[0] == '{' {
			depth, i := 0, 0
			for ; i < len(s); i++ {
				switch s[i] {
				case '\\':
					i++
				case '{':
					depth++
				case '}':
					depth--
				}
				if depth == 0 {
					break
				}
			}
			if i >= len(s) {
				return all, false
			}
			item, s = s[1:i], s[i+1:]
		} else {
			var b strings.Builder
			i := 0
			for ; i < len(s) && !strings.ContainsRune(" \t\r\n", rune(s[i])); i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
					b.WriteByte(escaped(s[i]))
					continue
				}
				b.WriteByte(s[i])
			}
			item, s = b.String(), s[i:]
		}
		all = append(all, item)
	}
}

// escaped gives what a backslash makes of a character.
func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	}
	return c
}
