package ssh

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// Errors of ssh that have a remedy; the text says which.
var (
	ErrHostKeyUnknown = errors.New("its host key is not known here")
	ErrHostKeyChanged = errors.New("its host key is not the one known here")
)

// Configuration is what ssh is configured to do with a target: keys in lower case, as
// ssh -G has them.
type Configuration map[string]string

// Configured returns the configuration for the target, nil if ssh does not print it: then
// the error of the connection itself tells the reason.
func (t Target) Configured(ctx context.Context) Configuration {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", append(append([]string{"-G"}, t.args()...), "--", t.Host)...).Output()
	if err != nil {
		return nil
	}
	set := Configuration{}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		set[k] = v
	}
	return set
}

// ChecksHostKeys reports whether hosts whose keys are not known are refused.
func (c Configuration) ChecksHostKeys() bool {
	v := c["stricthostkeychecking"]
	return v == "true" || v == "yes"
}

// knownHosts returns the file that the host's key is looked up in.
func (c Configuration) knownHosts() string {
	if file, _, _ := strings.Cut(c["userknownhostsfile"], " "); file != "" {
		return file
	}
	return "~/.ssh/known_hosts"
}

// knownAs returns the name under which the host's key is looked up.
func (c Configuration) knownAs(host string) string {
	if alias := c["hostkeyalias"]; alias != "" {
		return alias
	}
	if name := c["hostname"]; name != "" {
		host = name
	}
	if p := c["port"]; p != "" && p != "22" {
		return "[" + host + "]:" + p
	}
	return host
}

// offending matches the place of the key that does not match.
var offending = regexp.MustCompile(`Offending \S+ key in (\S.*:\d+)`)

// The messages of ssh when it, or the host, refuses.
const (
	changedMessage = "HOST IDENTIFICATION HAS CHANGED"
	unknownMessage = "Host key verification failed"
	deniedMessage  = "Permission denied"
)

// Refused reports whether the message of ssh is that it refused the host, or the host it.
func Refused(said string) bool {
	return strings.Contains(said, changedMessage) || strings.Contains(said, unknownMessage) || strings.Contains(said, deniedMessage)
}

// Explain returns why ssh ended, and what to do, from its messages. set is the
// configuration for the target; if it is nil, files and names are left out.
func (t Target) Explain(said string, set Configuration) error {
	line := LastLine(said)
	changed, unknown, denied := strings.Contains(said, changedMessage), strings.Contains(said, unknownMessage), strings.Contains(said, deniedMessage)
	switch {
	case (changed || unknown) && set == nil:
		return fmt.Errorf("ssh: %s: connect once with ssh on a terminal, and compare its key", line)
	case changed:
		file := set.knownHosts()
		at := file
		if m := offending.FindStringSubmatch(said); m != nil {
			at = m[1]
			file = at[:strings.LastIndexByte(at, ':')]
		}
		return fmt.Errorf("%w (%s): it may be another machine that intercepts the connection. If the host was reinstalled, and you are sure of it: ssh-keygen -f %s -R %s, then attach again and compare the new key's fingerprint", ErrHostKeyChanged, at, Quote(file), Quote(set.knownAs(t.Host)))
	case unknown:
		return fmt.Errorf("%w (%s has none for %s): connect once with ssh %s on a terminal, compare the fingerprint that it shows with the host's own, and say yes", ErrHostKeyUnknown, set.knownHosts(), set.knownAs(t.Host), t.Host)
	case denied && set == nil:
		return fmt.Errorf("ssh: %s: ssh-add loads a key into the agent, IdentityFile in ~/.ssh/config names one", line)
	case denied:
		return fmt.Errorf("it accepts none of the keys there are (%s): ssh-add loads a key into the agent, IdentityFile in ~/.ssh/config names one", line)
	case line == "":
		return errors.New("ssh: it ended without a reason")
	}
	return fmt.Errorf("ssh: %s", line)
}
