package views

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

type routeCell = func(*pane.Env, *state.Route) (string, theme.Ink)

// routeKind is "category" or "tier".
func routeKind(r *state.Route) string {
	kind, _, _ := strings.Cut(r.ID, "/")
	return kind
}

// NewRouting makes the pane of the routing configuration.
func NewRouting(env *pane.Env) pane.Pane {
	text := func(f func(*state.Route) string) routeCell {
		return func(e *pane.Env, r *state.Route) (string, theme.Ink) { return f(r), e.Theme.Text }
	}
	count := func(f func(*state.Route) float64) routeCell {
		return func(e *pane.Env, r *state.Route) (string, theme.Ink) {
			if routeKind(r) != "tier" {
				return "", e.Theme.Dim
			}
			return pane.FiguresOf(e.Theme).Count(f(r)), e.Theme.Text
		}
	}
	return list.New(env, list.Spec[state.Route]{
		Info: pane.Info{
			Name: "routing", Title: "Routing", Section: state.SectionRouting,
			Acts:  []state.SectionName{state.SectionRouting},
			About: "Where requests go: the categories and the tiers of the routing configuration, and what the services count of them. Changes are staged first: x on a row, or e for the whole in your editor; the tab Staged shows the difference and what the last delegations would have done; x also tests where a request goes, and replays another threshold. E applies what is staged, and undoes it again unless A confirms it in time.",
			Keys:  []pane.KeyHelp{{Command: pane.Edit, Does: "edit the whole configuration in $EDITOR; nothing changes before it is applied"}},
		},
		Cols: []list.Column[state.Route]{
			{Title: "Kind", W: 8, Rank: 2, Cell: func(e *pane.Env, r *state.Route) (string, theme.Ink) { return routeKind(r), e.Theme.Dim }},
			{Title: "Name", W: 14, Flex: 2, Cell: text(func(r *state.Route) string { return r.Name }), Cmp: func(a, b *state.Route) int { return strings.Compare(a.ID, b.ID) }},
			{Title: "Goes to", W: 16, Flex: 2, Cell: routeGoes, Cmp: func(a, b *state.Route) int { return cmp.Compare(a.Tier, b.Tier) }},
			{Title: "Priority", W: 8, Rank: 3, Cell: text(func(r *state.Route) string { return r.Priority })},
			{Title: "Model", W: 12, Flex: 1, Rank: 5, Cell: text(func(r *state.Route) string { return strings.TrimSpace(r.Provider + " " + r.Model) })},
			{Title: "Max latency", W: 11, Right: true, Rank: 4, Cell: func(e *pane.Env, r *state.Route) (string, theme.Ink) {
				if r.MaxLatencyMS < 0 {
					return "", e.Theme.Dim
				}
				return pane.FiguresOf(e.Theme).Millis(r.MaxLatencyMS), e.Theme.Text
			}},
			{Title: "Requests", W: 8, Right: true, Rank: 1, Cell: count(func(r *state.Route) float64 { return r.Figures.Requests })},
			{Title: "Errors", W: 6, Right: true, Rank: 3, Cell: count(func(r *state.Route) float64 { return r.Figures.Errors })},
			{Title: "Latency", W: 8, Right: true, Rank: 2, Cell: func(e *pane.Env, r *state.Route) (string, theme.Ink) {
				if routeKind(r) != "tier" {
					return "", e.Theme.Dim
				}
				return pane.FiguresOf(e.Theme).Millis(r.Figures.LatencyMS), e.Theme.Text
			}},
		},
		Rows:   func(s *state.Snapshot) []state.Route { return s.Routing.Rows },
		ID:     func(r *state.Route) string { return r.ID },
		Target: func(r *state.Route) string { return r.ID },
		Name:   func(r *state.Route) string { return routeKind(r) + " " + r.Name },
		Text: func(r *state.Route) string {
			return strings.Join([]string{r.ID, r.Tier, r.Provider, r.Model, r.Priority}, " ")
		},
		Health: func(s *state.Snapshot) state.Health { return s.Routing.Health },
		Deps:   []state.SectionName{state.SectionRouting},
		Head:   routingHead,
		Empty: func(s *state.Snapshot) string {
			if s.Routing.File == "" {
				return "there is no routing configuration: create config/routing_config.json"
			}
			return "the configuration names no categories and no tiers; its detail has it as a whole"
		},
		Summary: routingSummary,
		Tabs: []list.Tab[state.Route]{
			{Title: "Overview", Draw: routeOverview}, {Title: "Test", Draw: routeTests}, {Title: "Staged", Draw: routeStaged}, {Title: "Replay", Draw: routeReplay}, {Title: "History", Draw: routeHistory}, {Title: "JSON", Draw: routeJSON},
		},
	})
}

var routeGoes routeCell = func(e *pane.Env, r *state.Route) (string, theme.Ink) {
	t := e.Theme
	switch {
	case routeKind(r) == "category":
		return t.Arrow + " " + r.Tier, t.Text
	case r.Unlisted:
		return t.Caution + " not listed", t.Warn
	case !r.Enabled:
		return t.Off + " disabled", t.Dim
	}
	return t.OK + " " + cmp.Or(r.Endpoint, "enabled"), t.Text
}

