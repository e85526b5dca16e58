package portscan

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// roleVar says which of its processes a test is: in a namespace with nmap, or the
// device in another one.
const roleVar = "RIGOR_PORTSCAN_ROLE"

const (
	deviceAt = "10.77.0.1"
	ourEnd   = "10.77.0.2"
)

// What the device does with its ports: some listen, some swallow what comes, some
// say that it is prohibited, all others refuse.
var (
	listening = []int{22, 80, 443, 8081, 47808}
	rules     = "table ip fence { chain in { type filter hook input priority 0; tcp dport 1000-1799 drop; tcp dport 2000-2099 reject with icmp type admin-prohibited; }; }"
)

const filteredPorts = 900

// Side by side with nmap in one network namespace, against a kernel in another one
// with a packet filter: every port has the state that nmap gives it, and no more
// time is taken, at the pace that nmap takes too. Where no turn of ours is as quick,
// what counts is the time of processors: others use the computer too.
func TestBesideNmap(t *testing.T) {
	switch os.Getenv(roleVar) {
	case "device":
		device(t)
		return
	case "namespace":
		inNamespace(t)
		return
	}
	if testing.Short() {
		t.Skip("all of TCP, with ports that are silent")
	}
	unshared(t, "namespace")
}

// gatewayVar names the folder of a gateway's images, as rigor gateway build makes it.
const gatewayVar = "RIGOR_GATEWAY_DIR"

// The same against the gateway, whose kernel nobody here configured: it hangs on a
// tap in the namespace, in its factory state.
func TestBesideNmapOnTheGateway(t *testing.T) {
	if os.Getenv(roleVar) == "gateway" {
		gateway(t, os.Getenv(gatewayVar))
		return
	}
	if os.Getenv(gatewayVar) == "" {
		t.Skip("boots an emulated device: on request, with " + gatewayVar + "=DIR of its images")
	}
	unshared(t, "gateway")
}

// unshared runs the same test again, in a network namespace of its own and in a
// role, and shows that nothing of it is left.
func unshared(t *testing.T, role string) {
	t.Helper()
	for program, pkg := range map[string]string{"nmap": "nmap", "nft": "nftables", "ip": "iproute2", "unshare": "util-linux"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: apt-get install %s", program, pkg)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "-rn", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespaces for this user here: %v: %s", err, out)
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "unshare", "-rn", self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "65535 ports") {
			t.Log(strings.TrimSpace(line))
		}
	}
	// A namespace is gone with its last process.
	assert.Eventually(t, func() bool { return len(withRole(t)) == 0 }, 5*time.Second, 10*time.Millisecond, "processes are left in a namespace")
}

