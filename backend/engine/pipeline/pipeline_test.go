package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"go.uber.org/goleak"
)

// rig is a pipeline without an engine; its stages do what the test says.
type rig struct {
	t *testing.T
	p *Pipeline
}

func newRig(t *testing.T, cfg map[string]StageConfig, work map[string]func(*Job) error) *rig {
	p := New(Config{Stages: cfg, Mask: func(s string) string { return s }}, time.Now())
	for title, f := range work {
		p.stage(title).work = f
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.work(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &rig{t, p}
}

func (r *rig) submit(module string) *Job {
	r.t.Helper()
	if ok, _ := r.p.Room(); !ok {
		r.t.Fatal("there is no room")
	}
	j := &Job{module: module, category: "c", platform: module, fetched: time.Now(), raw: json.RawMessage(`[1]`)}
	r.p.Submit(j)
	return j
}

// until waits for a job's status.
func (r *rig) until(j *Job, status string) {
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
	r := newRig(t, map[string]StageConfig{"ingest": {Workers: 1, Capacity: 3}, "aggregate": {Workers: 1, Capacity: 2}},
		map[string]func(*Job) error{"aggregate": func(*Job) error { <-gate; return nil }})
	var all []*Job
	for i := 0; ; i++ {
		ok, _ := r.p.Room()
		if !ok {
			// Nothing moves any more once one is in work and both queues are full.
			if n := len(all); n == 1+2+3 {
				break
			}
			continue
		}
		j := &Job{module: fmt.Sprintf("c/m%d", i), category: "c", fetched: time.Now(), raw: json.RawMessage(`[1]`)}
		r.p.Submit(j)
		all = append(all, j)
		if len(all) > 6 {
			t.Fatalf("%d jobs were taken in", len(all))
		}
	}
	ok, freed := r.p.Room()
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
	r := newRig(t, map[string]StageConfig{"ingest": {Workers: 3}}, map[string]func(*Job) error{"ingest": func(*Job) error {
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
	var js []*Job
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
	r := newRig(t, nil, map[string]func(*Job) error{"synthesize": func(*Job) error {
		if bad {
			panic("half a thought")
		}
		return nil
	}})
	j := r.submit("c/a")
	r.until(j, "failed")
	got, ok := r.p.known.job(j.id, state.Clean)
	if !ok || got.Stage != "synthesize" || !strings.Contains(got.Cause, "half a thought") || len(got.Steps) != 3 || got.Steps[2].Err == "" || got.Steps[0].Ended.IsZero() {
		t.Errorf("got %+v", got)
	}
	again := r.submit("c/a")
	r.until(again, "failed")
	if list := r.p.known.list(false, nil, state.Clean); list[0].Times != 2 || list[1].Status != "superseded" {
		t.Errorf("two failures of one module in one place: %+v", list)
	}
	bad = false
	taken, err := r.p.known.take(again.id)
	if err != nil {
		t.Fatal(err)
	}
	s := r.p.stage("synthesize")
	if !s.reserve() {
		t.Fatal("no room")
	}
	s.put(taken)
	r.until(again, "done")
	if _, err := r.p.known.take(again.id); !errors.Is(err, errNoJob) {
		t.Errorf("got %v, want errNoJob", err)
	}
}

// The section is made while jobs are worked on: the race detector finds what both touch.
func TestJobsAreListedWhileTheyAreWorkedOn(t *testing.T) {
	r := newRig(t, nil, nil)
	var all []*Job
	for i := range 100 {
		all = append(all, r.submit(fmt.Sprint("c/", i)))
		if got := r.p.Section(time.Now(), true, true, []string{all[i].id}).Jobs; len(got) == 0 {
			t.Fatal("no job is listed")
		}
	}
	for _, j := range all {
		r.until(j, "done")
	}
}

func TestKeptJobsAreBoundedInNumberAndBytes(t *testing.T) {
	k := newJobs(time.Now())
	for i := range 3 * keepJobs {
		j := &Job{module: fmt.Sprint("c/", i), fetched: time.Now(), raw: make(json.RawMessage, 1<<20)}
		k.add(j)
		k.failed(j, "ingest", errors.New("x"))
	}
	if len(k.bad) > keepFailed || k.bytes > keepFailedBytes || len(k.byID) > keepJobs+keepFailed {
		t.Errorf("%d failed jobs of %d bytes, %d by ID", len(k.bad), k.bytes, len(k.byID))
	}
}

// patience bounds how long a test waits for something to come about.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
