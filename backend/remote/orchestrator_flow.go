package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tmaxmax/go-sse"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// flow is what is known of an orchestrator beside its modules and routing: its
// pipeline stream, its health, and what it reports of itself.
type flow struct {
	o       *Orchestrator
	changed chan struct{} // the stream has sent something new; capacity 1

	mu       sync.Mutex
	stages   []string
	services map[string]state.Service
	problem  string
	reports  []state.Report
	// fields are the names of the stored fields by platform; nil for none stored.
	fields map[string][]string
}

func newFlow(o *Orchestrator) *flow {
	return &flow{o: o, changed: make(chan struct{}, 1), services: map[string]state.Service{}, fields: map[string][]string{}}
}

const (
	// maxEvent bounds one event of the stream, in bytes.
	maxEvent = 1 << 20
	// streamQuiet is how long the stream may say nothing: it speaks every 2 s.
	streamQuiet = 30 * time.Second
	// streamBackoff and streamBackoffMax bound how soon it is tried again.
	streamBackoff    = time.Second
	streamBackoffMax = 30 * time.Second
	// rarelyEvery is the interval at which what changes rarely is polled.
	rarelyEvery = 30 * time.Second
	// keptLatencies is how many latencies of a service are kept.
	keptLatencies = 60
	// maxNames bounds the services and stages that a stream may name.
	maxNames = 200
	// maxReport is how much of a report is kept, in bytes.
	maxReport = 64 << 10
)

// pipelineState is an event's data in either of its shapes.
type pipelineState struct {
	Services map[string]struct {
		Name       string   `json:"name"`
		Healthy    *bool    `json:"healthy"`
		State      string   `json:"state"`
		LatencyMS  *float64 `json:"latency_ms"`
		StatusCode int      `json:"status_code"`
		Error      string   `json:"error"`
	} `json:"services"`
	Stages []string `json:"pipeline_stages"`
	Error  string   `json:"error"`
}

// follow reads the stream until ctx ends, again and again.
func (f *flow) follow(ctx context.Context) {
	wait := supervisor.Backoff{Min: streamBackoff, Max: streamBackoffMax}
	for ctx.Err() == nil {
		events, err := f.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		if events > 0 {
			wait.Reset()
		}
		f.mu.Lock()
		f.problem = f.o.text("the pipeline stream is not followed: " + err.Error())
		f.mu.Unlock()
		f.notify()
		wait.Pause(ctx)
	}
}

// stream reads one connection's events, and returns how many came and why it ended.
func (f *flow) stream(ctx context.Context) (events int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(streamQuiet, func() { cancel(fmt.Errorf("it said nothing for %s", streamQuiet)) })
	defer quiet.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.o.base+"/stream/pipeline-state", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "text/event-stream")
	endless := *f.o.http
	endless.Timeout = 0 // it is the stream's nature; quiet bounds it
	why := func(err error) error {
		if cause := context.Cause(ctx); cause != nil && cause != ctx.Err() {
			return cause
		}
		return err
	}
	resp, err := endless.Do(req)
	if err != nil {
		return 0, why(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("it answers %s", resp.Status)
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		return 0, fmt.Errorf("it answers %q in place of events", ct)
	}
	for e, err := range sse.Read(resp.Body, &sse.ReadConfig{MaxEventSize: maxEvent}) {
		if err != nil {
			return events, why(err)
		}
		quiet.Reset(streamQuiet)
		if e.Type != "" && e.Type != "pipeline-state" && e.Type != "message" {
			continue
		}
		events++
		f.take([]byte(e.Data))
	}
	return events, why(errors.New("it ended"))
}

// take applies one event. Fields that it lacks stay as they were.
func (f *flow) take(data []byte) {
	var p pipelineState
	err := json.Unmarshal(data, &p)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.notify()
	switch {
	case err != nil:
		f.problem = "the pipeline stream sends what NEXUS does not: " + f.o.text(err.Error())
		return
	case p.Error != "":
		f.problem = f.o.text("the pipeline stream reports: " + detail([]byte(p.Error)))
		return
	}
	f.problem = ""
	if len(p.Stages) > 0 {
		f.stages = nil
		for _, s := range p.Stages[:min(len(p.Stages), maxNames)] {
			f.stages = append(f.stages, f.o.text(s))
		}
	}
	for key, s := range p.Services {
		word, ms := "unknown", -1.0
		switch {
		case s.Healthy != nil && *s.Healthy, s.State == "running":
			word = "healthy"
		case s.Healthy != nil, s.State == "error":
			word = "unhealthy"
		}
		if s.LatencyMS != nil {
			ms = *s.LatencyMS
		}
		f.service(f.o.text(cmp.Or(s.Name, key)), word, ms, s.StatusCode, f.o.text(s.Error))
	}
}

