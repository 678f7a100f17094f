package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// rollback is the action: a kept version's files take the place of those on disk, and
// run where the module is enabled. What lay there is kept as a version, so that this
// too can be taken back. The index names what it is about to do before it does it,
// and that it is done after: a kill leaves either version whole and approved.
func (e *Engine) rollback(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("looking at its files", 5)
	e.inspect(ctx, m, nil)
	tree, err := e.look(m)
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
	if err := e.programs.Whole(v); err != nil { // before anything is touched
		return state.Outcome{}, fmt.Errorf("%w; nothing was changed", err)
	}
	progress("keeping what lies there", 20)
	if next, err := e.beginRollback(m, h, tree, v, a.Actor.User); err != nil {
		return state.Outcome{}, fmt.Errorf("what lies there cannot be kept: %w; nothing was changed", err)
	} else {
		h = next
	}
	home, err := filepath.EvalSymlinks(m.dir)
	if err != nil {
		return state.Outcome{}, err
	}
	progress("putting the version back", 40)
	e.stop(m) // it writes no data while its folder changes
	if err := e.programs.Place(home, v); err != nil {
		e.inspect(ctx, m, make(chan fetched, 1))
		return state.Outcome{}, fmt.Errorf("its version cannot be put back: %w; what was there is there", err)
	}
	if err := e.endRollback(m, h, v, a.Actor.User); err != nil {
		return state.Outcome{}, err
	}
	out := state.Outcome{Result: "rolled back to version " + version.Short(v.Digest),
		Undo: &state.Action{Kind: state.ModuleRollback, Target: m.id, Args: map[string]string{"version": tree.Digest}, Actor: a.Actor}}
	switch {
	case e.unseen(v):
		e.inspect(ctx, m, nil)
		out.Result += ", which nobody has approved: it does not run until somebody does"
	case status == state.ModuleInstalled:
		progress("loading its adapter", 70)
		out.Result += e.takeUp(ctx, m)
	default:
		e.inspect(ctx, m, nil)
	}
	return out, nil
}

// unseen reports whether nobody has approved a version: it lay there and was replaced.
// Putting such files back, as an undo does, is no yes to them.
func (e *Engine) unseen(v *version.Version) bool { return v.How == "replaced" && !e.cfg.NoApproval }

// beginRollback keeps what lies on disk, and notes what is to take its place.
func (e *Engine) beginRollback(m *module, h *version.History, tree *version.Content, v *version.Version, by string) (*version.History, error) {
	how, who := "replaced", by
	if o := h.Find(tree.Digest); o != nil { // it is kept already, with who approved it
		how, who = o.How, o.By
	}
	next, err := e.programs.Keep(h, m.dir, tree, version.Version{At: time.Now().UTC(), By: who, How: how, Manifest: e.manifestVersion(m)}, func(h *version.History) { h.Pending = v.Digest })
	if err == nil {
		e.mu.Lock()
		m.past = next
		e.mu.Unlock()
	}
	return next, err
}

// endRollback notes that the version lies on disk, and may run.
func (e *Engine) endRollback(m *module, h *version.History, v *version.Version, by string) error {
	now, approved := *v, v.Digest
	if e.unseen(v) {
		approved = h.Approved
	} else {
		now.At, now.By, now.How = time.Now().UTC(), by, "rolled back"
	}
	next := h.ReplacedBy(now, approved)
	if err := e.programs.Save(next); err != nil {
		return fmt.Errorf("its version is put back, and cannot be noted as approved: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.past = next; approved == v.Digest {
		m.change, m.known = nil, v.Digest
	}
	m.note(time.Now(), "rolled back to version %s by %s", version.Short(v.Digest), by)
	e.touched(m)
	return nil
}
