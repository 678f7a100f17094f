package views

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

type containerCell = func(*pane.Env, *state.Container) (string, theme.Ink)

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
func NewContainers(env *pane.Env) pane.Pane {
	num := func(title string, w, rank int, get func(*state.Container) float64, show func(pane.Figures, float64) string) list.Column[state.Container] {
		return list.Column[state.Container]{Title: title, W: w, Right: true, Rank: rank,
			Cell: func(e *pane.Env, c *state.Container) (string, theme.Ink) {
				v := get(c)
				if c.Sampled.IsZero() || c.State != "running" {
					return e.Theme.Unknown, e.Theme.Dim
				}
				return show(pane.FiguresOf(e.Theme), v), e.Theme.Text
			},
			Cmp: func(a, b *state.Container) int { return cmp.Compare(get(b), get(a)) }}
	}
	text := func(title string, w, flex, rank int, get func(*state.Container) string) list.Column[state.Container] {
		return list.Column[state.Container]{Title: title, W: w, Flex: flex, Rank: rank,
			Cell: func(e *pane.Env, c *state.Container) (string, theme.Ink) { return get(c), e.Theme.Dim },
			Cmp:  func(a, b *state.Container) int { return strings.Compare(get(a), get(b)) }}
	}
	extra := func(c list.Column[state.Container]) list.Column[state.Container] { c.Extra = true; return c }
	// tight marks a figure that is near its limit.
	tight := func(c list.Column[state.Container], near func(*state.Container) string) list.Column[state.Container] {
		cell := c.Cell
		c.Cell = func(e *pane.Env, x *state.Container) (string, theme.Ink) {
			s, ink := cell(e, x)
			if near(x) != "" {
				return e.Theme.Caution + " " + s, e.Theme.Warn
			}
			return s, ink
		}
		return c
	}
	host := text("Host", 10, 0, 2, func(c *state.Container) string { return c.Host })
	host.When = func(s *state.Snapshot) bool { return len(s.Containers.Hosts) > 1 }
	host.Cell = func(e *pane.Env, c *state.Container) (string, theme.Ink) { return c.Host, e.Theme.Info }
	return list.New(env, list.Spec[state.Container]{
		Info: pane.Info{
			Name: "containers", Title: "Containers", Section: state.SectionContainers,
			Band: 1, Weight: 1.15,
			Acts:  []state.SectionName{state.SectionContainers},
			About: "What the container engine runs. CPU is of one core, as docker stats counts it: 200% is two cores busy. Memory is of the container's limit, or of the host's memory where it has none. Network and block are rates. Containers of one compose project stand under a heading with their totals; actions on a heading take all of them. " + env.Theme.Caution + " marks what is near a limit or restarts again and again.",
			Keys: []pane.KeyHelp{{Command: "shell", Does: "shell in the container"}, {Command: pane.Left, Does: "fold a group; to its heading"}, {Command: pane.Right, Does: "unfold a group"},
				{Command: pane.FoldAll, Does: "fold or unfold all groups"}, {Command: pane.GroupRows, Does: "groups by project, or one list"}},
			Filters: containerFilters,
		},
		Order: "State",
		Cols: []list.Column[state.Container]{
			{Title: "State", W: 12, Cell: containerState, Cmp: func(a, b *state.Container) int { return cmp.Compare(containerRank(a), containerRank(b)) }},
			{Title: "Container", W: 16, Flex: 3, Tree: true, Cell: func(e *pane.Env, c *state.Container) (string, theme.Ink) { return c.Title, e.Theme.Text },
				Cmp: func(a, b *state.Container) int { return strings.Compare(a.Title, b.Title) }},
			host,
			tight(num("CPU/core", 8, 1, func(c *state.Container) float64 { return c.CPUPercent }, pane.Figures.Percent), nearCPU),
			num("Memory", 9, 1, func(c *state.Container) float64 { return c.MemBytes }, pane.Figures.Bytes),
			tight(num("of limit", 8, 2, func(c *state.Container) float64 { return c.MemPercent }, pane.Figures.Percent), nearMem),
			{Title: "CPU", W: 12, Rank: 4, Cell: func(e *pane.Env, c *state.Container) (string, theme.Ink) {
				return pane.Spark(e.Theme, pane.Settled(c.CPUHistory, c.Sampled), 12, 10), e.Theme.Info
			}},
			num("Net in", 11, 5, func(c *state.Container) float64 { return c.NetRxRate }, pane.Figures.Rate),
			num("Net out", 11, 5, func(c *state.Container) float64 { return c.NetTxRate }, pane.Figures.Rate),
			num("Read", 11, 6, func(c *state.Container) float64 { return c.BlkReadRate }, pane.Figures.Rate),
			num("Written", 11, 6, func(c *state.Container) float64 { return c.BlkWrRate }, pane.Figures.Rate),
			tight(num("PIDs", 5, 5, func(c *state.Container) float64 { return c.PIDs }, pane.Figures.Count), nearPIDs),
			{Title: "Up", W: 7, Right: true, Rank: 3, Cell: containerUp, Cmp: func(a, b *state.Container) int { return b.Started.Compare(a.Started) }},
			{Title: "Restarts", W: 8, Right: true, Rank: 4, Cell: containerRestarts, Cmp: func(a, b *state.Container) int { return cmp.Compare(b.Restarts, a.Restarts) }},
			text("Project", 12, 1, 7, func(c *state.Container) string { return c.Project }),
			text("Image", 20, 3, 7, func(c *state.Container) string { return c.Image }),
			extra(text("Service", 12, 1, 8, func(c *state.Container) string { return c.Service })),
			extra(text("Ports", 22, 2, 8, func(c *state.Container) string { return strings.Join(c.Ports, ", ") })),
			extra(text("Policy", 14, 0, 8, func(c *state.Container) string { return c.Limits.Restart })),
			extra(text("ID", 12, 0, 8, func(c *state.Container) string { return c.ID[:min(12, len(c.ID))] })),
			extra(list.Column[state.Container]{Title: "Created", W: 7, Right: true, Rank: 8,
				Cell: func(e *pane.Env, c *state.Container) (string, theme.Ink) {
					return pane.FiguresOf(e.Theme).Age(e.Now(), c.Created), e.Theme.Dim
				}, Cmp: func(a, b *state.Container) int { return b.Created.Compare(a.Created) }}),
		},
		Rows:   func(s *state.Snapshot) []state.Container { return s.Containers.List },
		ID:     func(c *state.Container) string { return c.ID },
		Target: (*state.Container).Target,
		Text:   containerText,
		Fields: containerFields,
		Health: func(s *state.Snapshot) state.Health { return s.Containers.Health },
		Stale:  containerStale,
		Deps:   []state.SectionName{state.SectionContainers},
		Head:   containerHosts,
		Empty: func(s *state.Snapshot) string {
			return "the container engine at " + s.Containers.Host + " answers, and runs no containers"
		},
		Summary: containersSummary,
		Tabs: []list.Tab[state.Container]{
			{Title: "Overview", Draw: containerOverview},
			{Title: "Graphs", Draw: containerGraphs, Part: state.PartHistory},
			{Title: "Logs", Draw: containerLogs},
			{Title: "Top", Draw: containerTop, Part: state.PartTop},
			{Title: "Inspect", Draw: containerInspect, Search: true},
			{Title: "Env", Draw: containerEnv, Search: true},
			{Title: "Mounts", Draw: containerMounts},
			{Title: "Network", Draw: containerNetwork},
			{Title: "Health", Draw: containerHealth},
			{Title: "Image", Draw: containerImage, Part: state.PartImage},
			{Title: "Events", Draw: containerEvents, Part: state.PartEvents},
			{Title: "Diff", Draw: containerDiff, Part: state.PartDiff, Search: true},
			{Title: "Engine", Draw: containerEngine, Part: state.PartEngine},
		},
		Shell: func(c *state.Container) string { return c.ID },
		Look: func(c *state.Container, part string) state.Interests {
			in := state.Interests{{Topic: state.LookContainer, Key: c.ID}, {Topic: state.LookLog, Key: "container:" + c.ID}}
			if part != "" {
				in = in.Add(state.LookPart(part), c.ID)
			}
			return in
		},
		Fold: containerFold(),
	})
}

