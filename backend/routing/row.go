package routing

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// describe fills in what a section says of a configuration.
func describe(out *state.Routing, config map[string]any, clean func(string) string) {
	out.Threshold, out.ThresholdFrom = threshold(config)
	limits := object(config["performance_constraints"])
	out.MaxLatencyMS, out.MaxCost = figure(limits["max_latency_ms"]), figure(limits["max_cost_per_request"])
	categories, tiers := object(config["categories"]), object(config["tiers"])
	none := state.RouteFigures{Requests: -1, Errors: -1, LatencyMS: -1, Fallbacks: -1}
	named := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(categories)) {
		c := object(categories[name])
		r := state.Route{ID: "category/" + clean(name), Name: clean(name), Tier: clean(words(c["tier"])), Provider: clean(words(c["provider"])), Model: clean(words(c["model"])),
			Priority: clean(words(c["priority"])), MaxLatencyMS: figure(c["max_latency_ms"]), Figures: none}
		r.Goes = destinations(config, name)
		named[words(c["tier"])] = true
		out.Rows = append(out.Rows, r)
	}
	for _, name := range slices.Sorted(maps.Keys(tiers)) {
		t := object(tiers[name])
		on, said := t["enabled"].(bool)
		out.Rows = append(out.Rows, state.Route{ID: "tier/" + clean(name), Name: clean(name), Endpoint: clean(words(t["endpoint"])), Priority: clean(words(t["priority"])),
			MaxConcurrent: max(0, int(figure(t["max_concurrent_requests"]))), Enabled: on || !said, MaxLatencyMS: -1, Figures: none})
		delete(named, name)
	}
	if len(tiers) > 0 {
		for _, name := range slices.Sorted(maps.Keys(named)) {
			out.Rows = append(out.Rows, state.Route{ID: "tier/" + clean(name), Name: clean(name), Unlisted: true, MaxLatencyMS: -1, Figures: none})
		}
	}
	for _, w := range oddities(config) {
		out.Warnings = append(out.Warnings, clean(w))
	}
}

// oddities returns what holds to the schema and is odd all the same.
func oddities(config map[string]any) (out []string) {
	categories, tiers := object(config["categories"]), object(config["tiers"])
	missing, off := map[string][]string{}, map[string][]string{}
	for name, v := range categories {
		tier := words(object(v)["tier"])
		t, ok := tiers[tier]
		if on, said := object(t)["enabled"].(bool); ok && said && !on {
			off[tier] = append(off[tier], name)
		} else if !ok && len(tiers) > 0 {
			missing[tier] = append(missing[tier], name)
		}
	}
	say := func(list map[string][]string, format string) {
		for _, tier := range slices.Sorted(maps.Keys(list)) {
			slices.Sort(list[tier])
			out = append(out, fmt.Sprintf(format, tier, strings.Join(list[tier], ", ")))
		}
	}
	say(missing, "tier %s is not among the tiers; it is that of %s")
	say(off, "tier %s is disabled; it is that of %s")
	_, short := config["lidm_delegation_threshold"]
	if direct := figure(object(config["performance"])["complexity_threshold_direct"]); short && direct >= 0 {
		if th, _ := threshold(config); th != direct {
			out = append(out, fmt.Sprintf("lidm_delegation_threshold is %s and performance.complexity_threshold_direct %s: the first holds", short64(th), short64(direct)))
		}
	}
	return out
}

// figure returns a JSON number; -1 where there is none.
func figure(v any) float64 {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	f, err := n.Float64()
	if err != nil {
		return -1
	}
	return f
}

// words returns a JSON string or number as text; "" for anything else.
func words(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func short64(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// defaultThreshold is the guide's.
const defaultThreshold = 0.7

// threshold returns the complexity from which on is delegated, and the member that says so.
func threshold(config map[string]any) (v float64, from string) {
	if v := figure(config["lidm_delegation_threshold"]); v >= 0 {
		return v, "lidm_delegation_threshold"
	}
	if v := figure(object(config["performance"])["complexity_threshold_direct"]); v >= 0 {
		return v, "performance.complexity_threshold_direct"
	}
	return defaultThreshold, "default"
}
