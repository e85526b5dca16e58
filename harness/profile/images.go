package profile

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rigor/harness/strictyaml"
)

// Images are the maker's firmware images. Each is named by a path beside the profile,
// or by a name of a source that the rig has: "virtual:NAME".
type Images struct {
	None   `yaml:",inline"`
	Format string `yaml:"format"` // mcuboot, swu, blob
	// Keys are the public keys that the device trusts, in PEM; certificates for swu.
	Keys Refs `yaml:"keys"`
	// DevKeys are private keys in PEM that are published for development, which no
	// device may trust.
	DevKeys Refs   `yaml:"dev-keys"`
	Current string `yaml:"current"` // of the version that a unit is delivered with
	// Newer are genuine ones that go upwards, in their order: each run may use some up,
	// since a device takes no older one back.
	Newer        Refs `yaml:"newer"`
	Older        Refs `yaml:"older"` // than the current one
	OtherProduct Refs `yaml:"other-product"`
	// Unconfirmed is genuine and newer than all of Newer, and does not confirm itself.
	Unconfirmed string `yaml:"unconfirmed"`
	// Equal says that an image of the version that runs is taken again where it is
	// another one: it costs nothing then to show that a genuine image is taken.
	Equal bool `yaml:"equal"`
	// Free are stretches of the payload that may be changed without the image failing
	// to run, in bytes from its beginning.
	Free []Stretch `yaml:"free"`
	// Components is how many parts of an image are installed on their own; 0 stands
	// for one.
	Components int `yaml:"components"`
	// Downgrade says that older genuine images are taken on purpose.
	Downgrade None `yaml:"downgrade"`
	// ReturnTo leads back to the version from before an update, as the owner may.
	ReturnTo ReturnTo `yaml:"return-to"`
	// Channels names all ways by which an image gets in, each of which the section updates
	// says how: the first is the one on which every mutant is tried.
	Channels []string `yaml:"channels"`
	// WayBack is the update channel by which a unit that does not start any more is
	// given a genuine image.
	WayBack WayBack `yaml:"way-back"`
	// Slots are where they lie in a memory that the rig writes.
	Slots Slots `yaml:"slots"`
	// Leaves says that an image that was refused leaves nothing that a start could run, and
	// why. Where neither that is said nor the slots are, each refused image is followed by
	// a restart.
	Leaves None `yaml:"leaves"`
	// Layout is how a blob is made.
	Layout Layout `yaml:"layout"`
}

// Refs are one or several names of files.
type Refs []string

// UnmarshalStrict reads a text or a list of texts. {1..9} in one stands for several.
func (r *Refs) UnmarshalStrict(n *strictyaml.Node) {
	items := n.Items()
	if _, ok := n.Scalar(); ok {
		items = []*strictyaml.Node{n}
	} else if !n.IsList() {
		n.Errorf("write a name, or a list of names", "it is no name of a file")
	}
	for _, item := range items {
		text, ok := item.Scalar()
		if !ok || text == "" {
			item.Errorf("write a name", "it is no name of a file")
			continue
		}
		all, err := expand(text)
		if err != nil {
			item.Errorf("write {1..9}", "%q: %v", text, err)
		}
		*r = append(*r, all...)
	}
}

var numbers = regexp.MustCompile(`\{(\d{1,4})\.\.(\d{1,4})\}`)

// expand puts each number of {n..m} into a name, once for all places of it.
func expand(text string) (Refs, error) {
	m := numbers.FindStringSubmatch(text)
	if m == nil {
		return Refs{text}, nil
	}
	from, _ := strconv.Atoi(m[1]) // the pattern has digits alone
	to, _ := strconv.Atoi(m[2])
	if to < from || to-from >= 1000 {
		return nil, errors.New("it counts to a higher number, at most 1000 of them")
	}
	var out Refs
	for i := from; i <= to; i++ {
		out = append(out, strings.ReplaceAll(text, m[0], strconv.Itoa(i)))
	}
	return out, nil
}

// Stretch is a number of bytes from a place on.
type Stretch struct {
	At    int `yaml:"at"`
	Bytes int `yaml:"bytes"`
}

