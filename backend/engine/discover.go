package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

var slug = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// valid reports whether a category or a platform can be a folder's name.
func valid(name string) bool { return slug.MatchString(name) }

// scan looks at the disk: new modules, changed manifests, mended adapters, the
// routing file, the credential store. It is called by one goroutine at a time.
func (e *Engine) scan(ctx context.Context) {
	e.routing.Scan(time.Now())
	e.mu.Lock()
	known := make(map[string]bool, len(e.modules))
	for id := range e.modules {
		known[id] = true
	}
	e.mu.Unlock()
	found := e.folders(known)
	e.mu.Lock()
	for id, m := range found {
		if e.modules[id] == nil {
			for _, o := range e.modules { // they share one view of the store
				m.rows = o.rows
				break
			}
			e.modules[id] = m
			e.touched(m)
		}
	}
	all := slices.SortedFunc(maps.Values(e.modules), func(a, b *module) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	seen := e.credSeen
	e.mu.Unlock()
	fresh := false
	for _, m := range all {
		if ctx.Err() != nil {
			return
		}
		select {
		case m.op <- struct{}{}:
			fresh = e.inspect(ctx, m, nil) || fresh
			<-m.op
		default: // an action is at work on it; the next scan will look
		}
	}
	e.recheckOne(ctx, all)
	if st, _ := disk.StampOf(filepath.Join(e.cfg.DataDir, "module_credentials.db")); st != seen || fresh {
		e.refreshCredentials()
	}
}

// recheckOne validates one of the modules whose files changed. An interpreter starts
// for each, so that many at once take their turn, a look at the disk apart.
func (e *Engine) recheckOne(ctx context.Context, all []*module) {
	for _, m := range all {
		e.mu.Lock()
		due := m.recheck && e.looked && m.status != "" && m.status != state.ModuleUninstalled
		e.mu.Unlock()
		if !due || ctx.Err() != nil {
			continue
		}
		select {
		case m.op <- struct{}{}:
		default:
			continue
		}
		found := e.validate(ctx, m, false)
		e.mu.Lock()
		status := m.status
		e.mu.Unlock()
		if bad := slices.ContainsFunc(found, refusing); bad && slices.Contains(unsettled, status) && status != state.ModuleFailed {
			_ = e.move(ctx, m, evCheck, evRefuse)
		} else if !bad && status == state.ModuleFailed {
			_ = e.move(ctx, m, evCheck, evPass)
		}
		<-m.op
		return
	}
}

// refused reports whether the last validation refused a module.
func (e *Engine) refused(m *module) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(m.findings, refusing)
}

// folders are the modules on disk that are not known yet.
func (e *Engine) folders(known map[string]bool) map[string]*module {
	out := map[string]*module{}
	cats, err := os.ReadDir(e.cfg.ModulesDir)
	if err != nil {
		return nil
	}
	for _, c := range cats {
		if !valid(c.Name()) {
			continue
		}
		plats, err := os.ReadDir(filepath.Join(e.cfg.ModulesDir, c.Name()))
		if err != nil {
			continue
		}
		for _, p := range plats {
			id := c.Name() + "/" + p.Name()
			dir := filepath.Join(e.cfg.ModulesDir, c.Name(), p.Name())
			if known[id] || !valid(p.Name()) || !disk.Exists(filepath.Join(dir, "manifest.json")) {
				continue
			}
			out[id] = newModule(id, c.Name(), p.Name(), dir)
		}
	}
	return out
}

