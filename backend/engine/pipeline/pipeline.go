package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Config says what a pipeline works with.
type Config struct {
	// Stages says what each stage, by its title, may do at a time.
	Stages map[string]StageConfig
	// Path is the file of results and failed jobs, name how an operator would name it.
	Path, Name string
	// Enabled reports whether a module is, so that its kept results are served.
	Enabled func(module string) bool
	// Fetch has a module fetch again, and returns the result in a few words.
	Fetch func(ctx context.Context, module string) (string, error)
	// Mask returns a text without secret values.
	Mask func(string) string
	// Changed is called when an action changed what the section says.
	Changed func()
	Log     *slog.Logger
}

// Pipeline is the way from a fetch to /context.
type Pipeline struct {
	cfg     Config
	stages  [4]*stage
	data    *Store
	known   *jobs
	started time.Time
	brief   briefReport

	mu     sync.Mutex
	unkept string // why results do not survive a restart; "" when they do
}

// New makes a pipeline; nothing moves before run.
func New(cfg Config, now time.Time) *Pipeline {
	store := newStore()
	p := &Pipeline{cfg: cfg, data: store, started: now, known: newJobs(now)}
	work := [4]func(*Job) error{ingest, store.aggregate, store.synthesize, store.deliver}
	for i := range p.stages {
		title := titles[i]
		p.stages[i] = &stage{
			title: title, work: work[i], kick: make(chan struct{}, 1), freed: make(chan struct{}),
			capacity: cmp.Or(cfg.Stages[title].Capacity, stageCapacity), workers: min(cmp.Or(cfg.Stages[title].Workers, defaultWorkers[i]), maxWorkers),
			failed: p.known.failed, done: p.known.done,
		}
		if i > 0 {
			p.stages[i-1].next = p.stages[i]
		}
	}
	return p
}

// defaultWorkers: parsing is the one stage that costs.
var defaultWorkers = [4]int{2, 1, 1, 1}

// clean returns text from outside fit to be published.
func (p *Pipeline) clean(s string) string { return state.Clean(p.cfg.Mask(s)) }

// Store returns what /context is made of.
func (p *Pipeline) Store() *Store { return p.data }

// Count is what one stage holds and did since the start.
type Count struct {
	Title           string
	Depth, InFlight int
	Done, Errors    int64
}

// Counts returns those of all stages, in flow order.
func (p *Pipeline) Counts() (out []Count) {
	for _, s := range p.stages {
		s.mu.Lock()
		out = append(out, Count{s.title, len(s.queue), s.inFlight, s.finished, s.errors})
		s.mu.Unlock()
	}
	return out
}

// Run works until ctx ends and every worker has stopped, and keeps results on disk.
func (p *Pipeline) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.keepResults(ctx) })
	p.work(ctx)
}

// work works until ctx ends and every worker has stopped.
func (p *Pipeline) work(ctx context.Context) {
	var wg sync.WaitGroup
	var before *stage
	for _, s := range p.stages {
		b := before
		wg.Go(func() { s.run(ctx, b) })
		before = s
	}
	wg.Wait()
}

// Room promises a place to a job, if there is one; where there is none, may is closed
// when there may be. That is what holds fetches back while the pipeline is full,
// paused or drained.
func (p *Pipeline) Room() (ok bool, may <-chan struct{}) {
	s := p.stages[0]
	s.mu.Lock()
	may = s.freed
	s.mu.Unlock()
	return s.reserve(), may
}

// Leave gives back a place that was promised and is not needed.
func (p *Pipeline) Leave() { p.stages[0].unreserve() }

// Submit hands in what a fetch gave, into the place that was promised.
func (p *Pipeline) Submit(j *Job) {
	p.known.add(j)
	p.stages[0].put(j)
}

// Refuse records a fetch that gave nothing, and so never got in.
func (p *Pipeline) Refuse(j *Job, err error) {
	p.known.add(j)
	p.stages[0].count(fmt.Errorf("%s: %w", j.module, err), time.Now())
	p.known.failed(j, stageFetch, err)
}

// stage returns the one of that title, or nil.
func (p *Pipeline) stage(title string) *stage {
	for _, s := range p.stages {
		if s.title == title {
			return s
		}
	}
	return nil
}

// NoRoom keeps what a fetch gave that found no place, for a retry.
func (p *Pipeline) NoRoom(j *Job) {
	p.known.add(j)
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
	p.known.failed(j, s.title, err)
}

// Section returns the pipeline as state; all asks for the last jobs, want for some of them
// with their steps.
func (p *Pipeline) Section(now time.Time, record bool, all bool, want []string) state.Pipeline {
	p.mu.Lock()
	out := state.Pipeline{Problem: p.unkept}
	p.mu.Unlock()
	for _, s := range p.stages {
		out.Stages = append(out.Stages, s.sample(now, p.started, p.cfg.Mask, record))
	}
	first := p.stages[0]
	first.mu.Lock()
	out.Closed = first.closed
	first.mu.Unlock()
	out.Jobs = p.known.list(all, want, p.clean)
	return out
}
