package remote

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("OPSDECK_LOCK_CHILD"); dir != "" {
		hold(dir)
	}
	goleak.VerifyTestMain(m)
}

// hold takes a workspace, says so, and keeps it until it is killed.
func hold(dir string) {
	_, _, err := Acquire(dir, Owner{PID: os.Getpid(), Socket: SocketPath(dir), User: "child", Version: "1"})
	if err != nil {
		os.Exit(3)
	}
	if _, err := Listen(SocketPath(dir)); err != nil {
		os.Exit(4)
	}
	_, _ = os.Stdout.WriteString("held\n")
	select {}
}

func TestAWorkspaceIsHeldOnce(t *testing.T) {
	dir := t.TempDir()
	me := Owner{PID: 42, Socket: "/run/x.sock", Started: time.Now().Round(0), User: "ada", Version: "1.2.3"}
	lock, _, err := Acquire(dir, me)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		second, owner, err := Acquire(dir, Owner{PID: 43})
		if !errors.Is(err, ErrHeld) || second != nil {
			t.Fatalf("a second one: %v %v", second, err)
		}
		if owner.PID != 42 || owner.User != "ada" || owner.Socket != me.Socket || !owner.Started.Equal(me.Started) || owner.Version != "1.2.3" {
			t.Errorf("the owner is %+v, want %+v", owner, me)
		}
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if owner, err := ReadOwner(dir); err == nil {
		t.Errorf("after its release the owner is %+v", owner)
	}
	lock, _, err = Acquire(dir, Owner{PID: 43})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

// TestAKilledOwnerHoldsNothing kills one with SIGKILL, which it cannot see.
func TestAKilledOwnerHoldsNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OPSDECK_LOCK_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	_, owner, err := Acquire(dir, Owner{})
	if !errors.Is(err, ErrHeld) || owner.PID != cmd.Process.Pid || !owner.Alive() {
		t.Fatalf("while it lives: %+v alive %v, %v", owner, owner.Alive(), err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	owner, err = ReadOwner(dir)
	if err != nil || owner.Alive() {
		t.Errorf("after the kill its name is %+v (%v), alive: %v", owner, err, owner.Alive())
	}
	lock, _, err := Acquire(dir, Owner{PID: os.Getpid(), Socket: SocketPath(dir)})
	if err != nil {
		t.Fatalf("the workspace is held by the dead: %v", err)
	}
	ln, err := Listen(SocketPath(dir)) // over the socket that it left
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestLongPathsHaveSocketsElsewhere(t *testing.T) {
	short := SocketPath("/ws/data")
	if short != "/ws/data/opsdeck.sock" {
		t.Errorf("SocketPath = %s", short)
	}
	run := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", run)
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	path := SocketPath(deep)
	if len(path) > 100 || SocketPath(deep) != path || SocketPath(deep+"x") == path {
		t.Errorf("SocketPath = %s: want it short, the same each time, and of this folder alone", path)
	}
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", st.Mode(), err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestASocketInASharedFolderIsRefused: who may write there could put his own in its place.
func TestASocketInASharedFolderIsRefused(t *testing.T) {
	run := filepath.Join(t.TempDir(), "run")
	t.Setenv("XDG_RUNTIME_DIR", run)
	if len(run) > 60 {
		sourcetest.Missing(t, "a temporary folder with a short path (TMPDIR)")
	}
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(run, 0o777); err != nil {
		t.Fatal(err)
	}
	if ln, err := Listen(filepath.Join(run, "x.sock")); err == nil {
		ln.Close()
		t.Error("it listens in a folder that everybody may write to")
	}
	if err := os.Chmod(run, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := Listen(filepath.Join(run, "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