// routingThreshold says from which complexity on is delegated, and within what.
func routingThreshold(e *pane.Env, r *state.Routing) string {
	f := pane.FiguresOf(e.Theme)
	out := fmt.Sprintf("threshold %g (%s)", r.Threshold, r.ThresholdFrom)
	if r.MaxLatencyMS >= 0 {
		out += ", at most " + f.Millis(r.MaxLatencyMS)
	}
	if r.MaxCost >= 0 {
		out += fmt.Sprintf(", at most %g a request", r.MaxCost)
	}
	return out
}

func routingHead(e *pane.Env, s *state.Snapshot, w, h int) (out []string) {
	t, r := e.Theme, &s.Routing
	put := func(ink theme.Ink, text string) {
		if h >= 5+len(out) {
			out = append(out, pane.NewLine(t, w, false).Put(ink, text).String())
		}
	}
	if tr := r.Trial; tr != nil {
		put(t.Warn, fmt.Sprintf("%s the change by %s is undone at %s: A confirms it", t.Caution, tr.By.User, e.When(tr.Until)))
	}
	if g := r.Staged; g != nil {
		put(t.Accent, fmt.Sprintf("%s staged by %s: %s, +%d -%d lines: E applies it", t.Wait, g.By.User, g.What, g.Added, g.Removed))
	}
	if r.Problem != "" {
		put(t.Warn, t.Caution+" "+r.Problem)
	}
	if r.Unkept != "" {
		put(t.Warn, t.Caution+" "+r.Unkept)
	}
	if r.JSON != "" && h >= 8 {
		put(t.Text, routingThreshold(e, r))
	}
	return out
}

func routingSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t, r := e.Theme, &s.Routing
	if r.JSON == "" {
		return []pane.Span{{Ink: t.Dim, Text: "none"}}
	}
	out := []pane.Span{{Ink: t.Dim, Text: fmt.Sprintf("%d categories, %d tiers, threshold %g", r.Categories, r.Tiers, r.Threshold)}}
	if r.Trial != nil {
		out = append(out, pane.Span{Ink: t.Warn, Text: t.Caution + " undone in " + pane.FiguresOf(t).Span(max(0, r.Trial.Until.Sub(e.Now())))})
	}
	if r.Staged != nil {
		out = append(out, pane.Span{Ink: t.Accent, Text: t.Wait + " staged"})
	}
	if r.Problem != "" {
		out = append(out, pane.Span{Ink: t.Bad, Text: t.Wrong + " bad file"})
	}
	return out
}

func routeOverview(d *pane.Doc, s *state.Snapshot, r *state.Route) {
	e := d.Env
	t, f, c := e.Theme, pane.FiguresOf(e.Theme), &s.Routing
	d.KV("kind", t.Text, routeKind(r))
	if routeKind(r) == "category" {
		d.KV("tier", t.Text, r.Tier)
		d.KV("provider", t.Text, r.Provider)
		d.KV("model", t.Text, r.Model)
		if r.MaxLatencyMS >= 0 {
			d.KV("max latency", t.Text, f.Millis(r.MaxLatencyMS))
		}
	} else {
		word, ink := routeGoes(e, r)
		d.KV("state", ink, word)
		d.KV("endpoint", t.Text, r.Endpoint)
		if r.MaxConcurrent > 0 {
			d.KV("at a time", t.Text, fmt.Sprintf("%d requests", r.MaxConcurrent))
		}
		d.KV("requests", t.Text, f.Count(r.Figures.Requests))
		d.KV("errors", t.Text, f.Count(r.Figures.Errors))
		d.KV("fallbacks", t.Text, f.Count(r.Figures.Fallbacks))
		d.KV("latency", t.Text, f.Millis(r.Figures.LatencyMS))
	}
	d.KV("priority", t.Text, r.Priority)
	if len(r.Goes) > 0 {
		d.Head("Where it goes")
		for _, g := range r.Goes {
			d.KV(g.When, t.Text, g.Where)
		}
	}
	d.Head("The configuration")
	d.KV("file", t.Text, c.File)
	d.KV("loaded", t.Text, e.When(c.Loaded))
	d.KV("threshold", t.Text, routingThreshold(e, c))
	d.KV("problem", t.Warn, c.Problem)
	for _, w := range c.Warnings {
		d.KV("odd", t.Warn, w)
	}
	d.KV("delegations", t.Text, fmt.Sprintf("%d are known for a replay", c.Delegations))
	d.KV("figures", t.Dim, c.Figures)
	if len(c.Providers) > 0 {
		d.Head("Providers")
		for _, p := range c.Providers {
			d.KV(p.Title, t.Text, fmt.Sprintf("%s requests, %s errors, %s", f.Count(p.Requests), f.Count(p.Errors), f.Millis(p.LatencyMS)))
		}
	}
}
