package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// stageTitles are the stages, in flow order.
var stageTitles = [4]string{"ingest", "aggregate", "synthesize", "deliver"}

const (
	// stageCapacity bounds each stage's queue; a full one holds back the stage before
	// it, and the first one the fetches.
	stageCapacity = 256
	// maxWorkers bounds how many jobs a stage works on at a time.
	maxWorkers = 64
	// lateWindow is over how many jobs latencies are told.
	lateWindow = 256
	// recent is how long after a job a stage still reads "running".
	recent = 5 * time.Second
	// maxKept bounds what is kept of one module's data for /context, in bytes.
	maxKept = 1 << 20
)

// StageConfig is what a stage may do at a time; 0 stands for the default.
type StageConfig struct{ Workers, Capacity int }

// stage is one step: a bounded queue, and workers that empty it. A job is taken out
// of the queue only when the next stage has room for it, so that no worker ever
// waits and what is in work when a stage is paused is finished.
type stage struct {
	title    string
	work     func(*job) error
	next     *stage
	capacity int
	// failed gets a job that could not be worked on; done one that left the last stage.
	failed func(*job, string, error)
	done   func(*job)
	kick   chan struct{} // something changed that may let a job go; capacity 1

	mu       sync.Mutex
	queue    []*job // oldest first
	reserved int    // places in the queue that are promised
	workers  int
	inFlight int
	paused   string        // by whom and when; "" while it works
	closed   string        // the same, of its intake
	freed    chan struct{} // closed and replaced when there may be room

	finished int64
	errors   int64
	lastErr  string
	errAt    time.Time
	okAt     time.Time
	late     [lateWindow]float64
	lateN    int
	buckets  [60]int64 // jobs done in each of the last seconds
	second   int64
	depths   []float64
}

// reserve promises a place in the queue, if there is one.
func (s *stage) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != "" || len(s.queue)+s.reserved >= s.capacity {
		return false
	}
	s.reserved++
	return true
}

// unreserve gives a promised place back.
func (s *stage) unreserve() {
	s.mu.Lock()
	s.reserved--
	s.mu.Unlock()
	s.wake()
}

// put takes a job into a place that was reserved for it.
func (s *stage) put(j *job) {
	s.mu.Lock()
	s.reserved--
	s.queue = append(s.queue, j)
	j.enter(s.title, time.Now())
	s.mu.Unlock()
	s.wake()
}

// wake lets the stage and those that wait for room in it look again. The stage
// before it is told by who took a job out.
func (s *stage) wake() {
	s.mu.Lock()
	close(s.freed)
	s.freed = make(chan struct{})
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// run works until ctx ends and every worker has stopped; before is the stage before
// this one, nil for the first.
func (s *stage) run(ctx context.Context, before *stage) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		for j := s.take(); j != nil; j = s.take() {
			if before != nil {
				before.wake()
			}
			wg.Go(func() { s.do(j) })
		}
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
	}
}

// take is the next job that may be worked on, nil for none. A place for it in the
// next stage is reserved.
func (s *stage) take() *job {
	s.mu.Lock()
	can := s.paused == "" && len(s.queue) > 0 && s.inFlight < s.workers
	s.mu.Unlock()
	if !can || s.next != nil && !s.next.reserve() {
		return nil
	}
	s.mu.Lock()
	j := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.inFlight++
	close(s.freed)
	s.freed = make(chan struct{})
	s.mu.Unlock()
	j.start(time.Now())
	return j
}

// do works on one job and passes it on.
func (s *stage) do(j *job) {
	from := time.Now()
	err := s.guard(j)
	j.end(time.Now(), err)
	s.finish(time.Since(from), err, time.Now())
	switch {
	case err != nil:
		if s.next != nil {
			s.next.unreserve()
		}
		s.failed(j, s.title, err)
	case s.next != nil:
		s.next.put(j)
	default:
		s.done(j)
	}
	s.wake()
}

// guard keeps one bad result from taking the engine down.
func (s *stage) guard(j *job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %s: %v", s.title, j.module, p)
		}
	}()
	return s.work(j)
}

func (s *stage) finish(took time.Duration, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	s.tick(now)
	if err != nil {
		s.errors++
		s.lastErr, s.errAt = err.Error(), now
		return
	}
	s.finished++
	s.okAt = now
	s.late[s.lateN%lateWindow] = float64(took) / float64(time.Millisecond)
	s.lateN++
	s.buckets[now.Unix()%60]++
}

