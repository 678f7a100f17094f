package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/ssh"
	"github.com/opsdeck/opsdeck/backend/state"
)

// sshd is a real SSH server of the test's own on loopback, with a client's
// configuration for it: a host named "far".
type sshd struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

// sshdPath is where Debian has the server, which is on no user's PATH.
const sshdPath = "/usr/sbin/sshd"

// newSSHD makes keys and configuration and starts the server. ssh on the test's
// PATH is from now on one that reads the test's configuration alone.
func newSSHD(t *testing.T) *sshd {
	t.Helper()
	sourcetest.Program(t, sshdPath)
	sourcetest.Program(t, "ssh")
	sourcetest.Program(t, "ssh-keygen")
	s := &sshd{t: t, dir: t.TempDir()}
	if os.Getuid() == 0 { // where it separates privileges; Debian makes it at boot
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.key("host")
	s.key("user")
	s.copy("user.pub", "authorized")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	s.write("sshd_config", fmt.Sprintf(`ListenAddress 127.0.0.1:%d
HostKey %s/host
AuthorizedKeysFile %s/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
PidFile none
SetEnv PATH=%s
`, s.port, s.dir, s.dir, os.Getenv("PATH")), 0o600)
	s.configure("IdentityFile " + filepath.Join(s.dir, "user"))
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", real, s.dir), 0o755)
	t.Setenv("PATH", filepath.Join(s.dir, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("SSH_AUTH_SOCK", "")
	s.start()
	t.Cleanup(s.stop)
	return s
}

// configure writes the client's configuration, with one more line.
func (s *sshd) configure(more string) {
	s.write("ssh_config", fmt.Sprintf("Host far\n  HostName 127.0.0.1\n  Port %d\n  UserKnownHostsFile %s/known_hosts\n  GlobalKnownHostsFile none\n  IdentitiesOnly no\n  %s\n", s.port, s.dir, more), 0o600)
}

func (s *sshd) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sshd) copy(from, to string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, from))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(to, string(b), 0o600)
}

// key makes a key pair, in place of one that was.
func (s *sshd) key(name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	_ = os.Remove(path)
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
		s.t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// trust puts the server's key among the known ones.
func (s *sshd) trust() {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "host.pub"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.port, b), 0o600)
}

