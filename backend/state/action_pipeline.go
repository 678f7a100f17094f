package state

import (
	"fmt"
)

// The kinds of action on the pipeline.
const (
	PipelinePause   Kind = "pipeline.pause"
	PipelineResume  Kind = "pipeline.resume"
	PipelineDrain   Kind = "pipeline.drain"
	PipelineWorkers Kind = "pipeline.workers"
	PipelineRetry   Kind = "pipeline.retry"
	PipelineDiscard Kind = "pipeline.discard"
)

var pipelineSpecs = []Spec{
	{Kind: PipelineResume, Key: "S", Verb: "resume", Past: "resumed", Noun: "stage", Section: SectionPipeline, Risk: Safe, CLI: CLI{Use: "pipeline resume STAGE", Short: "let a paused stage, or a drained pipeline's ingest, go on"},
		Disabled: stageDisabled(func(p *Pipeline, st *Stage) string {
			if st.Paused == "" && (p.Closed == "" || st != &p.Stages[0]) {
				return "it is not paused"
			}
			return ""
		})},
	{Kind: PipelinePause, Key: "S", Verb: "pause", Past: "paused", Noun: "stage", Section: SectionPipeline, Risk: Confirm, CLI: CLI{Use: "pipeline pause STAGE", Short: "let a stage finish what it has in work, and take nothing more"},
		Disabled: stageDisabled(func(_ *Pipeline, st *Stage) string {
			if st.Paused != "" {
				return "it is paused already, by " + st.Paused
			}
			return ""
		}), Impact: func(s *Snapshot, t string) []string {
			st := s.Pipeline.Stage(t)
			if st == nil {
				return nil
			}
			return []string{fmt.Sprintf("%d jobs wait before it, %d are in work and will be finished", st.Depth, st.InFlight),
				fmt.Sprintf("when %d wait, the stages before it stop, and then the modules' fetches", st.Capacity)}
		}},
	{Kind: PipelineDrain, Verb: "drain", Past: "drained", Noun: "pipeline", Section: SectionPipeline, Risk: Confirm, CLI: CLI{Use: "pipeline drain", Short: "take nothing in, and wait until everything is worked off"}, Global: "pipeline",
		Disabled: func(s *Snapshot, _ string) string {
			if len(s.Pipeline.Stages) == 0 {
				return "the pipeline does not run"
			}
			for _, st := range s.Pipeline.Stages {
				if st.Paused != "" {
					return st.Title + " is paused: resume it first"
				}
			}
			return ""
		}, Impact: func(s *Snapshot, _ string) []string {
			n := 0
			for _, st := range s.Pipeline.Stages {
				n += st.Depth + st.InFlight
			}
			return []string{fmt.Sprintf("%d jobs are worked off; fetches wait until ingest is resumed", n)}
		}},
	{Kind: PipelineWorkers, Verb: "set", Past: "set", Noun: "workers of stage", Section: SectionPipeline, Risk: Safe, CLI: CLI{Use: "pipeline workers STAGE", Short: "set how many jobs a stage works on at a time, until the next start",
		Flags: []Flag{{Name: "to", Key: "workers", Default: "1", Help: "how `MANY`, 1 to 64"}}},
		Disabled: stageDisabled(func(*Pipeline, *Stage) string { return "" }),
		Fields: func(s *Snapshot, t string) []Field {
			n := "1"
			if st := s.Pipeline.Stage(t); st != nil {
				n = fmt.Sprint(st.Workers)
			}
			return []Field{{Key: "workers", Label: "Workers", Hint: "jobs that it works on at a time, 1 to 64; until the next start", Default: n, Required: true}}
		}},
	{Kind: PipelineRetry, Key: "Q", Verb: "retry", Past: "retried", Noun: "failed job", Section: SectionPipeline, Risk: Safe, CLI: CLI{Use: "pipeline retry JOB", Short: "put a failed job back where it failed"}, Disabled: jobDisabled},
	{Kind: PipelineDiscard, Verb: "discard", Past: "discarded", Noun: "failed job", Section: SectionPipeline, Risk: Confirm, CLI: CLI{Use: "pipeline discard JOB", Short: "drop a failed job"}, Disabled: jobDisabled,
		Impact: func(s *Snapshot, t string) []string {
			if j := s.Pipeline.Job(t); j != nil {
				return []string{fmt.Sprintf("what %s fetched is lost; it failed in %s: %s", j.Module, j.Stage, j.Cause)}
			}
			return nil
		}},
}

func stageDisabled(f func(*Pipeline, *Stage) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		st := s.Pipeline.Stage(t)
		if st == nil {
			return notFound("stage", t)
		}
		return f(&s.Pipeline, st)
	}
}

func jobDisabled(s *Snapshot, t string) string {
	switch j := s.Pipeline.Job(t); {
	case j == nil:
		return notFound("failed job", t)
	case j.Status != "failed":
		return "it is " + j.Status + ", not failed"
	}
	return ""
}
