package routing

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// routingRig returns an engine with the recorded routing configuration.
func routingRig(t *testing.T) *rig {
	r := newRig(t, nil)
	r.write(routingFile, recordedRouting(t))
	r.start(nil)
	r.until("routing is known", func(s *state.Snapshot) bool { return s.Routing.Tag != "" && len(s.Routing.Rows) > 0 })
	return r
}

// tier returns the tier of a category in the file.
func (r *rig) tier(category string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, routingFile))
	var c struct {
		Categories map[string]struct{ Tier string }
	}
	if err != nil || json.Unmarshal(b, &c) != nil {
		r.t.Fatalf("the routing file: %v: %s", err, b)
	}
	return c.Categories[category].Tier
}

// act does an action and fails the test when it fails.
func (r *rig) act(kind state.Kind, target string, args map[string]string) state.Outcome {
	r.t.Helper()
	out, err := r.do(kind, target, args)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func TestRowsOfTheRecordedConfiguration(t *testing.T) {
	r := routingRig(t)
	s := r.snapshot().Routing
	f, h, u := s.Row("category/finance"), s.Row("tier/heavy"), s.Row("tier/ultra")
	if f == nil || f.Tier != "standard" || f.Priority != "medium" || f.MaxLatencyMS >= 0 || h == nil || h.Endpoint != "llm_service:50051" || !h.Enabled || h.MaxConcurrent != 10 || u == nil || !u.Unlisted {
		t.Errorf("got %+v, %+v, %+v", f, h, u)
	}
	if s.Threshold != 0.5 || s.ThresholdFrom != "performance.complexity_threshold_direct" || s.MaxCost >= 0 {
		t.Errorf("got %v from %s", s.Threshold, s.ThresholdFrom)
	}
	if got := strings.Join(s.Warnings, "\n"); !strings.Contains(got, "tier external is not among the tiers; it is that of search") {
		t.Errorf("got %s", got)
	}
}

func TestStagedChangesAddUpAndNothingChangesBeforeTheyAreApplied(t *testing.T) {
	r := routingRig(t)
	r.act(state.RoutingRoute, "category/finance", map[string]string{"tier": "heavy", "priority": "high", "max_latency_ms": "900"})
	r.act(state.RoutingThreshold, "routing", map[string]string{"threshold": "0.8", "max_cost_per_request": "0.05"})
	r.act(state.RoutingRoute, "tier/standard", map[string]string{"enabled": "no", "max_concurrent_requests": "4"})
	s := r.until("it is staged", func(s *state.Snapshot) bool {
		return s.Routing.Staged != nil && strings.Contains(s.Routing.Staged.What, "tier standard")
	})
	g := s.Routing.Staged
	for _, want := range []string{`+      "tier": "heavy"`, `+      "max_latency_ms": 900`, `+  "lidm_delegation_threshold": 0.8`, `"max_cost_per_request": 0.05`, `+      "enabled": false`} {
		if !strings.Contains(g.Diff, want) {
			t.Errorf("the diff lacks %s:\n%s", want, g.Diff)
		}
	}
	if got := strings.Join(g.Warnings, "\n"); !strings.Contains(got, "tier standard is disabled") {
		t.Errorf("warnings: %s", got)
	}
	if got := r.tier("finance"); got != "standard" {
		t.Errorf("finance is %s before it is applied", got)
	}
	out := r.act(state.RoutingApply, "routing", map[string]string{"why": "heavy questions"})
	if got := r.tier("finance"); got != "heavy" {
		t.Errorf("finance is %s after it was applied", got)
	}
	s = r.until("the history has it", func(s *state.Snapshot) bool {
		return len(s.Routing.History) == 2 && s.Routing.Staged == nil
	})
	if h := s.Routing.History; h[0].How != "applied" || h[0].Why != "heavy questions" || h[0].Added == 0 || h[1].How != "found" {
		t.Errorf("got %+v", h)
	}
	r.act(out.Undo.Kind, out.Undo.Target, out.Undo.Args)
	if got := r.tier("finance"); got != "standard" {
		t.Errorf("finance is %s after the undo", got)
	}
}

func TestBadChangesAreRefusedAndStageNothing(t *testing.T) {
	r := routingRig(t)
	for _, c := range []struct {
		kind   state.Kind
		target string
		args   map[string]string
		want   string
	}{
		{state.RoutingThreshold, "routing", map[string]string{"threshold": "high"}, `threshold is "high": a number was expected`},
		{state.RoutingThreshold, "routing", map[string]string{"threshold": "1.5"}, "lidm_delegation_threshold"},
		{state.RoutingRoute, "tier/heavy", map[string]string{"enabled": "perhaps"}, "yes or no was expected"},
		{state.RoutingRoute, "category/finance", map[string]string{"max_latency_ms": "1.5"}, "a number was expected"},
		{state.RoutingStage, "routing", map[string]string{"config": "{\n \"categories\": 5}"}, "2:16: categories: an object was expected"},
		{state.RoutingStage, "routing", map[string]string{"config": "{"}, "not JSON"},
		{state.RoutingStage, "routing", nil, "was expected"},
		{state.RoutingStage, "routing", map[string]string{"config": recordedRouting(t)}, "that is what is in force"},
		{state.RoutingStage, "routing", map[string]string{"config": `{}`, "expect": "0123"}, "it was changed meanwhile"},
		{state.RoutingApply, "routing", nil, "nothing is staged"},
		{state.RoutingConfirm, "routing", nil, "no change waits to be confirmed"},
		{state.RoutingRollback, "routing", map[string]string{"version": "99"}, "no version is kept yet"},
		{state.RoutingSet, "routing", map[string]string{"config": `{}`, "confirm_within": "99d"}, "1s to 24h0m0s was expected"},
	} {
		if _, err := r.do(c.kind, c.target, c.args); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s %v: got %v, want it to say %q", c.kind, c.args, err, c.want)
		}
	}
	if r.e.staged != nil {
		t.Error("something is staged")
	}
}

