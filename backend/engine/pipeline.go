package engine

import (
	"bytes"
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
	// stageCapacity bounds each stage's queue; a full one holds back the stage before it.
	stageCapacity = 256
	// lateWindow is over how many jobs latencies are told.
	lateWindow = 256
	// recent is how long after a job a stage still reads "running".
	recent = 5 * time.Second
	// maxKept bounds what is kept of one module's data for /context, in bytes.
	maxKept = 1 << 20
)

// job is one module's fetch on its way through the stages.
type job struct {
	module, category, platform string
	fetched                    time.Time
	raw                        json.RawMessage
	items                      []json.RawMessage
	newest                     time.Time
	truncated                  bool
	summary                    Summary
	err                        error
	queued                     time.Time
}

// stage is one step: a bounded queue and workers that empty it.
type stage struct {
	title   string
	in      chan *job
	workers int
	work    func(*job) error
	next    *stage

	mu       sync.Mutex
	waiting  []time.Time // when each queued job came, oldest first
	inFlight int
	done     int64
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

func (s *stage) put(ctx context.Context, j *job) error {
	j.queued = time.Now()
	s.mu.Lock()
	s.waiting = append(s.waiting, j.queued)
	s.mu.Unlock()
	select {
	case s.in <- j:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		if n := len(s.waiting); n > 0 {
			s.waiting = s.waiting[:n-1]
		}
		s.mu.Unlock()
		return context.Cause(ctx)
	}
}

func (s *stage) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-s.in:
			s.mu.Lock()
			s.waiting = s.waiting[1:]
			s.inFlight++
			s.mu.Unlock()
			from := time.Now()
			err := s.guard(j)
			s.finish(time.Since(from), err, time.Now())
			if err == nil && s.next != nil {
				_ = s.next.put(ctx, j)
			}
		}
	}
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
	s.done++
	s.okAt = now
	s.late[s.lateN%lateWindow] = float64(took) / float64(time.Millisecond)
	s.lateN++
	s.buckets[now.Unix()%60]++
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
		Title: s.title, State: "idle", Depth: len(s.waiting), Capacity: cap(s.in), InFlight: s.inFlight,
		Done: s.done, Errors: s.errors, LastError: state.Clean(mask(s.lastErr)), LastErrorAt: s.errAt,
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
	if len(s.waiting) > 0 {
		out.Oldest = now.Sub(s.waiting[0]).Round(time.Millisecond)
	}
	switch {
	case s.errAt.After(s.okAt):
		out.State = "error"
	case s.inFlight > 0 || len(s.waiting) > 0 || !s.okAt.IsZero() && now.Sub(s.okAt) < recent:
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
	started time.Time
}

func newPipeline(store *contextStore, now time.Time) *pipeline {
	p := &pipeline{store: store, started: now}
	work := [4]func(*job) error{ingest, store.aggregate, store.synthesize, store.deliver}
	for i := range p.stages {
		p.stages[i] = &stage{title: stageTitles[i], in: make(chan *job, stageCapacity), workers: 1, work: work[i]}
		if i > 0 {
			p.stages[i-1].next = p.stages[i]
		}
	}
	// Parsing is the one stage that costs; the others keep their order by being alone.
	p.stages[0].workers = 2
	return p
}

// run works until ctx ends and every worker has stopped.
func (p *pipeline) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, s := range p.stages {
		for range s.workers {
			wg.Go(func() { s.run(ctx) })
		}
	}
	wg.Wait()
}

// submit hands in what a fetch gave, or why it gave nothing; it waits while the
// first queue is full.
func (p *pipeline) submit(ctx context.Context, j *job) error { return p.stages[0].put(ctx, j) }

// ingest turns what an adapter gave into items: an array's elements, an object's
// "items" or "data" array, or the one value.
func ingest(j *job) error {
	if j.err != nil {
		return fmt.Errorf("%s: %w", j.module, j.err)
	}
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