// inspect looks at one module's files and reports whether it is new. For a reload
// first is given: it gets what the first fetch gives, and the files are read even
// if they seem unchanged. The caller holds m.op.
func (e *Engine) inspect(ctx context.Context, m *module, first chan fetched) (fresh bool) {
	apply := first != nil
	e.meet(m)
	moved := false
	if tree, err := e.look(m); err == nil {
		moved = e.noticed(ctx, m, tree)
	}
	e.mu.Lock()
	waits := m.waits(e)
	seen, failing, sup, man, tried, status := m.seen, m.failure != nil, m.sup, m.manifest, m.adapter, m.status
	e.mu.Unlock()
	rel := e.rel(filepath.Join(m.dir, "manifest.json"))
	st, err := disk.StampOf(filepath.Join(m.dir, "manifest.json"))
	if err == nil && st == seen && !apply {
		if failing && sup != nil && man != nil && !waits {
			if now, err := disk.StampOf(filepath.Join(m.dir, man.EntryPoint)); err == nil && now != tried {
				e.note(m, "its adapter changed on disk: trying it")
				e.restart(m, nil)
			}
		}
		if moved && !waits && status == state.ModuleInstalled && sup == nil && man != nil {
			_ = e.start(m, nil) // its files are again as they were approved
		}
		return false
	}
	if err != nil && seen == (disk.Stamp{}) && !apply {
		if status == "" { // it came and went
			e.mu.Lock()
			delete(e.modules, m.id)
			e.changed = true
			e.mu.Unlock()
			return false
		}
		e.mu.Lock()
		known := m.problem != ""
		e.mu.Unlock()
		if known {
			return false
		}
	}
	next, err := e.manifests.read(m.dir, rel, m.category, m.platform)
	gone := !disk.Exists(filepath.Join(m.dir, "manifest.json"))
	if !gone {
		e.metrics.validation(err == nil)
	}
	e.mu.Lock()
	m.seen = st
	e.mu.Unlock()
	if err != nil {
		e.refuse(ctx, m, err, gone)
		return false
	}
	return e.accept(ctx, m, next, first)
}

// note adds to a module's history.
func (e *Engine) note(m *module, what string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m.note(time.Now(), what, args...)
	e.touched(m)
}

// refuse records that the manifest on disk is bad or gone; what runs keeps running.
func (e *Engine) refuse(ctx context.Context, m *module, why error, gone bool) {
	e.mu.Lock()
	text := e.clean(why.Error())
	m.problem, m.outdated = text, false
	m.note(time.Now(), "manifest refused: %s", text)
	status, registered := m.status, m.registered
	if gone && !registered {
		delete(e.modules, m.id)
	}
	e.touched(m)
	e.mu.Unlock()
	e.cfg.Log.Warn("manifest refused", "module", m.id, "err", text)
	if !registered || gone {
		// The registry holds manifests that can be read; a bad one is not put there.
		return
	}
	if slices.Contains(unsettled, status) {
		_ = e.move(ctx, m, evCheck, evRefuse)
	}
}

