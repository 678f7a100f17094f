package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

func (s *Server) health(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := s.cfg.Engine.Health()
		h["status"] = word
		snap := s.cfg.Hub.Latest()
		h["service"], h["version"], h["timestamp"] = "opsdeck", snap.Workspace.Version, time.Now().UTC()
		s.reply(w, http.StatusOK, h)
	}
}

func moduleID(r *http.Request) string { return r.PathValue("category") + "/" + r.PathValue("platform") }

func (s *Server) modules(w http.ResponseWriter, _ *http.Request) {
	text, err := s.cfg.Engine.Modules().Text()
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.write(w, http.StatusOK, text) // the engine has masked it, module by module
}

func (s *Server) module(w http.ResponseWriter, r *http.Request) {
	id := moduleID(r)
	m, err := s.cfg.Engine.Modules().JSON(id, true)
	if errors.Is(err, engine.ErrNoModule) {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("Module '%s' not found", id))
		return
	}
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.reply(w, http.StatusOK, m)
}

// settledIn are the statuses in which there is nothing left to do for an action:
// asking for it again is no error, as in the real service.
var settledIn = map[state.Kind]state.ModuleStatus{
	state.ModuleEnable: state.ModuleInstalled, state.ModuleDisable: state.ModuleDisabled, state.ModuleUninstall: state.ModuleUninstalled,
}

// moduleAction submits kind on the module of the path.
func (s *Server) moduleAction(kind state.Kind, past string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := moduleID(r)
		m, ok := s.known(w, id)
		if !ok {
			return
		}
		// What was decided, not how it does: a module that fails is enabled all the same.
		now := m["persistent_status"]
		if now == nil {
			now = m["status"]
		}
		if kind == state.ModuleReload || kind == state.ModuleRestart {
			if err := s.cfg.Engine.Modules().MayRun(id); errors.Is(err, engine.ErrUnapproved) {
				s.fail(w, http.StatusConflict, fmt.Sprintf("%s: GET /admin/modules/%s/changes, then POST /admin/modules/%s/approve with its digest", err, id, id))
				return
			}
		}
		if want := settledIn[kind]; want == "" || now != string(want) {
			if _, ok := s.do(w, r, state.Action{Kind: kind, Target: id}); !ok {
				return
			}
		}
		s.reply(w, http.StatusOK, map[string]any{"success": true, "module_id": id, "message": fmt.Sprintf("Module %s %s", id, past)})
	}
}

// known returns the module of that ID; it answers 404 where there is none.
func (s *Server) known(w http.ResponseWriter, id string) (map[string]any, bool) {
	m, err := s.cfg.Engine.Modules().JSON(id, false)
	if err != nil {
		s.fail(w, http.StatusNotFound, "Module not found: "+id)
	}
	return m, err == nil
}

func (s *Server) storeModuleCredentials(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Credentials map[string]any `json:"credentials"`
	}
	if !s.body(w, r, &req) {
		return
	}
	id := moduleID(r)
	if _, ok := s.known(w, id); !ok || !s.storable(w, req.Credentials) {
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.CredentialSet, Target: id, Secrets: secretValues(req.Credentials)}); !ok {
		return
	}
	s.reply(w, http.StatusOK, map[string]any{"success": true, "module_id": id, "message": fmt.Sprintf("Credentials stored for %s", id)})
}

func (s *Server) storeCredentials(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Platform    string         `json:"platform"`
		Credentials map[string]any `json:"credentials"`
	}
	if !s.body(w, r, &req) {
		return
	}
	if req.Platform == "" {
		s.unprocessable(w, invalid{[]any{"body", "platform"}, "field required", "value_error.missing"})
		return
	}
	if !s.storable(w, req.Credentials) {
		return
	}
	ids := s.cfg.Engine.Modules().ModulesOf(req.Platform)
	if len(ids) == 0 {
		s.fail(w, http.StatusNotFound, "Module not found: "+req.Platform)
		return
	}
	for _, id := range ids {
		if _, ok := s.do(w, r, state.Action{Kind: state.CredentialSet, Target: id, Secrets: secretValues(req.Credentials)}); !ok {
			return
		}
	}
	s.reply(w, http.StatusOK, map[string]any{"success": true, "platform": req.Platform, "modules": ids,
		"message": fmt.Sprintf("Credentials stored for %s", req.Platform)})
}

// storable answers 422 where there is nothing to store.
func (s *Server) storable(w http.ResponseWriter, values map[string]any) bool {
	if len(values) == 0 {
		s.unprocessable(w, invalid{[]any{"body", "credentials"}, "field required", "value_error.missing"})
		return false
	}
	return true
}

// secretValues wraps credential values as the whole object that is to be stored.
func secretValues(values map[string]any) map[string]state.Secret {
	if len(values) == 0 {
		return nil
	}
	return map[string]state.Secret{"@json": state.Secret(jsonText(values))}
}

func (s *Server) credentials(w http.ResponseWriter, r *http.Request) {
	platform := r.PathValue("platform")
	info, err := s.cfg.Engine.Modules().Credentials(platform)
	if errors.Is(err, engine.ErrNoModule) {
		s.fail(w, http.StatusNotFound, "Module not found: "+platform)
		return
	}
	if err != nil && !errors.Is(err, secrets.ErrLocked) && !errors.Is(err, secrets.ErrNone) {
		s.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	fields := info.Fields
	if fields == nil {
		fields = []string{}
	}
	out := map[string]any{"platform": platform, "has_credentials": info.Has, "fields": fields}
	if !info.Updated.IsZero() {
		out["updated_at"] = info.Updated
	}
	if why := s.cfg.Hub.Latest().Modules.Locked; why != "" {
		out["locked"] = why
	}
	s.reply(w, http.StatusOK, out)
}

func (s *Server) checkCredentials(w http.ResponseWriter, r *http.Request) {
	platform := r.PathValue("platform")
	valid, at, err := s.cfg.Engine.Modules().CheckCredentials(r.Context(), platform)
	if errors.Is(err, engine.ErrNoModule) {
		s.fail(w, http.StatusNotFound, "Module not found: "+platform)
		return
	}
	out := map[string]any{"platform": platform, "valid": valid, "checked_at": at}
	if err != nil {
		out["error"] = err.Error()
	}
	s.reply(w, http.StatusOK, out)
}
