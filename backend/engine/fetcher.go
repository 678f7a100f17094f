package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// fetcher runs the adapters of modules that are enabled, and hands what they fetch to the
// pipeline.
type fetcher struct {
	*fleet
	approval *approval
	vault    *vault
	pool     *adapter.Pool
	starts   chan struct{} // imports at a time: they cost a core each
	fetches  chan struct{} // scheduled fetches at a time: they mostly wait

	// Guarded by the fleet's lock, and made anew by each Run.
	launcher *adapter.Launcher
	python   *adapter.Interpreter
	pipeline *pipeline.Pipeline
	running  bool // it ran once: its pipeline tells something
}

// room asks for a place in the pipeline for what a fetch will give. A scheduled fetch
// waits until there is one, told by freed; one that was asked for goes on without.
func (fe *fetcher) room(m *module, asked bool) (ok bool, freed <-chan struct{}) {
	fe.mu.Lock()
	pipe := fe.pipeline
	fe.mu.Unlock()
	ok, freed = pipe.Room()
	held := !ok && !asked
	fe.mu.Lock()
	if m.held != held {
		m.held = held
		fe.touched(m)
	}
	fe.mu.Unlock()
	if !held {
		freed = nil
	}
	return ok, freed
}

// schedule says when the next fetch is due: at the interval, with a little jitter
// so that modules that started together drift apart; later where its cache still
// serves, where its circuit is open, or where its rate limit holds it for wait.
func (fe *fetcher) schedule(m *module, wait time.Duration) time.Duration {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	now := time.Now()
	d := m.interval(fe.cfg.Interval)
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
	fe.touched(m)
	return d
}

// fromCache answers a fetch with what came of the last one, where that is new enough.
func (fe *fetcher) fromCache(m *module) (fetched, bool) {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if m.manifest == nil || m.cachedAt.IsZero() || time.Since(m.cachedAt) >= m.manifest.CacheTTL {
		return fetched{}, false
	}
	return fetched{items: m.items, cached: time.Since(m.cachedAt)}, true
}

// ClearCaches drops the cached results of the modules of those IDs, of all where
// ids is nil, and lets go of adapters that keep something between their fetches. It
// returns of how many modules. What /context serves stays until the next fetch.
func (fe *fetcher) ClearCaches(ids []string) int {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	n := 0
	for id, m := range fe.modules {
		if ids != nil && !slices.Contains(ids, id) || m.sup == nil {
			continue
		}
		n++
		m.cachedAt, m.keeps = time.Time{}, ""
		m.note(time.Now(), "its caches were cleared")
		fe.touched(m)
		select {
		case m.sup.fresh <- struct{}{}:
		default:
		}
	}
	return n
}

// stays reports whether a module's process stays after a fetch.
func (fe *fetcher) stays(m *module, s *supervisor, r *adapter.Runner) bool {
	fe.mu.Lock()
	man, interval, keeps := m.manifest, m.interval(fe.cfg.Interval), m.keeps
	fe.mu.Unlock()
	switch {
	case man == nil:
		return true
	case man.Resident != nil:
		return *man.Resident
	case !man.Python() || keeps != "" || r.LoadCost() > time.Duration(dear*float64(interval)):
		fe.pool.Forget(s.leave) // it takes no place from those that could leave
		return true
	}
	return fe.pool.Park(s.leave, float64(r.LoadCost())/float64(interval))
}

// fetchAgain has a module fetch, for a job that failed before it got in.
func (fe *fetcher) fetchAgain(ctx context.Context, id string) (string, error) {
	out, err := fe.with(ctx, id, func(m *module) (state.Outcome, error) {
		if err := fe.enabled(m); err != nil {
			return state.Outcome{}, err
		}
		f := fe.ask(ctx, m)
		return state.Outcome{Result: f.String()}, f.err
	})
	return out.Result, err
}

// dropStale drops from /context what modules that fail gave longer ago than their
// manifests let it stand in.
func (fe *fetcher) dropStale() {
	now := time.Now()
	fe.mu.Lock()
	defer fe.mu.Unlock()
	for _, m := range fe.modules {
		if m.manifest == nil || m.manifest.StaleFor == 0 || m.failure == nil || m.lastOK.IsZero() || m.dropped.Equal(m.lastOK) || now.Sub(m.lastOK) < m.manifest.StaleFor {
			continue
		}
		m.dropped = m.lastOK
		m.note(now, "its last good data, %s old, was dropped", now.Sub(m.lastOK).Round(time.Second))
		fe.pipeline.Store().Drop(m.category, m.id)
		fe.touched(m)
	}
}

