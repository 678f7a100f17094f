package routing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

func configOf(t testing.TB, text string) map[string]any {
	t.Helper()
	c, err := Parse("r.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecide(t *testing.T) {
	recorded := recordedRouting(t)
	short := `{"lidm_delegation_threshold": 0.8, "performance_constraints": {"max_latency_ms": 5000}}`
	off := `{"categories": {"a": {"tier": "heavy"}}, "tiers": {"heavy": {"enabled": false, "priority": 1}, "light": {"priority": 3, "enabled": true}, "mid": {"priority": 2, "endpoint": "m:1"}}}`
	for _, c := range []struct {
		name, config, category string
		complexity             float64
		strategy, tier         string
		step                   string
	}{
		{"below the threshold of the recorded form", recorded, "coding", 0.4, "direct", "standard", "is below the threshold 0.5 (performance.complexity_threshold_direct)"},
		{"at it", recorded, "coding", 0.5, "delegate", "heavy", "category coding names the tier heavy"},
		{"a category of the standard tier stays there", recorded, "finance", 0.9, "delegate", "standard", "category finance"},
		{"a tier that is not listed", recorded, "verification", 0.9, "fallback", "heavy", "tier ultra is not among the tiers: heavy is the enabled one that is tried first"},
		{"one outside of the tiers", recorded, "search", 0.9, "delegate", "external", "category search"},
		{"an unknown category", recorded, "poetry", 0.9, "delegate", "heavy", `category "poetry" is not configured`},
		{"the guide's short form, below", short, "coding", 0.79, "direct", "standard", "0.8 (lidm_delegation_threshold)"},
		{"the guide's short form, above", short, "coding", 0.81, "delegate", "heavy", "is not configured"},
		{"the default threshold", `{}`, "coding", 0.69, "direct", "standard", "0.7 (default)"},
		{"a disabled tier", off, "a", 1, "fallback", "mid", "tier heavy is disabled: mid"},
		{"one outside that is listed and disabled", `{"categories": {"a": {"tier": "external"}}, "tiers": {"external": {"enabled": false}, "heavy": {}}}`, "a", 1, "fallback", "heavy", "tier external is disabled: heavy"},
		{"no tier left", `{"tiers": {"heavy": {"enabled": false}}}`, "a", 1, "none", "", "it goes nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(configOf(t, c.config), c.category, c.complexity)
			if d.Strategy != c.strategy || d.Tier != c.tier || !strings.Contains(strings.Join(d.Steps, "\n"), c.step) {
				t.Errorf("got %+v, want %s to %s and %q", d, c.strategy, c.tier, c.step)
			}
		})
	}
	lower, higher := configOf(t, `{"lidm_delegation_threshold": 0.5}`), configOf(t, `{"lidm_delegation_threshold": 0.9}`)
	if a, b := Decide(lower, "x", 0.6).Tier, Decide(higher, "x", 0.6).Tier; a != "heavy" || b != "standard" {
		t.Errorf("as the guide says a lower threshold sends more to the heavy tier: got %s and %s", a, b)
	}
}

// delegated returns delegations as a service under config would tell of them.
func delegated(config map[string]any, n int) (out []Delegation) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		d := Delegation{At: time.Unix(1_770_000_000+int64(i), 0).UTC(), Category: []string{"coding", "finance", "math"}[r.IntN(3)], Complexity: float64(r.IntN(100)) / 100, LatencyMS: 300, Cost: 0.001}
		if d.Tier = Decide(config, d.Category, d.Complexity).Tier; d.Tier == "heavy" {
			d.LatencyMS, d.Cost = 2000, 0.02
		}
		out = append(out, d)
	}
	return out
}

func TestReplayShowsTheShift(t *testing.T) {
	before, after := configOf(t, recordedRouting(t)), configOf(t, strings.Replace(recordedRouting(t), `"complexity_threshold_direct": 0.5`, `"complexity_threshold_direct": 0.8`, 1))
	list := delegated(before, 3000)
	moved := 0
	for _, d := range list {
		if d.Category == "coding" && d.Complexity >= 0.5 && d.Complexity < 0.8 {
			moved++
		}
	}
	s := Replay(before, after, list)
	if s.Of != 3000 || s.Moved != moved || len(s.Moves) != 1 || s.Moves[0] != (CategoryMove{"coding", "heavy", "standard", moved}) {
		t.Fatalf("got %+v, want %d moved", s, moved)
	}
	if s.LatencyAfter >= s.LatencyBefore || s.CostAfter >= s.CostBefore || s.Measured != 3000 || s.Tiers[0].P95MS != 2000 {
		t.Errorf("got %+v", s)
	}
	text := strings.Join(s.Lines(), "\n")
	for _, want := range []string{fmt.Sprintf("%d of the last 3000 delegations go elsewhere", moved), fmt.Sprintf("coding: %d from heavy to standard", moved), "tier heavy: ", "measured over", "expected latency "} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if got := Replay(before, configOf(t, `{"tiers": {"new": {}}}`), list); got.LatencyAfter >= 0 && got.Measured == got.Of {
		t.Errorf("what a tier without measurements takes is invented: %+v", got)
	}
	if got := Replay(before, after, nil).Lines(); got != nil {
		t.Errorf("of nothing: %q", got)
	}
}

