package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/version"
)

// programEngine returns an engine that does not run, for what works on a module's files.
func programEngine(t testing.TB, dir string) (*Engine, *module) {
	t.Helper()
	e, err := New(Config{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	m := newModule("t/x", "t", "x", filepath.Join(dir, "modules/t/x"))
	return e, m
}

func writeAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWithoutItsIndexAModuleDoesNotRun(t *testing.T) {
	dir := t.TempDir()
	e, m := programEngine(t, dir)
	writeAll(t, m.dir, map[string]string{"adapter.py": "x = 1\n"})
	tree, err := e.approval.look(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.approval.trust(m, tree, "approved", "ann"); err != nil {
		t.Fatal(err)
	}
	writeAll(t, dir, map[string]string{"data/module_versions/index/t+x.json": `{"module":"t/x","versions":[`})
	_, fresh := programEngine(t, dir)
	e.approval.loadVersions(fresh)
	if err := e.approval.mayRun(fresh); !errors.Is(err, ErrUnapproved) {
		t.Errorf("without its index it may run: %v", err)
	}
}

// The files of the two versions that the rollbacks of the child go between, and data
// that stays throughout.
func versionFiles(n int) map[string]string {
	out := map[string]string{}
	for i := range 20 {
		out[fmt.Sprintf("sub/part%02d.py", i)] = fmt.Sprintf("version = %d\n", n)
	}
	if n == 1 {
		out["only_in_one.py"] = "x = 1\n"
	}
	return out
}

// rollbackChild goes from one version to the other until it is killed.
func rollbackChild() {
	dir := os.Getenv("OPSDECK_ENGINE_ROLL")
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	e, err := New(Config{Workspace: dir})
	fail(err)
	m := newModule("t/x", "t", "x", filepath.Join(dir, "modules/t/x"))
	version.Tidy(filepath.Join(dir, "modules"), valid)
	e.approval.loadVersions(m)
	fmt.Println("ready")
	for {
		tree, err := e.approval.look(m)
		fail(err)
		h := m.past
		at := slices.IndexFunc(h.Versions, func(v version.Version) bool { return v.Digest != tree.Digest })
		v := h.Versions[at]
		next, err := e.approval.beginRollback(m, h, tree, &v, "ann")
		fail(err)
		fail(e.approval.store.Place(m.dir, &v))
		fail(e.approval.endRollback(m, next, &v, "ann"))
	}
}

func TestKilledRollbackLeavesEitherVersionWholeAndApproved(t *testing.T) {
	dir := t.TempDir()
	e, m := programEngine(t, dir)
	for n := range 2 {
		if err := os.RemoveAll(m.dir); err != nil {
			t.Fatal(err)
		}
		writeAll(t, m.dir, versionFiles(n))
		writeAll(t, m.dir, map[string]string{"cache.json": "learned"})
		tree, err := e.approval.look(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.approval.trust(m, tree, "approved", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	kills := 40
	if testing.Short() {
		kills = 10
	}
	for i := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OPSDECK_ENGINE_ROLL="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said [256]byte
		n, _ := out.Read(said[:])
		if !strings.HasPrefix(string(said[:n]), "ready") {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("the child says %s", said[:n])
		}
		<-time.After(time.Duration(i%20) * 1700 * time.Microsecond) // another step each time
		_ = cmd.Process.Kill()
		_ = cmd.Wait()

		e, m := programEngine(t, dir)
		version.Tidy(filepath.Join(dir, "modules"), valid)
		e.approval.loadVersions(m)
		if err := e.approval.mayRun(m); err != nil {
			t.Fatalf("kill %d: what lies there is not approved: %v", i, err)
		}
		for n := range 2 {
			whole := true
			for name, text := range versionFiles(n) {
				b, err := os.ReadFile(filepath.Join(m.dir, name))
				whole = whole && err == nil && string(b) == text
			}
			if whole && len(m.tree.Parts) == len(versionFiles(n)) {
				seen[fmt.Sprint(n)]++
			}
		}
		if seen["0"]+seen["1"] != i+1 {
			t.Fatalf("kill %d: a mixture lies there: %+v", i, m.tree.Parts)
		}
		if b, err := os.ReadFile(filepath.Join(m.dir, "cache.json")); err != nil || string(b) != "learned" {
			t.Fatalf("kill %d: its data is gone: %v", i, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "modules/t/.*")); len(left) > 0 {
			t.Fatalf("kill %d: %v is left", i, left)
		}
	}
	t.Logf("%d kills left the one version %d times, the other %d times", kills, seen["0"], seen["1"])
}
