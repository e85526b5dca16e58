// Command wires passes one request of an exec driver on to the control socket of the
// built-in device, as rigor virtual --control does. It starts in a small part of the time:
// the tests that kill runs start thousands of such programs.
package main

import (
	"encoding/json"
	"errors"
	"os"
	"syscall"
)

type request struct {
	Op   string `json:"op"`
	Do   string `json:"do"`
	Line string `json:"line"`
}

type response struct {
	OK       bool   `json:"ok"`
	Error    string `json:"error"`
	State    string `json:"state"`
	Asserted *bool  `json:"asserted"`
}

func main() {
	if err := pass(os.Args[1]); err != nil {
		_, _ = os.Stderr.WriteString("wires: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func pass(socket string) error {
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
		return err
	}
	device := os.NewFile(uintptr(fd), socket)
	if err := json.NewEncoder(device).Encode(map[string]string{"op": req.Op, "value": req.Do, "line": req.Line}); err != nil {
		return err
	}
	var resp response
	if err := json.NewDecoder(device).Decode(&resp); err != nil {
		return err
	}
	answer := any(map[string]string{"state": resp.State})
	switch {
	case !resp.OK:
		return errors.New(resp.Error)
	case req.Op == "line" && resp.Asserted == nil:
		return errors.New("the device does not say what the line is")
	case req.Op == "line":
		answer = map[string]bool{"asserted": *resp.Asserted}
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}