// ReturnTo is the authorised roll-back.
type ReturnTo struct {
	None  `yaml:",inline"`
	Steps []Step `yaml:"steps"`
	// Stranger are the steps as somebody without a login makes them; where they are not
	// said, they are Steps without the owner's sessions.
	Stranger []Step   `yaml:"stranger"`
	Refused  Refusals `yaml:"refused"` // how the stranger is answered
	// Below is how the owner is answered where the way leads below a security counter
	// that was committed.
	Below Refusals `yaml:"below"`
}

// WayBack names a channel, or says that there is none.
type WayBack struct {
	None  `yaml:",inline"`
	Over  string `yaml:"over"`
	Given bool   `yaml:"-"`
}

// UnmarshalStrict reads {over: channel} or {none: reason}.
func (w *WayBack) UnmarshalStrict(n *strictyaml.Node) {
	w.Given = true
	var plain struct {
		None string `yaml:"none"`
		Over string `yaml:"over"`
	}
	if n.Decode(&plain, "way-back") {
		w.None.None, w.Over = plain.None, plain.Over
	}
}

// Layout declares an image of a maker's own format by its bytes.
type Layout struct {
	Ranges []LayoutRange `yaml:"ranges"`
	Checks []LayoutCheck `yaml:"checks"`
	Signed LayoutSigned  `yaml:"signed"`
	Big    bool          `yaml:"big-endian"`
	// Version is what the version's range holds in what is forged, in hex.
	Version string `yaml:"version"`
	// Free are names of ranges that can be changed without the image failing to run.
	Free []string `yaml:"free"`
}

// LayoutRange is a stretch of bytes with its role: header, payload, version, counter,
// length, digest, signature, padding. A negative place counts from the end.
type LayoutRange struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
	From int    `yaml:"from"`
	To   int    `yaml:"to"`
}

// LayoutCheck is a hash or checksum.
type LayoutCheck struct {
	Range     string   `yaml:"range"`
	Algorithm string   `yaml:"algorithm"`
	Covers    []string `yaml:"covers"`
}

// LayoutSigned is the signature.
type LayoutSigned struct {
	Range  string   `yaml:"range"`
	Scheme string   `yaml:"scheme"`
	Covers []string `yaml:"covers"`
}

// Update is one way by which an image gets into the device: one channel.
type Update struct {
	None `yaml:",inline"`
	// Steps deliver the image, with ${image} as its path, and show that the device has
	// taken it. What they see instead is the device's answer.
	Steps []Step `yaml:"steps"`
	// Refused is what an answer looks like by which the device says no.
	Refused Refusals `yaml:"refused"`
	// Early says that the device may say no before all of the image went over.
	Early bool `yaml:"early"`
	// Apply has what was installed run: a restart, as a rule.
	Apply []Step `yaml:"apply"`
	// AtBoot says what the device shows that takes every image, and refuses a bad one when
	// it starts.
	AtBoot AtBoot `yaml:"at-boot"`
	// Leave are steps behind a delivery that was refused or broke off, where the device
	// stays in a mode of its own.
	Leave []Step `yaml:"leave"`
	// Stranger is the same without a login.
	Stranger Stranger      `yaml:"stranger"`
	Within   time.Duration `yaml:"within"` // of a delivery; one minute where it is not said
	Cut      Cut           `yaml:"cut"`    // where the power may go in it
}

// Refusal is how a no looks: both where both are said.
type Refusal struct {
	Status int     `yaml:"status"` // of an http answer
	Match  Pattern `yaml:"match"`
	// Whole says that the device answers so only to an image of which it has each byte.
	Whole bool `yaml:"whole"`
}

// Refusals are the ways in which a device says no: one of them is enough.
type Refusals []Refusal

// UnmarshalStrict reads a mapping, or a list of them.
func (r *Refusals) UnmarshalStrict(n *strictyaml.Node) {
	items := n.Items()
	if n.IsMap() {
		items = []*strictyaml.Node{n}
	}
	if len(items) == 0 {
		n.Errorf("write {status: 422, match: …}, or a list of such", "how a refusal looks is not said")
	}
	for _, item := range items {
		var one Refusal
		if !item.Decode(&one, "the refusal") {
			continue
		}
		if one.Status == 0 && one.Match.Zero() {
			item.Errorf("write status or match", "the refusal could be anything")
		}
		*r = append(*r, one)
	}
}

// Zero says that nothing was declared.
func (r Refusals) Zero() bool { return len(r) == 0 }

// AtBoot is a refusal that a console shows in the start behind an update.
type AtBoot struct {
	Console string  `yaml:"console"`
	Seen    Pattern `yaml:"seen"`
}

