package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// exposed is what a service of NEXUS exposes.
const exposed = `# HELP lidm_delegation_requests_total Delegations.
# TYPE lidm_delegation_requests_total counter
lidm_delegation_requests_total{tier="heavy",strategy="delegate"} 12
lidm_delegation_requests_total{tier="standard",strategy="direct"} 30
# TYPE llm_provider_latency_ms histogram
llm_provider_latency_ms_bucket{provider="local",le="100"} 3
llm_provider_latency_ms_bucket{provider="local",le="+Inf"} 4
llm_provider_latency_ms_sum{provider="local"} 512
llm_provider_latency_ms_count{provider="local"} 4
# TYPE process_open_fds gauge
process_open_fds 12
`

func relayOf(t *testing.T, targets ...Target) *Relay {
	t.Helper()
	return NewRelay(targets, time.Minute, func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }, slog.New(slog.DiscardHandler))
}

func serving(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// text returns what a gatherer gives, in the exposition format.
func text(t *testing.T, g prometheus.Gatherer) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestRelayedSeriesAreServedAndStoredWithTheirService(t *testing.T) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, exposed) }
	one, two := Target{Name: "llm", URL: serving(t, answer)}, Target{Name: "llm-2", URL: serving(t, answer)}
	r := relayOf(t, one, two)
	r.scrape(t.Context(), one)
	r.scrape(t.Context(), two)
	registry := prometheus.NewRegistry()
	own := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_own", Help: "x"})
	registry.MustRegister(own)
	both := prometheus.Gatherers{registry, r}
	got := text(t, both)
	for _, want := range []string{
		`lidm_delegation_requests_total{service="llm",strategy="delegate",tier="heavy"} 12`,
		`lidm_delegation_requests_total{service="llm-2",strategy="direct",tier="standard"} 30`,
		`llm_provider_latency_ms_bucket{provider="local",service="llm",le="+Inf"} 4`,
		`opsdeck_relay_up{service="llm"} 1`, "nexus_own 0",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "process_open_fds") {
		t.Error("what is not asked for is relayed")
	}
	s := NewStore(both, slog.New(slog.DiscardHandler))
	if _, err := s.Open(t.TempDir(), time.Hour); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	if err := s.Sample(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	v, err := s.Query(t.Context(), `sum by (tier) (lidm_delegation_requests_total{tier="heavy"})`, now)
	if err != nil || len(v) != 1 || v[0].F != 24 {
		t.Errorf("got %v, %v; want 24", v, err)
	}
}

func TestServiceThatGoesTakesItsSeriesWithIt(t *testing.T) {
	var down atomic.Bool
	target := Target{Name: "llm", URL: serving(t, func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, exposed)
	})}
	r := relayOf(t, target)
	r.scrape(t.Context(), target)
	down.Store(true)
	r.scrape(t.Context(), target)
	if got := text(t, r); !strings.Contains(got, `opsdeck_relay_up{service="llm"} 0`) || !strings.Contains(got, "lidm_delegation") {
		t.Errorf("one missed scrape: %s", got)
	}
	r.mu.Lock()
	last := r.last["llm"]
	last.at = last.at.Add(-relayStale*r.interval - time.Second)
	r.last["llm"] = last
	r.mu.Unlock()
	if got := text(t, r); strings.Contains(got, "lidm_delegation") {
		t.Errorf("figures of long ago are served as of now: %s", got)
	}
}

func TestTargetsThatMisbehaveAreRefusedWithAReason(t *testing.T) {
	for _, c := range []struct {
		name string
		do   http.HandlerFunc
		want string
	}{
		{"html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }, "is not the exposition format"},
		{"missing", http.NotFound, "answers 404"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "answers 302"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			line := strings.Repeat("lidm_x 1\n", 1<<10)
			for range 2 << 10 {
				if _, err := io.WriteString(w, line); err != nil {
					return
				}
			}
		}, "more than 8 MiB"},
		{"many", func(w http.ResponseWriter, _ *http.Request) {
			for i := range relaySeries + 1 {
				fmt.Fprintf(w, "lidm_x{i=\"%d\"} 1\n", i)
			}
		}, "more than 5000 series"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := Target{Name: c.name, URL: serving(t, c.do)}
			r := relayOf(t, target)
			if _, err := r.Fetch(context.Background(), target); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
}

func FuzzRelay(f *testing.F) {
	f.Add(exposed)
	f.Add("lidm_x{a=\"\\xff\"} NaN 5\n# TYPE lidm_x summary\n")
	f.Fuzz(func(t *testing.T, body string) {
		target := Target{Name: "x", URL: "http://relay.test/", Match: []string{""}}
		r := relayOf(t, target)
		r.client.Transport = answers(body)
		families, err := r.Fetch(context.Background(), target)
		if err != nil {
			return
		}
		r.last["x"] = scraped{families: families, at: time.Now(), up: true}
		if _, err := r.Gather(); err != nil {
			t.Error(err)
		}
	})
}

// answers is a server that always answers the same.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}
