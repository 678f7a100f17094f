package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Config is what a Server is made of.
type Config struct {
	Hub    *backend.Hub
	Engine *engine.Engine
	// Authenticator says who calls, and what they may. The server answers no request that came
	// by another way.
	Authenticator *Authenticator
	// Metrics is served at /metrics and /metrics/prometheus.
	Metrics prometheus.Gatherer
	// Mask hides known secrets in what is answered.
	Mask func(string) string
	Log  *slog.Logger
}

// Server is the admin API. Make one with New, and put it behind an [Authenticator].
type Server struct {
	cfg Config
	answers
	mux      *http.ServeMux
	table    map[string]*route // by the mux's pattern
	document []byte            // OpenAPI
	pipeline *stream
}

// New makes a server with all routes.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, answers: answers{cfg.Mask, cfg.Log}, mux: http.NewServeMux(), table: map[string]*route{}}
	s.pipeline = newStream(pipelineEvery, cfg.Hub.Latest, cfg.Mask)
	routes := s.routes()
	for i := range routes {
		rt := &routes[i]
		pattern := rt.method + " " + rt.pattern
		s.table[pattern] = rt
		s.mux.HandleFunc(pattern, rt.handler)
	}
	s.document = openAPIOf(routes, cfg.Hub.Latest().Workspace.Version)
	return s
}

// ServeHTTP implements http.Handler, for those requests that were authenticated.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, ok := PrincipalFrom(r.Context())
	if !ok {
		s.fail(w, http.StatusUnauthorized, "who calls is not known")
		return
	}
	_, pattern := s.mux.Handler(r)
	rt := s.table[pattern]
	if rt == nil {
		s.unrouted(w, r)
		return
	}
	if !p.Role.covers(rt.role) {
		s.fail(w, http.StatusForbidden, fmt.Sprintf("%s (%s) has the role %s: %s %s is for the role %s%s", p.Name, p.How, p.Role, rt.method, rt.pattern, rt.role, p.remedy()))
		return
	}
	if !s.nameable(w, r, rt) {
		return
	}
	if rt.kind != "" && !p.submits(rt.kind, r.URL.Path) {
		s.fail(w, http.StatusForbidden, fmt.Sprintf("the token %s is for %s alone, not for %s", p.Name, strings.Join(p.Scopes, ", "), rt.kind))
		return
	}
	began := time.Now()
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.mux.ServeHTTP(seen, r)
	level := slog.LevelDebug
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		level = slog.LevelInfo
	}
	s.log.Log(r.Context(), level, "admin: "+rt.method+" "+rt.pattern, "request", requestID(r.Context()), "by", p.Name, "how", p.How,
		"path", s.mask(cut(r.URL.Path, 200)), "status", seen.status, "took", time.Since(began))
}

// statusWriter remembers the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// methods are those that a route may have.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// unrouted answers for a path or method that there is no route for.
func (s *Server) unrouted(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range methods {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); s.table[pattern] != nil && m != r.Method {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		s.fail(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not allowed here: use %s", cut(r.Method, 16), strings.Join(allow, " or ")))
		return
	}
	s.fail(w, http.StatusNotFound, "there is nothing at "+cut(r.URL.Path, 200))
}

// do submits an action by the request's caller and waits for its end. It answers
// the refusal or failure itself; ok is false then.
func (s *Server) do(w http.ResponseWriter, r *http.Request, a state.Action) (state.Progress, bool) {
	var busy Busy
	err := s.cfg.Authenticator.Authorize(r, a)
	switch {
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", strconv.Itoa(busy.seconds()))
		s.fail(w, http.StatusTooManyRequests, err.Error())
		return state.Progress{}, false
	case err != nil:
		s.fail(w, http.StatusForbidden, err.Error())
		return state.Progress{}, false
	}
	a.Actor = s.cfg.Authenticator.Actor(r, state.Actor{})
	if spec := state.SpecOf(a.Kind); spec != nil && spec.Risk == state.Typed && a.Confirmed == "" {
		a.Confirmed = a.Target // the caller spelled it out in the path
	}
	// An action goes on when its caller hangs up, as it does when a console closes.
	p, err := backend.Do(context.WithoutCancel(r.Context()), s.cfg.Hub, a, false, nil)
	switch {
	case errors.Is(err, backend.ErrRefused):
		status := http.StatusConflict
		if strings.Contains(err.Error(), "there is no ") {
			status = http.StatusNotFound
		}
		s.fail(w, status, strings.TrimPrefix(err.Error(), backend.ErrRefused.Error()+": "))
		return p, false
	case err != nil:
		s.fail(w, http.StatusServiceUnavailable, err.Error())
		return p, false
	case p.Status != "done" && a.Args["expect"] != "" && s.outdated(w, r):
		return p, false
	case p.Status != "done":
		s.fail(w, http.StatusInternalServerError, p.Err)
		return p, false
	}
	return p, true
}

// longestName bounds a name in a path, in bytes.
const longestName = 200

// nameable refuses names in the path that nothing can have; it answers itself.
func (s *Server) nameable(w http.ResponseWriter, r *http.Request, rt *route) bool {
	for i, part := range strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/") {
		if len(part) > 3*longestName {
			s.fail(w, http.StatusBadRequest, fmt.Sprintf("part %d of the path has %d bytes: a name of at most %d was expected", i+1, len(part), longestName))
			return false
		}
		if strings.Contains(strings.ToLower(part), "%2f") && strings.Contains(rt.pattern, "{category}/") {
			s.fail(w, http.StatusBadRequest, "there is a slash in a name of the path")
			return false
		}
	}
	return true
}
