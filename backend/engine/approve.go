package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ErrUnapproved says that a module's files are not those that were approved.
var ErrUnapproved = errors.New("its files are not approved")

// unapproved is ErrUnapproved with what to do.
type unapproved struct{ text string }

func (u unapproved) Error() string        { return u.text }
func (u unapproved) Is(target error) bool { return target == ErrUnapproved }

// look gives a module's program as it lies on disk. Where nothing was touched since
// the last look that costs a stat a file.
func (e *Engine) look(m *module) (*version.Content, error) {
	e.mu.Lock()
	tree := m.tree
	e.mu.Unlock()
	if tree.Unchanged() {
		return tree, nil
	}
	next, err := version.Read(m.dir, tree)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.tree == nil || m.tree.Digest != next.Digest {
		e.touched(m)
	}
	m.tree = next
	return next, nil
}

// meet reads what was approved of a module, the first time that it is looked at. A
// rollback that was cut short is brought to its end; what was enabled before any
// version was kept is approved as it is found. The caller holds m.op.
func (e *Engine) meet(m *module) {
	e.mu.Lock()
	met, registered, status := m.past != nil, m.registered, m.status
	e.mu.Unlock()
	if met || !valid(m.category) || !valid(m.platform) {
		return
	}
	h, err := e.programs.Load(m.id)
	barred := ""
	if err != nil {
		h, barred = &version.History{Module: m.id}, err.Error()
	}
	tree, lerr := e.look(m)
	if err == nil && lerr == nil && h.Pending != "" {
		if v := h.Find(h.Pending); h.Pending == tree.Digest && !e.unseen(v) {
			h.Approved = h.Pending
		}
		h.Pending = ""
		if err := e.programs.Save(h); err != nil {
			e.cfg.Log.Error("versions of a module", "module", m.id, "err", err)
		}
	}
	e.mu.Lock()
	m.past, m.barred = h, e.clean(barred)
	e.touched(m)
	e.mu.Unlock()
	if barred != "" || lerr != nil || h.InForce() != nil || !registered {
		return
	}
	if slices.Contains([]state.ModuleStatus{state.ModuleInstalled, state.ModuleDisabled, state.ModuleApproved}, status) {
		e.trust(m, tree, "found", "")
	}
}

