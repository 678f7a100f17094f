package state

import (
	"fmt"
	"time"
)

var queuesSection = Descriptor{
	Name: SectionQueues, Noun: "queue", Actions: queueSpecs,
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Queues.List {
			ids = append(ids, s.Queues.List[i].Key)
		}
		return ids
	},
	Summary: func(s *Snapshot) string { return fmt.Sprintf("%d watched", len(s.Queues.List)) },
	Lists: []List{{Short: "list all queues with their depth",
		Columns: []string{"QUEUE", "KIND", "DEPTH", "TREND", "OLDEST", "DRAIN"},
		JSON:    func(s *Snapshot) any { return s.Queues.List },
		Rows: func(s *Snapshot) []Row {
			seconds := func(d time.Duration) any {
				if d < 0 {
					return nil
				}
				return d.Round(time.Second)
			}
			return rowsOf(s.Queues.List, func(q *Queue) Row {
				return Row{ID: q.Key, Bad: q.Err != "", Cells: []any{q.Key, q.Kind, q.Depth, Signed{q.Trend, "/s"}, seconds(q.Oldest), seconds(q.Drain)}}
			})
		}}},
}

// Describe implements Section.
func (Queues) Describe() *Descriptor { return &queuesSection }
