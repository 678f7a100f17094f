package docker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/ssh"
	"github.com/opsdeck/opsdeck/backend/state"
)

// defaultSocket is where an engine listens on a host that is reached over SSH.
const defaultSocket = "/var/run/docker.sock"

// tunnelTimeout bounds the time until ssh has connected and forwards.
const tunnelTimeout = 20 * time.Second

// tunnel is a running ssh that forwards an engine's socket. On the host it needs
// sshd and the socket, and no program: neither docker nor a shell.
type tunnel struct {
	at     ssh.Target
	ssh    *ssh.Process
	dir    string
	socket string // here
	far    string // there
}

// openTunnel starts ssh to ssh://[user@]host[:port][/path/to/socket]. It never asks:
// keys must be loaded, and the host's key known.
func openTunnel(ctx context.Context, at *url.URL) (*tunnel, error) {
	host, err := ssh.FromURL(at)
	switch {
	case errors.Is(err, ssh.ErrPassword):
		return nil, fmt.Errorf("%w: load a key with ssh-add", err)
	case err != nil:
		return nil, errors.New("ssh://[user@]host[:port][/path/to/docker.sock] was expected")
	}
	t := &tunnel{at: host, far: defaultSocket}
	if p := strings.TrimSuffix(at.Path, "/"); p != "" {
		t.far = p
	}
	if strings.ContainsAny(t.far, ":\n\x00") {
		return nil, fmt.Errorf("the socket's path %q cannot be forwarded", state.Clean(t.far))
	}
	if t.dir, err = os.MkdirTemp("", "opsdeck-docker-"); err != nil {
		return nil, fmt.Errorf("a folder for the forwarded socket: %w", err)
	}
	t.socket = filepath.Join(t.dir, "s")
	t.ssh, err = ssh.Start(ssh.Command{Target: host, Guarded: true, Connect: 10 * time.Second,
		Flags: []string{"-N", "-L", t.socket + ":" + t.far},
		Options: []string{"ControlMaster=no", "ControlPath=none", "ClearAllForwardings=no", "ExitOnForwardFailure=yes",
			"StreamLocalBindMask=0177"}}, nil, nil)
	if err != nil {
		_ = os.RemoveAll(t.dir)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if fileExists(t.socket) {
				return t, nil
			}
		case <-t.ssh.Ended():
			err = t.why()
			t.close()
			return nil, err
		case <-ctx.Done():
			t.close()
			return nil, fmt.Errorf("ssh has not connected: %w", context.Cause(ctx))
		}
	}
}

// why returns why ssh ended, or why it forwards nothing; nil where it says nothing.
func (t *tunnel) why() error {
	line := ssh.LastLine(t.ssh.Stderr())
	switch {
	case strings.Contains(line, "open failed"):
		return fmt.Errorf("ssh connects, but %s there cannot be opened (%s): the user must be in the docker group there; another socket is named as ssh://host/path/to/docker.sock", t.far, line)
	case ssh.Refused(line):
		return t.at.Explain(line, nil)
	}
	select {
	case <-t.ssh.Ended():
		return t.at.Explain(line, nil)
	default:
		return nil
	}
}

// close ends ssh and waits for it.
func (t *tunnel) close() {
	t.ssh.Close()
	_ = os.RemoveAll(t.dir)
}
