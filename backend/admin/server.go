package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Config is what a Server is made of.
type Config struct {
	Hub    *backend.Hub
	Engine *engine.Engine
	// Metrics is served at /metrics and /metrics/prometheus.
	Metrics prometheus.Gatherer
	// Token must be carried by every request; "" for none, on loopback only.
	Token string
	// Mask hides known secrets in what is answered.
	Mask func(string) string
	Log  *slog.Logger
}

// Server is the admin API. Make one with New.
type Server struct {
	cfg Config
	mux *http.ServeMux
}

// largestBody bounds a request's body.
const largestBody = 1 << 20

// New makes a server with all routes.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, mux: http.NewServeMux()}
	routes := map[string]http.HandlerFunc{
		"GET /health":       s.health("healthy"),
		"GET /admin/health": s.health("ok"),

		"GET /admin/modules":                                      s.modules,
		"GET /admin/modules/{category}/{platform}":                s.module,
		"POST /admin/modules/{category}/{platform}/enable":        s.moduleAction(state.ModuleEnable, "enabled"),
		"POST /admin/modules/{category}/{platform}/disable":       s.moduleAction(state.ModuleDisable, "disabled"),
		"POST /admin/modules/{category}/{platform}/reload":        s.moduleAction(state.ModuleReload, "reloaded"),
		"POST /admin/modules/{category}/{platform}/restart":       s.moduleAction(state.ModuleRestart, "restarted"),
		"POST /admin/modules/{category}/{platform}/fetch":         s.moduleAction(state.ModuleFetch, "fetched"),
		"DELETE /admin/modules/{category}/{platform}":             s.moduleAction(state.ModuleUninstall, "uninstalled"),
		"POST /admin/modules/{category}/{platform}/credentials":   s.storeModuleCredentials,
		"DELETE /admin/modules/{category}/{platform}/credentials": s.moduleAction(state.CredentialDelete, "credentials deleted"),
		"POST /admin/credentials":                                 s.storeCredentials,
		"GET /admin/credentials/{platform}":                       s.credentials,
		"GET /admin/credentials/{platform}/check":                 s.checkCredentials,

		"GET /admin/routing-config":                    s.routing,
		"PUT /admin/routing-config":                    s.putRouting,
		"PATCH /admin/routing-config/category/{name}":  s.patchCategory,
		"DELETE /admin/routing-config/category/{name}": s.deleteCategory,
		"POST /admin/routing-config/reload":            s.reloadRouting(false),
		"POST /admin/reload":                           s.reloadRouting(true),
		"GET /admin/system-info":                       func(w http.ResponseWriter, _ *http.Request) { s.reply(w, http.StatusOK, s.cfg.Engine.SystemInfo()) },
		"GET /admin/providers":                         func(w http.ResponseWriter, _ *http.Request) { s.reply(w, http.StatusOK, s.cfg.Engine.Providers()) },
		"GET /context":                                 func(w http.ResponseWriter, _ *http.Request) { s.reply(w, http.StatusOK, s.cfg.Engine.Context()) },
		"GET /context/{category}":                      s.contextCategory,
		"GET /stream/pipeline-state":                   s.pipelineStream,
		"GET /metrics":                                 s.metrics,
		"GET /metrics/prometheus":                      promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP,

		"GET /admin/actions":      s.actions,
		"POST /admin/actions":     s.act,
		"GET /admin/actions/{id}": s.progress,
		"GET /admin/state":        s.sections,
		"GET /admin/state/{name}": s.section,
	}
	for pattern, h := range routes {
		s.mux.HandleFunc(pattern, h)
	}
	return s
}

// Guard puts the door before h, for listening at addr.
func (s *Server) Guard(addr string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := s.refuse(addr, r); why != "" {
			s.fail(w, http.StatusForbidden, why)
			return
		}
		if s.cfg.Token != "" {
			got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if subtle.ConstantTimeCompare([]byte(got), []byte(s.cfg.Token)) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				s.fail(w, http.StatusUnauthorized, "a token is needed: send it as Authorization: Bearer TOKEN")
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

// ServeHTTP serves the API without a door, for the workspace's own socket.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.unrouted(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// unrouted answers for a path or method that there is no route for.
func (s *Server) unrouted(w http.ResponseWriter, r *http.Request) {
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); pattern != "" && m != r.Method {
			w.Header().Add("Allow", m)
		}
	}
	if allow := w.Header().Values("Allow"); len(allow) > 0 {
		s.fail(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is not allowed here: use %s", r.Method, strings.Join(allow, " or ")))
		return
	}
	s.fail(w, http.StatusNotFound, "there is nothing at "+state.Clean(r.URL.Path))
}

// refuse says why a request may not come in; "" when it may.
func (s *Server) refuse(addr string, r *http.Request) string {
	if !ours(addr, r.Host) {
		return fmt.Sprintf("the Host header names %q: use the address that opsdeck listens on, %s", state.Clean(r.Host), addr)
	}
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || !ours(addr, u.Host) {
			return fmt.Sprintf("the Origin %q may not call this API", state.Clean(o))
		}
	}
	return ""
}

