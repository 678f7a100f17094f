package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// adapterJSON is one adapter as GET /adapters gives it.
type adapterJSON struct {
	ID          string `json:"id"`
	Category    string `json:"category"`
	Platform    string `json:"platform"`
	Name        any    `json:"name"`
	Description any    `json:"description"`
	Icon        any    `json:"icon"`
	// Status is what was decided of its module, State how it does: running, idle
	// (enabled, and its adapter does not run now), error, disabled.
	Status       string `json:"status"`
	State        string `json:"state"`
	Health       any    `json:"health_status"`
	RequiresAuth bool   `json:"requires_auth"`
	AuthType     any    `json:"auth_type"`
	// Capabilities are what the adapter said when it was last loaded, before that what
	// its manifest says.
	Capabilities any     `json:"capabilities"`
	Interval     float64 `json:"interval_seconds"`
	LastFetch    any     `json:"last_fetch"`
	Error        any     `json:"error"`
}

func (s *Server) adapters(w http.ResponseWriter, _ *http.Request) {
	snap, own := s.cfg.Hub.Latest(), s.cfg.Engine.Modules().Capabilities()
	out, running := []adapterJSON{}, 0
	for _, row := range s.cfg.Engine.Modules().AllJSON()["modules"].([]map[string]any) {
		a := adapterJSON{Name: row["display_name"], Description: row["description"], Icon: row["icon"], Health: row["health_status"],
			AuthType: row["auth_type"], LastFetch: row["last_used"], Error: row["error"], State: "disabled", Capabilities: map[string]any{}}
		a.ID, _ = row["module_id"].(string)
		a.Category, _ = row["category"].(string)
		a.Platform, _ = row["platform"].(string)
		a.RequiresAuth, _ = row["requires_api_key"].(bool)
		if c, ok := row["capabilities"].(map[string]any); ok {
			a.Capabilities = c
		}
		if c, ok := own[a.ID]; ok {
			a.Capabilities = c
		}
		a.Status, _ = row["status"].(string)
		if m := snap.Modules.Module(a.ID); m != nil {
			a.Interval = m.Interval.Seconds()
			switch {
			case m.Status == state.ModuleFailed:
				a.State = "error"
			case m.Runner == "running":
				a.State = "running"
				running++
			case m.Status == state.ModuleInstalled:
				a.State = "idle"
			}
		}
		out = append(out, a)
	}
	s.reply(w, http.StatusOK, map[string]any{"adapters": out, "total": len(out), "running": running})
}

// clearCache makes adapters forget what they cached: of the module, the category or
// the platform that the body names, or all.
func (s *Server) clearCache(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Category string `json:"category"`
		Platform string `json:"platform"`
	}
	if r.ContentLength != 0 && !s.body(w, r, &req) {
		return
	}
	ids := []string{}
	for _, row := range s.cfg.Engine.Modules().AllJSON()["modules"].([]map[string]any) {
		if (req.Category == "" || row["category"] == req.Category) && (req.Platform == "" || row["platform"] == req.Platform) {
			ids = append(ids, row["module_id"].(string))
		}
	}
	if len(ids) == 0 && req.Category+req.Platform != "" {
		s.fail(w, http.StatusNotFound, "Module not found: "+cut(strings.Trim(req.Category+"/"+req.Platform, "/"), longestName))
		return
	}
	p, ok := s.do(w, r, state.Action{Kind: state.ModuleClearCache, Args: map[string]string{"modules": strings.Join(ids, " ")}})
	if !ok {
		return
	}
	var cleared int
	_, _ = fmt.Sscanf(p.Result, "cleared %d", &cleared)
	s.reply(w, http.StatusOK, map[string]any{"success": true, "cleared": cleared, "modules": ids, "message": p.Result})
}
