package debugporttest

import (
	"bufio"
	"errors"
	"io"
)

// Serve answers OpenOCD's remote-bitbang protocol on a connection with the pads of a
// Chain: 0 to 7 set TCK, TMS and TDI, R reads TDO, Q ends.
func (c *Chain) Serve(conn io.ReadWriter) error {
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	var now uint32
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case b >= '0' && b <= '7':
			v := uint32(b - '0')
			now = c.step(7, v>>2&1|v>>1&1<<1|v&1<<2)
			c.Steps++
		case b == 'R':
			if err := out.WriteByte('0' + byte(now>>3&1)); err != nil {
				return err
			}
		case b == 'Q':
			return out.Flush()
		}
	}
}
