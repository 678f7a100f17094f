package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Modules tells others of the modules, in the words of NEXUS' admin API.
type Modules struct {
	*fleet
	approval *approval
	vault    *vault
	fetcher  *fetcher

	textSize int // of the last Text, in bytes; guarded by the fleet's lock
}

// built returns a module as state; the lock is held.
func (va *vault) built(m *module) state.Module {
	out := state.Module{
		ID: m.id, Category: m.category, Platform: m.platform, DisplayName: m.platform,
		Status: m.shown(), Decided: m.status, HealthWord: m.health(), Reason: va.clean(m.reason()),
		Runner: m.runner, PID: m.pid, Restarts: m.restarts,
		Interval: m.interval(va.cfg.Interval), LastFetch: m.lastFetch, LastOK: m.lastOK, Fetching: m.fetching,
		Successes: m.successes, Failures: m.failures, Latencies: m.latencies, Items: m.items,
		LastError: m.lastErr, LastErrorAt: m.errAt, Traceback: m.traceback,
		LastResult: m.result, Dir: va.rel(m.dir), History: m.history,
	}
	m.buildProgram(&out)
	if m.sup != nil {
		out.NextFetch, out.Breaker, out.BreakerUntil, out.Keeps = m.next, m.breaker.state(), m.breaker.until, va.clean(m.keeps)
		if m.manifest != nil {
			out.CacheTTL, out.CachedAt = m.manifest.CacheTTL, m.cachedAt
			out.Stale = m.failure != nil && !m.lastOK.IsZero() && !m.dropped.Equal(m.lastOK)
			if out.Stale && m.manifest.StaleFor > 0 {
				out.StaleUntil = m.lastOK.Add(m.manifest.StaleFor)
			}
		}
	}
	if man := m.manifest; man != nil {
		out.DisplayName, out.Description, out.Version = va.clean(man.DisplayName), va.clean(man.Description), va.clean(man.Version)
		out.RequiredCredentials = cleanAll(man.Required)
		if man.HTTP != nil {
			at, _, _ := strings.Cut(man.HTTP.url, "?") // which may hold what is private
			out.Request = va.clean(man.HTTP.method + " " + at)
		}
		out.Manifest = va.clean(indented([]byte(man.Text)))
	}
	for name, can := range m.capabilities {
		if _, detailed := can.(map[string]any); can == true || detailed {
			out.Capabilities = append(out.Capabilities, state.Clean(name))
		}
	}
	slices.Sort(out.Capabilities)
	info, has := m.credentials()
	out.Credentials = state.CredentialsNotNeeded
	if has {
		out.Credentials, out.CredentialFields, out.CredentialsUpdated = state.CredentialsPresent, cleanAll(info.Fields), info.Updated
		out.CredentialsUsed, out.CredentialsExpire, out.CredentialsExpireBy = info.Used, info.Expires, va.clean(info.ExpiresBy)
		out.CredentialsServe = va.served(m, info.Row)
	} else if m.manifest != nil && m.manifest.NeedsCredentials {
		out.Credentials = state.CredentialsMissing
	}
	if va.locked != "" && (has || out.Credentials == state.CredentialsMissing) {
		out.Credentials = state.CredentialsLocked
	}
	return out
}

// State returns one module as the console has it, as of now. ErrNoModule where there is none.
func (li *Modules) State(id string) (state.Module, error) {
	li.mu.Lock()
	defer li.mu.Unlock()
	m := li.modules[id]
	if m == nil {
		return state.Module{}, ErrNoModule
	}
	return li.vault.built(m), nil
}

// JSON returns one module as GET /admin/modules/{category}/{platform} gives it;
// with registry, its row is included. ErrNoModule where there is none.
func (li *Modules) JSON(id string, registry bool) (map[string]any, error) {
	li.mu.Lock()
	defer li.mu.Unlock()
	m := li.modules[id]
	if m == nil {
		return nil, ErrNoModule
	}
	return li.json(m, registry), nil
}

// AllJSON returns GET /admin/modules: all modules by ID, and how many there are
// and run.
func (li *Modules) AllJSON() map[string]any {
	li.mu.Lock()
	defer li.mu.Unlock()
	list := make([]map[string]any, 0, len(li.modules))
	for _, id := range slices.Sorted(maps.Keys(li.modules)) {
		list = append(list, li.json(li.modules[id], false))
	}
	total, loaded := li.counts()
	return map[string]any{"modules": list, "total": total, "loaded": loaded}
}

// Capabilities returns what the adapters themselves said that they can do when they were
// last loaded, by module; none of those that said nothing.
func (li *Modules) Capabilities() map[string]map[string]any {
	li.mu.Lock()
	defer li.mu.Unlock()
	out := map[string]map[string]any{}
	for id, m := range li.modules {
		if len(m.capabilities) > 0 {
			out[id] = m.capabilities
		}
	}
	return out
}