// start starts the server and waits until it greets.
func (s *sshd) start() {
	s.t.Helper()
	s.cmd = exec.Command(sshdPath, "-D", "-e", "-f", filepath.Join(s.dir, "sshd_config"))
	out := &lockedText{}
	s.cmd.Stderr = out
	s.cmd.WaitDelay = time.Second
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		if s.t.Failed() {
			s.t.Logf("sshd says: %s", out)
		}
	}()
	sourcetest.Until(s.t, "sshd listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop ends the server with all that it runs: to a client the link is cut.
func (s *sshd) stop() {
	for _, pid := range below(s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// below returns the processes that pid started, and those that they did.
func below(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, word := range strings.Fields(string(b)) {
			child := 0
			if _, err := fmt.Sscan(word, &child); err == nil {
				all = append(append(all, child), below(child)...)
			}
		}
	}
	return all
}

// running returns the processes whose command line holds all of the texts.
func running(texts ...string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		args, rerr := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		lacks := func(text string) bool { return !strings.Contains(string(args), text) }
		if err == nil && rerr == nil && !slices.ContainsFunc(texts, lacks) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *sshd) dial(path string) (*remote.SSH, *remote.Client, error) {
	s.t.Helper()
	h, err := remote.ParseHost("ssh://far" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	ssh := &remote.SSH{Host: h}
	s.t.Cleanup(ssh.Close)
	ctx, cancel := context.WithTimeout(s.t.Context(), sourcetest.Patience)
	defer cancel()
	c, err := ssh.Dial(ctx, state.Actor{User: "ada", From: "test", Via: "console"})
	if c != nil {
		s.t.Cleanup(c.Close)
	}
	return ssh, c, err
}

func TestAttachOverSSHTrustsNobodyUnasked(t *testing.T) {
	s := newSSHD(t)
	dir := filepath.Join(t.TempDir(), "a 'w$ ")
	makeWorkspace(t, dir, "", nil)
	refused := func(path string, want error, words ...string) {
		t.Helper()
		_, c, err := s.dial(path)
		if c != nil {
			t.Fatalf("ssh://far%s attaches", path)
		}
		if want != nil && !errors.Is(err, want) {
			t.Errorf("the error is %v, want %v", err, want)
		}
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("the error is %v, without %q", err, w)
			}
		}
	}
	// Whatever the configuration says of keys that nobody has seen.
	for _, how := range []string{"StrictHostKeyChecking no", "StrictHostKeyChecking accept-new", "StrictHostKeyChecking yes"} {
		s.configure(how + "\n  IdentityFile " + filepath.Join(s.dir, "user"))
		refused(dir, ssh.ErrHostKeyUnknown, filepath.Join(s.dir, "known_hosts"), fmt.Sprintf("[127.0.0.1]:%d", s.port), "ssh far")
		if b, err := os.ReadFile(filepath.Join(s.dir, "known_hosts")); err == nil && len(b) > 0 {
			t.Fatalf("%s: an unknown key was written down: %s", how, b)
		}
	}
	s.trust()
	refused(dir, remote.ErrNoEngine, "no engine runs in "+dir)
	refused("/nowhere", remote.ErrNoEngine, "/nowhere")
	refused(filepath.Join(s.dir, "no.sock"), remote.ErrNoEngine, "nothing answers at")

	srv := serveIn(t, dir)
	_, c, err := s.dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	if snap, err := c.Wait(t.Context(), 0); err != nil || snap.Workspace.PID != srv.cmd.Process.Pid {
		t.Errorf("the engine over SSH is process %d, %v; want %d", snap.Workspace.PID, err, srv.cmd.Process.Pid)
	}
	c.Close()
	if _, c, err = s.dial(filepath.Join(dir, "data", "opsdeck.sock")); err != nil {
		t.Errorf("by its socket: %v", err)
	} else {
		c.Close()
	}

	// A key in the agent alone.
	s.configure("IdentityFile none")
	refused(dir, nil, "Permission denied", "ssh-add")
	agent := startAgent(t, filepath.Join(s.dir, "user"))
	t.Setenv("SSH_AUTH_SOCK", agent)
	if _, c, err = s.dial(dir); err != nil {
		t.Errorf("with a key in the agent: %v", err)
	} else {
		c.Close()
	}

	// The host's key is another one.
	s.stop()
	s.key("host")
	s.start()
	refused(dir, ssh.ErrHostKeyChanged, filepath.Join(s.dir, "known_hosts")+":1", "ssh-keygen -f '"+filepath.Join(s.dir, "known_hosts")+"' -R")
	srv.stop(t)
	noneLeft(t, dir)
}

// startAgent starts an agent with one key in it.
func startAgent(t *testing.T, key string) string {
	t.Helper()
	sourcetest.Program(t, "ssh-agent")
	sock := filepath.Join(t.TempDir(), "agent")
	cmd := exec.Command("ssh-agent", "-D", "-a", sock)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	sourcetest.Until(t, "the agent has the key", func() bool {
		add := exec.Command("ssh-add", "-q", key)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+sock)
		return add.Run() == nil
	})
	return sock
}

// TestAConsoleOverSSHOutlivesItsLink opens the console in a terminal, asks about
// the host's key there, cuts the link, and gives it back.
func TestAConsoleOverSSHOutlivesItsLink(t *testing.T) {
	s := newSSHD(t)
	dir := t.TempDir()
	makeWorkspace(t, dir, "", map[string]bool{"host/load": false})
	srv := serveIn(t, dir)
	term := newTerminal(t, 120, 40)
	term.text("opsdeck attach ssh://far" + dir)
	term.press("Enter")
	term.holds("authenticity of host", "Are you sure you want to continue connecting")
	term.text("yes")
	term.press("Enter")
	term.row(`● enabled +host/load`)
	term.holds("2 viewers")
	srv.client.Close() // who is left is in control
	term.until("it is alone", func(s string) bool { return !strings.Contains(s, "2 viewers") })

	s.stop()
	term.holds("the engine does not answer: no link to far for")
	term.press("?") // it still answers
	term.holds("Help")
	term.press("Escape")
	term.press("1", "L")
	term.holds("nothing was sent: no link to far")
	s.start()
	term.until("the link is back", func(s string) bool { return !strings.Contains(s, "no link") && strings.Contains(s, "control ") })
	term.press("1", "L")
	term.holds("reload module host/load")

	term.press("q")
	term.holds("Quit opsdeck?")
	term.press("y")
	term.givenBack(1)

	// One that is killed leaves no ssh behind.
	term.text("clear; opsdeck attach ssh://far" + dir)
	term.press("Enter")
	term.row(`● enabled +host/load`)
	for _, pid := range running("attach\x00ssh://far" + dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	term.until("ssh is gone", func(string) bool { return len(running("opsdeck-socket", dir)) == 0 })
	srv.stop(t)
	noneLeft(t, dir)
}
