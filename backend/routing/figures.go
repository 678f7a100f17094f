package routing

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Sample is one series' value at one instant.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// figuresEvery is how often the counts of tiers and providers are asked for.
const figuresEvery = 15 * time.Second

// figures are what the services that own them count of tiers and providers. The
// engine routes nothing itself: it asks the time series, into which their metrics are
// relayed, and makes up nothing.
type figures struct {
	mu               sync.Mutex
	tiers, providers map[string]state.RouteFigures
	why              string
}

// unknownFigures: no service exposes them.
const unknownFigures = "not known: no service exposes them (metrics.scrape in opsdeck.yaml)"

// into fills in a section.
func (f *figures) into(out *state.Routing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out.Figures = f.why
	for i := range out.Rows {
		if g, ok := f.tiers[out.Rows[i].Name]; ok && out.Rows[i].ID == "tier/"+out.Rows[i].Name {
			out.Rows[i].Figures = g
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.providers)) {
		out.Providers = append(out.Providers, f.providers[name])
	}
}

// TierFigures returns the counts of tiers by name, as of the last look; empty where no service
// exposes any.
func (r *Service) TierFigures() map[string]state.RouteFigures {
	r.figures.mu.Lock()
	defer r.figures.mu.Unlock()
	return copied(r.figures.tiers)
}

// ProviderFigures returns those of providers.
func (r *Service) ProviderFigures() map[string]state.RouteFigures {
	r.figures.mu.Lock()
	defer r.figures.mu.Unlock()
	return copied(r.figures.providers)
}

func copied(in map[string]state.RouteFigures) map[string]state.RouteFigures {
	out := make(map[string]state.RouteFigures, len(in))
	maps.Copy(out, in)
	return out
}

// askFigures asks for the counts until ctx ends.
func (r *Service) askFigures(ctx context.Context) {
	look := func() {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		tiers := r.figuresBy(limited, "tier", "lidm_delegation_requests_total", "lidm_delegation_errors_total", "lidm_delegation_latency_ms", "lidm_delegation_fallbacks_total")
		providers := r.figuresBy(limited, "provider", "llm_provider_requests_total", "llm_provider_errors_total", "llm_provider_latency_ms", "")
		why := ""
		if len(tiers)+len(providers) == 0 {
			why = unknownFigures
		}
		f := &r.figures
		f.mu.Lock()
		same := maps.Equal(f.tiers, tiers) && maps.Equal(f.providers, providers) && f.why == why
		f.tiers, f.providers, f.why = tiers, providers, why
		f.mu.Unlock()
		if !same {
			r.changed()
		}
	}
	look()
	every(ctx, figuresEvery, look)
}

// figuresBy returns counts and the mean latency by a label; none where there are none.
func (r *Service) figuresBy(ctx context.Context, label, requests, errors, latency, fallbacks string) map[string]state.RouteFigures {
	if r.cfg.Query == nil {
		return nil
	}
	out := map[string]state.RouteFigures{}
	ask := func(query string, set func(*state.RouteFigures, float64)) {
		list, err := r.cfg.Query(ctx, query)
		if err != nil {
			return // the store is not open yet, or closed: the next look asks again
		}
		for _, s := range list {
			name := r.clean(s.Labels[label])
			if name == "" || s.Value != s.Value {
				continue
			}
			f, ok := out[name]
			if !ok {
				f = state.RouteFigures{Title: name, Requests: -1, Errors: -1, LatencyMS: -1, Fallbacks: -1}
			}
			set(&f, s.Value)
			out[name] = f
		}
	}
	sum := func(name string) string { return "sum by (" + label + ") (" + name + ")" }
	ask(sum(requests), func(f *state.RouteFigures, v float64) { f.Requests = v })
	ask(sum(errors), func(f *state.RouteFigures, v float64) { f.Errors = v })
	if fallbacks != "" {
		ask(sum(fallbacks), func(f *state.RouteFigures, v float64) { f.Fallbacks = v })
	}
	ask("avg by ("+label+") ("+latency+")", func(f *state.RouteFigures, v float64) { f.LatencyMS = v })
	ask(sum(latency+"_sum")+" / "+sum(latency+"_count"), func(f *state.RouteFigures, v float64) { f.LatencyMS = v })
	return out
}
