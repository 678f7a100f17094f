package engine

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// sqlite runs one statement on a database file.
func sqlite(t testing.TB, path, stmt string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(stmt, args...); err != nil {
		t.Fatal(err)
	}
}

// reader returns an old reader: Python's sqlite3 on the recorded schema.
func reader(t testing.TB, path, code string) string {
	t.Helper()
	needPython(t)
	out, err := exec.Command("python3", "-c", "import sqlite3, json, sys\nfrom datetime import datetime\nc = sqlite3.connect(sys.argv[1])\nc.row_factory = sqlite3.Row\n"+code, path).CombinedOutput()
	if err != nil {
		t.Fatalf("the old reader fails: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

const recordedSchema = `print([(r['type'], r['name'], r['sql']) for r in c.execute("select type, name, sql from sqlite_master")], c.execute("pragma journal_mode").fetchone()[0])`

func TestRecordedRegistryOpensChangesAndStaysReadable(t *testing.T) {
	r := newRig(t, map[string]string{"modules/test/hello/manifest.json": `{"name":"hello","version":"2.0.0","category":"test","platform":"hello","entry_point":"a.sh","status":"installed"}`,
		"modules/test/hello/a.sh": strings.Replace(shellAdapter, "DATA", "[1]", 1)})
	db := filepath.Join(r.dir, "data/module_registry.db")
	r.copyFile(filepath.Join(contractDir, "module_registry.db"), "data/module_registry.db")
	before := reader(t, db, recordedSchema)
	r.start(Config{Python: "none"})

	// The registry's word wins over the manifest's.
	r.module("test/hello", "is disabled, as its file describes it", func(m *state.Module) bool {
		return m.Status == state.ModuleDisabled && m.Version == "2.0.0"
	})
	m := r.module("gaming/testgame", "is failed: its folder is gone", func(m *state.Module) bool { return m.Status == state.ModuleFailed })
	if !strings.Contains(m.Reason, "modules/gaming/testgame/manifest.json") || m.Failures != 1 || m.Version != "1.0.0" {
		t.Errorf("got %q, %d failures, version %q", m.Reason, m.Failures, m.Version)
	}
	if _, err := r.do(state.ModuleEnable, "test/hello", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.module("test/hello", "runs", healthy)
	if _, err := r.do(state.ModuleUninstall, "gaming/testgame", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if after := reader(t, db, recordedSchema); after != before {
		t.Errorf("the schema changed:\n%s\n%s", before, after)
	}
	got := reader(t, db, `
for r in c.execute("select * from modules order by module_id"):
    m = json.loads(r["manifest_json"])
    for k in ("installed_at", "updated_at", "last_used"):
        if r[k] is not None: assert datetime.fromisoformat(r[k]).tzinfo is None, r[k]
    print(r["module_id"], r["status"], r["health_status"], m["version"], r["success_count"] > 0, r["failure_count"])`)
	want := "gaming/testgame uninstalled unhealthy 1.0.0 False 1\nshowroom/metrics_demo installed healthy 1.0.0 True 0\ntest/hello installed healthy 2.0.0 True 0"
	if got != want {
		t.Errorf("the old reader reads\n%s\nwant\n%s", got, want)
	}
}

func TestLifecycle(t *testing.T) {
	ctx := context.Background()
	reg, err := openRegistry(ctx, filepath.Join(t.TempDir(), "r.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer reg.close()
	legal := 0
	for _, from := range statuses {
		for _, ev := range events {
			to, why, err := next(from, ev)
			if err != nil {
				if err.Error() == "" || to != from {
					t.Errorf("%s on %s: refused without a reason, or moved to %s", from, ev, to)
				}
				continue
			}
			legal++
			if why == "" {
				t.Errorf("%s on %s to %s has no reason", from, ev, to)
			}
			id := string(from) + "/" + string(ev)
			if err := reg.add(ctx, Record{ID: id, Name: "n", Category: string(from), Platform: string(ev), Status: from, Health: "unknown", Manifest: "{}"}); err != nil {
				t.Fatal(err)
			}
			if err := reg.move(ctx, id, from, to, time.Now()); err != nil {
				t.Error(err)
			}
			if from != to {
				if err := reg.move(ctx, id, from, to, time.Now()); !errors.Is(err, errMoved) {
					t.Errorf("a second move from %s: %v, want errMoved", from, err)
				}
			}
		}
	}
	if legal != len(transitions) {
		t.Errorf("%d transitions were walked, the table has %d", legal, len(transitions))
	}
	for _, s := range statuses {
		seen := false
		for _, tr := range transitions {
			seen = seen || tr.from == s
		}
		if !seen {
			t.Errorf("nothing leads out of %s", s)
		}
	}
}

func TestIllegalTransitionsAreRefusedWithAReason(t *testing.T) {
	r := newRig(t, map[string]string{"modules/t/x/manifest.json": `{"name":"x","version":"1","category":"t","platform":"x","entry_point":"a.sh","status":"installed"}`,
		"modules/t/x/a.sh": strings.Replace(shellAdapter, "DATA", "[1]", 1)})
	r.start(Config{Python: "none"})
	r.module("t/x", "runs", healthy)
	refuse := func(k state.Kind, target, want string) {
		t.Helper()
		if _, err := r.do(k, target, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s: got %v, want %q", k, target, err, want)
		}
	}
	accept := func(k state.Kind) state.Outcome {
		t.Helper()
		out, err := r.do(k, "t/x", nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		return out
	}
	refuse(state.ModuleEnable, "t/x", "enabled already")
	refuse(state.ModuleEnable, "t/none", "no such module")
	refuse(state.CredentialRotate, "t/x", "no values")
	refuse("module.dance", "t/x", "no action")
	if out := accept(state.ModuleFetch); !strings.Contains(out.Result, "1 item") {
		t.Error(out.Result)
	}
	accept(state.ModuleRestart)
	if out := accept(state.ModuleReload); !strings.Contains(out.Result, "reloaded: fetched 1 item") {
		t.Error(out.Result)
	}
	if out := accept(state.ModuleDisable); out.Undo == nil || out.Undo.Kind != state.ModuleEnable {
		t.Errorf("%+v", out)
	}
	m := r.module("t/x", "is disabled", func(m *state.Module) bool { return m.Status == state.ModuleDisabled })
	if m.PID != 0 || m.Runner != "stopped" || !m.NextFetch.IsZero() {
		t.Errorf("a disabled module runs: %+v", m)
	}
	if _, ok := r.e.Delivered().Category("t"); ok {
		t.Error("a disabled module's data is still served")
	}
	refuse(state.ModuleDisable, "t/x", "disabled already")
	refuse(state.ModuleReload, "t/x", "enable it first")
	refuse(state.ModuleRestart, "t/x", "enable it first")
	refuse(state.ModuleFetch, "t/x", "enable it first")
	accept(state.ModuleUninstall)
	refuse(state.ModuleUninstall, "t/x", "uninstalled already")
	refuse(state.ModuleDisable, "t/x", "cannot disable")
	accept(state.ModuleEnable)
	r.stop()
	refuse(state.ModuleDisable, "t/x", "not running")
}

func TestBadManifests(t *testing.T) {
	good := `{"name":"x","version":"1","category":"t","platform":"x","entry_point":"a.sh","status":"installed"}`
	r := newRig(t, map[string]string{
		"modules/t/x/manifest.json":    good,
		"modules/t/x/a.sh":             strings.Replace(shellAdapter, "DATA", "[1]", 1),
		"modules/t/bad/manifest.json":  "{\n  \"name\": \"bad\",\n  \"version\": 5,\n  \"category\": \"t\",\n  \"platform\": \"bad\"\n}\n",
		"modules/t/cut/manifest.json":  "{\n  \"name\": \"cut\",\n",
		"modules/t/else/manifest.json": `{"name":"x","version":"1","category":"t","platform":"other"}`,
		"modules/t/miss/manifest.json": `{"version":"1","category":"t","platform":"miss"}`,
		"modules/t/up/manifest.json":   `{"name":"up","version":"1","category":"t","platform":"up","entry_point":"../x/a.sh"}`,
	})
	r.start(Config{Python: "none", NoApproval: true})
	for id, want := range map[string]string{
		"t/bad":  "modules/t/bad/manifest.json:3:14: version: a string was expected, this is number",
		"t/cut":  "modules/t/cut/manifest.json:3:1: not JSON: the text ends before",
		"t/else": `it says category "t" and platform "other"; its folder says "t" and "else"`,
		"t/miss": `the member "name" is missing`,
		"t/up":   "entry_point",
	} {
		m := r.module(id, "is refused", func(m *state.Module) bool { return m.Status == state.ModuleFailed })
		if !strings.Contains(m.Reason, want) {
			t.Errorf("%s: got %q, want %q", id, m.Reason, want)
		}
	}
	m := r.module("t/x", "runs", healthy)
	pid := m.PID
	// A running module runs on with its last good manifest, and says so.
	r.write("modules/t/x/manifest.json", "{\n\"name\": 1}")
	m = r.module("t/x", "says so", func(m *state.Module) bool { return strings.Contains(m.Reason, "last good manifest") })
	if m.Status != state.ModuleInstalled || m.PID != pid || !strings.Contains(m.Reason, "manifest.json:2:9: name") {
		t.Errorf("%s, pid %d (was %d), %q", m.Status, m.PID, pid, m.Reason)
	}
	if _, err := r.do(state.ModuleReload, "t/x", nil, nil); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("reload: %v", err)
	}
	if m = r.snapshot().Modules.Module("t/x"); m.PID != pid {
		t.Error("a refused reload restarted the runner")
	}
	r.write("modules/t/x/manifest.json", strings.Replace(good, `"1"`, `"1.1"`, 1))
	r.module("t/x", "asks for a reload", func(m *state.Module) bool { return strings.Contains(m.Reason, "reload it") })
	if _, err := r.do(state.ModuleReload, "t/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.module("t/x", "has the new manifest", func(m *state.Module) bool { return m.Version == "1.1" && m.Reason == "" && healthy(m) })
	// A bad one that is mended is registered like a new one.
	r.write("modules/t/bad/adapter.py", "x = 1\n")
	r.write("modules/t/bad/manifest.json", `{"name":"bad","version":"5","category":"t","platform":"bad"}`)
	r.module("t/bad", "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	if err := os.RemoveAll(filepath.Join(r.dir, "modules/t/cut")); err != nil {
		t.Fatal(err)
	}
	r.until("the removed folder is forgotten", func(s *state.Snapshot) bool { return s.Modules.Module("t/cut") == nil })
}

// shellAdapter answers every fetch with DATA.
const shellAdapter = `#!/bin/sh
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*) echo '{"op":"result","data":DATA}' ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`

func TestEngineMayRunAgain(t *testing.T) {
	r := newRig(t, map[string]string{"modules/t/x/manifest.json": `{"name":"x","version":"1","category":"t","platform":"x","entry_point":"a.sh","status":"installed"}`,
		"modules/t/x/a.sh": strings.Replace(shellAdapter, "DATA", "[1]", 1)})
	r.start(Config{Python: "none"})
	r.module("t/x", "runs", healthy)
	if _, err := r.do(state.ModuleDisable, "t/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.mu.Lock()
	r.snap = state.Snapshot{} // what the first run said is not what the second says
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.e.Run(ctx, r.put) }()
	r.module("t/x", "is still disabled, and its counts go on", func(m *state.Module) bool { return m.Status == state.ModuleDisabled && m.Successes > 0 })
	if _, err := r.do(state.ModuleEnable, "t/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.module("t/x", "runs", healthy)
}

func TestRegistryOfAnotherKindIsRefused(t *testing.T) {
	r := newRig(t, map[string]string{"data/module_registry.db": ""})
	sqlite(t, filepath.Join(r.dir, "data/module_registry.db"), "CREATE TABLE modules (id INTEGER)")
	e, err := New(Config{Workspace: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(context.Background(), r.put); err == nil || !strings.Contains(err.Error(), "put back a good copy") {
		t.Errorf("got %v", err)
	}
}

func TestRestoredRegistryIsReadAnewWithoutARestart(t *testing.T) {
	r := newRig(t, map[string]string{"modules/t/a/manifest.json": `{"name":"a","version":"1","category":"t","platform":"a","entry_point":"a.sh","status":"installed"}`,
		"modules/t/a/a.sh": strings.Replace(shellAdapter, "DATA", "[1]", 1)})
	r.start(Config{Python: "none"})
	r.module("t/a", "runs", healthy)
	backup, err := os.ReadFile(filepath.Join(r.dir, "data/module_registry.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(state.ModuleDisable, "t/a", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.module("t/a", "is disabled", func(m *state.Module) bool { return m.Status == state.ModuleDisabled })
	r.write("data/restored.db", string(backup))
	if err := os.Rename(filepath.Join(r.dir, "data/restored.db"), filepath.Join(r.dir, "data/module_registry.db")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.done:
		if !errors.Is(err, errReplaced) {
			t.Fatalf("it ends with %v, want %v", err, errReplaced)
		}
	case <-time.After(patience):
		t.Fatal("it works on a file that has no name any more")
	}
	r.cancel()
	r.cancel = nil
	r.start(Config{Python: "none"}) // as the hub does
	r.module("t/a", "runs, as the backup says", healthy)
}
