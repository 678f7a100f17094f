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
// its result. What an operator asked for does not queue for a slot. room says
// that the pipeline promised a place for what it gives.
func (fe *fetcher) cycle(ctx context.Context, m *module, r **adapter.Runner, urgent, room bool) (res fetched) {
	if room {
		fe.mu.Lock()
		pipe := fe.pipeline
		fe.mu.Unlock()
		defer func() {
			if !res.handed {
				pipe.Leave()
			}
		}()
	}
	now := time.Now()
	fe.mu.Lock()
	man, timeout := m.manifest, m.timeout(fe.cfg.Timeout)
	if wait := m.permit(now); wait > 0 {
		fe.mu.Unlock()
		return fetched{wait: wait, err: fmt.Errorf("its rate limit of %d a minute is used up: it is free again in %s, at %s",
			man.Rate, wait.Round(time.Second), now.Add(wait).Format(time.TimeOnly))}
	}
	if m.breaker.try() {
		m.note(now, "its circuit is half-open: one fetch tries it")
	}
	fe.touched(m)
	fe.mu.Unlock()
	var got *adapter.Reply
	var from time.Time
	var budget context.Context
	for try := 1; ; try++ {
		if *r == nil && (man == nil || man.HTTP == nil) {
			if err := fe.begin(ctx, m, r, urgent); err != nil {
				return fe.failed(ctx, m, err, 0)
			}
		}
		if budget == nil {
			if !urgent {
				release, err := acquire(ctx, fe.fetches)
				if err != nil {
					return fetched{err: err}
				}
				defer release()
			}
			fe.mu.Lock()
			m.fetching = true
			fe.touched(m)
			fe.mu.Unlock()
			from = time.Now()
			var cancel context.CancelFunc
			budget, cancel = context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its fetch timed out after %s; its runner was killed", timeout)})
			defer cancel()
		}
		var err error
		got, err = fe.attempt(budget, m, man, r)
		if err == nil {
			break
		}
		if errors.Is(err, adapter.ErrForkServerGone) && try <= 3 { // no fault of its own
			continue
		}
		if !fe.again(budget, m, man, try, err) {
			if try > 1 {
				err = tried(err, try)
			}
			return fe.failed(ctx, m, err, time.Since(from))
		}
	}
	return fe.fetched(ctx, m, got, from, time.Since(from), room)
}

// begin starts the module's adapter.
func (fe *fetcher) begin(ctx context.Context, m *module, r **adapter.Runner, urgent bool) (err error) {
	if !urgent {
		release, err := acquire(ctx, fe.starts)
		if err != nil {
			return err
		}
		defer release()
	}
	*r, err = fe.launch(ctx, m)
	return err
}

// attempt asks once. A runner whose state cannot be known afterwards is ended.
func (fe *fetcher) attempt(ctx context.Context, m *module, man *Manifest, r **adapter.Runner) (*adapter.Reply, error) {
	if *r == nil {
		return fe.fetchHTTP(ctx, m, man)
	}
	got, err := (*r).Fetch(ctx)
	if err == nil {
		fe.yielded(m, *r, false)
		return got, nil
	}
	var f *adapter.Failure
	if fate := (*r).WhyEnded(); fate != nil && fate.Stage == adapter.StageIdle { // not for this fetch's sake
		(*r).Stop(false)
		*r = nil
		fe.rested(m, fate)
		return nil, adapter.ErrForkServerGone
	}
	if !errors.As(err, &f) || slices.Contains([]string{"timeout", "crash", "memory", "limit"}, f.Stage) || f.Text == "" || strings.HasPrefix(f.Text, "its result was refused") {
		if fate := (*r).WhyEnded(); fate != nil {
			f = fate // it was ended for a reason, and takes its time
		}
		if f != nil && f.Traceback == "" {
			err = &adapter.Failure{Stage: f.Stage, Text: f.Text, Traceback: (*r).Log().String()}
		}
		fe.yielded(m, *r, true)
		(*r).Stop(false)
		*r = nil
	}
	return nil, err
}

