package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
	"rigor/harness/wire"
)

func TestCredentialNeverShowsItsPassword(t *testing.T) {
	c := Credential{User: "admin", Password: "s3cret"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("try", "credential", c)
	for _, shown := range []string{
		c.String(), fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, c, c, c, c, c), fmt.Sprintf("%+v", &c),
		fmt.Sprintf("%+v", Result{Credential: c}), fmt.Sprintf("%v", []Credential{c}), log.String(),
	} {
		assert.NotContains(t, shown, "s3cret")
		assert.NotContains(t, shown, "733363726574")
		assert.Contains(t, shown, "admin")
	}
	assert.Equal(t, "nobody", Nobody.String())
	assert.Equal(t, `"a" with a blank password`, Credential{User: "a"}.String())
	assert.Equal(t, `"" without a password`, Credential{NoPassword: true}.String())
	assert.Equal(t, `no user with a password`, Credential{NoUser: true, Password: "x"}.String())
}

func TestTexts(t *testing.T) {
	for _, tc := range []struct {
		said, before string
		want         verdict.Kind
	}{
		{"Login incorrect", "", verdict.Refused},
		{"Permission denied, please try again.", "", verdict.Refused},
		{"Access denied", "", verdict.Refused},
		{`{"error":"invalid_credentials","message":"Invalid username or password"}`, "", verdict.Refused},
		{"Authentication failed.", "", verdict.Refused},
		{"The password is incorrect", "", verdict.Refused},
		{"Maximum number of tries exceeded (5)", "", verdict.Refused},
		{"The account is locked due to 3 failed logins.", "", verdict.LockedOut},
		{"Account locked due to 6 failed logins", "", verdict.LockedOut},
		{"Your account has been temporarily locked after 5 tries.", "", verdict.LockedOut},
		{"Login incorrect\nYou are temporarily locked out", "", verdict.LockedOut},
		{"user 'admin' is locked", "", verdict.LockedOut},
		{"IP address 10.0.0.1 has been blocked", "", verdict.LockedOut},
		{"Your account is locked after 5 wrong passwords.", "", ""},
		{"Your account will be locked after 3 more attempts. Login incorrect", "", verdict.Refused},
		{"Wrong password. 2 attempts left before your account is locked.", "", verdict.Refused},
		{"If your account is locked, call us.", "", ""},
		{"Wrong password. Too many attempts may lock your account.", "", verdict.Refused},
		{"Your account is not locked", "", ""},
		{"The keypad is locked", "", ""},
		{"Account locked.", "Account locked.", ""},
		{"Too many authentication failures", "", verdict.Throttled},
		{"Too many failed login attempts, try again in 30 seconds", "", verdict.Throttled},
		{"Please wait 10 seconds", "", verdict.Throttled},
		{"Exceeded MaxStartups", "", verdict.Throttled},
		{"You are required to change your password immediately (administrator enforced).", "", verdict.Restricted},
		{"You must set a new password", "", verdict.Restricted},
		{"WARNING: Your password has expired.\nPassword change required but no TTY available.", "", verdict.Restricted},
		{"\nNew password: ", "", verdict.Restricted},
		{"(current) UNIX password: ", "", verdict.Restricted},
		{"\nPassword: ", "", ""},
		{"Unauthorized access to this device is strictly PROHIBITED", "", ""},
		{"UNAUTHORISED USE IS FORBIDDEN.\nLogin incorrect", "", verdict.Refused},
		{"401 Unauthorized", "", verdict.Refused},
		{"Unauthorized access", "", verdict.Refused},
		{"Unauthorized user. Use of this device without leave is prohibited", "", verdict.Refused},
		{"Welcome! Last login: yesterday", "", ""},
		{"\x00\xff\xfe", "", ""},
		{"", "", ""},
	} {
		got, words := DefaultTexts().Read([]byte(tc.said), []byte(tc.before))
		assert.Equal(t, tc.want, got, "%q, by %q", tc.said, words)
	}
	own := DefaultTexts().With(Texts{LockedOut: compile(`gesperrt`)})
	got, words := own.Read([]byte("Konto GESPERRT. Login incorrect"), nil)
	assert.Equal(t, verdict.LockedOut, got)
	assert.Equal(t, "GESPERRT", words)
}

func TestWait(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"try again in 30 seconds": 30 * time.Second, "wait 5 min": 5 * time.Minute, "retry after 1 hour": time.Hour,
		"soon": 0, "in 99999999999999999999 s": 0, "5 tries": 0,
	} {
		assert.Equal(t, want, Wait([]byte(said)), said)
	}
}

