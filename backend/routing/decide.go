package routing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Decision is where one request goes, and why.
type Decision struct {
	Category   string  `json:"category"`
	Complexity float64 `json:"complexity"`
	Threshold  float64 `json:"threshold"`
	// Strategy is "direct", "delegate", "fallback", or "none" where no tier is left.
	Strategy string   `json:"strategy"`
	Tier     string   `json:"tier"`
	Endpoint string   `json:"endpoint,omitempty"`
	Provider string   `json:"provider,omitempty"`
	Model    string   `json:"model,omitempty"`
	Priority string   `json:"priority,omitempty"`
	Steps    []string `json:"steps"`
}

const (
	tierStandard = "standard"
	tierHeavy    = "heavy"
	// tierExternal is a service that is not one of the model tiers: that it is not listed
	// among them is nothing to fall back for. Listed, it is a tier like the others.
	tierExternal = "external"
)

// Decide reads a configuration as the orchestrator does. The threshold is
// lidm_delegation_threshold, else performance.complexity_threshold_direct, else the
// guide's 0.7. A request of less complexity is answered directly by the tier
// "standard"; one of as much or more is delegated to its category's tier, or to
// "heavy" where the category is not known. So a lower threshold sends more to the
// heavy tier, as the guide says. Where the configuration lists tiers, one that is
// disabled or not listed ("external" apart) gives way to the enabled one that is tried
// first (priority 1).
func Decide(config map[string]any, category string, complexity float64) Decision {
	th, from := threshold(config)
	d := Decision{Category: category, Complexity: complexity, Threshold: th}
	step := func(format string, args ...any) { d.Steps = append(d.Steps, fmt.Sprintf(format, args...)) }
	c, known := object(config["categories"])[category]
	cat := object(c)
	if complexity < th {
		d.Strategy, d.Tier = "direct", tierStandard
		step("complexity %g is below the threshold %g (%s): it is answered directly by %s", complexity, th, from, d.Tier)
	} else {
		d.Strategy, d.Tier = "delegate", cmp.Or(words(cat["tier"]), tierHeavy)
		step("complexity %g reaches the threshold %g (%s): it is delegated", complexity, th, from)
		if known {
			step("category %s names the tier %s", category, d.Tier)
		} else {
			step("category %q is not configured: it goes to %s", category, d.Tier)
		}
		d.Provider, d.Model, d.Priority = words(cat["provider"]), words(cat["model"]), words(cat["priority"])
	}
	tiers := object(config["tiers"])
	if _, listed := tiers[d.Tier]; len(tiers) == 0 || d.Tier == tierExternal && !listed {
		return d
	}
	usable := func(name string) bool {
		t, ok := tiers[name]
		on, said := object(t)["enabled"].(bool)
		return ok && (on || !said)
	}
	if !usable(d.Tier) {
		why := "is not among the tiers"
		if _, ok := tiers[d.Tier]; ok {
			why = "is disabled"
		}
		next := ""
		for _, name := range slices.Sorted(maps.Keys(tiers)) {
			rank := func(n string) float64 {
				if p := figure(object(tiers[n])["priority"]); p >= 0 {
					return p
				}
				return math.Inf(1)
			}
			if usable(name) && (next == "" || rank(name) < rank(next)) {
				next = name
			}
		}
		if next == "" {
			step("tier %s %s, and no other is enabled: it goes nowhere", d.Tier, why)
			d.Strategy, d.Tier = "none", ""
			return d
		}
		step("tier %s %s: %s is the enabled one that is tried first", d.Tier, why, next)
		d.Strategy, d.Tier = "fallback", next
	}
	d.Endpoint = words(object(tiers[d.Tier])["endpoint"])
	return d
}

