package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Config says what the engine works on. Paths that are relative are so to
// Workspace; those left empty have the defaults named.
type Config struct {
	// Workspace is the workspace's folder.
	Workspace string
	// ModulesDir is where modules are discovered: "modules".
	ModulesDir string
	// DataDir holds both databases: "data".
	DataDir string
	// SharedDir is the package "shared" of adapters: "shared".
	SharedDir string
	// RoutingFile is the routing configuration: "config/routing_config.json".
	RoutingFile string
	// Python is the interpreter for adapters: python3 on the PATH.
	Python string
	// Interval is the time between a module's fetches where its manifest says none: 30s.
	Interval time.Duration
	// Timeout bounds one import and one fetch where a manifest says nothing: 10s.
	Timeout time.Duration
	// Resident is how many adapters stay in their processes between fetches, beside
	// those that keep something: 32.
	Resident int
	// Idle is for how long an adapter may use half a core while nothing is asked of
	// it: 30s.
	Idle time.Duration
	// Scan is how often the disk is looked at for changes: 1s.
	Scan time.Duration
	// Key gives MODULE_ENCRYPTION_KEY; nil or "" leaves the credential store locked.
	// Several keys may be given, apart by white space: the first encrypts.
	Key func() (string, error)
	// KeyFrom says where Key's came from; nil for nothing to say.
	KeyFrom func() string
	// KeyFile gives the file that Key's came from and its content with other keys;
	// nil where the key cannot be changed.
	KeyFile func(keys []string) (path string, text []byte, err error)
	// Query evaluates PromQL at this instant, over the series that other services' metrics
	// are relayed into; nil where there are none.
	Query func(ctx context.Context, promql string) ([]routing.Sample, error)
	// Stages says what each stage of the pipeline, by its title, may do at a time.
	Stages map[string]pipeline.StageConfig
	// Watch is how long a rotation watches the new credentials before it lets the
	// old ones go: 10s.
	Watch time.Duration
	// NoApproval has modules run whatever lies in their folders: a change of their files
	// wants no yes.
	NoApproval bool
	// RequireTests has every module's own tests pass before it is enabled or approved.
	RequireTests bool
	// Mask learns every credential and blots them out of what is published; nil
	// makes one that nobody else knows.
	Mask *secrets.Mask
	// Log is where the engine writes what happens; nil for nowhere.
	Log *slog.Logger
}

// publishEvery is the least time between two publications of one section.
const publishEvery = 200 * time.Millisecond

// flushEvery is how often counts of fetches reach the registry.
const flushEvery = 2 * time.Second

// Engine is the orchestrator. Make it with [New]; give it to the hub as a source
// and an executor. Its other methods may be called at any time.
//
// What it composes, each only knowing those above it:
//
//	fleet      the modules, their registry, and the lock over both
//	approval   what of them may run, and their versions
//	vault      the credential store, and whom it serves
//	fetcher    their adapters, and what these fetch
//	checker    what is wrong with them
//	discovery  what lies on disk
//	rotation   new credentials in place of old ones
//
// and, beside them, Modules, which tells others of the fleet, the routing configuration
// and the pipeline.
type Engine struct {
	*fleet
	approval  *approval
	vault     *vault
	fetcher   *fetcher
	checks    *checker
	discovery *discovery
	rotation  *rotation
	listing   *Modules
	routing   *routing.Service

	up      <-chan struct{}    // closed once Run has begun, or could not
	settled func()             // closes it
	show    chan chan struct{} // what changed is to be published at once; closed when it is

	// Guarded by the fleet's lock.
	rerouted bool            // the routing section is to be published
	piped    bool            // the pipeline section is to be published before its second is over
	looks    state.Interests // what is being looked at
}

