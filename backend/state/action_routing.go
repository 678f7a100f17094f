package state

import (
	"fmt"
	"strconv"
	"strings"
)

// The kinds of action on routing.
const (
	RoutingReload    Kind = "routing.reload"
	RoutingSet       Kind = "routing.set"
	RoutingStage     Kind = "routing.stage"
	RoutingThreshold Kind = "routing.threshold"
	RoutingRoute     Kind = "routing.route"
	RoutingRemove    Kind = "routing.remove"
	RoutingApply     Kind = "routing.apply"
	RoutingDiscard   Kind = "routing.discard"
	RoutingConfirm   Kind = "routing.confirm"
	RoutingRevert    Kind = "routing.revert"
	RoutingRollback  Kind = "routing.rollback"
	RoutingTest      Kind = "routing.test"
	RoutingReplay    Kind = "routing.replay"
)

var routingSpecs = []Spec{
	{Kind: RoutingReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "routing configuration", Section: SectionRouting, Risk: Safe, CLI: CLI{Short: "read the routing configuration again"}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.File == "" {
				return "there is no routing configuration: create config/routing_config.json"
			}
			return ""
		}},
	{Kind: RoutingSet, Verb: "set", Past: "set", Noun: "routing configuration", Section: SectionRouting, Risk: Confirm, Global: "routing", Hidden: true},
	{Kind: RoutingStage, Verb: "stage", Past: "staged", Noun: "change of routing", Section: SectionRouting, Risk: Safe, CLI: CLI{Use: "routing stage FILE", Short: "check a whole configuration and stage it; - is standard input", Keys: []string{"config"}}, Global: "routing", Hidden: true},
	{Kind: RoutingConfirm, Key: "A", Verb: "confirm", Past: "confirmed", Noun: "change of routing", Section: SectionRouting, Risk: Safe, CLI: CLI{Short: "keep a change that would be undone"}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Trial == nil {
				return "no change waits to be confirmed"
			}
			return ""
		}},
	{Kind: RoutingApply, Key: "E", Verb: "apply", Past: "applied", Noun: "staged change of routing", Section: SectionRouting, Risk: Confirm, CLI: CLI{Use: "routing apply [FILE]", Short: "put what is staged in force, or a whole configuration at once; - is standard input", Keys: []string{"config"}, Flags: routingFlags}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			switch {
			case s.Routing.Trial != nil:
				return "the last change, by " + s.Routing.Trial.By.User + ", is not confirmed yet"
			case s.Routing.Staged == nil:
				return "nothing is staged: change a row with x, or edit the whole with e"
			}
			return ""
		}, Impact: stagedImpact, Fields: func(s *Snapshot, _ string) []Field { return routingFields(s) },
		Given: func(s *Snapshot, _ string) map[string]string {
			if g := s.Routing.Staged; g != nil {
				return map[string]string{"staged": g.Tag}
			}
			return nil
		}},
	{Kind: RoutingDiscard, Verb: "discard", Past: "discarded", Noun: "staged change of routing", Section: SectionRouting, Risk: Confirm, CLI: CLI{Short: "drop what is staged"}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Staged == nil {
				return "nothing is staged"
			}
			return ""
		}},
	{Kind: RoutingRevert, Verb: "revert", Past: "reverted", Noun: "unconfirmed change of routing", Section: SectionRouting, Risk: Confirm, CLI: CLI{Short: "undo a change that is not confirmed"}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Trial == nil {
				return "no change waits to be confirmed: roll back to a version instead"
			}
			return ""
		}},
	{Kind: RoutingRollback, Verb: "roll back", Past: "rolled back", Noun: "routing configuration", Section: SectionRouting, Risk: Confirm, CLI: CLI{Use: "routing rollback VERSION", Short: "put an earlier version in force again", Keys: []string{"version"}, Flags: routingFlags}, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			switch {
			case s.Routing.Trial != nil:
				return "a change waits to be confirmed: revert it"
			case len(s.Routing.History) < 2:
				return "no earlier version is kept"
			}
			return ""
		}, Fields: func(s *Snapshot, _ string) []Field {
			to := ""
			if h := s.Routing.History; len(h) > 1 {
				to = fmt.Sprint(h[1].Version)
			}
			return append([]Field{{Key: "version", Label: "To version", Hint: "the tab History lists them", Default: to, Required: true}}, routingFields(s)...)
		}},
	{Kind: RoutingThreshold, Verb: "change", Past: "changed", Noun: "threshold and constraints", Section: SectionRouting, Risk: Safe, CLI: CLI{Use: "routing threshold", Short: "stage another threshold or other constraints"}, Global: "routing",
		Disabled: routingEditable, Fields: func(s *Snapshot, _ string) []Field {
			r := s.Routing.Prepared()
			return []Field{
				{Key: "threshold", Label: "Threshold", Hint: "complexity from which on is delegated, 0 to 1; lower sends more to the heavy tier", Default: plain(r.Threshold)},
				{Key: "max_latency_ms", Label: "Max latency", Hint: "in ms; empty for none", Default: plain(r.MaxLatencyMS)},
				{Key: "max_cost_per_request", Label: "Max cost", Hint: "of a request; empty for none", Default: plain(r.MaxCost)},
			}
		}},
	{Kind: RoutingRoute, Verb: "change", Past: "changed", Noun: "category or tier", Section: SectionRouting, Risk: Safe, CLI: CLI{Use: "routing change ROUTE", Short: "stage a change of a category or tier, by its name in the list",
		Flags: []Flag{{Key: "tier"}, {Key: "provider", Help: "empty for the tier's"}, {Key: "model", Help: "empty for the tier's"}, {Key: "priority", Help: "low, medium or high; of a tier 1, 2, ..."},
			{Key: "max_latency_ms", Help: "in whole ms"}, {Key: "enabled", Help: "of a tier: yes or no"}, {Key: "endpoint", Help: "of a tier"}, {Key: "max_concurrent_requests", Help: "of a tier"}}},
		Disabled: routeDisabled(func(*Route) string { return "" }), Fields: func(s *Snapshot, t string) []Field {
			r := s.Routing.Prepared().Row(t)
			switch {
			case r == nil:
				return nil
			case strings.HasPrefix(t, "tier/"):
				enabled := "no"
				if r.Enabled {
					enabled = "yes"
				}
				return []Field{
					{Key: "enabled", Label: "Enabled", Hint: "yes or no", Default: enabled, Required: true},
					{Key: "endpoint", Label: "Endpoint", Default: r.Endpoint},
					{Key: "max_concurrent_requests", Label: "At a time", Hint: "requests", Default: plain(float64(r.MaxConcurrent))},
					{Key: "priority", Label: "Priority", Hint: "1 is tried first", Default: r.Priority},
				}
			}
			return []Field{
				{Key: "tier", Label: "Tier", Default: r.Tier, Required: true},
				{Key: "provider", Label: "Provider", Hint: "empty for the tier's", Default: r.Provider},
				{Key: "model", Label: "Model", Hint: "empty for the tier's", Default: r.Model},
				{Key: "priority", Label: "Priority", Hint: "low, medium or high", Default: r.Priority},
				{Key: "max_latency_ms", Label: "Max latency", Hint: "in whole ms; empty for none", Default: plain(r.MaxLatencyMS)},
			}
		}},
	{Kind: RoutingRemove, Verb: "remove", Past: "removed", Noun: "category", Section: SectionRouting, Risk: Confirm, CLI: CLI{Use: "routing remove ROUTE", Short: "stage the removal of a category"},
		Disabled: routeDisabled(func(r *Route) string {
			if strings.HasPrefix(r.ID, "tier/") {
				return "only categories can be removed here: edit the whole with e"
			}
			return ""
		}), Impact: func(*Snapshot, string) []string {
			return []string{"it is staged only: nothing changes before that is applied"}
		}},
	{Kind: RoutingTest, Verb: "test", Past: "tested", Noun: "where a request goes", Section: SectionRouting, Risk: Safe, CLI: CLI{None: true}, Looks: true,
		Disabled: func(s *Snapshot, t string) string {
			if why := routingEditable(s, t); why != "" {
				return why
			}
			if t == "" || strings.HasPrefix(t, "tier/") {
				return "a request has a category: choose one, or an unknown one with opsdeck routing test"
			}
			return ""
		}, Fields: func(_ *Snapshot, t string) []Field {
			return []Field{
				{Key: "category", Label: "Category", Hint: "of the request; one that is not configured goes to heavy", Default: strings.TrimPrefix(t, "category/"), Required: true},
				{Key: "complexity", Label: "Complexity", Hint: "0 to 1", Default: "0.7", Required: true},
			}
		}},
	{Kind: RoutingReplay, Verb: "replay", Past: "replayed", Noun: "the last delegations", Section: SectionRouting, Risk: Safe, CLI: CLI{None: true}, Looks: true, Global: "routing",
		Disabled: func(s *Snapshot, t string) string {
			if why := routingEditable(s, t); why != "" {
				return why
			}
			if s.Routing.Delegations == 0 {
				return "none are known: they are read from JSON log lines with a complexity, or sent to POST /admin/delegations"
			}
			return ""
		}, Fields: func(s *Snapshot, _ string) []Field {
			return []Field{
				{Key: "threshold", Label: "Threshold", Hint: "0 to 1: another than what is staged, or in force, has", Default: plain(s.Routing.Prepared().Threshold)},
				{Key: "since", Label: "Of the last", Hint: "a time such as 2h or 7d; empty for all"},
			}
		}},
}

