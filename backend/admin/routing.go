package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/state"
)

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func (s *Server) routing(w http.ResponseWriter, _ *http.Request) {
	raw := s.cfg.Engine.RoutingJSON()
	if raw == nil {
		s.fail(w, http.StatusNotFound, "there is no routing configuration: create config/routing_config.json")
		return
	}
	s.reply(w, http.StatusOK, raw)
}

// valid answers 422 with every fault of a routing configuration.
func (s *Server) valid(w http.ResponseWriter, text []byte, prefix ...any) bool {
	ps := s.cfg.Engine.ValidateRouting(text)
	if len(ps) == 0 {
		return true
	}
	faults := make([]invalid, 0, len(ps))
	for _, p := range ps {
		faults = append(faults, routingFault(p, prefix))
	}
	s.unprocessable(w, faults...)
	return false
}

func routingFault(p engine.Problem, prefix []any) invalid {
	loc := append([]any{"body"}, prefix...)
	for _, part := range p.Path {
		loc = append(loc, part)
	}
	switch p.Want {
	case "":
		return invalid{Loc: loc, Msg: p.Text, Type: "value_error"}
	case "integer":
		return wrongType(loc, "int")
	case "object":
		return wrongType(loc, "map")
	}
	return wrongType(loc, p.Want)
}

func (s *Server) putRouting(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	if !s.body(w, r, &raw) || !s.valid(w, raw) {
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: map[string]string{"config": string(raw)}}); !ok {
		return
	}
	rt := s.routingNow()
	s.reply(w, http.StatusOK, map[string]any{"status": "updated", "categories": rt.Categories, "tiers": rt.Tiers})
}

// routingNow counts the configuration in force, which the published section may
// lag behind by a moment.
func (s *Server) routingNow() (n struct{ Categories, Tiers int }) {
	var c struct {
		Categories map[string]json.RawMessage `json:"categories"`
		Tiers      map[string]json.RawMessage `json:"tiers"`
	}
	_ = json.Unmarshal(s.cfg.Engine.RoutingJSON(), &c)
	n.Categories, n.Tiers = len(c.Categories), len(c.Tiers)
	return n
}

func (s *Server) patchCategory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	var patch map[string]any
	if !s.body(w, r, &patch) {
		return
	}
	if patch == nil {
		s.unprocessable(w, wrongType([]any{"body"}, "map"))
		return
	}
	// What is not in the patch stays, so it is the merged category that must hold.
	merged := map[string]any{}
	if now, ok := s.cfg.Engine.RoutingCategory(name); ok {
		maps.Copy(merged, now)
	}
	maps.Copy(merged, patch)
	if !s.valid(w, []byte(jsonText(map[string]any{"categories": map[string]any{name: merged}}))) {
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: map[string]string{"category": name, "patch": jsonText(patch)}}); !ok {
		return
	}
	cat, _ := s.cfg.Engine.RoutingCategory(name)
	s.reply(w, http.StatusOK, map[string]any{"status": "updated", "category": name, "tier": cat["tier"]})
}

func (s *Server) deleteCategory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if _, ok := s.cfg.Engine.RoutingCategory(name); !ok {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("Category '%s' not found", name))
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: map[string]string{"category": name, "delete": "true"}}); !ok {
		return
	}
	s.reply(w, http.StatusOK, map[string]any{"status": "deleted", "category": name})
}

func (s *Server) reloadRouting(all bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.do(w, r, state.Action{Kind: state.RoutingReload}); !ok {
			return
		}
		rt := s.routingNow()
		out := map[string]any{"status": "reloaded", "categories": rt.Categories}
		if all {
			out["tiers"] = rt.Tiers
			out["message"] = "Config reloaded. LLM clients will reconnect on next request."
		}
		s.reply(w, http.StatusOK, out)
	}
}

func (s *Server) contextCategory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("category")
	c, ok := s.cfg.Engine.ContextCategory(name)
	if !ok {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("Category '%s' has no context: no module of it has delivered yet", name))
		return
	}
	s.reply(w, http.StatusOK, c)
}
