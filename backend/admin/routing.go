package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/state"
)

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func (s *Server) routing(w http.ResponseWriter, r *http.Request) {
	raw := s.cfg.Engine.Routing().JSON()
	if raw == nil {
		s.fail(w, http.StatusNotFound, "there is no routing configuration: create config/routing_config.json")
		return
	}
	etag := quoted(raw)
	w.Header().Set("ETag", etag)
	if known := r.Header.Get("If-None-Match"); known == "*" || slices.Contains(tags(known), strings.Trim(etag, `"`)) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.reply(w, http.StatusOK, json.RawMessage(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
}

// quoted returns the ETag of a routing configuration's text.
func quoted(text []byte) string { return `"` + routing.Tag(text) + `"` }

// tags returns the entity tags in an If-Match or If-None-Match header, without quotes.
// Weak ones are no tags of ours.
func tags(header string) (out []string) {
	for _, t := range strings.Split(header, ",") {
		t = strings.TrimSpace(t)
		if len(t) > 2 && len(t) <= 100 && t[0] == '"' && t[len(t)-1] == '"' {
			out = append(out, t[1:len(t)-1])
		}
	}
	return out
}

// expect puts the condition of If-Match into the arguments of a change. Whether it
// holds is told by the engine, at the moment of the change; it answers where it cannot.
func (s *Server) expect(w http.ResponseWriter, r *http.Request, args map[string]string) bool {
	all := r.Header.Values("If-Match")
	if len(all) == 0 {
		return true
	}
	header := strings.Join(all, ",")
	if header == "*" {
		if s.cfg.Engine.Routing().JSON() != nil {
			return true
		}
		s.fail(w, http.StatusPreconditionFailed, "there is no routing configuration, and If-Match: * wants one")
		return false
	}
	args["expect"] = strings.Join(tags(header), ",")
	if args["expect"] == "" {
		args["expect"] = "none"
	}
	return !s.outdated(w, r)
}

// outdated answers 412 where what is in force is none of what If-Match names.
func (s *Server) outdated(w http.ResponseWriter, r *http.Request) bool {
	raw := s.cfg.Engine.Routing().JSON()
	now := "there is none now"
	if raw != nil {
		if slices.Contains(tags(strings.Join(r.Header.Values("If-Match"), ",")), routing.Tag(raw)) {
			return false
		}
		w.Header().Set("ETag", quoted(raw))
		now = "it is " + quoted(raw) + " now"
	}
	s.fail(w, http.StatusPreconditionFailed, "the routing configuration was changed meanwhile: "+now+": read it again, and send its ETag as If-Match")
	return true
}

// tagged sets the ETag of what is in force after a change.
func (s *Server) tagged(w http.ResponseWriter) {
	if raw := s.cfg.Engine.Routing().JSON(); raw != nil {
		w.Header().Set("ETag", quoted(raw))
	}
}

// valid answers 422 with every fault of a routing configuration.
func (s *Server) valid(w http.ResponseWriter, text []byte, prefix ...any) bool {
	ps := s.cfg.Engine.Routing().Validate(text)
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

func routingFault(p document.Problem, prefix []any) invalid {
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

// elided ends an object as the operations guide prints it: {"a": 1, ...}. What is
// left out there stays as it is.
var elided = regexp.MustCompile(`,\s*\.\.\.\s*\}\s*$`)

func (s *Server) putRouting(w http.ResponseWriter, r *http.Request) {
	args := map[string]string{}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.fail(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	if at := elided.FindIndex(text); at != nil && !json.Valid(text) {
		text, args["keep"] = append(text[:at[0]:at[0]], '}'), "true"
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	var raw json.RawMessage
	if !s.body(w, r, &raw) || !s.valid(w, raw) || !s.expect(w, r, args) {
		return
	}
	args["config"] = string(raw)
	for _, k := range []string{"why", "confirm_within"} {
		if v := r.URL.Query().Get(k); v != "" {
			args[k] = v
		}
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: args}); !ok {
		return
	}
	s.tagged(w)
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
	_ = json.Unmarshal(s.cfg.Engine.Routing().JSON(), &c)
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
	if now, ok := s.cfg.Engine.Routing().Category(name); ok {
		maps.Copy(merged, now)
	}
	maps.Copy(merged, patch)
	if !s.valid(w, []byte(jsonText(map[string]any{"categories": map[string]any{name: merged}}))) {
		return
	}
	args := map[string]string{"category": name, "patch": jsonText(patch)}
	if !s.expect(w, r, args) {
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: args}); !ok {
		return
	}
	s.tagged(w)
	cat, _ := s.cfg.Engine.Routing().Category(name)
	s.reply(w, http.StatusOK, map[string]any{"status": "updated", "category": name, "tier": cat["tier"]})
}

func (s *Server) deleteCategory(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	args := map[string]string{"category": name, "delete": "true"}
	if !s.expect(w, r, args) {
		return
	}
	if _, ok := s.cfg.Engine.Routing().Category(name); !ok {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("Category '%s' not found", name))
		return
	}
	if _, ok := s.do(w, r, state.Action{Kind: state.RoutingSet, Args: args}); !ok {
		return
	}
	s.tagged(w)
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
	c, ok := s.cfg.Engine.Delivered().Category(name)
	if !ok {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("Category '%s' has no context: no module of it has delivered yet", name))
		return
	}
	s.reply(w, http.StatusOK, c)
}
