package views

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// hop is one row of the pipeline's pane: a stage, a job that failed in it, or a service.
type hop struct {
	stage *state.Stage
	job   *state.Job
	svc   *state.Service
	told  bool // by the orchestrator, not probed from here
	index int
}

func hops(s *state.Snapshot) []hop {
	out := make([]hop, 0, len(s.Pipeline.Stages)+len(s.Pipeline.Services)+len(s.Services.List))
	for i := range s.Pipeline.Stages {
		out = append(out, hop{stage: &s.Pipeline.Stages[i], index: i})
	}
	for i := range s.Pipeline.Jobs {
		if j := &s.Pipeline.Jobs[i]; j.Status == "failed" {
			out = append(out, hop{job: j, index: 10 + i})
		}
	}
	for i := range s.Pipeline.Services {
		out = append(out, hop{svc: &s.Pipeline.Services[i], told: true, index: 1000 + i})
	}
	for i := range s.Services.List {
		out = append(out, hop{svc: &s.Services.List[i], index: 10000 + i})
	}
	return out
}

func (h *hop) title() string {
	switch {
	case h.stage != nil:
		return h.stage.Title
	case h.job != nil:
		return h.job.Module
	}
	return h.svc.Title
}

// target returns what actions call it.
func (h *hop) target() string {
	if h.job != nil {
		return h.job.ID
	}
	return h.title()
}

func (h *hop) word() string {
	switch {
	case h.stage != nil:
		return h.stage.State
	case h.job != nil:
		return h.job.Status
	}
	return h.svc.Word
}

func (h *hop) rank() int {
	switch h.word() {
	case "error", "down", "unhealthy", "failed":
		return 0
	case "degraded", "paused":
		return 1
	}
	return 2
}

// quantile returns the q-th quantile of the samples that did not fail; -1 for none.
func quantile(vs []float64, q float64) float64 {
	ok := make([]float64, 0, len(vs))
	for _, v := range vs {
		if v >= 0 {
			ok = append(ok, v)
		}
	}
	if len(ok) == 0 {
		return -1
	}
	slices.Sort(ok)
	return ok[max(0, int(math.Ceil(q*float64(len(ok))))-1)]
}

func (h *hop) latency(q float64) float64 {
	if h.svc != nil {
		return quantile(h.svc.Latencies, q)
	}
	if h.stage == nil || h.stage.Done <= 0 {
		return -1
	}
	if q == 0.5 {
		return h.stage.P50
	}
	return h.stage.P95
}

func (h *hop) errors() float64 {
	switch {
	case h.stage != nil:
		return float64(h.stage.Errors)
	case h.job != nil:
		return float64(h.job.Times)
	}
	n := 0.0
	for _, v := range h.svc.Latencies {
		if v < 0 {
			n++
		}
	}
	return n
}

