package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

var (
	// ErrNoModule: there is no module of that ID.
	ErrNoModule = errors.New("there is no such module")

	errNotRunning = errors.New("the engine is not running: start it with opsdeck or opsdeck serve")
)

// Kinds implements state.Executor.
func (e *Engine) Kinds() []state.Kind {
	return append(e.routing.Kinds(),
		state.ModuleEnable, state.ModuleDisable, state.ModuleReload, state.ModuleRestart, state.ModuleFetch, state.ModuleUninstall,
		state.ModuleValidate, state.ModuleApprove, state.ModuleRollback, state.ModuleTest,
		state.CredentialRotate, state.CredentialSet, state.CredentialDelete, state.CredentialUndo,
		state.CredentialExpire, state.CredentialRekey, state.CredentialForget, state.CredentialUnlock,
		state.ModuleClearCache,
		state.PipelinePause, state.PipelineResume, state.PipelineDrain, state.PipelineWorkers, state.PipelineRetry, state.PipelineDiscard,
	)
}

// Execute implements state.Executor. For the arguments of routing actions see
// [routing.Service.Execute], for those of credential.rotate and credential.set [SecretJSON].
// A module.approve wants Args["digest"] to name what was shown, a module.rollback
// takes the version in Args["version"], the one before where it is left out.
// A module.fetch asks the module's upstream, past its cache, unless
// Args["cached"]="true".
func (e *Engine) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	defer e.Flush(ctx)
	if progress == nil {
		progress = func(string, float64) {}
	}
	if slices.Contains(e.routing.Kinds(), a.Kind) {
		return e.routing.Execute(ctx, a)
	}
	switch a.Kind {
	case state.ModuleClearCache:
		return e.fetcher.clearCaches(a)
	case state.PipelinePause, state.PipelineResume, state.PipelineDrain, state.PipelineWorkers, state.PipelineRetry, state.PipelineDiscard:
		return e.told(a, func() (state.Outcome, error) { return e.steer(ctx, a, progress) })
	case state.CredentialRekey:
		return e.told(a, func() (state.Outcome, error) { return e.vault.rekey(a, progress) })
	case state.CredentialForget:
		return e.told(a, e.vault.forgetKeys)
	case state.CredentialUnlock:
		return e.told(a, func() (state.Outcome, error) { return e.vault.unlock(a) })
	}
	var do func(context.Context, *module, state.Action, func(string, float64)) (state.Outcome, error)
	switch a.Kind {
	case state.ModuleEnable:
		do = e.enable
	case state.ModuleDisable:
		do = e.disable
	case state.ModuleReload:
		do = e.reload
	case state.ModuleRestart:
		do = e.restartRunner
	case state.ModuleFetch:
		do = e.fetchNow
	case state.ModuleUninstall:
		do = e.uninstall
	case state.ModuleValidate:
		do = e.validateModule
	case state.ModuleApprove:
		do = e.approve
	case state.ModuleRollback:
		do = e.rollback
	case state.ModuleTest:
		do = e.testModule
	case state.CredentialRotate:
		do = e.rotation.rotate
	case state.CredentialSet:
		do = e.rotation.setCredentials
	case state.CredentialDelete:
		do = e.rotation.deleteCredentials
	case state.CredentialUndo:
		do = e.rotation.restoreCredentials
	case state.CredentialExpire:
		do = e.vault.noteExpiry
	default:
		return state.Outcome{}, fmt.Errorf("engine: it has no action %q", string(a.Kind))
	}
	return e.told(a, func() (state.Outcome, error) {
		return e.with(ctx, a.Target, func(m *module) (state.Outcome, error) { return do(ctx, m, a, progress) })
	})
}

