package engine

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// approval decides which version of a module may run.
type approval struct {
	*fleet
	store *version.Store
}

// look gives a module's program as it lies on disk. Where nothing was touched since
// the last look that costs a stat a file.
func (ap *approval) look(m *module) (*version.Content, error) {
	ap.mu.Lock()
	tree := m.tree
	ap.mu.Unlock()
	if tree.Unchanged() {
		return tree, nil
	}
	next, err := version.Read(m.dir, tree)
	if err != nil {
		return nil, err
	}
	ap.mu.Lock()
	defer ap.mu.Unlock()
	if m.tree == nil || m.tree.Digest != next.Digest {
		ap.touched(m)
	}
	m.tree = next
	return next, nil
}

// loadVersions reads what was approved of a module, the first time that it is looked at. A
// rollback that was cut short is brought to its end; what was enabled before any
// version was kept is approved as it is found. The caller holds m.op.
func (ap *approval) loadVersions(m *module) {
	ap.mu.Lock()
	loaded, registered, status := m.past != nil, m.registered, m.status
	ap.mu.Unlock()
	if loaded || !valid(m.category) || !valid(m.platform) {
		return
	}
	h, err := ap.store.Load(m.id)
	barred := ""
	if err != nil {
		h, barred = &version.History{Module: m.id}, err.Error()
	}
	tree, lerr := ap.look(m)
	if err == nil && lerr == nil && h.Pending != "" {
		if v := h.Find(h.Pending); h.Pending == tree.Digest && !ap.unseen(v) {
			h.Approved = h.Pending
		}
		h.Pending = ""
		if err := ap.store.Save(h); err != nil {
			ap.cfg.Log.Error("versions of a module", "module", m.id, "err", err)
		}
	}
	ap.mu.Lock()
	m.past, m.barred = h, ap.clean(barred)
	ap.touched(m)
	ap.mu.Unlock()
	if barred != "" || lerr != nil || h.InForce() != nil || !registered {
		return
	}
	if slices.Contains([]state.ModuleStatus{state.ModuleInstalled, state.ModuleDisabled, state.ModuleApproved}, status) {
		ap.trust(m, tree, "found", "")
	}
}

// trust keeps what lies on disk as the version that may run.
func (ap *approval) trust(m *module, tree *version.Content, how, by string) error {
	ap.mu.Lock()
	h := m.past
	ap.mu.Unlock()
	if h == nil {
		h = &version.History{Module: m.id}
	}
	next, err := ap.store.Keep(h, m.dir, tree, version.Version{At: time.Now().UTC(), By: by, How: how, Manifest: ap.manifestVersion(m)}, func(h *version.History) { h.Approved, h.Pending = tree.Digest, "" })
	if err != nil {
		ap.cfg.Log.Error("a version of a module is not kept", "module", m.id, "err", err)
		return fmt.Errorf("its version cannot be kept: %w", err)
	}
	ap.mu.Lock()
	defer ap.mu.Unlock()
	m.past, m.change, m.known = next, nil, tree.Digest
	if how == "found" {
		m.note(time.Now(), "its files are approved as they were found: version %s", version.Short(tree.Digest))
	}
	ap.touched(m)
	return nil
}

// manifestVersion returns the version that the manifest on disk names, "" where it is bad.
func (ap *approval) manifestVersion(m *module) string {
	man, err := ap.manifests.read(m.dir, "", m.category, m.platform)
	if err != nil {
		return ""
	}
	return man.Version
}

