package reset

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestIsPassword: a login that sends its password each time has no session that could
// outlive a reset: behind the next set-up with the same password it opens, as it must.
func TestIsPassword(t *testing.T) {
	for protocol, is := range map[string]bool{"http-basic": true, "http-digest": true, "rtsp": true, "snmp": true, "http-form": false, "http-json": false, "ssh": false, "telnet": false, "mqtt": false, "exec": false} {
		assert.Equal(t, is, isPassword(protocol), protocol)
	}
}

// TestStays: what may outlive a reset is looked at, a password that goes along with each
// request by itself.
func TestStays(t *testing.T) {
	for protocol, want := range map[string]bool{"http-form": true, "http-json": true, "http-basic": false, "http-digest": false, "ssh": true, "telnet": true, "console": false, "rtsp": false, "snmp": false} {
		if got := stays(protocol); got != want {
			t.Errorf("%s: %t", protocol, got)
		}
	}
}
