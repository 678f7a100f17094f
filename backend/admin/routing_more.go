package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/state"
)

func (s *Server) routingHistory(w http.ResponseWriter, _ *http.Request) {
	s.reply(w, http.StatusOK, map[string]any{"versions": s.cfg.Engine.Routing().Versions()})
}

func (s *Server) routingVersion(w http.ResponseWriter, r *http.Request) {
	version, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		s.fail(w, http.StatusNotFound, "a version is a number: GET /admin/routing-config/history lists them")
		return
	}
	text, err := s.cfg.Engine.Routing().Version(version)
	if err != nil {
		s.fail(w, http.StatusNotFound, err.Error())
		return
	}
	s.reply(w, http.StatusOK, json.RawMessage(text))
}

func (s *Server) rollbackRouting(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Version int64  `json:"version"`
		Why     string `json:"why"`
		Within  string `json:"confirm_within"`
	}
	if !s.body(w, r, &req) {
		return
	}
	p, ok := s.do(w, r, state.Action{Kind: state.RoutingRollback, Args: map[string]string{"version": strconv.FormatInt(req.Version, 10), "why": req.Why, "confirm_within": req.Within}})
	if ok {
		s.tagged(w)
		s.reply(w, http.StatusOK, map[string]any{"status": "rolled back", "message": p.Result})
	}
}

// configOf returns a configuration in a body; nil where there is none. It answers 422 for
// one that does not hold.
func (s *Server) configOf(w http.ResponseWriter, raw json.RawMessage) (text []byte, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	return raw, s.valid(w, raw, "config")
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Category   string          `json:"category"`
		Complexity *float64        `json:"complexity"`
		Config     json.RawMessage `json:"config"`
	}
	if !s.body(w, r, &req) {
		return
	}
	if req.Complexity == nil {
		s.unprocessable(w, invalid{[]any{"body", "complexity"}, "field required", "value_error.missing"})
		return
	}
	text, ok := s.configOf(w, req.Config)
	if !ok {
		return
	}
	d, err := s.cfg.Engine.Routing().Decide(text, state.Clean(req.Category), *req.Complexity)
	if err != nil {
		s.unprocessable(w, invalid{[]any{"body", "complexity"}, err.Error(), "value_error"})
		return
	}
	s.reply(w, http.StatusOK, d)
}

func (s *Server) replay(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Config    json.RawMessage `json:"config"`
		Threshold *float64        `json:"threshold"`
		Since     string          `json:"since"`
	}
	if !s.body(w, r, &req) {
		return
	}
	text, ok := s.configOf(w, req.Config)
	if !ok {
		return
	}
	window := time.Duration(0)
	if req.Since != "" {
		var err error
		if window, err = state.ParseDuration(req.Since); err != nil {
			s.unprocessable(w, invalid{[]any{"body", "since"}, err.Error(), "value_error"})
			return
		}
	}
	if text == nil && req.Threshold == nil {
		s.unprocessable(w, invalid{[]any{"body"}, "a config or a threshold was expected", "value_error.missing"})
		return
	}
	shift, err := s.cfg.Engine.Routing().Replay(text, req.Threshold, window)
	var ps document.Problems
	if errors.As(err, &ps) {
		faults := make([]invalid, 0, len(ps))
		for _, p := range ps {
			faults = append(faults, routingFault(p, nil))
		}
		s.unprocessable(w, faults...)
		return
	}
	if err != nil {
		s.fail(w, http.StatusConflict, err.Error())
		return
	}
	s.reply(w, http.StatusOK, struct {
		routing.ReplayDiff
		Lines []string `json:"lines"`
	}{shift, append([]string{}, shift.Lines()...)})
}

func (s *Server) delegations(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.fail(w, http.StatusBadRequest, "the body did not arrive whole")
		return
	}
	n, err := s.cfg.Engine.Routing().AddDelegations(text)
	if err != nil {
		s.unprocessable(w, invalid{[]any{"body"}, err.Error(), "value_error"})
		return
	}
	s.reply(w, http.StatusOK, map[string]any{"taken": n})
}
