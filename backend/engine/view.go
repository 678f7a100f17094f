package engine

import (
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
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

// textLives is how long a module's JSON text is used at most: its health also goes by
// the date.
const textLives = 10 * time.Second

func nullTime(t time.Time) any { return emptyNull(disk.FormatTime(t)) }

func emptyNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Health returns the answer to GET /admin/health in the recorded dialect; its status is "ok".
func (e *Engine) Health() map[string]any {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, loaded := e.counts()
	return map[string]any{"status": "ok", "modules_loaded": loaded, "config_manager": e.routing.Current() != nil}
}

// SystemInfo returns the answer to GET /admin/system-info.
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
	p := e.fetcher.pipeline
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

// CredentialInfo tells what is stored for a module's ID or a platform.
type CredentialInfo struct {
	Has     bool
	Fields  []string // names only
	Updated time.Time
}