// ours reports whether hostport names loopback or the address listened on.
func ours(addr, hostport string) bool {
	if hostport == addr {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return false
	}
	listen, _, _ := net.SplitHostPort(addr)
	return ip.IsLoopback() || listen == host || listen == "" || listen == "0.0.0.0" || listen == "::"
}

// Loopback reports whether addr, a host and port, is reached from this host alone.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// reply writes v as JSON.
func (s *Server) reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.cfg.Log.Error("admin: answer", "err", err)
		status, b = http.StatusInternalServerError, []byte(`{"detail":"the answer could not be written as JSON"}`)
	}
	if masked := s.cfg.Mask(string(b)); masked != string(b) {
		b = []byte(masked)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// fail answers an error in both dialects.
func (s *Server) fail(w http.ResponseWriter, status int, detail string) {
	s.reply(w, status, map[string]any{
		"detail": detail, "error": http.StatusText(status), "details": detail, "timestamp": time.Now().UTC(),
	})
}

// invalid is one fault of a request's body, as the real service reports it.
type invalid struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

func (s *Server) unprocessable(w http.ResponseWriter, faults ...invalid) {
	text := make([]string, 0, len(faults))
	for _, f := range faults {
		loc := make([]string, 0, len(f.Loc))
		for _, l := range f.Loc {
			loc = append(loc, fmt.Sprint(l))
		}
		text = append(text, strings.Join(loc, ".")+": "+f.Msg)
	}
	s.reply(w, http.StatusUnprocessableEntity, map[string]any{
		"detail": faults, "error": http.StatusText(http.StatusUnprocessableEntity), "details": strings.Join(text, "; "), "timestamp": time.Now().UTC(),
	})
}

// errMore: a body goes on after its value.
var errMore = errors.New("there is more after the value")

// body reads a request's JSON body into v, or answers why it cannot be read.
func (s *Server) body(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(r.Body)
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errMore
		}
	}
	var tooBig *http.MaxBytesError
	var typeErr *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooBig):
		s.fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", largestBody))
	case errors.As(err, &typeErr):
		loc := []any{"body"}
		for _, p := range strings.Split(typeErr.Field, ".") {
			if p != "" {
				loc = append(loc, p)
			}
		}
		s.unprocessable(w, wrongType(loc, typeErr.Type.Kind().String()))
	case errors.As(err, &syntax):
		s.unprocessable(w, invalid{[]any{"body", syntax.Offset}, "not JSON: an error at byte " + fmt.Sprint(syntax.Offset), "value_error.jsondecode"})
	case err == errMore:
		s.unprocessable(w, invalid{[]any{"body"}, "there is more after the end of the JSON value", "value_error.jsondecode"})
	default:
		s.unprocessable(w, invalid{[]any{"body"}, "not a JSON object: the text ends before the value does", "value_error.jsondecode"})
	}
	return false
}

// wrongType words a type error as the real service does.
func wrongType(loc []any, kind string) invalid {
	switch kind {
	case "map", "struct":
		return invalid{loc, "value is not a valid dict", "type_error.dict"}
	case "string":
		return invalid{loc, "str type expected", "type_error.str"}
	case "int", "int64":
		return invalid{loc, "value is not a valid integer", "type_error.integer"}
	}
	return invalid{loc, "a " + kind + " was expected", "type_error." + kind}
}

// do submits an action by the request's caller and waits for its end. It answers
// the refusal or failure itself; ok is false then.
func (s *Server) do(w http.ResponseWriter, r *http.Request, a state.Action) (state.Progress, bool) {
	a.Actor = actor(r)
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
	case p.Status != "done":
		s.fail(w, http.StatusInternalServerError, p.Err)
		return p, false
	}
	return p, true
}

// actor is who calls, as far as a connection tells.
func actor(r *http.Request) state.Actor {
	a := state.Actor{User: "api", From: r.RemoteAddr, Via: "api"}
	if r.RemoteAddr == "" || r.RemoteAddr == "@" {
		a.From = "unix socket"
	}
	if ua := r.UserAgent(); ua != "" {
		a.From += " " + state.Clean(ua[:min(len(ua), 80)])
	}
	return a
}