// New prepares an engine; nothing runs before Run.
func New(cfg Config) (*Engine, error) {
	ws, err := filepath.Abs(cmp.Or(cfg.Workspace, "."))
	if err != nil {
		return nil, fmt.Errorf("engine: workspace %s: %w", cfg.Workspace, err)
	}
	cfg.Workspace = ws
	in := func(p *string, dflt string) {
		if *p = cmp.Or(*p, dflt); !filepath.IsAbs(*p) {
			*p = filepath.Join(ws, *p)
		}
	}
	in(&cfg.ModulesDir, "modules")
	in(&cfg.DataDir, "data")
	in(&cfg.SharedDir, "shared")
	in(&cfg.RoutingFile, "config/routing_config.json")
	cfg.Interval = cmp.Or(cfg.Interval, 30*time.Second)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.Scan = cmp.Or(cfg.Scan, time.Second)
	cfg.Watch = cmp.Or(cfg.Watch, 10*time.Second)
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Second)
	if cfg.Mask == nil {
		cfg.Mask = &secrets.Mask{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ms, err := newManifests()
	if err != nil {
		return nil, err
	}
	fl := &fleet{cfg: cfg, manifests: ms, wake: make(chan struct{}, 1)}
	ap := &approval{fleet: fl, store: version.NewStore(filepath.Join(cfg.DataDir, "module_versions"))}
	va := &vault{fleet: fl}
	fe := &fetcher{fleet: fl, approval: ap, vault: va, pool: adapter.NewPool(cfg.Resident),
		starts: make(chan struct{}, max(2, runtime.NumCPU())), fetches: make(chan struct{}, max(8, 4*runtime.NumCPU())),
		python: adapter.NewInterpreter(cfg.Python, fl.touchedAll)}
	fl.metrics = newMetrics(fe.ranPipeline)
	ck := &checker{fleet: fl, approval: ap, vault: va, fetcher: fe}
	e := &Engine{fleet: fl, approval: ap, vault: va, fetcher: fe, checks: ck,
		discovery: &discovery{fleet: fl, approval: ap, vault: va, fetcher: fe, checks: ck},
		rotation:  &rotation{fleet: fl, vault: va, fetcher: fe},
		listing:   &Modules{fleet: fl, approval: ap, vault: va, fetcher: fe},
		show:      make(chan chan struct{})}
	fe.pipeline = pipeline.New(e.pipeConfig(), time.Now())
	e.routing, err = routing.New(routing.Config{File: cfg.RoutingFile, DataDir: cfg.DataDir, Rel: e.rel, Query: cfg.Query, Mask: cfg.Mask.Mask, Changed: e.routed, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	up := make(chan struct{})
	e.up, e.settled = up, sync.OnceFunc(func() { close(up) })
	return e, nil
}

// pipeConfig says what the pipeline of a run works with.
func (e *Engine) pipeConfig() pipeline.Config {
	path := filepath.Join(e.cfg.DataDir, "pipeline.db")
	return pipeline.Config{Stages: e.cfg.Stages, Path: path, Name: e.rel(path), Enabled: e.isEnabled, Fetch: e.fetcher.fetchAgain, Mask: e.cfg.Mask.Mask, Changed: e.repiped, Log: e.cfg.Log}
}

// Name implements state.Source.
func (e *Engine) Name() string { return "engine" }

// Sections implements state.Source.
func (e *Engine) Sections() []state.SectionName {
	return []state.SectionName{state.SectionModules, state.SectionPipeline, state.SectionRouting}
}

// Run implements state.Source. It returns when ctx ends and every adapter and
// goroutine with it, or when the registry cannot be read.
func (e *Engine) Run(ctx context.Context, put func(state.Section)) (err error) {
	defer e.settled() // one that cannot start is not waited for
	reg, err := openRegistry(ctx, filepath.Join(e.cfg.DataDir, "module_registry.db"))
	if err != nil {
		return err
	}
	rows, err := reg.all(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("engine: read the registry: %w", err), reg.close())
	}
	store := secrets.Open(filepath.Join(e.cfg.DataDir, "module_credentials.db"), e.cfg.Key, e.cfg.Mask)
	life, end := context.WithCancelCause(ctx)
	cancel := func() { end(nil) }
	var wg, modules sync.WaitGroup
	started := time.Now()

	e.mu.Lock()
	e.life, e.wg, e.registry, e.vault.store, e.fetcher.launcher = life, &modules, reg, store, adapter.New(e.cfg.DataDir, e.cfg.Idle, e.cfg.Log)
	e.fetcher.pipeline = pipeline.New(e.pipeConfig(), started)
	e.fetcher.running = true
	e.modules, e.tallies = map[string]*module{}, map[string]tally{}
	e.fetcher.python = adapter.NewInterpreter(e.cfg.Python, e.touchedAll)
	e.looked = false
	for id, row := range rows {
		e.modules[id] = e.fromRow(row)
	}
	launcher, pipe, python := e.fetcher.launcher, e.fetcher.pipeline, e.fetcher.python
	e.mu.Unlock()
	e.settled()

	defer func() {
		cancel()
		e.mu.Lock()
		e.life = nil // no further module may start
		e.mu.Unlock()
		modules.Wait()
		wg.Wait()
		launcher.Close()
		e.vault.noteUses(true)
		err = errors.Join(err, e.routing.Close(), e.flush(), store.Close(), reg.close())
	}()

	wg.Go(func() { pipe.Run(life) })
	wg.Go(func() { e.routing.Run(life) })
	wg.Go(func() { python.Find(life, len(rows) == 0) })
	for dir, err := range version.Tidy(e.cfg.ModulesDir, valid) {
		e.cfg.Log.Error("a rollback was cut short, and the folder cannot be put back", "folder", dir, "err", err)
	}
	e.routing.Open(started)
	e.vault.refresh()
	e.publish(put, true, true, true, true)
	wg.Go(func() {
		e.lookAtDisk(life)
		if life.Err() == nil {
			if err := e.approval.store.Settle(); err != nil {
				e.cfg.Log.Error("versions of modules cannot be kept", "err", err)
			}
		}
		e.mu.Lock()
		e.looked, e.changed = true, true
		e.mu.Unlock()
		select {
		case e.wake <- struct{}{}:
		default:
		}
		every(life, e.cfg.Scan, func() {
			if reg.replaced() {
				end(errReplaced)
				return
			}
			e.lookAtDisk(life)
		})
	})
	wg.Go(func() {
		every(life, flushEvery, func() {
			e.fetcher.dropStale()
			e.vault.noteUses(false)
			if err := e.flush(); err != nil {
				e.cfg.Log.Error("counts of fetches did not reach the registry", "err", err)
			}
		})
	})
	e.publishLoop(life, put)
	if err := context.Cause(life); errors.Is(err, errReplaced) {
		return err
	}
	return ctx.Err()
}

// lookAtDisk looks for what changed there. It is called by one goroutine at a time.
func (e *Engine) lookAtDisk(ctx context.Context) {
	e.routing.Scan(time.Now())
	e.discovery.scan(ctx)
}

// Await returns once the engine runs or could not start, or ctx ends. Calls that come
// sooner find no modules.
func (e *Engine) Await(ctx context.Context) {
	select {
	case <-e.up:
	case <-ctx.Done():
	}
}

// every calls f at an interval until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// warmUp is how long after the start the pipeline is put with every change of a
// module, so that the results of the first fetches show with them.
const warmUp = 5 * time.Second

// publishLoop puts sections when they changed, and the pipeline once a second.
func (e *Engine) publishLoop(ctx context.Context, put func(state.Section)) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var last time.Time
	began := time.Now()
	for {
		tick := false
		var asked chan struct{}
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			tick = true
		case asked = <-e.show:
		case <-e.wake:
			if wait := publishEvery - time.Since(last); wait > 0 {
				t := time.NewTimer(wait)
				select {
				case <-ctx.Done():
					t.Stop()
					return
				case asked = <-e.show:
					t.Stop()
				case <-t.C:
				}
			}
		}
		last = time.Now()
		e.mu.Lock()
		changed, rerouted, piped := e.changed, e.rerouted, e.piped
		e.changed, e.rerouted, e.piped = false, false, false
		e.mu.Unlock()
		e.publish(put, changed, tick, tick || piped || changed && last.Sub(began) < warmUp, rerouted)
		if asked != nil {
			close(asked)
		}
	}
}