func FuzzTexts(f *testing.F) {
	f.Add([]byte("Your account is locked, try again in 5 minutes"), []byte(""))
	f.Add([]byte("\xff\x00New password:"), []byte("New password:"))
	texts := DefaultTexts()
	f.Fuzz(func(t *testing.T, said, before []byte) {
		kind, words := texts.Read(said, before)
		if (kind == "") != (words == "") || !bytes.Contains(said, []byte(words)) {
			t.Fatalf("%q by %q", kind, words)
		}
		if kind, _ := texts.Read(said, said); kind != "" {
			t.Fatalf("what was shown before says %q", kind)
		}
		if Wait(said) < 0 {
			t.Fatal("a negative wait")
		}
	})
}

func TestBroken(t *testing.T) {
	op := func(err error) error { return &net.OpError{Op: "read", Err: os.NewSyscallError("read", err)} }
	for _, tc := range []struct {
		err       error
		connected bool
		want      verdict.Kind
	}{
		{op(syscall.ECONNREFUSED), false, verdict.Unreachable},
		{op(syscall.ECONNRESET), true, verdict.Unreachable},
		{op(syscall.EHOSTUNREACH), false, verdict.Unreachable},
		{io.EOF, true, verdict.Unreachable},
		{context.DeadlineExceeded, false, verdict.Unreachable},
		{os.ErrDeadlineExceeded, true, verdict.Silent},
		{errors.New("no such host"), false, verdict.Unreachable},
		{errors.New("malformed"), true, verdict.Garbled},
	} {
		got, why := Broken(fmt.Errorf("try: %w", tc.err), tc.connected)
		assert.Equal(t, tc.want, got, "%v", tc.err)
		assert.NotEmpty(t, why)
	}
}

func TestRig(t *testing.T) {
	fault := &wire.Fault{Part: "link", Op: "dial", Err: io.EOF}
	require.ErrorIs(t, Rig(t.Context(), fmt.Errorf("x: %w", fault)), fault)
	require.NoError(t, Rig(t.Context(), context.DeadlineExceeded), "the end of a try is not the end of the caller")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fault)
	require.ErrorIs(t, Rig(ctx, io.EOF), fault)
	require.ErrorIs(t, Rig(t.Context(), fmt.Errorf("x: %w", ErrIdentity)), ErrIdentity)
}

type fake func(ctx context.Context, c Credential) (Outcome, error)

func (f fake) Try(ctx context.Context, c Credential) (Outcome, error) { return f(ctx, c) }

func creds(n int) []Credential {
	list := make([]Credential, n)
	for i := range list {
		list[i] = Credential{User: fmt.Sprint(i), Password: "pw-secret"}
	}
	return list
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		p := fake(func(ctx context.Context, c Credential) (Outcome, error) {
			n := now.Add(1)
			defer now.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return Outcome{}, ctx.Err()
			}
			return Outcome{Kind: verdict.Refused, Detail: c.User}, nil
		})
		begun := time.Now()
		seen := map[int]bool{}
		require.NoError(t, Sweep(t.Context(), p, creds(10), 4, func(r Result) bool {
			assert.Equal(t, fmt.Sprint(r.Index), r.Outcome.Detail)
			seen[r.Index] = true
			return true
		}))
		assert.Len(t, seen, 10)
		assert.Equal(t, int32(4), most.Load())
		assert.Equal(t, 3*time.Second, time.Since(begun))

		count := 0
		require.NoError(t, Sweep(t.Context(), p, creds(10), 1, func(Result) bool { count++; return count < 3 }))
		assert.Equal(t, 3, count, "nothing is tried after the caller had enough")

		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		count = 0
		err := Sweep(ctx, p, creds(10), 1, func(Result) bool { count++; return true })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2, count)

		broken := &wire.Fault{Part: "link", Op: "dial", Err: io.EOF}
		tries := 0
		err = Sweep(t.Context(), fake(func(context.Context, Credential) (Outcome, error) {
			tries++
			return Outcome{}, broken
		}), creds(5), 1, func(Result) bool { return true })
		require.ErrorIs(t, err, broken)
		assert.Equal(t, 1, tries, "a broken rig is not fed on")
		assert.NotContains(t, err.Error(), "pw-secret")
		require.NoError(t, Sweep(t.Context(), p, nil, 3, nil))
	})
}

func TestOutcome(t *testing.T) {
	var o Outcome
	o.Set(verdict.Refused, "the DUT said %q", "no")
	o.Fact(FactMethod, "")
	assert.Nil(t, o.Facts)
	o.Fact(FactMethod, "password")
	assert.Equal(t, `refused: the DUT said "no"`, o.String())
	_, err := json.Marshal(o)
	require.NoError(t, err)
	assert.Len(t, Cut(make([]byte, MaxEvidence+5)), MaxEvidence)
	assert.Equal(t, `"bc"`, Tail([]byte("abc"), 2))
}
