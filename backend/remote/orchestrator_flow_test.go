package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// documented is an orchestrator that speaks the guide's dialect alone.
type documented struct {
	mu     sync.Mutex
	stored map[string]map[string]any
	calls  []string
	// streams are those that were asked for, oldest first, each by what it sends, as it is.
	streams []chan string
}

func newDocumented() *documented {
	return &documented{stored: map[string]map[string]any{}}
}

// stream returns what the n-th stream sends, from 1, once it is asked for: one that its
// reader has left may not know of it yet.
func (d *documented) stream(t *testing.T, n int) (events chan<- string) {
	t.Helper()
	sourcetest.Until(t, fmt.Sprintf("stream %d is asked for", n), func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.streams) < n {
			return false
		}
		events = d.streams[n-1]
		return true
	})
	return events
}

func (d *documented) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.calls = append(d.calls, r.Method+" "+r.URL.Path)
	d.mu.Unlock()
	reply := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	platform, check := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/admin/credentials/"), "/check")
	switch key := r.Method + " " + r.URL.Path; {
	case key == "GET /health":
		reply(200, map[string]any{"status": "healthy"})
	case key == "GET /admin/modules":
		reply(200, map[string]any{"modules": []any{map[string]any{"category": "weather", "platform": "openweather", "status": "enabled", "required_credentials": []string{"api_key"}}}})
	case key == "POST /admin/modules/weather/openweather/reload":
		reply(200, map[string]any{"success": true})
	case key == "GET /context":
		reply(200, map[string]any{"weather": []any{1, 2}})
	case key == "POST /admin/credentials":
		var in struct {
			Platform    string
			Credentials map[string]any
		}
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &in)
		d.mu.Lock()
		d.stored[in.Platform] = in.Credentials
		d.mu.Unlock()
		reply(200, map[string]any{"status": "stored"})
	case strings.HasPrefix(r.URL.Path, "/admin/credentials/"):
		d.mu.Lock()
		defer d.mu.Unlock()
		fields := []string{}
		for k := range d.stored[platform] {
			fields = append(fields, k)
		}
		switch {
		case r.Method == http.MethodDelete:
			delete(d.stored, platform)
			reply(200, map[string]any{"message": "deleted"})
		case check:
			reply(200, map[string]any{"platform": platform, "valid": d.stored[platform]["api_key"] == "right", "checked_at": "2026-02-11T12:00:00Z"})
		default:
			reply(200, map[string]any{"platform": platform, "has_credentials": len(fields) > 0, "fields": fields})
		}
	case key == "GET /stream/pipeline-state":
		events := make(chan string)
		d.mu.Lock()
		d.streams = append(d.streams, events)
		d.mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case e := <-events:
				_, _ = io.WriteString(w, e)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		reply(404, map[string]any{"error": "Not Found", "details": "there is nothing at " + r.URL.Path, "timestamp": "2026-02-11T12:00:00Z"})
	}
}

