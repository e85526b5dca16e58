package rig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/harness/journal"
)

// Store is the folder of a rig that outlives its runs: intents that the next
// start may have to undo, the key of derived secrets, the guard's last report.
// It is safe for concurrent use within one process; the rig's lease keeps
// other processes out.
type Store struct {
	dir    string
	now    func() time.Time
	mu     sync.Mutex
	redact journal.Redactor
	last   time.Time // of the last intent
}

var rigName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// StoreDir gives the state folder of a rig: $XDG_STATE_HOME/rigor/RIG, or
// ~/.local/state/rigor/RIG (XDG Base Directory Specification 0.8).
func StoreDir(rig string) (string, error) {
	if !rigName.MatchString(rig) {
		return "", fmt.Errorf("rig name %q: want letters, digits, dot, dash and underscore", rig)
	}
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the specification says to ignore a relative one
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("the state folder of rig %s: set XDG_STATE_HOME or HOME: %w", rig, err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "rigor", rig), nil
}

// OpenStore opens a state folder, and makes it (0700) where there is none.
func OpenStore(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, intentsDir), 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w; set XDG_STATE_HOME to a folder that can be written", err)
	}
	return &Store{dir: dir, now: time.Now}, nil
}

// Dir gives the folder.
func (s *Store) Dir() string { return s.dir }

// Guarded makes the store refuse an intent in which r finds a secret.
func (s *Store) Guarded(r journal.Redactor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redact = r
}

// The kinds of intent.
const (
	IntentPower    = "power"     // the supply is not at its rest
	IntentLine     = "line"      // a line is asserted
	IntentPassword = "password"  // a password of the DUT is being changed
	IntentReset    = "reset"     // the DUT is being reset
	IntentState    = "state"     // the DUT is on its way to another state
	IntentUpdate   = "update"    // the DUT is being updated
	IntentBootFail = "boot-fail" // the DUT is made to fail its boots
	IntentDebug    = "debug"     // somebody attached to a debug port, or started a loader in ROM
	IntentSetup    = "setup"     // the DUT's set-up is being tried
	IntentRoute    = "route"     // strangers try to write a setting of the DUT
	IntentSlots    = "slots"     // slots of the DUT's memory are being written past it
)

var intentKinds = []string{IntentPower, IntentLine, IntentPassword, IntentReset, IntentState, IntentUpdate, IntentBootFail, IntentSetup, IntentRoute, IntentSlots, IntentDebug}

// Intent is something about to be done that the next start may have to undo.
type Intent struct {
	ID    string    `json:"id"`
	Kind  string    `json:"kind"`
	What  string    `json:"what"` // for a reader
	Since time.Time `json:"since"`
	// Undo is what undoing needs, such as the login and the label of a derived
	// secret. It never holds a secret.
	Undo map[string]string `json:"undo,omitempty"`
}

const (
	intentsDir = "intents"
	intentExt  = ".json"
	maxIntent  = 64 << 10
)

// sealed is the form of an intent on disk: a disk that lost a block must not
// make a half intent look whole.
type sealed struct {
	SHA256 string          `json:"sha256"`
	Intent json.RawMessage `json:"intent"`
}

// DamagedIntent says that an intent's file cannot be understood. What it would
// undo is not known: a person has to look at the DUT before the rig is used.
type DamagedIntent struct {
	Path string
	Err  error
}

// Error names the file, what is wrong, and the remedy.
func (e *DamagedIntent) Error() string {
	return fmt.Sprintf("intent %s: %v; see what the run before left on the device, put it right, then remove the file", e.Path, e.Err)
}

// Unwrap gives the cause.
func (e *DamagedIntent) Unwrap() error { return e.Err }