// Routing returns the routing configuration of the workspace.
func (e *Engine) Routing() *routing.Service { return e.routing }

// Modules returns what is told of the modules.
func (e *Engine) Modules() *Modules { return e.listing }

// Flush implements [state.Flusher]. An action is over once what it did is published: who
// asks after that finds it so.
func (e *Engine) Flush(ctx context.Context) {
	e.mu.Lock()
	life := e.life
	e.mu.Unlock()
	if life == nil {
		return
	}
	done := make(chan struct{})
	select {
	case e.show <- done:
	case <-life.Done():
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-life.Done():
	}
}

// publish puts sections; tick says that a second of the pipeline's history ends.
func (e *Engine) publish(put func(state.Section), modules, tick, pipeline, routing bool) {
	now := time.Now()
	if modules {
		put(e.modulesSection())
	}
	if pipeline {
		put(e.pipelineSection(now, tick))
	}
	if routing {
		put(e.routing.Section())
	}
}

// Interest implements state.Interested.
func (e *Engine) Interest(in state.Interests) {
	e.mu.Lock()
	e.looks = in
	e.mu.Unlock()
}

// pipelineSection returns the pipeline as state; tick says that a second of its history ends.
func (e *Engine) pipelineSection(now time.Time, tick bool) state.Pipeline {
	e.mu.Lock()
	p, held := e.fetcher.pipeline, 0
	for _, m := range e.modules {
		if m.held {
			held++
		}
	}
	want, brief := e.looks.Keys(state.LookJob), len(e.looks.Keys(state.LookBrief)) > 0
	e.mu.Unlock()
	out := p.Section(now, tick, slices.Contains(want, "*"), want)
	out.Held = held
	if brief {
		out.Reports = []state.Report{p.Briefing(now, e.Delivered)}
	}
	return out
}

// modulesSection returns the modules as state. Only those that changed are made anew.
func (e *Engine) modulesSection() state.Modules {
	e.mu.Lock()
	defer e.mu.Unlock()
	py, problem := e.fetcher.python.Known()
	out := state.Modules{Dir: e.rel(e.cfg.ModulesDir), Python: py.Path, PythonErr: state.Clean(problem), List: make([]state.Module, 0, len(e.modules))}
	if py.Version != "" {
		out.Python += " (" + py.Version + ")"
	}
	out.Locked, out.Keys = e.vault.locked, e.vault.keys
	if e.cfg.KeyFrom != nil {
		out.KeyFrom = e.rel(e.cfg.KeyFrom())
	}
	if !e.looked {
		out.Health.Status = state.Connecting
	}
	for _, id := range slices.Sorted(maps.Keys(e.modules)) {
		m := e.modules[id]
		if m.stale {
			m.view, m.stale = e.vault.built(m), false
		}
		out.List = append(out.List, m.view)
	}
	return out
}

// routed says that the routing section changed.
func (e *Engine) routed() {
	e.mu.Lock()
	e.rerouted = true
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