// orchestrated returns a running hub with the orchestrator at a URL as its engine.
func orchestrated(t *testing.T, at string) *backend.Hub {
	t.Helper()
	o, err := NewOrchestrator(at, Access{}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	h := backend.New(backend.Options{}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func service(s *state.Snapshot, title string) state.Service {
	for _, x := range s.Pipeline.Services {
		if x.Title == title {
			return x
		}
	}
	return state.Service{}
}

func TestThePipelineStreamIsFollowedInBothShapes(t *testing.T) {
	d := newDocumented()
	srv := httptest.NewServer(d)
	defer srv.Close()
	defer srv.CloseClientConnections()
	h := orchestrated(t, srv.URL)
	sourcetest.Snapshot(t, h, "it is known by the other health call", func(s *state.Snapshot) bool { return service(s, "orchestrator").Word == "healthy" })

	// Named, with a comment, CRLF and data over two lines.
	events := d.stream(t, 1)
	events <- ": hello\r\n\r\nevent: pipeline-state\r\ndata: {\"services\": {\"llm\": {\"healthy\": true, \"latency_ms\": 12}},\r\n" +
		"data: \"modules\": [], \"pipeline_stages\": [\"ingest\",\"aggre\\u001b[2Jgate\"], \"timestamp\": \"2026-02-11T12:00:00Z\"}\r\n\r\n"
	s := sourcetest.Snapshot(t, h, "the documented shape is shown", func(s *state.Snapshot) bool { return len(s.Pipeline.Stages) == 2 })
	if x := service(s, "llm"); x.Word != "healthy" || x.LatencyMS != 12 || s.Pipeline.Stages[1].Title != "aggre^[[2Jgate" || s.Pipeline.Stages[0].Depth >= 0 {
		t.Errorf("pipeline = %+v", s.Pipeline)
	}
	// Without a name, as it is served; an event of another name is none of ours.
	events <- "event: other\ndata: {\"error\":\"not for us\"}\n\ndata: {\"services\": {\"dashboard\": {\"name\": \"dashboard\", \"state\": \"error\", \"latency_ms\": 5, \"status_code\": 502}, \"ui\": {\"state\": \"idle\"}}, \"adapters_count\": 4, \"timestamp\": 1770811200.5}\n\n"
	s = sourcetest.Snapshot(t, h, "the served shape is shown", func(s *state.Snapshot) bool { return service(s, "dashboard").Title != "" })
	if x := service(s, "dashboard"); x.Word != "unhealthy" || x.StatusCode != 502 || service(s, "ui").Word != "unknown" || s.Pipeline.Stream != "" || len(s.Pipeline.Stages) != 2 {
		t.Errorf("pipeline = %+v", s.Pipeline)
	}
	// What goes wrong is said, and clears nothing.
	for _, tt := range []struct{ event, says string }{
		{"data: {\"error\": \"no redis\", \"timestamp\": 1770811200.5}\n\n", "reports: no redis"},
		{"data: <html>\n\n", "sends what NEXUS does not"},
		{"data: " + strings.Repeat("x", maxEvent+1), "is not followed"},
	} {
		events <- tt.event
		s = sourcetest.Snapshot(t, h, "it says "+tt.says, func(s *state.Snapshot) bool { return strings.Contains(s.Pipeline.Stream, tt.says) })
		if len(s.Pipeline.Stages) != 2 || service(s, "dashboard").Title == "" {
			t.Errorf("%s cleared what was known: %+v", tt.says, s.Pipeline)
		}
	}
	// It is asked for again, since the last event was too large.
	d.stream(t, 2) <- "data: {\"services\": {}}\n\n"
	s = sourcetest.Snapshot(t, h, "it is followed again, and the context is there", func(s *state.Snapshot) bool { return s.Pipeline.Stream == "" && len(s.Pipeline.Reports) > 0 })
	if len(s.Pipeline.Reports) != 1 || s.Pipeline.Reports[0].Title != "context" {
		t.Errorf("reports = %+v, want the context alone", s.Pipeline.Reports)
	}
}

func TestCredentialsByTheDocumentedDialect(t *testing.T) {
	d := newDocumented()
	srv := httptest.NewServer(d)
	defer srv.Close()
	defer srv.CloseClientConnections()
	o, err := NewOrchestrator(srv.URL, Access{}, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	do := func(k state.Kind, key string) (state.Outcome, error) {
		return o.Execute(t.Context(), state.Action{Kind: k, Target: "weather/openweather", Secrets: map[string]state.Secret{"api_key": state.Secret(key)}}, func(string, float64) {})
	}
	if out, err := do(state.CredentialRotate, "right"); err != nil || !strings.Contains(out.Result, "says that they work") {
		t.Errorf("rotate: %+v, %v", out, err)
	}
	if _, err := do(state.CredentialRotate, "wr0ng-and-secret"); err == nil || !strings.Contains(err.Error(), "do not work") || !strings.Contains(err.Error(), "gives no old ones back") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("rotate with a wrong one: %v", err)
	}
	h := orchestrated(t, srv.URL)
	s := sourcetest.Snapshot(t, h, "the names of the fields are known", func(s *state.Snapshot) bool {
		m := s.Modules.Module("weather/openweather")
		return m != nil && len(m.CredentialFields) == 1
	})
	if m := s.Modules.List[0]; m.Status != state.ModuleInstalled || m.Credentials != state.CredentialsPresent || m.CredentialFields[0] != "api_key" {
		t.Errorf("module = %+v", m)
	}
	if _, err := do(state.CredentialDelete, ""); err != nil || len(d.stored) != 0 {
		t.Errorf("delete: %v, stored is %d", err, len(d.stored))
	}
	if _, err := do(state.ModuleEnable, ""); err == nil || !strings.Contains(err.Error(), "answers 404: Not Found: there is nothing at /admin/modules/weather/openweather/enable") {
		t.Errorf("an error in the documented form: %v", err)
	}
}

func TestAnOrchestratorThatMisbehavesIsDownWithItsReason(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"a web page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>welcome")
		}, "it answers a web page"},
		{"truncated", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"modules":[`)
		}, "the answer broke off"},
		{"huge", func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range maxAnswer>>20 + 1 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "larger than 16 MiB"},
		{"no token", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"detail":"Not authenticated"}`)
		}, "answers 401: Not authenticated: set the token with engine.token or OPSDECK_TOKEN"},
		{"sent on", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/login", http.StatusFound)
		}, "sends on to http://elsewhere.invalid/login, which is not followed"},
		{"another list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `"modules"`) }, "holds no list of modules"},
		{"an error page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			fmt.Fprint(w, "<html>nginx")
		}, "answers 502: a web page"},
		{"a long error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"detail":%q}`, strings.Repeat("ab", maxDetail))
		}, "abab..."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			_, err := Ask(t.Context(), srv.URL, Access{})
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > maxDetail+200 {
				t.Errorf("the error is %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestASlowCallDoesNotHideTheOthers: the routing configuration never comes.
func TestASlowCallDoesNotHideTheOthers(t *testing.T) {
	rec := newRecorded(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/routing-config" {
			<-r.Context().Done()
			return
		}
		rec.ServeHTTP(w, r)
	}))
	defer srv.Close()
	defer srv.CloseClientConnections()
	h := orchestrated(t, srv.URL)
	s := sourcetest.Snapshot(t, h, "the routing is told to hang", func(s *state.Snapshot) bool { return s.Routing.Problem != "" && len(s.Modules.List) > 0 })
	if len(s.Modules.List) != 3 || s.Modules.Health.Status != state.OK || !strings.Contains(s.Routing.Problem, "no answer in time") {
		t.Errorf("modules = %+v, routing = %+v", s.Modules.Health, s.Routing)
	}
}