// task runs one of the engine's own Python programs in a process as adapters have
// it: under their limits, without credentials, killed with its children. It gives
// what its main returned, and what was printed.
func (fe *fetcher) task(ctx context.Context, m *module, code string, given any, lim adapter.Limits, patience time.Duration) (data json.RawMessage, printed string, err error) {
	fe.mu.Lock()
	if fe.life == nil {
		fe.mu.Unlock()
		return nil, "", errNotRunning
	}
	fe.wg.Add(1) // Run waits for it
	life, wg, launcher := fe.life, fe.wg, fe.launcher
	fe.mu.Unlock()
	defer wg.Done()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not end within %s, and was killed", patience))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(life, func() { stop(errStopping) })()
	py, err := fe.interpreterNow().Await(ctx)
	if err != nil {
		return nil, "", err
	}
	return launcher.RunTask(ctx, py, m.dir, code, given, lim)
}

// probe makes one fetch with a runner of its own: with the values given, or, where
// they are nil, with those that are stored. The caller holds m.op.
func (fe *fetcher) probe(ctx context.Context, m *module, with *secrets.Values) fetched {
	fe.mu.Lock()
	if fe.life == nil {
		fe.mu.Unlock()
		return fetched{err: errNotRunning}
	}
	fe.wg.Add(1) // Run waits for it
	life, wg := fe.life, fe.wg
	man, timeout, launcher, store := m.manifest, m.timeout(fe.cfg.Timeout), fe.launcher, fe.vault.store
	fe.mu.Unlock()
	defer wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	values := fe.vault.stored(m, man, store)
	if with != nil {
		values = func() (secrets.Values, error) { return *with, nil }
	}
	from := time.Now()
	var got *adapter.Reply
	var err error
	if man != nil && man.HTTP != nil {
		limited, stop := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s", timeout)})
		defer stop()
		got, err = fe.askHTTP(limited, m, man, values)
	} else {
		var r *adapter.Runner
		if r, err = fe.load(ctx, m, man, timeout, launcher, values); err != nil {
			return fetched{err: errors.New(fe.clean(err.Error()))}
		}
		defer r.Stop(true)
		limited, stop := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s", timeout)})
		defer stop()
		from = time.Now()
		got, err = r.Fetch(limited)
	}
	if err != nil {
		return fetched{err: errors.New(fe.clean(err.Error()))}
	}
	items, _ := pipeline.Items(got.Data)
	return fetched{items: len(items), took: time.Since(from)}
}

// interpreterNow returns the Python of the present run.
func (fe *fetcher) interpreterNow() *adapter.Interpreter {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	return fe.python
}

// ask has the module's supervisor fetch now, before all others.
func (fe *fetcher) ask(ctx context.Context, m *module) fetched { return fe.request(ctx, m, false) }

// request is ask; with cached, what is in the module's cache is good enough.
func (fe *fetcher) request(ctx context.Context, m *module, cached bool) fetched {
	fe.mu.Lock()
	sup := m.sup
	fe.mu.Unlock()
	if sup == nil {
		return fetched{err: errors.New("it does not run")}
	}
	answer := make(chan fetched, 1)
	select {
	case sup.requests <- ask{answer, cached}:
		return wait(ctx, answer)
	case <-sup.done:
		return fetched{err: errStopping}
	case <-ctx.Done():
		return fetched{err: context.Cause(ctx)}
	}
}

// clearCaches has the modules that Args["modules"] lists (separated by spaces; all
// where it is empty) fetch anew instead of giving what they kept.
func (fe *fetcher) clearCaches(a state.Action) (state.Outcome, error) {
	var ids []string // nil for all
	if a.Args["modules"] != "" {
		ids = strings.Fields(a.Args["modules"])
	}
	n := fe.ClearCaches(ids)
	return state.Outcome{Result: "cleared " + plural(n, "cache")}, nil
}

// ranPipeline returns the pipeline of the present run or the last, nil before the first.
func (fe *fetcher) ranPipeline() *pipeline.Pipeline {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if !fe.running {
		return nil
	}
	return fe.pipeline
}
