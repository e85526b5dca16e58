package exam

import (
	"context"

	"rigor/harness/dap"
	"rigor/harness/debugport/ladder"
)

// Adapter looks once at a port that somebody else's adapter reaches: it attaches by itself,
// in its own way.
func Adapter(ctx context.Context, t dap.Transport, plan Plan) (l ladder.Look, err error) {
	l.Way, l.Quick = "adapter", plan.Quick
	if a, ok := t.(dap.Attacher); ok {
		if err := a.Attach(ctx); err != nil {
			return l, err
		}
	}
	err = who(&l, func() (uint32, dap.Answer, error) { return t.ReadDP(ctx, dap.DPIDR) })
	if err != nil || l.Reply != ladder.Answered {
		return l, err
	}
	return l, behind(ctx, t, &l, plan)
}
