package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Host is an engine's place behind SSH: ssh://[user@]host[:port][/path].
type Host struct {
	// Name is what ssh is told: a name of its configuration, or of the network.
	Name, User, Port string
	// Path is the workspace's there, or a socket's that ends in ".sock"; "" for the
	// remote user's default workspace.
	Path string
}

// ParseHost reads an ssh URL.
func ParseHost(at string) (Host, error) {
	u, err := url.Parse(at)
	const form = "ssh://[user@]host[:port][/path/to/workspace] was expected"
	if err != nil || u.Scheme != "ssh" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return Host{}, fmt.Errorf("attach to %q: %s", at, form)
	}
	if _, has := u.User.Password(); has {
		return Host{}, errors.New("attach: a password does not belong into a URL, which others can read: ssh asks for it")
	}
	h := Host{Name: u.Hostname(), User: u.User.Username(), Port: u.Port(), Path: strings.TrimSuffix(u.Path, "/")}
	for _, s := range []string{h.Name, h.User} {
		if strings.HasPrefix(s, "-") { // else it would be an option
			return Host{}, fmt.Errorf("attach to %q: %s", at, form)
		}
	}
	if strings.ContainsFunc(h.Path, func(r rune) bool { return r < ' ' }) {
		return Host{}, fmt.Errorf("attach to %q: the path has a control character", at)
	}
	return h, nil
}

// String is the host as people write it, without the path.
func (h Host) String() string {
	s := h.Name
	if h.User != "" {
		s = h.User + "@" + s
	}
	if h.Port != "" {
		s += ":" + h.Port
	}
	return s
}

// Errors of SSH that have a remedy; the text says which.
var (
	ErrHostKeyUnknown = errors.New("its host key is not known here")
	ErrHostKeyChanged = errors.New("its host key is not the one known here")
	ErrNoEngine       = errors.New("no engine can be reached there")
)

// SSH makes connections to the engine on a host through one ssh process, which it
// starts anew when it ends. The zero value with a Host is ready.
type SSH struct {
	Host Host
	// Terminal is where ssh may ask for a passphrase or about a host key, and where it
	// says things, during the first connection; nil for nowhere. Later connections
	// never ask: the console has the terminal then.
	Terminal *os.File

	session string  // names our console there, over connections
	tunnel  *tunnel // only one Dial runs at a time
}

// tunnel is a running ssh that forwards a socket.
type tunnel struct {
	cmd    *exec.Cmd
	stdin  io.Closer // the far end lasts as long as it
	dir    string
	socket string // here
	far    string // there
	said   *said
	ended  chan struct{}
}

// said keeps the end of what ssh says on standard error, and passes it on to the
// terminal until it is told not to.
type said struct {
	mu   sync.Mutex
	last []byte
	to   io.Writer
}

// Write implements io.Writer.
func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = append(s.last, b...)
	if over := len(s.last) - 8<<10; over > 0 {
		s.last = append([]byte(nil), s.last[over:]...)
	}
	if s.to != nil {
		_, _ = s.to.Write(b)
	}
	return len(b), nil
}

func (s *said) quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = nil
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return state.Clean(string(s.last))
}

// Dial connects to the engine, with a new ssh where there is none. The context
// bounds it, but not the time that a person takes to answer ssh.
func (s *SSH) Dial(ctx context.Context, actor state.Actor) (*Client, error) {
	if s.tunnel != nil {
		select {
		case <-s.tunnel.ended:
			s.Close()
		default:
		}
	}
	if s.tunnel == nil {
		t, err := s.open(ctx, s.Terminal)
		s.Terminal = nil
		if err != nil {
			return nil, fmt.Errorf("attach to %s: %w", s.Host, err)
		}
		s.tunnel = t
	}
	if s.session == "" {
		s.session = rand.Text()
	}
	c, err := dialSocket(ctx, s.tunnel.socket, actor, s.session, quietLimit)
	if err != nil {
		far := s.tunnel.far
		s.Close()
		if !errors.Is(err, ErrNotOpsdeck) && !strings.Contains(err.Error(), "protocol") && ctx.Err() == nil {
			err = fmt.Errorf("%w: nothing answers at %s: opsdeck serve starts one", ErrNoEngine, far)
		}
		return nil, fmt.Errorf("attach to %s: %w", s.Host, err)
	}
	return c, nil
}

