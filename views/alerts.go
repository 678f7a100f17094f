package views

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

type alertCell = func(*pane.Env, *state.Alert) (string, theme.Ink)

func alertRank(a *state.Alert) int {
	n := map[state.AlertState]int{state.AlertFiring: 0, state.AlertPending: 10, state.AlertResolved: 20}[a.State]
	switch {
	case a.State == state.AlertInactive || a.State == "":
		return 30
	case a.State == state.AlertFiring && (a.AckedBy != "" || a.SilenceID != ""):
		n += 5
	}
	return n + severityRank(a.Severity)
}

func severityRank(s string) int {
	switch s {
	case "critical", "page", "emergency":
		return 0
	case "error", "high":
		return 1
	case "warning":
		return 2
	case "info":
		return 3
	}
	return 4
}

// NewAlerts makes the pane of alerts.
func NewAlerts(env *pane.Env) pane.Pane {
	return list.New(env, list.Spec[state.Alert]{
		Info: pane.Info{
			Name: "alerts", Title: "Alerts", Section: state.SectionAlerts,
			Band:  2,
			Acts:  []state.SectionName{state.SectionAlerts},
			About: "What the rule files say, evaluated here by Prometheus' own rules: firing first, then pending, recently resolved, and the rules that are inactive.",
		},
		Order: "State",
		Cols: []list.Column[state.Alert]{
			{Title: "State", W: 10, Cell: alertState, Cmp: func(a, b *state.Alert) int { return cmp.Compare(alertRank(a), alertRank(b)) }},
			{Title: "Alert", W: 12, Flex: 2, Cell: func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
				if a.State == state.AlertInactive {
					return a.Rule, e.Theme.Dim
				}
				return a.Rule, e.Theme.Text
			}, Cmp: func(a, b *state.Alert) int { return strings.Compare(a.Rule, b.Rule) }},
			{Title: "On", W: 12, Flex: 2, Rank: 2, Cell: func(e *pane.Env, a *state.Alert) (string, theme.Ink) { return alertOn(a), e.Theme.Dim }},
			{Title: "Severity", W: 9, Rank: 3, Cell: alertSeverity, Cmp: func(a, b *state.Alert) int {
				return cmp.Compare(severityRank(a.Severity), severityRank(b.Severity))
			}},
			{Title: "Since", W: 6, Right: true, Rank: 1, Cell: func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
				return pane.FiguresOf(e.Theme).Age(e.Now(), a.Since), e.Theme.Text
			}, Cmp: func(a, b *state.Alert) int { return b.Since.Compare(a.Since) }},
			{Title: "Value", W: 9, Right: true, Rank: 4, Cell: func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
				return alertValue(e.Theme, a), e.Theme.Text
			}},
			{Title: "Ack or silence", W: 14, Rank: 5, Cell: alertHeld},
			{Title: "Summary", W: 24, Flex: 4, Rank: 6, Cell: func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
				if a.Err != "" {
					return a.Err, e.Theme.Bad
				}
				return alertSummary(a), e.Theme.Dim
			}},
		},
		Rows:   func(s *state.Snapshot) []state.Alert { return s.Alerts.List },
		ID:     func(a *state.Alert) string { return a.ID },
		Target: func(a *state.Alert) string { return a.ID },
		Name:   func(a *state.Alert) string { return strings.TrimSpace(a.Rule + " " + alertOn(a)) },
		Text: func(a *state.Alert) string {
			return strings.Join([]string{a.Rule, string(a.State), a.Severity, a.Group, alertOn(a), alertSummary(a)}, " ")
		},
		Health:  func(s *state.Snapshot) state.Health { return s.Alerts.Health },
		Deps:    []state.SectionName{state.SectionAlerts}, // a match is evidence, and so changes it
		Head:    alertsHead,
		Empty:   func(*state.Snapshot) string { return "no rules are loaded: put rule files in config/prometheus/rules" },
		Summary: alertsSummary,
		Tabs:    []list.Tab[state.Alert]{{Title: "Overview", Draw: alertOverview}, {Title: "Rule group", Draw: alertGroup}, {Title: "Silences", Draw: alertSilences}},
	})
}

