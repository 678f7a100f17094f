package admin

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/opsdeck/opsdeck/backend/state"
)

// largestQuery bounds the words that relevance is asked for, in bytes.
const largestQuery = 1 << 10

func (s *Server) relevance(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit := 0
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			s.unprocessable(w, invalid{[]any{"query", "limit"}, "value is not a valid integer of 1 or more", "type_error.integer"})
			return
		}
	}
	if len(q.Get("query")) > largestQuery {
		s.unprocessable(w, invalid{[]any{"query", "query"}, "at most 1024 bytes were expected", "value_error"})
		return
	}
	s.reply(w, http.StatusOK, s.cfg.Engine.Delivered().Relevance(state.Clean(q.Get("query")), q.Get("category"), limit))
}

func (s *Server) jobs(w http.ResponseWriter, r *http.Request) {
	module, status := r.URL.Query().Get("module"), r.URL.Query().Get("status")
	list := slices.DeleteFunc(s.cfg.Engine.Pipeline().Jobs(), func(j state.Job) bool {
		return module != "" && j.Module != module || status != "" && j.Status != status
	})
	if list == nil {
		list = []state.Job{}
	}
	s.reply(w, http.StatusOK, map[string]any{"jobs": list})
}

func (s *Server) job(w http.ResponseWriter, r *http.Request) {
	j, ok := s.cfg.Engine.Pipeline().Job(r.PathValue("job"))
	if !ok {
		s.fail(w, http.StatusNotFound, "there is no such job, or it was long ago: GET /pipeline/jobs lists the last")
		return
	}
	s.reply(w, http.StatusOK, j)
}
