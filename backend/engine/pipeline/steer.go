package pipeline

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Execute carries out an action on the stages and jobs.
func (p *Pipeline) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer p.cfg.Changed()
	by := a.Actor.User + ", " + time.Now().Format(time.TimeOnly)
	undo := func(k state.Kind, args map[string]string) *state.Action {
		return &state.Action{Kind: k, Target: a.Target, Args: args, Actor: a.Actor}
	}
	switch a.Kind {
	case state.PipelineDrain:
		return p.drain(ctx, by, progress)
	case state.PipelineRetry:
		return p.retry(ctx, a.Target, progress)
	case state.PipelineDiscard:
		j, err := p.known.take(a.Target)
		if err != nil {
			return out, err
		}
		j.mu.Lock()
		j.status = "discarded"
		j.mu.Unlock()
		return state.Outcome{Result: "discarded what " + j.module + " fetched"}, nil
	}
	s := p.stage(a.Target)
	if s == nil {
		return out, fmt.Errorf("there is no stage %q: the stages are ingest, aggregate, synthesize and deliver", a.Target)
	}
	switch a.Kind {
	case state.PipelinePause:
		s.mu.Lock()
		s.paused = by
		n := len(s.queue)
		s.mu.Unlock()
		return state.Outcome{Result: fmt.Sprintf("%s is paused; %s before it", s.title, waiting(n)), Undo: undo(state.PipelineResume, nil)}, nil
	case state.PipelineResume:
		s.mu.Lock()
		s.paused, s.closed = "", ""
		n := len(s.queue)
		s.mu.Unlock()
		s.wake()
		return state.Outcome{Result: fmt.Sprintf("%s goes on; %s before it", s.title, waiting(n)), Undo: undo(state.PipelinePause, nil)}, nil
	}
	n, err := strconv.Atoi(a.Args["workers"])
	if err != nil || n < 1 || n > maxWorkers {
		return out, fmt.Errorf("%q workers: a number from 1 to %d was expected", a.Args["workers"], maxWorkers)
	}
	s.mu.Lock()
	was := s.workers
	s.workers = n
	s.mu.Unlock()
	s.wake()
	return state.Outcome{Result: fmt.Sprintf("%s works on up to %s at a time, until the next start; it was %d", s.title, jobCount(n), was),
		Undo: undo(state.PipelineWorkers, map[string]string{"workers": strconv.Itoa(was)})}, nil
}

func jobCount(n int) string {
	if n == 1 {
		return "1 job"
	}
	return fmt.Sprintf("%d jobs", n)
}

func waiting(n int) string {
	if n == 1 {
		return "1 job waits"
	}
	return fmt.Sprintf("%d jobs wait", n)
}

// drain closes the intake and waits until everything that is in was worked off.
// It stays closed: resuming ingest opens it. Cancelled, it is opened again.
func (p *Pipeline) drain(ctx context.Context, by string, progress func(string, float64)) (state.Outcome, error) {
	first := p.stages[0]
	first.mu.Lock()
	was := first.closed
	first.closed = by
	first.mu.Unlock()
	p.cfg.Changed()
	open := func() {
		first.mu.Lock()
		first.closed = was
		first.mu.Unlock()
		first.wake()
	}
	all := -1
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left := 0
		for _, s := range p.stages {
			s.mu.Lock()
			n, paused := len(s.queue)+s.inFlight+s.reserved, s.paused
			s.mu.Unlock()
			if left += n; n > 0 && paused != "" {
				open()
				return state.Outcome{}, fmt.Errorf("drain: %s is paused by %s and %s in it: resume it, then drain", s.title, paused, waiting(n))
			}
		}
		if left == 0 {
			return state.Outcome{Result: "drained: nothing waits and nothing is in work; fetches wait until ingest is resumed",
				Undo: &state.Action{Kind: state.PipelineResume, Target: first.title}}, nil
		}
		all = max(all, left)
		progress(fmt.Sprintf("%s to work off", jobCount(left)), 100*float64(all-left)/float64(all))
		select {
		case <-ctx.Done():
			open()
			return state.Outcome{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// retry puts a failed job back where it failed, and waits for what comes of it. One
// that failed before it got in is fetched again.
func (p *Pipeline) retry(ctx context.Context, id string, progress func(string, float64)) (out state.Outcome, err error) {
	j, err := p.known.take(id)
	if err != nil {
		return out, err
	}
	j.mu.Lock()
	title := j.stage
	j.mu.Unlock()
	back := func(err error) (state.Outcome, error) {
		p.known.failed(j, title, err)
		return out, err
	}
	if title == stageFetch {
		progress("fetching again", -1)
		got, err := p.cfg.Fetch(ctx, j.module)
		if err != nil {
			return back(err)
		}
		j.mu.Lock()
		j.status = "superseded"
		j.mu.Unlock()
		return state.Outcome{Result: "fetched again: " + got}, nil
	}
	s := p.stage(title)
	if s == nil || !s.reserve() {
		return back(fmt.Errorf("%s has no room for it: resume it, or wait until it has worked something off", title))
	}
	progress("on its way through "+title, 30)
	s.put(j)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		j.mu.Lock()
		status, at, cause := j.status, j.stage, j.cause
		j.mu.Unlock()
		switch status {
		case "done":
			return state.Outcome{Result: "delivered what " + j.module + " had fetched"}, nil
		case "failed":
			return out, fmt.Errorf("it failed again, in %s: %s", at, cause)
		}
		if s := p.stage(at); s != nil {
			s.mu.Lock()
			paused := s.paused
			s.mu.Unlock()
			if paused != "" {
				return state.Outcome{Result: fmt.Sprintf("it waits before %s, which is paused by %s", at, paused)}, nil
			}
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Job returns one fetch's way through the pipeline, by its ID; false where it is not
// known, or was long ago.
func (p *Pipeline) Job(id string) (state.Job, bool) { return p.known.job(id, p.clean) }

// Jobs returns the last jobs and those that failed, newest first.
func (p *Pipeline) Jobs() []state.Job { return p.known.list(true, nil, p.clean) }
