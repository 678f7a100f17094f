package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// pipelineEvery is how often the pipeline stream sends.
	pipelineEvery = 2 * time.Second
	// eventPatience is how long a consumer may take to take one event.
	eventPatience = 10 * time.Second
	// maxStreams bounds the consumers at a time.
	maxStreams = 256
)

// stream sends the newest state to many consumers at each beat. There is no queue:
// whoever is slow finds, when he is done, the newest event and not those between. An
// event is made once a beat, by the first who wants it, and shared by all.
type stream struct {
	every    time.Duration
	patience time.Duration // of one event
	latest   func() *state.Snapshot
	mask     func(string) string

	mu        sync.Mutex
	consumers int
	beat      int64  // of event
	event     []byte // never changed once made
	made      uint64 // events, ever
}

func newStream(every time.Duration, latest func() *state.Snapshot, mask func(string) string) *stream {
	return &stream{every: every, patience: eventPatience, latest: latest, mask: mask}
}

// newest returns the event of the present beat and its id, which counts beats since 1970,
// so that it goes on over restarts of the engine. The event is nil where the state
// has no JSON form.
func (s *stream) newest(now time.Time) (event []byte, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	beat := now.UnixNano() / int64(s.every)
	if beat > s.beat {
		s.beat, s.event = beat, s.make(beat, now)
		s.made++
	}
	return s.event, s.beat
}

// make writes one event named pipeline-state in the documented shape, and one without
// a name in the shape that the real service sends.
func (s *stream) make(id int64, now time.Time) []byte {
	snap := s.latest()
	documented, err1 := json.Marshal(pipelineDocumented(snap, now))
	served, err2 := json.Marshal(pipelineServed(snap, now))
	if err1 != nil || err2 != nil {
		return nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: pipeline-state\ndata: %s\n\nid: %d\ndata: %s\n\n", id, s.mask(string(documented)), id, s.mask(string(served)))
	return b.Bytes()
}

// authenticate counts a consumer in; false where there are too many.
func (s *stream) authenticate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumers >= maxStreams {
		return false
	}
	s.consumers++
	return true
}

func (s *stream) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consumers--
}

// serve sends to one consumer until it goes, or takes longer than patience over one
// event. seen is the id that it has already; 0 for none.
func (s *stream) serve(w http.ResponseWriter, r *http.Request, seen int64) {
	c := http.NewResponseController(w)
	send := func(text []byte) bool {
		_ = c.SetWriteDeadline(time.Now().Add(s.patience))
		_, err := w.Write(text)
		return err == nil && c.Flush() == nil
	}
	// The first bytes at once, so that proxies and pages know that it is open.
	if !send(fmt.Appendf(nil, ": heartbeat\nretry: %d\n\n", s.every.Milliseconds())) {
		return
	}
	for {
		now := time.Now()
		text, id := s.newest(now)
		if id == seen || text == nil {
			text = []byte(": heartbeat\n\n")
		}
		seen = id
		if !send(text) {
			return
		}
		// To the next beat, however long this one took: all wake for the same event.
		next := s.every - time.Duration(time.Now().UnixNano()%int64(s.every))
		timer := time.NewTimer(next)
		select {
		case <-r.Context().Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// pipelineStream serves the pipeline's state as Server-Sent Events.
func (s *Server) pipelineStream(w http.ResponseWriter, r *http.Request) {
	if !s.pipeline.authenticate() {
		w.Header().Set("Retry-After", "10")
		s.fail(w, http.StatusServiceUnavailable, fmt.Sprintf("there are %d streams open already: close some", maxStreams))
		return
	}
	defer s.pipeline.leave()
	seen, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	s.pipeline.serve(w, r, seen)
}

func pipelineDocumented(s *state.Snapshot, now time.Time) map[string]any {
	services := map[string]any{"orchestrator": map[string]any{"healthy": true, "latency_ms": 0}}
	for _, sv := range s.Services.List {
		services[sv.Title] = map[string]any{"healthy": sv.Word == "healthy", "latency_ms": sv.LatencyMS}
	}
	modules, stages := []map[string]any{}, []string{}
	for _, m := range s.Modules.List {
		modules = append(modules, map[string]any{"category": m.Category, "platform": m.Platform, "status": m.Status.Word()})
	}
	for _, st := range s.Pipeline.Stages {
		stages = append(stages, st.Title)
	}
	return map[string]any{"services": services, "modules": modules, "pipeline_stages": stages, "timestamp": now.UTC().Format(time.RFC3339)}
}

func pipelineServed(s *state.Snapshot, now time.Time) map[string]any {
	services := map[string]any{"orchestrator": map[string]any{"name": "orchestrator", "state": "running", "latency_ms": 0, "status_code": 200}}
	for _, sv := range s.Services.List {
		st := "running"
		switch {
		case sv.Checked.IsZero():
			st = "idle"
		case sv.Word != "healthy":
			st = "error"
		}
		services[sv.Title] = map[string]any{"name": sv.Title, "state": st, "latency_ms": sv.LatencyMS, "status_code": sv.StatusCode}
	}
	modules, adapters := []map[string]any{}, 0
	for _, m := range s.Modules.List {
		st := "disabled"
		switch m.Status {
		case state.ModuleInstalled:
			st = "running"
		case state.ModuleFailed:
			st = "error"
		}
		if m.Runner == "running" {
			adapters++
		}
		modules = append(modules, map[string]any{"id": m.ID, "name": m.Platform, "state": st, "category": m.Category})
	}
	return map[string]any{"services": services, "modules": modules, "adapters_count": adapters, "timestamp": float64(now.UnixMilli()) / 1e3}
}
