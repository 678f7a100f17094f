package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// manifestDefaults are the members that NEXUS' admin API gives for every module.
var manifestDefaults = map[string]any{
	"name": "", "version": "", "category": "", "platform": "", "display_name": "", "description": "", "icon": "",
	"entry_point": "adapter.py", "class_name": "", "test_file": "test_adapter.py", "requires_api_key": false,
	"api_key_instructions": "", "python_dependencies": []string{}, "auth_type": "none", "auth_url": nil,
	"created_by": "", "build_provider": "", "created_at": nil, "updated_at": nil, "validation_results": nil,
	"failure_count": 0, "success_count": 0, "last_used": nil,
}

// ModuleJSON is one module as GET /admin/modules/{category}/{platform} gives it;
// with registry, its row is included. ErrNoModule where there is none.
func (e *Engine) ModuleJSON(id string, registry bool) (map[string]any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.modules[id]
	if m == nil {
		return nil, ErrNoModule
	}
	return e.moduleJSON(m, registry), nil
}

// ModulesJSON is GET /admin/modules: all modules by ID, and how many there are
// and run.
func (e *Engine) ModulesJSON() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]map[string]any, 0, len(e.modules))
	for _, id := range slices.Sorted(maps.Keys(e.modules)) {
		list = append(list, e.moduleJSON(e.modules[id], false))
	}
	total, loaded := e.counts()
	return map[string]any{"modules": list, "total": total, "loaded": loaded}
}

// Capabilities are what the adapters themselves said that they can do when they were
// last loaded, by module; none of those that said nothing.
func (e *Engine) Capabilities() map[string]map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string]map[string]any{}
	for id, m := range e.modules {
		if len(m.capabilities) > 0 {
			out[id] = m.capabilities
		}
	}
	return out
}

// textLives is how long a module's JSON text is used at most: its health also goes by
// the date.
const textLives = 10 * time.Second

// ModulesText is the JSON text of [Engine.ModulesJSON]. Of modules that did not change
// it is kept, so that it may be asked for often.
func (e *Engine) ModulesText() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	out := append(make([]byte, 0, e.textSize+4096), `{"modules":[`...)
	for i, id := range slices.Sorted(maps.Keys(e.modules)) {
		m := e.modules[id]
		if m.text == nil || now.Sub(m.textAt) > textLives {
			text, err := json.Marshal(e.moduleJSON(m, false))
			if err != nil {
				return nil, fmt.Errorf("engine: module %s: %w", id, err)
			}
			m.text, m.textAt = text, now
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, m.text...)
	}
	total, loaded := e.counts()
	out = fmt.Appendf(out, `],"total":%d,"loaded":%d}`, total, loaded)
	e.textSize = len(out)
	return out, nil
}

func (e *Engine) counts() (total, loaded int) {
	for _, m := range e.modules {
		if !m.loadedAt.IsZero() {
			loaded++
		}
	}
	return len(e.modules), loaded
}

func (e *Engine) moduleJSON(m *module, registry bool) map[string]any {
	out := maps.Clone(manifestDefaults)
	if man := m.manifest; man != nil {
		for k, v := range man.Fields {
			out[k] = e.cleanValue(v)
		}
		out["display_name"], out["entry_point"], out["class_name"] = e.clean(man.DisplayName), e.clean(man.EntryPoint), e.clean(man.ClassName)
		if man.Short && man.NeedsCredentials {
			out["requires_api_key"], out["auth_type"] = true, "api_key"
		}
	}
	out["category"], out["platform"], out["module_id"] = m.category, m.platform, m.id
	out["status"], out["health_status"] = string(m.shown()), m.health()
	out["is_loaded"], out["loaded_at"] = !m.loadedAt.IsZero(), nullTime(m.loadedAt)
	out["error"] = nil
	if why := m.reason(); why != "" && (m.failure != nil || m.problem != "") {
		out["error"] = e.clean(why)
	}
	if m.record.Updated != "" {
		out["updated_at"] = m.record.Updated
	}
	out["failure_count"], out["success_count"], out["last_used"] = m.failures, m.successes, nullTime(m.lastOK)
	if m.lastOK.IsZero() && m.record.LastUsed != "" {
		out["last_used"] = m.record.LastUsed
	}
	if m.registered {
		out["persistent_status"] = string(m.status)
	}
	_, has := m.credentials()
	out["has_credentials"] = has
	if registry {
		out["registry"] = nil
		if m.registered {
			out["registry"] = map[string]any{
				"module_id": m.id, "name": e.clean(m.record.Name), "category": m.category, "platform": m.platform,
				"status": string(m.status), "health_status": m.health(), "manifest_json": e.clean(m.record.Manifest),
				"installed_at": emptyNull(m.record.Installed), "updated_at": emptyNull(m.record.Updated),
				"failure_count": m.failures, "success_count": m.successes, "last_used": out["last_used"],
			}
		}
	}
	return out
}

