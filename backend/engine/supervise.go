package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
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
	sup := &supervisor{cancel: cancel, done: make(chan struct{}), requests: make(chan ask), poke: make(chan struct{}, 1)}
	m.sup, m.runner, m.failure, m.streak, m.warning = sup, "starting", nil, 0, ""
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
	var r *runner
	crashes := 0
	defer func() {
		if r != nil {
			r.stop(true)
		}
		e.mu.Lock()
		m.held = false
		m.runner, m.pid, m.fetching, m.loadedAt, m.next = "stopped", 0, false, time.Time{}, time.Time{}
		e.touched(m)
		e.mu.Unlock()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var freed <-chan struct{} // set while a fetch is due and the pipeline has no room
	for {
		var asked chan fetched
		room := false
		var dead <-chan struct{}
		if r != nil {
			dead = r.dead
		}
		if first != nil {
			asked, first = first, nil
		} else {
			select {
			case <-ctx.Done():
				return
			case <-dead:
				err := r.crashed(ctx)
				r.stop(false)
				r = nil
				crashes++
				wait := min(time.Second<<min(crashes-1, 6), m.intervalNow(e))
				e.died(m, err, wait)
				timer.Reset(wait)
				continue
			case a := <-sup.requests:
				asked = a.answer
			case <-sup.poke:
			case <-timer.C:
			case <-freed:
			}
		}
		if room, freed = e.room(m, asked != nil); !room && asked == nil {
			continue
		}
		res := e.cycle(ctx, m, &r, asked != nil, room)
		if ctx.Err() != nil {
			res.err = errStopping
		} else {
			timer.Reset(e.schedule(m))
		}
		if res.err == nil {
			crashes = 0
		}
		if asked != nil {
			asked <- res
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// room asks for a place in the pipeline for what a fetch will give. A scheduled fetch
// waits until there is one, told by freed; one that was asked for goes on without.
func (e *Engine) room(m *module, asked bool) (ok bool, freed <-chan struct{}) {
	e.mu.Lock()
	pipe := e.pipeline
	e.mu.Unlock()
	ok, freed = pipe.room()
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

// maxBackoff bounds how long a failing module is left alone, unless its interval
// is longer.
const maxBackoff = 5 * time.Minute

// schedule says when the next fetch is due: at the interval, with a little jitter
// so that modules that started together drift apart; failing modules, from the
// fourth failure in a row, at twice, four times and so on.
func (e *Engine) schedule(m *module) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := m.interval(e)
	if m.streak > 3 {
		d = max(d, min(d<<min(m.streak-3, 10), maxBackoff))
	}
	d += time.Duration((rand.Float64() - 0.5) * 0.1 * float64(d))
	m.next = time.Now().Add(d)
	e.touched(m)
	return d
}

// acquire takes one of a bounded number of slots.
func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cycle makes one fetch, starting the runner where there is none, and records
// what came of it. What an operator asked for does not queue for a slot. room says
// that the pipeline promised a place for what it gives.
func (e *Engine) cycle(ctx context.Context, m *module, r **runner, urgent, room bool) (res fetched) {
	if room {
		e.mu.Lock()
		pipe := e.pipeline
		e.mu.Unlock()
		defer func() {
			if !res.handed {
				pipe.leave()
			}
		}()
	}
	if *r == nil {
		if !urgent {
			if err := acquire(ctx, e.starts); err != nil {
				return fetched{err: err}
			}
		}
		var err error
		*r, err = e.launch(ctx, m)
		if !urgent {
			<-e.starts
		}
		if err != nil {
			return e.failed(ctx, m, err, 0)
		}
	}
	if !urgent {
		if err := acquire(ctx, e.fetches); err != nil {
			return fetched{err: err}
		}
		defer func() { <-e.fetches }()
	}
	e.mu.Lock()
	m.fetching = true
	timeout := m.timeout(e)
	e.touched(m)
	e.mu.Unlock()
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s; its runner was killed", timeout)})
	from := time.Now()
	got, err := (*r).fetch(limited)
	took := time.Since(from)
	cancel()
	if err != nil {
		var f *Failure
		if !errors.As(err, &f) || f.Stage == "timeout" || f.Stage == "crash" || f.Text == "" || strings.HasPrefix(f.Text, "its result was refused") {
			// What state it is in cannot be known: the next fetch starts a new one.
			if f != nil && f.Stage == "timeout" {
				f = &Failure{f.Stage, f.Text, (*r).log.String()}
				err = f
			}
			(*r).stop(false)
			*r = nil
		}
		return e.failed(ctx, m, err, took)
	}
	return e.fetched(ctx, m, got, from, took, room)
}

// launch starts a runner and lets it load its adapter.
func (e *Engine) launch(ctx context.Context, m *module) (*runner, error) {
	e.mu.Lock()
	man, timeout, launcher, store := m.manifest, m.timeout(e), e.launcher, e.store
	m.runner = "starting"
	if m.begun {
		m.restarts++
	}
	m.begun = true
	e.touched(m)
	e.mu.Unlock()
	r, err := e.load(ctx, m, man, timeout, launcher, e.stored(m, man, store))
	e.metrics.build(err == nil)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	m.runner, m.pid, m.loadedAt, m.log = "running", r.pid(), time.Now(), &r.log
	e.touched(m)
	e.mu.Unlock()
	return r, nil
}

// load starts an adapter, gives it its credentials and waits until it is ready.
func (e *Engine) load(ctx context.Context, m *module, man *Manifest, timeout time.Duration, l *launcher, values func() (secrets.Values, error)) (*runner, error) {
	if man == nil {
		return nil, &Failure{Stage: "start", Text: "it has no good manifest"}
	}
	file := filepath.Join(m.dir, man.EntryPoint)
	st, err := stampFile(file)
	e.mu.Lock()
	m.adapter = st
	e.mu.Unlock()
	if err != nil {
		return nil, &Failure{Stage: "start", Text: fmt.Sprintf("its adapter %s cannot be read: %v", e.rel(file), errors.Unwrap(err))}
	}
	creds, err := values()
	if err != nil {
		return nil, &Failure{Stage: "start", Text: "its credentials cannot be had: " + err.Error()}
	}
	if err := e.mayRun(m); err != nil {
		return nil, &Failure{Stage: "start", Text: err.Error()}
	}
	entry, err := entryPoint(m.dir, man.EntryPoint)
	if err != nil {
		return nil, &Failure{Stage: "start", Text: err.Error()}
	}
	// A program needs no interpreter, but is kept by one where there is one.
	py, err := e.interpreter(ctx)
	if err != nil && (man.Python() || ctx.Err() != nil) {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &Failure{Stage: "timeout", Text: fmt.Sprintf("its adapter did not load within %s", timeout)})
	defer cancel()
	r, err := l.startRunner(limited, py, m.dir, entry, man.limits())
	if err != nil {
		return nil, err
	}
	err = r.configure(limited, &configure{
		Module: m.id, Category: m.category, Platform: m.platform, Dir: m.dir, Workspace: e.cfg.Workspace,
		EntryPoint: man.EntryPoint, ClassName: man.ClassName, Shared: e.cfg.SharedDir,
		Credentials: creds.Reveal(), Settings: man.Settings, Timeout: timeout.Seconds(),
	})
	if err != nil {
		r.stop(false)
		if f := (*Failure)(nil); errors.As(err, &f) && f.Traceback == "" {
			err = &Failure{f.Stage, f.Text, r.log.String()}
		}
		return nil, err
	}
	return r, nil
}

// mayRun decides whether the code of a module may run now. It is asked before
// each start of an adapter, for whatever reason.
func (e *Engine) mayRun(*module) error { return nil }

// entryPoint is a module's entry point, which must really lie in its folder.
func entryPoint(dir, name string) (string, error) {
	home, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("its folder cannot be read: %w", err)
	}
	file, err := filepath.EvalSymlinks(filepath.Join(home, name))
	if err != nil {
		return "", fmt.Errorf("its entry point %s cannot be read: %w", name, err)
	}
	if rel, err := filepath.Rel(home, file); err != nil || !filepath.IsLocal(rel) || rel == "." {
		return "", fmt.Errorf("its entry point %s leads out of its folder, to %s: a file in the folder was expected", name, file)
	}
	if fi, err := os.Stat(file); err != nil || !fi.Mode().IsRegular() {
		return "", fmt.Errorf("its entry point %s is no regular file", name)
	}
	return name, nil
}

// stored gives the module's credentials in the store, none where it has none.
func (e *Engine) stored(m *module, man *Manifest, store *secrets.Store) func() (secrets.Values, error) {
	return func() (secrets.Values, error) {
		v, err := store.Get(m.id)
		switch {
		case err == nil:
			e.mu.Lock()
			if e.used == nil {
				e.used = map[string]time.Time{}
			}
			e.used[m.id] = time.Now()
			e.mu.Unlock()
		case errors.Is(err, secrets.ErrNone), errors.Is(err, secrets.ErrLocked) && !man.NeedsCredentials:
			return secrets.Values{}, nil
		}
		return v, err
	}
}

// failed records a failure and gives the pipeline its due.
func (e *Engine) failed(ctx context.Context, m *module, err error, took time.Duration) fetched {
	if ctx.Err() != nil {
		return fetched{err: errStopping}
	}
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Stage: "start", Text: err.Error()}
	}
	now := time.Now()
	e.mu.Lock()
	if _, has := m.credentials(); !has && m.manifest != nil && m.manifest.NeedsCredentials && f.Stage != "import" && f.Stage != "start" {
		f = &Failure{f.Stage, f.Text + " (it has no credentials stored: set them)", f.Traceback}
	}
	text := e.clean(f.Text)
	if m.failure == nil || m.lastErr != text {
		m.note(now, "failed (%s): %s", f.Stage, text)
	}
	m.failure, m.lastErr, m.traceback, m.errAt = f, text, e.clean(tail(f.Traceback)), now
	m.lastFetch, m.fetching = now, false
	m.failures++
	m.streak++
	m.latencies = appendBounded(m.latencies, -1, keepLatencies)
	if f.Stage == "crash" || f.Stage == "timeout" || f.Stage == "start" || f.Stage == "import" {
		m.runner, m.pid, m.loadedAt = "backoff", 0, time.Time{}
	}
	t := e.tallies[m.id]
	t.failed++
	t.health = m.health()
	e.tallies[m.id] = t
	e.touched(m)
	pipe := e.pipeline
	e.mu.Unlock()
	e.metrics.fetch(m, took, false)
	e.cfg.Log.Warn("fetch failed", "module", m.id, "stage", f.Stage, "err", text)
	pipe.refuse(&job{module: m.id, category: m.category, platform: m.platform, fetched: now}, errors.New(text))
	return fetched{took: took, err: errors.New(text)}
}

