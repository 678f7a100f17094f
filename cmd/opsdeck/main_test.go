package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// TestMain makes the real main a command named opsdeck, in front of the PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"opsdeck": main})
}

// testKey is the MODULE_ENCRYPTION_KEY of the tests' workspaces.
const testKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// shellManifest returns a manifest of a module in sh, on which each member has a line.
func shellManifest(id string, keyed bool) string {
	category, platform, _ := strings.Cut(id, "/")
	auth := "none"
	if keyed {
		auth = "api_key"
	}
	return fmt.Sprintf(`{
  "name": %q,
  "version": "1.0.0",
  "category": %q,
  "platform": %q,
  "entry_point": "adapter.sh",
  "auth_type": %q,
  "status": "installed"
}
`, platform, category, platform, auth)
}

// shellAdapter returns a module's program that needs no Python. A keyed one works with
// API keys that begin with "right-".
func shellAdapter(keyed bool) string {
	ok := "1"
	if keyed {
		ok = ""
	}
	return `#!/bin/sh
ok=` + ok + `
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*)
      case $line in *'"api_key":"right-'*) ok=1 ;; esac
      echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*)
      if [ "$ok" ]; then echo '{"op":"result","data":[{"n":1}]}'; else echo '{"op":"error","error":"the server answers 401 Unauthorized"}'; fi ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`
}

// makeWorkspace writes a workspace with modules in sh, which keyed ones of need a
// key, and nothing of the host in it.
func makeWorkspace(t testing.TB, dir, more string, modules map[string]bool) {
	t.Helper()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("opsdeck.yaml", "name: test\nlisten: \"off\"\ndocker: {host: \"unix:///nonexistent/docker.sock\"}\nredis: {url: \"unix:///nonexistent/redis.sock\"}\n"+
		"metrics: {interval: 1h}\nmodules: {interval: 1h}\nsettle: 1ms\n"+more, 0o644)
	write(".env", "MODULE_ENCRYPTION_KEY="+testKey+"\n", 0o600)
	for id, keyed := range modules {
		write("modules/"+id+"/manifest.json", shellManifest(id, keyed), 0o644)
		write("modules/"+id+"/adapter.sh", shellAdapter(keyed), 0o755)
	}
}

// server is an opsdeck serve in a process of its own.
type server struct {
	cmd    *exec.Cmd
	client *remote.Client
	out    *lockedText
	done   chan struct{}
}

type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serveIn starts opsdeck serve on a workspace and attaches to it.
func serveIn(t testing.TB, dir string) *server {
	t.Helper()
	s := &server{cmd: exec.Command("opsdeck", "serve", "--workspace", dir, "--listen", "off"), out: &lockedText{}, done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "HOME="+dir)
	s.cmd.Stderr = s.out
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		t.Fatalf("opsdeck serve ends before it serves: %v\n%s", err, s.out)
	}
	go func() {
		defer close(s.done)
		_, _ = io.Copy(s.out, out)
		_ = s.cmd.Wait()
	}()
	if !strings.Contains(line, "serves "+dir) {
		t.Errorf("it says %q", line)
	}
	owner, err := remote.ReadOwner(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatalf("who holds the workspace: %v\n%s", err, s.out)
	}
	if s.client, err = remote.Dial(context.Background(), owner.Socket, state.Actor{User: "tester", From: "test", Via: "console"}); err != nil {
		t.Fatalf("attach: %v\n%s", err, s.out)
	}
	return s
}

// kill ends it with SIGKILL, at once.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	s.client.Close()
}

// stop ends it as systemd would.
func (s *server) stop(t testing.TB) {
	t.Helper()
	s.client.Close()
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.done:
	case <-time.After(sourcetest.Patience):
		_ = s.cmd.Process.Kill()
		<-s.done
		t.Errorf("opsdeck serve does not end when it is interrupted\n%s", s.out)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("opsdeck serve ends with %d\n%s", code, s.out)
	}
}

// until waits for a snapshot that ok holds of.
func (s *server) until(t testing.TB, what string, ok func(*state.Snapshot) bool) *state.Snapshot {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("the engine says: %s", s.out)
		}
	}()
	return sourcetest.Snapshot(t, s.client, what, ok)
}

// noneLeft waits until no process runs in dir any more: neither opsdeck nor an
// adapter of a module there. Where the system has no /proc it cannot tell.
func noneLeft(t testing.TB, dir string) {
	t.Helper()
	var left []string
	defer func() {
		if len(left) > 0 {
			t.Logf("processes are left:\n%s", strings.Join(left, "\n"))
		}
	}()
	sourcetest.Until(t, "no process is left", func() bool {
		left = nil
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			if e.Name() == fmt.Sprint(os.Getpid()) {
				continue
			}
			cwd, _ := os.Readlink("/proc/" + e.Name() + "/cwd")
			args, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
			if strings.HasPrefix(cwd, dir) || strings.Contains(string(args), dir) {
				left = append(left, fmt.Sprintf("%s %q in %s", e.Name(), args, cwd))
			}
		}
		return len(left) == 0
	})
}