// accept records a good manifest, registers a new module, and brings it into
// force where nothing runs on the old one. It reports whether the module is new.
func (e *Engine) accept(ctx context.Context, m *module, man *Manifest, first chan fetched) (fresh bool) {
	apply := first != nil
	e.mu.Lock()
	running := m.sup != nil
	failing := m.failure != nil
	had := m.manifest
	same := had != nil && reflect.DeepEqual(had.Fields, man.Fields)
	if m.problem != "" {
		m.note(time.Now(), "its manifest is good again")
	}
	m.problem = ""
	waits := m.waits(e) && m.status == state.ModuleInstalled
	m.outdated = waits && !same || running && !failing && !apply && !same
	use := !m.outdated
	if waits && !running {
		use = false // it is described by what was approved
		if was := e.approvedManifest(m); was != nil {
			m.manifest = was
		}
	}
	if use {
		m.manifest = man
	}
	registered, status := m.registered, m.status
	e.touched(m)
	e.mu.Unlock()
	switch {
	case !registered && man.Status == state.ModuleUninstalled:
		e.mu.Lock()
		fresh = m.status == ""
		m.status = state.ModuleUninstalled
		e.mu.Unlock()
		return fresh
	case !registered:
		if err := e.register(ctx, m, man); err != nil {
			e.problem(m, err)
			return false
		}
		e.found(m)
		fresh = true
	case status == state.ModulePending:
		evs := e.firstEvents(m, man)
		if err := e.move(ctx, m, evs...); err == nil {
			e.found(m)
		}
	case status == state.ModuleValidating || status == state.ModuleFailed && !e.refused(m):
		_ = e.move(ctx, m, evCheck, evPass)
	}
	if use && registered && !e.recorded(m, man) {
		if err := e.registryNow().describe(ctx, m.id, man.Name, man.Text, time.Now()); err != nil {
			e.cfg.Log.Error("registry", "err", err)
		} else {
			e.mu.Lock()
			m.record.Manifest, m.record.Name = man.Text, man.Name
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	installed, running := m.status == state.ModuleInstalled, m.sup != nil
	e.mu.Unlock()
	switch {
	case installed && !running && !waits:
		_ = e.start(m, first)
	case running && failing && !apply && !same && !waits:
		e.note(m, "its manifest changed on disk: trying it")
		e.restart(m, nil)
	}
	return fresh
}

// register puts a new module into the registry, in one commit with the status
// that it has earned: a kill leaves either nothing or all of it.
func (e *Engine) register(ctx context.Context, m *module, man *Manifest) error {
	evs := e.firstEvents(m, man)
	now := time.Now()
	status, reasons := state.ModulePending, []string{"it was discovered"}
	for _, ev := range evs {
		to, why, err := next(status, ev)
		if err != nil {
			return err
		}
		status, reasons = to, append(reasons, why)
	}
	r := Record{ID: m.id, Name: man.Name, Category: m.category, Platform: m.platform, Status: status, Health: "unknown", Manifest: man.Text, Updated: disk.FormatTime(now)}
	if status == state.ModuleInstalled {
		r.Installed = disk.FormatTime(now)
		e.metrics.install()
	}
	if err := e.registryNow().add(ctx, r); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.status, m.registered, m.record = status, true, r
	for _, why := range reasons {
		m.note(now, "%s", why)
	}
	if man.Status == state.ModuleInstalled && status != state.ModuleInstalled {
		m.note(now, "its manifest calls it installed, which nobody here has approved: enable it")
	}
	e.touched(m)
	return nil
}

// firstEvents are the way of a module that is new here. Its manifest's own word that
// it is installed counts where no approval is wanted, and for the modules that a
// workspace came with.
func (e *Engine) firstEvents(m *module, man *Manifest) []event {
	evs := []event{evCheck, evPass}
	if man.Status == state.ModuleInstalled && (e.cfg.NoApproval || !e.programs.Settled()) {
		evs = append(evs, evEnable)
	}
	return evs
}

// found approves the files of a module that has just been enabled by its own manifest.
func (e *Engine) found(m *module) {
	e.mu.Lock()
	status := m.status
	e.mu.Unlock()
	if status != state.ModuleInstalled {
		return
	}
	if tree, err := e.look(m); err == nil {
		_ = e.trust(m, tree, "found", "")
	}
}

// approvedManifest is the manifest of the version that was approved, or nil; e.mu is held.
func (e *Engine) approvedManifest(m *module) *Manifest {
	a := m.past.InForce()
	if a == nil {
		return nil
	}
	p := version.Find(a.Parts, "manifest.json")
	if p == nil {
		return nil
	}
	text, err := e.programs.Read(*p)
	if err != nil {
		return nil
	}
	man, err := e.manifests.parse("", text)
	if err != nil {
		return nil
	}
	return man
}

// move walks a module through the lifecycle table and commits where it ends.
// The caller holds m.op.
func (e *Engine) move(ctx context.Context, m *module, evs ...event) error {
	e.mu.Lock()
	from := m.status
	e.mu.Unlock()
	to, why := from, ""
	for _, ev := range evs {
		var err error
		if to, why, err = next(to, ev); err != nil {
			return err
		}
	}
	now := time.Now()
	if err := e.registryNow().move(ctx, m.id, from, to, now); err != nil {
		if !errors.Is(err, errMoved) {
			return err
		}
		// Another program wrote the row (a restored backup, the old registry):
		// what it says now is the truth.
		if rows, rerr := e.registryNow().all(ctx); rerr == nil {
			if r, ok := rows[m.id]; ok {
				e.mu.Lock()
				m.status, m.record = r.Status, r
				e.touched(m)
				e.mu.Unlock()
			}
		}
		return err
	}
	if to == state.ModuleInstalled {
		e.metrics.install()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.status = to
	m.record.Status, m.record.Updated = to, disk.FormatTime(now)
	if to == state.ModuleInstalled && m.record.Installed == "" {
		m.record.Installed = disk.FormatTime(now)
	}
	m.note(now, "%s -> %s: %s", from.Word(), to.Word(), why)
	e.touched(m)
	return nil
}

// recorded reports whether the registry already says what the manifest says.
func (e *Engine) recorded(m *module, man *Manifest) bool {
	e.mu.Lock()
	text := m.record.Manifest
	e.mu.Unlock()
	var a, b any
	return json.Unmarshal([]byte(text), &a) == nil && json.Unmarshal([]byte(man.Text), &b) == nil && reflect.DeepEqual(a, b)
}

func (e *Engine) problem(m *module, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m.problem = e.clean(err.Error())
	m.seen = disk.Stamp{} // look again
	e.touched(m)
}

func (e *Engine) registryNow() *registry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.registry
}

// restart stops and starts a module. The caller holds m.op.
func (e *Engine) restart(m *module, first chan fetched) error {
	e.stop(m)
	return e.start(m, first)
}
