package peers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Mkimage is U-Boot's program mkimage, with a folder for keys and files.
type Mkimage struct{ Dir string }

// NewMkimage finds the program, and dtc that it runs; without them the test is skipped.
func NewMkimage(tb testing.TB) *Mkimage {
	tb.Helper()
	for prog, pkg := range map[string]string{"mkimage": "u-boot-tools", "dumpimage": "u-boot-tools", "dtc": "device-tree-compiler", "fdtput": "device-tree-compiler"} {
		if _, err := exec.LookPath(prog); err != nil {
			tb.Skipf("needs %s: apt-get install %s", prog, pkg)
		}
	}
	return &Mkimage{tb.TempDir()}
}

// Run runs a program in the folder, and gives what it says.
func (m *Mkimage) Run(ctx context.Context, prog string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, prog, args...)
	cmd.Dir = m.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", prog, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Lay puts files into the folder.
func (m *Mkimage) Lay(files map[string][]byte) error {
	var all error
	for name, data := range files {
		all = errors.Join(all, os.WriteFile(filepath.Join(m.Dir, name), data, 0o600))
	}
	return all
}

// Key lays a key of a name for mkimage: NAME.key and NAME.crt.
func (m *Mkimage) Key(name string, key *rsa.PrivateKey) error {
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(4e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	return m.Lay(map[string][]byte{name + ".key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		name + ".crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})})
}

// FIT makes an image of a source; what it includes was laid before.
func (m *Mkimage) FIT(ctx context.Context, source string, args ...string) ([]byte, error) {
	if err := m.Lay(map[string][]byte{"made.its": []byte(source)}); err != nil {
		return nil, err
	}
	if _, err := m.Run(ctx, "mkimage", append(args, "-f", "made.its", "-k", ".", "made.fit")...); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(m.Dir, "made.fit"))
}

// UBoot is U-Boot itself in an emulated machine, with a device tree that says what it
// requires.
type UBoot struct {
	*Mkimage
	loader string
}

// Where images lie in the machine, and how far one from the other.
const (
	firstImage = 0x41000000
	imageStep  = 1 << 20
	mostImages = 64
)

// board is the machine that it runs on.
var board = []string{"-cpu", "cortex-a53", "-m", "128", "-nodefaults", "-no-user-config", "-display", "none"}

// NewUBoot finds what it is run with; without that the test is skipped.
func NewUBoot(tb testing.TB) *UBoot {
	tb.Helper()
	u := &UBoot{NewMkimage(tb), "/usr/lib/u-boot/qemu_arm64/u-boot.bin"}
	if _, err := exec.LookPath("qemu-system-aarch64"); err != nil {
		tb.Skip("needs qemu-system-aarch64: apt-get install qemu-system-arm")
	}
	if _, err := os.Stat(u.loader); err != nil {
		tb.Skip("needs u-boot.bin: apt-get install u-boot-qemu")
	}
	return u
}

// Board lays a device tree of the machine, with room for keys. mkimage -K puts them in.
func (u *UBoot) Board(ctx context.Context, name string) error {
	if _, err := u.Run(ctx, "qemu-system-aarch64", append([]string{"-M", "virt,acpi=off,dtb-randomness=off,dumpdtb=raw.dtb"}, board...)...); err != nil {
		return err
	}
	_, err := u.Run(ctx, "dtc", "-q", "-I", "dtb", "-O", "dtb", "-p", "65536", "-o", name, "raw.dtb")
	return err
}