var alertState alertCell = func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
	t := e.Theme
	if a.Err != "" {
		return t.Wrong + " error", t.Bad
	}
	switch a.State {
	case state.AlertFiring:
		if a.AckedBy != "" || a.SilenceID != "" {
			return t.Wrong + " firing", t.Dim
		}
		return t.Wrong + " firing", t.Bad
	case state.AlertPending:
		return t.Caution + " pending", t.Warn
	case state.AlertResolved:
		return t.OK + " resolved", t.Good
	}
	return t.Off + " inactive", t.Faint
}

var alertSeverity alertCell = func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
	if a.Severity == "" {
		return e.Theme.Unknown, e.Theme.Dim
	}
	if a.State != state.AlertFiring && a.State != state.AlertPending {
		return a.Severity, e.Theme.Dim
	}
	switch severityRank(a.Severity) {
	case 0, 1:
		return a.Severity, e.Theme.Bad
	case 2:
		return a.Severity, e.Theme.Warn
	}
	return a.Severity, e.Theme.Text
}

var alertHeld alertCell = func(e *pane.Env, a *state.Alert) (string, theme.Ink) {
	switch {
	case a.SilenceID != "":
		return "silenced " + pane.FiguresOf(e.Theme).Span(a.SilencedUntil.Sub(e.Now())), e.Theme.Dim
	case a.AckedBy != "":
		return "acked " + a.AckedBy, e.Theme.Dim
	}
	return "", e.Theme.Dim
}

func alertValue(t *theme.Theme, a *state.Alert) string {
	if a.State == state.AlertInactive || math.IsNaN(a.Value) {
		return t.Unknown
	}
	return strconv.FormatFloat(a.Value, 'g', 5, 64)
}

// alertOn returns what the alert is about, from the label that says so best.
func alertOn(a *state.Alert) string {
	for _, k := range []string{"module", "container", "name", "queue", "service", "instance", "job", "log"} {
		if v := a.Labels[k]; v != "" {
			return v
		}
	}
	var rest []string
	for k, v := range a.Labels {
		if k != "alertname" && k != "severity" {
			rest = append(rest, k+"="+v)
		}
	}
	slices.Sort(rest)
	return strings.Join(rest, " ")
}

func alertSummary(a *state.Alert) string {
	for _, k := range []string{"summary", "message", "description"} {
		if v := a.Annotations[k]; v != "" {
			return v
		}
	}
	return a.Query
}

func alertsHead(e *pane.Env, s *state.Snapshot, w, h int) []string {
	t := e.Theme
	var out []string
	for i, p := range s.Alerts.Problems {
		if i == 2 || h < 6 {
			break
		}
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" "+p).String())
	}
	return out
}

// Firing counts the alerts that fire and that nobody holds, by severity.
func Firing(s *state.Snapshot) (critical, warning, other int) {
	for i := range s.Alerts.List {
		a := &s.Alerts.List[i]
		if a.State != state.AlertFiring || a.SilenceID != "" || a.AckedBy != "" {
			continue
		}
		switch severityRank(a.Severity) {
		case 0, 1:
			critical++
		case 2:
			warning++
		default:
			other++
		}
	}
	return critical, warning, other
}

func alertsSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t := e.Theme
	c, w, o := Firing(s)
	pending, rules := 0, 0
	for i := range s.Alerts.List {
		if s.Alerts.List[i].State == state.AlertPending {
			pending++
		}
	}
	for _, g := range s.Alerts.Groups {
		rules += g.Rules
	}
	var out []pane.Span
	if c+w+o > 0 {
		ink := t.Warn
		if c > 0 {
			ink = t.Bad
		}
		out = append(out, pane.Span{Ink: ink, Text: fmt.Sprintf("%s %d firing", t.Wrong, c+w+o)})
	} else {
		out = append(out, pane.Span{Ink: t.Dim, Text: "none firing"})
	}
	if pending > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d pending", t.Caution, pending)})
	}
	out = append(out, pane.Span{Ink: t.Dim, Text: state.Plural(rules, "rule")})
	if n := len(s.Alerts.Problems); n > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %s refused", t.Caution, state.Plural(n, "file"))})
	}
	return out
}

