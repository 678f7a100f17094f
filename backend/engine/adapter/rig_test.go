package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"go.uber.org/goleak"
)

// patience bounds how long a test waits for something to come about.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needPython(t testing.TB) {
	t.Helper()
	sourcetest.Program(t, "python3")
}

func needProc(t testing.TB) {
	t.Helper()
	if !Forks {
		sourcetest.Missing(t, "a kernel with subreapers and parent-death signals")
	}
}

func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// launched returns a launcher, and the Python that its adapters run with.
func launched(t testing.TB) (*Launcher, Python) {
	t.Helper()
	l := New(t.TempDir(), time.Minute, testLog(t))
	t.Cleanup(l.Close)
	py, err := FindPython(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return l, py
}

// loaded returns the runner of an adapter, whose module is the text, and its launcher.
func loaded(t testing.TB, text string) (*Launcher, *Runner) {
	t.Helper()
	l, py := launched(t)
	return l, load(t, l, py, text)
}

func load(t testing.TB, l *Launcher, py Python, text string) *Runner {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adapter.py"), []byte("from shared.adapters.base import BaseAdapter\nfrom shared.adapters.registry import register_adapter\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := l.Start(ctx, py, Spec{dir, "adapter.py", Limits{Memory: DefaultMemory << 20}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Stop(false) })
	if err := r.Configure(ctx, &Configure{Module: "t/x", Category: "t", Platform: "x", Dir: dir, EntryPoint: "adapter.py", Timeout: 5}); err != nil {
		t.Fatal(err)
	}
	return r
}

// fetchedFrom returns what a fetch gives, without white space.
func fetchedFrom(t testing.TB, r *Runner) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := r.Fetch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, m.Data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
