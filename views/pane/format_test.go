package pane

import (
	"math"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/theme"
)

func TestFiguresChangeTheirFormAtTheirBounds(t *testing.T) {
	f := Figures{"–"}
	for _, tt := range []struct {
		what, got, want string
	}{
		{"no bytes", f.Bytes(math.NaN()), "–"},
		{"endless bytes", f.Bytes(math.Inf(1)), "–"},
		{"a rate", f.Rate(2048), "2.0 KiB/s"},
		{"no rate", f.Rate(-1), "–"},
		{"zero rate", f.Rate(0), "0 B/s"},
		{"zero percent", f.Percent(0), "0.0%"},
		{"a percent", f.Percent(12.34), "12.3%"},
		{"just below 100", f.Percent(99.94), "99.9%"},
		{"100", f.Percent(99.95), "100%"},
		{"two cores", f.Percent(212.3), "212%"},
		{"unknown percent", f.Percent(math.NaN()), "–"},
		{"none", f.Count(0), "0"},
		{"rounded", f.Count(999.4), "999"},
		{"a thousand", f.Count(1000), "1,000"},
		{"below a million", f.Count(999_999), "999,999"},
		{"no count", f.Count(-1), "–"},
		{"one digit a second", f.PerSecond(9.94), "9.9/s"},
		{"ten a second", f.PerSecond(10), "10/s"},
		{"thousands a second", f.PerSecond(12345), "12,345/s"},
		{"a small latency", f.Millis(1.25), "1.2 ms"},
		{"a small whole latency", f.Millis(3), "3 ms"},
		{"ten milliseconds", f.Millis(10.4), "10 ms"},
		{"below ten seconds", f.Millis(9999), "9999 ms"},
		{"ten seconds", f.Millis(10000), "10.0 s"},
		{"no time", f.Span(0), "0s"},
		{"below a minute", f.Span(59 * time.Second), "59s"},
		{"a minute", f.Span(time.Minute), "1m 00s"},
		{"below an hour", f.Span(time.Hour - time.Second), "59m 59s"},
		{"an hour", f.Span(time.Hour), "1h 00m"},
		{"hours", f.Span(3*time.Hour + 12*time.Minute), "3h 12m"},
		{"below a day", f.Span(24*time.Hour - time.Second), "23h 59m"},
		{"a day", f.Span(24 * time.Hour), "1d 00h"},
		{"days", f.Span(75 * time.Hour), "3d 03h"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, tt.got, tt.want)
		}
	}
}

func TestAgesGoInCoarseSteps(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := Figures{"–"}
	for ago, want := range map[time.Duration]string{
		-time.Minute: "now", 0: "now", 4 * time.Second: "now", 5 * time.Second: "5s", 9 * time.Second: "5s", 10 * time.Second: "10s",
		59 * time.Second: "55s", time.Minute: "1m", time.Hour - time.Second: "59m", time.Hour: "1h",
		48*time.Hour - time.Second: "47h", 48 * time.Hour: "2d", 100 * time.Hour: "4d",
	} {
		if got := f.Age(now, now.Add(-ago)); got != want {
			t.Errorf("%s ago: got %q, want %q", ago, got, want)
		}
	}
	if got := f.Age(now, time.Time{}); got != "–" {
		t.Errorf("never: got %q, want –", got)
	}
}

func TestInstantsComeWithTheirAge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &Env{Theme: theme.New(theme.Options{Name: "none"}), Local: time.UTC, Now: func() time.Time { return now }}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Time{}, "–"},
		{now, "03:04:05 (now)"},
		{now.Add(-3 * time.Minute), "03:01:05 (3m ago)"},
		{now.Add(-4 * time.Hour), "2026-01-01 23:04:05 (4h ago)"},
		{now.AddDate(-1, 0, 0), "2025-01-02 03:04:05 (365d ago)"},
		{now.Add(90 * time.Second), "03:05:35 (in 1m 30s)"},
	} {
		if got := e.When(tt.at); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.at, got, tt.want)
		}
	}
}

func TestSparklinesScale(t *testing.T) {
	th := theme.New(theme.Options{Name: "none", ASCII: true}) // "_.-=+*%#", x fails, a space is missing
	for _, tt := range []struct {
		what string
		vs   []float64
		w    int
		top  float64
		want string
	}{
		{"no room", []float64{1}, 0, 0, ""},
		{"one cell", []float64{1, 2}, 1, 0, "#"},
		{"nothing", nil, 3, 0, "   "},
		{"by the largest", []float64{0, 4, 8}, 3, 0, "_+#"},
		{"by what is given", []float64{0, 4, 8}, 3, 16, "_-+"},
		{"more than what is given", []float64{4, 8}, 2, 4, "+#"},
		{"filled up on the left", []float64{8}, 3, 0, "  #"},
		{"the last ones", []float64{8, 1, 2}, 2, 0, "+#"},
		{"failed and missing", []float64{-1, math.NaN(), 8}, 3, 0, "x #"},
		{"all zero", []float64{0, 0}, 2, 0, "__"},
	} {
		if got := Spark(th, tt.vs, tt.w, tt.top); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestSamplesSettleEveryFiveSeconds(t *testing.T) {
	vs := make([]float64, 11)
	for _, tt := range []struct {
		what string
		vs   []float64
		at   time.Time
		want int
	}{
		{"on five seconds", vs, time.Unix(100, 0), 11},
		{"after them", vs, time.Unix(103, 0), 8},
		{"too few", vs[:10], time.Unix(103, 0), 10},
		{"never sampled", vs, time.Time{}, 11},
	} {
		if got := len(Settled(tt.vs, tt.at)); got != tt.want {
			t.Errorf("%s: got %d samples, want %d", tt.what, got, tt.want)
		}
	}
}
