package routing

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/document"
)

func FuzzRouting(f *testing.F) {
	f.Add([]byte(recordedRouting(f)), "finance", []byte(`{"tier":"heavy"}`))
	f.Add([]byte(`{"lidm_delegation_threshold":0.7}`), "x", []byte(`{"tier":5}`))
	f.Add([]byte(`{"categories":[]}`), "", []byte(`[]`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, name string, patch []byte) {
		r, err := NewFile(filepath.Join(dir, "r.json"), "r.json")
		if err != nil {
			t.Fatal(err)
		}
		change := func(args map[string]string) ([]byte, error) {
			was, _, err := r.Change(args, "", time.Now(), nil)
			return was, err
		}
		if _, err := change(map[string]string{"config": string(text)}); err != nil {
			if _, perr := r.parse("", text); perr != nil {
				problemsHold(t, text, perr)
			}
			return
		}
		before := r.text
		if _, err := change(map[string]string{"category": name, "patch": string(patch)}); err != nil {
			if !bytes.Equal(before, r.text) {
				t.Fatalf("a refused patch changed the configuration: %v", err)
			}
			return
		}
		if _, ok := object(r.config["categories"])[name]; !ok {
			t.Fatalf("category %q is not there after %q on %q", name, patch, text)
		}
		if _, err := change(map[string]string{"category": name, "delete": "true"}); err != nil {
			t.Fatal(err)
		}
		on, err := os.ReadFile(r.path)
		if err != nil || !bytes.Equal(on, r.text) {
			t.Fatalf("the file is not what is in force: %v", err)
		}
	})
}

// problemsHold checks that every problem says where and what.
func problemsHold(t *testing.T, text []byte, err error) {
	t.Helper()
	var ps document.Problems
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
