package routing

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/state"
)

// JSON returns the routing configuration in force, exactly as in its file; nil
// where there is none.
func (r *Service) JSON() json.RawMessage {
	r.config.mu.Lock()
	defer r.config.mu.Unlock()
	return r.config.text
}

// Category returns one category in force, not to be changed.
func (r *Service) Category(name string) (map[string]any, bool) {
	c, ok := object(r.config.Current()["categories"])[name]
	return object(c), ok
}

// Validate says what is wrong with a routing configuration; nil when it holds.
func (r *Service) Validate(text []byte) document.Problems {
	var ps document.Problems
	if _, err := r.config.parse("", text); err != nil && !errors.As(err, &ps) {
		ps = document.Problems{{Text: err.Error()}}
	}
	return ps
}

// Providers returns GET /admin/providers: the tiers of the routing configuration and
// the providers and models that its categories name.
func (r *Service) Providers() map[string]any {
	c := r.config.Current()
	tiers, providers, models := map[string]any{}, map[string]any{}, map[string][]string{}
	for _, v := range object(c["categories"]) {
		cat := object(v)
		tier, _ := cat["tier"].(string)
		if p, _ := cat["provider"].(string); p != "" {
			providers[p] = map[string]any{"configured": true}
		}
		if m, _ := cat["model"].(string); m != "" && tier != "" && !slices.Contains(models[tier], m) {
			models[tier] = append(models[tier], m)
		}
	}
	for name, v := range object(c["tiers"]) {
		t := object(v)
		list := models[name]
		if list == nil {
			list = []string{}
		}
		slices.Sort(list)
		tiers[name] = map[string]any{"endpoint": t["endpoint"], "models": list, "enabled": t["enabled"]}
	}
	return map[string]any{"providers": providers, "lidm_tier_models": models, "tiers": tiers}
}

// Section returns the routing configuration as state.
func (r *Service) Section() state.Routing {
	out := r.config.section(r.cfg.Mask)
	out.Tests, out.Replay = r.answers.both()
	out.Delegations = len(r.delegations.list())
	r.figures.into(&out)
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.staged; s != nil && s.Base == out.Tag {
		staged := s.StagedRouting
		out.Staged = &staged
	}
	if t := r.onTrial; t != nil {
		on := t.RoutingTrial
		on.Why = r.clean(on.Why)
		out.Trial = &on
	}
	out.History, out.Unkept = r.versions[:min(len(r.versions), shownHistory)], r.unkept
	return out
}
