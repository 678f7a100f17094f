package state

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var modulesSection = Descriptor{
	Name: SectionModules, Noun: "module", Actions: slices.Concat(moduleSpecs, credentialSpecs),
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Modules.List {
			ids = append(ids, s.Modules.List[i].ID)
		}
		return ids
	},
	Figures: moduleFigures,
	Summary: func(s *Snapshot) string {
		enabled := 0
		for i := range s.Modules.List {
			if s.Modules.List[i].Status == ModuleInstalled {
				enabled++
			}
		}
		return fmt.Sprintf("%d of %d enabled", enabled, len(s.Modules.List))
	},
	Troubles: func(s *Snapshot) (out []Trouble) {
		for i := range s.Modules.List {
			if m := &s.Modules.List[i]; m.Status == ModuleFailed {
				out = append(out, Trouble{RankFailed, fmt.Sprintf("module %s is failed: %s", m.ID, firstLine(m.Reason, m.LastError)), m.ID})
			}
		}
		return out
	},
	Sampled: func(s *Snapshot) bool {
		return !slices.ContainsFunc(s.Modules.List, func(m Module) bool { return m.Status == ModuleInstalled && m.LastFetch.IsZero() })
	},
	Urgent: func(a, b *Snapshot) bool {
		return !slices.EqualFunc(a.Modules.List, b.Modules.List, func(x, y Module) bool {
			return x.ID == y.ID && x.Status == y.Status && x.HealthWord == y.HealthWord
		})
	},
	Lists: []List{
		{Short: "list all modules",
			Columns: []string{"MODULE", "STATUS", "HEALTH", "VERSION", "FETCHED", "OK", "FAILED", "CREDENTIALS", "REASON"},
			JSON:    func(s *Snapshot) any { return s.Modules.List },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Modules.List, func(m *Module) Row {
					return Row{ID: m.ID, Bad: m.Status == ModuleFailed, Cells: []any{m.ID, m.Status.Word(), m.HealthWord, m.Version, m.LastFetch,
						m.Successes, m.Failures, string(m.Credentials), firstLine(m.Reason, m.LastError)}}
				})
			}},
		{Group: "credentials", Short: "list which modules have credentials",
			Columns: []string{"MODULE", "CREDENTIALS", "FIELDS", "CHANGED", "USED", "ENDS", "SERVE-TOO"},
			JSON: func(s *Snapshot) any {
				rows := []credentialRow{}
				for i := range s.Modules.List {
					rows = append(rows, credentialsOf(&s.Modules.List[i]))
				}
				return rows
			},
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Modules.List, func(m *Module) Row {
					return Row{ID: m.ID, Value: credentialsOf(m), Cells: []any{m.ID, string(m.Credentials), strings.Join(m.CredentialFields, ","), m.CredentialsUpdated, m.CredentialsUsed,
						clock(m.CredentialsExpire, time.DateOnly), strings.Join(m.CredentialsServe, ",")}}
				})
			}},
		{Group: "credentials", Use: "keys", Short: "list the master keys in force and what lies under each, by fingerprint",
			Columns: []string{"KEY", "USE", "ENTRIES", "KEPT"},
			JSON: func(s *Snapshot) any {
				return map[string]any{"from": s.Modules.KeyFrom, "keys": s.Modules.Keys, "locked": s.Modules.Locked}
			},
			Rows: func(s *Snapshot) (rows []Row) {
				for i, k := range s.Modules.Keys {
					use := "encrypts, from " + s.Modules.KeyFrom
					switch {
					case k.Fingerprint == "":
						use = "none: no key that is given opens them"
					case i > 0:
						use = "old, decrypts"
					}
					rows = append(rows, Row{Cells: []any{k.Fingerprint, use, k.Rows, k.Kept}})
				}
				return rows
			}},
	},
}

// Describe implements Section.
func (Modules) Describe() *Descriptor { return &modulesSection }

type credentialRow struct {
	Module  string          `json:"module"`
	State   CredentialState `json:"state"`
	Fields  []string        `json:"fields"`
	Updated time.Time       `json:"updated,omitzero"`
	Used    time.Time       `json:"used,omitzero"`
	Ends    time.Time       `json:"ends,omitzero"`
	Serve   []string        `json:"serve_too,omitempty"`
}

func credentialsOf(m *Module) credentialRow {
	return credentialRow{m.ID, m.Credentials, m.CredentialFields, m.CredentialsUpdated, m.CredentialsUsed, m.CredentialsExpire, m.CredentialsServe}
}

// moduleFigures returns a module's health and how many of its last fetches failed.
func moduleFigures(s *Snapshot, a Action, _ Window) []Figure {
	m := s.Modules.Module(a.Target)
	if m == nil {
		return []Figure{{Title: "health", Value: -1, Text: "gone", Weight: 100}}
	}
	word := m.HealthWord
	if m.Status != ModuleInstalled {
		word = string(m.Status)
	}
	bad, n := 0.0, 0.0
	for _, l := range m.Latencies[max(0, len(m.Latencies)-3):] {
		n++
		if l < 0 {
			bad++
		}
	}
	rate := -1.0
	if n > 0 {
		rate = 100 * bad / n
	}
	return []Figure{
		{Title: "health", Value: healthScore(word), Text: word, Weight: 100},
		{Title: "failed of the last 3 fetches", Value: rate, Unit: "%", Weight: 1},
	}
}
