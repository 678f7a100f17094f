package engine

import (
	"context"
	"errors"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/state"
)

// errStopping says that the engine, or this module's runner, is being stopped.
var errStopping = errors.New("its runner is being stopped")

// start lets a module run; first, which may be nil, gets what its first fetch
// gives. The caller holds m.op.
func (fe *fetcher) start(m *module, first chan fetched) error {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if fe.life == nil {
		return errNotRunning
	}
	if m.sup != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(fe.life)
	sup := &supervisor{cancel: cancel, done: make(chan struct{}), requests: make(chan ask), due: make(chan struct{}, 1), fresh: make(chan struct{}, 1), leave: make(chan struct{}, 1)}
	m.sup, m.runner, m.failure, m.streak, m.warning = sup, "starting", nil, 0, ""
	m.breaker, m.cachedAt = breaker{}, time.Time{}
	fe.touched(m)
	fe.wg.Go(func() {
		defer close(sup.done)
		defer cancel()
		fe.supervise(ctx, m, sup, first)
	})
	return nil
}

// stop ends a module's runner and waits for that. The caller holds m.op.
func (fe *fetcher) stop(m *module) {
	fe.mu.Lock()
	sup := m.sup
	fe.mu.Unlock()
	if sup == nil {
		return
	}
	sup.cancel()
	<-sup.done
	fe.mu.Lock()
	m.sup = nil
	fe.touched(m)
	fe.mu.Unlock()
}

// supervise fetches at intervals until ctx ends.
func (fe *fetcher) supervise(ctx context.Context, m *module, sup *supervisor, first chan fetched) {
	var r *adapter.Runner
	crashes := 0
	defer func() {
		fe.pool.Forget(sup.leave)
		if r != nil {
			r.Stop(true)
		}
		fe.mu.Lock()
		m.held = false
		m.runner, m.pid, m.fetching, m.loadedAt, m.next = "stopped", 0, false, time.Time{}, time.Time{}
		fe.touched(m)
		fe.mu.Unlock()
	}()
	// leave lets the process go: the next fetch forks another.
	leave := func() {
		if r == nil {
			return
		}
		fe.pool.Forget(sup.leave)
		r.Stop(true)
		r = nil
		fe.mu.Lock()
		m.runner, m.pid = "idle", 0
		fe.touched(m)
		fe.mu.Unlock()
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
				fe.pool.Forget(sup.leave)
				if errors.Is(err, adapter.ErrForkServerGone) { // no fault of its own
					leave()
					continue
				}
				if f := (*adapter.Failure)(nil); errors.As(err, &f) && f.Stage == adapter.StageIdle {
					fe.rested(m, f)
					continue
				}
				crashes++
				wait := min(time.Second<<min(crashes-1, 6), fe.intervalNow(m))
				fe.died(m, err, wait)
				timer.Reset(wait)
				continue
			case <-sup.leave:
				leave()
				continue
			case <-sup.fresh:
				leave()
				timer.Reset(fe.schedule(m, 0))
				continue
			case asked = <-sup.requests:
			case <-sup.due:
			case <-timer.C:
			case <-freed:
			}
		}
		if asked.cached {
			if res, ok := fe.fromCache(m); ok {
				asked.answer <- res
				continue
			}
		}
		room := false
		if room, freed = fe.room(m, asked.answer != nil); !room && asked.answer == nil {
			continue
		}
		res := fe.cycle(ctx, m, &r, asked.answer != nil, room)
		if ctx.Err() != nil {
			res.err = errStopping
		} else {
			timer.Reset(fe.schedule(m, res.wait))
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
			fe.pool.Forget(sup.leave)
		} else if r.Lift() != nil || res.err == nil && !fe.stays(m, sup, r) {
			leave() // or it keeps the lowest priority
		}
	}
}

// dear is the part of its interval that an adapter may take to load, and still be
// loaded anew for each fetch.
const dear = 1.0 / 200

var _ state.Source = (*Engine)(nil)

// restart stops and starts a module. The caller holds m.op.
func (fe *fetcher) restart(m *module, first chan fetched) error {
	fe.stop(m)
	return fe.start(m, first)
}

// leave stops a module and takes its data out of /context.
func (fe *fetcher) leave(m *module) {
	fe.stop(m)
	fe.mu.Lock()
	m.failure, m.streak, m.warning, m.outdated = nil, 0, "", false
	store := fe.pipeline.Store()
	fe.touched(m)
	fe.mu.Unlock()
	store.Drop(m.category, m.id)
}
