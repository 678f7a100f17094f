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
	"time"

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

// What an adapter writes is read to its end, whatever it is.
func FuzzAdapterOutput(f *testing.F) {
	for _, s := range []string{`{"op":"hello","protocol":1}`, `{"op":"result","id":1,"data":[1]}`, "print\n{\n{}\n", `{"op":"result","data":{"items":[1,`, "\x00\xff\n", `{"op":"error","stage":"memory","missing":"x"}`, `{"op":"result","load_seconds":1e999}`} {
		f.Add([]byte(s + "\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 60<<10 { // what a pipe holds
			return
		}
		_, _ = out.Write(text)
		_ = out.Close()
		unread, none, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer none.Close()
		defer unread.Close()
		r := &runner{launcher: &launcher{}, process: nobody{}, limits: limits{memory: 1 << 30}, in: none, replies: make(chan line), dead: make(chan struct{}), logged: make(chan struct{})}
		close(r.logged)
		close(r.dead)
		r.wg.Go(func() { r.read(in) })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for {
			m, err := r.hear(ctx, func(*reply) bool { return true })
			if err != nil {
				if ctx.Err() != nil {
					t.Fatal("it does not end")
				}
				break
			}
			if m.Op == "" {
				t.Fatal("a message without op was taken")
			}
			if err := r.failed(m, "fetch"); err.Error() == "" {
				t.Fatal("a failure without a reason")
			}
		}
		for range r.replies {
		}
		r.wg.Wait()
	})
}

// nobody is a process that has ended.
type nobody struct{}

func (nobody) pid() int    { return 0 }
func (nobody) wait() ended { return ended{} }
func (nobody) end()        {}

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

// The shim's reader takes hostile lines as noise and goes on.
func FuzzShim(f *testing.F) {
	needPython(f)
	l := newLauncher(f.TempDir(), time.Minute, testLog(f))
	f.Cleanup(l.close)
	py, err := findPython(context.Background(), "")
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.py"), []byte("from shared.adapters.base import *\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self): return [1]\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"\xff\xfe\n", "[]\n", "null\n{\"op\":5}\n", "{\"op\":\"fetch\",\"id\":\"x\"}\n", strings.Repeat("[", 5000) + "\n", "{\"op\":\"configure\"}\n", "\n\n{}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("bye")) || len(text) > 32<<10 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		r, err := l.startRunner(ctx, py, dir, "a.py", limits{memory: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		defer r.stop(false)
		if err := r.configure(ctx, &configure{Module: "t/a", Dir: dir, EntryPoint: "a.py", Timeout: 5}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.in.Write(append(bytes.ReplaceAll(text, []byte(`"configure"`), []byte(`"other"`)), '\n')); err != nil {
			t.Fatal(err)
		}
		r.next = 1 << 40
		if _, err := r.fetch(ctx); err != nil {
			t.Fatalf("after %q: %v\n%s", text, err, r.log.String())
		}
	})
}