// Judge starts images of at most 1 MiB, as far as to what is checked of them before they
// run, with a board that was laid. The configuration is named: U-Boot for this machine
// chooses none by itself. It says Taken, Refused, or nothing where it did not come so far.
func (u *UBoot) Judge(ctx context.Context, boardName, config string, files [][]byte) (said []string, console string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if len(files) > mostImages {
		return nil, "", fmt.Errorf("ask U-Boot of %d images at once", len(files))
	}
	args := append([]string{"-M", "virt,acpi=off", "-serial", "stdio", "-bios", u.loader, "-dtb", "judge.dtb"}, board...)
	var at []string
	for i, b := range files {
		if len(b) > imageStep {
			return nil, "", fmt.Errorf("ask U-Boot of an image of %d bytes", len(b))
		}
		name := fmt.Sprintf("judge-%d.fit", i)
		if err := u.Lay(map[string][]byte{name: b}); err != nil {
			return nil, "", err
		}
		at = append(at, fmt.Sprintf("%x", firstImage+i*imageStep))
		args = append(args, "-device", "loader,file="+name+",addr=0x"+at[i]+",force-raw=on")
	}
	command := fmt.Sprintf("for a in %s; do if bootm start $a#%s $a#%s $fdtcontroladdr; then echo RIGOR $a taken; else echo RIGOR $a refused; fi; done; poweroff", strings.Join(at, " "), config, config)
	dtb, err := os.ReadFile(filepath.Join(u.Dir, boardName))
	if err != nil {
		return nil, "", err
	}
	if err := u.Lay(map[string][]byte{"judge.dtb": dtb}); err != nil {
		return nil, "", err
	}
	for _, put := range [][]string{{"-c", "judge.dtb", "/config"}, {"-t", "i", "judge.dtb", "/config", "bootdelay", "--", "-2"}, {"-t", "s", "judge.dtb", "/config", "bootcmd", command}} {
		if _, err := u.Run(ctx, "fdtput", put...); err != nil {
			return nil, "", err
		}
	}
	if console, err = u.Run(ctx, "qemu-system-aarch64", args...); err != nil {
		return nil, console, err
	}
	said = make([]string, len(files))
	for i := range files {
		for _, word := range []string{Taken, Refused} {
			if bytes.Contains([]byte(console), []byte("RIGOR "+at[i]+" "+word)) {
				said[i] = word
			}
		}
	}
	return said, console, nil
}

// FITSource is the source of a small image of two files, kernel and initramfs.
type FITSource struct {
	Config string   // how its configuration is signed: sha256,rsa2048; empty: not at all
	Images string   // and its images
	Hashes []string // of the second; none: sha256
	Extra  string   // more of its configuration
	Others bool     // another image behind, and another configuration, of it, before
}

// String is the source.
func (s FITSource) String() string {
	sign := func(algo, what string) string {
		if algo == "" {
			return ""
		}
		return fmt.Sprintf(`signature-1 { algo = "%s"; key-name-hint = "boot"; %s };`, algo, what)
	}
	if len(s.Hashes) == 0 {
		s.Hashes = []string{"sha256"}
	}
	image, config := "", ""
	if s.Others {
		image = `recovery { description = "recovery"; data = /incbin/("initramfs"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "none";
			load = <0x40400000>; entry = <0x40400000>; hash-1 { algo = "sha256"; }; ` + sign(s.Images, "") + " };"
		config = `recovery { description = "recovery"; kernel = "recovery"; ` + sign(s.Config, `sign-images = "kernel";`) + " };"
	}
	var hashes strings.Builder
	for i, h := range s.Hashes {
		fmt.Fprintf(&hashes, `hash-%d { algo = "%s"; }; `, i+1, h)
	}
	return fmt.Sprintf(`/dts-v1/;
/ {
	description = "gateway 1.5.0"; #address-cells = <1>;
	images {
		kernel { description = "kernel"; data = /incbin/("kernel"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "none";
			load = <0x40400000>; entry = <0x40400000>; hash-1 { algo = "sha256"; }; %s };
		initramfs { description = "initramfs"; data = /incbin/("initramfs"); type = "ramdisk"; arch = "arm64"; os = "linux"; compression = "none";
			%s %s };
		%s
	};
	configurations {
		default = "gateway";
		%s
		gateway { description = "gateway"; kernel = "kernel"; ramdisk = "initramfs"; %s
			%s };
	};
};
`, sign(s.Images, ""), hashes.String(), sign(s.Images, ""), image, config, s.Extra, sign(s.Config, `sign-images = "kernel", "ramdisk";`))
}
