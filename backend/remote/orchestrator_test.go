package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

// recorded answers exactly as the real admin API did: what was recorded last for
// a method and path.
type recorded struct {
	t     *testing.T
	mu    sync.Mutex
	calls []string
	pairs map[string]pair
}

type pair struct {
	Request struct {
		Method, Path string
	}
	Response struct {
		Status int
		Body   json.RawMessage
	}
}

func newRecorded(t *testing.T) *recorded {
	files, err := filepath.Glob("../../testdata/contract/nexus/admin-api/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("the recorded calls are missing", err)
	}
	r := &recorded{t: t, pairs: map[string]pair{}}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var p pair
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatal(f, err)
		}
		key := p.Request.Method + " " + p.Request.Path
		if _, ok := r.pairs[key]; !ok {
			r.pairs[key] = p
		}
	}
	return r
}

func (r *recorded) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	key := req.Method + " " + req.URL.Path
	r.mu.Lock()
	r.calls = append(r.calls, key)
	r.mu.Unlock()
	p, ok := r.pairs[key]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"detail":"Not Found"}`))
		return
	}
	w.WriteHeader(p.Response.Status)
	_, _ = w.Write(p.Response.Body)
}

func (r *recorded) called(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c == key {
			return true
		}
	}
	return false
}

func TestOrchestratorShowsWhatTheRecordedServiceSends(t *testing.T) {
	rec := newRecorded(t)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	o, err := NewOrchestrator(srv.URL, Access{}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	puts := make(chan state.Section, 16)
	done := make(chan error, 1)
	go func() {
		done <- o.Run(ctx, func(s state.Section) {
			select {
			case puts <- s:
			default:
			}
		})
	}()
	m := (<-puts).(state.Modules)
	if len(m.List) != 3 {
		t.Fatalf("%d modules, want the 3 recorded ones", len(m.List))
	}
	hello := m.Module("test/hello")
	if hello == nil || hello.Status != state.ModuleInstalled || hello.Runner != "running" || hello.Version != "1.0.0" || hello.HealthWord != "healthy" {
		t.Errorf("test/hello = %+v", hello)
	}
	for _, spec := range state.Specs() { // also those that nobody thought of here
		own := slices.Contains(o.Sections(), spec.Section)
		if can := slices.Contains(o.Kinds(), spec.Kind); own && can == (m.Cannot[spec.Kind] != "") || !own && m.Cannot[spec.Kind] != "" {
			t.Errorf("%s: among its kinds is %v, and the reason against it %q", spec.Kind, can, m.Cannot[spec.Kind])
		}
	}
	if r := (<-puts).(state.Routing); r.Categories != 13 || r.Tiers != 2 || r.Problem != "" {
		t.Errorf("routing = %+v", r)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOrchestratorActsThroughEitherDialectAndSaysWhatWasAnswered(t *testing.T) {
	rec := newRecorded(t)
	srv := httptest.NewServer(rec)
	defer srv.Close()
	o, err := NewOrchestrator(srv.URL, Access{}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	do := func(k state.Kind, target string) (state.Outcome, error) {
		return o.Execute(t.Context(), state.Action{Kind: k, Target: target, Secrets: map[string]state.Secret{"api_key": "x"}}, func(string, float64) {})
	}
	out, err := do(state.ModuleDisable, "test/hello")
	if err != nil || out.Result != "Module test/hello disabled" || out.Undo == nil || out.Undo.Kind != state.ModuleEnable {
		t.Errorf("disable: %+v, %v", out, err)
	}
	if _, err := do(state.ModuleReload, "x/y"); err == nil || !strings.Contains(err.Error(), "500: Module not found: x/y") {
		t.Errorf("reload of what is not there: %v", err)
	}
	if _, err := do(state.CredentialSet, "showroom/metrics_demo"); err == nil || !strings.HasSuffix(err.Error(), "answers 500: the service dashboard:8001 behind it does not answer: Name or service not known") {
		t.Errorf("storing credentials while the dashboard is down: %v", err)
	}
	if _, err := do(state.CredentialSet, "weather/openweather"); err == nil || !rec.called("POST /admin/credentials") {
		t.Errorf("the documented call was not tried where the recorded one is missing: %v", err)
	}
	if out, err := do(state.RoutingReload, "routing"); err != nil || !strings.Contains(out.Result, "reloaded") {
		t.Errorf("reload of the routing: %+v, %v", out, err)
	}
	for _, tt := range []struct {
		args map[string]string
		call string
		ok   bool
	}{
		{map[string]string{"category": "finance", "patch": `{"tier":"heavy","priority":"high"}`}, "PATCH /admin/routing-config/category/finance", true},
		{map[string]string{"category": "search", "delete": "true"}, "DELETE /admin/routing-config/category/search", true},
		{map[string]string{"category": "nope", "delete": "true"}, "DELETE /admin/routing-config/category/nope", false},
		{map[string]string{"config": `{"categories":{"x":{"tier":5,"max_latency_ms":"soon"}}}`}, "PUT /admin/routing-config", false},
	} {
		out, err := o.Execute(t.Context(), state.Action{Kind: state.RoutingSet, Target: "routing", Args: tt.args}, func(string, float64) {})
		if (err == nil) != tt.ok || !rec.called(tt.call) || tt.ok && (out.Undo == nil || !strings.Contains(out.Undo.Args["config"], `"categories"`)) {
			t.Errorf("%v: %+v, %v", tt.args, out, err)
		}
	}
	if out, err := do(state.ModuleUninstall, "gaming/testgame"); err != nil || !strings.Contains(out.Result, "uninstalled") {
		t.Errorf("uninstall: %+v, %v", out, err)
	}
	if _, err := DialHTTP(t.Context(), srv.URL, Access{}, state.Actor{User: "ada"}); !errors.Is(err, ErrNotOpsdeck) {
		t.Errorf("attaching as to opsdeck: %v, want ErrNotOpsdeck", err)
	}
	srv.Close()
	if err := o.Run(t.Context(), func(state.Section) {}); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("a service that is gone: %v", err)
	}
}

func TestCredentialsGoToTheOrchestratorAloneAndAreNotQuoted(t *testing.T) {
	strangers := make(chan string, 10)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		strangers <- r.Header.Get("Authorization") + string(b)
	}))
	defer stranger.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "moved") {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
			return
		}
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]any{"detail": []any{map[string]any{"msg": "wrong", "input": json.RawMessage(b)}}})
	}))
	defer srv.Close()
	o, err := NewOrchestrator(srv.URL, Access{Token: "token-4711"}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"a/moved", "a/b"} {
		for _, secret := range []map[string]state.Secret{{"api_key": `sw"ordfish-1`, "pin": "4712"}, {"@json": `{"api_key":"sw\"ordfish-1","more":["4712"]}`}} {
			_, err = o.Execute(t.Context(), state.Action{Kind: state.CredentialSet, Target: target, Secrets: secret}, func(string, float64) {})
			if err == nil || strings.Contains(err.Error(), "ordfish") || strings.Contains(err.Error(), "4712") {
				t.Errorf("%s: error = %v, want one without the values", target, err)
			}
		}
	}
	select {
	case got := <-strangers:
		t.Errorf("a stranger was sent %q", got)
	default:
	}
}

func TestATokenDoesNotFollowARedirect(t *testing.T) {
	strangers := make(chan string, 10)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { strangers <- r.Header.Get("Authorization") }))
	defer stranger.Close()
	srv := httptest.NewServer(http.RedirectHandler(stranger.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	if c, err := DialHTTP(t.Context(), srv.URL, Access{Token: "token-4711"}, state.Actor{}); err == nil {
		c.Close()
		t.Error("attached to what is not opsdeck")
	}
	select {
	case got := <-strangers:
		t.Errorf("a stranger was sent %q", got)
	default:
	}
}

// A change of routing is staged here and put there as a whole; the orchestrator hears
// nothing of it before.
func TestRoutingIsStagedHereAndAppliedThere(t *testing.T) {
	var mu sync.Mutex
	config, puts := `{"lidm_delegation_threshold": 0.7, "mine": [1], "categories": {"finance": {"tier": "standard"}}, "tiers": {"heavy": {"priority": 1}, "standard": {"priority": 2}}}`, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			config = string(b)
			puts++
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, config)
	}))
	defer srv.Close()
	o, err := NewOrchestrator(srv.URL, Access{}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	do := func(kind state.Kind, target string, args map[string]string) (state.Outcome, error) {
		return o.Execute(t.Context(), state.Action{Kind: kind, Target: target, Args: args, Actor: state.Actor{User: "ada"}}, func(string, float64) {})
	}
	s := o.routing(t.Context())
	if r := s.Row("category/finance"); r == nil || r.Tier != "standard" || len(r.Goes) != 2 || s.Row("tier/heavy") == nil || s.Threshold != 0.7 || s.Staged != nil {
		t.Fatalf("got %+v", s)
	}
	if _, err := do(state.RoutingRoute, "category/finance", map[string]string{"tier": "heavy"}); err != nil {
		t.Fatal(err)
	}
	if _, err := do(state.RoutingThreshold, "routing", map[string]string{"threshold": "7"}); err == nil || !strings.Contains(err.Error(), "lidm_delegation_threshold") {
		t.Errorf("got %v", err)
	}
	s = o.routing(t.Context())
	if s.Staged == nil || !strings.Contains(s.Staged.Diff, `+      "tier": "heavy"`) || puts != 0 {
		t.Fatalf("got %+v, %d puts", s.Staged, puts)
	}
	if _, err := do(state.RoutingApply, "routing", map[string]string{"confirm_within": "2m"}); err == nil || !strings.Contains(err.Error(), "undoes nothing by itself") {
		t.Errorf("got %v", err)
	}
	out, err := do(state.RoutingApply, "routing", map[string]string{"staged": s.Staged.Tag})
	if err != nil || out.Undo == nil || puts != 1 || !strings.Contains(config, `"tier":"heavy"`) || !strings.Contains(config, `"mine"`) {
		t.Errorf("got %+v, %v; %d puts of %s", out, err, puts, config)
	}
	if _, err := do(state.RoutingApply, "routing", nil); err == nil || !strings.Contains(err.Error(), "nothing is staged") {
		t.Errorf("got %v", err)
	}
	// Another client changes it while something is staged.
	if _, err := do(state.RoutingRoute, "category/finance", map[string]string{"tier": "standard"}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	config = `{"lidm_delegation_threshold": 0.2}`
	mu.Unlock()
	if _, err := do(state.RoutingApply, "routing", nil); err == nil || !strings.Contains(err.Error(), "was changed since") || puts != 1 {
		t.Errorf("got %v, %d puts", err, puts)
	}
	if _, err := do(state.RoutingDiscard, "routing", nil); err != nil {
		t.Error(err)
	}
	why := o.disabledReason()
	if why[state.RoutingConfirm] == "" || why[state.RoutingRollback] == "" || why[state.RoutingTest] == "" || why[state.RoutingApply] != "" {
		t.Errorf("got %v", why)
	}
}
