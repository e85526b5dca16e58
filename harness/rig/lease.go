package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// ErrLeased says that an instrument is in use by another run.
var ErrLeased = errors.New("in use")

// Resource is what a part stands on that only one run may use at a time.
type Resource struct {
	Part wire.Part
	Key  string // "port /dev/ttyUSB0", "gpio gpiochip0 17", "address 192.0.2.7:80"
}

// Resources lists what a rig needs for itself: its own name, since its state
// folder is by name, and each instrument by its real address, so that two rig
// files that name one adapter in two ways collide. Instruments inside this
// process need no lease. A rig with none but such has none.
func Resources(f *File) []Resource {
	var rs []Resource
	add := func(part wire.Part, words ...string) {
		rs = append(rs, Resource{Part: part, Key: strings.Join(words, " ")})
	}
	for name, l := range f.Lines {
		if l == nil { // Bind says so
			continue
		}
		switch l.Driver {
		case "gpio":
			add(LinePart(name), gpioKey(l.Chip, l.Line))
		case "exec":
			add(LinePart(name), execKey(f, l.Exec)...)
		}
	}
	for name, p := range f.Consoles {
		if p == nil {
			continue
		}
		switch p.Driver {
		case "serial":
			add(ConsolePart(name), "port", devicePath(p.Port))
		case "tcp":
			add(ConsolePart(name), "address", p.Address)
		case "exec":
			add(ConsolePart(name), execKey(f, p.Exec)...)
		}
	}
	for name, s := range f.Storages {
		if s != nil && s.Driver == "exec" {
			add(StoragePart(name), execKey(f, s.Exec)...)
		}
	}
	padsResources(f.Pads, add)
	if p := f.Power; p != nil {
		switch p.Driver {
		case "gpio":
			add(PowerPart, gpioKey(p.Chip, p.Line))
		case "exec":
			add(PowerPart, execKey(f, p.Exec)...)
		case "http":
			add(PowerPart, "switch", urlKey(p.URL))
		case "qemu":
			// Its sockets have no names, and its images are only read: only its folder is
			// for one at a time.
			add(PowerPart, "machine", f.Name, p.Machine)
		}
	}
	if n := f.Network; n != nil && n.Address == "" && n.Interface != "" && f.Unit.MAC != "" {
		add(LinkPart, "device", strings.ToLower(f.Unit.MAC)) // it is found by that
	}
	if n := f.Network; n != nil && n.Address != "" && (n.Driver == "" || n.Driver == "link") {
		// Behind a forwarder there are several devices at one address.
		for _, port := range n.Ports {
			add(LinkPart, "device", n.Address, strconv.Itoa(port))
		}
		if len(n.Ports) == 0 {
			add(LinkPart, "device", n.Address)
		}
	}
	if len(rs) > 0 {
		add("rig", "rig", f.Name)
	}
	slices.SortFunc(rs, func(a, b Resource) int { return strings.Compare(a.Key, b.Key) })
	return rs
}

// padsResources adds what the pads take.
func padsResources(p *Pads, add func(part wire.Part, key ...string)) {
	if p == nil {
		return
	}
	switch p.Driver {
	case "gpio":
		for _, pad := range p.Names() {
			add(PadsPart, gpioKey(p.Chip, p.At[pad]))
		}
	case "remote-bitbang", "openocd":
		add(PadsPart, "address", p.Address)
	}
}

// execKey names a program by where it is: one that is beside the rig file is
// another for each folder.
func execKey(f *File, argv []string) []string {
	key := append([]string{"exec"}, argv...)
	if len(argv) > 0 && strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]) {
		key[1] = filepath.Join(filepath.Dir(f.Path), argv[0])
		if abs, err := filepath.Abs(key[1]); err == nil {
			key[1] = abs
		}
	}
	return key
}

// gpioKey names one line of one chip. A line that is known by its name alone
// is that name on whatever chip has it: names are the board's.
func gpioKey(chip, line string) string {
	if chip == "" {
		return "gpio " + line
	}
	chip = filepath.Base(devicePath(chip))
	if strings.Trim(chip, "0123456789") == "" {
		chip = "gpiochip" + chip
	}
	return "gpio " + chip + " " + line
}

