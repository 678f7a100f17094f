package health

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// historyLen is how many latencies are remembered.
const historyLen = 60

// Service is one service to probe.
type Service struct {
	Title string
	// URL is http, https, redis, rediss, postgres, postgresql or tcp.
	URL string
}

// Config lists what is probed.
type Config struct {
	Services []Service
	// Interval is the time between probes, 0 is 5 s; Timeout a probe's limit, 0 is 3 s.
	Interval, Timeout time.Duration
	// Mask hides known secrets in text; nil hides none.
	Mask func(string) string
}

// Source is the services source.
type Source struct{ cfg Config }

// New makes a source. It does not connect.
func New(cfg Config) *Source {
	if cfg.Interval <= 0 {
		cfg.Interval = 5 * time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Mask == nil {
		cfg.Mask = func(s string) string { return s }
	}
	return &Source{cfg: cfg}
}

// Name implements state.Source.
func (*Source) Name() string { return "health" }

// Sections implements state.Source.
func (*Source) Sections() []state.SectionName { return []state.SectionName{state.SectionServices} }

// Run implements state.Source. It does not fail: a service that does is a row.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	if len(s.cfg.Services) == 0 {
		return state.Absence(errors.New("health: no services are configured: name them under services in opsdeck.yaml, each with a name and a url"))
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: s.cfg.Timeout}
	defer transport.CloseIdleConnections()
	p := &prober{mask: s.cfg.Mask, http: &http.Client{Transport: transport, CheckRedirect: sameHost}}
	list := make([]state.Service, len(s.cfg.Services))
	for i, svc := range s.cfg.Services {
		list[i] = state.Service{Title: state.Clean(svc.Title), URL: state.Clean(redact(svc.URL)), Word: "unknown", LatencyMS: -1}
	}
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for {
		var wg sync.WaitGroup
		var mu sync.Mutex
		slow := false
		for i, svc := range s.cfg.Services {
			wg.Go(func() {
				c, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
				defer cancel()
				r := p.probe(c, svc.URL)
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				list[i] = r.onto(list[i], time.Now())
				if slow {
					put(state.Services{List: slices.Clone(list)})
				}
			})
		}
		// One section for all that answer at once; each of the slow ones gets its own.
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		soon := time.NewTimer(100 * time.Millisecond)
		select {
		case <-done:
		case <-soon.C:
		}
		soon.Stop()
		mu.Lock()
		slow = true
		if ctx.Err() == nil {
			put(state.Services{List: slices.Clone(list)})
		}
		mu.Unlock()
		<-done
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// sameHost follows redirects on the same host only: a login page elsewhere would
// otherwise pass for a healthy service.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) >= 3 || req.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