// died records that a runner ended between fetches.
func (e *Engine) died(m *module, err error, wait time.Duration) {
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Stage: "crash", Text: err.Error()}
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.clean(f.Text)
	m.note(now, "%s; started again in %s", text, wait)
	m.lastErr, m.traceback, m.errAt = text, e.clean(tail(f.Traceback)), now
	m.runner, m.pid, m.loadedAt, m.next = "backoff", 0, time.Time{}, now.Add(wait)
	m.warning = text + "; it is started again"
	e.touched(m)
}

// fetched records a result and hands it to the pipeline.
func (e *Engine) fetched(ctx context.Context, m *module, got *reply, at time.Time, took time.Duration, room bool) fetched {
	raw := got.Data
	if text := string(raw); e.cfg.Mask.Has(text) {
		if text = e.cfg.Mask.Mask(text); !json.Valid([]byte(text)) {
			return e.failed(ctx, m, &Failure{Stage: "result", Text: "its result holds a stored secret in a place where it cannot be masked"}, took)
		}
		raw = json.RawMessage(text)
	}
	items, _ := itemsOf(raw)
	now := time.Now()
	e.mu.Lock()
	if m.failure != nil || m.lastOK.IsZero() {
		m.note(now, "fetched %s in %s", plural(len(items), "item"), took.Round(time.Millisecond))
	}
	m.failure, m.streak, m.warning = nil, 0, ""
	if len(got.Errors) > 0 {
		m.warning = e.clean("its adapter reports: " + strings.Join(got.Errors, "; "))
	}
	m.lastFetch, m.lastOK, m.fetching, m.items = now, now, false, len(items)
	m.successes++
	m.latencies = appendBounded(m.latencies, float64(took)/float64(time.Millisecond), keepLatencies)
	m.result = e.clean(shownResult(raw))
	t := e.tallies[m.id]
	t.ok++
	t.health, t.used = m.health(), now
	e.tallies[m.id] = t
	e.touched(m)
	pipe := e.pipeline
	e.mu.Unlock()
	e.metrics.fetch(m, took, true)
	j := &job{module: m.id, category: m.category, platform: m.platform, fetched: at, raw: raw}
	if room {
		pipe.submit(j)
	} else {
		pipe.noRoom(j)
	}
	return fetched{items: len(items), took: took, handed: room, aside: !room}
}