// trust keeps what lies on disk as the version that may run.
func (e *Engine) trust(m *module, tree *version.Content, how, by string) error {
	e.mu.Lock()
	h := m.past
	e.mu.Unlock()
	if h == nil {
		h = &version.History{Module: m.id}
	}
	next, err := e.programs.Keep(h, m.dir, tree, version.Version{At: time.Now().UTC(), By: by, How: how, Manifest: e.manifestVersion(m)}, func(h *version.History) { h.Approved, h.Pending = tree.Digest, "" })
	if err != nil {
		e.cfg.Log.Error("a version of a module is not kept", "module", m.id, "err", err)
		return fmt.Errorf("its version cannot be kept: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.past, m.change, m.known = next, nil, tree.Digest
	if how == "found" {
		m.note(time.Now(), "its files are approved as they were found: version %s", version.Short(tree.Digest))
	}
	e.touched(m)
	return nil
}

// manifestVersion returns the version that the manifest on disk names, "" where it is bad.
func (e *Engine) manifestVersion(m *module) string {
	man, err := e.manifests.read(m.dir, "", m.category, m.platform)
	if err != nil {
		return ""
	}
	return man.Version
}

// mayRun decides whether the code of a module may run now. It is asked before
// each start of an adapter, for whatever reason: also when one that left while it was
// idle is forked again, which must not come back with files that nobody approved.
// The caller holds m.op, or the module was met before.
func (e *Engine) mayRun(m *module) error {
	e.meet(m)
	tree, err := e.look(m)
	switch {
	case err != nil && e.cfg.NoApproval:
		return nil // who runs it says what is wrong
	case err != nil:
		return fmt.Errorf("its files cannot be read: %w", err)
	}
	e.mu.Lock()
	a, barred, how := m.past.InForce(), m.barred, "loaded"
	request := a != nil && a.Digest != tree.Digest && m.manifest != nil && m.manifest.HTTP != nil
	if request { // nothing of its files runs: the manifest in force does, where that was approved
		was := e.approvedManifest(m)
		request = was != nil && reflect.DeepEqual(was.Fields, m.manifest.Fields)
	}
	e.mu.Unlock()
	switch {
	case request:
		return nil
	case a != nil && a.Digest == tree.Digest:
		return nil
	case e.cfg.NoApproval:
		_ = e.trust(m, tree, how, "") // what is not kept runs all the same
		return nil
	case barred != "":
		return unapproved{barred}
	case a == nil:
		return unapproved{"nobody has approved its files: enable it, or approve them"}
	}
	return unapproved{heldBack(a)}
}

// heldBack says that files changed since a version was approved.
func heldBack(a *version.Version) string {
	return (&state.ProgramChange{By: a.By, At: a.At}).Why()
}

// MayRun says whether a module's files are approved: an error that errors.Is
// ErrUnapproved where they are not. ErrNoModule where there is no such module.
func (e *Engine) MayRun(id string) error {
	e.mu.Lock()
	m, off := e.modules[id], e.cfg.NoApproval
	e.mu.Unlock()
	if m == nil {
		return ErrNoModule
	}
	if off {
		return nil
	}
	tree, err := e.look(m)
	if err != nil {
		return nil // there is no folder: others say so
	}
	e.mu.Lock()
	a := m.past.InForce()
	e.mu.Unlock()
	if a != nil && a.Digest != tree.Digest {
		return unapproved{heldBack(a)}
	}
	return nil
}

// waits reports whether a module waits for a yes to its changed files; e.mu is held.
func (m *module) waits(e *Engine) bool {
	a := m.past.InForce()
	return !e.cfg.NoApproval && (m.barred != "" || a != nil && m.tree != nil && a.Digest != m.tree.Digest)
}

// noticed says in the module's history, once, that its files changed or are again as
// they were approved. It reports whether they moved since they were last looked at.
// The caller holds m.op.
func (e *Engine) noticed(ctx context.Context, m *module, tree *version.Content) (moved bool) {
	e.mu.Lock()
	was, a, status := m.known, m.past.InForce(), m.status
	m.known = tree.Digest
	e.mu.Unlock()
	if was == tree.Digest {
		return false
	}
	var c *state.ProgramChange
	if a != nil && a.Digest != tree.Digest {
		c = e.changeOf(m, a, tree)
	}
	e.mu.Lock()
	before := m.change
	m.change = c
	if was != "" || c != nil {
		m.recheck = true
	}
	switch {
	case c != nil:
		m.note(time.Now(), "its files changed on disk: %s", c.Summary())
	case before != nil:
		m.note(time.Now(), "its files are again as they were approved")
	}
	e.touched(m)
	e.mu.Unlock()
	if c != nil && status == state.ModuleApproved && !e.cfg.NoApproval {
		_ = e.move(ctx, m, evCheck, evPass)
	}
	return was != ""
}

// changeOf returns how what lies on disk differs from an approved version.
func (e *Engine) changeOf(m *module, a *version.Version, tree *version.Content) *state.ProgramChange {
	c := e.programs.Diff(m.dir, a, tree, e.clean)
	c.Held = !e.cfg.NoApproval
	return c
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

// approve is the action: what lies on disk may run from now on, and does where the
// module is enabled.
func (e *Engine) approve(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("looking at its files", 5)
	e.inspect(ctx, m, nil)
	tree, err := e.look(m)
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
	if found := e.validate(ctx, m, true); slices.ContainsFunc(found, refusing) {
		return state.Outcome{}, fmt.Errorf("%s; nothing was changed", refusal(found))
	}
	if err := ctx.Err(); err != nil {
		return state.Outcome{}, context.Cause(ctx)
	}
	if now, err := e.look(m); err != nil || now.Digest != tree.Digest {
		return state.Outcome{}, errors.New("its files changed while they were checked: look at the changes once more")
	}
	progress("keeping its version", 30)
	if err := e.trust(m, tree, "approved", a.Actor.User); err != nil {
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
		out.Result += e.takeUp(ctx, m)
	}
	return out, nil
}

// takeUp loads what lies on disk, and says what came of it.
func (e *Engine) takeUp(ctx context.Context, m *module) string {
	e.stop(m)
	first := make(chan fetched, 1)
	e.inspect(ctx, m, first)
	e.mu.Lock()
	running := m.sup != nil
	e.mu.Unlock()
	if !running {
		return ", but it does not run"
	}
	f := wait(ctx, first)
	if f.err != nil {
		return ", but it does not work: " + f.err.Error()
	}
	return ": " + f.String()
}

// Module is one module as the console has it, as of now. ErrNoModule where there is none.
func (e *Engine) Module(id string) (state.Module, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.modules[id]
	if m == nil {
		return state.Module{}, ErrNoModule
	}
	return m.build(e), nil
}

// Changes is how a module's files on disk differ now from what was approved; nil where
// they do not. With it comes the digest of what lies there, "" where nothing does.
func (e *Engine) Changes(id string) (*state.ProgramChange, string, error) {
	e.mu.Lock()
	m := e.modules[id]
	e.mu.Unlock()
	if m == nil {
		return nil, "", ErrNoModule
	}
	tree, err := e.look(m)
	if err != nil {
		return nil, "", fmt.Errorf("its files cannot be read: %w", err)
	}
	e.mu.Lock()
	a := m.past.InForce()
	e.mu.Unlock()
	if a == nil || a.Digest == tree.Digest {
		return nil, tree.Digest, nil
	}
	return e.changeOf(m, a, tree), tree.Digest, nil
}
