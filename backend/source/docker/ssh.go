package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// defaultSocket is where an engine listens on a host that is reached over SSH.
const defaultSocket = "/var/run/docker.sock"

// tunnelTimeout bounds the time until ssh has connected and forwards.
const tunnelTimeout = 20 * time.Second

// tunnel is a running ssh that forwards an engine's socket. On the host it needs
// sshd and the socket, and no program: neither docker nor a shell.
type tunnel struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	dir    string
	socket string // here
	far    string // there
	said   *lastWords
	ended  chan struct{}
}

// lastWords keeps the end of what ssh says.
type lastWords struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (l *lastWords) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	l.b = l.b[max(0, len(l.b)-4096):]
	return len(b), nil
}

// line is the last line that was said.
func (l *lastWords) line() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.TrimSpace(string(l.b))
	return state.Clean(strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:]))
}

// guard runs ssh so that it ends with this process, however that ends: when the
// pipe closes. ssh itself would go on forwarding for nobody.
const guard = `exec 3<&0; "$@" </dev/null & p=$!; { cat <&3; kill $p; } >/dev/null 2>&1 & wait $p`

// openTunnel starts ssh to ssh://[user@]host[:port][/path/to/socket]. It never asks:
// keys must be loaded, and the host's key known.
func openTunnel(ctx context.Context, at *url.URL) (_ *tunnel, err error) {
	host, user := at.Hostname(), at.User.Username()
	if host == "" || strings.HasPrefix(host, "-") || strings.HasPrefix(user, "-") { // else they would be options
		return nil, errors.New("ssh://[user@]host[:port][/path/to/docker.sock] was expected")
	}
	if _, has := at.User.Password(); has {
		return nil, errors.New("a password does not belong into an address, which others can read: load a key with ssh-add")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		return nil, errors.New("there is no ssh here: install openssh-client")
	}
	dir, err := os.MkdirTemp("", "opsdeck-docker-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the forwarded socket: %w", err)
	}
	t := &tunnel{dir: dir, socket: filepath.Join(dir, "s"), far: defaultSocket, said: &lastWords{}, ended: make(chan struct{})}
	if p := strings.TrimSuffix(at.Path, "/"); p != "" {
		t.far = p
	}
	if strings.ContainsAny(t.far, ":\n\x00") {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("the socket's path %q cannot be forwarded", state.Clean(t.far))
	}
	args := []string{"-c", guard, "sh", "ssh", "-N", "-T", "-a", "-x"}
	for _, o := range []string{"BatchMode=yes", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=no", "ExitOnForwardFailure=yes", "PermitLocalCommand=no",
		"RemoteCommand=none", "StreamLocalBindMask=0177", "LogLevel=INFO", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"} {
		args = append(args, "-o", o)
	}
	if p := at.Port(); p != "" {
		args = append(args, "-p", p)
	}
	if user != "" {
		args = append(args, "-l", user)
	}
	t.cmd = exec.Command("sh", append(args, "-L", t.socket+":"+t.far, "--", host)...)
	t.cmd.Stderr = t.said
	t.cmd.WaitDelay = time.Second
	if t.stdin, err = t.cmd.StdinPipe(); err == nil {
		err = t.cmd.Start()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	go func() { // close waits for it
		_ = t.cmd.Wait()
		close(t.ended)
	}()
	ctx, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if fileExists(t.socket) {
				return t, nil
			}
		case <-t.ended:
			err = t.why()
			t.close()
			return nil, err
		case <-ctx.Done():
			t.close()
			return nil, fmt.Errorf("ssh has not connected: %w", context.Cause(ctx))
		}
	}
}

// why is why ssh ended, or why it forwards nothing; nil where it says nothing.
func (t *tunnel) why() error {
	line := t.said.line()
	switch {
	case strings.Contains(line, "open failed"):
		return fmt.Errorf("ssh connects, but %s there cannot be opened (%s): the user must be in the docker group there; another socket is named as ssh://host/path/to/docker.sock", t.far, line)
	case strings.Contains(line, "Host key verification failed"), strings.Contains(line, "HOST IDENTIFICATION"):
		return fmt.Errorf("ssh: %s: connect once with ssh on a terminal, and compare its key", line)
	case strings.Contains(line, "Permission denied"):
		return fmt.Errorf("ssh: %s: ssh-add loads a key into the agent, IdentityFile in ~/.ssh/config names one", line)
	}
	select {
	case <-t.ended:
		if line == "" {
			line = "it ended without a reason"
		}
		return fmt.Errorf("ssh: %s", line)
	default:
		return nil
	}
}

// close ends ssh and waits for it.
func (t *tunnel) close() {
	_ = t.stdin.Close() // the guard ends it
	kill := time.AfterFunc(5*time.Second, func() { _ = t.cmd.Process.Kill() })
	<-t.ended
	kill.Stop()
	_ = os.RemoveAll(t.dir)
}
