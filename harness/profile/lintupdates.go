package profile

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// updates holds images and their channels against each other.
func (l *linter) updates() {
	l.images()
	l.bootSays()
	for _, name := range l.p.Updates.Order {
		u := l.p.Updates.Items[name]
		if u.Declared() {
			continue
		}
		at := []string{"updates", name}
		l.cut(append(slices.Clone(at), "cut"), &u.Cut, EndOld, EndNew)
		if len(u.Steps) == 0 {
			l.errorf(at, "give steps that deliver ${image}", "how an image gets in by %s is not said", name)
			continue
		}
		if !Refers(u.Steps, "image") {
			l.errorf(append(at, "steps"), "use ${image}: upload: '${image}', say", "no step of %s has anything to do with the image", name)
		}
		if u.Refused.Zero() && u.AtBoot.Seen.Zero() {
			l.errorf(at, "write refused: {status: 422, match: …}, as the device answers", "how %s says no is not said", name)
		}
		if (u.AtBoot.Console == "") != u.AtBoot.Seen.Zero() {
			l.errorf(append(at, "at-boot"), "give console and seen", "what a start shows that refuses an image is said in part")
		}
		if len(u.Apply) == 0 {
			l.errorf(at, "write apply: and the steps that make it run, [{power: cycle}] for one", "how an image that came by %s is made to run is not said", name)
		}
		for _, r := range []struct {
			key string
			r   Refusals
		}{{"refused", u.Refused}, {"stranger", u.Stranger.Refused}} {
			l.refusal(append(slices.Clone(at), r.key), r.r)
		}
		if len(u.Stranger.Steps) > 0 && u.Stranger.Refused.Zero() {
			l.errorf(append(at, "stranger"), "write refused: {status: 401}, say", "how somebody without a login is told no is not said")
		}
		if !Refers(u.Stranger.Steps, "image") && len(u.Stranger.Steps) > 0 && Refers(u.Steps, "image") {
			l.errorf(append(at, "stranger", "steps"), "use ${image} as the owner's do", "what a stranger does has nothing to do with the image")
		}
	}
}

func (l *linter) refusal(at []string, rs Refusals) {
	for _, r := range rs {
		if r.Status != 0 && (r.Status < 100 || r.Status > 599 || r.Status >= 200 && r.Status < 300 && r.Match.Zero()) {
			l.errorf(at, "write a status from 100 to 599, and match where it is one of success", "a refusal has the status %d", r.Status)
		}
	}
}

func (l *linter) images() {
	m := &l.p.Images
	if m.Declared() || !l.p.Source.Has("images") {
		return
	}
	at := []string{"images"}
	switch m.Format {
	case "mcuboot", "swu", "blob":
	default:
		l.errorf(append(at, "format"), "write mcuboot, swu or blob", "the format of the images is %q", m.Format)
	}
	if m.Current == "" {
		l.errorf(at, "write current: and the image of the version that a unit has", "the current image is not given")
	}
	seen := map[string][]string{}
	for _, r := range m.All() {
		if scheme, name, ok := strings.Cut(r.Ref, ":"); ok && (scheme != "virtual" || name == "") {
			l.errorf(r.Path, "write a path beside the profile, or virtual:NAME on the built-in device", "%q names no file", r.Ref)
		}
		if filepath.IsAbs(r.Ref) {
			l.errorf(r.Path, "write it relative to the profile", "%q is a path of one computer", r.Ref)
		}
		if at := seen[r.Ref]; at != nil && !r.Key {
			l.errorf(r.Path, "each image has one place", "%s is %s already", r.Ref, strings.Join(at, "."))
		}
		seen[r.Ref] = r.Path
	}
	for i, f := range m.Free {
		if f.At < 0 || f.Bytes <= 0 {
			l.errorf(append(slices.Clone(at), "free", strconv.Itoa(i)), "write {at: OFFSET, bytes: NUMBER}", "%d bytes at %d are no stretch", f.Bytes, f.At)
		}
	}
	l.refusal(append(slices.Clone(at), "return-to", "refused"), m.ReturnTo.Refused)
	l.refusal(append(slices.Clone(at), "return-to", "below"), m.ReturnTo.Below)
	known := l.p.Updates.Given && !l.p.Updates.Declared()
	for i, name := range m.Channels {
		if known && l.p.Updates.Items[name] == nil {
			l.errorf(append(slices.Clone(at), "channels", strconv.Itoa(i)), near(name, l.p.Updates.Order), "no update channel %q is declared", name)
		}
	}
	if w := m.WayBack; known && w.Over != "" && (l.p.Updates.Items[w.Over] == nil || l.p.Updates.Items[w.Over].Declared()) {
		l.errorf(append(slices.Clone(at), "way-back", "over"), near(w.Over, l.p.Updates.Order), "no update channel %q is declared", w.Over)
	}
	if w := m.WayBack; w.Given && w.Over == "" && !w.Declared() {
		l.errorf(append(slices.Clone(at), "way-back"), "write {over: CHANNEL}, or {none: why}", "the way back names no channel")
	}
	l.slots()
	l.leaves()
	if m.Components < 0 {
		l.errorf(append(slices.Clone(at), "components"), "write how many there are, or leave it out for one", "%d components", m.Components)
	}
	if blob := len(m.Layout.Ranges) > 0; blob != (m.Format == "blob") {
		l.errorf(at, "give layout for format blob, and for no other", "format is %s, and layout is not there for it", m.Format)
	}
}

