package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	// relayTimeout bounds one scrape; relayBody its answer, in bytes.
	relayTimeout = 10 * time.Second
	relayBody    = 8 << 20
	// relayStale is how many intervals a target's figures outlive its last answer.
	relayStale = 3
	// relaySeries bounds what one target may add to what is served.
	relaySeries = 5000
)

// Relayed are the beginnings of the names that are relayed where a target does not
// say: delegation, providers, tools, RPC and inference, as their services name them.
var Relayed = []string{"lidm_", "llm_provider_", "tool_", "grpc_request", "pipeline_inference_", "pipeline_context_"}

// Target is a service whose metrics are relayed.
type Target struct {
	// Name becomes the label "service" of every series.
	Name string
	// URL serves the exposition format.
	URL string
	// Match are beginnings of the names that are taken; Relayed where there are none.
	Match []string
	// Token is sent as a bearer token; "" for none.
	Token string
}

// Relay scrapes services and gathers what they expose, so that it is stored, queried
// and served with the engine's own series: a rule or a dashboard that asks the
// orchestrator for delegation and provider figures finds them there. A service that
// stops answering takes its series with it: they are not guessed on.
type Relay struct {
	targets  []Target
	interval time.Duration
	client   *http.Client
	mask     func(string) string
	log      *slog.Logger

	mu   sync.Mutex
	last map[string]scraped // by target name
}

// scraped is what a target last gave.
type scraped struct {
	families map[string]*dto.MetricFamily
	at       time.Time
	up       bool
	err      string
}

// NewRelay makes a relay that scrapes each target at an interval. mask hides known
// secrets in errors.
func NewRelay(targets []Target, interval time.Duration, mask func(string) string, log *slog.Logger) *Relay {
	return &Relay{targets: targets, interval: interval, mask: mask, log: log, last: map[string]scraped{},
		client: &http.Client{Timeout: relayTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Run scrapes until ctx ends.
func (r *Relay) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer r.client.CloseIdleConnections()
	defer wg.Wait()
	for _, t := range r.targets {
		wg.Go(func() {
			tick := time.NewTicker(r.interval)
			defer tick.Stop()
			for {
				r.scrape(ctx, t)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
}

func (r *Relay) scrape(ctx context.Context, t Target) {
	families, err := r.Fetch(ctx, t)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.last[t.Name]
	if err == nil {
		r.last[t.Name] = scraped{families: families, at: time.Now(), up: true}
		if was.err != "" {
			r.log.Info("metrics are relayed again", "service", t.Name)
		}
		return
	}
	text := r.mask(err.Error())
	if text != was.err {
		r.log.Warn("metrics are not relayed", "service", t.Name, "err", text)
	}
	was.up, was.err = false, text
	r.last[t.Name] = was
}

// Fetch scrapes a target once: what it exposes under the names that match, each with
// the label "service". The error says what was asked and what to do.
func (r *Relay) Fetch(ctx context.Context, t Target) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", t.Name, err)
	}
	req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	if t.Token != "" {
		req.Header.Set("Authorization", "Bearer "+t.Token)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics of %s: %w: is it running?", t.Name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics of %s: %s answers %s: name the address that serves metrics", t.Name, t.URL, resp.Status)
	}
	body := &io.LimitedReader{R: resp.Body, N: relayBody + 1}
	families, err := parseExposition(body)
	switch {
	case body.N <= 0:
		return nil, fmt.Errorf("metrics of %s: %s gives more than %d MiB", t.Name, t.URL, relayBody>>20)
	case err != nil:
		return nil, fmt.Errorf("metrics of %s: what %s gives is not the exposition format: %w", t.Name, t.URL, err)
	}
	match := t.Match
	if len(match) == 0 {
		match = Relayed
	}
	out, n := map[string]*dto.MetricFamily{}, 0
	for name, f := range families {
		if !slices.ContainsFunc(match, func(m string) bool { return strings.HasPrefix(name, m) }) {
			continue
		}
		if n += len(f.Metric); n > relaySeries {
			return nil, fmt.Errorf("metrics of %s: %s has more than %d series to relay: narrow it down with match", t.Name, t.URL, relaySeries)
		}
		for _, m := range f.Metric {
			label(m, "service", t.Name)
			m.TimestampMs = nil // it is of now
			if h := m.Histogram; h != nil {
				// The registry's form of a histogram has no bucket without a bound.
				h.Bucket = slices.DeleteFunc(h.Bucket, func(b *dto.Bucket) bool { return math.IsInf(b.GetUpperBound(), 1) })
			}
		}
		out[name] = f
	}
	return out, nil
}

// parseExposition reads the exposition format. The parser panics on some of what is
// not that.
func parseExposition(r io.Reader) (families map[string]*dto.MetricFamily, err error) {
	defer func() {
		if p := recover(); p != nil {
			families, err = nil, fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	p := expfmt.NewTextParser(model.UTF8Validation)
	return p.TextToMetricFamilies(r)
}

// label sets a label of a metric, replacing one of that name, and keeps labels
// sorted.
func label(m *dto.Metric, name, v string) {
	m.Label = slices.DeleteFunc(m.Label, func(p *dto.LabelPair) bool { return p.GetName() == name })
	m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &v})
	slices.SortFunc(m.Label, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
}

// relayUp says of each target whether it answered last.
const relayUp = "opsdeck_relay_up"

// Gather implements prometheus.Gatherer.
func (r *Relay) Gather() ([]*dto.MetricFamily, error) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]*dto.MetricFamily{}
	var err error
	for _, t := range r.targets {
		last, ok := r.last[t.Name]
		if !ok {
			continue
		}
		up := 0.0
		if last.up {
			up = 1
		}
		put(all, gauge(relayUp, "1 when a service whose metrics are relayed answers.", "service", t.Name, up))
		if now.Sub(last.at) > relayStale*r.interval {
			continue
		}
		for _, f := range last.families {
			if have := all[f.GetName()]; have != nil && have.GetType() != f.GetType() {
				err = errors.Join(err, fmt.Errorf("metrics of %s: %s is a %s there and a %s elsewhere", t.Name, f.GetName(), f.GetType(), have.GetType()))
				continue
			}
			put(all, f)
		}
	}
	out := make([]*dto.MetricFamily, 0, len(all))
	for _, f := range all {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return out, err
}

// put adds a family's metrics to those of its name. What was scraped is not changed.
func put(all map[string]*dto.MetricFamily, f *dto.MetricFamily) {
	have := all[f.GetName()]
	if have == nil {
		have = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type}
		all[f.GetName()] = have
	}
	have.Metric = append(have.Metric, f.Metric...)
}

func gauge(name, help, label, v string, value float64) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Label: []*dto.LabelPair{{Name: &label, Value: &v}}, Gauge: &dto.Gauge{Value: &value}}}}
}

var _ prometheus.Gatherer = (*Relay)(nil)
