package admin

import (
	"net/http"

	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/state"
)

// program returns the module of the path as the console has it; it answers 404 where there
// is none.
func (s *Server) program(w http.ResponseWriter, r *http.Request) (state.Module, bool) {
	m, err := s.cfg.Engine.Modules().State(moduleID(r))
	if err != nil {
		s.fail(w, http.StatusNotFound, "Module not found: "+moduleID(r))
	}
	return m, err == nil
}

// validateModule checks a module and answers with what was found. That there are
// errors is an answer, not a failure.
func (s *Server) validateModule(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.program(w, r); !ok {
		return
	}
	id := moduleID(r)
	p, ok := s.do(w, r, state.Action{Kind: state.ModuleValidate, Target: id})
	if !ok {
		return
	}
	m, ok := s.program(w, r)
	if !ok {
		return
	}
	valid := true
	for _, f := range m.Findings {
		valid = valid && f.Severity != "error"
	}
	s.reply(w, http.StatusOK, map[string]any{"success": true, "module_id": id, "message": p.Result, "valid": valid, "findings": orNone(m.Findings), "checked_at": m.Checked})
}

// testModule runs a module's own tests and answers with the results.
func (s *Server) testModule(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.program(w, r); !ok {
		return
	}
	id := moduleID(r)
	p, ok := s.do(w, r, state.Action{Kind: state.ModuleTest, Target: id})
	if !ok {
		return
	}
	m, ok := s.program(w, r)
	if !ok {
		return
	}
	s.reply(w, http.StatusOK, map[string]any{"success": m.Tests.OK(), "module_id": id, "message": p.Result, "tests": m.Tests})
}

// changes returns how a module's files differ from what was approved.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	c, digest, err := s.cfg.Engine.Modules().Changes(moduleID(r))
	switch {
	case err == engine.ErrNoModule:
		s.fail(w, http.StatusNotFound, "Module not found: "+moduleID(r))
		return
	case err != nil:
		s.fail(w, http.StatusConflict, err.Error())
		return
	}
	s.reply(w, http.StatusOK, map[string]any{"module_id": moduleID(r), "changed": c != nil, "digest": digest, "change": c})
}

func (s *Server) versions(w http.ResponseWriter, r *http.Request) {
	if m, ok := s.program(w, r); ok {
		s.reply(w, http.StatusOK, map[string]any{"module_id": m.ID, "versions": orNone(m.Versions)})
	}
}

// approveModule approves the files whose digest the caller was shown.
func (s *Server) approveModule(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Digest string `json:"digest"`
	}
	if !s.body(w, r, &req) {
		return
	}
	if _, ok := s.program(w, r); !ok {
		return
	}
	if _, digest, err := s.cfg.Engine.Modules().Changes(moduleID(r)); req.Digest == "" {
		s.unprocessable(w, invalid{[]any{"body", "digest"}, "field required", "value_error.missing"})
		return
	} else if err == nil && (len(req.Digest) < 12 || len(req.Digest) > len(digest) || digest[:len(req.Digest)] != req.Digest) {
		s.fail(w, http.StatusConflict, "those are not the files that lie there: GET .../changes shows them, with their digest")
		return
	}
	s.programAction(w, r, state.Action{Kind: state.ModuleApprove, Args: map[string]string{"digest": req.Digest}})
}

// rollbackModule puts a kept version back: the one before, where none is named.
func (s *Server) rollbackModule(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Version string `json:"version"`
	}
	if r.ContentLength != 0 && !s.body(w, r, &req) {
		return
	}
	if _, ok := s.program(w, r); !ok {
		return
	}
	a := state.Action{Kind: state.ModuleRollback}
	if req.Version != "" {
		a.Args = map[string]string{"version": req.Version}
	}
	s.programAction(w, r, a)
}

func (s *Server) programAction(w http.ResponseWriter, r *http.Request, a state.Action) {
	a.Target = moduleID(r)
	if p, ok := s.do(w, r, a); ok {
		s.reply(w, http.StatusOK, map[string]any{"success": true, "module_id": a.Target, "message": p.Result})
	}
}

// orNone returns a list that is [] where it is empty, not null.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
