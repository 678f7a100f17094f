package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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

// rotate sets new credentials on trial, checks them by a real fetch, and puts the
// old ones back where that fails. A kill in between puts them back at the next start.
func (e *Engine) rotate(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { e.metrics.credential("rotate", err == nil) }()
	store := e.storeNow()
	v, err := e.values(m, a)
	if err != nil {
		return out, err
	}
	progress("keeping the old credentials aside and storing the new ones", 20)
	c, err := store.Set(m.id, v, true)
	if err != nil {
		return out, err
	}
	defer e.refreshCredentials()
	progress("reloading the module with them", 40)
	f := e.check(ctx, m)
	if f.err != nil {
		progress("they do not work: putting the old ones back", 70)
		if _, rerr := store.Restore(c.Version); rerr != nil {
			return out, fmt.Errorf("the new credentials do not work (%w), and the old ones could not be put back: %w", f.err, rerr)
		}
		back := e.applied(context.WithoutCancel(ctx), m, c.Row)
		return out, fmt.Errorf("the new credentials do not work: %w; the old ones were put back%s", f.err, back)
	}
	if err := store.Accept(c); err != nil {
		return out, fmt.Errorf("the new credentials work, but that could not be recorded: %w", err)
	}
	progress("reloading the other modules that use them", 90)
	others := e.reapply(ctx, m, c.Row)
	return state.Outcome{Result: "rotated and checked: " + f.String() + others, Undo: restoreAction(m, c, a.Actor)}, nil
}

// check makes a real fetch with the credentials that are stored now.
func (e *Engine) check(ctx context.Context, m *module) fetched {
	e.mu.Lock()
	running := m.sup != nil
	e.mu.Unlock()
	if !running {
		return e.probe(ctx, m)
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

// reapply restarts the other running modules that a row serves.
func (e *Engine) reapply(ctx context.Context, m *module, row string) string {
	e.mu.Lock()
	var others []*module
	for _, o := range e.modules {
		own := false
		if _, ok := o.rows[o.id]; ok {
			own = true
		}
		if o != m && o.sup != nil && !own && o.platform == row {
			others = append(others, o)
		}
	}
	e.mu.Unlock()
	var names []string
	for _, o := range others {
		select {
		case o.op <- struct{}{}:
			if e.restart(o, nil) == nil {
				names = append(names, o.id)
			}
			<-o.op
		case <-ctx.Done():
			return ""
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "; also reloaded " + strings.Join(names, ", ")
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
