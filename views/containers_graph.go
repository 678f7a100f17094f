package views

import (
	"fmt"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// containerGraphs draws a container's figures over the last minute, hour and day.
func containerGraphs(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t, f := d.Env.Theme, pane.FiguresOf(d.Env.Theme)
	det, ok := part(d, s, c, state.PartHistory)
	if !ok || det.Histories == nil {
		return
	}
	graph := func(title string, vs []float64, top float64, show func(float64) string) {
		last, peak, sum, n := -1.0, -1.0, 0.0, 0
		for _, v := range vs {
			if v >= 0 {
				last = v
				peak = max(peak, v)
				sum += v
				n++
			}
		}
		l := pane.NewLine(t, d.Width, false).Col(t.Text, title, 16, false).Gap(1)
		if n == 0 {
			d.Line(l.Put(t.Dim, "no samples"))
			return
		}
		d.Line(l.Put(t.Dim, fmt.Sprintf("last %s, mean %s, peak %s", show(last), show(sum/float64(n)), show(peak))))
		rows := 2
		if d.Rows >= 44 {
			rows = 4
		}
		d.Plot(vs, rows, top, show)
	}
	for _, x := range []struct {
		title string
		*state.Series
	}{{"The last minute", &det.Histories.Minute}, {"The last hour", &det.Histories.Hour}, {"The last day", &det.Histories.Day}} {
		title := x.title
		if x.Step != time.Second && x.Step > 0 {
			title += ", means of " + f.Span(x.Step)
		}
		d.Head(title)
		if x.Step != time.Second && det.Histories.Err != "" {
			d.Text(t.Warn, det.Histories.Err)
			continue
		}
		cpuTop, memTop := 10.0, 0.0
		if c.Limits.CPUs > 0 {
			cpuTop = 100 * c.Limits.CPUs
		}
		if c.Limits.Memory > 0 {
			memTop = c.MemLimit
		}
		graph("CPU of one core", x.CPU, cpuTop, f.Percent)
		graph("memory", x.Mem, memTop, f.Bytes)
		graph("network in", x.NetRx, 1024, f.Rate)
		graph("network out", x.NetTx, 1024, f.Rate)
		graph("block read", x.BlkRead, 1024, f.Rate)
		graph("block written", x.BlkWrite, 1024, f.Rate)
	}
}
