package state

import "time"

var actionsSection = Descriptor{
	Name: SectionActions, Noun: "action", Actions: actionSpecs,
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Actions.List {
			ids = append(ids, string(s.Actions.List[i].ID))
		}
		return ids
	},
	Called: func(s *Snapshot, target string) string {
		if p := s.Actions.Progress(ActionID(target)); p != nil {
			return p.Action.Title()
		}
		return ""
	},
	Urgent: func(a, b *Snapshot) bool { return a.Versions[SectionActions] != b.Versions[SectionActions] },
	Lists: []List{{Short: "list the last actions since the engine started, newest first",
		Columns: []string{"ACTION", "KIND", "TARGET", "STATUS", "BY", "QUEUED", "RESULT"},
		JSON:    func(s *Snapshot) any { return s.Actions.List },
		Rows: func(s *Snapshot) []Row {
			return rowsOf(s.Actions.List, func(p *Progress) Row {
				return Row{ID: string(p.ID), Bad: p.Status == "failed", Cells: []any{string(p.ID), string(p.Action.Kind), p.Action.Target, p.Status,
					p.Action.Actor.User, clock(p.Queued, time.DateTime), firstLine(p.Err, p.Result)}}
			})
		}}},
}

// Describe implements Section.
func (Actions) Describe() *Descriptor { return &actionsSection }

var journalSection = Descriptor{
	Name: SectionJournal, Noun: "entry",
	Troubles: func(s *Snapshot) []Trouble {
		if s.Journal.Broken == "" {
			return nil
		}
		return []Trouble{{Rank: RankProof, Text: "journal: " + s.Journal.Broken}}
	},
}

// Describe implements Section.
func (Journal) Describe() *Descriptor { return &journalSection }
