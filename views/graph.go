package views

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// plot adds a graph of rows lines: the samples, newest at the right, the scale at
// the left. What is unknown is left empty. top is the least value of a full graph.
func (d *Doc) plot(vs []float64, rows int, top float64, show func(float64) string) {
	t := d.env.Theme
	const lw = 11
	w := d.w - lw
	if w < 8 || rows < 1 {
		return
	}
	vs = squeeze(vs, w)
	for _, v := range vs {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			top = max(top, v)
		}
	}
	steps := len(t.Sparks)
	for row := rows - 1; row >= 0; row-- {
		l := NewLine(t, d.w, false)
		label := ""
		if row == rows-1 {
			label = show(top)
		} else if row == 0 {
			label = "0"
		}
		l.Col(t.Faint, label, lw-1, true).Gap(1)
		bar := make([]byte, 0, 3*w)
		for _, v := range vs {
			level := -1
			if v >= 0 && !math.IsInf(v, 0) {
				level = 0
				if top > 0 {
					level = int(math.Ceil(v / top * float64(rows*steps)))
				}
			}
			in := level - row*steps
			switch {
			case level < 0 || in <= 0 && row > 0:
				bar = append(bar, ' ')
			case in <= 0:
				bar = append(bar, t.Sparks[0]...)
			default:
				bar = append(bar, t.Sparks[min(in, steps)-1]...)
			}
		}
		d.Line(l.Gap(w-len(vs)).Put(t.Info, string(bar)))
	}
}

// squeeze makes means of neighbours where there is no room for every sample. Unknown
// ones are negative, and do not count.
func squeeze(vs []float64, w int) []float64 {
	n := (len(vs) + w - 1) / w
	if n <= 1 {
		return vs
	}
	var out []float64
	for end := len(vs); end > 0; end -= n { // from the newest on
		sum, known := 0.0, 0
		for _, v := range vs[max(0, end-n):end] {
			if v >= 0 {
				sum += v
				known++
			}
		}
		mean := -1.0
		if known > 0 {
			mean = sum / float64(known)
		}
		out = append(out, mean)
	}
	slices.Reverse(out)
	return out
}

// containerGraphs draws a container's figures over the last minute, hour and day.
func containerGraphs(d *Doc, s *state.Snapshot, c *state.Container) {
	t, f := d.env.Theme, figuresOf(d.env.Theme)
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
		l := NewLine(t, d.w, false).Col(t.Text, title, 16, false).Gap(1)
		if n == 0 {
			d.Line(l.Put(t.Dim, "no samples"))
			return
		}
		d.Line(l.Put(t.Dim, fmt.Sprintf("last %s, mean %s, peak %s", show(last), show(sum/float64(n)), show(peak))))
		rows := 2
		if d.rows >= 44 {
			rows = 4
		}
		d.plot(vs, rows, top, show)
	}
	for _, x := range []struct {
		title string
		*state.Series
	}{{"The last minute", &det.Histories.Minute}, {"The last hour", &det.Histories.Hour}, {"The last day", &det.Histories.Day}} {
		title := x.title
		if x.Step != time.Second && x.Step > 0 {
			title += ", means of " + f.span(x.Step)
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
		graph("CPU of one core", x.CPU, cpuTop, f.percent)
		graph("memory", x.Mem, memTop, f.bytes)
		graph("network in", x.NetRx, 1024, f.rate)
		graph("network out", x.NetTx, 1024, f.rate)
		graph("block read", x.BlkRead, 1024, f.rate)
		graph("block written", x.BlkWrite, 1024, f.rate)
	}
}