// alertWatch returns the watch of logs that an alert is of, and adds what it has seen.
func alertWatch(d *pane.Doc, s *state.Snapshot, a *state.Alert) *state.LogWatch {
	w := s.Logs.Watch(a.Labels["watch"])
	if w == nil {
		return nil
	}
	t, f := d.Env.Theme, pane.FiguresOf(d.Env.Theme)
	d.Head("Watch")
	d.KV("filter", t.Info, w.Where)
	d.KV("in", t.Text, fmt.Sprintf("%s, which is %s now", w.Source, state.Plural(w.Sources, "log")))
	d.KV("matches", t.Text, fmt.Sprintf("%d within %s, %d since %s", w.Recent, f.Span(w.Window), w.Matches, d.Env.When(w.Since)))
	if w.Last == "" {
		d.KV("last match", t.Dim, "none yet")
		return w
	}
	d.KV("last match", t.Text, d.Env.When(w.LastAt)+" in "+w.LastSource)
	d.Text(t.Text, w.Last)
	return w
}

func alertOverview(d *pane.Doc, s *state.Snapshot, a *state.Alert) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	st, ink := alertState(e, a)
	d.KV("state", ink, st)
	sev, ink := alertSeverity(e, a)
	d.KV("severity", ink, sev)
	d.KV("summary", t.Text, alertSummary(a))
	d.KV("error", t.Bad, a.Err)
	d.KV("value", t.Text, alertValue(t, a))
	if !a.Since.IsZero() {
		d.KV("active since", t.Text, e.When(a.Since))
	}
	if !a.Fired.IsZero() {
		d.KV("fired", t.Text, e.When(a.Fired))
	}
	if !a.Resolved.IsZero() {
		d.KV("resolved", t.Text, e.When(a.Resolved))
	}
	if a.AckedBy != "" {
		d.KV("acknowledged", t.Text, "by "+a.AckedBy+", "+e.When(a.AckedAt))
	}
	if a.SilenceID != "" {
		d.KV("silenced", t.Text, "by "+a.SilencedBy+" until "+e.When(a.SilencedUntil))
	}
	notes := a.Annotations
	if alertWatch(d, s, a) != nil { // which has them newer
		notes = maps.Clone(notes)
		delete(notes, "filter")
		delete(notes, "last_match")
	}
	d.Head("Rule")
	d.KV("name", t.Text, a.Rule)
	d.KV("group", t.Text, a.Group)
	d.KV("file", t.Text, a.File)
	if a.For > 0 {
		d.KV("holds for", t.Text, f.Span(a.For)+" before it fires")
	}
	d.KV("query", t.Info, a.Query)
	if len(a.Labels) > 0 {
		d.Head("Labels")
		pairs(d, a.Labels)
	}
	if len(notes) > 0 {
		d.Head("Annotations")
		pairs(d, notes)
	}
	d.Gap()
	d.KV("id", t.Dim, a.ID)
}

func alertGroup(d *pane.Doc, s *state.Snapshot, a *state.Alert) {
	t, f := d.Env.Theme, pane.FiguresOf(d.Env.Theme)
	for _, g := range s.Alerts.Groups {
		if g.Title != a.Group || (a.File != "" && g.File != a.File) {
			continue
		}
		d.KV("group", t.Strong, g.Title)
		d.KV("file", t.Text, g.File)
		d.KV("rules", t.Text, fmt.Sprint(g.Rules))
		d.KV("every", t.Text, f.Span(g.Interval))
		d.KV("evaluated", t.Text, d.Env.When(g.LastEval))
		d.KV("took", t.Text, f.Millis(float64(g.Duration.Microseconds())/1000))
		d.KV("error", t.Bad, g.Err)
	}
	for _, p := range s.Alerts.Problems {
		d.Text(t.Warn, p)
	}
}

func alertSilences(d *pane.Doc, s *state.Snapshot, _ *state.Alert) {
	t := d.Env.Theme
	if len(s.Alerts.Silences) == 0 {
		d.Text(t.Dim, "no silences")
	}
	for _, x := range s.Alerts.Silences {
		d.Text(t.Strong, strings.Join(x.Matchers, ", "))
		d.KV("until", t.Text, d.Env.When(x.Ends))
		d.KV("by", t.Text, x.By)
		d.KV("why", t.Text, x.Comment)
	}
}