// probe makes one fetch with a runner of its own: with the values given, or, where
// they are nil, with those that are stored. The caller holds m.op.
func (e *Engine) probe(ctx context.Context, m *module, with *secrets.Values) fetched {
	e.mu.Lock()
	if e.life == nil {
		e.mu.Unlock()
		return fetched{err: errNotRunning}
	}
	e.wg.Add(1) // Run waits for it
	life, wg := e.life, e.wg
	man, timeout, launcher, store := m.manifest, m.timeout(e), e.launcher, e.store
	e.mu.Unlock()
	defer wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	values := e.stored(m, man, store)
	if with != nil {
		values = func() (secrets.Values, error) { return *with, nil }
	}
	r, err := e.load(ctx, m, man, timeout, launcher, values)
	if err != nil {
		return fetched{err: errors.New(e.clean(err.Error()))}
	}
	defer r.stop(true)
	limited, stop := context.WithTimeoutCause(ctx, timeout, &Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s", timeout)})
	defer stop()
	from := time.Now()
	got, err := r.fetch(limited)
	if err != nil {
		return fetched{err: errors.New(e.clean(err.Error()))}
	}
	items, _ := itemsOf(got.Data)
	return fetched{items: len(items), took: time.Since(from)}
}

func shownResult(raw []byte) string {
	s := indented(raw)
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "\n... (cut)"
	}
	return s
}

func tail(s string) string {
	if len(s) > maxShown {
		s = "... (cut)\n" + strings.ToValidUTF8(s[len(s)-maxShown:], "")
	}
	return s
}

func appendBounded(list []float64, v float64, n int) []float64 {
	out := make([]float64, 0, min(len(list)+1, n))
	if over := len(list) + 1 - n; over > 0 {
		list = list[over:]
	}
	return append(append(out, list...), v)
}

var _ state.Source = (*Engine)(nil)
