package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/document"
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

func FuzzHTTPManifest(f *testing.F) {
	ms, err := newManifests()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{`{"url":"https://x/${a}","auth":{"type":"bearer"}}`, `{"url":"http://[::1","query":{"a":"${b}"}}`, `{"url":"https://x/","body":[{"a":"${b}"}],"transform":".[]|.a","pagination":{"next":".n"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		text := append(append([]byte(`{"name":"x","category":"t","platform":"x","http":`), spec...), '}')
		m, err := ms.parse("m.json", text)
		if err != nil {
			problemsHold(t, text, err)
			return
		}
		if m.HTTP == nil {
			return
		}
		creds := map[string]string{}
		for _, name := range m.HTTP.fields {
			creds[name] = "the secret"
		}
		req, err := m.HTTP.request(context.Background(), creds, "")
		if err != nil {
			if strings.Contains(err.Error(), "the secret") {
				t.Fatalf("%s: a credential is in %v", spec, err)
			}
			return
		}
		if strings.Contains(req.URL.Host, "secret") {
			t.Fatalf("%s: a credential is in the host %q", spec, req.URL.Host)
		}
	})
}
