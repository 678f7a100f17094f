package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/state"
)

// errStopping says that the engine, or this module's runner, is being stopped.
var errStopping = errors.New("its runner is being stopped")

// start lets a module run; first, which may be nil, gets what its first fetch
// gives. The caller holds m.op.
func (e *Engine) start(m *module, first chan fetched) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.life == nil {
		return errNotRunning
	}
	if m.sup != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(e.life)
	sup := &supervisor{cancel: cancel, done: make(chan struct{}), requests: make(chan ask), poke: make(chan struct{}, 1), fresh: make(chan struct{}, 1), leave: make(chan struct{}, 1)}
	m.sup, m.runner, m.failure, m.streak, m.warning = sup, "starting", nil, 0, ""
	m.breaker, m.cachedAt = breaker{}, time.Time{}
	e.touched(m)
	e.wg.Go(func() {
		defer close(sup.done)
		defer cancel()
		e.supervise(ctx, m, sup, first)
	})
	return nil
}

// stop ends a module's runner and waits for that. The caller holds m.op.
func (e *Engine) stop(m *module) {
	e.mu.Lock()
	sup := m.sup
	e.mu.Unlock()
	if sup == nil {
		return
	}
	sup.cancel()
	<-sup.done
	e.mu.Lock()
	m.sup = nil
	e.touched(m)
	e.mu.Unlock()
}

// supervise fetches at intervals until ctx ends.
func (e *Engine) supervise(ctx context.Context, m *module, sup *supervisor, first chan fetched) {
	var r *adapter.Runner
	crashes := 0
	defer func() {
		e.pool.Forget(sup.leave)
		if r != nil {
			r.Stop(true)
		}
		e.mu.Lock()
		m.held = false
		m.runner, m.pid, m.fetching, m.loadedAt, m.next = "stopped", 0, false, time.Time{}, time.Time{}
		e.touched(m)
		e.mu.Unlock()
	}()
	// leave lets the process go: the next fetch forks another.
	leave := func() {
		if r == nil {
			return
		}
		e.pool.Forget(sup.leave)
		r.Stop(true)
		r = nil
		e.mu.Lock()
		m.runner, m.pid = "idle", 0
		e.touched(m)
		e.mu.Unlock()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var freed <-chan struct{} // set while a fetch is due and the pipeline has no room
	for {
		var asked ask
		var dead <-chan struct{}
		if r != nil {
			dead = r.Ended()
		}
		if first != nil {
			asked.answer, first = first, nil
		} else {
			select {
			case <-ctx.Done():
				return
			case <-dead:
				err := r.Crashed(ctx)
				r.Stop(false)
				r = nil
				e.pool.Forget(sup.leave)
				if errors.Is(err, adapter.ErrForkServerGone) { // no fault of its own
					leave()
					continue
				}
				if f := (*adapter.Failure)(nil); errors.As(err, &f) && f.Stage == adapter.StageIdle {
					e.rested(m, f)
					continue
				}
				crashes++
				wait := min(time.Second<<min(crashes-1, 6), m.intervalNow(e))
				e.died(m, err, wait)
				timer.Reset(wait)
				continue
			case <-sup.leave:
				leave()
				continue
			case <-sup.fresh:
				leave()
				timer.Reset(e.schedule(m, 0))
				continue
			case asked = <-sup.requests:
			case <-sup.poke:
			case <-timer.C:
			case <-freed:
			}
		}
		if asked.cached {
			if res, ok := e.fromCache(m); ok {
				asked.answer <- res
				continue
			}
		}
		room := false
		if room, freed = e.room(m, asked.answer != nil); !room && asked.answer == nil {
			continue
		}
		res := e.cycle(ctx, m, &r, asked.answer != nil, room)
		if ctx.Err() != nil {
			res.err = errStopping
		} else {
			timer.Reset(e.schedule(m, res.wait))
		}
		if res.err == nil {
			crashes = 0
		}
		if asked.answer != nil {
			asked.answer <- res
		}
		if ctx.Err() != nil {
			return
		}
		if r == nil {
			e.pool.Forget(sup.leave)
		} else if r.Lift() != nil || res.err == nil && !e.stays(m, sup, r) {
			leave() // or it keeps the lowest priority
		}
	}
}

// room asks for a place in the pipeline for what a fetch will give. A scheduled fetch
// waits until there is one, told by freed; one that was asked for goes on without.
func (e *Engine) room(m *module, asked bool) (ok bool, freed <-chan struct{}) {
	e.mu.Lock()
	pipe := e.pipeline
	e.mu.Unlock()
	ok, freed = pipe.Room()
	held := !ok && !asked
	e.mu.Lock()
	if m.held != held {
		m.held = held
		e.touched(m)
	}
	e.mu.Unlock()
	if !held {
		freed = nil
	}
	return ok, freed
}

func (m *module) intervalNow(e *Engine) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return m.interval(e)
}

// schedule says when the next fetch is due: at the interval, with a little jitter
// so that modules that started together drift apart; later where its cache still
// serves, where its circuit is open, or where its rate limit holds it for wait.
func (e *Engine) schedule(m *module, wait time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	d := m.interval(e)
	d += time.Duration((rand.Float64() - 0.5) * 0.1 * float64(d))
	if m.manifest != nil && !m.cachedAt.IsZero() {
		d = max(d, m.cachedAt.Add(m.manifest.CacheTTL).Sub(now))
	}
	if wait > 0 {
		d = wait
	}
	if m.breaker.word == breakerOpen {
		d = max(d, m.breaker.until.Sub(now))
	}
	m.next = now.Add(d)
	e.touched(m)
	return d
}

// fromCache answers a fetch with what came of the last one, where that is new enough.
func (e *Engine) fromCache(m *module) (fetched, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.manifest == nil || m.cachedAt.IsZero() || time.Since(m.cachedAt) >= m.manifest.CacheTTL {
		return fetched{}, false
	}
	return fetched{items: m.items, cached: time.Since(m.cachedAt)}, true
}

// ClearCaches drops the cached results of the modules of those IDs, of all where
// ids is nil, and lets go of adapters that keep something between their fetches. It
// returns of how many modules. What /context serves stays until the next fetch.
func (e *Engine) ClearCaches(ids []string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for id, m := range e.modules {
		if ids != nil && !slices.Contains(ids, id) || m.sup == nil {
			continue
		}
		n++
		m.cachedAt, m.keeps = time.Time{}, ""
		m.note(time.Now(), "its caches were cleared")
		e.touched(m)
		select {
		case m.sup.fresh <- struct{}{}:
		default:
		}
	}
	return n
}

// dear is the part of its interval that an adapter may take to load, and still be
// loaded anew for each fetch.
const dear = 1.0 / 200

// stays reports whether a module's process stays after a fetch.
func (e *Engine) stays(m *module, s *supervisor, r *adapter.Runner) bool {
	e.mu.Lock()
	man, interval, keeps := m.manifest, m.interval(e), m.keeps
	e.mu.Unlock()
	switch {
	case man == nil:
		return true
	case man.Resident != nil:
		return *man.Resident
	case !man.Python() || keeps != "" || r.LoadCost() > time.Duration(dear*float64(interval)):
		e.pool.Forget(s.leave) // it takes no place from those that could leave
		return true
	}
	return e.pool.Park(s.leave, float64(r.LoadCost())/float64(interval))
}

var _ state.Source = (*Engine)(nil)
