package state

import (
	"fmt"
	"slices"
	"strconv"
)

var alertsSection = Descriptor{
	Name: SectionAlerts, Noun: "alert", Actions: alertSpecs,
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Alerts.List {
			ids = append(ids, s.Alerts.List[i].ID)
		}
		return ids
	},
	Canonical: func(s *Snapshot, target string) string {
		if a := s.Alerts.Alert(target); a != nil {
			return a.ID
		}
		return ""
	},
	Called: func(s *Snapshot, target string) string {
		if a := s.Alerts.Alert(target); a != nil {
			return a.Rule
		}
		return ""
	},
	Summary: func(s *Snapshot) string {
		text := Plural(len(s.Alerts.Groups), "rule group")
		if s.Alerts.Evaluated.IsZero() {
			text += ", not evaluated yet: the engine has just started"
		}
		return text
	},
	Troubles: func(s *Snapshot) (out []Trouble) {
		for i := range s.Alerts.List {
			if a := &s.Alerts.List[i]; a.State == AlertFiring {
				out = append(out, Trouble{RankAlert, fmt.Sprintf("alert %s is firing: %s", a.Rule, firstLine(a.Annotations["summary"], a.Query)), a.ID})
			}
		}
		return append(out, problems(s.Alerts.Problems)...)
	},
	Urgent: func(a, b *Snapshot) bool {
		return !slices.EqualFunc(a.Alerts.List, b.Alerts.List, func(x, y Alert) bool { return x.ID == y.ID && x.State == y.State })
	},
	Lists: []List{
		{Short: "list all alerts and rules",
			Columns: []string{"ALERT", "STATE", "SEVERITY", "VALUE", "SINCE", "ACKNOWLEDGED", "SILENCED", "SUMMARY"},
			JSON:    func(s *Snapshot) any { return s.Alerts.List },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Alerts.List, func(a *Alert) Row {
					id, value, silenced := a.ID, "", ""
					if a.State == AlertInactive {
						id = a.Rule
					} else {
						value = strconv.FormatFloat(a.Value, 'g', 5, 64)
					}
					if a.SilenceID != "" {
						silenced = "until " + clock(a.SilencedUntil, "15:04")
					}
					return Row{ID: a.ID, Bad: a.State == AlertFiring,
						Cells: []any{id, string(a.State), a.Severity, value, a.Since, a.AckedBy, silenced, firstLine(a.Err, a.Annotations["summary"])}}
				})
			}},
		{Group: "rules", Short: "list rule groups",
			Columns: []string{"GROUP", "FILE", "RULES", "INTERVAL", "EVALUATED", "ERROR"},
			JSON: func(s *Snapshot) any {
				return map[string]any{"groups": s.Alerts.Groups, "problems": s.Alerts.Problems}
			},
			Rows: func(s *Snapshot) []Row {
				rows := rowsOf(s.Alerts.Groups, func(g *RuleGroup) Row {
					return Row{ID: g.Title, Bad: g.Err != "", Cells: []any{g.Title, g.File, g.Rules, g.Interval, g.LastEval, g.Err}}
				})
				for _, p := range s.Alerts.Problems {
					rows = append(rows, Row{Bad: true, Cells: []any{"(not loaded)", nil, nil, nil, nil, p}})
				}
				return rows
			}},
	},
}

// Describe implements Section.
func (Alerts) Describe() *Descriptor { return &alertsSection }
