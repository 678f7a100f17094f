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

func restoreAction(m *module, c secrets.Change, by state.Actor) *state.Action {
	return &state.Action{Kind: state.CredentialUndo, Target: m.id, Args: map[string]string{"version": strconv.FormatInt(c.Version, 10)}, Actor: by}
}

// rotation puts new credentials in place of old ones, and has those that they serve work
// with them.
type rotation struct {
	*fleet
	vault   *vault
	fetcher *fetcher
}

// rotate takes new credentials through all that the guide does by hand: they are
// staged in memory, probed by a real fetch of a runner of its own while the old ones
// serve on, put in place, watched for a while, and only then are the old ones let
// go. Where they fail on the way the old ones are put back. A kill before the first
// good fetch with the new ones puts the old ones back at the next start.
func (ro *rotation) rotate(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { ro.metrics.credential("rotate", err == nil) }()
	store := ro.vault.storeNow()
	v, err := ro.vault.values(m, a)
	if err != nil {
		return out, err
	}
	progress("staging the new credentials", 5)
	if err := store.Stage(v); err != nil {
		return out, err
	}
	progress("probing them by a real fetch; the old ones serve on", 10)
	if f := ro.fetcher.probe(ctx, m, &v); f.err != nil {
		return out, fmt.Errorf("the new credentials do not work: %w; the old ones were kept", f.err)
	}
	progress("putting them in place, the old ones aside", 30)
	c, err := store.Set(m.id, v, true)
	if err != nil {
		return out, err
	}
	defer ro.vault.refresh()
	others := ro.sharing(m, c.Row)
	working := ro.working(others)
	progress("reloading "+plural(1+len(others), "module")+" with them", 40)
	f := ro.check(ctx, m)
	if f.err == nil {
		f.err = ro.each(ctx, others, working, ro.check)
	}
	if f.err == nil {
		if err := store.Accept(c); err != nil {
			return out, fmt.Errorf("the new credentials work, but that could not be recorded: %w", err)
		}
		f.err = ro.watch(ctx, m, working, progress)
	}
	if f.err != nil {
		progress("they do not work: putting the old ones back", 95)
		if _, rerr := store.Restore(c.Version); rerr != nil {
			return out, fmt.Errorf("the new credentials do not work (%w), and the old ones could not be put back: %w", f.err, rerr)
		}
		back := ro.applied(context.WithoutCancel(ctx), m, c.Row)
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
func (ro *rotation) watch(ctx context.Context, m *module, working []*module, progress func(string, float64)) error {
	ro.mu.Lock()
	running := m.sup != nil
	ro.mu.Unlock()
	if !running {
		return nil
	}
	const steps = 10
	for i := range steps {
		left := ro.cfg.Watch * time.Duration(steps-i) / steps
		progress(fmt.Sprintf("watching them for %s before the old ones go", left.Round(100*time.Millisecond)), float64(50+4*i))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(ro.cfg.Watch / steps):
		}
	}
	if f := ro.fetcher.ask(ctx, m); f.err != nil {
		return fmt.Errorf("after %s %w", ro.cfg.Watch, f.err)
	}
	return ro.each(ctx, working, working, ro.fetcher.ask)
}

// sharing returns the other running modules that a row serves, by ID.
func (ro *rotation) sharing(m *module, row string) []*module {
	ro.mu.Lock()
	defer ro.mu.Unlock()
	var out []*module
	for _, o := range ro.modules {
		if _, own := o.rows[o.id]; o != m && o.sup != nil && !own && o.platform == row {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.id, b.id) })
	return out
}

// working returns those of list whose last fetch was good.
func (ro *rotation) working(list []*module) []*module {
	ro.mu.Lock()
	defer ro.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(list), func(m *module) bool { return m.failure != nil || m.lastOK.IsZero() })
}

// each does f to every module of list, while nobody else works on it, and says
// which of those that must hold is the first that does not.
func (ro *rotation) each(ctx context.Context, list, must []*module, f func(context.Context, *module) fetched) error {
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
func (ro *rotation) check(ctx context.Context, m *module) fetched {
	ro.mu.Lock()
	running := m.sup != nil
	ro.mu.Unlock()
	if !running {
		return ro.fetcher.probe(ctx, m, nil)
	}
	first := make(chan fetched, 1)
	if err := ro.fetcher.restart(m, first); err != nil {
		return fetched{err: err}
	}
	return wait(ctx, first)
}

// applied restarts the module, if it runs, with the credentials that are stored
// now, and says how that went.
func (ro *rotation) applied(ctx context.Context, m *module, row string) string {
	ro.vault.refresh() // a failure speaks of what is stored now
	ro.mu.Lock()
	running := m.sup != nil
	ro.mu.Unlock()
	out := ""
	if running {
		first := make(chan fetched, 1)
		if err := ro.fetcher.restart(m, first); err != nil {
			return "; its runner does not start: " + err.Error()
		}
		out = "; with them " + wait(ctx, first).String()
	}
	return out + ro.reapply(ctx, m, row)
}

// reapply restarts the other running modules that a row serves, and names them.
func (ro *rotation) reapply(ctx context.Context, m *module, row string) string {
	others := ro.sharing(m, row)
	err := ro.each(ctx, others, nil, func(_ context.Context, o *module) fetched { return fetched{err: ro.fetcher.restart(o, nil)} })
	if err != nil || len(others) == 0 {
		return ""
	}
	return "; also reloaded " + names(others)
}

func (ro *rotation) setCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { ro.metrics.credential("store", err == nil) }()
	v, err := ro.vault.values(m, a)
	if err != nil {
		return out, err
	}
	progress("storing them", 30)
	c, err := ro.vault.storeNow().Set(m.id, v, false)
	if err != nil {
		return out, err
	}
	defer ro.vault.refresh()
	progress("reloading the module with them", 60)
	return state.Outcome{Result: "stored " + strings.Join(v.Fields(), ", ") + ro.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}

func (ro *rotation) deleteCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { ro.metrics.credential("delete", err == nil) }()
	progress("deleting them", 30)
	c, err := ro.vault.storeNow().Delete(m.id)
	if err != nil {
		return out, err
	}
	defer ro.vault.refresh()
	progress("reloading the module without them", 60)
	return state.Outcome{Result: "deleted the credentials of " + c.Row + ro.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}

func (ro *rotation) restoreCredentials(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { ro.metrics.credential("restore", err == nil) }()
	version, err := strconv.ParseInt(a.Args["version"], 10, 64)
	if err != nil {
		return out, fmt.Errorf("the argument \"version\" is %q: the number of a kept version was expected", a.Args["version"])
	}
	progress("putting the kept version back", 30)
	c, err := ro.vault.storeNow().Restore(version)
	if err != nil {
		return out, err
	}
	defer ro.vault.refresh()
	progress("reloading the module with it", 60)
	return state.Outcome{Result: "put back the credentials of " + c.Row + ro.applied(ctx, m, c.Row), Undo: restoreAction(m, c, a.Actor)}, nil
}