// Text returns the JSON text of [Modules.AllJSON]. Of modules that did not change
// it is kept, so that it may be asked for often.
func (li *Modules) Text() ([]byte, error) {
	li.mu.Lock()
	defer li.mu.Unlock()
	now := time.Now()
	out := append(make([]byte, 0, li.textSize+4096), `{"modules":[`...)
	for i, id := range slices.Sorted(maps.Keys(li.modules)) {
		m := li.modules[id]
		if m.text == nil || now.Sub(m.textAt) > textLives {
			text, err := json.Marshal(li.json(m, false))
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
	total, loaded := li.counts()
	out = fmt.Appendf(out, `],"total":%d,"loaded":%d}`, total, loaded)
	li.textSize = len(out)
	return out, nil
}

func (li *Modules) json(m *module, registry bool) map[string]any {
	out := maps.Clone(manifestDefaults)
	if man := m.manifest; man != nil {
		for k, v := range man.Fields {
			out[k] = li.cleanValue(v)
		}
		out["display_name"], out["entry_point"], out["class_name"] = li.clean(man.DisplayName), li.clean(man.EntryPoint), li.clean(man.ClassName)
		if man.Short && man.NeedsCredentials {
			out["requires_api_key"], out["auth_type"] = true, "api_key"
		}
	}
	out["category"], out["platform"], out["module_id"] = m.category, m.platform, m.id
	out["status"], out["health_status"] = string(m.shown()), m.health()
	out["is_loaded"], out["loaded_at"] = !m.loadedAt.IsZero(), nullTime(m.loadedAt)
	out["error"] = nil
	if why := m.reason(); why != "" && (m.failure != nil || m.problem != "") {
		out["error"] = li.clean(why)
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
				"module_id": m.id, "name": li.clean(m.record.Name), "category": m.category, "platform": m.platform,
				"status": string(m.status), "health_status": m.health(), "manifest_json": li.clean(m.record.Manifest),
				"installed_at": emptyNull(m.record.Installed), "updated_at": emptyNull(m.record.Updated),
				"failure_count": m.failures, "success_count": m.successes, "last_used": out["last_used"],
			}
		}
	}
	return out
}

// Log returns what the module's adapter wrote to its log last, at most 32 KiB of it.
func (li *Modules) Log(id string) (string, error) {
	li.mu.Lock()
	defer li.mu.Unlock()
	m := li.modules[id]
	if m == nil {
		return "", ErrNoModule
	}
	if m.log == nil {
		return "", nil
	}
	return li.clean(m.log.String()), nil
}

// MayRun says whether a module's files are approved: an error that errors.Is
// ErrUnapproved where they are not. ErrNoModule where there is no such module.
func (li *Modules) MayRun(id string) error {
	li.mu.Lock()
	m, off := li.modules[id], li.cfg.NoApproval
	li.mu.Unlock()
	if m == nil {
		return ErrNoModule
	}
	if off {
		return nil
	}
	tree, err := li.approval.look(m)
	if err != nil {
		return nil // there is no folder: others say so
	}
	li.mu.Lock()
	a := m.past.InForce()
	li.mu.Unlock()
	if a != nil && a.Digest != tree.Digest {
		return unapproved{heldBack(a)}
	}
	return nil
}

// Changes returns how a module's files on disk differ now from what was approved; nil where
// they do not. With it comes the digest of what lies there, "" where nothing does.
func (li *Modules) Changes(id string) (*state.ProgramChange, string, error) {
	li.mu.Lock()
	m := li.modules[id]
	li.mu.Unlock()
	if m == nil {
		return nil, "", ErrNoModule
	}
	tree, err := li.approval.look(m)
	if err != nil {
		return nil, "", fmt.Errorf("its files cannot be read: %w", err)
	}
	li.mu.Lock()
	a := m.past.InForce()
	li.mu.Unlock()
	if a == nil || a.Digest == tree.Digest {
		return nil, tree.Digest, nil
	}
	return li.approval.changeOf(m, a, tree), tree.Digest, nil
}

// Credentials tells what is stored for a module or a platform. An error that
// errors.Is secrets.ErrLocked comes with Has all the same.
func (li *Modules) Credentials(target string) (info CredentialInfo, err error) {
	defer func() { li.metrics.credential("retrieve", err == nil) }()
	store := li.vault.storeNow()
	if store == nil {
		return info, errNotRunning
	}
	for _, id := range append([]string{target}, li.ModulesOf(target)...) {
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
func (li *Modules) CheckCredentials(ctx context.Context, target string) (valid bool, at time.Time, err error) {
	defer func() { li.metrics.credential("check", err == nil) }()
	ids := li.ModulesOf(target)
	if len(ids) == 0 {
		return false, time.Now(), ErrNoModule
	}
	for _, id := range ids {
		_, err = li.with(ctx, id, func(m *module) (state.Outcome, error) {
			li.mu.Lock()
			running := m.sup != nil
			li.mu.Unlock()
			if running {
				return state.Outcome{}, li.fetcher.ask(ctx, m).err
			}
			return state.Outcome{}, li.fetcher.probe(ctx, m, nil).err
		})
		if err != nil {
			return false, time.Now(), err
		}
	}
	return true, time.Now(), nil
}