// containerWord returns the state as one word: its health where it has a check.
func containerWord(c *state.Container) string {
	switch {
	case c.State == "exited":
		return fmt.Sprintf("exited %d", c.ExitCode)
	case c.State == "running" && c.HealthWord != "":
		return c.HealthWord
	}
	return c.State
}

var containerState containerCell = func(e *pane.Env, c *state.Container) (string, theme.Ink) {
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
	return pane.StatusWord(t, w)
}

var containerUp containerCell = func(e *pane.Env, c *state.Container) (string, theme.Ink) {
	f := pane.FiguresOf(e.Theme)
	if c.State == "running" {
		return f.Age(e.Now(), c.Started), e.Theme.Text
	}
	if c.Finished.IsZero() {
		return e.Theme.Unknown, e.Theme.Dim
	}
	ago := f.Age(e.Now(), c.Finished)
	if ago != "now" {
		ago += " ago"
	}
	return ago, e.Theme.Dim
}

var containerRestarts containerCell = func(e *pane.Env, c *state.Container) (string, theme.Ink) {
	switch {
	case restartLoop(e.Now(), c) != "":
		return fmt.Sprintf("%s %d", e.Theme.Caution, c.Restarts), e.Theme.Bad
	case c.Restarts == 0:
		return "0", e.Theme.Dim
	}
	return fmt.Sprint(c.Restarts), e.Theme.Warn
}

