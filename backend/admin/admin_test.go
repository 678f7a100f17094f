package admin_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/metrics"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// key is the MODULE_ENCRYPTION_KEY of the tests' own stores.
const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func needPython(t testing.TB) {
	t.Helper()
	sourcetest.Program(t, "python3")
}

// shellManifest and shellAdapter are a module that needs no Python. It works with
// the API key "right-key-123" alone, where KEYED is put in.
const (
	shellManifest = `{"name":"%[2]s","version":"1.0.0","category":"%[1]s","platform":"%[2]s","entry_point":"adapter.sh","status":"installed","interval_seconds":3600}`
	shellAdapter  = `#!/bin/sh
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*)
      case $line in *'"api_key":"right-key-123"'*) ok=1 ;; *) ok= ;; esac
      echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*)
      if [ KEYED = open ] || [ "$ok" ]; then echo '{"op":"result","data":[{"n":1}]}'; else echo '{"op":"error","error":"the server answers 401 Unauthorized"}'; fi ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`
)

// shell returns the files of a module in sh; keyed ones need the right key.
func shell(id string, keyed bool) map[string]string {
	category, platform, _ := strings.Cut(id, "/")
	how := "open"
	if keyed {
		how = "keyed"
	}
	return map[string]string{
		"modules/" + id + "/manifest.json": fmt.Sprintf(shellManifest, category, platform),
		"modules/" + id + "/adapter.sh":    strings.ReplaceAll(shellAdapter, "KEYED", how),
	}
}

// figures is a source of sections that are what a test says.
type figures struct{ secs []state.Section }

func (figures) Name() string { return "figures" }

func (f figures) Sections() (names []state.SectionName) {
	for _, s := range f.secs {
		names = append(names, state.NameOf(s))
	}
	return names
}

func (f figures) Run(ctx context.Context, put func(state.Section)) error {
	for _, s := range f.secs {
		put(s)
	}
	<-ctx.Done()
	return ctx.Err()
}

// rig is the API in front of a real hub and engine.
type rig struct {
	t      testing.TB
	dir    string
	hub    *backend.Hub
	engine *engine.Engine
	api    *admin.Server
	auth   *admin.Authenticator
	tokens *admin.Tokens
	store  *metrics.Store
	url    string
	client *http.Client
	token  string

	// heard is everything that was ever answered, and what was logged.
	mu    sync.Mutex
	heard bytes.Buffer
	log   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// options change a rig before it starts.
type options struct {
	token    string
	listen   string
	hosts    []string
	owner    func(client, server netip.AddrPort) (int, error)
	locked   bool
	sections []state.Section
}

func newRig(t testing.TB, o options, files ...map[string]string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), token: o.token}
	for _, set := range files {
		for name, text := range set {
			path := filepath.Join(r.dir, name)
			mode := fs.FileMode(0o644)
			if strings.HasSuffix(name, ".sh") {
				mode = 0o755
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	mask := &secrets.Mask{}
	keys := func() (string, error) { return key, nil }
	if o.locked {
		keys = func() (string, error) { return "", fmt.Errorf("MODULE_ENCRYPTION_KEY is not set") }
	}
	var err error
	if r.engine, err = engine.New(engine.Config{Workspace: r.dir, Key: keys, Mask: mask, Log: log, Scan: 50 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(r.dir, "data", "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sources := []state.Source{r.engine}
	if len(o.sections) > 0 {
		sources = append(sources, figures{o.sections})
	}
	r.hub = backend.New(backend.Options{Journal: j, Log: log, Mask: mask.Mask, Settle: time.Millisecond,
		Workspace: state.Workspace{Title: "test", Version: "1.2.3", Started: time.Now()}}, sources...)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(r.hub.Latest), r.engine.Collector())
	r.store = metrics.NewStore(registry, log)
	if _, err := r.store.Open(filepath.Join(r.dir, "data", "metrics"), time.Hour); err != nil {
		t.Fatal(err)
	}
	r.tokens = admin.NewTokens(filepath.Join(r.dir, "data", admin.TokensFile), log)
	r.hub.AddExecutor(r.tokens)
	r.auth = admin.NewAuthenticator(admin.AuthConfig{Tokens: r.tokens, Token: o.token, Hosts: o.hosts, Latest: r.hub.Latest, Mask: mask, Log: log, Owner: o.owner})
	r.api = admin.New(admin.Config{Hub: r.hub, Engine: r.engine, Authenticator: r.auth, Metrics: registry, Mask: mask.Mask, Log: log})

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.hub.Run(ctx) }()
	srv := httptest.NewUnstartedServer(r.auth.Guard(cmp.Or(o.listen, "127.0.0.1:8003"), r.api))
	srv.Config.ConnContext = r.auth.Connect
	srv.Start()
	r.url, r.client = srv.URL, srv.Client()
	t.Cleanup(func() {
		srv.Close()
		cancel()
		<-done
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
		j.Close()
	})
	modules := 0
	for _, set := range files {
		for name := range set {
			if strings.HasSuffix(name, "/manifest.json") {
				modules++
			}
		}
	}
	r.until("the engine has looked at its modules", func(s *state.Snapshot) bool {
		if s.Modules.Health.Status != state.OK || len(s.Modules.List) < modules {
			return false
		}
		for _, m := range s.Modules.List {
			if m.Status == state.ModulePending || m.Status == state.ModuleInstalled && m.LastFetch.IsZero() {
				return false
			}
		}
		return true
	})
	return r
}

// until waits for a snapshot that ok holds of.
func (r *rig) until(what string, ok func(*state.Snapshot) bool) *state.Snapshot {
	r.t.Helper()
	return sourcetest.Snapshot(r.t, r.hub, what, ok)
}

// request makes one request; edit, if not nil, changes it first.
func (r *rig) request(method, path, body string, edit func(*http.Request)) (int, string, http.Header) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(&r.heard, resp.Header, string(b))
	return resp.StatusCode, string(b), resp.Header
}

// call makes one request and reads its answer as JSON.
func (r *rig) call(method, path, body string) (int, map[string]any) {
	r.t.Helper()
	status, text, _ := r.request(method, path, body, nil)
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		r.t.Fatalf("%s %s answers %d with %q, which is not a JSON object: %v", method, path, status, text, err)
	}
	return status, v
}

// nowhere fails where a secret is found in an answer, the log, the journal, the
// snapshot or any file of the workspace.
func (r *rig) nowhere(secret string) {
	r.t.Helper()
	r.mu.Lock()
	heard := r.heard.String()
	r.mu.Unlock()
	snap, err := json.Marshal(r.hub.Latest())
	if err != nil {
		r.t.Fatal(err)
	}
	for where, text := range map[string]string{"an answer": heard, "the log": r.log.String(), "the snapshot": string(snap)} {
		if strings.Contains(text, secret) {
			r.t.Errorf("%q is in %s", secret, where)
		}
	}
	err = filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) && !strings.HasSuffix(path, "adapter.sh") && filepath.Base(filepath.Dir(path)) != "blobs" { // which has copies of that
			r.t.Errorf("%q is in %s", secret, path)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