// again reports whether a failed fetch is worth another attempt, and waits until
// that is due: not where trying again cannot help, nor beyond the fetch's timeout
// or the module's rate limit.
func (fe *fetcher) again(ctx context.Context, m *module, man *Manifest, try int, err error) bool {
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
	fe.mu.Lock()
	defer fe.mu.Unlock()
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
func (fe *fetcher) launch(ctx context.Context, m *module) (*adapter.Runner, error) {
	fe.mu.Lock()
	man, timeout, launcher, store := m.manifest, m.timeout(fe.cfg.Timeout), fe.launcher, fe.vault.store
	if m.begun && m.runner != "idle" {
		m.restarts++
	}
	m.runner, m.begun = "starting", true
	fe.touched(m)
	fe.mu.Unlock()
	r, err := fe.load(ctx, m, man, timeout, launcher, fe.vault.stored(m, man, store))
	fe.metrics.build(err == nil)
	if err != nil {
		return nil, err
	}
	fe.mu.Lock()
	m.runner, m.pid, m.loadedAt, m.log = "running", r.PID(), time.Now(), r.Log()
	m.capabilities, _ = fe.cleanValue(r.Capabilities()).(map[string]any)
	fe.touched(m)
	fe.mu.Unlock()
	return r, nil
}

// load starts an adapter, gives it its credentials and waits until it is ready.
func (fe *fetcher) load(ctx context.Context, m *module, man *Manifest, timeout time.Duration, l *adapter.Launcher, values func() (secrets.Values, error)) (*adapter.Runner, error) {
	if man == nil {
		return nil, &adapter.Failure{Stage: "start", Text: "it has no good manifest"}
	}
	file := filepath.Join(m.dir, man.EntryPoint)
	st, err := disk.StampOf(file)
	fe.mu.Lock()
	m.adapter = st
	fe.mu.Unlock()
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: fmt.Sprintf("its adapter %s cannot be read: %v", fe.rel(file), errors.Unwrap(err))}
	}
	creds, err := values()
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: "its credentials cannot be had: " + err.Error()}
	}
	if err := fe.approval.mayRun(m); err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	entry, err := adapter.EntryPoint(m.dir, man.EntryPoint)
	if err != nil {
		return nil, &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	// A program needs no interpreter, but is kept by one where there is one.
	py, err := fe.interpreterNow().Await(ctx)
	if err != nil && (man.Python() || ctx.Err() != nil) {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &adapter.Failure{Stage: "timeout", Text: fmt.Sprintf("its adapter did not load within %s", timeout)})
	defer cancel()
	r, err := l.Start(limited, py, adapter.Spec{Dir: m.dir, EntryPoint: entry, Limits: man.limits()})
	if err != nil {
		return nil, err
	}
	fe.mu.Lock()
	greedy := m.greedy
	fe.mu.Unlock()
	if greedy {
		r.Lower()
	}
	err = r.Configure(limited, &adapter.Configure{
		Module: m.id, Category: m.category, Platform: m.platform, Dir: m.dir, Workspace: fe.cfg.Workspace,
		EntryPoint: man.EntryPoint, ClassName: man.ClassName, Shared: fe.cfg.SharedDir,
		Credentials: creds.Reveal(), Settings: man.Settings, Timeout: timeout.Seconds(),
		Rate: man.Rate, Retries: man.retries, RetryDelay: man.retryDelay,
	})
	if err != nil {
		fe.yielded(m, r, true)
		r.Stop(false)
		if f := (*adapter.Failure)(nil); errors.As(err, &f) && f.Traceback == "" {
			err = &adapter.Failure{Stage: f.Stage, Text: f.Text, Traceback: r.Log().String()}
		}
		return nil, err
	}
	return r, nil
}

// failed records a failure and reports it to the pipeline.
func (fe *fetcher) failed(ctx context.Context, m *module, err error, took time.Duration) fetched {
	if ctx.Err() != nil {
		return fetched{err: errStopping}
	}
	var f *adapter.Failure
	if !errors.As(err, &f) {
		f = &adapter.Failure{Stage: "start", Text: err.Error()}
	}
	now := time.Now()
	fe.mu.Lock()
	if _, has := m.credentials(); !has && m.manifest != nil && m.manifest.NeedsCredentials && f.Stage != "import" && f.Stage != "start" {
		f = &adapter.Failure{Stage: f.Stage, Text: f.Text + " (it has no credentials stored: set them)", Traceback: f.Traceback}
	}
	text := fe.clean(f.Text)
	if m.failure == nil || m.lastErr != text {
		m.note(now, "failed (%s): %s", f.Stage, text)
	}
	m.failure, m.lastErr, m.traceback, m.errAt = f, text, fe.clean(tail(f.Traceback)), now
	m.lastFetch, m.fetching = now, false
	m.failures++
	m.streak++
	if m.breaker.failed(now, m.streak, m.manifest, m.interval(fe.cfg.Interval)) {
		m.note(now, "its circuit is open until %s, after %s in a row", m.breaker.until.Format(time.TimeOnly), plural(m.streak, "failure"))
	}
	m.latencies = appendBounded(m.latencies, -1, keepLatencies)
	if slices.Contains([]string{"crash", "timeout", "memory", "limit", "start", "import"}, f.Stage) {
		m.runner, m.pid, m.loadedAt = "backoff", 0, time.Time{}
	}
	t := fe.tallies[m.id]
	t.failed++
	t.health = m.health()
	fe.tallies[m.id] = t
	fe.touched(m)
	pipe := fe.pipeline
	fe.mu.Unlock()
	fe.metrics.fetch(m, took, false)
	fe.cfg.Log.Warn("fetch failed", "module", m.id, "stage", f.Stage, "err", text)
	pipe.Refuse(pipeline.NewJob(m.id, m.category, m.platform, now, nil), errors.New(text))
	return fetched{took: took, err: errors.New(text)}
}

