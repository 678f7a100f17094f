package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// SecretJSON is the name of the secret argument that holds all credentials as one
// JSON object, in place of what is stored. Without it, each secret argument is a
// field, and fields that are not given stay as they are.
const SecretJSON = "@json"

// ErrNoValues: no credentials were given.
var ErrNoValues = errors.New("no values were given")

// values are the credentials that an action gives.
func (e *Engine) values(m *module, a state.Action) (secrets.Values, error) {
	if text, ok := a.Secrets[SecretJSON]; ok {
		v, err := secrets.ParseValues([]byte(text.Reveal()))
		if err == nil && v.Len() == 0 {
			err = ErrNoValues
		}
		return v, err
	}
	fields := map[string]any{}
	for k, v := range a.Secrets {
		if v.Reveal() == "" {
			return secrets.Values{}, fmt.Errorf("the value of %s is empty", k)
		}
		fields[k] = v.Reveal()
	}
	if len(fields) == 0 {
		return secrets.Values{}, fmt.Errorf("%w: a value for each field was expected", ErrNoValues)
	}
	old, err := e.storeNow().Get(m.id)
	if err != nil && !errors.Is(err, secrets.ErrNone) && errors.Is(err, secrets.ErrLocked) {
		return secrets.Values{}, err
	}
	return old.With(fields), nil
}

func (e *Engine) storeNow() *secrets.Store {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store
}

func restoreAction(m *module, c secrets.Change, by state.Actor) *state.Action {
	return &state.Action{Kind: state.CredentialUndo, Target: m.id, Args: map[string]string{"version": strconv.FormatInt(c.Version, 10)}, Actor: by}
}

// rotate takes new credentials through all that the guide does by hand: they are
// staged in memory, probed by a real fetch of a runner of its own while the old ones
// serve on, put in place, watched for a while, and only then are the old ones let
// go. Where they fail on the way the old ones are put back. A kill before the first
// good fetch with the new ones puts the old ones back at the next start.
func (e *Engine) rotate(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { e.metrics.credential("rotate", err == nil) }()
	store := e.storeNow()
	v, err := e.values(m, a)
	if err != nil {
		return out, err
	}
	progress("staging the new credentials", 5)
	if err := store.Stage(v); err != nil {
		return out, err
	}
	progress("probing them by a real fetch; the old ones serve on", 10)
	if f := e.probe(ctx, m, &v); f.err != nil {
		return out, fmt.Errorf("the new credentials do not work: %w; the old ones were kept", f.err)
	}
	progress("putting them in place, the old ones aside", 30)
	c, err := store.Set(m.id, v, true)
	if err != nil {
		return out, err
	}
	defer e.refreshCredentials()
	others := e.sharing(m, c.Row)
	working := e.working(others)
	progress("reloading "+plural(1+len(others), "module")+" with them", 40)
	f := e.check(ctx, m)
	if f.err == nil {
		f.err = e.each(ctx, others, working, e.check)
	}
	if f.err == nil {
		if err := store.Accept(c); err != nil {
			return out, fmt.Errorf("the new credentials work, but that could not be recorded: %w", err)
		}
		f.err = e.watch(ctx, m, working, progress)
	}
	if f.err != nil {
		progress("they do not work: putting the old ones back", 95)
		if _, rerr := store.Restore(c.Version); rerr != nil {
			return out, fmt.Errorf("the new credentials do not work (%w), and the old ones could not be put back: %w", f.err, rerr)
		}
		back := e.applied(context.WithoutCancel(ctx), m, c.Row)
		return out, fmt.Errorf("the new credentials do not work: %w; the old ones were put back%s", f.err, back)
	}
	result := "rotated and checked: " + f.String()
	if len(others) > 0 {
		result += "; also reloaded and checked " + names(others)
	}
	return state.Outcome{Result: result, Undo: restoreAction(m, c, a.Actor)}, nil
}

// watch sees whether what worked at first goes on working: one more fetch of each
// module that the credentials serve, after a while.
func (e *Engine) watch(ctx context.Context, m *module, working []*module, progress func(string, float64)) error {
	e.mu.Lock()
	running := m.sup != nil
	e.mu.Unlock()
	if !running {
		return nil
	}
	const steps = 10
	for i := range steps {
		left := e.cfg.Watch * time.Duration(steps-i) / steps
		progress(fmt.Sprintf("watching them for %s before the old ones go", left.Round(100*time.Millisecond)), float64(50+4*i))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(e.cfg.Watch / steps):
		}
	}
	if f := e.ask(ctx, m); f.err != nil {
		return fmt.Errorf("after %s %w", e.cfg.Watch, f.err)
	}
	return e.each(ctx, working, working, e.ask)
}

