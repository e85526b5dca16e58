package check

import (
	"slices"

	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// What protects a login's connection, by what is declared of it.

// NeedsTLS: the login is a TLS server's. Of several logins on one port, the first by
// name has the case.
func NeedsTLS(in Input, c *Case) *verdict.Judgement {
	l := in.Profile.Logins.Items[c.Channel]
	switch {
	case l == nil:
		return NotDeclared("the profile does not say how login %s works", c.Channel)
	case l.Protocol == "console":
		return DeclaredNone("a console is a wire of its own; there is no TLS on it")
	case l.Protocol == "ssh":
		return DeclaredNone("SSH protects itself; dat-ssh-server looks at that")
	case l.Protocol == "snmp":
		return DeclaredNone("SNMP is datagrams, on which there is no TLS here")
	case l.Protocol == "ftp" && l.TLS:
		return RigLacks("the TLS of FTP begins behind a command, and is not looked into")
	case l.TLS:
		return firstOnPort(in, c.Channel, l)
	case l.Transport.Declared():
		return DeclaredNone(l.Transport.None.None)
	case l.Aside():
		return RigLacks("what a program or a person speaks to a service is not known here")
	}
	return NotDeclared("the login is declared to be in clear, and the profile does not say that nothing protects it (transport: {none: …})")
}

// NeedsSSH: the login is an SSH server's. Of several logins on one port, the first by
// name has the case.
func NeedsSSH(in Input, c *Case) *verdict.Judgement {
	l := in.Profile.Logins.Items[c.Channel]
	switch {
	case l == nil:
		return NotDeclared("the profile does not say how login %s works", c.Channel)
	case l.Protocol != "ssh":
		return DeclaredNone("the login is declared to be by " + l.Protocol)
	}
	return firstOnPort(in, c.Channel, l)
}

// NeedsKeys: the login's service shows a key of its own: by SSH or by TLS.
func NeedsKeys(in Input, c *Case) *verdict.Judgement {
	if l := in.Profile.Logins.Items[c.Channel]; l != nil && l.Protocol == "ssh" {
		return NeedsSSH(in, c)
	}
	return NeedsTLS(in, c)
}

func firstOnPort(in Input, channel string, l *profile.Login) *verdict.Judgement {
	names := LoginChannels(in.Profile)
	for _, name := range names[:slices.Index(names, channel)] {
		o := in.Profile.Logins.Items[name]
		if o != nil && !o.Declared() && o.Port == l.Port && o.TLS == l.TLS && (o.Protocol == "ssh") == (l.Protocol == "ssh") && o.Protocol != "console" && !o.Aside() {
			return DeclaredNone("it is the port of login " + name + ", whose case it is")
		}
	}
	return nil
}
