package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/secrets"
)

// held is how long a slot is kept at most: what hangs holds up nobody else.
const held = time.Second

// acquire takes one of a bounded number of slots, and gives it back when release
// is called, or after a while.
func acquire(ctx context.Context, slots chan struct{}) (release func(), err error) {
	select {
	case slots <- struct{}{}:
		var once sync.Once
		give := func() { once.Do(func() { <-slots }) }
		t := time.AfterFunc(held, give)
		return func() { t.Stop(); give() }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// cycle makes one fetch, starting the runner where there is none, and records
// what came of it. What an operator asked for does not queue for a slot. room says
// that the pipeline promised a place for what it gives.
func (e *Engine) cycle(ctx context.Context, m *module, r **adapter.Runner, urgent, room bool) (res fetched) {
	if room {
		e.mu.Lock()
		pipe := e.pipeline
		e.mu.Unlock()
		defer func() {
			if !res.handed {
				pipe.Leave()
			}
		}()
	}
	now := time.Now()
	e.mu.Lock()
	man, timeout := m.manifest, m.timeout(e)
	if wait := m.permit(now); wait > 0 {
		e.mu.Unlock()
		return fetched{wait: wait, err: fmt.Errorf("its rate limit of %d a minute is used up: it is free again in %s, at %s",
			man.Rate, wait.Round(time.Second), now.Add(wait).Format(time.TimeOnly))}
	}
	if m.breaker.try() {
		m.note(now, "its circuit is half-open: one fetch tries it")
	}
	e.touched(m)
	e.mu.Unlock()
	var got *adapter.Reply
	var from time.Time
	var budget context.Context
	for try := 1; ; try++ {
		if *r == nil && (man == nil || man.HTTP == nil) {
			if err := e.begin(ctx, m, r, urgent); err != nil {
				return e.failed(ctx, m, err, 0)
			}
		}
		if budget == nil {
			if !urgent {
				release, err := acquire(ctx, e.fetches)
				if err != nil {
					return fetched{err: err}
				}
				defer release()
			}
			e.mu.Lock()
			m.fetching = true
			e.touched(m)
			e.mu.Unlock()
			from = time.Now()
			var cancel context.CancelFunc
			budget, cancel = context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s; its runner was killed", timeout)})
			defer cancel()
		}
		var err error
		got, err = e.attempt(budget, m, man, r)
		if err == nil {
			break
		}
		if errors.Is(err, adapter.ErrForkServerGone) && try <= 3 { // no fault of its own
			continue
		}
		if !e.again(budget, m, man, try, err) {
			if try > 1 {
				err = tried(err, try)
			}
			return e.failed(ctx, m, err, time.Since(from))
		}
	}
	return e.fetched(ctx, m, got, from, time.Since(from), room)
}

// begin starts the module's adapter.
func (e *Engine) begin(ctx context.Context, m *module, r **adapter.Runner, urgent bool) (err error) {
	if !urgent {
		release, err := acquire(ctx, e.starts)
		if err != nil {
			return err
		}
		defer release()
	}
	*r, err = e.launch(ctx, m)
	return err
}

// attempt asks once. A runner whose state cannot be known afterwards is ended.
func (e *Engine) attempt(ctx context.Context, m *module, man *Manifest, r **adapter.Runner) (*adapter.Reply, error) {
	if *r == nil {
		return e.fetchHTTP(ctx, m, man)
	}
	got, err := (*r).Fetch(ctx)
	if err == nil {
		e.yielded(m, *r, false)
		return got, nil
	}
	var f *adapter.Failure
	if fate := (*r).WhyEnded(); fate != nil && fate.Stage == adapter.StageIdle { // not for this fetch's sake
		(*r).Stop(false)
		*r = nil
		e.rested(m, fate)
		return nil, adapter.ErrForkServerGone
	}
	if !errors.As(err, &f) || slices.Contains([]string{"timeout", "crash", "memory", "limit"}, f.Stage) || f.Text == "" || strings.HasPrefix(f.Text, "its result was refused") {
		if fate := (*r).WhyEnded(); fate != nil {
			f = fate // it was ended for a reason, and takes its time
		}
		if f != nil && f.Traceback == "" {
			err = &adapter.Failure{Stage: f.Stage, Text: f.Text, Traceback: (*r).Log().String()}
		}
		e.yielded(m, *r, true)
		(*r).Stop(false)
		*r = nil
	}
	return nil, err
}

// again reports whether a failed fetch is worth another attempt, and waits until
// that is due: not where trying again cannot help, nor beyond the fetch's timeout
// or the module's rate limit.
func (e *Engine) again(ctx context.Context, m *module, man *Manifest, try int, err error) bool {
	var f *adapter.Failure
	if man == nil || try > man.Retries || !errors.As(err, &f) || slices.Contains([]string{"start", "import", "timeout", "memory", "limit"}, f.Stage) {
		return false
	}
	wait := time.Duration(float64(man.RetryDelay) * (0.5 + rand.Float64()))
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return m.permit(time.Now()) == 0
}

// tried says how often a failed fetch was tried.
func tried(err error, n int) error {
	var f *adapter.Failure
	if !errors.As(err, &f) {
		return err
	}
	return &adapter.Failure{Stage: f.Stage, Text: fmt.Sprintf("%s (tried %d times)", f.Text, n), Traceback: f.Traceback}
}

// launch starts a runner and lets it load its adapter.
func (e *Engine) launch(ctx context.Context, m *module) (*adapter.Runner, error) {
	e.mu.Lock()
	man, timeout, launcher, store := m.manifest, m.timeout(e), e.launcher, e.store
	if m.begun && m.runner != "idle" {
		m.restarts++
	}
	m.runner, m.begun = "starting", true
	e.touched(m)
	e.mu.Unlock()
	r, err := e.load(ctx, m, man, timeout, launcher, e.stored(m, man, store))
	e.metrics.build(err == nil)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	m.runner, m.pid, m.loadedAt, m.log = "running", r.PID(), time.Now(), r.Log()
	m.capabilities, _ = e.cleanValue(r.Capabilities()).(map[string]any)
	e.touched(m)
	e.mu.Unlock()
	return r, nil
}

// load starts an adapter, gives it its credentials and waits until it is ready.
func (e *Engine) load(ctx context.Context, m *module, man *Manifest, timeout time.Duration, l *adapter.Launcher, values func() (secrets.Values, error)) (*adapter.Runner, error) {
	if man == nil {
		return nil, &adapter.Failure{Stage: "start", Text: "it has no good manifest"}
	}
	file := filepath.Join(m.dir, man.EntryPoint)
	st, err := disk.StampOf(file)
	e.mu.Lock()
	m.adapter = st
	e.mu.Unlock()
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: fmt.Sprintf("its adapter %s cannot be read: %v", e.rel(file), errors.Unwrap(err))}
	}
	creds, err := values()
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: "its credentials cannot be had: " + err.Error()}
	}
	if err := e.mayRun(m); err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	entry, err := adapter.EntryPoint(m.dir, man.EntryPoint)
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	// A program needs no interpreter, but is kept by one where there is one.
	py, err := e.interpreterNow().Await(ctx)
	if err != nil && (man.Python() || ctx.Err() != nil) {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its adapter did not load within %s", timeout)})
	defer cancel()
	r, err := l.Start(limited, py, adapter.Spec{Dir: m.dir, EntryPoint: entry, Limits: man.limits()})
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	greedy := m.greedy
	e.mu.Unlock()
	if greedy {
		r.Lower()
	}
	err = r.Configure(limited, &adapter.Configure{
		Module: m.id, Category: m.category, Platform: m.platform, Dir: m.dir, Workspace: e.cfg.Workspace,
		EntryPoint: man.EntryPoint, ClassName: man.ClassName, Shared: e.cfg.SharedDir,
		Credentials: creds.Reveal(), Settings: man.Settings, Timeout: timeout.Seconds(),
		Rate: man.Rate, Retries: man.retries, RetryDelay: man.retryDelay,
	})
	if err != nil {
		e.yielded(m, r, true)
		r.Stop(false)
		if f := (*adapter.Failure)(nil); errors.As(err, &f) && f.Traceback == "" {
			err = &adapter.Failure{Stage: f.Stage, Text: f.Text, Traceback: r.Log().String()}
		}
		return nil, err
	}
	return r, nil
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
	var f *adapter.Failure
	if !errors.As(err, &f) {
		f = &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	now := time.Now()
	e.mu.Lock()
	if _, has := m.credentials(); !has && m.manifest != nil && m.manifest.NeedsCredentials && f.Stage != "import" && f.Stage != "start" {
		f = &adapter.Failure{Stage: f.Stage, Text: f.Text + " (it has no credentials stored: set them)", Traceback: f.Traceback}
	}
	text := e.clean(f.Text)
	if m.failure == nil || m.lastErr != text {
		m.note(now, "failed (%s): %s", f.Stage, text)
	}
	m.failure, m.lastErr, m.traceback, m.errAt = f, text, e.clean(tail(f.Traceback)), now
	m.lastFetch, m.fetching = now, false
	m.failures++
	m.streak++
	if m.breaker.failed(now, m.streak, m.manifest, m.interval(e)) {
		m.note(now, "its circuit is open until %s, after %s in a row", m.breaker.until.Format(time.TimeOnly), plural(m.streak, "failure"))
	}
	m.latencies = appendBounded(m.latencies, -1, keepLatencies)
	if slices.Contains([]string{"crash", "timeout", "memory", "limit", "start", "import"}, f.Stage) {
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
	pipe.Refuse(pipeline.NewJob(m.id, m.category, m.platform, now, nil), errors.New(text))
	return fetched{took: took, err: errors.New(text)}
}

// yielded records whether the module's process has the lowest priority now. Where it
// is ended with that, the next starts with it.
func (e *Engine) yielded(m *module, r *adapter.Runner, ended bool) {
	low := r.LowPriority()
	e.mu.Lock()
	defer e.mu.Unlock()
	if low && !m.yielded && !m.greedy {
		m.note(time.Now(), "its adapter takes much of the processor: it has the lowest priority until its fetch ends")
	}
	m.yielded, m.greedy = low, low && ended
}

// rested records that a process was ended for what it did between fetches. The next
// fetch starts another.
func (e *Engine) rested(m *module, why *adapter.Failure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.clean(why.Text)
	m.note(time.Now(), "%s; stopped until its next fetch", text)
	m.lastErr, m.traceback, m.errAt = text, e.clean(tail(why.Traceback)), time.Now()
	m.runner, m.pid = "idle", 0
	m.warning = text + "; it was stopped until its next fetch"
	e.touched(m)
}

// died records that a runner ended between fetches.
func (e *Engine) died(m *module, err error, wait time.Duration) {
	var f *adapter.Failure
	if !errors.As(err, &f) {
		f = &adapter.Failure{Stage: "crash", Text: err.Error()}
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
func (e *Engine) fetched(ctx context.Context, m *module, got *adapter.Reply, at time.Time, took time.Duration, room bool) fetched {
	raw := got.Data
	if text := string(raw); e.cfg.Mask.Has(text) {
		if text = e.cfg.Mask.Mask(text); !json.Valid([]byte(text)) {
			return e.failed(ctx, m, &adapter.Failure{Stage: "result", Text: "its result holds a stored secret in a place where it cannot be masked"}, took)
		}
		raw = json.RawMessage(text)
	}
	items, _ := pipeline.Items(raw)
	now := time.Now()
	e.mu.Lock()
	if m.failure != nil || m.lastOK.IsZero() {
		m.note(now, "fetched %s in %s", plural(len(items), "item"), took.Round(time.Millisecond))
	}
	if m.breaker.worked() {
		m.note(now, "its circuit is closed: it works")
	}
	m.failure, m.streak, m.warning = nil, 0, ""
	m.cachedAt = time.Time{}
	if m.manifest != nil && m.manifest.CacheTTL > 0 {
		m.cachedAt = now
	}
	if m.keeps == "" && got.Keeps != "" {
		m.note(now, "its process stays: it keeps %s between fetches", e.clean(brief(got.Keeps)))
	}
	m.keeps = got.Keeps
	if m.manifest != nil && m.manifest.HTTP != nil {
		m.runner, m.loadedAt = "running", cmp.Or(m.loadedAt, now)
	}
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
	j := pipeline.NewJob(m.id, m.category, m.platform, at, raw)
	if room {
		pipe.Submit(j)
	} else {
		pipe.NoRoom(j)
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
	from := time.Now()
	var got *adapter.Reply
	var err error
	if man != nil && man.HTTP != nil {
		limited, stop := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s", timeout)})
		defer stop()
		got, err = e.askHTTP(limited, m, man, values)
	} else {
		var r *adapter.Runner
		if r, err = e.load(ctx, m, man, timeout, launcher, values); err != nil {
			return fetched{err: errors.New(e.clean(err.Error()))}
		}
		defer r.Stop(true)
		limited, stop := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s", timeout)})
		defer stop()
		from = time.Now()
		got, err = r.Fetch(limited)
	}
	if err != nil {
		return fetched{err: errors.New(e.clean(err.Error()))}
	}
	items, _ := pipeline.Items(got.Data)
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
