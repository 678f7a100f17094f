package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// rollback carries out the action: a kept version's files take the place of those on disk, and
// run where the module is enabled. What lay there is kept as a version, so that this
// too can be taken back. The index names what it is about to do before it does it,
// and that it is done after: a kill leaves either version whole and approved.
func (e *Engine) rollback(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("looking at its files", 5)
	e.discovery.inspect(ctx, m, nil)
	tree, err := e.approval.look(m)
	if err != nil {
		return state.Outcome{}, fmt.Errorf("its files cannot be read: %w", err)
	}
	e.mu.Lock()
	h, barred, status := m.past, m.barred, m.status
	e.mu.Unlock()
	if barred != "" || h == nil {
		return state.Outcome{}, errors.New(barred)
	}
	v, err := h.Choose(tree.Digest, a.Args["version"])
	if err != nil {
		return state.Outcome{}, err
	}
	if err := e.approval.store.Whole(v); err != nil { // before anything is touched
		return state.Outcome{}, fmt.Errorf("%w; nothing was changed", err)
	}
	progress("keeping what lies there", 20)
	if next, err := e.approval.beginRollback(m, h, tree, v, a.Actor.User); err != nil {
		return state.Outcome{}, fmt.Errorf("what lies there cannot be kept: %w; nothing was changed", err)
	} else {
		h = next
	}
	home, err := filepath.EvalSymlinks(m.dir)
	if err != nil {
		return state.Outcome{}, err
	}
	progress("putting the version back", 40)
	e.fetcher.stop(m) // it writes no data while its folder changes
	if err := e.approval.store.Place(home, v); err != nil {
		e.discovery.inspect(ctx, m, make(chan fetched, 1))
		return state.Outcome{}, fmt.Errorf("its version cannot be put back: %w; what was there is there", err)
	}
	if err := e.approval.endRollback(m, h, v, a.Actor.User); err != nil {
		return state.Outcome{}, err
	}
	out := state.Outcome{Result: "rolled back to version " + version.Short(v.Digest),
		Undo: &state.Action{Kind: state.ModuleRollback, Target: m.id, Args: map[string]string{"version": tree.Digest}, Actor: a.Actor}}
	switch {
	case e.approval.unseen(v):
		e.discovery.inspect(ctx, m, nil)
		out.Result += ", which nobody has approved: it does not run until somebody does"
	case status == state.ModuleInstalled:
		progress("loading its adapter", 70)
		out.Result += e.discovery.takeUp(ctx, m)
	default:
		e.discovery.inspect(ctx, m, nil)
	}
	return out, nil
}
