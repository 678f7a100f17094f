package alerting

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestAWatchIsAnAlertBesideTheRuleFiles(t *testing.T) {
	b := newBench(t, rulesYAML)
	matches := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "opsdeck_log_watch_matches"}, []string{"watch"})
	b.reg.MustRegister(matches)
	matches.WithLabelValues("api").Set(0)
	b.until("the file's rule", func(a state.Alerts) bool { return a.Alert("Deep") != nil })
	b.src.SetWatches([]Watch{{Name: "api", Source: "logs/{{x}}*.log", Window: 5 * time.Minute, Above: 2, For: 100 * time.Millisecond, Runbook: "restart {{ it }}, hunter22"}})
	l := b.until("it is listed", func(a state.Alerts) bool { return a.Alert("api") != nil })
	if a := l.Alert("api"); a.State != state.AlertInactive || a.File != "(watches in opsdeck.yaml)" || a.Annotations["last_match"] != "of api" || l.Alert("Deep") == nil || len(l.Problems) > 0 {
		t.Errorf("got %+v, %q", a, l.Problems)
	}
	matches.WithLabelValues("api").Set(3)
	l = b.until("it fires", func(a state.Alerts) bool { x := a.Alert("api"); return x != nil && x.State == state.AlertFiring })
	a := l.Alert("api")
	if a.Severity != "warning" || a.Value != 3 || a.For != 100*time.Millisecond || a.Annotations["summary"] != "3 of logs/{{x}}*.log passed the filter within 5m, more than 2" ||
		a.Labels["log"] != "logs/{{x}}*.log" || a.Annotations["runbook"] != "restart {{ it }}, ***" || a.Annotations["last_match"] != "of api" {
		t.Errorf("got %+v", a)
	}
	// Another comes: the one that fires goes on.
	since := a.Since
	b.src.SetWatches([]Watch{{Name: "new", Source: "x", Window: time.Minute, Severity: "critical", Runbook: "https://wiki.example/x"},
		{Name: "api", Source: "logs/{{x}}*.log", Window: 5 * time.Minute, Above: 2, For: 100 * time.Millisecond, Runbook: "restart {{ it }}, hunter22"}})
	l = b.until("the other", func(a state.Alerts) bool { return a.Alert("new") != nil })
	if a := l.Alert("api"); a == nil || a.State != state.AlertFiring || !a.Since.Equal(since) || l.Alert("new").Annotations["runbook_url"] == "" {
		t.Errorf("got %+v", l.List)
	}
	b.src.SetWatches(nil)
	b.until("they are gone", func(a state.Alerts) bool {
		return a.Alert("api") == nil && a.Alert("new") == nil && a.Alert("Deep") != nil
	})
}

func TestTheRulesOfWatchesAreRuleFiles(t *testing.T) {
	b := newBench(t, rulesYAML)
	l := newLoader(b.store.Parser(), b.src.cfg.Log)
	rules := watchRules([]Watch{{Name: "a.b-c", Source: `x"\y: # z`, Window: time.Hour, For: 90 * time.Second, Severity: "no: {x}", Runbook: "'"}})
	l.watches.Store(&rules)
	g, errs := l.Load(watched, false, model.UTF8Validation)
	if p := l.list(); len(errs) > 0 || len(p) > 0 || len(g.Groups) != 1 || !strings.Contains(g.Groups[0].Rules[0].Expr, `watch="a.b-c"`) {
		t.Errorf("got %+v, %v, %v\n%s", g, errs, p, rules)
	}
}
