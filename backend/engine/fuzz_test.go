package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func FuzzManifest(f *testing.F) {
	ms, err := newManifests()
	if err != nil {
		f.Fatal(err)
	}
	files, _ := filepath.Glob(modulesDir + "/*/*/manifest.json")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, s := range []string{"", "{", "[]", "null", `{"name":1}`, "\xef\xbb\xbf{}", `{"a":[{"b":[[[]]]}]}`, "{\"name\":\"\\u0000\"}", `{"name":"x","name":5}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ms.parse("m.json", text)
		if err == nil {
			if m.Name == "" || !valid(m.Category) || !valid(m.Platform) || m.EntryPoint == "" || !json.Valid([]byte(m.Text)) || filepath.Base(m.EntryPoint) != m.EntryPoint && m.EntryPoint != ".." {
				t.Fatalf("accepted %q as %+v", text, m)
			}
			return
		}
		problemsHold(t, text, err)
	})
}

// problemsHold checks that every problem says where and what.
func problemsHold(t *testing.T, text []byte, err error) {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("%q: %T %v is no list of problems", text, err, err)
	}
	lines := bytes.Count(text, []byte("\n")) + 1
	for _, p := range ps {
		if p.Line < 1 || p.Line > lines || p.Col < 1 || p.Text == "" {
			t.Fatalf("%q: %+v", text, p)
		}
	}
}

func FuzzRouting(f *testing.F) {
	f.Add([]byte(recordedRouting(f)), "finance", []byte(`{"tier":"heavy"}`))
	f.Add([]byte(`{"lidm_delegation_threshold":0.7}`), "x", []byte(`{"tier":5}`))
	f.Add([]byte(`{"categories":[]}`), "", []byte(`[]`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, name string, patch []byte) {
		r, err := newRouting(filepath.Join(dir, "r.json"), "r.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.set(text, false, "", time.Now()); err != nil {
			if _, perr := r.parse("", text); perr != nil {
				problemsHold(t, text, perr)
			}
			return
		}
		before := r.text
		if _, err := r.patch(name, patch, "", time.Now()); err != nil {
			if !bytes.Equal(before, r.text) {
				t.Fatalf("a refused patch changed the configuration: %v", err)
			}
			return
		}
		if _, ok := object(r.config["categories"])[name]; !ok {
			t.Fatalf("category %q is not there after %q on %q", name, patch, text)
		}
		if _, err := r.remove(name, "", time.Now()); err != nil {
			t.Fatal(err)
		}
		on, err := os.ReadFile(r.path)
		if err != nil || !bytes.Equal(on, r.text) {
			t.Fatalf("the file is not what is in force: %v", err)
		}
	})
}
