package views

import (
	"fmt"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// pipelineStands says what keeps the pipeline from its work.
func pipelineStands(s *state.Snapshot) (out []string) {
	p := &s.Pipeline
	if p.Closed != "" {
		out = append(out, "drained by "+p.Closed+": resume ingest to let fetches in")
	}
	if p.Held > 0 {
		out = append(out, fmt.Sprintf("%d modules wait with their fetch: the pipeline takes nothing now", p.Held))
	}
	if p.Problem != "" {
		out = append(out, p.Problem)
	}
	return out
}

// jobOverview draws a job's way through the stages.
func jobOverview(d *pane.Doc, j *state.Job) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	d.KV("job", t.Text, j.ID)
	d.KV("module", t.Text, j.Module)
	d.KV("fetched", t.Text, e.When(j.At))
	if j.Items > 0 {
		d.KV("items", t.Text, f.Count(float64(j.Items)))
	}
	d.KV("failed in", t.Text, j.Stage)
	if j.Times > 1 {
		d.KV("times", t.Text, fmt.Sprintf("%d in a row", j.Times))
	}
	d.Head("Why")
	d.Text(t.Bad, j.Cause)
	if len(j.Steps) == 0 {
		return
	}
	d.Head("Its way")
	for _, st := range j.Steps {
		text := "waited " + f.Millis(st.Started.Sub(st.Queued).Seconds()*1000)
		if st.Started.IsZero() {
			text = "waits since " + e.When(st.Queued)
		} else if !st.Ended.IsZero() {
			text += ", worked on " + f.Millis(st.Ended.Sub(st.Started).Seconds()*1000)
		}
		ink := t.Text
		if st.Err != "" {
			ink, text = t.Bad, text+": "+st.Err
		}
		d.KV(st.Stage, ink, text)
	}
}