// told does an action and makes what comes of it fit to be published.
func (e *Engine) told(a state.Action, do func() (state.Outcome, error)) (state.Outcome, error) {
	out, err := do()
	out.Result = e.clean(out.Result)
	if err != nil {
		verb := string(a.Kind)
		if spec := state.SpecOf(a.Kind); spec != nil {
			verb = spec.Verb
		}
		err = fmt.Errorf("%s %s: %w", verb, a.Target, cleanError{err, e.clean(err.Error())})
	}
	return out, err
}

// cleanError is an error whose text may be published.
type cleanError struct {
	error
	text string
}

func (c cleanError) Error() string { return c.text }
func (c cleanError) Unwrap() error { return c.error }

// wait gives what a first fetch gave.
func wait(ctx context.Context, first chan fetched) fetched {
	select {
	case f := <-first:
		return f
	case <-ctx.Done():
		return fetched{err: context.Cause(ctx)}
	}
}

func (e *Engine) enable(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	e.discovery.inspect(ctx, m, nil) // what lies there now is what is enabled
	e.mu.Lock()
	status, man, problem, registered := m.status, m.manifest, m.problem, m.registered
	e.mu.Unlock()
	if status != state.ModuleInstalled && (problem != "" || man == nil) && !registered {
		return state.Outcome{}, fmt.Errorf("its manifest is not good: %s", problem)
	}
	if status == state.ModuleUninstalled && !registered {
		r := Record{ID: m.id, Name: man.Name, Category: m.category, Platform: m.platform, Status: status, Health: "unknown", Manifest: man.Text, Updated: disk.FormatTime(time.Now())}
		if err := e.registryNow().add(ctx, r); err != nil {
			return state.Outcome{}, err
		}
		e.mu.Lock()
		m.registered, m.record = true, r
		e.mu.Unlock()
	}
	if _, _, err := next(status, evEnable); err != nil {
		return state.Outcome{}, err
	}
	progress("checking it", 10)
	if found := e.checks.validate(ctx, m, true); ctx.Err() != nil {
		return state.Outcome{}, context.Cause(ctx)
	} else if slices.ContainsFunc(found, refusing) {
		if err := e.move(ctx, m, evCheck, evRefuse); err != nil {
			return state.Outcome{}, err
		}
		return state.Outcome{}, fmt.Errorf("it was refused: %s", refusal(found))
	}
	tree, err := e.approval.look(m)
	if err != nil {
		return state.Outcome{}, fmt.Errorf("its files cannot be read: %w", err)
	}
	progress("recording it in the registry", 20)
	evs := []event{evCheck, evPass, evApprove, evEnable}
	if e.cfg.NoApproval {
		evs = []event{evCheck, evPass, evEnable}
	}
	if err := e.approval.trust(m, tree, "enabled", a.Actor.User); err != nil && !e.cfg.NoApproval {
		return state.Outcome{}, err
	}
	if err := e.move(ctx, m, evs...); err != nil {
		return state.Outcome{}, err
	}
	out := state.Outcome{Undo: &state.Action{Kind: state.ModuleDisable, Target: m.id, Actor: a.Actor}}
	progress("starting its runner", 40)
	first := make(chan fetched, 1)
	if err := e.fetcher.restart(m, first); err != nil {
		return out, err
	}
	f := wait(ctx, first)
	if f.err != nil {
		out.Result = "enabled, but it does not work yet: " + f.err.Error()
	} else {
		out.Result = "enabled: " + f.String()
	}
	return out, nil
}

func (e *Engine) disable(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("recording it in the registry", 20)
	if err := e.move(ctx, m, evDisable); err != nil {
		return state.Outcome{}, err
	}
	progress("stopping its runner", 60)
	e.fetcher.leave(m)
	return state.Outcome{Result: "disabled: its runner was stopped", Undo: &state.Action{Kind: state.ModuleEnable, Target: m.id, Actor: a.Actor}}, nil
}

