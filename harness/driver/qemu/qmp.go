package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Limits of the monitor and of the test protocol.
const (
	maxMessage = 1 << 20         // bytes of one line
	answerIn   = 5 * time.Second // for QEMU's main loop to come round, on a busy computer
)

var errMonitor = errors.New("the monitor is closed")

// message is one line of QMP (docs/interop/qmp-spec): a greeting, an answer or an
// event.
type message struct {
	Greeting *json.RawMessage `json:"QMP"`
	Return   *json.RawMessage `json:"return"`
	Error    *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	ID    *uint64         `json:"id"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// parseMessage reads one line.
func parseMessage(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("%w: %.80q", err, line)
	}
	kinds := 0
	for _, is := range []bool{m.Greeting != nil, m.Return != nil, m.Error != nil, m.Event != ""} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return m, fmt.Errorf("neither a greeting nor an answer nor an event: %.80q", line)
	}
	return m, nil
}

// event is what a machine tells by itself.
type event struct {
	Name string
	Data json.RawMessage
}

// monitor is a connection to QEMU's monitor.
type monitor struct {
	conn   net.Conn
	events func(event) // called by the one who reads: it must not wait for an answer

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan message
	over    chan struct{}
	err     error // read after over is closed
}

// openMonitor waits for the greeting, and has the monitor take commands.
func openMonitor(ctx context.Context, conn net.Conn, events func(event)) (*monitor, error) {
	m := &monitor{conn: conn, events: events, waiting: map[uint64]chan message{}, over: make(chan struct{})}
	greeted := make(chan struct{})
	go m.read(greeted)
	select {
	case <-greeted:
	case <-m.over:
		return nil, fmt.Errorf("no greeting of the monitor: %w", m.err)
	case <-ctx.Done():
		_ = conn.Close()
		return nil, fmt.Errorf("no greeting of the monitor: %w", ctx.Err())
	}
	if _, err := m.execute(ctx, "qmp_capabilities", nil); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *monitor) read(greeted chan<- struct{}) {
	in := bufio.NewReaderSize(m.conn, 4096)
	var err error
	for err == nil {
		var line []byte
		if line, err = readLine(in, maxMessage); err != nil {
			break
		}
		var msg message
		if msg, err = parseMessage(line); err != nil {
			break
		}
		switch {
		case msg.Greeting != nil:
			if greeted != nil {
				close(greeted)
				greeted = nil
			}
		case msg.Event != "":
			m.events(event{msg.Event, msg.Data})
		case msg.ID != nil:
			m.mu.Lock()
			to := m.waiting[*msg.ID]
			delete(m.waiting, *msg.ID)
			m.mu.Unlock()
			if to != nil {
				to <- msg
			}
		}
	}
	_ = m.conn.Close()
	m.err = fmt.Errorf("%w: %w", errMonitor, err)
	close(m.over)
}

// execute gives a command and waits for its answer, 5 s at most.
func (m *monitor) execute(ctx context.Context, command string, args any) (json.RawMessage, error) {
	answer := make(chan message, 1)
	m.mu.Lock()
	m.next++
	id := m.next
	m.waiting[id] = answer
	line, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, args, id})
	if err == nil {
		err = send(ctx, m.conn, append(line, '\n'))
	}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.waiting, id)
		m.mu.Unlock()
	}()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	late := time.NewTimer(answerIn)
	defer late.Stop()
	select {
	case msg := <-answer:
		if msg.Error != nil {
			return nil, fmt.Errorf("%s: %s: %s", command, msg.Error.Class, msg.Error.Desc)
		}
		return *msg.Return, nil
	case <-m.over:
		return nil, fmt.Errorf("%s: %w", command, m.err)
	case <-late.C:
		return nil, fmt.Errorf("%s: no answer of the monitor in %v: does the machine's process hang?", command, answerIn)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", command, ctx.Err())
	}
}

// status asks what the machine does: "running", "paused", "io-error" …
func (m *monitor) status(ctx context.Context) (string, error) {
	got, err := m.execute(ctx, "query-status", nil)
	if err != nil {
		return "", err
	}
	var s struct {
		Status string `json:"status"`
	}
	if err := json.Unmarshal(got, &s); err != nil || s.Status == "" {
		return "", fmt.Errorf("query-status: it answered %.80q", got)
	}
	return s.Status, nil
}

// unattached is where a machine has the devices that its board made.
const unattached = "/machine/unattached"

// findChip gives the path of the first device of a type.
func (m *monitor) findChip(ctx context.Context, kind string) (string, error) {
	got, err := m.execute(ctx, "qom-list", map[string]string{"path": unattached})
	if err != nil {
		return "", err
	}
	var list []struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal(got, &list); err != nil {
		return "", fmt.Errorf("qom-list: %w", err)
	}
	for _, o := range list {
		if o.Type == "child<"+kind+">" {
			return unattached + "/" + o.Name, nil
		}
	}
	return "", fmt.Errorf("the machine has no %s; -M virt has one, with U-Boot only as -M virt,acpi=off", kind)
}

// send writes all of b, 5 s at most.
func send(ctx context.Context, conn net.Conn, b []byte) error {
	end := time.Now().Add(answerIn)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := conn.SetWriteDeadline(end); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}

// readLine reads up to a newline, which it drops; over max bytes is an error.
func readLine(in *bufio.Reader, max int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > max:
			return nil, fmt.Errorf("a line of over %d bytes", max)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