// routingFlags are those of [routingFields] on the command line.
var routingFlags = []Flag{
	{Key: "why", Help: "what the next person should know"},
	{Key: "confirm_within", Help: "undo it unless it is confirmed within this `TIME`, such as 2m"},
}

// routingFields returns what every change of routing that is put in force asks for.
func routingFields(s *Snapshot) []Field {
	why := Field{Key: "why", Label: "Why", Hint: "what the next person should know"}
	if s.Modules.Cannot[RoutingConfirm] != "" { // nobody would undo it
		return []Field{why}
	}
	return []Field{
		why,
		{Key: "confirm_within", Label: "Undo after", Hint: "unless confirmed within this time, such as 2m; empty: never", Default: "2m"},
	}
}

// stagedImpact returns what the staged change would do.
func stagedImpact(s *Snapshot, _ string) []string {
	g := s.Routing.Staged
	if g == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s, by %s: +%d -%d lines", g.What, g.By.User, g.Added, g.Removed)}
	return append(append(out, g.ReplayDiff...), g.Warnings...)
}

func routingEditable(s *Snapshot, _ string) string {
	switch {
	case s.Routing.JSON == "" && s.Routing.Problem != "":
		return s.Routing.Problem
	case s.Routing.JSON == "":
		return "there is no routing configuration: create config/routing_config.json"
	}
	return ""
}

func routeDisabled(f func(*Route) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		if why := routingEditable(s, t); why != "" {
			return why
		}
		r := s.Routing.Row(t)
		if r == nil {
			return notFound("category or tier", t)
		}
		if r.Unlisted {
			return "categories name it, and the tiers do not list it: edit the whole with e"
		}
		return f(r)
	}
}

// plain returns a number as one types it; "" for one below 0.
func plain(v float64) string {
	if v < 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
