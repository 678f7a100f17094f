package views

import (
	"cmp"
	"fmt"
	"sort"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

type containerCell = func(*Env, *state.Container) (string, theme.Ink)

// containerRank orders containers by how much they want looking at.
func containerRank(c *state.Container) int {
	switch {
	case c.State == "dead" || c.State == "restarting", c.State == "exited" && c.ExitCode != 0:
		return 0
	case c.State == "running" && c.HealthWord == "unhealthy":
		return 1
	case c.State == "running" && c.HealthWord == "starting", c.State == "paused":
		return 2
	case c.State == "running":
		return 3
	}
	return 4
}

// NewContainers makes the pane of containers.
func NewContainers(env *Env) Pane {
	num := func(title string, w, rank int, get func(*state.Container) float64, show func(figures, float64) string) Column[state.Container] {
		return Column[state.Container]{Title: title, W: w, Right: true, Rank: rank,
			Cell: func(e *Env, c *state.Container) (string, theme.Ink) {
				v := get(c)
				if c.Sampled.IsZero() || c.State != "running" {
					return e.Theme.Unknown, e.Theme.Dim
				}
				return show(figuresOf(e.Theme), v), e.Theme.Text
			},
			Cmp: func(a, b *state.Container) int { return cmp.Compare(get(b), get(a)) }}
	}
	return NewList(env, Spec[state.Container]{
		Info: Info{
			Name: "containers", Title: "Containers", Section: state.SectionContainers,
			Acts:  []state.SectionName{state.SectionContainers},
			About: "What the container engine runs. CPU is of one core, as docker stats counts it: 200% is two cores busy. Memory is of the container's limit, or of the host's memory where it has none. Network and block are rates.",
			Keys:  []KeyHelp{{"shell", "a shell in the container"}},
		},
		Order: "State",
		Cols: []Column[state.Container]{
			{Title: "State", W: 12, Cell: containerState, Cmp: func(a, b *state.Container) int { return cmp.Compare(containerRank(a), containerRank(b)) }},
			{Title: "Container", W: 16, Flex: 3, Cell: func(e *Env, c *state.Container) (string, theme.Ink) { return c.Title, e.Theme.Text },
				Cmp: func(a, b *state.Container) int { return strings.Compare(a.Title, b.Title) }},
			num("CPU/core", 8, 1, func(c *state.Container) float64 { return c.CPUPercent }, figures.percent),
			num("Memory", 9, 1, func(c *state.Container) float64 { return c.MemBytes }, figures.bytes),
			num("of limit", 8, 2, func(c *state.Container) float64 { return c.MemPercent }, figures.percent),
			{Title: "CPU", W: 12, Rank: 4, Cell: func(e *Env, c *state.Container) (string, theme.Ink) {
				return spark(e.Theme, settled(c.CPUHistory, c.Sampled), 12, 10), e.Theme.Info
			}},
			num("Net in", 11, 5, func(c *state.Container) float64 { return c.NetRxRate }, figures.rate),
			num("Net out", 11, 5, func(c *state.Container) float64 { return c.NetTxRate }, figures.rate),
			num("Read", 11, 6, func(c *state.Container) float64 { return c.BlkReadRate }, figures.rate),
			num("Written", 11, 6, func(c *state.Container) float64 { return c.BlkWrRate }, figures.rate),
			num("PIDs", 5, 5, func(c *state.Container) float64 { return c.PIDs }, figures.count),
			{Title: "Up", W: 7, Right: true, Rank: 3, Cell: containerUp, Cmp: func(a, b *state.Container) int { return b.Started.Compare(a.Started) }},
			{Title: "Restarts", W: 8, Right: true, Rank: 4, Cell: containerRestarts, Cmp: func(a, b *state.Container) int { return cmp.Compare(b.Restarts, a.Restarts) }},
			{Title: "Project", W: 12, Flex: 1, Rank: 7, Cell: func(e *Env, c *state.Container) (string, theme.Ink) { return c.Project, e.Theme.Dim },
				Cmp: func(a, b *state.Container) int { return strings.Compare(a.Project, b.Project) }},
			{Title: "Image", W: 20, Flex: 3, Rank: 7, Cell: func(e *Env, c *state.Container) (string, theme.Ink) { return c.Image, e.Theme.Dim },
				Cmp: func(a, b *state.Container) int { return strings.Compare(a.Image, b.Image) }},
		},
		Rows:   func(s *state.Snapshot) []state.Container { return s.Containers.List },
		ID:     func(c *state.Container) string { return c.ID },
		Target: func(c *state.Container) string { return c.Title },
		Text: func(c *state.Container) string {
			return strings.Join([]string{c.Title, c.Image, c.State, c.HealthWord, c.Project, c.ID}, " ")
		},
		Health: func(s *state.Snapshot) state.Health { return s.Containers.Health },
		Deps:   []state.SectionName{state.SectionContainers},
		Empty: func(s *state.Snapshot) string {
			return "the container engine at " + s.Containers.Host + " answers, and runs no containers"
		},
		Summary: containersSummary,
		Tabs: []Tab[state.Container]{
			{"Overview", containerOverview}, {"Inspect", containerInspect}, {"Top", containerTop}, {"Logs", containerLogs},
		},
		Look: func(c *state.Container, t *Target) {
			t.Container = c.ID
			t.Logs = []string{"container:" + c.ID}
		},
	})
}

// containerWord is the state as one word: its health where it has a check.
func containerWord(c *state.Container) string {
	switch {
	case c.State == "exited":
		return fmt.Sprintf("exited %d", c.ExitCode)
	case c.State == "running" && c.HealthWord != "":
		return c.HealthWord
	}
	return c.State
}

var containerState containerCell = func(e *Env, c *state.Container) (string, theme.Ink) {
	t := e.Theme
	w := containerWord(c)
	switch {
	case c.OOMKilled && c.State == "exited":
		return t.Wrong + " OOM killed", t.Bad
	case c.State == "exited" && c.ExitCode != 0:
		return t.Wrong + " " + w, t.Bad
	case c.State == "exited":
		return t.Off + " " + w, t.Dim
	}
	return status(t, w)
}

var containerUp containerCell = func(e *Env, c *state.Container) (string, theme.Ink) {
	f := figuresOf(e.Theme)
	if c.State == "running" {
		return f.age(e.Now(), c.Started), e.Theme.Text
	}
	if c.Finished.IsZero() {
		return e.Theme.Unknown, e.Theme.Dim
	}
	ago := f.age(e.Now(), c.Finished)
	if ago != "now" {
		ago += " ago"
	}
	return ago, e.Theme.Dim
}

var containerRestarts containerCell = func(e *Env, c *state.Container) (string, theme.Ink) {
	if c.Restarts == 0 {
		return "0", e.Theme.Dim
	}
	return fmt.Sprint(c.Restarts), e.Theme.Warn
}

func containersSummary(e *Env, s *state.Snapshot) []Span {
	t, f := e.Theme, figuresOf(e.Theme)
	running, bad := 0, 0
	cpu, mem := 0.0, 0.0
	for i := range s.Containers.List {
		c := &s.Containers.List[i]
		if r := containerRank(c); r < 2 {
			bad++
		}
		if c.State == "running" {
			running++
			cpu += max(0, c.CPUPercent)
			mem += max(0, c.MemBytes)
		}
	}
	out := []Span{{t.Dim, fmt.Sprintf("%d of %d running", running, len(s.Containers.List))}}
	if bad > 0 {
		out = append(out, Span{t.Bad, fmt.Sprintf("%s %d unwell", t.Wrong, bad)})
	}
	if running > 0 {
		out = append(out, Span{t.Dim, f.bytes(mem)})
	}
	return out
}

func containerOverview(d *Doc, _ *state.Snapshot, c *state.Container) {
	e := d.env
	t, f := e.Theme, figuresOf(e.Theme)
	st, ink := containerState(e, c)
	d.KV("state", ink, st)
	d.KV("image", t.Text, c.Image)
	d.KV("id", t.Text, c.ID)
	if c.Project != "" {
		d.KV("compose", t.Text, c.Project+", service "+c.Service)
	}
	d.KV("ports", t.Text, strings.Join(c.Ports, ", "))
	d.KV("created", t.Text, e.when(c.Created))
	d.KV("started", t.Text, e.when(c.Started))
	if c.State != "running" && !c.Finished.IsZero() {
		d.KV("ended", t.Text, e.when(c.Finished)+fmt.Sprintf(", exit code %d", c.ExitCode))
	}
	d.KV("restarts", t.Text, fmt.Sprint(c.Restarts))
	d.Head("Figures")
	if c.Sampled.IsZero() {
		d.Text(t.Dim, "none read yet")
	} else {
		n := max(8, min(60, d.w-16))
		d.KV("CPU", t.Text, f.percent(c.CPUPercent)+" of one core")
		d.KV("", t.Info, spark(t, settled(c.CPUHistory, c.Sampled), n, 10))
		d.KV("memory", t.Text, fmt.Sprintf("%s of %s, %s of its limit", f.bytes(c.MemBytes), f.bytes(c.MemLimit), f.percent(c.MemPercent)))
		d.KV("", t.Info, spark(t, settled(c.MemHistory, c.Sampled), n, 0))
		d.KV("network", t.Text, fmt.Sprintf("in %s (%s), out %s (%s)", f.rate(c.NetRxRate), f.bytes(c.NetRx), f.rate(c.NetTxRate), f.bytes(c.NetTx)))
		d.KV("block", t.Text, fmt.Sprintf("read %s (%s), written %s (%s)", f.rate(c.BlkReadRate), f.bytes(c.BlkRead), f.rate(c.BlkWrRate), f.bytes(c.BlkWrite)))
		d.KV("processes", t.Text, f.count(c.PIDs))
		d.KV("read", t.Dim, e.when(c.Sampled))
	}
	if len(c.Labels) > 0 {
		d.Head("Labels")
		pairs(d, c.Labels)
	}
}

func containerInspect(d *Doc, s *state.Snapshot, c *state.Container) {
	t := d.env.Theme
	det, ok := s.Containers.Details[c.ID]
	switch {
	case !ok:
		d.Text(t.Dim, t.Wait+" asking the container engine"+t.Ellipsis)
	case det.Inspect == "" && det.Err != "":
		d.Text(t.Bad, det.Err)
	default:
		d.Text(t.Text, det.Inspect)
	}
}

func containerTop(d *Doc, s *state.Snapshot, c *state.Container) {
	t := d.env.Theme
	det, ok := s.Containers.Details[c.ID]
	switch {
	case c.State != "running":
		d.Text(t.Dim, "it is "+c.State+": no processes")
		return
	case !ok:
		d.Text(t.Dim, t.Wait+" asking the container engine"+t.Ellipsis)
		return
	case len(det.Top) == 0 && det.Err != "":
		d.Text(t.Bad, det.Err)
		return
	}
	widths := make([]int, len(det.TopTitles))
	for i, title := range det.TopTitles {
		widths[i] = Width(t, title)
		for _, row := range det.Top {
			if i < len(row) {
				widths[i] = max(widths[i], min(30, Width(t, row[i])))
			}
		}
	}
	draw := func(ink theme.Ink, row []string) {
		l := NewLine(t, d.w, false)
		for i, cell := range row {
			if i >= len(widths)-1 {
				l.Put(ink, cell)
				break
			}
			l.Col(ink, cell, widths[i], false).Gap(2)
		}
		d.Line(l)
	}
	draw(t.Faint, det.TopTitles)
	for _, row := range det.Top {
		draw(t.Text, row)
	}
}

func containerLogs(d *Doc, s *state.Snapshot, c *state.Container) {
	t := d.env.Theme
	tail, ok := s.Logs.Tails["container:"+c.ID]
	if !ok || len(tail.Records) == 0 {
		d.Text(t.Dim, t.Wait+" no lines yet")
		return
	}
	recs := tail.Records[max(0, len(tail.Records)-300):]
	for i := len(recs) - 1; i >= 0; i-- {
		r := &recs[i]
		letter, ink := levelMark(t, r.Level)
		l := NewLine(t, d.w, false)
		text := r.Text
		if said, ok := readable(text); ok {
			text = said
		}
		l.Put(t.Dim, r.Time().In(d.env.Local).Format("15:04:05")).Gap(1).Put(ink, letter).Gap(1).Put(t.Text, text)
		d.Line(l)
	}
}

// pairs adds a map's entries by key.
func pairs(d *Doc, m map[string]string) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		d.Text(d.env.Theme.Text, k+" = "+m[k])
	}
}