func TestChangeIsUndoneUnlessItIsConfirmedInTime(t *testing.T) {
	r := routingRig(t)
	change := func(tier string) {
		t.Helper()
		r.act(state.RoutingRoute, "category/finance", map[string]string{"tier": tier})
		r.act(state.RoutingApply, "routing", map[string]string{"confirm_within": "1s"})
		if got := r.tier("finance"); got != tier {
			t.Fatalf("finance is %s", got)
		}
	}
	change("heavy")
	if s := r.until("it is on trial", func(s *state.Snapshot) bool { return s.Routing.Trial != nil }); s.Routing.Trial.Until.Before(s.Routing.Trial.At) {
		t.Errorf("got %+v", s.Routing.Trial)
	}
	if _, err := r.do(state.RoutingSet, "routing", map[string]string{"config": "{}"}); err == nil || !strings.Contains(err.Error(), "waits to be confirmed until") {
		t.Errorf("a second change: %v", err)
	}
	r.until("it is undone", func(s *state.Snapshot) bool {
		return s.Routing.Trial == nil && s.Routing.Row("category/finance").Tier == "standard"
	})
	if got := r.tier("finance"); got != "standard" {
		t.Errorf("finance is %s in the file", got)
	}
	change("heavy")
	r.act(state.RoutingConfirm, "routing", nil)
	r.e.lapse(time.Now().Add(time.Hour), false, "late")
	if got := r.tier("finance"); got != "heavy" {
		t.Errorf("a confirmed change was undone: finance is %s", got)
	}
	change("standard")
	r.act(state.RoutingRevert, "routing", nil)
	if got := r.tier("finance"); got != "heavy" {
		t.Errorf("a revert: finance is %s", got)
	}
	change("standard")
	r.write(routingFile, strings.Replace(recordedRouting(t), `"standard"`, `"ultra"`, 1)) // by hand, meanwhile
	r.until("the file is seen", func(s *state.Snapshot) bool {
		return strings.Contains(s.Routing.JSON, "ultra") && s.Routing.Trial == nil
	})
	b, err := os.ReadFile(filepath.Join(r.dir, routingFile))
	if err != nil || string(b) != strings.Replace(recordedRouting(t), `"standard"`, `"ultra"`, 1) {
		t.Errorf("what was edited by hand was undone (%v)", err)
	}
}