// count counts a job that failed before it came here.
func (s *stage) count(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errors++
	s.lastErr, s.errAt = err.Error(), now
}

// tick empties the buckets of seconds that went by.
func (s *stage) tick(now time.Time) {
	sec := now.Unix()
	if s.second == 0 || sec-s.second >= 60 || sec < s.second {
		s.buckets = [60]int64{}
		s.second = sec
		return
	}
	for s.second < sec {
		s.second++
		s.buckets[s.second%60] = 0
	}
}

// sample is the stage as state; with record, its depth joins the history.
func (s *stage) sample(now, started time.Time, mask func(string) string, record bool) state.Stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick(now)
	out := state.Stage{
		Title: s.title, State: "idle", Paused: s.paused, Workers: s.workers, Depth: len(s.queue), Capacity: s.capacity, InFlight: s.inFlight,
		Done: s.finished, Errors: s.errors, LastError: state.Clean(mask(s.lastErr)), LastErrorAt: s.errAt,
	}
	var sum int64
	for _, b := range s.buckets {
		sum += b
	}
	window := math.Min(60, math.Max(1, now.Sub(started).Seconds()))
	out.Rate = math.Round(100*float64(sum)/window) / 100
	if n := min(s.lateN, lateWindow); n > 0 {
		l := slices.Clone(s.late[:n])
		slices.Sort(l)
		out.P50, out.P95 = l[(n-1)*50/100], l[(n-1)*95/100]
	}
	if len(s.queue) > 0 {
		out.Oldest = now.Sub(s.queue[0].queued()).Round(time.Millisecond)
	}
	switch {
	case s.paused != "" || s.closed != "":
		out.State = "paused"
	case s.errAt.After(s.okAt):
		out.State = "error"
	case s.inFlight > 0 || len(s.queue) > 0 || !s.okAt.IsZero() && now.Sub(s.okAt) < recent:
		out.State = "running"
	}
	if record {
		s.depths = append(s.depths, float64(out.Depth))
		if over := len(s.depths) - 60; over > 0 {
			s.depths = append([]float64(nil), s.depths[over:]...)
		}
	}
	out.Depths = slices.Clone(s.depths)
	return out
}

// pipeline is the way from a fetch to /context.
type pipeline struct {
	stages  [4]*stage
	store   *contextStore
	jobs    *jobs
	started time.Time
}

func newPipeline(store *contextStore, now time.Time, cfg map[string]StageConfig) *pipeline {
	p := &pipeline{store: store, started: now, jobs: newJobs(now)}
	work := [4]func(*job) error{ingest, store.aggregate, store.synthesize, store.deliver}
	for i := range p.stages {
		title := stageTitles[i]
		p.stages[i] = &stage{
			title: title, work: work[i], kick: make(chan struct{}, 1), freed: make(chan struct{}),
			capacity: cmp.Or(cfg[title].Capacity, stageCapacity), workers: min(cmp.Or(cfg[title].Workers, defaultWorkers[i]), maxWorkers),
			failed: p.jobs.failed, done: p.jobs.done,
		}
		if i > 0 {
			p.stages[i-1].next = p.stages[i]
		}
	}
	return p
}

// defaultWorkers: parsing is the one stage that costs.
var defaultWorkers = [4]int{2, 1, 1, 1}

// run works until ctx ends and every worker has stopped.
func (p *pipeline) run(ctx context.Context) {
	var wg sync.WaitGroup
	var before *stage
	for _, s := range p.stages {
		b := before
		wg.Go(func() { s.run(ctx, b) })
		before = s
	}
	wg.Wait()
}

// room promises a place to a job, if there is one; where there is none, may is closed
// when there may be. That is what holds fetches back while the pipeline is full,
// paused or drained.
func (p *pipeline) room() (ok bool, may <-chan struct{}) {
	s := p.stages[0]
	s.mu.Lock()
	may = s.freed
	s.mu.Unlock()
	return s.reserve(), may
}

// leave gives back a place that was promised and is not needed.
func (p *pipeline) leave() { p.stages[0].unreserve() }

// submit hands in what a fetch gave, into the place that was promised.
func (p *pipeline) submit(j *job) {
	p.jobs.add(j)
	p.stages[0].put(j)
}

