package engine

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/state"
)

// pipeEngine returns an engine with modules whose fetches work.
func pipeEngine(t *testing.T, cfg Config, names ...string) *rig {
	needPython(t)
	files := map[string]string{}
	for _, n := range names {
		for name, text := range adapterOf(n, works) {
			files[name] = text
		}
	}
	r := newRig(t, files)
	r.start(cfg)
	for _, n := range names {
		r.module("t/"+n, "works", healthy)
	}
	return r
}

func TestPauseHoldsFetchesBackAndResumeLetsThemGo(t *testing.T) {
	r := pipeEngine(t, Config{Interval: 50 * time.Millisecond, Stages: map[string]pipeline.StageConfig{"ingest": {Capacity: 2}}}, "a")
	out, err := r.do(state.PipelinePause, "ingest", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := r.until("its fetch waits", func(s *state.Snapshot) bool { return s.Pipeline.Held == 1 })
	if st := s.Pipeline.Stage("ingest"); st.State != "paused" || st.Depth != 2 || !strings.Contains(st.Paused, ", ") {
		t.Errorf("got %+v", st)
	}
	m := r.module("t/a", "says why", func(m *state.Module) bool { return strings.Contains(m.Reason, "the pipeline takes nothing now") })
	before := m.Successes
	got, err := r.do(state.ModuleFetch, "t/a", nil, nil)
	if err != nil || !strings.Contains(got.Result, "not delivered") {
		t.Errorf("a fetch that was asked for: %q, %v", got.Result, err)
	}
	r.module("t/a", "fetched when asked", func(m *state.Module) bool { return m.Successes == before+1 })
	s = r.until("it is kept", func(s *state.Snapshot) bool {
		for _, j := range s.Pipeline.Jobs {
			if j.Status == "failed" {
				return true
			}
		}
		return false
	})
	if _, err := r.do(out.Undo.Kind, out.Undo.Target, out.Undo.Args, nil); err != nil {
		t.Fatal(err)
	}
	r.module("t/a", "goes on", func(m *state.Module) bool { return m.Successes > before+1 && m.Reason == "" })
	_ = s
}

func TestDrainWorksEverythingOffAndStaysShut(t *testing.T) {
	r := pipeEngine(t, Config{Interval: 20 * time.Millisecond}, "a", "b")
	out, err := r.do(state.PipelineDrain, "pipeline", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range r.e.fetcher.pipeline.Counts() {
		if n := st.Depth + st.InFlight; n != 0 {
			t.Errorf("%d jobs in %s", n, st.Title)
		}
	}
	r.until("the fetches wait", func(s *state.Snapshot) bool { return s.Pipeline.Held == 2 && s.Pipeline.Closed != "" })
	if _, err := r.do(out.Undo.Kind, out.Undo.Target, nil, nil); err != nil {
		t.Fatal(err)
	}
	r.until("they go on", func(s *state.Snapshot) bool { return s.Pipeline.Held == 0 && s.Pipeline.Closed == "" })
	if _, err := r.do(state.PipelinePause, "deliver", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.until("something waits before deliver", func(s *state.Snapshot) bool { return s.Pipeline.Stage("deliver").Depth > 0 })
	if _, err := r.do(state.PipelineDrain, "pipeline", nil, nil); err == nil || !strings.Contains(err.Error(), "deliver is paused by") {
		t.Errorf("a drain through a paused stage: %v", err)
	}
	r.until("the intake is open again", func(s *state.Snapshot) bool { return s.Pipeline.Closed == "" })
}

func TestResultsAndFailedJobsSurviveARestart(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("a", works))
	for name, text := range adapterOf("bad", "\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        raise ValueError('no data today')\n") {
		r.write(name, text)
	}
	r.start(Config{Interval: time.Hour})
	r.module("t/a", "works", healthy)
	r.until("the failure is kept", func(s *state.Snapshot) bool { return len(failedJobs(s)) == 1 })
	r.until("it is delivered", func(*state.Snapshot) bool { _, ok := r.e.Delivered().Category("t"); return ok })
	r.stop()
	was, _ := r.e.Delivered().Category("t")
	r.write("modules/t/a/adapter.py", "raise ImportError('not now')\n")
	r.start(Config{Interval: time.Hour, Python: "none"})
	var cat *pipeline.Category
	r.until("/context is back", func(*state.Snapshot) (ok bool) { cat, ok = r.e.Delivered().Category("t"); return ok })
	if m := cat.Modules[0]; !m.Restored || string(m.Data[1]) != "2" || m.Fetched.Sub(was.Modules[0].Fetched).Abs() > time.Millisecond {
		t.Errorf("got %+v", m)
	}
	s := r.until("the failed job is back", func(s *state.Snapshot) bool { return len(failedJobs(s)) >= 1 })
	found := false
	for _, j := range failedJobs(s) {
		found = found || j.Module == "t/bad" && j.Stage == "fetch"
	}
	if !found {
		t.Errorf("got %+v", failedJobs(s))
	}
	if _, err := r.do(state.ModuleDisable, "t/a", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if got := reader(t, filepath.Join(r.dir, "data/pipeline.db"), `print([x[0] for x in c.execute("select module_id from results")])`); got != "[]" {
		t.Errorf("a disabled module's result is kept: %s", got)
	}
}

func failedJobs(s *state.Snapshot) (out []state.Job) {
	for _, j := range s.Pipeline.Jobs {
		if j.Status == "failed" {
			out = append(out, j)
		}
	}
	return out
}

func TestRetryFetchesAgainWhatNeverGotIn(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("a", `
import os
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        if not os.path.exists(os.path.join(os.path.dirname(__file__), "well")):
            raise ValueError("not well")
        return [1, 2]
`))
	r.start(Config{Interval: time.Hour})
	s := r.until("its failure is kept", func(s *state.Snapshot) bool { return len(failedJobs(s)) == 1 })
	id := failedJobs(s)[0].ID
	if _, err := r.do(state.PipelineRetry, id, nil, nil); err == nil || !strings.Contains(err.Error(), "not well") {
		t.Errorf("got %v", err)
	}
	s = r.until("it is kept still", func(s *state.Snapshot) bool { l := failedJobs(s); return len(l) == 1 && l[0].Times >= 2 })
	r.write("modules/t/a/well", "")
	if out, err := r.do(state.PipelineRetry, failedJobs(s)[0].ID, nil, nil); err != nil || !strings.Contains(out.Result, "fetched again: fetched 2 items") {
		t.Errorf("got %q, %v", out.Result, err)
	}
	r.until("nothing is failed", func(s *state.Snapshot) bool { return len(failedJobs(s)) == 0 })
}

func TestUnwritableResultsAreSaidAndCostNothingElse(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("a", works))
	r.write("data/pipeline.db/x", "") // a folder where the file should be
	r.start(Config{})
	r.module("t/a", "works", healthy)
	s := r.until("it is said", func(s *state.Snapshot) bool { return s.Pipeline.Problem != "" })
	if !strings.Contains(s.Pipeline.Problem, "results do not survive a restart: data/pipeline.db") {
		t.Errorf("got %q", s.Pipeline.Problem)
	}
}