// NewPipeline makes the pane of the pipeline's stages and the services.
func NewPipeline(env *pane.Env) pane.Pane {
	stageOnly := func(show func(pane.Figures, *state.Stage) string) func(*pane.Env, *hop) (string, theme.Ink) {
		return func(e *pane.Env, h *hop) (string, theme.Ink) {
			if h.stage == nil {
				return "", e.Theme.Dim
			}
			return show(pane.FiguresOf(e.Theme), h.stage), e.Theme.Text
		}
	}
	ms := func(q float64) list.Column[hop] {
		return list.Column[hop]{Title: map[float64]string{0.5: "p50", 0.95: "p95"}[q], W: 8, Right: true, Rank: 2,
			Cell: func(e *pane.Env, h *hop) (string, theme.Ink) {
				return pane.FiguresOf(e.Theme).Millis(h.latency(q)), e.Theme.Text
			},
			Cmp: func(a, b *hop) int { return cmp.Compare(b.latency(q), a.latency(q)) }}
	}
	return list.New(env, list.Spec[hop]{
		Info: pane.Info{
			Name: "pipeline", Title: "Pipeline", Section: state.SectionPipeline,
			Band:  2,
			Acts:  []state.SectionName{state.SectionPipeline, state.SectionServices},
			About: "The way from fetch to delivery, stage by stage: jobs waiting and in work, jobs a second over the last minute, latencies over the last 256 jobs. Below, the jobs that failed, kept for a retry, and the services that the workspace names: latencies and errors are those of the last probes.",
		},
		Cols: []list.Column[hop]{
			{Title: "State", W: 11, Cell: func(e *pane.Env, h *hop) (string, theme.Ink) {
				g, ink := pane.StatusInk(e.Theme, h.word())
				if h.word() == "idle" {
					g, ink = e.Theme.Off, e.Theme.Dim
				}
				return g + " " + h.word(), ink
			}, Cmp: func(a, b *hop) int { return cmp.Compare(a.rank(), b.rank()) }},
			{Title: "Stage, job, service", W: 12, Flex: 2, Cell: func(e *pane.Env, h *hop) (string, theme.Ink) { return h.title(), e.Theme.Text },
				Cmp: func(a, b *hop) int { return strings.Compare(a.title(), b.title()) }},
			{Title: "Waiting", W: 8, Right: true, Rank: 2, Cell: stageOnly(func(f pane.Figures, s *state.Stage) string { return f.Count(float64(s.Depth)) })},
			{Title: "In work", W: 7, Right: true, Rank: 4, Cell: stageOnly(func(f pane.Figures, s *state.Stage) string { return f.Count(float64(s.InFlight)) })},
			{Title: "Rate", W: 7, Right: true, Rank: 1, Cell: stageOnly(func(f pane.Figures, s *state.Stage) string { return f.PerSecond(s.Rate) })},
			ms(0.5), ms(0.95),
			{Title: "Errors", W: 6, Right: true, Rank: 2, Cell: func(e *pane.Env, h *hop) (string, theme.Ink) {
				n := h.errors()
				if n <= 0 {
					return pane.FiguresOf(e.Theme).Count(n), e.Theme.Dim
				}
				return pane.FiguresOf(e.Theme).Count(n), e.Theme.Warn
			}, Cmp: func(a, b *hop) int { return cmp.Compare(b.errors(), a.errors()) }},
			{Title: "Last minute", W: 12, Rank: 5, Cell: func(e *pane.Env, h *hop) (string, theme.Ink) {
				if h.stage != nil {
					return pane.Spark(e.Theme, h.stage.Depths, 12, 4), e.Theme.Info
				}
				if h.job != nil {
					return pane.FiguresOf(e.Theme).Age(e.Now(), h.job.At), e.Theme.Text
				}
				return pane.Spark(e.Theme, h.svc.Latencies, 12, 0), e.Theme.Info
			}},
			{Title: "Why", W: 18, Flex: 4, Rank: 6, Cell: func(e *pane.Env, h *hop) (string, theme.Ink) {
				switch {
				case h.stage != nil && h.stage.Paused != "":
					return "paused by " + h.stage.Paused, e.Theme.Warn
				case h.stage != nil:
					return h.stage.LastError, e.Theme.Dim
				case h.job != nil:
					return "in " + h.job.Stage + ": " + h.job.Cause, e.Theme.Dim
				}
				return h.svc.Err, e.Theme.Dim
			}},
		},
		Rows: hops,
		ID: func(h *hop) string {
			if h.stage != nil {
				return "stage " + h.stage.Title
			}
			if h.job != nil {
				return "job " + h.job.ID
			}
			if h.told {
				return "reported " + h.svc.Title
			}
			return "service " + h.svc.Title
		},
		Target: (*hop).target,
		Look: func(h *hop, _ string) state.Interests {
			switch {
			case h.job != nil:
				return state.Interests{{Topic: state.LookJob, Key: h.job.ID}}
			case h.stage != nil:
				return state.Interests{{Topic: state.LookBrief}}
			}
			return nil
		},
		Text:   func(h *hop) string { return h.title() + " " + h.word() },
		Health: func(s *state.Snapshot) state.Health { return s.Pipeline.Health },
		Deps:   []state.SectionName{state.SectionPipeline, state.SectionServices, state.SectionRouting},
		Head:   pipelineHead,
		Empty:  func(*state.Snapshot) string { return "the engine has no stages yet" },
		Summary: func(e *pane.Env, s *state.Snapshot) []pane.Span {
			return pipelineSummary(e, s)
		},
		Tabs: []list.Tab[hop]{{Title: "Overview", Draw: hopOverview}, {Title: "Reports", Draw: hopReports}},
	})
}

// pipelineHead draws the flow.
func pipelineHead(e *pane.Env, s *state.Snapshot, w, h int) []string {
	t := e.Theme
	var out []string
	if p := s.Routing.Problem; p != "" && h >= 5 {
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" routing: "+p).String())
	}
	if p := s.Pipeline.Stream; p != "" && h >= 6 {
		out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" "+p).String())
	}
	for _, p := range pipelineStands(s) {
		if h >= 6+len(out) {
			out = append(out, pane.NewLine(t, w, false).Put(t.Warn, t.Caution+" "+p).String())
		}
	}
	if len(s.Pipeline.Stages) == 0 || h < 9 {
		return out
	}
	l := pane.NewLine(t, w, false).Gap(2)
	for i, st := range s.Pipeline.Stages {
		if i > 0 {
			l.Put(t.Faint, " "+t.Rule+t.Arrow+" ")
		}
		g, ink := pane.StatusInk(t, st.State)
		if st.State == "idle" {
			g, ink = t.Off, t.Dim
		}
		l.Put(ink, g+" ").Put(t.Text, st.Title)
		if st.Depth >= 0 && st.Depth+st.InFlight > 0 {
			l.Put(t.Strong, fmt.Sprintf(" %d", st.Depth+st.InFlight))
		}
	}
	return append(out, l.String(), pane.NewLine(t, w, false).String())
}

func pipelineSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	var errs int64
	waiting, bad, known := 0, 0, len(s.Pipeline.Stages) == 0 && len(s.Pipeline.Services) == 0
	for _, st := range s.Pipeline.Stages {
		if st.Depth >= 0 {
			known = true
			errs += st.Errors
			waiting += st.Depth
		}
		if st.State == "error" {
			bad++
		}
	}
	for _, list := range [][]state.Service{s.Pipeline.Services, s.Services.List} {
		for _, sv := range list {
			if sv.Word == "down" || sv.Word == "unhealthy" {
				bad++
			}
		}
	}
	var out []pane.Span
	if known {
		out = []pane.Span{{Ink: t.Dim, Text: fmt.Sprintf("%d waiting", waiting)}}
	} else if n := len(s.Pipeline.Services); n > 0 {
		out = []pane.Span{{Ink: t.Dim, Text: fmt.Sprintf("%d services reported", n)}}
	}
	if n := len(s.Pipeline.Stages); n > 0 && known {
		out = append(out, pane.Span{Ink: t.Dim, Text: f.PerSecond(s.Pipeline.Stages[n-1].Rate) + " delivered"})
	}
	if n := s.Pipeline.Held; n > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d held back", t.Caution, n)})
	}
	if bad > 0 {
		out = append(out, pane.Span{Ink: t.Bad, Text: fmt.Sprintf("%s %d unhealthy", t.Wrong, bad)})
	}
	if errs > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: f.Counted(float64(errs), "error")})
	}
	return out
}

func hopOverview(d *pane.Doc, s *state.Snapshot, h *hop) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	st, ink := pane.StatusWord(t, h.word())
	d.KV("state", ink, st)
	if h.job != nil {
		jobOverview(d, h.job)
		return
	}
	if g := h.stage; g != nil && g.Depth < 0 {
		d.Text(t.Dim, "The orchestrator names this stage and says nothing else of it.")
		return
	} else if g != nil {
		d.KV("waiting", t.Text, fmt.Sprintf("%d of at most %d", g.Depth, g.Capacity))
		if g.Workers > 0 {
			d.KV("in work", t.Text, fmt.Sprintf("%d jobs of at most %d", g.InFlight, g.Workers))
		} else {
			d.KV("in work", t.Text, fmt.Sprintf("%d jobs", g.InFlight))
		}
		d.KV("paused", t.Warn, g.Paused)
		d.KV("rate", t.Text, f.PerSecond(g.Rate)+" over the last minute")
		d.KV("latency", t.Text, fmt.Sprintf("p50 %s, p95 %s, of the last 256 jobs", f.Millis(h.latency(0.5)), f.Millis(h.latency(0.95))))
		d.KV("done", t.Text, f.Count(float64(g.Done))+" since the engine started")
		d.KV("errors", t.Text, f.Count(float64(g.Errors)))
		if g.Oldest > 0 {
			d.KV("head waits", t.Text, f.Span(g.Oldest))
		}
		d.KV("depth", t.Info, pane.Spark(t, g.Depths, max(8, min(60, d.Width-16)), 4))
		if g.LastError != "" {
			d.Head("Last error, " + e.When(g.LastErrorAt))
			d.Text(t.Bad, g.LastError)
		}
		return
	}
	v := h.svc
	d.KV("url", t.Text, v.URL)
	d.KV("since", t.Text, e.When(v.Since))
	if h.told {
		d.Text(t.Dim, "Reported by the orchestrator; it is not probed from here.")
	}
	d.KV("latency", t.Text, f.Millis(v.LatencyMS)+" in the last probe")
	if v.StatusCode > 0 {
		d.KV("HTTP status", t.Text, fmt.Sprint(v.StatusCode))
	}
	d.KV("error", t.Bad, v.Err)
	d.KV("probed", t.Text, e.When(v.Checked))
	d.KV("probes", t.Info, pane.Spark(t, v.Latencies, max(8, min(60, d.Width-16)), 0))
	if len(v.Checks) > 0 {
		d.Head("Its own checks")
		for _, c := range v.Checks {
			word, ink := pane.StatusWord(t, c.Word)
			d.KV(c.Title, ink, strings.TrimSpace(word+"  "+c.Message))
		}
	}
}

func hopReports(d *pane.Doc, s *state.Snapshot, _ *hop) {
	t := d.Env.Theme
	if len(s.Pipeline.Reports) == 0 {
		d.Text(t.Dim, "nothing is reported of this row: a stage has the briefing of /context, an orchestrator elsewhere its providers, its system and its context")
		return
	}
	for _, r := range s.Pipeline.Reports {
		d.Head(r.Title + ", " + d.Env.When(r.At))
		d.Text(t.Text, r.Text)
		d.Gap()
	}
}
