package remote

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/ssh"
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
	if err != nil || u.Scheme != "ssh" || u.RawQuery != "" || u.Fragment != "" {
		return Host{}, fmt.Errorf("attach to %q: %s", at, form)
	}
	t, err := ssh.FromURL(u)
	switch {
	case errors.Is(err, ssh.ErrPassword):
		return Host{}, errors.New("attach: a password does not belong in a URL, which others can read: ssh asks for it")
	case err != nil:
		return Host{}, fmt.Errorf("attach to %q: %s", at, form)
	}
	h := Host{Name: t.Host, User: t.User, Port: t.Port, Path: strings.TrimSuffix(u.Path, "/")}
	if strings.ContainsFunc(h.Path, func(r rune) bool { return r < ' ' }) {
		return Host{}, fmt.Errorf("attach to %q: the path has a control character", at)
	}
	return h, nil
}

// target returns what ssh connects to.
func (h Host) target() ssh.Target { return ssh.Target{Host: h.Name, User: h.User, Port: h.Port} }

// String returns the host as people write it, without the path.
func (h Host) String() string { return h.target().String() }

// ErrNoEngine means that ssh connects, but no engine answers there; its text says what to
// do.
var ErrNoEngine = errors.New("no engine can be reached there")

// SSH makes connections to the engine on a host through one ssh process, which it
// restarts when it ends. The zero value with a Host is ready.
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
	ssh    *ssh.Process // its standard input ends what runs there
	dir    string
	socket string // here
	remote string // there
}

// Dial connects to the engine, with a new ssh where there is none. The context
// bounds it, but not the time that a person takes to answer ssh.
func (s *SSH) Dial(ctx context.Context, actor state.Actor) (*Client, error) {
	if s.tunnel != nil {
		select {
		case <-s.tunnel.ssh.Ended():
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
	c, err := dialSocket(ctx, s.tunnel.socket, actor, s.session, silenceLimit)
	if err != nil {
		far := s.tunnel.remote
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

// command returns the ssh to the host over the control socket ctl, which first creates.
func (s *SSH) command(ctl string, options ...string) ssh.Command {
	return ssh.Command{Target: s.Host.target(), Ask: true, Connect: 15 * time.Second, Options: append([]string{
		"ControlPath=" + ctl, "ControlPersist=no", "ExitOnForwardFailure=yes", "StreamLocalBindMask=0177", "StreamLocalBindUnlink=yes",
	}, options...)}
}

// find returns the remote command that prints where the engine's socket is, and then
// lasts as long as its standard input: as this process does, however it ends.
// Shells may print text of their own when they start, so the answer is marked.
func (s *SSH) find() string {
	tell := `p=$(PATH=$PATH:/usr/local/bin:$HOME/.local/bin:$HOME/bin:$HOME/go/bin opsdeck socket`
	switch {
	case strings.HasSuffix(s.Host.Path, ".sock"):
		tell = "p=$(echo " + ssh.Quote(s.Host.Path)
	case s.Host.Path != "":
		tell += " --workspace " + ssh.Quote(s.Host.Path)
	}
	tell += `) && echo "opsdeck-socket: $p" || echo "opsdeck-failed: $?"; exec cat >/dev/null`
	return "exec sh -c " + ssh.Quote(tell)
}

// open starts ssh and forwards the engine's socket.
func (s *SSH) open(ctx context.Context, terminal *os.File) (_ *tunnel, err error) {
	set := s.Host.target().Configured(ctx)
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
	t := &tunnel{dir: dir, socket: filepath.Join(dir, "s")}
	ctl := filepath.Join(dir, "c")
	master := s.command(ctl, "ControlMaster=yes", "ClearAllForwardings=yes")
	if !set.ChecksHostKeys() {
		master.Options = append(master.Options, "StrictHostKeyChecking=ask") // whatever is configured: nothing is trusted unasked
	}
	master.Ask, master.Remote = terminal != nil, s.find()
	var stderr io.Writer
	if terminal != nil {
		stderr = terminal
	}
	answers := make(chan string, 1)
	t.ssh, err = ssh.Start(master, func(out io.Reader) {
		lines := bufio.NewScanner(out) // a line that is too long ends the scan
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "opsdeck-") {
				select {
				case answers <- lines.Text():
				default:
				}
			}
		}
	}, stderr)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	var answer string
	select {
	case answer = <-answers:
	case <-t.ssh.Ended():
		select {
		case answer = <-answers:
		default:
			return nil, s.Host.target().Explain(t.ssh.Stderr(), set)
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("ssh has no answer yet: %w", context.Cause(ctx))
	}
	t.ssh.Quiet()
	if code, failed := strings.CutPrefix(answer, "opsdeck-failed: "); failed {
		return nil, s.noEngine(code, t.ssh.Stderr())
	}
	t.remote = strings.TrimPrefix(answer, "opsdeck-socket: ")
	if !strings.HasPrefix(t.remote, "/") || strings.Contains(t.remote, ":") {
		return nil, fmt.Errorf("%w: the socket's path there, %q, cannot be forwarded", ErrNoEngine, state.Clean(t.remote))
	}
	fctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	forward := s.command(ctl)
	forward.Flags = []string{"-O", "forward", "-L", t.socket + ":" + t.remote}
	if out, ferr := forward.Output(fctx); ferr != nil {
		return nil, fmt.Errorf("forward %s: %w: %s", t.remote, ferr, state.Clean(out))
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

// close ends ssh and waits for it.
func (t *tunnel) close() {
	t.ssh.Close()
	_ = os.RemoveAll(t.dir)
}

// noEngine returns why opsdeck there printed no socket.
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
