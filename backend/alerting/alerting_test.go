package alerting

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsdeck/opsdeck/backend/metrics"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// bench is a real store, a real rule manager and one gauge to move.
type bench struct {
	t     *testing.T
	dir   string
	gauge *prometheus.GaugeVec
	reg   *prometheus.Registry
	store *metrics.Store
	src   *Source
	puts  chan state.Alerts
}

func newBench(t *testing.T, rules string) *bench {
	b := &bench{t: t, dir: t.TempDir(), puts: make(chan state.Alerts, 1000)}
	b.gauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "depth"}, []string{"queue"})
	reg := prometheus.NewRegistry()
	reg.MustRegister(b.gauge)
	b.reg = reg
	log := slog.New(slog.DiscardHandler)
	b.store = metrics.NewStore(reg, log)
	if warn, err := b.store.Open(filepath.Join(b.dir, "metrics"), time.Hour); err != nil || warn != "" {
		t.Fatal(warn, err)
	}
	b.write(rules)
	b.src = New(Config{Store: b.store, Files: []string{filepath.Join(b.dir, "*.yml")}, Root: b.dir, Interval: 50 * time.Millisecond,
		MarksFile: filepath.Join(b.dir, "alerts.json"), Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }, Log: log,
		Evidence: func(labels map[string]string) map[string]string {
			if labels["watch"] == "" {
				return nil
			}
			return map[string]string{"last_match": "of " + labels["watch"]}
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { b.store.Run(ctx, 20*time.Millisecond); done <- nil }()
	go func() {
		done <- b.src.Run(ctx, func(s state.Section) {
			select {
			case b.puts <- s.(state.Alerts):
			default:
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) write(rules string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "rules.yml"), []byte(rules), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// until waits for a published section of which ok is true.
func (b *bench) until(what string, ok func(state.Alerts) bool) state.Alerts {
	b.t.Helper()
	var last state.Alerts
	for {
		select {
		case last = <-b.puts:
			if ok(last) {
				return last
			}
		case <-time.After(sourcetest.Patience):
			b.t.Fatalf("never: %s; last: %+v", what, last)
		}
	}
}

func (b *bench) do(k state.Kind, target string, args map[string]string) state.Outcome {
	b.t.Helper()
	out, err := b.src.Execute(b.t.Context(), state.Action{Kind: k, Target: target, Args: args, Actor: state.Actor{User: "ada"}}, func(string, float64) {})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

const rulesYAML = `groups:
- name: queues
  rules:
  - alert: Deep
    expr: depth > 10
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.queue }} holds {{ $value | humanize }}, hunter22"}
`

func TestAnAlertFiresIsAcknowledgedSilencedAndResolves(t *testing.T) {
	b := newBench(t, rulesYAML)
	b.until("the rule is listed before it is evaluated", func(a state.Alerts) bool {
		return len(a.List) == 1 && a.List[0].State == state.AlertInactive && a.List[0].Value == -1
	})
	b.gauge.WithLabelValues("task:queue").Set(1234)
	firing := b.until("firing", func(a state.Alerts) bool { return len(a.List) == 1 && a.List[0].State == state.AlertFiring }).List[0]
	if firing.Severity != "critical" || firing.Value != 1234 || firing.Labels["queue"] != "task:queue" ||
		firing.Annotations["summary"] != "task:queue holds 1.234k, ***" || firing.Since.IsZero() {
		t.Errorf("%+v", firing)
	}
	if out := b.do(state.AlertAck, firing.ID, nil); out.Undo == nil || out.Undo.Kind != state.AlertUnack {
		t.Errorf("undo = %+v", out.Undo)
	}
	b.until("acknowledged", func(a state.Alerts) bool { return a.List[0].AckedBy == "ada" })
	b.do(state.AlertSilence, "Deep", map[string]string{"duration": "2h", "comment": "known"})
	silenced := b.until("silenced", func(a state.Alerts) bool { return a.List[0].SilencedBy == "ada" })
	if len(silenced.Silences) != 1 || time.Until(silenced.Silences[0].Ends) < 119*time.Minute {
		t.Errorf("silences = %+v", silenced.Silences)
	}
	b.do(state.AlertUnsilence, "Deep", nil)
	b.until("unsilenced", func(a state.Alerts) bool { return a.List[0].SilenceID == "" })
	b.gauge.DeleteLabelValues("task:queue") // goes stale, not merely quiet
	b.until("resolved", func(a state.Alerts) bool { return a.List[0].State == state.AlertResolved })
}

func TestABrokenRuleFileKeepsItsLastGoodRulesAndNamesTheLine(t *testing.T) {
	b := newBench(t, rulesYAML)
	b.until("loaded", func(a state.Alerts) bool { return len(a.Groups) == 1 })
	b.write(rulesYAML + "  - alert: Bad\n    expr: depth >\n")
	broken := b.until("the problem", func(a state.Alerts) bool { return len(a.Problems) == 1 })
	if p := broken.Problems[0]; !strings.HasPrefix(p, "rules.yml:9:") || !strings.Contains(p, "last good rules stay in force") {
		t.Errorf("problem = %q, want its file and line 9", p)
	}
	if len(broken.List) != 1 || broken.List[0].Rule != "Deep" {
		t.Errorf("alerts = %+v, want Deep still", broken.List)
	}
	if _, err := b.src.Execute(t.Context(), state.Action{Kind: state.RulesReload}, nil); err == nil || !strings.Contains(err.Error(), "rules.yml:9:") {
		t.Errorf("reload: %v, want the problem", err)
	}
	b.write(rulesYAML)
	b.until("repaired by itself", func(a state.Alerts) bool { return len(a.Problems) == 0 && len(a.List) == 1 })
	if out := b.do(state.RulesReload, "rules", nil); out.Result != "loaded 1 rule in 1 group" {
		t.Errorf("reload says %q", out.Result)
	}
}

func TestProblemsNameFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		`9:11: group "q", rule 2, "Bad": could not parse expression`: `r.yml:9:11: group "q", rule 2, "Bad": could not parse expression`,
		"yaml: line 3: did not find expected key":                    "r.yml:3: did not find expected key",
		"yaml: unmarshal errors:\n  line 7: field x not found":       "r.yml:7: field x not found",
		`the group "a" is defined twice`:                             `r.yml: the group "a" is defined twice`,
	} {
		if got := positioned("r.yml", errors.New(text)); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}

func TestWithoutRuleFilesTheBuiltInRulesAreEvaluated(t *testing.T) {
	b := newBench(t, rulesYAML)
	if err := os.Remove(filepath.Join(b.dir, "rules.yml")); err != nil {
		t.Fatal(err)
	}
	got := b.until("built-in rules", func(a state.Alerts) bool { return len(a.Groups) == 1 && a.Groups[0].File == builtin })
	if len(got.List) < 8 || len(got.Problems) != 0 {
		t.Errorf("%d alerts, problems %q", len(got.List), got.Problems)
	}
}

func TestMarksSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.json")
	store := metrics.NewStore(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	m, err := openMarks(path, store.Parser())
	if err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	if err := m.acknowledge(&state.Alert{ID: "x", Since: since}, "ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.silence(map[string]string{"a": `quo"te`}, time.Hour, "ada", "why"); err != nil {
		t.Fatal(err)
	}
	again, err := openMarks(path, store.Parser())
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := again.acked("x", since.Truncate(time.Second)); !ok || k.By != "ada" {
		t.Errorf("acknowledgement lost: %+v", k)
	}
	if _, ok := again.acked("x", since.Add(time.Hour)); ok {
		t.Error("an acknowledgement holds for a later spell of the alert")
	}
	if got := again.active(time.Now()); len(got) != 1 || got[0].Matchers[0] != `a="quo\"te"` {
		t.Errorf("silences = %+v", got)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openMarks(path, store.Parser()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a broken file gives %v, want an error that names it", err)
	}
}

// unopened is a store whose database is not open yet, or never will be.
type unopened struct{ *metrics.Store }

func (unopened) Opened() <-chan struct{} { return nil }

func TestRulesThatChangeBeforeTheStoreIsOpenAreLoadedAndStopped(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rules.yml")
	write := func(rules string) {
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rulesYAML)
	log := slog.New(slog.DiscardHandler)
	b := &bench{t: t, dir: dir, puts: make(chan state.Alerts, 1000)}
	b.src = New(Config{Store: unopened{metrics.NewStore(prometheus.NewRegistry(), log)}, Files: []string{file}, Root: dir, Interval: time.Second,
		MarksFile: filepath.Join(dir, "alerts.json"), Mask: func(s string) string { return s }, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.src.Run(ctx, func(s state.Section) { b.puts <- s.(state.Alerts) }) }()
	b.until("the first rule", func(a state.Alerts) bool { return len(a.List) == 1 && a.List[0].Rule == "Deep" })
	write(strings.ReplaceAll(rulesYAML, "Deep", "Deeper"))
	b.until("the changed rule", func(a state.Alerts) bool { return len(a.List) == 1 && a.List[0].Rule == "Deeper" })
	cancel()
	select {
	case <-done:
	case <-time.After(sourcetest.Patience):
		t.Fatal("it does not end")
	}
}

func TestAcknowledgementsWaitForTheirRulesFirstEvaluation(t *testing.T) {
	b := newBench(t, rulesYAML+`- name: slow
  interval: 1h
  rules:
  - {alert: Slow, expr: depth > 20}
`)
	b.until("the quick group is evaluated", func(a state.Alerts) bool { return !a.Evaluated.IsZero() })
	b.src.mu.Lock()
	m := b.src.marks
	b.src.mu.Unlock()
	if err := m.acknowledge(&state.Alert{ID: "Slow-1", Since: time.Now()}, "ada"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.until("the next look", func(a state.Alerts) bool { return true })
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.Acks["Slow-1"]; !ok {
		t.Error("an acknowledgement went before its rule was evaluated")
	}
}
