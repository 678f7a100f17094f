package views

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/opsdeck/opsdeck/theme"
)

// figures formats quantities; an unknown one (negative, NaN or infinite) is a dash.
type figures struct{ unknown string }

func figuresOf(t *theme.Theme) figures { return figures{t.Unknown} }

func (f figures) bad(v float64) bool { return v < 0 || math.IsNaN(v) || math.IsInf(v, 0) }

// bytes is v in binary units: "41.2 MiB".
func (f figures) bytes(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	if v < 1024 {
		return strconv.FormatFloat(v, 'f', 0, 64) + " B"
	}
	unit := 0
	for v >= 1024 && unit < 6 {
		v /= 1024
		unit++
	}
	prec := 1
	if v >= 100 {
		prec = 0
	}
	return strconv.FormatFloat(v, 'f', prec, 64) + " " + "KMGTPE"[unit-1:unit] + "iB"
}

// rate is bytes a second.
func (f figures) rate(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	return f.bytes(v) + "/s"
}

// percent is v with one decimal below 100.
func (f figures) percent(v float64) string {
	switch {
	case f.bad(v):
		return f.unknown
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "%"
}

// count is v with thousands apart: "12,345".
func (f figures) count(v float64) string {
	if f.bad(v) {
		return f.unknown
	}
	s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// perSecond is v a second with as many decimals as it needs.
func (f figures) perSecond(v float64) string {
	switch {
	case f.bad(v):
		return f.unknown
	case v == 0:
		return "0/s"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
	}
	return f.count(v) + "/s"
}

// millis is a latency.
func (f figures) millis(v float64) string {
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

// span is a duration in its two largest units: "3h 12m".
func (f figures) span(d time.Duration) string {
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

// age is how long ago at was, in coarse steps, so that a quiet screen stays
// quiet: "now", "5s", "40s", "3m", "2h", "5d".
func (f figures) age(now, at time.Time) string {
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

// stamp is an instant in at most 11 cells: "14:38:44", "11-27 14:38" on another day,
// "2025-11-27" in another year.
func (e *Env) stamp(at time.Time) string {
	at, n := at.In(e.Local), e.Now().In(e.Local)
	switch {
	case at.Year() != n.Year():
		return at.Format(time.DateOnly)
	case at.YearDay() != n.YearDay():
		return at.Format("01-02 15:04")
	}
	return at.Format(time.TimeOnly)
}

// when is an instant with its age: "14:38:44 (3m ago)", with the date unless today.
func (e *Env) when(at time.Time) string {
	f := figuresOf(e.Theme)
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
		return fmt.Sprintf("%s (in %s)", at.Format(layout), f.span(at.Sub(now)))
	}
	a := f.age(now, at)
	if a != "now" {
		a += " ago"
	}
	return fmt.Sprintf("%s (%s)", at.Format(layout), a)
}

// spark draws the last samples in w cells. Negative samples are failures. top is
// the value of a full cell, or 0 to scale by the largest sample.
func spark(t *theme.Theme, vs []float64, w int, top float64) string {
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

// settled is the samples of one a second up to the last multiple of five
// seconds: a sparkline of them moves every five seconds instead of every one,
// which a slow link thanks.
func settled(vs []float64, at time.Time) []float64 {
	drop := int(at.Unix() % 5)
	if len(vs) <= 10 || at.IsZero() {
		return vs
	}
	return vs[:len(vs)-drop]
}