// Close ends ssh, and waits for it.
func (s *SSH) Close() {
	if s.tunnel != nil {
		s.tunnel.close()
		s.tunnel = nil
	}
}

// options are those of every ssh of ours, over what the user has configured.
func (s *SSH) options(ctl string) []string {
	args := []string{"-T", "-a", "-x"}
	for _, o := range []string{
		"ControlPath=" + ctl, "ControlPersist=no", "ClearAllForwardings=yes", "ExitOnForwardFailure=yes", "RemoteCommand=none",
		"PermitLocalCommand=no", "StreamLocalBindMask=0177", "StreamLocalBindUnlink=yes", "LogLevel=INFO",
		"ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=3",
	} {
		args = append(args, "-o", o)
	}
	return append(args, s.target()...)
}

func (s *SSH) target() (args []string) {
	if s.Host.Port != "" {
		args = append(args, "-p", s.Host.Port)
	}
	if s.Host.User != "" {
		args = append(args, "-l", s.Host.User)
	}
	return args
}

// configured is what the user's configuration says of the host: known_hosts files,
// and whether host keys are checked.
func (s *SSH) configured(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", append(append([]string{"-G"}, s.target()...), "--", s.Host.Name)...).Output()
	if err != nil {
		return nil // the connection itself says what is wrong
	}
	set := map[string]string{}
	for line := range strings.Lines(string(out)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		set[k] = v
	}
	return set
}

// find is the remote command that says where the engine's socket is, and then
// lasts as long as its standard input: as this process does, however it ends.
// Shells say things of their own when they start, so the answer is marked.
func (s *SSH) find() string {
	tell := `p=$(PATH=$PATH:/usr/local/bin:$HOME/.local/bin:$HOME/bin:$HOME/go/bin opsdeck socket`
	switch {
	case strings.HasSuffix(s.Host.Path, ".sock"):
		tell = "p=$(echo " + quote(s.Host.Path)
	case s.Host.Path != "":
		tell += " --workspace " + quote(s.Host.Path)
	}
	tell += `) && echo "opsdeck-socket: $p" || echo "opsdeck-failed: $?"; exec cat >/dev/null`
	return "exec sh -c " + quote(tell)
}

// quote is s as one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// open starts ssh and forwards the engine's socket.
func (s *SSH) open(ctx context.Context, terminal *os.File) (_ *tunnel, err error) {
	if _, err := exec.LookPath("ssh"); err != nil {
		return nil, errors.New("there is no ssh here: install openssh-client")
	}
	set := s.configured(ctx)
	if err := os.MkdirAll(runtimeDir(), 0o700); err != nil {
		return nil, fmt.Errorf("create a folder for the forwarded socket: %w", err)
	}
	if err := private(runtimeDir()); err != nil {
		return nil, err
	}
	sweep(runtimeDir())
	dir, err := os.MkdirTemp(runtimeDir(), "ssh-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for the forwarded socket: %w", err)
	}
	t := &tunnel{dir: dir, socket: filepath.Join(dir, "s"), said: &said{}, ended: make(chan struct{})}
	ctl := filepath.Join(dir, "c")
	args := append(s.options(ctl), "-o", "ControlMaster=yes")
	if v := set["stricthostkeychecking"]; v != "true" && v != "yes" {
		args = append(args, "-o", "StrictHostKeyChecking=ask") // whatever is configured: nothing is trusted unasked
	}
	if terminal == nil {
		args = append(args, "-o", "BatchMode=yes")
	} else {
		t.said.to = terminal
	}
	t.cmd = exec.Command("ssh", append(args, "--", s.Host.Name, s.find())...)
	t.cmd.Stderr = t.said
	t.cmd.WaitDelay = time.Second
	stdin, err := t.cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	t.stdin = stdin
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := t.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start ssh: %w", err), os.RemoveAll(dir))
	}
	answers := make(chan string, 1)
	go func() {
		defer close(t.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "opsdeck-") {
				select {
				case answers <- lines.Text():
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, stdout) // a line that is too long ends the scan
		_ = t.cmd.Wait()
	}()
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	var answer string
	select {
	case answer = <-answers:
	case <-t.ended:
		select {
		case answer = <-answers:
		default:
			return nil, s.refusal(t.said.text(), set)
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("ssh has no answer yet: %w", context.Cause(ctx))
	}
	t.said.quiet()
	if code, failed := strings.CutPrefix(answer, "opsdeck-failed: "); failed {
		return nil, s.noEngine(code, t.said.text())
	}
	t.far = strings.TrimPrefix(answer, "opsdeck-socket: ")
	if !strings.HasPrefix(t.far, "/") || strings.Contains(t.far, ":") {
		return nil, fmt.Errorf("%w: the socket's path there, %q, cannot be forwarded", ErrNoEngine, state.Clean(t.far))
	}
	fctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	fargs := append(s.options(ctl), "-O", "forward", "-L", t.socket+":"+t.far, "--", s.Host.Name)
	if out, ferr := exec.CommandContext(fctx, "ssh", without(fargs, "ClearAllForwardings=yes")...).CombinedOutput(); ferr != nil {
		return nil, fmt.Errorf("forward %s: %w: %s", t.far, ferr, state.Clean(strings.TrimSpace(string(bytes.TrimSpace(out)))))
	}
	return t, nil
}

// sweep removes the folders of consoles that were killed before they could.
func sweep(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, "ssh-*"))
	for _, d := range old {
		st, err := os.Stat(d)
		if err != nil || time.Since(st.ModTime()) < time.Minute { // it may be just beginning
			continue
		}
		if c, err := net.DialTimeout("unix", filepath.Join(d, "c"), time.Second); err == nil {
			c.Close()
			continue
		}
		_ = os.RemoveAll(d)
	}
}

