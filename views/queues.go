package views

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// NewQueues makes the pane of queues.
func NewQueues(env *pane.Env) pane.Pane {
	type cell = func(*pane.Env, *state.Queue) (string, theme.Ink)
	ps := func(get func(*state.Queue) float64) cell {
		return func(e *pane.Env, q *state.Queue) (string, theme.Ink) {
			return pane.FiguresOf(e.Theme).PerSecond(get(q)), e.Theme.Text
		}
	}
	return list.New(env, list.Spec[state.Queue]{
		Info: pane.Info{
			Name: "queues", Title: "Queues", Section: state.SectionQueues,
			Band: 2, Weight: 0.95,
			Acts:  []state.SectionName{state.SectionQueues},
			About: "Redis lists, streams, sorted sets and counted key patterns, and the stages of the engine's own pipeline. In and out are items a second; where only the net change can be seen, a rise counts as in and a fall as out. Drain is the time to empty at the trend of the last minute.",
		},
		Cols: []list.Column[state.Queue]{
			{Title: "Queue", W: 14, Flex: 3, Cell: func(e *pane.Env, q *state.Queue) (string, theme.Ink) { return q.Key, e.Theme.Text },
				Cmp: func(a, b *state.Queue) int { return strings.Compare(a.Key, b.Key) }},
			{Title: "Depth", Num: func(_ *pane.Env, q *state.Queue) float64 { return q.Depth }, Unit: list.Number, W: 7, Right: true, Cell: queueDepth, Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.Depth, a.Depth) }},
			{Title: "Trend", W: 8, Right: true, Rank: 1, Cell: queueTrend, Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.Trend, a.Trend) }},
			{Title: "Depth, 1 min", W: 12, Rank: 4, Cell: func(e *pane.Env, q *state.Queue) (string, theme.Ink) {
				return pane.Spark(e.Theme, pane.Settled(q.Depths, q.Sampled), 12, 0), e.Theme.Info
			}},
			{Title: "In", Num: func(_ *pane.Env, q *state.Queue) float64 { return q.In }, Unit: list.Number, W: 8, Right: true, Rank: 3, Cell: ps(func(q *state.Queue) float64 { return q.In }), Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.In, a.In) }},
			{Title: "Out", Num: func(_ *pane.Env, q *state.Queue) float64 { return q.Out }, Unit: list.Number, W: 8, Right: true, Rank: 3, Cell: ps(func(q *state.Queue) float64 { return q.Out }), Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.Out, a.Out) }},
			{Title: "Oldest", Num: func(_ *pane.Env, q *state.Queue) float64 { return q.Oldest.Seconds() }, Unit: list.Duration, W: 7, Right: true, Rank: 2, Cell: func(e *pane.Env, q *state.Queue) (string, theme.Ink) {
				return pane.FiguresOf(e.Theme).Span(q.Oldest), e.Theme.Text
			}, Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.Oldest, a.Oldest) }},
			{Title: "Drain", Num: func(_ *pane.Env, q *state.Queue) float64 { return q.Drain.Seconds() }, Unit: list.Duration, W: 7, Right: true, Rank: 2, Cell: queueDrain, Cmp: func(a, b *state.Queue) int { return cmp.Compare(b.Drain, a.Drain) }},
			{Title: "Kind", W: 6, Rank: 5, Cell: func(e *pane.Env, q *state.Queue) (string, theme.Ink) { return q.Kind, e.Theme.Dim },
				Cmp: func(a, b *state.Queue) int { return strings.Compare(a.Kind, b.Kind) }},
		},
		Rows:   queueRows,
		ID:     func(q *state.Queue) string { return q.Key },
		Target: func(q *state.Queue) string { return q.Key },
		Text:   func(q *state.Queue) string { return q.Key + " " + q.Kind + " " + q.Err },
		Health: func(s *state.Snapshot) state.Health {
			if !s.Queues.Health.Known() && len(s.Pipeline.Stages) > 0 {
				return s.Pipeline.Health // the engine's stages are there without Redis
			}
			return s.Queues.Health
		},
		Deps: []state.SectionName{state.SectionQueues, state.SectionPipeline},
		Head: func(e *pane.Env, s *state.Snapshot, w, h int) []string {
			if s.Queues.Health.Known() || len(s.Pipeline.Stages) == 0 {
				return nil
			}
			n := pane.Notice(e, s.Queues.Health, "Redis", w)
			return n[:min(len(n), max(0, h-len(s.Pipeline.Stages)-1))]
		},
		Empty: func(s *state.Snapshot) string {
			return s.Queues.Server + " answers, and holds no queue that is watched: name some under queues in opsdeck.yaml"
		},
		Summary: queuesSummary,
		Tabs:    []list.Tab[state.Queue]{{Title: "Overview", Draw: queueOverview}, {Title: "First items", Draw: queuePeek}, {Title: "Groups", Draw: queueGroups}},
		Look: func(q *state.Queue, _ string) state.Interests {
			if q.Kind == stageKind {
				return nil
			}
			return state.Interests{{Topic: state.LookQueue, Key: q.Key}}
		},
	})
}

// stageKind is the kind of a row that is a stage of the pipeline.
const stageKind = "stage"

