package state

import "fmt"

var servicesSection = Descriptor{
	Name: SectionServices, Noun: "service",
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Services.List {
			ids = append(ids, s.Services.List[i].Title)
		}
		return ids
	},
	Summary: func(s *Snapshot) string { return fmt.Sprintf("%d probed", len(s.Services.List)) },
	Troubles: func(s *Snapshot) (out []Trouble) {
		for i := range s.Services.List {
			if sv := &s.Services.List[i]; sv.Word == "down" || sv.Word == "unhealthy" {
				out = append(out, Trouble{RankUnreachable, fmt.Sprintf("service %s is %s: %s", sv.Title, sv.Word, firstLine(sv.Err)), sv.Title})
			}
		}
		return out
	},
	Lists: []List{{Short: "list the services that are probed",
		Columns: []string{"SERVICE", "STATE", "LATENCY", "URL", "ERROR"},
		JSON:    func(s *Snapshot) any { return s.Services.List },
		Rows: func(s *Snapshot) []Row {
			return rowsOf(s.Services.List, func(sv *Service) Row {
				return Row{ID: sv.Title, Bad: sv.Word == "down" || sv.Word == "unhealthy",
					Cells: []any{sv.Title, sv.Word, Unit{sv.LatencyMS, 1, "ms"}, sv.URL, firstLine(sv.Err)}}
			})
		}}},
}

// Describe implements Section.
func (Services) Describe() *Descriptor { return &servicesSection }