// mayRun decides whether the code of a module may run now. It is asked before
// each start of an adapter, for whatever reason: also when one that left while it was
// idle is forked again, which must not come back with files that nobody approved.
// The caller holds m.op, or its versions were loaded before.
func (ap *approval) mayRun(m *module) error {
	ap.loadVersions(m)
	tree, err := ap.look(m)
	switch {
	case err != nil && ap.cfg.NoApproval:
		return nil // who runs it says what is wrong
	case err != nil:
		return fmt.Errorf("its files cannot be read: %w", err)
	}
	ap.mu.Lock()
	a, barred, how := m.past.InForce(), m.barred, "loaded"
	request := a != nil && a.Digest != tree.Digest && m.manifest != nil && m.manifest.HTTP != nil
	if request { // nothing of its files runs: the manifest in force does, where that was approved
		was := ap.approvedManifest(m)
		request = was != nil && reflect.DeepEqual(was.Fields, m.manifest.Fields)
	}
	ap.mu.Unlock()
	switch {
	case request:
		return nil
	case a != nil && a.Digest == tree.Digest:
		return nil
	case ap.cfg.NoApproval:
		_ = ap.trust(m, tree, how, "") // what is not kept runs all the same
		return nil
	case barred != "":
		return unapproved{barred}
	case a == nil:
		return unapproved{"nobody has approved its files: enable it, or approve them"}
	}
	return unapproved{heldBack(a)}
}

// noticed says in the module's history, once, that its files changed or are again as
// they were approved. It reports whether they moved since they were last looked at.
// The caller holds m.op.
func (ap *approval) noticed(ctx context.Context, m *module, tree *version.Content) (moved bool) {
	ap.mu.Lock()
	was, a, status := m.known, m.past.InForce(), m.status
	m.known = tree.Digest
	ap.mu.Unlock()
	if was == tree.Digest {
		return false
	}
	var c *state.ProgramChange
	if a != nil && a.Digest != tree.Digest {
		c = ap.changeOf(m, a, tree)
	}
	ap.mu.Lock()
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
	ap.touched(m)
	ap.mu.Unlock()
	if c != nil && status == state.ModuleApproved && !ap.cfg.NoApproval {
		_ = ap.move(ctx, m, evCheck, evPass)
	}
	return was != ""
}

// changeOf returns how what lies on disk differs from an approved version.
func (ap *approval) changeOf(m *module, a *version.Version, tree *version.Content) *state.ProgramChange {
	c := ap.store.Diff(m.dir, a, tree, ap.clean)
	c.Held = !ap.cfg.NoApproval
	return c
}

// unseen reports whether nobody has approved a version: it lay there and was replaced.
// Putting such files back, as an undo does, is no yes to them.
func (ap *approval) unseen(v *version.Version) bool { return v.How == "replaced" && !ap.cfg.NoApproval }

// beginRollback keeps what lies on disk, and notes what is to take its place.
func (ap *approval) beginRollback(m *module, h *version.History, tree *version.Content, v *version.Version, by string) (*version.History, error) {
	how, who := "replaced", by
	if o := h.Find(tree.Digest); o != nil { // it is kept already, with who approved it
		how, who = o.How, o.By
	}
	next, err := ap.store.Keep(h, m.dir, tree, version.Version{At: time.Now().UTC(), By: who, How: how, Manifest: ap.manifestVersion(m)}, func(h *version.History) { h.Pending = v.Digest })
	if err == nil {
		ap.mu.Lock()
		m.past = next
		ap.mu.Unlock()
	}
	return next, err
}

// endRollback notes that the version lies on disk, and may run.
func (ap *approval) endRollback(m *module, h *version.History, v *version.Version, by string) error {
	now, approved := *v, v.Digest
	if ap.unseen(v) {
		approved = h.Approved
	} else {
		now.At, now.By, now.How = time.Now().UTC(), by, "rolled back"
	}
	next := h.ReplacedBy(now, approved)
	if err := ap.store.Save(next); err != nil {
		return fmt.Errorf("its version is put back, and cannot be noted as approved: %w", err)
	}
	ap.mu.Lock()
	defer ap.mu.Unlock()
	if m.past = next; approved == v.Digest {
		m.change, m.known = nil, v.Digest
	}
	m.note(time.Now(), "rolled back to version %s by %s", version.Short(v.Digest), by)
	ap.touched(m)
	return nil
}

// approvedManifest returns the manifest of the version that was approved, or nil; e.mu is held.
func (ap *approval) approvedManifest(m *module) *Manifest {
	a := m.past.InForce()
	if a == nil {
		return nil
	}
	p := version.Find(a.Parts, "manifest.json")
	if p == nil {
		return nil
	}
	text, err := ap.store.Read(*p)
	if err != nil {
		return nil
	}
	man, err := ap.manifests.parse("", text)
	if err != nil {
		return nil
	}
	return man
}
