package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// notified is a service manager's end of NOTIFY_SOCKET: each message by its lines.
type notified struct {
	t    *testing.T
	path string
	conn *net.UnixConn
}

func listenNotify(t *testing.T) *notified {
	t.Helper()
	n := &notified{t: t, path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if n.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.conn.Close() })
	return n
}

// until reads messages until one has a line that begins so, and returns it whole.
func (n *notified) until(begins string) []string {
	n.t.Helper()
	_ = n.conn.SetReadDeadline(time.Now().Add(sourcetest.Patience))
	buf := make([]byte, 4096)
	for {
		k, err := n.conn.Read(buf)
		if err != nil {
			n.t.Fatalf("the manager is never told %s: %v", begins, err)
		}
		lines := strings.Split(string(buf[:k]), "\n")
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, begins) }) {
			return lines
		}
	}
}

func holdsLine(lines []string, begins, has string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, begins) && strings.Contains(l, has) })
}

// TestAServiceTellsItsManager runs the real program under a manager of the test's:
// ready when it answers, a reload that works and one that changes nothing, pings
// while it is alive, and its end.
func TestAServiceTellsItsManager(t *testing.T) {
	dir := t.TempDir()
	makeWorkspace(t, dir, "", nil)
	n := listenNotify(t)
	cmd := exec.Command("opsdeck", "serve", "--workspace", dir)
	cmd.Env = append(os.Environ(), "HOME="+dir, "NOTIFY_SOCKET="+n.path, "WATCHDOG_USEC=300000")
	var errOut lockedText
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	lines := n.until("READY=1")
	if !holdsLine(lines, "STATUS=", "serves "+dir) {
		t.Errorf("when it is ready it says %q", lines)
	}
	owner, err := remote.ReadOwner(filepath.Join(dir, "data"))
	if err != nil || remote.Alive(t.Context(), owner.Socket) != nil {
		t.Errorf("it is ready, and does not answer at %q: %v", owner.Socket, err)
	}
	n.until("WATCHDOG=1")

	file := filepath.Join(dir, "opsdeck.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, says string }{
		{string(text) + "logs: 5\n", "nothing was changed"},
		{string(text) + "services: [{name: a, url: \"http://127.0.0.1:1/\"}]\n", "in force: services"},
	} {
		if err := os.WriteFile(file, []byte(tt.file), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if lines := n.until("RELOADING=1"); !holdsLine(lines, "MONOTONIC_USEC=", "") {
			t.Errorf("a reload begins with %q", lines)
		}
		if lines := n.until("READY=1"); !holdsLine(lines, "STATUS=", tt.says) {
			t.Errorf("a reload ends with %q, want %q", lines, tt.says)
		}
	}
	if !strings.Contains(errOut.String(), "nothing was changed") {
		t.Errorf("the bad file is not told of: %s", errOut.String())
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n.until("STOPPING=1")
	rest := bufio.NewScanner(out)
	for rest.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v\n%s", err, errOut.String())
	}
	noneLeft(t, dir)
}

// TestAUnitIsWhatSystemdTakes lets systemd itself read the unit, for paths that
// need quoting.
func TestAUnitIsWhatSystemdTakes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), `a b$HOME %h "c"`)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "opsdeck.service")
	init := func() (string, error) {
		out, err := exec.Command("opsdeck", "init", "--systemd", "--workspace", dir).CombinedOutput()
		return string(out), err
	}
	out, err := init()
	if err != nil || !strings.Contains(out, "systemctl enable --now opsdeck.service") {
		t.Fatalf("init --systemd: %v\n%s", err, out)
	}
	if out, err := init(); err == nil || !strings.Contains(out, "exists already") {
		t.Errorf("a second time: %v\n%s", err, out)
	}
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	quoted := strings.NewReplacer("%", "%%", "$", "$$", `"`, `\"`).Replace(dir)
	for _, want := range []string{"Type=notify", "WatchdogSec=", "Restart=on-failure", "ExecReload=/bin/kill -HUP $MAINPID", "NoNewPrivileges=yes", `serve --workspace "` + quoted + `"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the unit has no %s:\n%s", want, b)
		}
	}
	sourcetest.Program(t, "systemd-analyze")
	if out, err := exec.Command("systemd-analyze", "verify", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "opsdeck.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
