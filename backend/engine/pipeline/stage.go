package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// titles are the stages, in flow order.
var titles = [4]string{"ingest", "aggregate", "synthesize", "deliver"}

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
	work     func(*Job) error
	next     *stage
	capacity int
	// failed gets a job that could not be worked on; done one that left the last stage.
	failed func(*Job, string, error)
	done   func(*Job)
	kick   chan struct{} // something changed that may let a job go; capacity 1

	mu       sync.Mutex
	queue    []*Job // oldest first
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
func (s *stage) put(j *Job) {
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

// take returns the next job that may be worked on, nil for none. A place for it in the
// next stage is reserved.
func (s *stage) take() *Job {
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
func (s *stage) do(j *Job) {
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
func (s *stage) guard(j *Job) (err error) {
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

// sample returns the stage as state; with record, its depth joins the history.
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
