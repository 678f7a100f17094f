package state

import "fmt"

var pipelineSection = Descriptor{
	Name: SectionPipeline, Noun: "stage", Actions: pipelineSpecs,
	Targets: func(s *Snapshot, spec *Spec) (ids []string) {
		if spec.Kind == PipelineRetry || spec.Kind == PipelineDiscard {
			for _, j := range s.Pipeline.Jobs {
				if j.Status == "failed" {
					ids = append(ids, j.ID)
				}
			}
			return ids
		}
		for _, st := range s.Pipeline.Stages {
			ids = append(ids, st.Title)
		}
		return ids
	},
	Lists: []List{{Short: "list the stages with their figures",
		Columns: []string{"STAGE", "STATE", "WAITING", "IN-WORK", "WORKERS", "RATE", "P95", "DONE", "ERRORS", "PAUSED"},
		JSON:    func(s *Snapshot) any { return s.Pipeline },
		Rows: func(s *Snapshot) []Row {
			first := true
			return rowsOf(s.Pipeline.Stages, func(st *Stage) Row {
				paused := st.Paused
				if first && paused == "" && s.Pipeline.Closed != "" {
					paused = "drained by " + s.Pipeline.Closed
				}
				first = false
				return Row{ID: st.Title, Cells: []any{st.Title, st.State, float64(st.Depth), float64(st.InFlight), fmt.Sprint(st.Workers),
					fmt.Sprintf("%.2f/s", st.Rate), fmt.Sprintf("%.1fms", st.P95), float64(st.Done), float64(st.Errors), paused}}
			})
		}}},
}

// Describe implements Section.
func (Pipeline) Describe() *Descriptor { return &pipelineSection }