// without leaves out an option, with the -o before it.
func without(args []string, option string) []string {
	out := make([]string, 0, len(args))
	for _, a := range args {
		if a == option {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, a)
	}
	return out
}

func (t *tunnel) close() {
	_ = t.stdin.Close()
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = t.cmd.Process.Kill() })
	<-t.ended
	kill.Stop()
	_ = os.RemoveAll(t.dir)
}

// noEngine is why opsdeck there named no socket.
func (s *SSH) noEngine(code, text string) error {
	text = lastLine(strings.TrimPrefix(lastLine(text), "opsdeck: "))
	switch {
	case code == "127":
		return fmt.Errorf("%w: there is no opsdeck on its PATH: install it there, or name the socket itself: ssh://%s/path/to/data/opsdeck.sock", ErrNoEngine, s.Host)
	case text == "":
		text = "opsdeck socket ends with " + code
	}
	if s.Host.Path == "" {
		text += fmt.Sprintf("; another workspace is named as ssh://%s/path/to/workspace", s.Host)
	}
	return fmt.Errorf("%w: %s", ErrNoEngine, text)
}

// offending is where ssh says that the key lies that does not match.
var offending = regexp.MustCompile(`Offending \S+ key in (\S.*:\d+)`)

// refusal is why ssh ended, from what it said.
func (s *SSH) refusal(text string, set map[string]string) error {
	file, _, _ := strings.Cut(set["userknownhostsfile"], " ")
	if file == "" {
		file = "~/.ssh/known_hosts"
	}
	name := s.Host.Name
	if h := set["hostname"]; h != "" {
		name = h
	}
	if a := set["hostkeyalias"]; a != "" {
		name = a
	} else if p := set["port"]; p != "" && p != "22" {
		name = "[" + name + "]:" + p
	}
	switch {
	case strings.Contains(text, "REMOTE HOST IDENTIFICATION HAS CHANGED"):
		at := file
		if m := offending.FindStringSubmatch(text); m != nil {
			at = m[1]
			file = at[:strings.LastIndexByte(at, ':')]
		}
		return fmt.Errorf("%w (%s): somebody may be in between. If the host was set up anew, and you are sure of it: ssh-keygen -f %s -R %s, then attach again and compare the new key's fingerprint", ErrHostKeyChanged, at, quote(file), quote(name))
	case strings.Contains(text, "Host key verification failed"):
		return fmt.Errorf("%w (%s has none for %s): connect once with ssh %s on a terminal, compare the fingerprint that it shows with the host's own, and say yes", ErrHostKeyUnknown, file, name, s.Host.Name)
	case strings.Contains(text, "Permission denied"):
		return fmt.Errorf("it lets nobody in with the keys there are (%s): ssh-add loads a key into the agent, IdentityFile in ~/.ssh/config names one", lastLine(text))
	}
	if text = lastLine(text); text == "" {
		text = "it ended without a reason"
	}
	return fmt.Errorf("ssh: %s", text)
}
