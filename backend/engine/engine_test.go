package engine

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
	"go.uber.org/goleak"
)

// The key and the databases that the real system wrote, and modules of each kind.
const (
	contractDir = "../../testdata/contract/nexus"
	modulesDir  = "../../testdata/modules"
)

// patience bounds how long a test waits for something to come about.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv("OPSDECK_ENGINE_CHILD") != "" {
		child()
		return
	}
	if os.Getenv("OPSDECK_ENGINE_ROLL") != "" {
		rollbackChild()
		return
	}
	if os.Getenv("OPSDECK_ENGINE_RUN") != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func needPython(t testing.TB) {
	t.Helper()
	sourcetest.Program(t, "python3")
}

// rig is a running engine on a workspace of its own.
type rig struct {
	t      testing.TB
	dir    string
	e      *Engine
	cancel context.CancelFunc
	done   chan error

	mu   sync.Mutex
	snap state.Snapshot
	news chan struct{}
	puts map[state.SectionName]int
}

// newRig makes a workspace; files are written into it by name.
func newRig(t testing.TB, files map[string]string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), news: make(chan struct{}, 1), puts: map[state.SectionName]int{}}
	for name, text := range files {
		r.write(name, text)
	}
	return r
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o755
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) copyIn(from, to string) {
	r.t.Helper()
	if err := os.CopyFS(filepath.Join(r.dir, to), os.DirFS(from)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) copyFile(from, to string) {
	r.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(to, string(text))
}

func contractKey(t testing.TB) func() (string, error) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(contractDir, "MODULE_ENCRYPTION_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	return func() (string, error) { return string(key), nil }
}

// start runs the engine; it is stopped with the test.
func (r *rig) start(cfg Config) {
	r.t.Helper()
	cfg.Workspace = r.dir
	if cfg.Interval == 0 {
		cfg.Interval = 200 * time.Millisecond
	}
	if cfg.Scan == 0 {
		cfg.Scan = 50 * time.Millisecond
	}
	e, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.e, r.cancel, r.done = e, cancel, make(chan error, 1)
	go func() { r.done <- e.Run(ctx, r.put) }()
	r.t.Cleanup(r.stop)
}

func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case <-r.done:
	case <-time.After(patience):
		r.t.Error("the engine does not stop")
	}
}

func (r *rig) put(s state.Section) {
	r.mu.Lock()
	r.snap = *r.snap.With(r.snap.Version+1, time.Now(), state.WithHealth(s, state.Health{Status: state.OK}))
	r.puts[state.NameOf(s)]++
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *rig) snapshot() *state.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snap
	return &s
}

// until waits for a snapshot that is as wanted.
func (r *rig) until(what string, want func(*state.Snapshot) bool) *state.Snapshot {
	r.t.Helper()
	deadline := time.After(patience)
	for {
		s := r.snapshot()
		if want(s) {
			return s
		}
		select {
		case <-r.news:
		case <-deadline:
			text, _ := json.MarshalIndent(s.Modules, "", " ")
			r.t.Fatalf("waited %s for: %s\n%s", patience, what, text)
		}
	}
}

// module waits for a module that is as wanted.
func (r *rig) module(id, what string, want func(*state.Module) bool) *state.Module {
	r.t.Helper()
	var got *state.Module
	r.until(id+": "+what, func(s *state.Snapshot) bool {
		got = s.Modules.Module(id)
		return got != nil && want(got)
	})
	return got
}

func (r *rig) do(kind state.Kind, target string, args map[string]string, secret map[string]state.Secret) (state.Outcome, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.e.Execute(ctx, state.Action{Kind: kind, Target: target, Args: args, Secrets: secret}, nil)
}

func healthy(m *state.Module) bool { return m.Status == state.ModuleInstalled && m.Successes > 0 }

func TestModulesOfEveryShapeRun(t *testing.T) {
	needPython(t)
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	r.start(Config{Key: contractKey(t)})
	m := r.module("weather/openweather", "fetches", healthy)
	if m.Items != 1 || !strings.Contains(m.LastResult, "2026-02-11T00:00:00+00:00") {
		t.Errorf("got %d items, result %s", m.Items, m.LastResult)
	}
	if m.Credentials != state.CredentialsPresent || len(m.CredentialFields) != 1 || m.CredentialFields[0] != "api_key" {
		t.Errorf("credentials %s %v", m.Credentials, m.CredentialFields)
	}
	r.module("host/disk", "fetches", healthy)
	m = r.module("host/load", "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	if m.Reason == "" {
		t.Error("a module that waits to be enabled does not say so")
	}
	out, err := r.do(state.ModuleEnable, "host/load", nil, nil)
	if err != nil || !strings.Contains(out.Result, "fetched 3 items") || out.Undo == nil || out.Undo.Kind != state.ModuleDisable {
		t.Fatalf("enable: %+v, %v", out, err)
	}
	r.module("host/load", "fetches", func(m *state.Module) bool { return healthy(m) && m.Items == 3 && m.HealthWord == "healthy" })
	r.until("every stage has worked, and delivered both of host", func(s *state.Snapshot) bool {
		for _, st := range s.Pipeline.Stages {
			if st.Done < 3 { // other modules' jobs count as well
				return false
			}
		}
		cat, ok := r.e.Delivered().Category("host")
		return len(s.Pipeline.Stages) == 4 && ok && cat.Summary.Modules == 2
	})
	cat, ok := r.e.Delivered().Category("host")
	if !ok || cat.Summary.Modules != 2 || cat.Summary.Items != 4 || cat.Summary.Newest.IsZero() {
		t.Errorf("context: %+v", cat)
	}
}

// testLog writes the engine's log to the test's.
func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The routing configuration goes through the engine: an action reaches the file and the
// section, and a change on trial does not outlive the engine.
func TestRoutingRunsWithinTheEngine(t *testing.T) {
	const file = "config/routing_config.json"
	const before = `{"lidm_delegation_threshold": 0.7}`
	r := newRig(t, map[string]string{file: before})
	r.start(Config{Python: "none", Query: func(_ context.Context, q string) ([]routing.Sample, error) {
		if strings.Contains(q, "llm_provider_requests_total") {
			return []routing.Sample{{Labels: map[string]string{"provider": "local"}, Value: 3}}, nil
		}
		return nil, nil
	}})
	r.until("it is known, with its figures", func(s *state.Snapshot) bool {
		return s.Routing.Threshold == 0.7 && len(s.Routing.Providers) == 1 && s.Routing.Providers[0].Requests == 3
	})
	r.e.Routing().TapLog(time.Now(), `{"complexity": 0.9, "category": "coding"}`)
	if _, err := r.do(state.RoutingThreshold, "routing", map[string]string{"threshold": "0.9"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(state.RoutingApply, "routing", map[string]string{"confirm_within": "1h"}, nil); err != nil {
		t.Fatal(err)
	}
	r.until("it is on trial", func(s *state.Snapshot) bool { return s.Routing.Threshold == 0.9 && s.Routing.Trial != nil })
	r.stop()
	if got := read(t, filepath.Join(r.dir, file)); got != before {
		t.Errorf("after the engine's end the file is %q, want %q", got, before)
	}
	if got := read(t, filepath.Join(r.dir, "data/delegations.jsonl")); !strings.Contains(got, `"coding"`) {
		t.Errorf("the delegations are %q", got)
	}
}
