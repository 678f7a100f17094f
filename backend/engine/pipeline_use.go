package engine

import (
	"context"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/state"
)

// steer carries out the pipeline's actions.
func (e *Engine) steer(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	e.mu.Lock()
	p, alive := e.pipeline, e.life != nil
	e.mu.Unlock()
	if !alive {
		return state.Outcome{}, errNotRunning
	}
	return p.Execute(ctx, a, progress)
}

// fetchAgain has a module fetch, for a job that failed before it got in.
func (e *Engine) fetchAgain(ctx context.Context, id string) (string, error) {
	out, err := e.with(ctx, id, func(m *module) (state.Outcome, error) {
		if err := e.enabled(m); err != nil {
			return state.Outcome{}, err
		}
		f := e.ask(ctx, m)
		return state.Outcome{Result: f.String()}, f.err
	})
	return out.Result, err
}

// isEnabled reports whether a module of that ID is enabled now.
func (e *Engine) isEnabled(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.modules[id]
	return m != nil && m.status == state.ModuleInstalled
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
	return e.pipeline
}

// dropStale drops from /context what modules that fail gave longer ago than their
// manifests let it stand in.
func (e *Engine) dropStale() {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.modules {
		if m.manifest == nil || m.manifest.StaleFor == 0 || m.failure == nil || m.lastOK.IsZero() || m.dropped.Equal(m.lastOK) || now.Sub(m.lastOK) < m.manifest.StaleFor {
			continue
		}
		m.dropped = m.lastOK
		m.note(now, "its last good data, %s old, was dropped", now.Sub(m.lastOK).Round(time.Second))
		e.pipeline.Store().Drop(m.category, m.id)
		e.touched(m)
	}
}
