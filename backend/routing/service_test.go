package routing

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

// recordedRouting returns the configuration that the real service served.
func recordedRouting(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(contractDir, "admin-api/15-routing-get.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rec struct {
		Response struct{ Body json.RawMessage }
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		t.Fatal(err)
	}
	return string(rec.Response.Body)
}

const routingFile = "config/routing_config.json"

func TestRouting(t *testing.T) {
	r := newRig(t, map[string]string{routingFile: recordedRouting(t)})
	r.start(nil)
	r.until("the recorded shape is loaded", func(s *state.Snapshot) bool { return s.Routing.Categories == 13 && s.Routing.Tiers == 2 })

	set := func(args map[string]string) (state.Outcome, error) {
		return r.do(state.RoutingSet, "routing", args)
	}
	out, err := set(map[string]string{"category": "finance", "patch": `{"tier":"heavy","priority":"high","note":"kept"}`})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := r.e.Category("finance"); !ok || c["tier"] != "heavy" || c["note"] != "kept" || c["provider"] != nil {
		t.Errorf("got %v", c)
	}
	text, _ := os.ReadFile(filepath.Join(r.dir, routingFile))
	if !strings.HasPrefix(strings.Join(strings.Fields(string(text)), ""), `{"version":"1.0","categories":{"coding":{"tier":"heavy","provider":null`) {
		t.Errorf("the file lost its order: %.200s", text)
	}
	if _, err := set(map[string]string{"category": "search", "delete": "true"}); err != nil {
		t.Fatal(err)
	}
	r.until("a category is gone", func(s *state.Snapshot) bool { return s.Routing.Categories == 12 })
	if _, err := set(map[string]string{"category": "nope", "delete": "true"}); err == nil || !strings.Contains(err.Error(), "no such category") {
		t.Errorf("got %v", err)
	}
	if _, err := set(map[string]string{"config": `{"categories": {"x": {"tier": 5, "max_latency_ms": "soon"}}}`}); err == nil || !strings.Contains(err.Error(), "categories.x.max_latency_ms: an integer or null was expected, this is string; nothing was changed") {
		t.Errorf("got %v", err)
	}
	if ps := r.e.Validate([]byte(`{"categories": {"x": {"tier": 5, "max_latency_ms": "soon"}}}`)); len(ps) != 1 || ps[0].Want != "integer" || strings.Join(ps[0].Path, "/") != "categories/x/max_latency_ms" {
		t.Errorf("got %+v", ps)
	}
	if _, err := r.do(out.Undo.Kind, out.Undo.Target, out.Undo.Args); err != nil {
		t.Fatal(err)
	}
	if c, _ := r.e.Category("finance"); c["tier"] != "standard" {
		t.Errorf("undo: %v", c)
	}

	// A bad file keeps the last good one in force, and says where it is bad.
	r.write(routingFile, "{\n  \"categories\": {\n    \"x\": {\"tier\": true}\n  }\n}")
	s := r.until("the bad file is reported", func(s *state.Snapshot) bool { return s.Routing.Problem != "" })
	if !strings.Contains(s.Routing.Problem, routingFile+":3:19: categories.x.tier: a number or a string was expected, this is boolean") || s.Routing.Categories != 13 {
		t.Errorf("got %q, %d categories", s.Routing.Problem, s.Routing.Categories)
	}
	if _, err := r.do(state.RoutingReload, "routing", nil); err == nil || !strings.Contains(err.Error(), "stays in force") && !strings.Contains(err.Error(), ":3:19") {
		t.Errorf("reload: %v", err)
	}
	// The guide's short form loads too.
	r.write(routingFile, `{"lidm_delegation_threshold": 0.8, "performance_constraints": {"max_latency_ms": 5000, "max_cost_per_request": 0.05}}`)
	r.until("the short form is loaded", func(s *state.Snapshot) bool {
		return s.Routing.Problem == "" && strings.Contains(s.Routing.JSON, "0.8")
	})
	if out, err := r.do(state.RoutingReload, "routing", nil); err != nil || !strings.Contains(out.Result, "reloaded") {
		t.Errorf("%v %v", out, err)
	}
	if err := os.Remove(filepath.Join(r.dir, routingFile)); err != nil {
		t.Fatal(err)
	}
	r.until("the file is gone", func(s *state.Snapshot) bool { return strings.Contains(s.Routing.Problem, "is gone") })
}
