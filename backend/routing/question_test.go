package routing

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestLimitsSayWhatTheyMeanForWhatWasMeasured(t *testing.T) {
	const guide = `{"lidm_delegation_threshold": 0.7, "performance_constraints": {"max_latency_ms": 5000, "max_cost_per_request": 0.05}, "categories": {"fast": {"tier": "heavy", "max_latency_ms": 800}}}`
	took := Measured([]Delegation{
		{Tier: "heavy", LatencyMS: 900, Cost: 0.08}, {Tier: "heavy", LatencyMS: 1100, Cost: 0.04, Failed: true}, {Tier: "heavy", LatencyMS: -1, Cost: -1},
		{Tier: "standard", LatencyMS: 6000, Cost: -1},
	})
	if h := took["heavy"]; h.MeanMS != 1000 || h.P95MS != 1100 || h.Records != 2 || h.Costed != 2 || h.Failed != 1 {
		t.Errorf("got %+v", h)
	}
	for _, c := range []struct {
		name, config, category string
		complexity             float64
		want                   []string
	}{
		{"within the latency, beyond the cost", guide, "coding", 0.9, []string{"performance_constraints.max_latency_ms is 5000 ms; p95 of heavy is 1100 ms over 2: within it", "max_cost_per_request is 0.05; a request to heavy costs 0.06 in the mean over 2: beyond it"}},
		{"a category's own", guide, "fast", 0.9, []string{"max_latency_ms of fast is 800 ms; p95 of heavy is 1100 ms over 2: more than one in twenty goes beyond it", "max_cost"}},
		{"not where it is answered directly", guide, "fast", 0.1, []string{"performance_constraints.max_latency_ms is 5000 ms; p95 of standard is 6000 ms over 1: more", "what standard costs is not known"}},
		{"the recorded form's", recordedRouting(t), "coding", 0.9, []string{"performance.delegation_latency_threshold_ms is 5000 ms"}},
		{"a tier that nobody measured", recordedRouting(t), "search", 0.9, []string{"what external takes is not known"}},
		{"none", `{}`, "x", 0.9, nil},
		{"nowhere", `{"tiers": {"heavy": {"enabled": false}}, "performance_constraints": {"max_latency_ms": 1}}`, "x", 0.9, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := configOf(t, c.config)
			got := Limits(config, Decide(config, c.category, c.complexity), took)
			if len(got) != len(c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func TestQuantileOfTiersPutTogether(t *testing.T) {
	var list []Delegation
	for i := range 100 {
		list = append(list, Delegation{Tier: "a", LatencyMS: float64(i + 1), Cost: -1})
	}
	list = append(list, Delegation{Tier: "b", LatencyMS: 1000, Cost: -1})
	took := Measured(list)
	for _, c := range []struct {
		weights map[string]int
		want    float64
	}{
		{map[string]int{"a": 50}, 95}, {map[string]int{"a": 96, "b": 4}, 99}, {map[string]int{"a": 90, "b": 10}, 1000}, {map[string]int{"c": 9}, -1}, {nil, -1},
	} {
		if got := quantile(0.95, took, c.weights); got != c.want {
			t.Errorf("%v: got %v, want %v", c.weights, got, c.want)
		}
	}
}

func TestQuestionsAreAnsweredUnderWhatIsInForceAndWhatIsStaged(t *testing.T) {
	r := routingRig(t)
	if _, err := r.do(state.RoutingTest, "category/finance", map[string]string{"category": "finance", "complexity": "much"}); err == nil || !strings.Contains(err.Error(), "from 0 to 1") {
		t.Errorf("got %v", err)
	}
	out := r.act(state.RoutingTest, "category/finance", map[string]string{"category": "finance", "complexity": "0.6"})
	if out.Result != "finance at complexity 0.6 goes to standard (delegate)" {
		t.Errorf("got %q", out.Result)
	}
	r.act(state.RoutingRoute, "category/finance", map[string]string{"tier": "heavy"})
	out = r.act(state.RoutingTest, "category/finance", map[string]string{"category": "finance", "complexity": "0.6"})
	if !strings.HasSuffix(out.Result, "goes to standard (delegate); as staged to heavy (delegate)") {
		t.Errorf("got %q", out.Result)
	}
	s := r.until("the answers are told", func(s *state.Snapshot) bool { return len(s.Routing.Tests) == 3 })
	if q := s.Routing.Tests[0]; !q.Staged || q.Tier != "heavy" || q.Tag != s.Routing.Staged.Tag || q.Endpoint != "llm_service:50051" || len(q.Steps) < 2 {
		t.Errorf("got %+v", q)
	}
	for range 2 * keepTests {
		r.act(state.RoutingTest, "x", map[string]string{"category": "x", "complexity": "0.6"})
	}
	r.until("they are bounded", func(s *state.Snapshot) bool { return len(s.Routing.Tests) == keepTests })

	if _, err := r.do(state.RoutingReplay, "routing", nil); err == nil || !strings.Contains(err.Error(), "no delegations of that time are known") {
		t.Errorf("got %v", err)
	}
	now := time.Now()
	old, err := json.Marshal(now.Add(-48 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.e.AddDelegations(fmt.Appendf(nil, `[{"category": "coding", "complexity": 0.6, "tier": "heavy", "latency_ms": 2000, "ok": false}, {"category": "coding", "complexity": 0.6, "at": %s}]`, old)); err != nil {
		t.Fatal(err)
	}
	r.act(state.RoutingReplay, "routing", map[string]string{"threshold": "0.9", "since": "1d"})
	s = r.until("the replay is told", func(s *state.Snapshot) bool { return s.Routing.Replay != nil })
	p := s.Routing.Replay
	if p.What != "what is staged with the threshold 0.9, over the last 1d" || p.Lines[0] != "1 of the last 1 delegations go elsewhere" || !strings.Contains(strings.Join(p.Lines, "\n"), "measured over 1, 1 failed") ||
		!slices.Contains(p.Lines, "expected latency unknown: none of them has tiers that are measured before and after") {
		t.Errorf("got %+v", p)
	}
}

func TestWhatAnotherStagedIsNeitherOverwrittenNorAppliedUnseen(t *testing.T) {
	r := routingRig(t)
	whole := strings.Replace(recordedRouting(t), `"complexity_threshold_direct": 0.5`, `"complexity_threshold_direct": 0.6`, 1)
	r.act(state.RoutingStage, "routing", map[string]string{"config": whole, "staged": ""})
	s := r.until("it is staged", func(s *state.Snapshot) bool { return s.Routing.Staged != nil })
	seen := s.Routing.Staged.Tag
	for _, c := range []struct {
		kind state.Kind
		args map[string]string
		want string
	}{
		{state.RoutingStage, map[string]string{"config": recordedRouting(t) + " ", "staged": ""}, "staged a change of the routing configuration meanwhile: look at it first"},
		{state.RoutingApply, map[string]string{"staged": "5e1f"}, "meanwhile: look at it first"},
	} {
		if _, err := r.do(c.kind, "routing", c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.kind, err, c.want)
		}
	}
	r.act(state.RoutingApply, "routing", map[string]string{"staged": seen})
	if _, err := r.do(state.RoutingStage, "routing", map[string]string{"config": recordedRouting(t), "staged": seen}); err == nil || !strings.Contains(err.Error(), "applied or discarded meanwhile") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsUndoneIsAsItWasByteForByte(t *testing.T) {
	odd := "{ \"lidm_delegation_threshold\":0.70,\n\n\t\"mine\": 1e2}"
	r := newRig(t, map[string]string{routingFile: odd})
	r.start(nil)
	r.until("it is loaded", func(s *state.Snapshot) bool { return s.Routing.Tag == Tag([]byte(odd)) })
	change := map[string]string{"patch": `{"lidm_delegation_threshold": 0.9}`, "confirm_within": "1h"}
	r.act(state.RoutingSet, "routing", change)
	r.act(state.RoutingRevert, "routing", nil)
	if b, err := os.ReadFile(filepath.Join(r.dir, routingFile)); err != nil || string(b) != odd {
		t.Errorf("got %q, want %q (%v)", b, odd, err)
	}
}

func TestAFirstConfigurationOnTrialIsTakenAwayAgain(t *testing.T) {
	r := newRig(t, nil)
	r.start(nil)
	r.until("it runs", func(s *state.Snapshot) bool { return s.Versions[state.SectionRouting] > 0 })
	r.act(state.RoutingSet, "routing", map[string]string{"config": `{"lidm_delegation_threshold": 0.9}`, "confirm_within": "1h"})
	r.until("it is in force", func(s *state.Snapshot) bool { return s.Routing.Trial != nil && s.Routing.JSON != "" })
	r.act(state.RoutingRevert, "routing", nil)
	r.until("there is none again", func(s *state.Snapshot) bool {
		return s.Routing.Trial == nil && s.Routing.JSON == "" && s.Routing.File == ""
	})
	if _, err := os.Stat(filepath.Join(r.dir, routingFile)); !os.IsNotExist(err) {
		t.Errorf("the file: %v", err)
	}
}

func TestHistoryHasTheDifferences(t *testing.T) {
	r := routingRig(t)
	r.act(state.RoutingSet, "routing", map[string]string{"category": "finance", "patch": `{"tier": "heavy"}`})
	r.act(state.RoutingSet, "routing", map[string]string{"category": "finance", "patch": `{"priority": "high"}`})
	s := r.until("three versions", func(s *state.Snapshot) bool { return len(s.Routing.History) == 3 })
	h := s.Routing.History
	if !strings.HasPrefix(h[0].Diff, "@@") || !strings.Contains(h[0].Diff, `+      "priority": "high"`) || strings.Contains(h[0].Diff, `"tier": "standard"`) || !strings.Contains(h[1].Diff, `+      "tier": "heavy"`) || h[2].Diff != "" {
		t.Errorf("got %q, %q and %q", h[0].Diff, h[1].Diff, h[2].Diff)
	}
}

// Whatever configuration holds to the schema decides every request: to a tier that may
// take it, or nowhere, with its reasons; and a replay counts each once on either side.
func FuzzDecide(f *testing.F) {
	f.Add(recordedRouting(f), "coding", 0.5)
	f.Add(`{"lidm_delegation_threshold": 0.8, "performance_constraints": {"max_latency_ms": 5000, "max_cost_per_request": 0.05}}`, "x", 0.8)
	f.Add(`{"categories": {"": {"tier": 5}}, "tiers": {"5": {"priority": -1, "enabled": false}, "": {}}}`, "", 1.0)
	r, err := NewFile("f", "f")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, category string, complexity float64) {
		config, err := r.parse("f", []byte(text))
		if err != nil || !(complexity >= 0 && complexity <= 1) {
			return
		}
		d := Decide(config, category, complexity)
		if len(d.Steps) == 0 || (d.Tier == "") != (d.Strategy == "none") && d.Tier != "" || !slices.Contains([]string{"direct", "delegate", "fallback", "none"}, d.Strategy) {
			t.Fatalf("%s: %+v", text, d)
		}
		if tier, listed := object(config["tiers"])[d.Tier]; listed {
			if on, said := object(tier)["enabled"].(bool); said && !on {
				t.Fatalf("%s: it goes to a disabled tier: %+v", text, d)
			}
		}
		one := []Delegation{{Category: category, Complexity: complexity, Tier: d.Tier, LatencyMS: 5, Cost: 1}}
		Limits(config, d, Measured(one))
		s := Replay(map[string]any{}, config, one)
		before, after := 0, 0
		for _, tier := range s.Tiers {
			before, after = before+tier.Before, after+tier.After
		}
		if before != 1 || after != 1 {
			t.Fatalf("%s: %+v", text, s)
		}
	})
}