// cleanValue is a JSON value with its strings made fit to be published.
func (e *Engine) cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return e.clean(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = e.cleanValue(x)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[e.clean(k)] = e.cleanValue(x)
		}
		return out
	}
	return v
}

func nullTime(t time.Time) any { return emptyNull(disk.FormatTime(t)) }

func emptyNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// ModuleLog is what the module's adapter wrote to its log last, at most 32 KiB of it.
func (e *Engine) ModuleLog(id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.modules[id]
	if m == nil {
		return "", ErrNoModule
	}
	if m.log == nil {
		return "", nil
	}
	return e.clean(m.log.String()), nil
}

// Health is GET /admin/health in the recorded dialect; its status is "ok".
func (e *Engine) Health() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, loaded := e.counts()
	return map[string]any{"status": "ok", "modules_loaded": loaded, "config_manager": e.routing.Current() != nil}
}

// SystemInfo is GET /admin/system-info.
func (e *Engine) SystemInfo() map[string]any {
	c := e.routing.Current()
	e.mu.Lock()
	defer e.mu.Unlock()
	total, loaded := e.counts()
	adapters := 0
	for _, m := range e.modules {
		if m.sup != nil {
			adapters++
		}
	}
	return map[string]any{
		"routing":  map[string]any{"categories": orEmpty(c["categories"]), "tiers": orEmpty(c["tiers"]), "performance": orEmpty(c["performance"])},
		"modules":  map[string]any{"total": total, "loaded": loaded},
		"adapters": map[string]any{"count": adapters},
	}
}

func orEmpty(v any) any {
	if v == nil {
		return map[string]any{}
	}
	return v
}

// Delivered returns what all enabled modules last gave, with which of them fail.
func (e *Engine) Delivered() pipeline.Delivered {
	stale, failing := map[string][]string{}, map[string]string{}
	e.mu.Lock()
	p := e.pipeline
	for _, m := range e.modules {
		if m.failure != nil && m.status == state.ModuleInstalled {
			stale[m.category] = append(stale[m.category], m.id)
		}
		if m.shown() == state.ModuleFailed && m.registered {
			failing[m.id] = e.clean(m.reason())
		}
	}
	e.mu.Unlock()
	return p.Delivered(time.Now(), stale, failing)
}

// ModulesOf lists the modules that target names: one by its ID, all of a platform
// by that alone.
func (e *Engine) ModulesOf(target string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.modules[target] != nil {
		return []string{target}
	}
	var ids []string
	for id, m := range e.modules {
		if m.platform == target {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// CredentialInfo tells what is stored for a module's ID or a platform.
type CredentialInfo struct {
	Has     bool
	Fields  []string // names only
	Updated time.Time
}

// Credentials tells what is stored for a module or a platform. An error that
// errors.Is secrets.ErrLocked comes with Has all the same.
func (e *Engine) Credentials(target string) (info CredentialInfo, err error) {
	defer func() { e.metrics.credential("retrieve", err == nil) }()
	store := e.storeNow()
	if store == nil {
		return info, errNotRunning
	}
	for _, id := range append([]string{target}, e.ModulesOf(target)...) {
		var i secrets.Info
		i, err = store.Info(id)
		if errors.Is(err, secrets.ErrNone) {
			continue
		}
		if err != nil {
			return info, err
		}
		info = CredentialInfo{Has: true, Fields: i.Fields, Updated: i.Updated}
		if i.Err != "" {
			return info, errors.New(i.Err)
		}
		if _, _, err = store.Fields(id); err != nil {
			return info, err
		}
		return info, nil
	}
	return info, nil
}

// CheckCredentials makes a real fetch for every module that target names and says
// whether all of them work; err is why one does not.
func (e *Engine) CheckCredentials(ctx context.Context, target string) (valid bool, at time.Time, err error) {
	defer func() { e.metrics.credential("check", err == nil) }()
	ids := e.ModulesOf(target)
	if len(ids) == 0 {
		return false, time.Now(), ErrNoModule
	}
	for _, id := range ids {
		_, err = e.with(ctx, id, func(m *module) (state.Outcome, error) {
			e.mu.Lock()
			running := m.sup != nil
			e.mu.Unlock()
			if running {
				return state.Outcome{}, e.ask(ctx, m).err
			}
			return state.Outcome{}, e.probe(ctx, m, nil).err
		})
		if err != nil {
			return false, time.Now(), err
		}
	}
	return true, time.Now(), nil
}

// Unlock reads the key of the credential store again, and returns why it is
// locked still; "" when it is not.
func (e *Engine) Unlock() string {
	store := e.storeNow()
	if store == nil {
		return errNotRunning.Error()
	}
	why := store.Unlock()
	e.refreshCredentials()
	return why
}