func (e *Engine) uninstall(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	e.mu.Lock()
	registered := m.registered
	e.mu.Unlock()
	if !registered {
		return state.Outcome{}, errors.New("it is not in the registry: remove its folder " + e.rel(m.dir))
	}
	progress("recording it in the registry", 20)
	if err := e.move(ctx, m, evUninstall); err != nil {
		return state.Outcome{}, err
	}
	progress("stopping its runner", 60)
	e.fetcher.leave(m)
	return state.Outcome{Result: "uninstalled; its files stay in " + e.rel(m.dir), Undo: &state.Action{Kind: state.ModuleEnable, Target: m.id, Actor: a.Actor}}, nil
}

// reload reads the manifest and the adapter again. A bad manifest is refused and
// what runs keeps running.
func (e *Engine) reload(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("reading its manifest", 10)
	rel := e.rel(m.dir) + "/manifest.json"
	if _, err := e.manifests.read(m.dir, rel, m.category, m.platform); err != nil {
		e.discovery.inspect(ctx, m, make(chan fetched, 1)) // so that its row says so too
		return state.Outcome{}, fmt.Errorf("%w; nothing was changed", err)
	}
	e.mu.Lock()
	was := m.status
	e.mu.Unlock()
	if was == state.ModuleDisabled || was == state.ModuleUninstalled {
		return state.Outcome{}, fmt.Errorf("it is %s: enable it first", was.Word())
	}
	if was == state.ModuleInstalled {
		if err := e.approval.mayRun(m); err != nil {
			e.discovery.inspect(ctx, m, nil)
			return state.Outcome{}, fmt.Errorf("%w; nothing was changed", err)
		}
	} else if found := e.checks.validate(ctx, m, false); slices.ContainsFunc(found, refusing) {
		if _, _, err := next(was, evCheck); err == nil {
			_ = e.move(ctx, m, evCheck, evRefuse)
		}
		return state.Outcome{}, fmt.Errorf("it was refused: %s", refusal(found))
	}
	e.fetcher.stop(m)
	first := make(chan fetched, 1)
	e.discovery.inspect(ctx, m, first) // starts it where it is enabled
	e.mu.Lock()
	status := m.status
	e.mu.Unlock()
	if status != state.ModuleInstalled {
		return state.Outcome{Result: "its manifest is good; it is " + status.Word()}, nil
	}
	progress("loading its adapter", 40)
	f := wait(ctx, first)
	e.mu.Lock()
	recheck := m.recheck || f.err != nil
	e.mu.Unlock()
	if recheck && ctx.Err() == nil {
		e.checks.validate(ctx, m, false) // what it finds stands beside the failure
	}
	if f.err != nil && !e.loaded(m) {
		return state.Outcome{}, fmt.Errorf("its adapter does not load: %w", f.err)
	}
	if f.err != nil {
		return state.Outcome{Result: "reloaded, but " + f.String()}, nil
	}
	return state.Outcome{Result: "reloaded: " + f.String()}, nil
}

func (e *Engine) restartRunner(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	if err := e.enabled(m); err != nil {
		return state.Outcome{}, err
	}
	if err := e.approval.mayRun(m); err != nil {
		e.discovery.inspect(ctx, m, nil)
		return state.Outcome{}, fmt.Errorf("%w; what runs runs on", err)
	}
	progress("starting its runner again", 30)
	first := make(chan fetched, 1)
	if err := e.fetcher.restart(m, first); err != nil {
		return state.Outcome{}, err
	}
	f := wait(ctx, first)
	if f.err != nil {
		return state.Outcome{Result: "restarted, but " + f.String()}, nil
	}
	return state.Outcome{Result: "restarted: " + f.String()}, nil
}

func (e *Engine) fetchNow(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	if err := e.enabled(m); err != nil {
		return state.Outcome{}, err
	}
	progress("waiting for its adapter", -1)
	f := e.fetcher.request(ctx, m, a.Args["cached"] == "true")
	if f.err != nil {
		return state.Outcome{}, f.err
	}
	return state.Outcome{Result: f.String()}, nil
}

var _ state.Executor = (*Engine)(nil)
