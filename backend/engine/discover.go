package engine

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

var slug = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// valid reports whether a category or a platform can be a folder's name.
func valid(name string) bool { return slug.MatchString(name) }

// discovery looks for modules on disk, and for what changed of them there.
type discovery struct {
	*fleet
	approval *approval
	vault    *vault
	fetcher  *fetcher
	checks   *checker
}

// scan looks at the disk: new modules, changed manifests, mended adapters, the
// credential store. It is called by one goroutine at a time.
func (di *discovery) scan(ctx context.Context) {
	di.mu.Lock()
	known := make(map[string]bool, len(di.modules))
	for id := range di.modules {
		known[id] = true
	}
	di.mu.Unlock()
	found := di.folders(known)
	di.mu.Lock()
	for id, m := range found {
		if di.modules[id] == nil {
			for _, o := range di.modules { // they share one view of the store
				m.rows = o.rows
				break
			}
			di.modules[id] = m
			di.touched(m)
		}
	}
	all := slices.SortedFunc(maps.Values(di.modules), func(a, b *module) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	seen := di.vault.seen
	di.mu.Unlock()
	fresh := false
	for _, m := range all {
		if ctx.Err() != nil {
			return
		}
		select {
		case m.op <- struct{}{}:
			fresh = di.inspect(ctx, m, nil) || fresh
			<-m.op
		default: // an action is at work on it; the next scan will look
		}
	}
	di.recheckOne(ctx, all)
	if st, _ := disk.StampOf(filepath.Join(di.cfg.DataDir, "module_credentials.db")); st != seen || fresh {
		di.vault.refresh()
	}
}

// recheckOne validates one of the modules whose files changed. An interpreter starts
// for each, so that many at once take their turn, a look at the disk apart.
func (di *discovery) recheckOne(ctx context.Context, all []*module) {
	for _, m := range all {
		di.mu.Lock()
		due := m.recheck && di.looked && m.status != "" && m.status != state.ModuleUninstalled
		di.mu.Unlock()
		if !due || ctx.Err() != nil {
			continue
		}
		select {
		case m.op <- struct{}{}:
		default:
			continue
		}
		found := di.checks.validate(ctx, m, false)
		di.mu.Lock()
		status := m.status
		di.mu.Unlock()
		if bad := slices.ContainsFunc(found, refusing); bad && slices.Contains(unsettled, status) && status != state.ModuleFailed {
			_ = di.move(ctx, m, evCheck, evRefuse)
		} else if !bad && status == state.ModuleFailed {
			_ = di.move(ctx, m, evCheck, evPass)
		}
		<-m.op
		return
	}
}

// folders returns the modules on disk that are not known yet.
func (di *discovery) folders(known map[string]bool) map[string]*module {
	out := map[string]*module{}
	cats, err := os.ReadDir(di.cfg.ModulesDir)
	if err != nil {
		return nil
	}
	for _, c := range cats {
		if !valid(c.Name()) {
			continue
		}
		plats, err := os.ReadDir(filepath.Join(di.cfg.ModulesDir, c.Name()))
		if err != nil {
			continue
		}
		for _, p := range plats {
			id := c.Name() + "/" + p.Name()
			dir := filepath.Join(di.cfg.ModulesDir, c.Name(), p.Name())
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
func (di *discovery) inspect(ctx context.Context, m *module, first chan fetched) (fresh bool) {
	apply := first != nil
	di.approval.loadVersions(m)
	moved := false
	if tree, err := di.approval.look(m); err == nil {
		moved = di.approval.noticed(ctx, m, tree)
	}
	di.mu.Lock()
	waits := m.waits(di.cfg.NoApproval)
	seen, failing, sup, man, tried, status := m.seen, m.failure != nil, m.sup, m.manifest, m.adapter, m.status
	di.mu.Unlock()
	rel := di.rel(filepath.Join(m.dir, "manifest.json"))
	st, err := disk.StampOf(filepath.Join(m.dir, "manifest.json"))
	if err == nil && st == seen && !apply {
		if failing && sup != nil && man != nil && !waits {
			if now, err := disk.StampOf(filepath.Join(m.dir, man.EntryPoint)); err == nil && now != tried {
				di.note(m, "its adapter changed on disk: trying it")
				di.fetcher.restart(m, nil)
			}
		}
		if moved && !waits && status == state.ModuleInstalled && sup == nil && man != nil {
			_ = di.fetcher.start(m, nil) // its files are again as they were approved
		}
		return false
	}
	if err != nil && seen == (disk.Stamp{}) && !apply {
		if status == "" { // it came and went
			di.mu.Lock()
			delete(di.modules, m.id)
			di.changed = true
			di.mu.Unlock()
			return false
		}
		di.mu.Lock()
		known := m.problem != ""
		di.mu.Unlock()
		if known {
			return false
		}
	}
	next, err := di.manifests.read(m.dir, rel, m.category, m.platform)
	gone := !disk.Exists(filepath.Join(m.dir, "manifest.json"))
	if !gone {
		di.metrics.validation(err == nil)
	}
	di.mu.Lock()
	m.seen = st
	di.mu.Unlock()
	if err != nil {
		di.refuse(ctx, m, err, gone)
		return false
	}
	return di.accept(ctx, m, next, first)
}

// refuse records that the manifest on disk is bad or gone; what runs keeps running.
func (di *discovery) refuse(ctx context.Context, m *module, why error, gone bool) {
	di.mu.Lock()
	text := di.clean(why.Error())
	m.problem, m.outdated = text, false
	m.note(time.Now(), "manifest refused: %s", text)
	status, registered := m.status, m.registered
	if gone && !registered {
		delete(di.modules, m.id)
	}
	di.touched(m)
	di.mu.Unlock()
	di.cfg.Log.Warn("manifest refused", "module", m.id, "err", text)
	if !registered || gone {
		// The registry holds manifests that can be read; a bad one is not put there.
		return
	}
	if slices.Contains(unsettled, status) {
		_ = di.move(ctx, m, evCheck, evRefuse)
	}
}

// accept records a good manifest, registers a new module, and brings it into
// force where nothing runs on the old one. It reports whether the module is new.
func (di *discovery) accept(ctx context.Context, m *module, man *Manifest, first chan fetched) (fresh bool) {
	apply := first != nil
	di.mu.Lock()
	running := m.sup != nil
	failing := m.failure != nil
	had := m.manifest
	same := had != nil && reflect.DeepEqual(had.Fields, man.Fields)
	if m.problem != "" {
		m.note(time.Now(), "its manifest is good again")
	}
	m.problem = ""
	waits := m.waits(di.cfg.NoApproval) && m.status == state.ModuleInstalled
	m.outdated = waits && !same || running && !failing && !apply && !same
	use := !m.outdated
	if waits && !running {
		use = false // it is described by what was approved
		if was := di.approval.approvedManifest(m); was != nil {
			m.manifest = was
		}
	}
	if use {
		m.manifest = man
	}
	registered, status := m.registered, m.status
	di.touched(m)
	di.mu.Unlock()
	switch {
	case !registered && man.Status == state.ModuleUninstalled:
		di.mu.Lock()
		fresh = m.status == ""
		m.status = state.ModuleUninstalled
		di.mu.Unlock()
		return fresh
	case !registered:
		if err := di.register(ctx, m, man); err != nil {
			di.problem(m, err)
			return false
		}
		di.found(m)
		fresh = true
	case status == state.ModulePending:
		evs := di.firstEvents(m, man)
		if err := di.move(ctx, m, evs...); err == nil {
			di.found(m)
		}
	case status == state.ModuleValidating || status == state.ModuleFailed && !di.refused(m):
		_ = di.move(ctx, m, evCheck, evPass)
	}
	if use && registered && !di.recorded(m, man) {
		if err := di.registryNow().describe(ctx, m.id, man.Name, man.Text, time.Now()); err != nil {
			di.cfg.Log.Error("registry", "err", err)
		} else {
			di.mu.Lock()
			m.record.Manifest, m.record.Name = man.Text, man.Name
			di.mu.Unlock()
		}
	}
	di.mu.Lock()
	installed, running := m.status == state.ModuleInstalled, m.sup != nil
	di.mu.Unlock()
	switch {
	case installed && !running && !waits:
		_ = di.fetcher.start(m, first)
	case running && failing && !apply && !same && !waits:
		di.note(m, "its manifest changed on disk: trying it")
		di.fetcher.restart(m, nil)
	}
	return fresh
}

// register puts a new module into the registry, in one commit with the status
// that it has earned: a kill leaves either nothing or all of it.
func (di *discovery) register(ctx context.Context, m *module, man *Manifest) error {
	evs := di.firstEvents(m, man)
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
		di.metrics.install()
	}
	if err := di.registryNow().add(ctx, r); err != nil {
		return err
	}
	di.mu.Lock()
	defer di.mu.Unlock()
	m.status, m.registered, m.record = status, true, r
	for _, why := range reasons {
		m.note(now, "%s", why)
	}
	if man.Status == state.ModuleInstalled && status != state.ModuleInstalled {
		m.note(now, "its manifest calls it installed, which nobody here has approved: enable it")
	}
	di.touched(m)
	return nil
}

// firstEvents returns the way of a module that is new here. Its manifest's own word that
// it is installed counts where no approval is wanted, and for the modules that a
// workspace came with.
func (di *discovery) firstEvents(m *module, man *Manifest) []event {
	evs := []event{evCheck, evPass}
	if man.Status == state.ModuleInstalled && (di.cfg.NoApproval || !di.approval.store.Settled()) {
		evs = append(evs, evEnable)
	}
	return evs
}

// found approves the files of a module that has just been enabled by its own manifest.
func (di *discovery) found(m *module) {
	di.mu.Lock()
	status := m.status
	di.mu.Unlock()
	if status != state.ModuleInstalled {
		return
	}
	if tree, err := di.approval.look(m); err == nil {
		_ = di.approval.trust(m, tree, "found", "")
	}
}

// takeUp loads what lies on disk, and records the result.
func (di *discovery) takeUp(ctx context.Context, m *module) string {
	di.fetcher.stop(m)
	first := make(chan fetched, 1)
	di.inspect(ctx, m, first)
	di.mu.Lock()
	running := m.sup != nil
	di.mu.Unlock()
	if !running {
		return ", but it does not run"
	}
	f := wait(ctx, first)
	if f.err != nil {
		return ", but it does not work: " + f.err.Error()
	}
	return ": " + f.String()
}
