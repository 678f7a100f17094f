package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"go.uber.org/goleak"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time of the first sample.
var start = time.Date(2026, 2, 11, 3, 0, 0, 0, time.UTC)

// bench is a store over whatever snapshot a test sets.
type bench struct {
	t        testing.TB
	snap     *state.Snapshot
	registry *prometheus.Registry
	store    *Store
	at       time.Time
}

func newBench(t testing.TB, s *state.Snapshot) *bench {
	t.Helper()
	b := &bench{t: t, snap: s, registry: prometheus.NewRegistry(), at: start}
	b.registry.MustRegister(NewCollector(func() *state.Snapshot { return b.snap }))
	b.store = NewStore(b.registry, slog.New(slog.DiscardHandler))
	if warning, err := b.store.Open(filepath.Join(t.TempDir(), "metrics"), time.Hour); warning != "" || err != nil {
		t.Fatal(warning, err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// sample samples, and then lets 15 seconds pass.
func (b *bench) sample() {
	b.t.Helper()
	if err := b.store.Sample(context.Background(), b.at); err != nil {
		b.t.Fatal(err)
	}
	b.at = b.at.Add(15 * time.Second)
}

// query gives "label=value" for each result, sorted, at the time of the last sample.
func (b *bench) query(expr, label string) string {
	b.t.Helper()
	v, err := b.store.Query(context.Background(), expr, b.at.Add(-15*time.Second))
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, s := range v {
		out = append(out, fmt.Sprintf("%s=%.6g", s.Metric.Get(label), s.F))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

var ok = state.Health{Status: state.OK}

// full has something in every section.
func full() *state.Snapshot {
	return &state.Snapshot{
		Modules: state.Modules{Health: ok, List: []state.Module{
			{Category: "weather", Platform: "openweather", Status: state.ModuleFailed, Successes: 7, Failures: 3},
			{Category: "host", Platform: "load", Status: state.ModuleInstalled, Successes: 10, LastOK: start},
			{Category: "host", Platform: "disk", Status: state.ModuleDisabled},
			{Category: "host", Platform: "new", Status: state.ModulePending},
		}},
		Pipeline: state.Pipeline{Health: ok, Stages: []state.Stage{{Title: "ingest", Depth: 3, InFlight: 1, P95: 250}}},
		Services: state.Services{Health: ok, List: []state.Service{
			{Title: "api", URL: "http://api/health", Word: "healthy", LatencyMS: 20, Checked: start},
			{Title: "db", URL: "tcp://db", Word: "down", Checked: start}, {Title: "new", URL: "tcp://new"},
			{Title: "api", URL: "http://api/health", Word: "down", Checked: start}, // named twice
		}},
		Containers: state.Containers{Health: ok, List: []state.Container{
			{ID: "c1", Title: "orchestrator", Image: "nexus:1", Project: "nexus", Service: "orchestrator", State: "running", HealthWord: "healthy", Restarts: 2,
				CPUSeconds: 100, MemUsage: 300, MemBytes: 200, MemLimit: 1000, NetRx: 5, NetTx: -1, PIDs: 4, BlkRead: math.NaN(), BlkWrite: math.Inf(1), Sampled: start, Started: start},
			{ID: "c2", Title: "old", State: "exited"},
		}},
		Queues: state.Queues{Health: ok, List: []state.Queue{
			{Key: "task:queue", Kind: "list", Depth: 40, Oldest: 90 * time.Second}, {Key: "task:queue:failed", Kind: "list", Depth: 2, Oldest: -1},
			{Key: "odd", Kind: "list", Err: "WRONGTYPE"}, {Key: "\xff\xfe", Kind: "list", Depth: 1, Oldest: -1},
		}},
		Logs: state.Logs{Health: ok, Sources: []state.LogSource{{ID: "file:/a", Kind: "file", Title: "logs/a.log", Lines: 100, Errors: 7}, {ID: "container:c1", Kind: "container", Title: "c1"}}},
		Host: state.Host{Health: ok, CPUSeconds: map[string]float64{"user": 5, "idle": 50}, Load1: 0.5, Load5: 0.4, Load15: 0.3, Cores: 2,
			MemTotal: 1000, MemUsed: 400, SwapTotal: -1, SwapUsed: -1, Disks: []state.Disk{
				{Device: "/dev/sda", FSType: "ext4", Mount: "/", Total: 100, Avail: 5}, {Device: "/dev/sda", FSType: "ext4", Mount: "/", Total: 100, Avail: 5}}},
		Alerts: state.Alerts{Health: state.Health{Status: state.Stale}}, Routing: state.Routing{Health: state.Health{Status: state.Absent}},
		Workspace: state.Workspace{Health: ok}, Actions: state.Actions{Health: ok}, Journal: state.Journal{Health: state.Health{Status: state.Down}},
	}
}

func TestEverySectionBecomesSeries(t *testing.T) {
	b := newBench(t, full())
	b.sample()
	for _, tt := range []struct{ expr, label, want string }{
		{`nexus_module_status`, "platform", "disk=0 load=1 new=0 openweather=2"},
		{`nexus_module_fetch_success_total`, "platform", "disk=0 load=10 new=0 openweather=7"},
		{`nexus_module_fetch_failure_total > 0`, "platform", "openweather=3"},
		{`nexus_module_last_success_timestamp_seconds`, "platform", fmt.Sprintf("load=%.6g", float64(start.Unix()))},
		{`opsdeck_pipeline_stage_depth`, "stage", "ingest=3"},
		{`opsdeck_pipeline_stage_p95_seconds`, "stage", "ingest=0.25"},
		{`probe_success`, "job", "api=1 db=0"},
		{`probe_duration_seconds{job="api"}`, "job", "api=0.02"},
		{`container_cpu_usage_seconds_total`, "name", "orchestrator=100"},
		{`container_memory_usage_bytes`, "name", "orchestrator=300"},
		{`container_memory_working_set_bytes / container_spec_memory_limit_bytes`, "name", "orchestrator=0.2"},
		{`container_network_receive_bytes_total`, "name", "orchestrator=5"},
		{`container_network_transmit_bytes_total`, "name", ""}, // unknown
		{`container_fs_reads_bytes_total`, "name", ""},
		{`container_fs_writes_bytes_total`, "name", ""},
		{`opsdeck_container_state`, "state", "exited=1 running=1"},
		{`opsdeck_container_restarts_total{compose_project="nexus",compose_service="orchestrator"}`, "image", "nexus:1=2"},
		{`opsdeck_queue_depth`, "queue", "task:queue:failed=2 task:queue=40 \uFFFD=1"},
		{`opsdeck_queue_oldest_seconds`, "queue", "task:queue=90"},
		{`opsdeck_log_error_lines_total`, "source", "logs/a.log=7"},
		{`node_cpu_seconds_total`, "mode", "idle=50 user=5"},
		{`node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes`, "", "=0.6"},
		{`node_memory_SwapTotal_bytes`, "", ""},
		{`node_filesystem_avail_bytes / node_filesystem_size_bytes`, "mountpoint", "/=0.05"},
		{`node_load1 > 2 * opsdeck_host_cores`, "", ""},
		{`opsdeck_source_up == 0`, "section", "alerts=0 journal=0"},
		{`count(opsdeck_source_up == 1)`, "", "=10"},
		{`opsdeck_source_up{section="routing"}`, "section", ""},
	} {
		if got := b.query(tt.expr, tt.label); got != tt.want && !strings.Contains(tt.expr, "source_up == 1") {
			t.Errorf("%s gives %q, want %q", tt.expr, got, tt.want)
		}
	}
	if got, want := b.query(`count(opsdeck_source_up == 1)`, ""), fmt.Sprintf("=%d", len(state.SectionNames())-3); got != want {
		t.Errorf("%s sections are up, want %s", got, want)
	}
}

// TestQueriesOfTheGuide asks what the operations guide and the real rule file ask,
// over ten minutes of samples.
func TestQueriesOfTheGuide(t *testing.T) {
	s := full()
	b := newBench(t, s)
	validations := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_module_validations_total"}, []string{"result"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "llm_provider_latency_ms", Buckets: []float64{10, 100, 1000}}, []string{"provider"})
	quantiles := prometheus.NewSummary(prometheus.SummaryOpts{Name: "grpc_request_duration_ms", Objectives: map[float64]float64{0.5: 0.05}})
	b.registry.MustRegister(validations, latency, quantiles)
	quantiles.Observe(5)
	for i := range 41 { // 10 minutes
		validations.WithLabelValues("failure").Add(3)
		latency.WithLabelValues("local").Observe(float64(50 + 10*(i%2)))
		next := full()
		next.Containers.List[0].CPUSeconds = 100 + float64(i)*12 // 80 % of a core
		b.snap = next
		b.sample()
	}
	for _, tt := range []struct{ expr, label, want string }{
		{`nexus_module_status{status="failed"}`, "platform", "openweather=2"},
		{`nexus_module_status == 2`, "platform", "openweather=2"},
		{`count(nexus_module_status{status="failed"}) > 0`, "", "=1"},
		{`rate(nexus_module_validations_total{result="failure"}[5m])`, "result", "failure=0.2"},
		{`increase(nexus_module_validations_total{result="failure"}[5m]) > 5`, "result", "failure=60"},
		{`container_cpu_usage_seconds_total{name=~"orchestrator|dashboard"}`, "name", "orchestrator=580"},
		{`rate(container_cpu_usage_seconds_total{name=~".+"}[5m]) > 0.7`, "name", "orchestrator=0.8"},
		{`sum by (name) (rate(container_cpu_usage_seconds_total[5m])) * 100`, "name", "orchestrator=80"},
		{`container_memory_usage_bytes{name=~"orchestrator"} / container_spec_memory_limit_bytes * 100`, "name", "orchestrator=30"},
		{`histogram_quantile(0.95, rate(llm_provider_latency_ms_bucket[5m]))`, "provider", "local=95.5"},
		{`rate(llm_provider_latency_ms_sum[5m]) / rate(llm_provider_latency_ms_count[5m])`, "provider", "local=54.7368"}, // 9 of 60, 10 of 50
		{`grpc_request_duration_ms{quantile="0.5"}`, "quantile", "0.5=5"},
		{`1 + 1`, "", "=2"},
		{`absent(nothing)`, "", "=1"},
	} {
		if got := b.query(tt.expr, tt.label); got != tt.want {
			t.Errorf("%s gives %q, want %q", tt.expr, got, tt.want)
		}
	}
	for _, expr := range []string{`rate(x[5m]`, `{}`, `x[5m]`, `"text"`} {
		if _, err := b.store.Query(context.Background(), expr, b.at); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("query %q", expr)) {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

// TestWhatIsGoneIsStaleAtOnce and not after the five minutes that a query looks back.
func TestWhatIsGoneIsStaleAtOnce(t *testing.T) {
	b := newBench(t, full())
	b.sample()
	next := full()
	next.Modules.List[0].Status = state.ModuleInstalled // its status label changes
	next.Containers.List = nil                          // it was removed
	next.Queues.Health.Status = state.Stale             // Redis does not answer: unknown is not zero
	next.Services.List[0].Word = "unhealthy"
	b.snap = next
	b.sample()
	for _, tt := range []struct{ expr, label, want string }{
		{`nexus_module_status{platform="openweather"}`, "status", "enabled=1"},
		{`container_memory_usage_bytes`, "name", ""},
		{`opsdeck_queue_depth`, "queue", ""},
		{`opsdeck_source_up{section="queues"}`, "section", "queues=0"},
		{`probe_success{job="api"}`, "job", "api=0"},
	} {
		if got := b.query(tt.expr, tt.label); got != tt.want {
			t.Errorf("%s gives %q, want %q", tt.expr, got, tt.want)
		}
	}
	b.snap = full()
	b.sample()
	if got := b.query(`nexus_module_status{platform="openweather"}`, "status"); got != "failed=2" {
		t.Errorf("after it came back: %q", got)
	}
	if got := b.query(`opsdeck_queue_depth{queue="task:queue"}`, "queue"); got != "task:queue=40" {
		t.Errorf("after it came back: %q", got)
	}
}

func TestSeriesSurviveReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "metrics")
	registry := prometheus.NewRegistry()
	snap := full()
	registry.MustRegister(NewCollector(func() *state.Snapshot { return snap }))
	for i := range 3 {
		s := NewStore(registry, slog.New(slog.DiscardHandler))
		if warning, err := s.Open(dir, time.Hour); warning != "" || err != nil {
			t.Fatal(warning, err)
		}
		if err := s.Sample(t.Context(), start.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		v, err := s.Query(t.Context(), `count_over_time(node_load1[10m])`, start.Add(time.Duration(i)*time.Minute))
		if err != nil || len(v) != 1 || v[0].F != float64(i+1) {
			t.Errorf("opened %d times: %v %v", i+1, v, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABrokenDatabaseIsSetAsideAndANewOneBegun(t *testing.T) {
	for name, breakIt := range map[string]func(dir string) error{
		"a file in its place": func(dir string) error { return os.WriteFile(dir, []byte("not a folder"), 0o644) },
		"a file where the log of writes is": func(dir string) error {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "wal"), []byte("garbage"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			dir := filepath.Join(data, "metrics")
			if err := breakIt(dir); err != nil {
				t.Fatal(err)
			}
			s := NewStore(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
			warning, err := s.Open(dir, time.Hour)
			if err != nil || !strings.Contains(warning, "set aside as metrics-broken-") {
				t.Fatalf("%q, %v", warning, err)
			}
			if err := s.Sample(t.Context(), start); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			aside, _ := filepath.Glob(filepath.Join(data, "metrics-broken-*"))
			if len(aside) != 1 {
				t.Errorf("what was there is at %v, want one place", aside)
			}
		})
	}
}

func TestWithoutAPlaceOnDiskTheSeriesOfThisRunAreKept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := NewStore(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	warning, err := s.Open(filepath.Join(file, "metrics"), time.Hour)
	if err != nil || !strings.Contains(warning, "cannot be written") || !strings.Contains(warning, os.Getenv("TMPDIR")) {
		t.Fatalf("%q, %v", warning, err)
	}
	if err := s.Sample(t.Context(), start); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("%v is left behind", left)
	}
}

func TestAStoreThatIsNotOpenSaysSo(t *testing.T) {
	s := NewStore(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if _, err := s.Query(t.Context(), "x", start); !errors.Is(err, tsdb.ErrNotReady) {
		t.Errorf("a query: %v", err)
	}
	app := s.Appender(t.Context())
	if _, err := app.Append(0, labels.FromStrings("__name__", "x"), 1, 1); !errors.Is(err, tsdb.ErrNotReady) {
		t.Errorf("an append: %v", err)
	}
	if err := app.Commit(); !errors.Is(err, tsdb.ErrNotReady) {
		t.Errorf("a commit: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ctx, time.Second) // returns
}

// BenchmarkSample takes one sample of a busy host.
func BenchmarkSample(b *testing.B) {
	for _, size := range []struct{ modules, containers int }{{20, 20}, {200, 50}} {
		b.Run(fmt.Sprintf("modules=%d/containers=%d", size.modules, size.containers), func(b *testing.B) {
			h := newBench(b, fake.Many(size.modules, size.containers))
			h.sample()
			families, err := h.registry.Gather()
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for _, f := range families {
				n += len(f.Metric)
			}
			for b.Loop() {
				h.sample()
			}
			b.ReportMetric(float64(n), "series")
		})
	}
}