// upload holds the file of a request against the request.
func (l *stepLint) upload(s *Step) {
	switch u := s.Upload; {
	case u == (Upload{}):
	case u.File == "":
		l.at(s, "write upload: '${image}'", "the request uploads no file")
	case strings.HasPrefix(s.HTTP, "GET "):
		l.at(s, "write POST or PUT", "a GET carries no file")
	case u.Field == "" && (s.Form != nil || u.Name != ""):
		l.at(s, "write upload: {file: …, field: NAME}", "the file is the whole body, and a form is there beside it")
	}
	if s.Every > 0 && s.Expect.Match.Zero() && s.Expect.Status == 0 {
		l.at(s, "say what ends it: expect: {match: …}", "it is asked again and again for nothing")
	}
}

// carries holds a step against what it needs that carries a file.
func (l *stepLint) carries(s *Step) {
	console := func(name string) {
		if name == "" {
			l.at(s, "say console: NAME", "%s does not say over which console", s.Verb)
		} else if l.p.Consoles.Given && !l.p.Consoles.Declared() && l.p.Consoles.Items[name] == nil {
			l.at(s, near(name, l.p.Consoles.Order), "no console %q is declared", name)
		}
	}
	switch s.Verb {
	case "serve":
		if s.Serve == "" {
			l.at(s, "write serve: '${image}'", "nothing is served")
		}
		l.known = append(l.known, "url")
	case "copy":
		l.loginOf(s, "ssh")
		if s.Copy == "" || s.To == "" {
			l.at(s, "write copy: '${image}' and to: PATH", "the step does not say what is copied where")
		}
		if !slices.Contains([]string{"", "shell", "scp", "sftp"}, s.By) {
			l.at(s, "write shell, scp or sftp", "a file is copied by %q", s.By)
		}
	case "transfer":
		t := s.Transfer
		console(t.Console)
		if !slices.Contains([]string{"xmodem", "xmodem-1k", "ymodem"}, t.Protocol) {
			l.at(s, "write xmodem, xmodem-1k or ymodem", "the protocol is %q", t.Protocol)
		}
		if t.File == "" {
			l.at(s, "write file: '${image}'", "nothing is transferred")
		}
	case "smp":
		console(s.SMP.Console)
		if m := s.SMP; m.Echo == "" && m.File == "" && !m.Reset && !m.Confirm && !m.Test {
			l.at(s, "give it echo, upload, test, confirm or reset", "nothing is asked")
		}
		if m := s.SMP; (m.Test || m.Confirm) && m.File == "" {
			l.at(s, "upload it in the same step", "what is to be tried or kept was not uploaded")
		}
	}
}