// Begin writes an intent down, durably, before the act. It gives the intent
// with its ID and time.
func (s *Store) Begin(in Intent) (Intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(intentKinds, in.Kind) {
		return in, fmt.Errorf("intent %q: kind %q is none of %s", in.What, in.Kind, strings.Join(intentKinds, ", "))
	}
	if in.What == "" {
		return in, fmt.Errorf("intent of kind %s does not say what it is", in.Kind)
	}
	// Undoing goes by time, so no two intents have the same, and none is older
	// than the one before, whatever the clock does.
	in.Since = s.now().UTC()
	if !in.Since.After(s.last) {
		in.Since = s.last.Add(1)
	}
	for ; ; in.Since = in.Since.Add(1) {
		in.ID = fmt.Sprintf("%s-%s", in.Since.Format("20060102T150405.000000000"), in.Kind)
		if _, err := os.Lstat(s.intentPath(in.ID)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return in, fmt.Errorf("intent %s: %w", in.ID, err)
		}
	}
	s.last = in.Since
	raw, err := json.Marshal(in)
	if err != nil {
		return in, fmt.Errorf("intent %s: %w", in.ID, err)
	}
	if s.redact != nil {
		for _, text := range append([]string{in.What}, values(in.Undo)...) {
			if s.redact.String(text) != text {
				return in, fmt.Errorf("intent %s would hold a secret: not written, the act must not follow", in.ID)
			}
		}
	}
	sum := sha256.Sum256(raw)
	file, err := json.Marshal(sealed{SHA256: hex.EncodeToString(sum[:]), Intent: raw})
	if err != nil {
		return in, fmt.Errorf("intent %s: %w", in.ID, err)
	}
	if err := writeDurably(s.intentPath(in.ID), append(file, '\n')); err != nil {
		return in, fmt.Errorf("write intent %s: %w", in.ID, err)
	}
	return in, nil
}

func values(m map[string]string) []string {
	var vs []string
	for k, v := range m {
		vs = append(vs, k, v)
	}
	return vs
}

// Done removes an intent whose act was undone or completed.
func (s *Store) Done(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !rigName.MatchString(id) {
		return fmt.Errorf("close intent %q: no such id", id)
	}
	if err := os.Remove(s.intentPath(id)); err != nil {
		return fmt.Errorf("close intent %s: %w", id, err)
	}
	if err := syncDir(filepath.Join(s.dir, intentsDir)); err != nil {
		return fmt.Errorf("close intent %s: %w", id, err)
	}
	return nil
}

// Pending lists what the runs before left to undo, oldest first. Files that
// cannot be understood are *DamagedIntent errors, joined; the others are
// listed all the same.
func (s *Store) Pending() ([]Intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(s.dir, intentsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list intents: %w", err)
	}
	var list []Intent
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), tempExt) {
			// Cut short before it was in place: its act did not begin.
			_ = os.Remove(path)
			continue
		}
		in, err := readIntent(path)
		if err == nil && in.ID+intentExt != e.Name() {
			err = fmt.Errorf("the file of intent %q has another name", in.ID)
		}
		if err != nil {
			errs = append(errs, &DamagedIntent{Path: path, Err: err})
			continue
		}
		list = append(list, in)
	}
	slices.SortStableFunc(list, func(a, b Intent) int { return a.Since.Compare(b.Since) })
	return list, errors.Join(errs...)
}

func readIntent(path string) (Intent, error) {
	f, err := os.Open(path)
	if err != nil {
		return Intent{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIntent+1))
	if err != nil {
		return Intent{}, err
	}
	return parseIntent(b)
}

// parseIntent decodes an intent's file.
func parseIntent(b []byte) (Intent, error) {
	var in Intent
	if len(b) > maxIntent {
		return in, fmt.Errorf("over %d bytes", maxIntent)
	}
	var file sealed
	if err := strictJSON(b, &file); err != nil {
		return in, err
	}
	sum := sha256.Sum256(file.Intent)
	if hex.EncodeToString(sum[:]) != file.SHA256 {
		return in, errors.New("its checksum does not match")
	}
	if err := strictJSON(file.Intent, &in); err != nil {
		return in, err
	}
	if !slices.Contains(intentKinds, in.Kind) || in.ID == "" || in.What == "" || in.Since.IsZero() {
		return in, fmt.Errorf("kind %q, id %q: incomplete, or written by a newer version", in.Kind, in.ID)
	}
	return in, nil
}

// triesFile holds what runs tried at the logins.
const triesFile = "tries.json"

// KeepTries keeps what the runs up to now tried at the logins, for the next one.
func (s *Store) KeepTries(data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := writeDurably(filepath.Join(s.dir, triesFile), data); err != nil {
		return fmt.Errorf("keep what was tried: %w", err)
	}
	return nil
}

// Tries gives what KeepTries kept; nothing where it never did.
func (s *Store) Tries() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := os.ReadFile(filepath.Join(s.dir, triesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func strictJSON(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("not valid: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("not valid: more follows after its end")
	}
	return nil
}

func (s *Store) intentPath(id string) string {
	return filepath.Join(s.dir, intentsDir, id+intentExt)
}

const tempExt = ".part"

// writeDurably puts a file in place with this content, or leaves things as
// they were: after it the file survives a power cut (rename(2), fsync(2) of
// file and folder).
func writeDurably(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+tempExt) // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