// queueRows returns the Redis queues and, after them, the pipeline's stages.
func queueRows(s *state.Snapshot) []state.Queue {
	out := make([]state.Queue, 0, len(s.Queues.List)+len(s.Pipeline.Stages))
	out = append(out, s.Queues.List...)
	for _, st := range s.Pipeline.Stages {
		if st.Depth < 0 {
			continue // another orchestrator's, whose queues cannot be seen
		}
		q := state.Queue{Key: "pipeline " + st.Title, Kind: stageKind, Depth: float64(st.Depth), Out: st.Rate, Depths: st.Depths,
			Oldest: st.Oldest, Drain: -1, Sampled: s.Pipeline.Health.LastOK, Err: ""}
		if st.Depth == 0 {
			q.Oldest = -1
		}
		if d := st.Depths[max(0, len(st.Depths)-60):]; len(d) > 1 { // one a second
			q.Trend = (d[len(d)-1] - d[0]) / float64(len(d)-1)
		}
		q.In = max(0, q.Out+q.Trend)
		if q.Trend < 0 {
			q.Drain = time.Duration(q.Depth / -q.Trend * float64(time.Second))
		}
		out = append(out, q)
	}
	return out
}

func queueDepth(e *pane.Env, q *state.Queue) (string, theme.Ink) {
	if q.Err != "" {
		return e.Theme.Wrong + " error", e.Theme.Bad
	}
	ink := e.Theme.Text
	if q.Depth == 0 {
		ink = e.Theme.Dim
	} else if strings.HasSuffix(q.Key, ":failed") {
		ink = e.Theme.Warn
	}
	return pane.FiguresOf(e.Theme).Count(q.Depth), ink
}

func queueTrend(e *pane.Env, q *state.Queue) (string, theme.Ink) {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	switch {
	case q.Err != "" || q.Depth < 0:
		return t.Unknown, t.Dim
	case q.Trend > 0.05:
		return t.Up + " " + f.PerSecond(q.Trend), t.Warn
	case q.Trend < -0.05:
		return t.Down + " " + f.PerSecond(-q.Trend), t.Good
	}
	return "steady", t.Dim
}

func queueDrain(e *pane.Env, q *state.Queue) (string, theme.Ink) {
	if q.Depth == 0 {
		return "empty", e.Theme.Dim
	}
	if q.Drain < 0 {
		return e.Theme.Unknown, e.Theme.Dim
	}
	return pane.FiguresOf(e.Theme).Span(q.Drain), e.Theme.Text
}

func queuesSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	sum, grow, failed := 0.0, 0, 0.0
	for _, q := range s.Queues.List {
		if strings.HasSuffix(q.Key, ":failed") {
			failed += max(0, q.Depth)
		} else if q.Kind != "keys" {
			sum += max(0, q.Depth)
		}
		if q.Trend > 0.05 {
			grow++
		}
	}
	out := []pane.Span{{Ink: t.Dim, Text: f.Counted(sum, "item")}}
	if failed > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: t.Caution + " " + f.Count(failed) + " failed"})
	}
	if grow > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d growing", t.Up, grow)})
	}
	return out
}

func queueOverview(d *pane.Doc, s *state.Snapshot, q *state.Queue) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	d.KV("kind", t.Text, map[string]string{"list": "list", "stream": "stream", "zset": "sorted set", "keys": "keys that match a pattern, counted", stageKind: "stage of the engine's pipeline"}[q.Kind])
	d.KV("error", t.Bad, q.Err)
	d.KV("depth", t.Text, f.Counted(q.Depth, "item"))
	trend, ink := queueTrend(e, q)
	d.KV("trend", ink, trend+", over the last minute")
	d.KV("in", t.Text, f.PerSecond(q.In))
	d.KV("out", t.Text, f.PerSecond(q.Out))
	if q.NetOnly {
		d.KV("", t.Dim, "only the net change can be seen: a rise counts as in, a fall as out")
	}
	drain, ink := queueDrain(e, q)
	d.KV("empty in", ink, drain)
	if q.Oldest >= 0 {
		d.KV("oldest item", t.Text, f.Span(q.Oldest)+" old")
	} else {
		d.KV("oldest item", t.Dim, "its age cannot be known")
	}
	d.KV("depth, 1 min", t.Info, pane.Spark(t, pane.Settled(q.Depths, q.Sampled), max(8, min(60, d.Width-16)), 0))
	d.KV("read", t.Dim, e.When(q.Sampled))
	if q.Kind == stageKind {
		return
	}
	d.Gap()
	d.KV("server", t.Dim, s.Queues.Server+" "+s.Queues.Version)
	d.KV("scan", t.Dim, s.Queues.Scan)
}

func queuePeek(d *pane.Doc, _ *state.Snapshot, q *state.Queue) {
	t := d.Env.Theme
	if len(q.Peek) == 0 {
		switch {
		case q.Depth == 0:
			d.Text(t.Dim, "it is empty")
		case q.Kind == stageKind:
			d.Text(t.Dim, "what waits in a stage is not shown: its results are at /context")
		default:
			d.Text(t.Dim, t.Wait+" reading the first items"+t.Ellipsis)
		}
		return
	}
	for i, item := range q.Peek {
		d.Text(t.Dim, fmt.Sprintf("%d", i+1))
		d.Text(t.Text, item)
	}
}

func queueGroups(d *pane.Doc, _ *state.Snapshot, q *state.Queue) {
	t, f := d.Env.Theme, pane.FiguresOf(d.Env.Theme)
	if len(q.Groups) == 0 {
		d.Text(t.Dim, "no consumer groups: only streams have them")
		return
	}
	for _, g := range q.Groups {
		d.KV(g.Title, t.Text, fmt.Sprintf("%s, %s pending, %s behind", state.Plural(g.Consumers, "consumer"), f.Count(g.Pending), f.Count(g.Lag)))
	}
}