// refuse records a fetch that gave nothing, and so never got in.
func (p *pipeline) refuse(j *job, err error) {
	p.jobs.add(j)
	p.stages[0].count(fmt.Errorf("%s: %w", j.module, err), time.Now())
	p.jobs.failed(j, stageFetch, err)
}

// stage is the one of that title, or nil.
func (p *pipeline) stage(title string) *stage {
	for _, s := range p.stages {
		if s.title == title {
			return s
		}
	}
	return nil
}

// noRoom keeps what a fetch gave that found no place, for a retry.
func (p *pipeline) noRoom(j *job) {
	p.jobs.add(j)
	s := p.stages[0]
	s.mu.Lock()
	why := fmt.Sprintf("%d jobs wait there already", len(s.queue)+s.reserved)
	switch {
	case s.closed != "":
		why = "the pipeline was drained by " + s.closed
	case s.paused != "":
		why = "it is paused by " + s.paused + ", and " + why
	}
	s.mu.Unlock()
	err := fmt.Errorf("%s takes nothing now: %s; what was fetched is kept: resume it, then retry this job", s.title, why)
	s.count(fmt.Errorf("%s: %w", j.module, err), time.Now())
	p.jobs.failed(j, s.title, err)
}

// section is the pipeline as state; all asks for the last jobs, want for some of them
// with their steps.
func (p *pipeline) section(now time.Time, mask func(string) string, record bool, all bool, want []string) state.Pipeline {
	out := state.Pipeline{}
	for _, s := range p.stages {
		out.Stages = append(out.Stages, s.sample(now, p.started, mask, record))
	}
	first := p.stages[0]
	first.mu.Lock()
	out.Closed = first.closed
	first.mu.Unlock()
	out.Jobs = p.jobs.list(all, want, func(s string) string { return state.Clean(mask(s)) })
	return out
}

// ingest turns what an adapter gave into items: an array's elements, an object's
// "items" or "data" array, or the one value.
func ingest(j *job) error {
	items, err := itemsOf(j.raw)
	if err != nil {
		return fmt.Errorf("%s: its result is not JSON: %w", j.module, err)
	}
	j.raw = nil
	size := 0
	for i, it := range items {
		if t := stampOf(it); t.After(j.newest) && t.Before(j.fetched.Add(10*365*24*time.Hour)) {
			j.newest = t
		}
		if size += len(it); size > maxKept && !j.truncated {
			j.truncated = true
			j.items = slices.Clone(items[:i])
		}
	}
	j.summary = Summary{Items: len(items)}
	if !j.truncated {
		j.items = items
	}
	return nil
}

func itemsOf(raw json.RawMessage) ([]json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	switch raw[0] {
	case '[':
		var list []json.RawMessage
		return list, json.Unmarshal(raw, &list)
	case '{':
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, err
		}
		for _, k := range []string{"items", "data"} {
			if v := bytes.TrimSpace(m[k]); len(v) > 0 && v[0] == '[' {
				var list []json.RawMessage
				return list, json.Unmarshal(v, &list)
			}
		}
	}
	if !json.Valid(raw) {
		return nil, errors.New("malformed")
	}
	return []json.RawMessage{raw}, nil
}

// stampFields are where an item says when it is of, the most telling first.
var stampFields = []string{"timestamp", "updated_at", "observed_at", "created_at", "start_time", "battle_time", "start", "time", "date"}

func stampOf(item json.RawMessage) time.Time {
	if len(item) == 0 || item[0] != '{' || len(item) > 64<<10 {
		return time.Time{}
	}
	var m map[string]json.RawMessage
	if json.Unmarshal(item, &m) != nil {
		return time.Time{}
	}
	for _, k := range stampFields {
		v := m[k]
		if len(v) == 0 {
			continue
		}
		if v[0] == '"' {
			s, err := strconv.Unquote(string(v))
			if err != nil {
				continue
			}
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05", time.DateOnly} {
				if t, err := time.Parse(layout, s); err == nil {
					return t
				}
			}
			continue
		}
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil || f < 1e8 || f > 1e14 {
			continue
		}
		if f > 1e11 { // milliseconds
			f /= 1000
		}
		return time.Unix(int64(f), int64((f-math.Floor(f))*1e9)).UTC()
	}
	return time.Time{}
}
