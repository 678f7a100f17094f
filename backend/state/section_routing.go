package state

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

var routingSection = Descriptor{
	Name: SectionRouting, Noun: "route", Actions: routingSpecs,
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Routing.Rows {
			ids = append(ids, s.Routing.Rows[i].ID)
		}
		return ids
	},
	Lists: []List{
		{Short: "list categories and tiers, and what the services count of them",
			Columns: []string{"ROUTE", "GOES-TO", "PRIORITY", "MODEL", "MAX-LATENCY", "REQUESTS", "ERRORS", "LATENCY"},
			JSON:    func(s *Snapshot) any { return s.Routing },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Routing.Rows, func(r *Route) Row {
					to := cmp.Or(r.Tier, r.Endpoint)
					if r.Unlisted {
						to = "(not listed)"
					}
					return Row{ID: r.ID, Bad: r.Unlisted, Cells: []any{r.ID, to, r.Priority, strings.TrimSpace(r.Provider + " " + r.Model), Unit{r.MaxLatencyMS, -1, "ms"},
						r.Figures.Requests, r.Figures.Errors, Unit{r.Figures.LatencyMS, -1, "ms"}}}
				})
			}},
		{Use: "history", Short: "list the versions that were in force, newest first",
			Columns: []string{"VERSION", "TIME", "HOW", "BY", "LINES", "WHY"},
			JSON:    func(s *Snapshot) any { return s.Routing.History },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Routing.History, func(v *RoutingVersion) Row {
					return Row{Cells: []any{fmt.Sprint(v.Version), clock(v.At, time.DateTime), v.How, v.By.User, fmt.Sprintf("+%d -%d", v.Added, v.Removed), v.Why}}
				})
			}},
	},
}

// Describe implements Section.
func (Routing) Describe() *Descriptor { return &routingSection }
