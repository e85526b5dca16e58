package exam

import (
	"context"

	"rigor/harness/dap"
	"rigor/harness/debugport/adi"
	"rigor/harness/wire"
)

func isFault(err error) bool {
	_, ok := wire.AsFault(err)
	return ok
}

// tables finds the access ports of a port of ADIv6, by its ROM tables. Whole says that
// every one was read to its end.
func tables(ctx context.Context, s *adi.Session) (ports []adi.AccessPort, whole bool, a dap.Answer, err error) {
	ports, a, err = s.PortsV6(ctx)
	if err == nil && a == dap.Protocol { // no table, or one without an end: that is no broken wire
		return ports, false, dap.OK, nil
	}
	return ports, a == dap.OK, a, err
}
