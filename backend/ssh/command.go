package ssh

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"time"
)

// Errors of a target. Their text says what was expected.
var (
	// ErrNoHost means that a URL names no host, or one that ssh would take for an option.
	ErrNoHost = errors.New("ssh://[user@]host[:port] was expected")
	// ErrPassword means that a URL holds a password.
	ErrPassword = errors.New("a password does not belong in an address, which others can read")
	// ErrNotInstalled means that this host has no ssh.
	ErrNotInstalled = errors.New("ssh is not installed here: install openssh-client")
)

// Target is the host that ssh connects to.
type Target struct {
	// Host is a name of ssh's configuration, or of the network.
	Host string
	// User and Port are "" for what is configured.
	User, Port string
}

// FromURL returns the target of ssh://[user@]host[:port][/...]: ErrPassword or ErrNoHost
// where it has none that may be used.
func FromURL(u *url.URL) (Target, error) {
	if _, has := u.User.Password(); has {
		return Target{}, ErrPassword
	}
	t := Target{Host: u.Hostname(), User: u.User.Username(), Port: u.Port()}
	if t.Host == "" || strings.HasPrefix(t.Host, "-") || strings.HasPrefix(t.User, "-") { // else they would be options
		return Target{}, ErrNoHost
	}
	return t, nil
}

// String returns [user@]host[:port].
func (t Target) String() string {
	s := t.Host
	if t.User != "" {
		s = t.User + "@" + s
	}
	if t.Port != "" {
		s += ":" + t.Port
	}
	return s
}

// args returns the options that say who and which port.
func (t Target) args() (args []string) {
	if t.Port != "" {
		args = append(args, "-p", t.Port)
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	return args
}

// Command is one invocation of ssh. With a Target alone it runs a login without a terminal.
type Command struct {
	Target Target
	// Program is the path of ssh; "" for that of the PATH.
	Program string
	// Flags are more than those of every ssh of ours: "-N", or "-L" and its value.
	Flags []string
	// Options are "Key=value", as in ssh_config(5), over those of every ssh of ours.
	Options []string
	// Connect bounds the time to connect, rounded up to seconds; 0 for what is
	// configured.
	Connect time.Duration
	// Ask lets ssh prompt on the terminal; else it fails where it would.
	Ask bool
	// Guarded ends ssh with this process, however that ends.
	Guarded bool
	// Remote is what a shell runs over there; "" for nothing but a login.
	Remote string
}

// common are the options of every ssh of ours: see the package's doc.
var common = []string{"RemoteCommand=none", "PermitLocalCommand=no", "LogLevel=INFO", "ServerAliveInterval=5", "ServerAliveCountMax=3"}

// Args returns the arguments of ssh. Of two options of one name ssh takes the first.
func (c Command) Args() []string {
	args := []string{"-T", "-a", "-x"}
	options := c.Options
	if !c.Ask {
		options = append(options[:len(options):len(options)], "BatchMode=yes")
	}
	if c.Connect > 0 {
		options = append(options[:len(options):len(options)], fmt.Sprintf("ConnectTimeout=%d", (c.Connect+time.Second-1)/time.Second))
	}
	for _, o := range append(options[:len(options):len(options)], common...) {
		args = append(args, "-o", o)
	}
	args = append(append(args, c.Target.args()...), c.Flags...)
	args = append(args, "--", c.Target.Host)
	if c.Remote != "" {
		args = append(args, c.Remote)
	}
	return args
}

// program returns the path of ssh, or ErrNotInstalled.
func (c Command) program() (string, error) {
	name := c.Program
	if name == "" {
		name = "ssh"
	}
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", ErrNotInstalled
	}
	return path, err
}

// Output runs ssh to its end and returns its standard output and standard error.
func (c Command) Output(ctx context.Context) (string, error) {
	path, err := c.program()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, c.Args()...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Quote returns s as one word for a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
