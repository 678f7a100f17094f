package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ErrUnapproved says that a module's files are not those that were approved.
var ErrUnapproved = errors.New("its files are not approved")

// unapproved is ErrUnapproved with what to do.
type unapproved struct{ text string }

func (u unapproved) Error() string        { return u.text }
func (u unapproved) Is(target error) bool { return target == ErrUnapproved }

// heldBack says that files changed since a version was approved.
func heldBack(a *version.Version) string {
	return (&state.ProgramChange{By: a.By, At: a.At}).Why()
}

// waits reports whether a module waits for a yes to its changed files; noApproval says
// that none is wanted. The lock is held.
func (m *module) waits(noApproval bool) bool {
	a := m.past.InForce()
	return !noApproval && (m.barred != "" || a != nil && m.tree != nil && a.Digest != m.tree.Digest)
}

// pendingDigest refuses to approve anything but what was shown.
func pendingDigest(a state.Action, tree *version.Content) error {
	shown := a.Args["digest"]
	switch {
	case len(shown) < 12:
		return errors.New(`the argument "digest" must name the files that were shown: see its changes`)
	case !strings.HasPrefix(tree.Digest, shown):
		return errors.New("its files changed again since they were shown: look at the changes once more")
	}
	return nil
}

// approve carries out the action: what lies on disk may run from now on, and does where the
// module is enabled.
func (e *Engine) approve(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("looking at its files", 5)
	e.discovery.inspect(ctx, m, nil)
	tree, err := e.approval.look(m)
	if err != nil {
		return state.Outcome{}, fmt.Errorf("its files cannot be read: %w", err)
	}
	if err := pendingDigest(a, tree); err != nil {
		return state.Outcome{}, err
	}
	e.mu.Lock()
	was, status, registered := m.past.InForce(), m.status, m.registered
	e.mu.Unlock()
	if was != nil && was.Digest == tree.Digest && status != state.ModuleValidated {
		return state.Outcome{}, errors.New("its files are as they were approved")
	}
	progress("checking it", 10)
	if found := e.checks.validate(ctx, m, true); slices.ContainsFunc(found, refusing) {
		return state.Outcome{}, fmt.Errorf("%s; nothing was changed", refusal(found))
	}
	if err := ctx.Err(); err != nil {
		return state.Outcome{}, context.Cause(ctx)
	}
	if now, err := e.approval.look(m); err != nil || now.Digest != tree.Digest {
		return state.Outcome{}, errors.New("its files changed while they were checked: look at the changes once more")
	}
	progress("keeping its version", 30)
	if err := e.approval.trust(m, tree, "approved", a.Actor.User); err != nil {
		return state.Outcome{}, err
	}
	e.note(m, "its files were approved by %s: version %s", a.Actor.User, version.Short(tree.Digest))
	out := state.Outcome{Result: "approved version " + version.Short(tree.Digest)}
	if was != nil && was.Digest != tree.Digest {
		out.Undo = &state.Action{Kind: state.ModuleRollback, Target: m.id, Args: map[string]string{"version": was.Digest}, Actor: a.Actor}
	}
	switch {
	case registered && slices.Contains(unsettled, status):
		if err := e.move(ctx, m, evCheck, evPass, evApprove); err != nil {
			return out, err
		}
		out.Result += "; it waits to be enabled"
	case status == state.ModuleInstalled:
		progress("loading its adapter", 50)
		out.Result += e.discovery.takeUp(ctx, m)
	}
	return out, nil
}
