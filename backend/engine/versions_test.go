package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// programEngine is an engine that does not run, for what works on a module's files.
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

func TestVersionsAreBoundedAndWhatNobodyHoldsGoes(t *testing.T) {
	dir := t.TempDir()
	e, m := programEngine(t, dir)
	var first string
	for i := range keepVersions + 10 {
		writeAll(t, m.dir, map[string]string{"adapter.py": fmt.Sprintf("x = %d\n", i), "same.py": "y = 1\n"})
		tree, err := e.look(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.trust(m, tree, "approved", "ann"); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = tree.digest
		}
	}
	h, err := e.programs.load("t/x")
	if err != nil || len(h.Versions) != keepVersions || h.find(first) != nil || h.approved() == nil {
		t.Fatalf("%d versions, %v", len(h.Versions), err)
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "data/module_versions/blobs"))
	if err != nil || len(blobs) != keepVersions+1 {
		t.Errorf("%d files are kept, want %d; %v", len(blobs), keepVersions+1, err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "data/module_versions")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("its folder is %v, %v", fi.Mode(), err)
	}
}

func TestDamagedVersionsAreRefused(t *testing.T) {
	dir := t.TempDir()
	e, m := programEngine(t, dir)
	writeAll(t, m.dir, map[string]string{"adapter.py": "x = 1\n"})
	tree, err := e.look(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.trust(m, tree, "approved", "ann"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.programs.blob(tree.parts[0].Sum), []byte("x = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.programs.read(tree.parts[0]); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a file that is not what its name says: %v", err)
	}
	if err := os.WriteFile(e.programs.indexFile("t/x"), []byte(`{"module":"t/x","versions":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.programs.load("t/x"); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("an index that is cut short: %v", err)
	}
	_, fresh := programEngine(t, dir)
	e.meet(fresh)
	if err := e.mayRun(fresh); !errors.Is(err, ErrUnapproved) {
		t.Errorf("without its index it may run: %v", err)
	}
}

func FuzzHistory(f *testing.F) {
	good := history{Module: "t/x", Versions: []version{{How: "found", Parts: []part{{Name: "a.py", Size: 1, Sum: strings.Repeat("a", 64)}}}}}
	good.Versions[0].Digest = digestOf(good.Versions[0].Parts)
	good.Approved = good.Versions[0].Digest
	text, _ := json.Marshal(good)
	f.Add(text)
	f.Add([]byte(strings.Replace(string(text), "a.py", "../../a.py", 1)))
	f.Add([]byte(`{"versions":[{"digest":"../x","files":[{"name":"/etc/passwd"}]}]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := readHistory(text)
		if err != nil {
			return
		}
		for _, v := range h.Versions {
			if !digestForm.MatchString(v.Digest) {
				t.Fatalf("digest %q", v.Digest)
			}
			for _, p := range v.Parts {
				if !filepath.IsLocal(p.Name) || p.Sum != "" && !digestForm.MatchString(p.Sum) {
					t.Fatalf("%+v", p)
				}
			}
		}
		_ = h.before(h.Approved)
		_ = h.find("a")
	})
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
	e.tidy()
	e.meet(m)
	fmt.Println("ready")
	for {
		tree, err := e.look(m)
		fail(err)
		h := m.past
		at := slices.IndexFunc(h.Versions, func(v version) bool { return v.Digest != tree.digest })
		v := h.Versions[at]
		next, err := e.beginRollback(m, h, tree, &v, "ann")
		fail(err)
		staged, err := e.assemble(m.dir, &v)
		fail(err)
		fail(swap(m.dir, staged))
		fail(e.endRollback(m, next, &v, "ann"))
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
		tree, err := e.look(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.trust(m, tree, "approved", "ann"); err != nil {
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
		e.tidy()
		e.meet(m)
		if err := e.mayRun(m); err != nil {
			t.Fatalf("kill %d: what lies there is not approved: %v", i, err)
		}
		for n := range 2 {
			whole := true
			for name, text := range versionFiles(n) {
				b, err := os.ReadFile(filepath.Join(m.dir, name))
				whole = whole && err == nil && string(b) == text
			}
			if whole && len(m.tree.parts) == len(versionFiles(n)) {
				seen[fmt.Sprint(n)]++
			}
		}
		if seen["0"]+seen["1"] != i+1 {
			t.Fatalf("kill %d: a mixture lies there: %+v", i, m.tree.parts)
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

// Where names cannot be exchanged, the two steps of a rollback may be cut apart.
func TestRollbackCutBetweenItsStepsIsMended(t *testing.T) {
	dir := t.TempDir()
	e, m := programEngine(t, dir)
	writeAll(t, m.dir, map[string]string{"adapter.py": "x = 1\n"})
	if err := errors.Join(os.Rename(m.dir, besides(m.dir, asideSuffix)), os.Mkdir(besides(m.dir, stagedSuffix), 0o755)); err != nil {
		t.Fatal(err)
	}
	e.tidy()
	if b, err := os.ReadFile(filepath.Join(m.dir, "adapter.py")); err != nil || string(b) != "x = 1\n" {
		t.Errorf("the folder is not put back: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "modules/t/.*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
