//go:build !linux

package late

import "time"

// waiting: only Linux tells it.
func waiting() func() time.Duration { return nil }
