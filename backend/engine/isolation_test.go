package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// runChild runs an engine on the workspace in OPSDECK_ENGINE_RUN until it is
// killed, and says each time that a module has fetched.
func runChild() {
	e, err := New(Config{Workspace: os.Getenv("OPSDECK_ENGINE_RUN"), Interval: time.Hour, Scan: 50 * time.Millisecond, Python: os.Getenv("OPSDECK_ENGINE_PYTHON")})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	said := map[string]bool{}
	_ = e.Run(context.Background(), func(s state.Section) {
		if ms, ok := s.(state.Modules); ok {
			for _, m := range ms.List {
				if !said[m.ID] && m.Successes+m.Failures > 0 {
					said[m.ID] = true
					fmt.Println("fetched", m.ID, m.LastError)
				}
			}
		}
	})
}

// escapes is an adapter that leaves processes in every way behind: a child, one in
// a session of its own, and one that forked twice, left its session and forgot its
// environment.
const escapes = `
import os, subprocess, sys
def note(pid):
    with open("pids", "a") as f: f.write("%d\n" % pid)
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        note(os.getpid())
        note(subprocess.Popen(["sleep", "1000"]).pid)
        note(subprocess.Popen(["sleep", "1001"], start_new_session=True).pid)
        r, w = os.pipe()
        if os.fork() == 0:
            os.setsid()
            pid = os.fork()
            if pid == 0:
                os.close(r)
                os.write(w, b"x")
                os.execve("/bin/sleep", ["sleep", "1002"], {})
            note(pid)
            os._exit(0)
        os.wait()
        os.read(r, 1)
        return [1]
`

// escapesShell is the same of a program.
const escapesShell = `#!/bin/sh
echo '{"op":"hello","protocol":1}'
echo $$ >>pids
sleep 1000 & echo $! >>pids
(setsid sleep 1001 & echo $! >>pids)
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*) echo '{"op":"result","data":[1]}' ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`

func pidsIn(t *testing.T, file string) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range strings.Fields(string(text)) {
		var n int
		if _, err := fmt.Sscan(f, &n); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, n)
	}
	return pids
}

func needProc(t *testing.T) {
	t.Helper()
	if !adapter.Forks {
		sourcetest.Missing(t, "a kernel with subreapers and parent-death signals")
	}
}

func shellModule(name, script string) map[string]string {
	return map[string]string{
		"modules/t/" + name + "/manifest.json": fmt.Sprintf(`{"name":%q,"version":"1","category":"t","platform":%q,"entry_point":"a.sh","status":"installed","timeout_seconds":5}`, name, name),
		"modules/t/" + name + "/a.sh":          script,
	}
}

func merged(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// What an adapter started ends with it, wherever it went, and so does its
// temporary folder.
func TestWhatAnAdapterStartedEndsWithIt(t *testing.T) {
	needPython(t)
	needProc(t)
	for _, python := range []string{"", "no-such-python"} {
		files := merged(adapterOf("py", escapes), shellModule("sh", escapesShell))
		r := newRig(t, files)
		r.start(Config{Interval: time.Hour, Python: python})
		ids := []string{"sh"}
		if python == "" {
			ids = append(ids, "py")
		}
		for _, id := range ids {
			r.module("t/"+id, "fetches", healthy)
			if _, err := r.do(state.ModuleDisable, "t/"+id, nil, nil); err != nil {
				t.Fatal(err)
			}
			pids := pidsIn(t, filepath.Join(r.dir, "modules/t", id, "pids"))
			if len(pids) < 3 {
				t.Fatalf("got %v: not all were started", pids)
			}
			for _, pid := range pids {
				waitGone(t, pid)
			}
		}
		root := r.e.fetcher.launcher.Root()
		r.stop()
		if disk.Exists(root) {
			t.Errorf("%s is still there", root)
		}
	}
}

// The engine's own end by SIGKILL ends all that its adapters started too, and the
// next engine removes the folders it left.
func TestKilledEngineLeavesNothingRunning(t *testing.T) {
	needPython(t)
	needProc(t)
	dir := newRig(t, merged(adapterOf("py", escapes), shellModule("sh", escapesShell))).dir
	cmd := exec.Command(os.Args[0])
	tmp := t.TempDir()
	cmd.Env = append(os.Environ(), "OPSDECK_ENGINE_RUN="+dir, "TMPDIR="+tmp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	sc := bufio.NewScanner(out)
	for n := 0; n < 2 && sc.Scan(); n++ {
		if !strings.HasPrefix(sc.Text(), "fetched t/") || len(strings.Fields(sc.Text())) != 2 {
			t.Errorf("the child says %q", sc.Text())
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, id := range []string{"py", "sh"} {
		for _, pid := range pidsIn(t, filepath.Join(dir, "modules/t", id, "pids")) {
			waitGone(t, pid)
		}
	}
	t.Setenv("TMPDIR", tmp)
	prefix := filepath.Join(tmp, adapter.TempPrefix(filepath.Join(dir, "data")))
	if left, _ := filepath.Glob(prefix + "*"); len(left) != 1 {
		t.Errorf("the killed engine left %v: want its folder", left)
	}
	l := adapter.New(filepath.Join(dir, "data"), time.Minute, testLog(t))
	if left, _ := filepath.Glob(prefix + "*"); len(left) != 1 || left[0] != l.Root() {
		t.Errorf("there are %v; want the new engine's alone", left)
	}
	l.Close()
}

func TestAdaptersRunConfined(t *testing.T) {
	needPython(t)
	needProc(t)
	r := newRig(t, merged(adapterOf("py", `
import os, resource, stat, tempfile
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        tmp = tempfile.gettempdir()
        return {"nnp": status["NoNewPrivs"].strip(), "tmp": tmp == os.environ["TMPDIR"], "mode": oct(stat.S_IMODE(os.stat(tmp).st_mode)),
                "core": resource.getrlimit(resource.RLIMIT_CORE)[1], "data": resource.getrlimit(resource.RLIMIT_DATA)[1] >> 20,
                "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1], "leader": os.getpgid(0) == os.getpid(), "fds": len(os.listdir("/proc/self/fd"))}
`), shellModule("sh", `#!/bin/sh
echo '{"op":"hello","protocol":1}'
read -r line; echo '{"op":"ready"}'
read -r line; echo '{"op":"result","data":["core '$(ulimit -c)', data '$(ulimit -d)', files '$(ulimit -n)', '$(grep NoNewPrivs /proc/self/status | tr '\t' ' ')'"]}'
read -r line
`)))
	r.start(Config{Interval: time.Hour})
	m := r.module("t/py", "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
	for _, want := range []string{`"nnp": "1"`, `"tmp": true`, `"mode": "0o700"`, `"core": 0`, `"data": 1024`, `"files": 1024`, `"leader": true`} {
		if !strings.Contains(m.LastResult, want) {
			t.Errorf("%s is missing in %s %s", want, m.LastResult, m.LastError)
		}
	}
	m = r.module("t/sh", "fetches", func(m *state.Module) bool { return m.Successes+m.Failures > 0 })
	if want := `core 0, data 1048576, files 1024, NoNewPrivs: 1`; !strings.Contains(m.LastResult, want) {
		t.Errorf("got %s %s, want %s", m.LastResult, m.LastError, want)
	}
}
