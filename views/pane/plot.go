package pane

import (
	"math"
	"slices"
)

// Plot adds a graph of rows lines: the samples, newest at the right, the scale at
// the left. What is unknown is left empty. top is the least value of a full graph.
func (d *Doc) Plot(vs []float64, rows int, top float64, show func(float64) string) {
	t := d.Env.Theme
	const lw = 11
	w := d.Width - lw
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
		l := NewLine(t, d.Width, false)
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