// Stranger is a delivery without a login, and how it is refused.
type Stranger struct {
	None    `yaml:",inline"`
	Steps   []Step   `yaml:"steps"` // where they are others than the owner's without the login
	Refused Refusals `yaml:"refused"`
}

// DefaultDelivery is how long a delivery may take that does not say.
const DefaultDelivery = time.Minute

// Time gives how long a delivery may take.
func (u *Update) Time() time.Duration {
	if u.Within > 0 {
		return u.Within
	}
	return DefaultDelivery
}

// Local says whether the image goes over a console, and not over a network.
func (u *Update) Local() bool {
	uses := usesOf(u.Steps)
	return len(uses.consoles) > 0 && !uses.network
}

// Consoles gives the consoles that the steps use.
func (u *Update) Consoles() []string {
	uses := usesOf(slices.Concat(u.Steps, u.Apply, u.Leave))
	if c := u.AtBoot.Console; c != "" && !slices.Contains(uses.consoles, c) {
		uses.consoles = append(uses.consoles, c)
	}
	return uses.consoles
}

// Lines gives the lines that the steps use.
func (u *Update) Lines() []string { return usesOf(slices.Concat(u.Steps, u.Apply, u.Leave)).lines }

// Network says whether the steps use the network.
func (u *Update) Network() bool { return usesOf(slices.Concat(u.Steps, u.Apply, u.Leave)).network }

// Power says whether the steps use the supply.
func (u *Update) Power() bool { return usesOf(slices.Concat(u.Steps, u.Apply, u.Leave)).power }

type uses struct {
	consoles, lines []string
	network, power  bool
}

// Wires gives the lines and consoles that steps act on.
func Wires(ss []Step) (lines, consoles []string) {
	u := usesOf(ss)
	return u.lines, u.consoles
}

// usesOf gives what steps act on.
func usesOf(ss []Step) (u uses) {
	add := func(list *[]string, name string) {
		if name != "" && !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for i := range ss {
		s := &ss[i]
		switch s.Verb {
		case "http", "run", "serve", "copy":
			u.network = true
		case "console":
			add(&u.consoles, s.Console)
		case "transfer":
			add(&u.consoles, s.Transfer.Console)
		case "smp":
			add(&u.consoles, s.SMP.Console)
		case "assert", "release", "line":
			add(&u.lines, s.Assert+s.Release+s.Read)
		case "power":
			u.power = true
		}
		in := usesOf(s.Steps)
		for _, c := range in.consoles {
			add(&u.consoles, c)
		}
		for _, l := range in.lines {
			add(&u.lines, l)
		}
		u.network, u.power = u.network || in.network, u.power || in.power
	}
	return u
}

// WithoutLogin gives steps as somebody makes them who has no login: requests go out of
// no session. It gives false where none of them had one, or one cannot be made without.
func WithoutLogin(ss []Step) (out []Step, ok bool) {
	out = slices.Clone(ss)
	for i := range out {
		s := &out[i]
		switch {
		case s.Verb == "http" && s.As != "":
			s.As, s.Password, ok = "stranger", "", true
		case s.Verb == "run" || s.Verb == "copy":
			return nil, false
		}
		inner, in := WithoutLogin(s.Steps)
		if len(s.Steps) > 0 && inner == nil {
			return nil, false
		}
		s.Steps, ok = inner, ok || in
	}
	return out, ok
}

// All gives every image and key that is named, with where it stands.
func (m *Images) All() (out []ImageRef) {
	add := func(key string, refs ...string) {
		for i, r := range refs {
			at := []string{"images", key}
			if len(refs) > 1 || key == "newer" {
				at = append(at, strconv.Itoa(i))
			}
			if r != "" {
				out = append(out, ImageRef{Ref: r, Path: at, Key: key == "keys" || key == "dev-keys"})
			}
		}
	}
	add("keys", m.Keys...)
	add("dev-keys", m.DevKeys...)
	add("current", m.Current)
	add("newer", m.Newer...)
	add("older", m.Older...)
	add("other-product", m.OtherProduct...)
	add("unconfirmed", m.Unconfirmed)
	return out
}

// ImageRef is one name of a file.
type ImageRef struct {
	Ref  string
	Path []string // where it stands in the profile
	Key  bool     // it is a key, and no image
}