// sharing are the other running modules that a row serves, by ID.
func (e *Engine) sharing(m *module, row string) []*module {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*module
	for _, o := range e.modules {
		if _, own := o.rows[o.id]; o != m && o.sup != nil && !own && o.platform == row {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.id, b.id) })
	return out
}

// served are the IDs of all other modules that a row serves; e.mu is held.
func (e *Engine) served(m *module, row string) []string {
	var out []string
	for _, o := range e.modules {
		if _, own := o.rows[o.id]; o != m && !own && o.platform == row && o.status != state.ModuleUninstalled {
			out = append(out, o.id)
		}
	}
	slices.Sort(out)
	return out
}

// working are those of list whose last fetch was good.
func (e *Engine) working(list []*module) []*module {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(list), func(m *module) bool { return m.failure != nil || m.lastOK.IsZero() })
}

// each does f to every module of list, while nobody else works on it, and says
// which of those that must hold is the first that does not.
func (e *Engine) each(ctx context.Context, list, must []*module, f func(context.Context, *module) fetched) error {
	for _, m := range list {
		select {
		case m.op <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		got := f(ctx, m)
		<-m.op
		if got.err != nil && slices.Contains(must, m) {
			return fmt.Errorf("%s, which they serve too: %w", m.id, got.err)
		}
	}
	return nil
}

func names(list []*module) string {
	var out []string
	for _, m := range list {
		out = append(out, m.id)
	}
	return strings.Join(out, ", ")
}

// check makes a real fetch with the credentials that are stored now.
func (e *Engine) check(ctx context.Context, m *module) fetched {
	e.mu.Lock()
	running := m.sup != nil
	e.mu.Unlock()
	if !running {
		return e.probe(ctx, m, nil)
	}
	first := make(chan fetched, 1)
	if err := e.restart(m, first); err != nil {
		return fetched{err: err}
	}
	return wait(ctx, first)
}

// applied restarts the module, if it runs, with the credentials that are stored
// now, and says how that went.
func (e *Engine) applied(ctx context.Context, m *module, row string) string {
	e.refreshCredentials() // a failure speaks of what is stored now
	e.mu.Lock()
	running := m.sup != nil
	e.mu.Unlock()
	out := ""
	if running {
		first := make(chan fetched, 1)
		if err := e.restart(m, first); err != nil {
			return "; its runner does not start: " + err.Error()
		}
		out = "; with them " + wait(ctx, first).String()
	}
	return out + e.reapply(ctx, m, row)
}

// reapply restarts the other running modules that a row serves, and names them.
func (e *Engine) reapply(ctx context.Context, m *module, row string) string {
	others := e.sharing(m, row)
	err := e.each(ctx, others, nil, func(_ context.Context, o *module) fetched { return fetched{err: e.restart(o, nil)} })
	if err != nil || len(others) == 0 {
		return ""
	}
	return "; also reloaded " + names(others)
}

func (e *Engine) setCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { e.metrics.credential("store", err == nil) }()
	v, err := e.values(m, a)
	if err != nil {
		return out, err
	}
	progress("storing them", 30)
	c, err := e.storeNow().Set(m.id, v, false)
	if err != nil {
		return out, err
	}
	defer e.refreshCredentials()
	progress("reloading the module with them", 60)
	return state.Outcome{Result: "stored " + strings.Join(v.Fields(), ", ") + e.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}

func (e *Engine) deleteCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { e.metrics.credential("delete", err == nil) }()
	progress("deleting them", 30)
	c, err := e.storeNow().Delete(m.id)
	if err != nil {
		return out, err
	}
	defer e.refreshCredentials()
	progress("reloading the module without them", 60)
	return state.Outcome{Result: "deleted the credentials of " + c.Row + e.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}

func (e *Engine) restoreCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { e.metrics.credential("restore", err == nil) }()
	version, err := strconv.ParseInt(a.Args["version"], 10, 64)
	if err != nil {
		return out, fmt.Errorf("the argument \"version\" is %q: the number of a kept version was expected", a.Args["version"])
	}
	progress("putting the kept version back", 30)
	c, err := e.storeNow().Restore(version)
	if err != nil {
		return out, err
	}
	defer e.refreshCredentials()
	progress("reloading the module with it", 60)
	return state.Outcome{Result: "put back the credentials of " + c.Row + e.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}
