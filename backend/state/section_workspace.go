package state

var workspaceSection = Descriptor{
	Name: SectionWorkspace, Noun: "workspace", Actions: workspaceSpecs,
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for _, c := range s.Workspace.Consoles {
			if c.ID != s.You && c.Controls() {
				ids = append(ids, c.ID)
			}
		}
		return ids
	},
	// By its title, or its user where that is one console.
	Canonical: func(s *Snapshot, target string) string {
		byUser, n := "", 0
		for _, c := range s.Workspace.Consoles {
			switch {
			case c.ID == s.You || !c.Controls():
			case c.Title() == target && target != c.Actor.User:
				return c.ID
			case c.Actor.User == target:
				byUser = c.ID
				n++
			}
		}
		if n != 1 {
			return ""
		}
		return byUser
	},
	Called: func(s *Snapshot, target string) string {
		if c := s.Workspace.Console(target); c != nil {
			return c.Title()
		}
		return ""
	},
	Troubles: func(s *Snapshot) []Trouble { return problems(s.Workspace.Problems) },
	Urgent: func(a, b *Snapshot) bool {
		x, y := a.Workspace.Consoles, b.Workspace.Consoles
		if len(x) != len(y) {
			return true
		}
		for i := range x {
			if x[i].ID != y[i].ID || x[i].Control != y[i].Control || !x[i].Asked.Equal(y[i].Asked) {
				return true
			}
		}
		return false
	},
	Lists: []List{{Group: "control", Short: "list the consoles, and who holds control",
		Columns: []string{"CONSOLE", "USER", "FROM", "VIA", "SINCE", "LAST-KEY", "CONTROL"},
		JSON:    func(s *Snapshot) any { return s.Workspace.Consoles },
		Rows: func(s *Snapshot) []Row {
			return rowsOf(s.Workspace.Consoles, func(c *Console) Row {
				holds := any("")
				if c.Control {
					holds = "holds it"
				} else if !c.Asked.IsZero() {
					holds = Since{"asked for it", c.Asked}
				}
				return Row{ID: c.ID, Cells: []any{c.ID, c.Actor.User, c.Actor.From, c.Actor.Via, c.Since, c.Active, holds}}
			})
		}}},
}

// Describe implements Section.
func (Workspace) Describe() *Descriptor { return &workspaceSection }

// problems returns the faults of configuration as troubles.
func problems(texts []string) (out []Trouble) {
	for _, p := range texts {
		out = append(out, Trouble{Rank: RankConfig, Text: p})
	}
	return out
}
