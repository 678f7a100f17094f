package routing

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
	"go.uber.org/goleak"
)

// contractDir has what the real system wrote.
const contractDir = "../../testdata/contract/nexus"

// patience bounds how long a test waits for something to come about.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv("OPSDECK_ROUTING_TRIAL"); dir != "" {
		trialChild(dir)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// rig is a running service on a workspace of its own, which looks at its file as
// often as an engine in a test does.
type rig struct {
	t    testing.TB
	dir  string
	e    *Service
	stop func()

	mu   sync.Mutex
	snap state.Snapshot
	news chan struct{}
}

// newRig makes a workspace; files are written into it by name.
func newRig(t testing.TB, files map[string]string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), news: make(chan struct{}, 1), stop: func() {}}
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
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		r.t.Fatal(err)
	}
}

// configIn returns that of a service on the workspace in dir.
func configIn(dir string) Config {
	return Config{
		File: filepath.Join(dir, routingFile), DataDir: filepath.Join(dir, "data"), Mask: (&secrets.Mask{}).Mask, Changed: func() {}, Log: slog.New(slog.DiscardHandler),
		Rel: func(path string) string {
			if rel, err := filepath.Rel(dir, path); err == nil {
				return rel
			}
			return path
		},
	}
}

// start runs the service; it is stopped with the test.
func (r *rig) start(query func(context.Context, string) ([]Sample, error)) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Join(r.dir, "data"), 0o755); err != nil { // as the registry does
		r.t.Fatal(err)
	}
	cfg := configIn(r.dir)
	cfg.Query, cfg.Log = query, slog.New(slog.NewTextHandler(r.t.Output(), nil))
	changed := make(chan struct{}, 1)
	cfg.Changed = func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	e, err := New(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.e = e
	e.Open(time.Now())
	r.put(e.Section())
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })
	wg.Go(func() { every(ctx, 50*time.Millisecond, func() { e.Scan(time.Now()) }) })
	wg.Go(func() {
		for {
			select {
			case <-changed:
				r.put(e.Section())
			case <-ctx.Done():
				return
			}
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := e.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(func() { r.stop() })
}

func (r *rig) put(s state.Section) {
	r.mu.Lock()
	r.snap = *r.snap.With(r.snap.Version+1, time.Now(), state.WithHealth(s, state.Health{Status: state.OK}))
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
			text, _ := json.MarshalIndent(s.Routing, "", " ")
			r.t.Fatalf("waited %s for: %s\n%s", patience, what, text)
		}
	}
}

func (r *rig) do(kind state.Kind, target string, args map[string]string) (state.Outcome, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.e.Execute(ctx, state.Action{Kind: kind, Target: target, Args: args})
}
