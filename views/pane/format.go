package pane

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// Figures formats quantities; an unknown one (negative, NaN or infinite) is a dash.
type Figures struct{ unknown string }

// FiguresOf returns the formats of a theme, whose dash stands for what is unknown.
func FiguresOf(t *theme.Theme) Figures { return Figures{t.Unknown} }

func (f Figures) bad(v float64) bool { return v < 0 || math.IsNaN(v) || math.IsInf(v, 0) }

// Bytes returns v in binary units: "41.2 MiB".
func (f Figures) Bytes(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	return state.Size(v)
}

// Rate returns bytes a second.
func (f Figures) Rate(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	return f.Bytes(v) + "/s"
}

// Percent returns v with one decimal below 100.
func (f Figures) Percent(v float64) string {
	switch {
	case f.bad(v):
		return f.unknown
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "%"
}

// Count returns v with thousands apart: "12,345".
func (f Figures) Count(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Counted returns v with its noun: "1 item", "10,449 items". The noun is one whose plural
// has an "s".
func (f Figures) Counted(v float64, noun string) string {
	if v != 1 {
		noun += "s"
	}
	return f.Count(v) + " " + noun
}

// PerSecond returns v a second with as many decimals as it needs.
func (f Figures) PerSecond(v float64) string {
	switch {
	case f.bad(v):
		return f.unknown
	case v == 0:
		return "0/s"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	}
	return f.Count(v) + "/s"
}

// Millis returns a latency.
func (f Figures) Millis(v float64) string {
	switch {
	case f.bad(v):
		return f.unknown
	case v >= 10000:
		return strconv.FormatFloat(v/1000, 'f', 1, 64) + " s"
	case v < 10 && v != math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + " ms"
}

// Span returns a duration in its two largest units: "3h 12m".
func (f Figures) Span(d time.Duration) string {
	if d < 0 {
		return f.unknown
	}
	s := int64(d / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh %02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd %02dh", s/86400, s/3600%24)
}

// Age returns how long ago at was, in coarse steps, so that a quiet screen stays
// quiet: "now", "5s", "40s", "3m", "2h", "5d".
func (f Figures) Age(now, at time.Time) string {
	if at.IsZero() {
		return f.unknown
	}
	s := int64(now.Sub(at) / time.Second)
	switch {
	case s < 5:
		return "now"
	case s < 60:
		return fmt.Sprintf("%ds", s/5*5)
	case s < 3600:
		return fmt.Sprintf("%dm", s/60)
	case s < 2*86400:
		return fmt.Sprintf("%dh", s/3600)
	}
	return fmt.Sprintf("%dd", s/86400)
}

// Stamp returns an instant in at most 11 cells: "14:38:44", "11-27 14:38" on another day,
// "2025-11-27" in another year.
func (e *Env) Stamp(at time.Time) string {
	at, n := at.In(e.Local), e.Now().In(e.Local)
	switch {
	case at.Year() != n.Year():
		return at.Format(time.DateOnly)
	case at.YearDay() != n.YearDay():
		return at.Format("01-02 15:04")
	}
	return at.Format(time.TimeOnly)
}

// When returns an instant with its age: "14:38:44 (3m ago)", with the date unless today.
func (e *Env) When(at time.Time) string {
	f := FiguresOf(e.Theme)
	if at.IsZero() {
		return f.unknown
	}
	now := e.Now()
	at, n := at.In(e.Local), now.In(e.Local)
	layout := time.DateTime
	if at.YearDay() == n.YearDay() && at.Year() == n.Year() {
		layout = time.TimeOnly
	}
	if at.After(now) {
		return fmt.Sprintf("%s (in %s)", at.Format(layout), f.Span(at.Sub(now)))
	}
	a := f.Age(now, at)
	if a != "now" {
		a += " ago"
	}
	return fmt.Sprintf("%s (%s)", at.Format(layout), a)
}

// Spark draws the last samples in w cells. Negative samples are failures. top is
// the value of a full cell, or 0 to scale by the largest sample.
func Spark(t *theme.Theme, vs []float64, w int, top float64) string {
	if w <= 0 {
		return ""
	}
	if len(vs) > w {
		vs = vs[len(vs)-w:]
	}
	for _, v := range vs {
		if v > top {
			top = v
		}
	}
	var b []byte
	for i := len(vs); i < w; i++ {
		b = append(b, t.Gap...)
	}
	n := len(t.Sparks)
	for _, v := range vs {
		switch {
		case math.IsNaN(v):
			b = append(b, t.Gap...)
		case v < 0:
			b = append(b, t.Fail...)
		case top <= 0:
			b = append(b, t.Sparks[0]...)
		default:
			b = append(b, t.Sparks[min(n-1, int(v/top*float64(n)))]...)
		}
	}
	return string(b)
}

// Settled returns the samples of one a second up to the last multiple of five
// seconds: a sparkline of them moves every five seconds instead of every one,
// which a slow link thanks.
func Settled(vs []float64, at time.Time) []float64 {
	drop := int(at.Unix() % 5)
	if len(vs) <= 10 || at.IsZero() {
		return vs
	}
	return vs[:len(vs)-drop]
}
