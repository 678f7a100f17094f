package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// fleet is the modules that are known, with the registry that they stand in. Whoever
// reads or changes a module holds its lock.
type fleet struct {
	cfg       Config
	manifests *manifests
	metrics   *metrics
	wake      chan struct{} // something is to be published

	mu       sync.Mutex
	life     context.Context // of the present Run; nil when none
	wg       *sync.WaitGroup // of the present Run's module goroutines
	registry *registry
	modules  map[string]*module
	tallies  map[string]tally
	changed  bool // the modules section is to be published
	looked   bool // the disk was looked at: until then the modules are not known
}

// intervalNow returns the time between a module's fetches.
func (fl *fleet) intervalNow(m *module) time.Duration {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return m.interval(fl.cfg.Interval)
}

// fromRow returns a module as the registry knows it.
func (fl *fleet) fromRow(r Record) *module {
	m := newModule(r.ID, r.Category, r.Platform, filepath.Join(fl.cfg.ModulesDir, r.Category, r.Platform))
	m.status, m.registered, m.record = r.Status, true, r
	m.successes, m.failures = r.SuccessCount, r.FailureCount
	m.lastFetch = disk.ParseTime(r.LastUsed)
	if !valid(r.Category) || !valid(r.Platform) {
		m.problem = "its name in the registry is no folder's name"
		return m
	}
	// Until the file on disk has been read, what was registered last describes it.
	m.manifest, _ = fl.manifests.parse("", []byte(r.Manifest))
	return m
}

// isEnabled reports whether a module of that ID is enabled now.
func (fl *fleet) isEnabled(id string) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	m := fl.modules[id]
	return m != nil && m.status == state.ModuleInstalled
}

// refused reports whether the last validation refused a module.
func (fl *fleet) refused(m *module) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return slices.ContainsFunc(m.findings, refusing)
}

// note adds to a module's history.
func (fl *fleet) note(m *module, what string, args ...any) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	m.note(time.Now(), what, args...)
	fl.touched(m)
}

// move walks a module through the lifecycle table and commits where it ends.
// The caller holds m.op.
func (fl *fleet) move(ctx context.Context, m *module, evs ...event) error {
	fl.mu.Lock()
	from := m.status
	fl.mu.Unlock()
	to, why := from, ""
	for _, ev := range evs {
		var err error
		if to, why, err = next(to, ev); err != nil {
			return err
		}
	}
	now := time.Now()
	if err := fl.registryNow().move(ctx, m.id, from, to, now); err != nil {
		if !errors.Is(err, errMoved) {
			return err
		}
		// Another program wrote the row (a restored backup, the old registry):
		// what it says now is the truth.
		if rows, rerr := fl.registryNow().all(ctx); rerr == nil {
			if r, ok := rows[m.id]; ok {
				fl.mu.Lock()
				m.status, m.record = r.Status, r
				fl.touched(m)
				fl.mu.Unlock()
			}
		}
		return err
	}
	if to == state.ModuleInstalled {
		fl.metrics.install()
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	m.status = to
	m.record.Status, m.record.Updated = to, disk.FormatTime(now)
	if to == state.ModuleInstalled && m.record.Installed == "" {
		m.record.Installed = disk.FormatTime(now)
	}
	m.note(now, "%s -> %s: %s", from.Word(), to.Word(), why)
	fl.touched(m)
	return nil
}

// recorded reports whether the registry already says what the manifest says.
func (fl *fleet) recorded(m *module, man *Manifest) bool {
	fl.mu.Lock()
	text := m.record.Manifest
	fl.mu.Unlock()
	var a, b any
	return json.Unmarshal([]byte(text), &a) == nil && json.Unmarshal([]byte(man.Text), &b) == nil && reflect.DeepEqual(a, b)
}

func (fl *fleet) problem(m *module, err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	m.problem = fl.clean(err.Error())
	m.seen = disk.Stamp{} // look again
	fl.touched(m)
}

func (fl *fleet) registryNow() *registry {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.registry
}

// rel names a path as an operator would: relative to the workspace where it is in it.
func (fl *fleet) rel(path string) string {
	if r, err := filepath.Rel(fl.cfg.Workspace, path); err == nil && filepath.IsLocal(r) {
		return r
	}
	return path
}

// touched says that a module changed; e.mu is held.
func (fl *fleet) touched(m *module) {
	m.stale, m.text, fl.changed = true, nil, true
	select {
	case fl.wake <- struct{}{}:
	default:
	}
}

// touchedAll says that every module changed.
func (fl *fleet) touchedAll() {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	for _, m := range fl.modules {
		fl.touched(m)
	}
	fl.changed = true
}

// clean makes text from outside fit to be published.
func (fl *fleet) clean(s string) string { return state.Clean(fl.cfg.Mask.Mask(s)) }

// flush writes counts of fetches to the registry.
func (fl *fleet) flush() error {
	fl.mu.Lock()
	ts, reg := fl.tallies, fl.registry
	fl.tallies = map[string]tally{}
	fl.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	err := reg.count(ctx, ts, time.Now())
	if err != nil {
		fl.mu.Lock()
		for id, t := range ts { // try again with the next
			n := fl.tallies[id]
			n.ok, n.failed = n.ok+t.ok, n.failed+t.failed
			n.health = cmp.Or(n.health, t.health)
			if n.used.IsZero() {
				n.used = t.used
			}
			fl.tallies[id] = n
		}
		fl.mu.Unlock()
	}
	return err
}

// with runs f while nobody else works on the module.
func (fl *fleet) with(ctx context.Context, id string, f func(*module) (state.Outcome, error)) (state.Outcome, error) {
	fl.mu.Lock()
	alive, m := fl.life != nil, fl.modules[id]
	fl.mu.Unlock()
	if !alive {
		return state.Outcome{}, errNotRunning
	}
	if m == nil {
		return state.Outcome{}, fmt.Errorf("%w as %q: modules are found in %s/CATEGORY/PLATFORM", ErrNoModule, id, fl.rel(fl.cfg.ModulesDir))
	}
	select {
	case m.op <- struct{}{}:
		defer func() { <-m.op }()
	case <-ctx.Done():
		return state.Outcome{}, context.Cause(ctx)
	}
	return f(m)
}

func (fl *fleet) loaded(m *module) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return !m.loadedAt.IsZero()
}

// enabled refuses what is only for enabled modules.
func (fl *fleet) enabled(m *module) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	switch {
	case m.status == "" || m.manifest == nil && m.problem != "":
		return errors.New(m.problem)
	case m.status != state.ModuleInstalled:
		return fmt.Errorf("it is %s: enable it first", m.status.Word())
	}
	return nil
}

func (fl *fleet) counts() (total, loaded int) {
	for _, m := range fl.modules {
		if !m.loadedAt.IsZero() {
			loaded++
		}
	}
	return len(fl.modules), loaded
}

// cleanValue returns a JSON value with its strings made fit to be published.
func (fl *fleet) cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return fl.clean(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = fl.cleanValue(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[fl.clean(k)] = fl.cleanValue(x)
		}
		return out
	}
	return v
}

// ModulesOf lists the modules that target names: one by its ID, all of a platform
// by that alone.
func (fl *fleet) ModulesOf(target string) []string {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.modules[target] != nil {
		return []string{target}
	}
	var ids []string
	for id, m := range fl.modules {
		if m.platform == target {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