func BenchmarkReplay10000(b *testing.B) {
	before, after := configOf(b, recordedRouting(b)), configOf(b, `{"lidm_delegation_threshold": 0.8}`)
	list := delegated(before, 10_000)
	for b.Loop() {
		Replay(before, after, list)
	}
}

// What nearly every line of a log costs.
func BenchmarkTapOfALineWithout(b *testing.B) {
	e := &Service{}
	line := `{"level":"info","message":"GET /v1/tasks 200","duration":12,"timestamp":"2026-02-11T12:00:00Z","request_id":"a1b2c3"}`
	for b.Loop() {
		e.TapLog(time.Time{}, line)
	}
}

func TestDelegationsComeFromLogsAndCallsAndSurviveARestart(t *testing.T) {
	r := routingRig(t)
	at := time.Date(2026, 2, 11, 12, 0, 0, 0, time.UTC)
	for i, line := range []string{
		`{"complexity": 0.9, "category": "coding", "tier": "heavy", "latency_ms": 2100, "cost": 0.02}`,
		`2026-02-11 INFO lidm {"complexity_score": 0.3, "task_category": "math", "lidm_tier": "standard", "duration_ms": 90}`,
		`{"complexity": "high", "category": "coding"}`, `{"complexity": 7, "category": "x"}`, `{"complexity": 0.4}`, `"complexity" is no JSON`, `{"complexity`,
	} {
		r.e.TapLog(at.Add(time.Duration(i)*time.Second), line)
	}
	r.e.TapLog(at, `{"complexity": 0.9, "category": "coding", "tier": "heavy", "latency_ms": 2100, "cost": 0.02}`) // the log is read from its beginning again
	if n, err := r.e.AddDelegations([]byte(`[{"complexity": 0.5, "category": "finance", "at": "2026-02-11T12:00:09Z"}, {"complexity": 0.6, "tier": "heavy"}]`)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, bad := range []string{``, `5`, `{}`, `[{"complexity": 2, "tier": "x"}]`, `{"complexity": 0.5, "category": 5}`, `[` + strings.Repeat(`{"complexity":0.5,"tier":"x"},`, 1000) + `{}]`} {
		if _, err := r.e.AddDelegations([]byte(bad)); err == nil {
			t.Errorf("%.40q was taken", bad)
		}
	}
	want := r.e.delegations.list()
	if len(want) != 4 || want[0].Tier != "heavy" || want[0].LatencyMS != 2100 || want[1].Category != "math" || want[1].Cost >= 0 || !want[2].At.Equal(at.Add(9*time.Second)) {
		t.Fatalf("got %+v", want)
	}
	r.until("they are told", func(s *state.Snapshot) bool { return s.Routing.Delegations == 4 })
	r.stop()
	r.start(nil)
	r.until("they are back", func(*state.Snapshot) bool { return len(r.e.delegations.list()) == 4 && r.e.JSON() != nil })
	if got := r.e.delegations.list(); !slices.EqualFunc(got, want, func(a, b Delegation) bool {
		return a.At.Equal(b.At) && a.Tier == b.Tier && a.Complexity == b.Complexity
	}) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r.act(state.RoutingThreshold, "routing", map[string]string{"threshold": "0.95"})
	if s := r.until("it is staged", func(s *state.Snapshot) bool { return s.Routing.Staged != nil }); len(s.Routing.Staged.ReplayDiff) == 0 || !strings.Contains(s.Routing.Staged.ReplayDiff[0], "of the last 4 delegations go elsewhere") {
		t.Errorf("got %q", s.Routing.Staged.ReplayDiff)
	}
}

func TestDelegationsAreBoundedInMemoryAndOnDisk(t *testing.T) {
	k := &delegations{path: filepath.Join(t.TempDir(), "d.jsonl")}
	list := delegated(configOf(t, recordedRouting(t)), keepDelegations)
	for range 12 {
		for i := range list {
			k.add(list[i:i+1], false)
		}
		if err := k.save(); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(k.list()); got != keepDelegations {
		t.Errorf("%d are kept", got)
	}
	if st, err := os.Stat(k.path); err != nil || st.Size() > delegationsFile+4<<20 || st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v bytes, %v (%v)", st.Size(), st.Mode(), err)
	}
	if got, err := ReadDelegations(k.path); err != nil || len(got) != keepDelegations {
		t.Errorf("%d are read (%v)", len(got), err)
	}
}

// A log's times are often whole seconds: those of one second are all kept, and what is
// read again is not, whether or not the file was loaded before.
func TestDelegationsOfOneSecondAreToldApart(t *testing.T) {
	at := time.Date(2026, 2, 11, 12, 0, 0, 0, time.UTC)
	log := []Delegation{
		{At: at, Category: "coding", Complexity: 0.9, LatencyMS: -1, Cost: -1}, {At: at, Category: "math", Complexity: 0.9, LatencyMS: -1, Cost: -1},
		{At: at, Category: "math", Complexity: 0.8, LatencyMS: 90, Cost: -1}, {At: at.Add(-time.Second), Category: "late", Complexity: 0.8, LatencyMS: -1, Cost: -1},
	}
	path := filepath.Join(t.TempDir(), "d.jsonl")
	k := &delegations{path: path}
	if n := k.add(log, true); n != 4 {
		t.Fatalf("%d of 4 were taken", n)
	}
	if n := k.add(log, true); n != 0 {
		t.Errorf("%d were taken twice", n)
	}
	if err := k.save(); err != nil {
		t.Fatal(err)
	}
	next := &delegations{path: path}
	next.add(append(log, Delegation{At: at.Add(time.Second), Category: "new", Complexity: 0.5}), true)
	if err := errors.Join(next.load(), next.save()); err != nil {
		t.Fatal(err)
	}
	kept, err := ReadDelegations(path)
	if got := len(next.list()); got != 5 || len(kept) != 5 || err != nil || kept[4].Category != "new" {
		t.Errorf("%d are kept, %d in the file, want 5 (%v)", got, len(kept), err)
	}
}

func TestDelegationsAfterADamagedLineAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	line := `{"at":"2026-02-11T12:00:00Z","category":"coding","complexity":0.8}` + "\n"
	if err := os.WriteFile(path, []byte(line+strings.Repeat("\x00", 200<<10)+"\n"+"{\n"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadDelegations(path); err != nil || len(got) != 2 {
		t.Errorf("%d are read, want 2 (%v)", len(got), err)
	}
}

func BenchmarkTapOfADelegation(b *testing.B) {
	e := &Service{cfg: Config{Mask: (&secrets.Mask{}).Mask}, delegations: &delegations{}}
	line := `{"complexity": 0.9, "category": "coding", "tier": "heavy", "latency_ms": 2100}`
	for i := 0; b.Loop(); i++ {
		e.TapLog(time.Unix(int64(i), 0), line)
	}
}

func TestFiguresAreAskedForAndNeverMadeUp(t *testing.T) {
	r := newRig(t, map[string]string{routingFile: recordedRouting(t)})
	r.start(func(_ context.Context, q string) ([]Sample, error) {
		switch {
		case strings.Contains(q, "lidm_delegation_requests_total"):
			return []Sample{{map[string]string{"tier": "heavy"}, 12}}, nil
		case strings.Contains(q, "lidm_delegation_fallbacks_total"):
			return []Sample{{map[string]string{"tier": "heavy"}, 3}}, nil
		case strings.Contains(q, "llm_provider_latency_ms_sum"):
			return []Sample{{map[string]string{"provider": "local"}, 310}}, nil
		}
		return nil, nil
	})
	s := r.until("they are there", func(s *state.Snapshot) bool {
		h := s.Routing.Row("tier/heavy")
		return h != nil && h.Figures.Requests == 12 && len(s.Routing.Providers) == 1
	})
	if h := s.Routing.Row("tier/heavy"); h.Figures.Errors >= 0 || h.Figures.Fallbacks != 3 || s.Routing.Row("tier/standard").Figures.Fallbacks >= 0 || h.Figures.LatencyMS >= 0 || s.Routing.Row("tier/standard").Figures.Requests >= 0 || s.Routing.Figures != "" {
		t.Errorf("got %+v, %q", h, s.Routing.Figures)
	}
	if got := r.e.TierFigures(); len(got) != 1 || got["heavy"].Requests != 12 || len(r.e.ProviderFigures()) != 1 {
		t.Errorf("got %v and %v", got, r.e.ProviderFigures())
	}
	if p := s.Routing.Providers[0]; p.LatencyMS != 310 || p.Requests >= 0 {
		t.Errorf("got %+v", p)
	}
}

func FuzzDelegation(f *testing.F) {
	f.Add(`{"complexity": 0.9, "category": "coding", "tier": "heavy", "latency_ms": 2100}`)
	f.Add(`{"complexity":1e999,"tier":"\u0000"}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := delegationOf([]byte(text), time.Time{})
		if !ok {
			return
		}
		if !(d.Complexity >= 0 && d.Complexity <= 1) || state.Clean(d.Category) != d.Category || len(d.Tier) > 4*longestName {
			t.Errorf("%q: %+v", text, d)
		}
		Decide(map[string]any{}, d.Category, d.Complexity)
	})
}
