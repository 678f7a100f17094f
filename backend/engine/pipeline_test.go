package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// pipeRig is a pipeline without an engine; its stages do what the test says.
type pipeRig struct {
	t *testing.T
	p *pipeline
}

func newPipeRig(t *testing.T, cfg map[string]StageConfig, work map[string]func(*job) error) *pipeRig {
	p := newPipeline(newContextStore(), time.Now(), cfg)
	for title, f := range work {
		p.stage(title).work = f
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &pipeRig{t, p}
}

func (r *pipeRig) submit(module string) *job {
	r.t.Helper()
	if ok, _ := r.p.room(); !ok {
		r.t.Fatal("there is no room")
	}
	j := &job{module: module, category: "c", platform: module, fetched: time.Now(), raw: json.RawMessage(`[1]`)}
	r.p.submit(j)
	return j
}

// until waits for a job's status.
func (r *pipeRig) until(j *job, status string) {
	r.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		j.mu.Lock()
		got, stage := j.status, j.stage
		j.mu.Unlock()
		if got == status {
			return
		}
		select {
		case <-deadline:
			r.t.Fatalf("job %s of %s is %s in %s, want %s", j.id, j.module, got, stage, status)
		case <-tick.C:
		}
	}
}

func TestAFullStageHoldsBackTheOneBeforeAndThenTheFetches(t *testing.T) {
	gate := make(chan struct{})
	r := newPipeRig(t, map[string]StageConfig{"ingest": {Workers: 1, Capacity: 3}, "aggregate": {Workers: 1, Capacity: 2}},
		map[string]func(*job) error{"aggregate": func(*job) error { <-gate; return nil }})
	var all []*job
	for i := 0; ; i++ {
		ok, _ := r.p.room()
		if !ok {
			// Nothing moves any more once one is in work and both queues are full.
			if n := len(all); n == 1+2+3 {
				break
			}
			continue
		}
		j := &job{module: fmt.Sprintf("c/m%d", i), category: "c", fetched: time.Now(), raw: json.RawMessage(`[1]`)}
		r.p.submit(j)
		all = append(all, j)
		if len(all) > 6 {
			t.Fatalf("%d jobs were taken in", len(all))
		}
	}
	ok, freed := r.p.room()
	if ok {
		t.Fatal("there is room beyond the bounds")
	}
	close(gate)
	select {
	case <-freed:
	case <-time.After(patience):
		t.Fatal("nobody was told of the room")
	}
	for _, j := range all {
		r.until(j, "done")
	}
}

func TestStagesWorkOnAsManyJobsAtATimeAsTheyMay(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	entered, leave := make(chan struct{}), make(chan struct{})
	r := newPipeRig(t, map[string]StageConfig{"ingest": {Workers: 3}}, map[string]func(*job) error{"ingest": func(*job) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		entered <- struct{}{}
		<-leave
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}})
	var js []*job
	for i := range 6 {
		js = append(js, r.submit(fmt.Sprint("c/", i)))
	}
	for range 3 {
		<-entered
	}
	for range 3 {
		leave <- struct{}{}
		<-entered
	}
	close(leave)
	for _, j := range js {
		r.until(j, "done")
	}
	if most != 3 {
		t.Errorf("%d at a time, want 3", most)
	}
}

func TestJobCanBeFollowedAndAFailedOneIsKeptAndRetried(t *testing.T) {
	bad := true
	r := newPipeRig(t, nil, map[string]func(*job) error{"synthesize": func(*job) error {
		if bad {
			panic("half a thought")
		}
		return nil
	}})
	j := r.submit("c/a")
	r.until(j, "failed")
	got, ok := r.p.jobs.job(j.id, state.Clean)
	if !ok || got.Stage != "synthesize" || !strings.Contains(got.Cause, "half a thought") || len(got.Steps) != 3 || got.Steps[2].Err == "" || got.Steps[0].Ended.IsZero() {
		t.Errorf("got %+v", got)
	}
	again := r.submit("c/a")
	r.until(again, "failed")
	if list := r.p.jobs.list(false, nil, state.Clean); list[0].Times != 2 || list[1].Status != "superseded" {
		t.Errorf("two failures of one module in one place: %+v", list)
	}
	bad = false
	taken, err := r.p.jobs.take(again.id)
	if err != nil {
		t.Fatal(err)
	}
	s := r.p.stage("synthesize")
	if !s.reserve() {
		t.Fatal("no room")
	}
	s.put(taken)
	r.until(again, "done")
	if _, err := r.p.jobs.take(again.id); !errors.Is(err, errNoJob) {
		t.Errorf("got %v, want errNoJob", err)
	}
}

func TestKeptJobsAreBoundedInNumberAndBytes(t *testing.T) {
	k := newJobs(time.Now())
	for i := range 3 * keepJobs {
		j := &job{module: fmt.Sprint("c/", i), fetched: time.Now(), raw: make(json.RawMessage, 1<<20)}
		k.add(j)
		k.failed(j, "ingest", errors.New("x"))
	}
	if len(k.bad) > keepFailed || k.bytes > keepFailedBytes || len(k.byID) > keepJobs+keepFailed {
		t.Errorf("%d failed jobs of %d bytes, %d by ID", len(k.bad), k.bytes, len(k.byID))
	}
}

// pipeEngine is an engine with modules whose fetches work.
func pipeEngine(t *testing.T, interval time.Duration, names ...string) *rig {
	needPython(t)
	files := map[string]string{}
	for _, n := range names {
		for name, text := range adapterOf(n, works) {
			files[name] = text
		}
	}
	r := newRig(t, files)
	r.start(Config{Interval: interval})
	for _, n := range names {
		r.module("t/"+n, "works", healthy)
	}
	return r
}

func TestPauseHoldsFetchesBackAndResumeLetsThemGo(t *testing.T) {
	r := pipeEngine(t, 50*time.Millisecond, "a")
	r.e.pipeline.stage("ingest").capacity = 2
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
	r := pipeEngine(t, 20*time.Millisecond, "a", "b")
	out, err := r.do(state.PipelineDrain, "pipeline", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range r.e.pipeline.stages {
		if n := len(st.queue) + st.inFlight; n != 0 {
			t.Errorf("%d jobs in %s", n, st.title)
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
	r.until("it is delivered", func(*state.Snapshot) bool { _, ok := r.e.ContextCategory("t"); return ok })
	r.stop()
	was, _ := r.e.ContextCategory("t")
	r.write("modules/t/a/adapter.py", "raise ImportError('not now')\n")
	r.start(Config{Interval: time.Hour, Python: "none"})
	var cat *ContextCategory
	r.until("/context is back", func(*state.Snapshot) (ok bool) { cat, ok = r.e.ContextCategory("t"); return ok })
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
