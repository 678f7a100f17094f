package admin

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsdeck/opsdeck/backend/state"
)

// actionJSON is one row of the table of actions.
type actionJSON struct {
	Kind   state.Kind `json:"kind"`
	Key    string     `json:"key,omitempty"`
	Title  string     `json:"title"`
	Risk   state.Risk `json:"risk"`
	Global string     `json:"target,omitempty"`
	// Disabled says, for the target asked for, why it cannot be done now.
	Disabled string `json:"disabled,omitempty"`
}

func (s *Server) actions(w http.ResponseWriter, r *http.Request) {
	snap, target := s.cfg.Hub.Latest(), r.URL.Query().Get("target")
	table := []actionJSON{}
	for _, spec := range state.Specs() {
		if spec.Hidden {
			continue
		}
		row := actionJSON{Kind: spec.Kind, Key: spec.Key, Title: spec.Title(), Risk: spec.Risk, Global: spec.Global}
		if target != "" {
			row.Disabled = state.Why(snap, spec.Kind, target)
		}
		table = append(table, row)
	}
	s.reply(w, http.StatusOK, map[string]any{"actions": table, "recent": snap.Actions.List})
}

// act submits any action of the table, waits for its end and answers its progress.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Kind      state.Kind        `json:"kind"`
		Target    string            `json:"target"`
		Args      map[string]string `json:"args"`
		Secrets   map[string]any    `json:"secrets"`
		Confirmed string            `json:"confirmed"`
	}
	if !s.body(w, r, &req) {
		return
	}
	if req.Kind == "" {
		s.unprocessable(w, invalid{[]any{"body", "kind"}, "field required", "value_error.missing"})
		return
	}
	spec := state.SpecOf(req.Kind)
	if spec == nil {
		s.fail(w, http.StatusNotFound, fmt.Sprintf("there is no action %q: GET /admin/actions lists them", cut(string(req.Kind), longestName)))
		return
	}
	if spec.Risk == state.Typed && req.Confirmed != req.Target {
		s.unprocessable(w, invalid{[]any{"body", "confirmed"}, "must repeat the target's name to confirm", "value_error"})
		return
	}
	p, ok := s.do(w, r, state.Action{Kind: req.Kind, Target: req.Target, Args: req.Args, Secrets: secretValues(req.Secrets), Confirmed: req.Confirmed})
	if ok {
		s.reply(w, http.StatusOK, p)
	}
}

func (s *Server) progress(w http.ResponseWriter, r *http.Request) {
	p := s.cfg.Hub.Latest().Actions.Progress(state.ActionID(r.PathValue("id")))
	if p == nil {
		s.fail(w, http.StatusNotFound, "there is no such action, or it was long ago: the journal has it")
		return
	}
	s.reply(w, http.StatusOK, p)
}

func (s *Server) sections(w http.ResponseWriter, _ *http.Request) {
	snap := s.cfg.Hub.Latest()
	out := map[state.SectionName]state.Health{}
	for _, name := range state.SectionNames() {
		out[name] = snap.HealthOf(name)
	}
	s.reply(w, http.StatusOK, map[string]any{"version": snap.Version, "at": snap.At, "sections": out})
}

func (s *Server) section(w http.ResponseWriter, r *http.Request) {
	sec := s.cfg.Hub.Latest().Section(state.SectionName(r.PathValue("section")))
	if sec == nil {
		s.fail(w, http.StatusNotFound, "there is no such section: GET /admin/state lists them")
		return
	}
	s.reply(w, http.StatusOK, sec)
}

// metrics serves the exposition format, or JSON to who asks for it.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") != "application/json" {
		promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
		return
	}
	families, err := s.cfg.Metrics.Gather()
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	s.reply(w, http.StatusOK, families)
}
