package remote

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Prefix is where Handler is mounted.
const Prefix = "/console/v1/"

// heartbeat is the longest time without a frame on a stream; writeTimeout how long a
// console may read nothing before it counts as gone.
const (
	heartbeat    = 5 * time.Second
	writeTimeout = 30 * time.Second
)

// maxRequest bounds an action or interest on the wire.
const maxRequest = 1 << 20

// Handler is the engine's side of the wire.
type Handler struct {
	hub     *backend.Hub
	version string
	log     *slog.Logger
	mux     *http.ServeMux

	// Authorize says why a request may not submit an action; nil: every one may.
	Authorize func(*http.Request, state.Action) error
	// Actor is who a request is by, given what its console says of itself; nil: that.
	Actor func(*http.Request, state.Actor) state.Actor

	mu       sync.Mutex
	sessions map[string]*session
}

// session is a console's state here, across its streams.
type session struct {
	*backend.Console
	end context.CancelFunc // of the stream that it has now
}

// NewHandler returns the handler that serves hub to consoles. version is the engine's.
func NewHandler(hub *backend.Hub, version string, log *slog.Logger) *Handler {
	h := &Handler{hub: hub, version: version, log: log, mux: http.NewServeMux(), sessions: map[string]*session{}}
	h.mux.HandleFunc("GET "+Prefix+"stream", h.stream)
	h.mux.HandleFunc("PUT "+Prefix+"interest", h.interest)
	h.mux.HandleFunc("POST "+Prefix+"actions", h.submit)
	h.mux.HandleFunc("GET "+Prefix+"alive", h.alive)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) session(id string) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessions[id]
}

// open returns the session of a stream, nil if it belongs to another user. A console
// whose link was cut reconnects before its old stream is known to be dead: it gets
// the session that it had, with the control that it held.
func (h *Handler) open(id string, actor state.Actor, end context.CancelFunc) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &session{end: end}
	if was := h.sessions[id]; was == nil {
		s.Console = h.hub.Attach(actor)
	} else if was.Actor().User != actor.User {
		return nil
	} else {
		was.end()
		s.Console = was.Console
	}
	h.sessions[id] = s
	return s
}

// leave closes a session, unless another stream has taken it over.
func (h *Handler) leave(id string, s *session) {
	h.mu.Lock()
	mine := h.sessions[id] == s
	if mine {
		delete(h.sessions, id)
	}
	h.mu.Unlock()
	if mine {
		s.Close()
	}
}

// stream sends frames until the console or the engine goes.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("session")
	var actor state.Actor
	if err := json.Unmarshal([]byte(q.Get("actor")), &actor); err != nil || id == "" {
		http.Error(w, "stream: needs a session and an actor", http.StatusBadRequest)
		return
	}
	actor.User, actor.From, actor.Via = state.Clean(actor.User), state.Clean(actor.From), state.Clean(actor.Via)
	if h.Actor != nil {
		actor = h.Actor(r, actor)
	}
	ctx, end := context.WithCancel(r.Context())
	defer end()
	c := h.open(id, actor, end)
	if c == nil {
		http.Error(w, "stream: the session is another's", http.StatusConflict)
		return
	}
	defer h.leave(id, c)

	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if enc.Encode(hello{Protocol: Protocol, Version: h.version, PID: os.Getpid(), Console: c.ID()}) != nil {
		return
	}
	d := newDiffer()
	after := uint64(0)
	for {
		wait, done := context.WithTimeout(ctx, heartbeat)
		s, err := c.Wait(wait, after)
		done()
		if ctx.Err() != nil {
			return
		}
		if err != nil { // nothing new: what there is, so that the link is seen to live
			s = h.hub.Latest()
		}
		// One whose host has gone takes no more: it must not be present, or hold
		// control, for as long as TCP hopes.
		_ = flush.SetWriteDeadline(time.Now().Add(writeTimeout))
		after = s.Version
		f, err := d.frame(s)
		if err != nil {
			h.log.Error("console stream", "left out", err)
		}
		if err := errors.Join(enc.Encode(f), flush.Flush()); err != nil {
			return
		}
	}
}

// alive answers once the hub has published again: that shows that it works, not only
// that connections are accepted.
func (h *Handler) alive(w http.ResponseWriter, r *http.Request) {
	if err := h.hub.Beat(r.Context()); err != nil {
		http.Error(w, "the hub does not publish", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) interest(w http.ResponseWriter, r *http.Request) {
	c := h.session(r.URL.Query().Get("session"))
	if c == nil {
		http.Error(w, "there is no such session", http.StatusNotFound)
		return
	}
	var in state.Interests
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
		http.Error(w, "interest: "+err.Error(), http.StatusBadRequest)
		return
	}
	c.Watch(in)
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) submit(w http.ResponseWriter, r *http.Request) {
	var req request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
		http.Error(w, "action: it cannot be read", http.StatusBadRequest) // the error might quote a secret
		return
	}
	c := h.session(req.Session)
	if c == nil {
		http.Error(w, "there is no such session", http.StatusNotFound)
		return
	}
	if h.Authorize != nil {
		if err := h.Authorize(r, req.Action); err != nil {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(answer{Err: backend.ErrRefused.Error() + ": " + err.Error(), Refused: true})
			return
		}
	}
	req.Action.Secrets = map[string]state.Secret{}
	for k, v := range req.Secrets {
		req.Action.Secrets[k] = state.Secret(v)
	}
	id, err := c.Submit(context.WithoutCancel(r.Context()), req.Action)
	a := answer{ID: id}
	if err != nil {
		a.Err, a.Refused = err.Error(), errors.Is(err, backend.ErrRefused)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a)
}
