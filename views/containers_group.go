package views

import (
	"fmt"
	"math"
	"slices"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// containerFold groups containers by compose project, and those of a service that
// is scaled by service. What belongs to no project stands by itself.
func containerFold() *list.Fold[state.Container] {
	return &list.Fold[state.Container]{
		What: "by project",
		Key: func(c *state.Container, depth int) string {
			switch {
			case c.Project == "":
			case depth == 0:
				return onHost(c)
			case depth == 1:
				return c.Service
			}
			return ""
		},
		Sum:  containerSum,
		Cell: containerHeading,
		Name: func(c *state.Container) string {
			if c.Service != "" {
				return "service " + c.Project + "/" + c.Service
			}
			return "project " + c.Project
		},
		Draw: containerGroup,
	}
}

// onHost returns a project of one host: one of the same name elsewhere is another.
func onHost(c *state.Container) string {
	if c.Host == "" {
		return c.Project
	}
	return c.Host + ":" + c.Project
}

// containerSum returns the totals of a group, in the state of its worst member.
func containerSum(members []*state.Container) state.Container {
	worst, first := members[0], members[0]
	sum := state.Container{Project: first.Project, Host: first.Host, Service: first.Service, State: "exited",
		CPUPercent: -1, CPUSeconds: -1, MemBytes: -1, MemLimit: -1, MemPercent: -1, MemUsage: -1, NetRx: -1, NetTx: -1, NetRxRate: -1, NetTxRate: -1,
		BlkRead: -1, BlkWrite: -1, BlkReadRate: -1, BlkWrRate: -1, PIDs: -1}
	for _, c := range members {
		if c.Service != sum.Service {
			sum.Service = ""
		}
		if containerRank(c) < containerRank(worst) {
			worst = c
		}
		sum.Restarts += c.Restarts
		if c.Started.After(sum.Started) {
			sum.Started = c.Started
		}
		if c.State != "running" {
			continue
		}
		if c.Sampled.After(sum.Sampled) {
			sum.Sampled = c.Sampled
		}
		sum.CPUPercent = both(sum.CPUPercent, c.CPUPercent)
		sum.MemBytes = both(sum.MemBytes, c.MemBytes)
		sum.NetRxRate, sum.NetTxRate = both(sum.NetRxRate, c.NetRxRate), both(sum.NetTxRate, c.NetTxRate)
		sum.BlkReadRate, sum.BlkWrRate = both(sum.BlkReadRate, c.BlkReadRate), both(sum.BlkWrRate, c.BlkWrRate)
		sum.PIDs = both(sum.PIDs, c.PIDs)
	}
	sum.Title = first.Project
	if sum.Service != "" {
		sum.Title = sum.Service
	}
	sum.State, sum.HealthWord, sum.ExitCode, sum.OOMKilled = worst.State, worst.HealthWord, worst.ExitCode, worst.OOMKilled
	return sum
}

// running and unhealthy count members.
func containerCounts(members []*state.Container) (running, unhealthy int) {
	for _, c := range members {
		if c.State == "running" {
			running++
		}
		if containerRank(c) < 2 {
			unhealthy++
		}
	}
	return running, unhealthy
}

// containerHeading returns what a group's heading shows where it is not its total.
func containerHeading(e *pane.Env, column string, c *state.Container, members []*state.Container) (string, theme.Ink, bool) {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	running, unhealthy := containerCounts(members)
	total := func(v float64, show func(pane.Figures, float64) string) (string, theme.Ink, bool) {
		if running == 0 || c.Sampled.IsZero() {
			return t.Unknown, t.Dim, true
		}
		return show(f, v), t.Strong, true
	}
	switch column {
	case "State":
		switch {
		case unhealthy > 0:
			return fmt.Sprintf("%s %d unhealthy", t.Wrong, unhealthy), t.Bad, true
		case running == 0:
			return t.Off + " none runs", t.Dim, true
		case running < len(members):
			return fmt.Sprintf("%s %d stopped", t.Off, len(members)-running), t.Dim, true
		}
		s, ink := pane.StatusWord(t, containerWord(c))
		return s, ink, true
	case "Container":
		return fmt.Sprintf("%s %d/%d", c.Title, running, len(members)), t.Strong, true
	case "CPU/core":
		return total(c.CPUPercent, pane.Figures.Percent)
	case "Memory":
		return total(c.MemBytes, pane.Figures.Bytes)
	case "CPU":
		return pane.Spark(t, pane.Settled(sumHistories(members, func(c *state.Container) []float64 { return c.CPUHistory }), c.Sampled), 12, 10), t.Info, true
	case "Net in":
		return total(c.NetRxRate, pane.Figures.Rate)
	case "Net out":
		return total(c.NetTxRate, pane.Figures.Rate)
	case "Read":
		return total(c.BlkReadRate, pane.Figures.Rate)
	case "Written":
		return total(c.BlkWrRate, pane.Figures.Rate)
	case "PIDs":
		return total(c.PIDs, pane.Figures.Count)
	case "Restarts":
		if c.Restarts == 0 {
			return "0", t.Dim, true
		}
		return fmt.Sprint(c.Restarts), t.Warn, true
	case "Host", "Project", "Service":
		return "", t.Dim, false
	}
	return "", t.Dim, true
}

// sumHistories adds the histories of the running ones, which end together.
func sumHistories(members []*state.Container, get func(*state.Container) []float64) []float64 {
	longest := 0
	for _, c := range members {
		if c.State == "running" {
			longest = max(longest, len(get(c)))
		}
	}
	out := make([]float64, longest)
	for _, c := range members {
		if c.State != "running" {
			continue
		}
		vs := get(c)
		for i, v := range vs {
			if v > 0 && !math.IsInf(v, 0) {
				out[longest-len(vs)+i] += v
			}
		}
	}
	return out
}

// containerGroup draws a heading's detail: the totals, and what is unhealthy first.
func containerGroup(d *pane.Doc, _ *state.Snapshot, c *state.Container, members []*state.Container) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	running, unhealthy := containerCounts(members)
	d.KV("running", t.Text, fmt.Sprintf("%d of %d", running, len(members)))
	if unhealthy > 0 {
		d.KV("unhealthy", t.Bad, fmt.Sprint(unhealthy))
	}
	d.KV("host", t.Text, c.Host)
	d.KV("CPU", t.Text, f.Percent(c.CPUPercent)+" of one core")
	n := max(8, min(60, d.Width-16))
	d.KV("", t.Info, pane.Spark(t, pane.Settled(sumHistories(members, func(c *state.Container) []float64 { return c.CPUHistory }), c.Sampled), n, 10))
	d.KV("memory", t.Text, f.Bytes(c.MemBytes))
	d.KV("", t.Info, pane.Spark(t, pane.Settled(sumHistories(members, func(c *state.Container) []float64 { return c.MemHistory }), c.Sampled), n, 0))
	d.KV("network", t.Text, fmt.Sprintf("in %s, out %s", f.Rate(c.NetRxRate), f.Rate(c.NetTxRate)))
	d.KV("block", t.Text, fmt.Sprintf("read %s, written %s", f.Rate(c.BlkReadRate), f.Rate(c.BlkWrRate)))
	d.KV("processes", t.Text, f.Count(c.PIDs))
	d.KV("restarts", t.Text, fmt.Sprint(c.Restarts))
	d.Head("Containers")
	list := slices.Clone(members)
	slices.SortStableFunc(list, func(a, b *state.Container) int { return containerRank(a) - containerRank(b) })
	for _, m := range list {
		st, ink := containerState(e, m)
		l := pane.NewLine(t, d.Width, false).Col(ink, st, 14, false).Gap(1).Put(t.Text, m.Title)
		if why := containerWhy(e.Now(), m); why != "" {
			l.Put(t.Dim, "  "+why)
		}
		d.Line(l)
	}
}
