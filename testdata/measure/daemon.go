package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engines are two container engines of our own, in a network namespace of our own: one
// near, by its socket, the other behind an sshd in that namespace.
type engines struct {
	l         *lab
	ns, veth  string
	near, far *daemon
	sshd      *exec.Cmd
	path      string // what PATH was
	shells    int    // opened so far
}

// Addresses of the two ends of the link, which RFC 2544 keeps for measurements.
const linkHere, linkThere, linkNet = "198.18.77.1", "198.18.77.2", "/30"

// engines starts them. What this host lacks is an error.
func (l *lab) engines() (_ *engines, err error) {
	if os.Getuid() != 0 {
		return nil, errors.New("root is needed, for a network namespace and engines")
	}
	for _, need := range []string{"dockerd", "docker", "ip", "nsenter", "ssh", "ssh-keygen", "/usr/sbin/sshd", "/bin/busybox", "stty"} {
		if _, err := exec.LookPath(need); err != nil {
			return nil, err
		}
	}
	pid := strconv.Itoa(os.Getpid())
	e := &engines{l: l, ns: l.name(), veth: "odm" + pid, path: os.Getenv("PATH")}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	for _, args := range [][]string{
		{"netns", "add", e.ns},
		{"link", "add", e.veth, "type", "veth", "peer", "name", "odm0", "netns", e.ns},
		{"addr", "add", linkHere + linkNet, "dev", e.veth},
		{"link", "set", e.veth, "up"},
		{"-n", e.ns, "addr", "add", linkThere + linkNet, "dev", "odm0"},
		{"-n", e.ns, "link", "set", "odm0", "up"},
		{"-n", e.ns, "link", "set", "lo", "up"},
	} {
		if _, err := command("ip", args...); err != nil {
			return nil, err
		}
	}
	e.near, e.far = e.engine("near"), e.engine("far")
	for _, x := range []*daemon{e.near, e.far} {
		if err := x.create(); err != nil {
			return nil, err
		}
	}
	return e, e.startSSH()
}

// inside returns a command in the namespace of the engines. Only its network is another.
func (e *engines) inside(args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=/run/netns/" + e.ns}, args...)...)
}

func (e *engines) link(to string) error {
	_, err := command("ip", "link", "set", e.veth, to)
	return err
}

// startSSH starts an sshd, and puts an ssh into PATH that knows it as "far".
func (e *engines) startSSH() error {
	w := &workspace{dir: filepath.Join(e.l.dir, "ssh")}
	if err := either(os.MkdirAll(w.dir, 0o700), os.MkdirAll("/run/sshd", 0o755)); err != nil {
		return err
	}
	for _, key := range []string{"host", "user"} {
		if _, err := command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", w.path(key)); err != nil {
			return err
		}
	}
	pub, err := os.ReadFile(w.path("host.pub"))
	if err != nil {
		return err
	}
	real, err := exec.LookPath("ssh")
	if err != nil {
		return err
	}
	if err := either(
		w.write("known_hosts", linkThere+" "+string(pub)),
		w.write("sshd_config", fmt.Sprintf("ListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nPidFile none\nForceCommand /bin/false\n", linkThere, w.path("host"), w.path("user.pub"))),
		w.write("ssh_config", fmt.Sprintf("Host far\n  HostName %s\n  User root\n  IdentityFile %s\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n", linkThere, w.path("user"), w.path("known_hosts"))),
		w.write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s \"$@\"\n", real, w.path("ssh_config"))),
		os.Chmod(w.path("bin/ssh"), 0o755), os.Setenv("PATH", w.path("bin")+":"+e.path)); err != nil {
		return err
	}
	e.sshd = e.inside("/usr/sbin/sshd", "-D", "-e", "-f", w.path("sshd_config"))
	if err := e.sshd.Start(); err != nil {
		e.sshd = nil
		return err
	}
	return nil
}

// close ends and removes all of it.
func (e *engines) close() {
	_ = os.Setenv("PATH", e.path)
	_ = e.link("up")
	for _, x := range []*daemon{e.near, e.far} {
		if x != nil {
			x.close()
		}
	}
	if e.sshd != nil {
		_ = e.sshd.Process.Kill()
		_ = e.sshd.Wait()
	}
	_, _ = command("ip", "link", "del", e.veth)
	_, _ = command("ip", "netns", "del", e.ns)
}