func devicePath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// urlKey leaves out user and password, which are nobody's to see in a lock's
// name, and the query: the outlets of a strip share one command queue.
func urlKey(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "unreadable URL"
	}
	return u.Host + strings.TrimSuffix(u.Path, "/")
}

// Holder says who has a lease.
type Holder struct {
	PID   int       `json:"pid"`
	Rig   string    `json:"rig"`
	Since time.Time `json:"since"`
	Host  string    `json:"host"`
	Role  string    `json:"role,omitempty"` // "guard" while a rig is being made safe after a crash
}

const roleGuard = "guard"

// LeasedError names the part that is in use and its holder. It is ErrLeased.
type LeasedError struct {
	Resource
	Holder Holder // zero where the holder has not written itself down
	Path   string
}

// Error says which part is in use, by whom, since when, and the remedy.
func (e *LeasedError) Error() string {
	h := e.Holder
	if h.PID == 0 {
		return fmt.Sprintf("%s (%s) is in use by another process, which holds %s", e.Part, e.Key, e.Path)
	}
	who := "run"
	if h.Role == roleGuard { // no other word of a file that anybody can write
		who = roleGuard
	}
	return fmt.Sprintf("%s (%s) is in use by the %s of rig %q, process %d on %q, since %s; wait for its end, or end it",
		e.Part, e.Key, who, h.Rig, h.PID, h.Host, h.Since.Format(time.RFC3339))
}

// Passing says that the lease will go by itself within seconds: the run that
// had it has ended, and its guard makes the rig safe.
func (e *LeasedError) Passing() bool {
	if e.Holder.Role == roleGuard {
		return true
	}
	host, err := os.Hostname()
	return err == nil && e.Holder.PID > 0 && e.Holder.Host == host && errors.Is(syscall.Kill(e.Holder.PID, 0), syscall.ESRCH)
}

// Is makes a LeasedError match ErrLeased.
func (e *LeasedError) Is(target error) bool { return target == ErrLeased }

// Lease is the right to use a rig's instruments. It goes with the last process
// that has it: the run, or the guard that outlives it.
type Lease struct {
	mu     sync.Mutex
	locks  []heldLock
	lost   chan struct{}
	cause  error
	stop   chan struct{}
	ended  chan struct{}
	closed bool
}

type heldLock struct {
	Resource
	path string
	file *os.File
}

// LeaseConfig says where leases are kept, and how closely they are watched.
type LeaseConfig struct {
	Dir  string        // LeaseDir's where empty
	Poll time.Duration // of the watch for Lost; 1 s where zero
}