// service records the state of a service. The caller holds f.mu.
func (f *flow) service(title, word string, ms float64, status int, why string) {
	was, known := f.services[title]
	if !known && len(f.services) >= maxNames {
		return
	}
	now := time.Now()
	s := state.Service{Title: title, URL: f.o.base, Word: word, LatencyMS: ms, StatusCode: status, Err: why, Since: was.Since, Checked: now}
	if was.Word != word {
		s.Since = now
	}
	sample := ms
	if word == "unhealthy" {
		sample = -1
	}
	old := was.Latencies[max(0, len(was.Latencies)-keptLatencies+1):]
	s.Latencies = append(slices.Clone(old), sample)
	f.services[title] = s
}

func (f *flow) notify() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// section returns the pipeline as far as it is known.
func (f *flow) section() state.Pipeline {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := state.Pipeline{Stream: f.problem, Reports: slices.Clone(f.reports)}
	for _, title := range f.stages {
		p.Stages = append(p.Stages, state.Stage{Title: title, State: "unknown", Depth: -1, Capacity: -1, InFlight: -1, Rate: -1, P50: -1, P95: -1, Done: -1, Errors: -1})
	}
	for _, s := range f.services {
		p.Services = append(p.Services, s)
	}
	slices.SortFunc(p.Services, func(a, b state.Service) int { return strings.Compare(a.Title, b.Title) })
	return p
}

// health reads the orchestrator's own health, by either dialect's call.
func (f *flow) health(ctx context.Context) {
	var h struct {
		Status string `json:"status"`
	}
	began := time.Now()
	err := f.o.read(ctx, "/admin/health", &h)
	if missing(err) {
		began = time.Now()
		err = f.o.read(ctx, "/health", &h)
	}
	ms := float64(time.Since(began).Microseconds()) / 1000
	word, why := "degraded", ""
	switch {
	case err != nil:
		word, why = "unhealthy", f.o.text(err.Error())
	case h.Status == "ok" || h.Status == "healthy":
		word = "healthy"
	default:
		why = f.o.text(fmt.Sprintf("it says %q", h.Status))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.service("orchestrator", word, ms, 0, why)
}

// merge adds the credentials' fields of the documented dialect.
func (f *flow) merge(m state.Modules) state.Modules {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range m.List {
		if names, ok := f.fields[m.List[i].Platform]; ok {
			m.List[i].CredentialFields = names
			if len(names) > 0 {
				m.List[i].Credentials = state.CredentialsPresent
			}
		}
	}
	f.wanted(m)
	return m
}

// wanted records the platforms whose credentials are polled: those that need any. The caller holds f.mu.
func (f *flow) wanted(m state.Modules) {
	for _, x := range m.List {
		if _, ok := f.fields[x.Platform]; !ok && x.Credentials != state.CredentialsNotNeeded && len(f.fields) < maxNames {
			f.fields[x.Platform] = nil
		}
	}
}

// pollRarely polls what changes rarely each rarelyEvery, one call after the other.
func (f *flow) pollRarely(ctx context.Context) {
	tick := time.NewTicker(rarelyEvery)
	defer tick.Stop()
	for {
		var reports []state.Report
		for _, r := range []struct{ title, path string }{{"providers", "/admin/providers"}, {"system", "/admin/system-info"}, {"context", "/context"}} {
			var raw json.RawMessage
			if err := f.o.read(ctx, r.path, &raw); err != nil {
				continue // one that only the other dialect has
			}
			var b bytes.Buffer
			_ = json.Indent(&b, raw, "", "  ")
			text := f.o.text(b.String())
			if len(text) > maxReport {
				text = strings.ToValidUTF8(text[:maxReport], "") + "\n... cut: it is longer"
			}
			reports = append(reports, state.Report{Title: r.title, Text: text, At: time.Now()})
		}
		f.mu.Lock()
		f.reports = reports
		platforms := make([]string, 0, len(f.fields))
		for p := range f.fields {
			platforms = append(platforms, p)
		}
		f.mu.Unlock()
		f.notify()
		slices.Sort(platforms)
		for _, p := range platforms {
			var c struct {
				Has    bool     `json:"has_credentials"`
				Fields []string `json:"fields"`
			}
			err := f.o.read(ctx, "/admin/credentials/"+url.PathEscape(p), &c)
			if missing(err) {
				break // the recorded dialect has no such call
			}
			if err != nil {
				continue
			}
			names := []string{}
			for _, n := range c.Fields[:min(len(c.Fields), maxNames)] {
				names = append(names, f.o.text(n))
			}
			f.mu.Lock()
			f.fields[p] = names
			f.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