// yielded records whether the module's process has the lowest priority now. Where it
// is ended with that, the next starts with it.
func (fe *fetcher) yielded(m *module, r *adapter.Runner, ended bool) {
	low := r.LowPriority()
	fe.mu.Lock()
	defer fe.mu.Unlock()
	if low && !m.yielded && !m.greedy {
		m.note(time.Now(), "its adapter takes much of the processor: it has the lowest priority until its fetch ends")
	}
	m.yielded, m.greedy = low, low && ended
}

// rested records that a process was ended for what it did between fetches. The next
// fetch starts another.
func (fe *fetcher) rested(m *module, why *adapter.Failure) {
	fe.mu.Lock()
	defer fe.mu.Unlock()
	text := fe.clean(why.Text)
	m.note(time.Now(), "%s; stopped until its next fetch", text)
	m.lastErr, m.traceback, m.errAt = text, fe.clean(tail(why.Traceback)), time.Now()
	m.runner, m.pid = "idle", 0
	m.warning = text + "; it was stopped until its next fetch"
	fe.touched(m)
}

// died records that a runner ended between fetches.
func (fe *fetcher) died(m *module, err error, wait time.Duration) {
	var f *adapter.Failure
	if !errors.As(err, &f) {
		f = &adapter.Failure{Stage: "crash", Text: err.Error()}
	}
	now := time.Now()
	fe.mu.Lock()
	defer fe.mu.Unlock()
	text := fe.clean(f.Text)
	m.note(now, "%s; started again in %s", text, wait)
	m.lastErr, m.traceback, m.errAt = text, fe.clean(tail(f.Traceback)), now
	m.runner, m.pid, m.loadedAt, m.next = "backoff", 0, time.Time{}, now.Add(wait)
	m.warning = text + "; it is started again"
	fe.touched(m)
}

// fetched records a result and hands it to the pipeline.
func (fe *fetcher) fetched(ctx context.Context, m *module, got *adapter.Reply, at time.Time, took time.Duration, room bool) fetched {
	raw := got.Data
	if text := string(raw); fe.cfg.Mask.Has(text) {
		if text = fe.cfg.Mask.Mask(text); !json.Valid([]byte(text)) {
			return fe.failed(ctx, m, &adapter.Failure{Stage: "result", Text: "its result holds a stored secret in a place where it cannot be masked"}, took)
		}
		raw = json.RawMessage(text)
	}
	items, _ := pipeline.Items(raw)
	now := time.Now()
	fe.mu.Lock()
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
		m.note(now, "its process stays: it keeps %s between fetches", fe.clean(brief(got.Keeps)))
	}
	m.keeps = got.Keeps
	if m.manifest != nil && m.manifest.HTTP != nil {
		m.runner, m.loadedAt = "running", cmp.Or(m.loadedAt, now)
	}
	if len(got.Errors) > 0 {
		m.warning = fe.clean("its adapter reports: " + strings.Join(got.Errors, "; "))
	}
	m.lastFetch, m.lastOK, m.fetching, m.items = now, now, false, len(items)
	m.successes++
	m.latencies = appendBounded(m.latencies, float64(took)/float64(time.Millisecond), keepLatencies)
	m.result = fe.clean(shownResult(raw))
	t := fe.tallies[m.id]
	t.ok++
	t.health, t.used = m.health(), now
	fe.tallies[m.id] = t
	fe.touched(m)
	pipe := fe.pipeline
	fe.mu.Unlock()
	fe.metrics.fetch(m, took, true)
	j := pipeline.NewJob(m.id, m.category, m.platform, at, raw)
	if room {
		pipe.Submit(j)
	} else {
		pipe.NoRoom(j)
	}
	return fetched{items: len(items), took: took, handed: room, aside: !room}
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