// Limits says what the configuration's limits of latency and cost mean for a decision,
// by what requests to its tier took. They move nothing: it is the services that keep to
// them. The latency is the category's own max_latency_ms where it is delegated, else
// performance_constraints.max_latency_ms, else performance.delegation_latency_threshold_ms.
func Limits(config map[string]any, d Decision, stats map[string]TierStats) (out []string) {
	if d.Tier == "" {
		return nil
	}
	t, ok := stats[d.Tier]
	if !ok {
		t = unmeasured
	}
	limits := object(config["performance_constraints"])
	limit, from := -1.0, ""
	first := func(v any, name string) {
		if f := figure(v); limit < 0 && f >= 0 {
			limit, from = f, name
		}
	}
	if d.Strategy != "direct" {
		first(object(object(config["categories"])[d.Category])["max_latency_ms"], "max_latency_ms of "+d.Category)
	}
	first(limits["max_latency_ms"], "performance_constraints.max_latency_ms")
	if d.Strategy != "direct" {
		first(object(config["performance"])["delegation_latency_threshold_ms"], "performance.delegation_latency_threshold_ms")
	}
	switch {
	case limit < 0:
	case t.P95MS < 0:
		out = append(out, fmt.Sprintf("%s is %g ms; what %s takes is not known", from, limit, d.Tier))
	case t.P95MS > limit:
		out = append(out, fmt.Sprintf("%s is %g ms; p95 of %s is %.0f ms over %d: more than one in twenty goes beyond it, and may be cut off or fall back", from, limit, d.Tier, t.P95MS, t.Records))
	default:
		out = append(out, fmt.Sprintf("%s is %g ms; p95 of %s is %.0f ms over %d: within it", from, limit, d.Tier, t.P95MS, t.Records))
	}
	switch most := figure(limits["max_cost_per_request"]); {
	case most < 0:
	case t.MeanCost < 0:
		out = append(out, fmt.Sprintf("max_cost_per_request is %g; what %s costs is not known", most, d.Tier))
	case t.MeanCost > most:
		out = append(out, fmt.Sprintf("max_cost_per_request is %g; a request to %s costs %.4g in the mean over %d: beyond it, and may be refused", most, d.Tier, t.MeanCost, t.Costed))
	default:
		out = append(out, fmt.Sprintf("max_cost_per_request is %g; a request to %s costs %.4g in the mean over %d: within it", most, d.Tier, t.MeanCost, t.Costed))
	}
	return out
}

// destinations says in two lines where requests of a category go, below the threshold and
// from it on.
func destinations(config map[string]any, category string) []state.RouteDestination {
	th, _ := threshold(config)
	var out []state.RouteDestination
	for _, c := range []struct {
		when string
		at   float64
	}{{"below " + short64(th), math.Nextafter(th, -1)}, {"from " + short64(th), th}} {
		if c.at < 0 {
			continue
		}
		d := Decide(config, category, c.at)
		where := cmp.Or(d.Tier, "nowhere")
		for _, s := range d.Steps[1:] {
			where += ": " + s
		}
		if d.Strategy == "direct" {
			where += ", answered directly"
		}
		out = append(out, state.RouteDestination{When: c.when, Where: where})
	}
	return out
}

// errComplexity: a complexity is out of its range.
var errComplexity = errors.New("the complexity is a number from 0 to 1")

// Decide says where a request would go under a configuration, nil for the one
// in force. Its error may be of type Problems.
func (r *Service) Decide(text []byte, category string, complexity float64) (Decision, error) {
	if !(complexity >= 0 && complexity <= 1) {
		return Decision{}, errComplexity
	}
	config := r.config.Current()
	if text != nil {
		var err error
		if config, err = r.config.parse("", text); err != nil {
			return Decision{}, err
		}
	}
	if config == nil {
		return Decision{}, errors.New("there is no routing configuration: create " + r.config.rel)
	}
	d := Decide(config, category, complexity)
	d.Steps = append(d.Steps, Limits(config, d, Measured(r.delegations.list()))...)
	return d, nil
}

// Parse reads a routing configuration; file names it in errors, which are of
// type Problems.
func Parse(file string, text []byte) (map[string]any, error) {
	r, err := NewFile(file, file)
	if err != nil {
		return nil, err
	}
	return r.parse(file, text)
}
