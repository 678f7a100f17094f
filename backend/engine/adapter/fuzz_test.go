package adapter

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
		r := &Runner{launcher: &Launcher{}, process: nobody{}, limits: Limits{Memory: 1 << 30}, in: none, replies: make(chan line), dead: make(chan struct{}), logged: make(chan struct{})}
		close(r.logged)
		close(r.dead)
		r.wg.Go(func() { r.read(in) })
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for {
			m, err := r.hear(ctx, func(*Reply) bool { return true })
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

func (nobody) pid() int   { return 0 }
func (nobody) wait() exit { return exit{} }
func (nobody) end()       {}

// The shim's reader takes hostile lines as noise and goes on.
func FuzzShim(f *testing.F) {
	needPython(f)
	l := New(f.TempDir(), time.Minute, testLog(f))
	f.Cleanup(l.Close)
	py, err := FindPython(context.Background(), "")
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
		r, err := l.Start(ctx, py, Spec{dir, "a.py", Limits{Memory: 1 << 30}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Stop(false)
		if err := r.Configure(ctx, &Configure{Module: "t/a", Dir: dir, EntryPoint: "a.py", Timeout: 5}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.in.Write(append(bytes.ReplaceAll(text, []byte(`"configure"`), []byte(`"other"`)), '\n')); err != nil {
			t.Fatal(err)
		}
		r.next = 1 << 40
		if _, err := r.Fetch(ctx); err != nil {
			t.Fatalf("after %q: %v\n%s", text, err, r.stderr.String())
		}
	})
}