// containerStale reports whether a container's host does not answer.
func containerStale(s *state.Snapshot, c *state.Container) bool {
	h := s.Containers.HostOf(c)
	return h != nil && h.Health.Status != state.OK
}

// containerHosts returns which of several hosts do not answer, and why.
func containerHosts(e *pane.Env, s *state.Snapshot, w, height int) (lines []string) {
	down := 0
	for i := range s.Containers.Hosts {
		if s.Containers.Hosts[i].Health.Status != state.OK {
			down++
		}
	}
	for i := range s.Containers.Hosts {
		h := &s.Containers.Hosts[i]
		if h.Health.Status == state.OK {
			continue
		}
		word := pane.HealthWord(e, h.Health)
		lines = append(lines, pane.Explain(e, pane.Span{Ink: word.Ink, Text: word.Text + ": host " + h.Title}, h.Health.Err, w, 3*down <= height/2)...)
	}
	return lines
}

func containersSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	running, bad := 0, 0
	mem := 0.0
	for i := range s.Containers.List {
		c := &s.Containers.List[i]
		if r := containerRank(c); r < 2 {
			bad++
		}
		if c.State == "running" {
			running++
			mem += max(0, c.MemBytes)
		}
	}
	out := []pane.Span{{Ink: t.Dim, Text: fmt.Sprintf("%d of %d running", running, len(s.Containers.List))}}
	if bad > 0 {
		out = append(out, pane.Span{Ink: t.Bad, Text: fmt.Sprintf("%s %d unhealthy", t.Wrong, bad)})
	}
	if n := len(s.Containers.Hosts); n > 1 {
		up := 0
		for i := range s.Containers.Hosts {
			if s.Containers.Hosts[i].Health.Status == state.OK {
				up++
			}
		}
		if up < n {
			out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d of %d hosts", t.Caution, up, n)})
		} else {
			out = append(out, pane.Span{Ink: t.Dim, Text: state.Plural(n, "host")})
		}
	}
	if running > 0 {
		out = append(out, pane.Span{Ink: t.Dim, Text: f.Bytes(mem)})
	}
	return out
}
