package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// edited returns the workspace of a file with this text; "" for none.
func edited(t *testing.T, text string) (*Workspace, func() string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Load(Flags{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	return w, func() string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestWatchesAreAddedAndRemovedWithoutOtherChanges(t *testing.T) {
	ten := 10
	add := Watch{Name: "w", Source: "logs/*.log", Where: `level>=error "a: b" # c`, Above: &ten, For: Duration(time.Minute), Severity: "critical"}
	for what, text := range map[string]string{
		"no section":      "# mine\nname: x # why\n",
		"no end of line":  "name: x",
		"an empty one":    "watches:\nname: x\n",
		"in brackets":     "watches: []\nname: x\n",
		"others":          "name: x\nwatches:\n    # the first\n    - name: a\n      source: s\n      where: x\n\n    # the second\n    - name: b\n      where: |-\n        x\n      source: s\n\n# keys\nkeys: {}\n",
		"not indented":    "watches:\n- name: a\n  source: s\n  where: x\nname: x\n",
		"what init wrote": "",
	} {
		w, read := edited(t, text)
		if what == "what init wrote" {
			if _, err := w.Init(); err != nil {
				t.Fatal(err)
			}
			text = read()
			w.ConfigFile = filepath.Join(w.Dir, FileName)
		}
		if err := w.AddWatch(add); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		f, err := Parse(FileName, []byte(read()))
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, read())
		}
		if got := f.Watches[len(f.Watches)-1]; got.Where != add.Where || *got.Above != 10 || got.For != add.For {
			t.Errorf("%s: got %+v", what, got)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "watches:") && !strings.Contains(read(), line) {
				t.Errorf("%s: the line %q is gone", what, line)
			}
		}
		if was, err := w.RemoveWatch("w"); err != nil || was.Where != add.Where {
			t.Fatalf("%s: got %+v, %v", what, was, err)
		}
		if strings.HasPrefix(text, "watches:\nname") || strings.HasPrefix(text, "watches: []") {
			text = "name: x\n" // the empty section goes with its last entry
		}
		if got := read(); strings.TrimSpace(got) != strings.TrimSpace(text) {
			t.Errorf("%s: got\n%s\nwant\n%s", what, got, text)
		}
		if st, _ := os.Stat(filepath.Join(w.Dir, FileName)); what != "what init wrote" && st.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v", what, st.Mode())
		}
	}
}

func TestFiltersAreAddedAndRemoved(t *testing.T) {
	w, read := edited(t, "filters:\n  a: x # why\n  c: |-\n    two\n    lines\nname: x\n")
	if err := w.AddFilter("b-b", "status>=500 not healthz"); err != nil {
		t.Fatal(err)
	}
	if got, want := read(), "filters:\n  a: x # why\n  c: |-\n    two\n    lines\n  b-b: status>=500 not healthz\nname: x\n"; got != want {
		t.Errorf("got\n%s", got)
	}
	if was, err := w.RemoveFilter("c"); err != nil || was != "two\nlines" {
		t.Errorf("got %q, %v", was, err)
	}
	if got, want := read(), "filters:\n  a: x # why\n  b-b: status>=500 not healthz\nname: x\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestAWorkspaceWithoutAFileGetsOneAndKeepsItsData(t *testing.T) {
	w, read := edited(t, "")
	data := w.Data
	if err := w.AddFilter("a", "x"); err != nil {
		t.Fatal(err)
	}
	next, err := Load(Flags{Workspace: w.Dir})
	if err != nil || len(next.Problems) > 0 || next.Data != data || next.Filters["a"] != "x" {
		t.Errorf("got %+v, %v\n%s", next, err, read())
	}
}

func TestWhatCannotBeEditedIsLeftAlone(t *testing.T) {
	for text, want := range map[string]string{
		"watches: [{name: a, source: s, where: x}]\n":                              "in brackets: add this under watches: by hand:\nname: w",
		"watches:\n  - name: a\n    source: s\n    where: |\n      x\n      # y\n": "in a form that opsdeck cannot edit",
		"nmae: x\n": "while it has errors",
		"watches:\n  - {name: w, source: s, where: x}\n": "another watch has that name",
	} {
		w, read := edited(t, text)
		err := w.AddWatch(Watch{Name: "w", Source: "s", Where: "x"})
		if err == nil && want != "" || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if err != nil && read() != text {
			t.Errorf("it was changed:\n%s", read())
		}
	}
	w, _ := edited(t, "name: x\n")
	if _, err := w.RemoveWatch("w"); err == nil {
		t.Error("a watch that is not there was removed")
	}
}
