package version

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// storeIn returns the store of the workspace in dir, and the folder of a module.
func storeIn(dir string) (*Store, string) {
	return NewStore(filepath.Join(dir, "data/module_versions")), filepath.Join(dir, "modules/t/x")
}

// approved keeps what lies in dir as the version that may run.
func approved(s *Store, dir string, tree *Content) error {
	h, err := s.Load("t/x")
	if err == nil {
		_, err = s.Keep(h, dir, tree, Version{At: time.Now().UTC(), By: "ann", How: "approved"}, func(h *History) { h.Approved = tree.Digest })
	}
	return err
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
	s, m := storeIn(dir)
	var first string
	for i := range keepVersions + 10 {
		writeAll(t, m, map[string]string{"adapter.py": fmt.Sprintf("x = %d\n", i), "same.py": "y = 1\n"})
		tree, err := Read(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := approved(s, m, tree); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = tree.Digest
		}
	}
	h, err := s.Load("t/x")
	if err != nil || len(h.Versions) != keepVersions || h.Find(first) != nil || h.InForce() == nil {
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
	s, m := storeIn(dir)
	writeAll(t, m, map[string]string{"adapter.py": "x = 1\n"})
	tree, err := Read(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := approved(s, m, tree); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.blob(tree.Parts[0].Sum), []byte("x = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(tree.Parts[0]); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a file that is not what its name says: %v", err)
	}
	if err := os.WriteFile(s.indexFile("t/x"), []byte(`{"module":"t/x","versions":[`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("t/x"); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("an index that is cut short: %v", err)
	}
}

func FuzzHistory(f *testing.F) {
	good := History{Module: "t/x", Versions: []Version{{How: "found", Parts: []Part{{Name: "a.py", Size: 1, Sum: strings.Repeat("a", 64)}}}}}
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
		_ = h.Find("a")
	})
}

// Where names cannot be exchanged, the two steps of a rollback may be cut apart.
func TestRollbackCutBetweenItsStepsIsMended(t *testing.T) {
	dir := t.TempDir()
	_, m := storeIn(dir)
	writeAll(t, m, map[string]string{"adapter.py": "x = 1\n"})
	if err := errors.Join(os.Rename(m, besides(m, asideSuffix)), os.Mkdir(besides(m, stagedSuffix), 0o755)); err != nil {
		t.Fatal(err)
	}
	if bad := Tidy(filepath.Join(dir, "modules"), func(string) bool { return true }); bad != nil {
		t.Error(bad)
	}
	if b, err := os.ReadFile(filepath.Join(m, "adapter.py")); err != nil || string(b) != "x = 1\n" {
		t.Errorf("the folder is not put back: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "modules/t/.*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
