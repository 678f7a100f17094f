package engine

import (
	"context"

	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/state"
)

// steer carries out the pipeline's actions.
func (e *Engine) steer(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	e.mu.Lock()
	p, alive := e.fetcher.pipeline, e.life != nil
	e.mu.Unlock()
	if !alive {
		return state.Outcome{}, errNotRunning
	}
	return p.Execute(ctx, a, progress)
}

// repiped publishes the pipeline, and the modules that it holds back, anew.
func (e *Engine) repiped() {
	e.mu.Lock()
	e.piped = true
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Pipeline returns the way from fetches to /context, of the present run or the last.
func (e *Engine) Pipeline() *pipeline.Pipeline {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fetcher.pipeline
}