// LeaseDir gives the folder that leases are kept in, and makes it. It is
// shared by all users where the computer has such a place, since a nightly
// service and a developer are two users of one bench: /run/lock, then
// $XDG_RUNTIME_DIR, then the folder for temporary files. Where /run/lock is
// not for all, users do not see each other's leases; the kernel and the serial
// driver still refuse them a line or port that is open.
func LeaseDir() (string, error) {
	var errs []error
	for _, base := range []string{"/run/lock", os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		if base == "" {
			continue
		}
		dir := filepath.Join(base, "rigor")
		if err := makeShared(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		return dir, nil
	}
	return "", fmt.Errorf("no folder for leases: %w", errors.Join(errs...))
}

func makeShared(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if err == nil {
		// As /tmp: all may write, nobody may remove another's (and past umask).
		return os.Chmod(dir, 0o777|fs.ModeSticky)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Acquire takes every resource of a rig, or none: where one is in use it gives
// a *LeasedError. A lease is an flock(2) on a file, so that it is gone when
// its processes are, however they ended.
func Acquire(rig string, rs []Resource, cfg LeaseConfig) (*Lease, error) {
	if cfg.Dir == "" {
		dir, err := LeaseDir()
		if err != nil {
			return nil, err
		}
		cfg.Dir = dir
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Second
	}
	host, _ := os.Hostname()
	self := Holder{PID: os.Getpid(), Rig: rig, Since: time.Now().UTC().Truncate(time.Second), Host: host}
	l := &Lease{lost: make(chan struct{}), stop: make(chan struct{}), ended: make(chan struct{})}
	// In one order for everybody; flock is not waited for, so no deadlock, but
	// two that start at once should not both fail.
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b Resource) int { return strings.Compare(a.Key, b.Key) })
	rs = slices.CompactFunc(rs, func(a, b Resource) bool { return a.Key == b.Key })
	for _, r := range rs {
		lock, err := take(cfg.Dir, r, self)
		if err != nil {
			err = errors.Join(err, l.closeFiles())
			return nil, err
		}
		l.locks = append(l.locks, lock)
	}
	go l.watch(cfg.Poll)
	return l, nil
}

func take(dir string, r Resource, self Holder) (heldLock, error) {
	path := filepath.Join(dir, lockName(r.Key))
	for {
		f, err := openLock(path)
		if err != nil {
			return heldLock{}, fmt.Errorf("lease of %s (%s): %w", r.Part, r.Key, err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			held := &LeasedError{Resource: r, Holder: readHolder(f), Path: path}
			_ = f.Close()
			return heldLock{}, held
		}
		if err != nil {
			_ = f.Close()
			return heldLock{}, fmt.Errorf("lease of %s: lock %s: %w", r.Part, path, err)
		}
		// Somebody may have removed the file between our opening and locking it.
		if !inPlace(path, f) {
			_ = f.Close()
			continue
		}
		if err := writeHolder(f, self); err != nil {
			_ = f.Close()
			return heldLock{}, fmt.Errorf("lease of %s: write %s: %w", r.Part, path, err)
		}
		return heldLock{Resource: r, path: path, file: f}, nil
	}
}

// openLock opens a lock file, or makes one that all users can lock. It opens
// first without creating: with fs.protected_regular set, the kernel refuses
// to open another user's file in a shared folder with O_CREAT.
func openLock(path string) (*os.File, error) {
	const flags = os.O_RDWR | syscall.O_NOFOLLOW | syscall.O_CLOEXEC
	for {
		f, err := os.OpenFile(path, flags, 0)
		if err == nil {
			if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
				_ = f.Close()
				return nil, errors.Join(fmt.Errorf("%s is not a regular file", path), err)
			}
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, err = os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_ = f.Chmod(0o666) // past the umask; where it fails, other users see an error
		return f, nil
	}
}

// lockName makes a file name of a key that a reader still recognises.
func lockName(key string) string {
	sum := sha256.Sum256([]byte(key))
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, key)
	if len(clean) > 80 {
		clean = clean[:80]
	}
	return clean + "-" + hex.EncodeToString(sum[:4]) + ".lock"
}

func readHolder(f *os.File) Holder {
	var h Holder
	b := make([]byte, 4096)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h
	}
	if json.Unmarshal(b[:n], &h) != nil {
		return Holder{}
	}
	return h
}

func writeHolder(f *os.File, h Holder) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

func inPlace(path string, f *os.File) bool {
	now, err := os.Lstat(path)
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && os.SameFile(now, mine)
}

func (l *Lease) watch(every time.Duration) {
	defer close(l.ended)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		if err := l.check(); err != nil {
			return
		}
	}
}

func (l *Lease) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cause != nil {
		return l.cause
	}
	for _, lock := range l.locks {
		if !inPlace(lock.path, lock.file) {
			l.cause = fmt.Errorf("the lease of %s (%s) is lost: %s was removed or replaced, so another run can take it", lock.Part, lock.Key, lock.path)
			close(l.lost)
			return l.cause
		}
	}
	return nil
}

// Lost is closed when a lease file was removed or replaced under us: another
// run may be on the same wires. It is noticed within a second.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Err says why the lease was lost, and looks for it now; nil while it holds.
func (l *Lease) Err() error { return l.check() }

// Files gives the locks for a child process (exec.Cmd.ExtraFiles): the lease
// then lasts until both have ended.
func (l *Lease) Files() []*os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	files := make([]*os.File, len(l.locks))
	for i, lock := range l.locks {
		files[i] = lock.file
	}
	return files
}

// Release gives the lease back. A guard that still has it keeps it: the locks
// are closed, not unlocked.
func (l *Lease) Release() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	err := l.closeFiles()
	l.mu.Unlock()
	close(l.stop)
	<-l.ended
	return err
}

func (l *Lease) closeFiles() error {
	var errs []error
	for _, lock := range l.locks {
		errs = append(errs, lock.file.Close())
	}
	return errors.Join(errs...)
}