func TestAnUnconfirmedChangeDoesNotOutliveTheEngine(t *testing.T) {
	r := routingRig(t)
	r.act(state.RoutingSet, "routing", map[string]string{"category": "finance", "patch": `{"tier": "heavy"}`, "confirm_within": "1h"})
	r.stop()
	if got := r.tier("finance"); got != "standard" {
		t.Errorf("finance is %s after a clean end", got)
	}
	// Killed, it is undone at the next start.
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OPSDECK_ROUTING_TRIAL="+r.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	if !sc.Scan() || sc.Text() != "applied" {
		t.Errorf("the child says %q", sc.Text())
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if got := r.tier("finance"); got != "heavy" {
		t.Errorf("finance is %s after the kill: it was to be in force then", got)
	}
	r.start(nil)
	s := r.until("it was undone", func(s *state.Snapshot) bool {
		return len(s.Routing.History) > 0 && s.Routing.History[0].How == "reverted" && s.Routing.Trial == nil
	})
	if got := r.tier("finance"); got != "standard" || s.Routing.History[0].Why != "it was not confirmed before the engine ended" {
		t.Errorf("finance is %s, %+v", got, s.Routing.History[0])
	}
}

// trialChild applies a change on trial, says so, and waits to be killed.
func trialChild(dir string) {
	e, err := New(configIn(dir))
	if err == nil {
		e.Open(time.Now())
		_, err = e.Execute(context.Background(), state.Action{Kind: state.RoutingSet, Target: "routing",
			Args: map[string]string{"category": "finance", "patch": `{"tier": "heavy"}`, "confirm_within": "1h"}})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("applied")
	select {}
}

func TestHistoryKeepsWhoAndWhyAndIsBounded(t *testing.T) {
	r := routingRig(t)
	for i := range keepVersions + 5 {
		r.act(state.RoutingSet, "routing", map[string]string{"config": fmt.Sprintf(`{"version": "%d", "categories": {}}`, i), "why": fmt.Sprint("change ", i)})
	}
	h, err := r.e.openedHistory(false)
	if err != nil {
		t.Fatal(err)
	}
	list, err := h.list(context.Background())
	if err != nil || len(list) != keepVersions || list[0].Why != fmt.Sprint("change ", keepVersions+4) {
		t.Fatalf("%d versions, the newest %+v (%v)", len(list), list[0], err)
	}
	r.act(state.RoutingRollback, "routing", map[string]string{"version": fmt.Sprint(list[7].Version)})
	s := r.until("it is rolled back", func(s *state.Snapshot) bool { return s.Routing.History[0].How == "rolled back" })
	if s.Routing.History[0].Tag != list[7].Tag {
		t.Errorf("got %+v, want the text of %+v", s.Routing.History[0], list[7])
	}
	r.write(routingFile, `{"version": "by hand"}`)
	r.until("a change by hand is recorded", func(s *state.Snapshot) bool { return s.Routing.History[0].How == "file" })

	r.act(state.RoutingSet, "routing", map[string]string{"config": `{"version": "by key"}`, "why": "not the spaces"})
	s = r.until("what follows it is recorded", func(s *state.Snapshot) bool { return s.Routing.History[0].How != "file" })
	if v := s.Routing.History[0]; v.Added != 1 || v.Removed != 1 || strings.Contains(v.Diff, "+{") {
		t.Errorf("one value changed, and %d lines came and %d went:\n%s", v.Added, v.Removed, v.Diff)
	}
}