// daemon is a dockerd of our own. Its containers go on while it is away.
type daemon struct {
	in   *engines
	name string
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

func (e *engines) engine(name string) *daemon {
	return &daemon{in: e, name: name, dir: filepath.Join(e.l.dir, name)}
}

func (x *daemon) socket() string { return filepath.Join(x.dir, "d.sock") }

// create starts it for the first time, with three containers.
func (x *daemon) create() error {
	w := &workspace{dir: x.dir}
	if err := w.write("daemon.json", "{}\n"); err != nil {
		return err
	}
	if err := x.start(); err != nil {
		return err
	}
	box, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return err
	}
	c := exec.Command("docker", "-H", "unix://"+x.socket(), "import", "-", "box")
	c.Stdin = rootfs(box)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("import the image: %w: %s", err, out)
	}
	for i := range 3 {
		if err := x.run(fmt.Sprintf("%s-%d", x.name, i+1)); err != nil {
			return err
		}
	}
	return nil
}

// run starts a container.
func (x *daemon) run(name string) error {
	_, err := x.docker("run", "-d", "--name", name, "--network", "none", "box", "sh", "-c", "while :; do echo alive; sleep 1; done")
	return err
}

func (x *daemon) docker(args ...string) (string, error) {
	return command("docker", append([]string{"-H", "unix://" + x.socket()}, args...)...)
}

// start starts the daemon and waits until it answers. One that was killed may fail to
// find its containerd again; then it is started anew, as systemd does.
func (x *daemon) start() (err error) {
	for range 4 {
		if err = x.startOnce(); err == nil {
			return nil
		}
	}
	return err
}

// startOnce starts it in a network of its own, since without a bridge it removes the
// one that another daemon has.
func (x *daemon) startOnce() error {
	log, err := os.OpenFile(filepath.Join(x.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := x.in.inside("dockerd", "--config-file", filepath.Join(x.dir, "daemon.json"), "--data-root", filepath.Join(x.dir, "data"), "--exec-root", filepath.Join(x.dir, "exec"),
		"--pidfile", filepath.Join(x.dir, "pid"), "-H", "unix://"+x.socket(), "--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
		"--storage-driver", "vfs", "--live-restore")
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	x.cmd, x.done = c, make(chan struct{})
	go func(done chan struct{}) {
		_ = c.Wait()
		close(done)
	}(x.done)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := x.docker("version")
		if err == nil {
			return nil
		}
		select {
		case <-x.done:
			return fmt.Errorf("dockerd ended: see %s", log.Name())
		default:
		}
		if time.Now().After(end) {
			_ = x.signal(syscall.SIGKILL)
			return either(x.ended(), fmt.Errorf("dockerd does not answer: %w", err))
		}
	}
}

// signal sends one to the daemon, which nsenter has become.
func (x *daemon) signal(s syscall.Signal) error { return x.cmd.Process.Signal(s) }

// ended waits until the daemon has ended.
func (x *daemon) ended() error {
	select {
	case <-x.done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("dockerd does not end")
	}
}

// close removes its containers, and ends it and its containerd.
func (x *daemon) close() {
	if x.cmd == nil {
		return
	}
	_ = x.signal(syscall.SIGCONT)
	select {
	case <-x.done:
		_ = x.start()
	default:
	}
	if out, _ := x.docker("ps", "-aq"); out != "" {
		_, _ = x.docker(append([]string{"rm", "-f"}, strings.Fields(out)...)...)
	}
	b, _ := os.ReadFile(filepath.Join(x.dir, "exec", "containerd", "containerd.pid"))
	_ = x.signal(syscall.SIGTERM)
	if x.ended() != nil {
		_ = x.signal(syscall.SIGKILL)
		<-x.done
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil { // one that outlived a killed daemon
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(string(line), x.dir) {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	out, _ := command("findmnt", "-rn", "-o", "TARGET")
	for _, m := range strings.Fields(out) {
		if strings.HasPrefix(m, x.dir+"/") {
			_, _ = command("umount", "-l", m)
		}
	}
}