// withRole lists processes that a test left in its namespaces.
func withRole(t *testing.T) (pids []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		env, err := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err == nil && strings.Contains(string(env), roleVar+"=") {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// sh runs a program that has to go well.
func sh(t *testing.T, argv ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
}

// device is the far end: it waits for its cable, and lives as long as its input.
func device(t *testing.T) {
	fmt.Println("namespace ready")
	in := bufio.NewReader(os.Stdin)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	sh(t, "ip", "addr", "add", deviceAt+"/24", "dev", "far")
	sh(t, "ip", "link", "set", "far", "up")
	sh(t, "nft", rules)
	for _, p := range listening {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp4", net.JoinHostPort(deviceAt, strconv.Itoa(p)))
		require.NoError(t, err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	}
	fmt.Println("device ready")
	_, _ = io.Copy(io.Discard, in)
}

// inNamespace makes the device and holds the two scans against each other.
func inNamespace(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	far := exec.CommandContext(t.Context(), self, "-test.run=^TestBesideNmap$", "-test.timeout=10m")
	far.Env = append(os.Environ(), roleVar+"=device")
	far.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	far.Stderr = os.Stderr
	in, err := far.StdinPipe()
	require.NoError(t, err)
	out, err := far.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, far.Start())
	defer func() {
		_ = in.Close()
		assert.NoError(t, far.Wait())
	}()
	says := bufio.NewReader(out)
	expect := func(want string) {
		line, err := says.ReadString('\n')
		require.NoError(t, err)
		if strings.TrimSpace(line) != want {
			rest, _ := io.ReadAll(says)
			require.Equal(t, want, line+string(rest))
		}
	}
	expect("namespace ready")
	sh(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
	sh(t, "ip", "link", "set", "far", "netns", strconv.Itoa(far.Process.Pid))
	sh(t, "ip", "addr", "add", ourEnd+"/24", "dev", "near")
	sh(t, "ip", "link", "set", "near", "up")
	_, err = io.WriteString(in, "\n")
	require.NoError(t, err)
	expect("device ready")
	besides(t, deviceAt, 22, listening, filteredPorts)
}

// gateway starts the device on a tap and holds the two scans against each other.
func gateway(t *testing.T, dir string) {
	data, err := os.ReadFile(filepath.Join(dir, "machine.json"))
	require.NoError(t, err)
	var m struct {
		QEMU, NIC, MAC, Address string
		Args                    []string
	}
	require.NoError(t, json.Unmarshal(data, &m))
	sh(t, "ip", "tuntap", "add", "near", "mode", "tap")
	sh(t, "ip", "addr", "add", "192.168.77.2/24", "dev", "near")
	sh(t, "ip", "link", "set", "near", "up")
	args := []string{"-snapshot", "-serial", "none", "-monitor", "none", "-netdev", "tap,id=n,ifname=near,script=no,downscript=no", "-device", m.NIC + ",netdev=n,mac=" + m.MAC}
	for _, a := range m.Args {
		args = append(args, strings.ReplaceAll(a, "${dir}", dir))
	}
	machine := exec.CommandContext(t.Context(), m.QEMU, args...)
	machine.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	machine.Stderr = os.Stderr
	require.NoError(t, machine.Start())
	defer func() {
		_ = machine.Process.Kill()
		_ = machine.Wait()
	}()
	open := []int{80, 443}
	require.Eventually(t, func() bool {
		for _, p := range open {
			d := net.Dialer{Timeout: time.Second}
			c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(m.Address, strconv.Itoa(p)))
			if err != nil {
				return false
			}
			_ = c.Close()
		}
		return true
	}, 3*time.Minute, 500*time.Millisecond, "the gateway does not come up")
	besides(t, m.Address, 443, open, 0)
}

// nmapRun is what is read of nmap's XML.
type nmapRun struct {
	Ports []struct {
		ID    int `xml:"portid,attr"`
		State struct {
			State string `xml:"state,attr"`
		} `xml:"state"`
	} `xml:"host>ports>port"`
	Extra []struct {
		State   string `xml:"state,attr"`
		Reasons []struct {
			Ports string `xml:"ports,attr"`
		} `xml:"extrareasons"`
	} `xml:"host>ports>extraports"`
}

// states gives nmap's ports by state.
func (r *nmapRun) states(t *testing.T) map[string][]int {
	t.Helper()
	out := map[string][]int{}
	for _, p := range r.Ports {
		out[p.State.State] = append(out[p.State.State], p.ID)
	}
	for _, e := range r.Extra {
		for _, why := range e.Reasons {
			for part := range strings.SplitSeq(why.Ports, ",") {
				from, to, more := strings.Cut(part, "-")
				a, err := strconv.Atoi(from)
				require.NoError(t, err)
				z := a
				if more {
					z, err = strconv.Atoi(to)
					require.NoError(t, err)
				}
				for ; a <= z; a++ {
					out[e.State] = append(out[e.State], a)
				}
			}
		}
	}
	for _, ports := range out {
		slices.Sort(ports)
	}
	return out
}

// besides scans a host with nmap and by ourselves, in turns, and holds states and
// times against each other.
func besides(t *testing.T, host string, canary int, open []int, filtered int) {
	t.Helper()
	var theirs, ours cost
	for turn := 0; turn < 5 && (turn < 1 || ours.wall > theirs.wall); turn++ {
		cmd := exec.CommandContext(t.Context(), "nmap", "-sT", "-T4", "-Pn", "-n", "-p", "1-65535", "-oX", "-", host)
		begun := time.Now()
		said, err := cmd.Output()
		require.NoError(t, err, "%s", said)
		theirs.least(cost{time.Since(begun), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()})
		var run nmapRun
		require.NoError(t, xml.Unmarshal(said, &run))
		nmap := run.states(t)

		before := spent(t)
		begun = time.Now()
		res, err := NewTCP(&sockets{}, host, canary, Limits{Connections: 256, Rate: 1_000_000}).Scan(t.Context(), upTo(65535))
		require.NoError(t, err)
		ours.least(cost{time.Since(begun), spent(t) - before})
		assert.Equal(t, open, res.In(Open))
		assert.Equal(t, filtered, res.Count(Filtered))
		for state, name := range map[State]string{Open: "open", Closed: "closed", Filtered: "filtered"} {
			assert.Equal(t, Ranges(nmap[name]), Ranges(res.In(state)), "%s, as nmap says", name)
		}
		assert.Empty(t, res.In(Unasked))
	}
	t.Logf("65535 ports of %s, of which %d are open and %d are silent: nmap -sT -T4 took %v (%v of processors), ours %v (%v)", host, len(open), filtered,
		theirs.wall.Round(time.Millisecond), theirs.cpu.Round(time.Millisecond), ours.wall.Round(time.Millisecond), ours.cpu.Round(time.Millisecond))
	if ours.wall > theirs.wall {
		assert.LessOrEqual(t, ours.cpu/time.Duration(runtime.GOMAXPROCS(0)), theirs.cpu, "slower than nmap")
	}
}
