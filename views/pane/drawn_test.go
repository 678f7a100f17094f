package pane

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

func testEnv() *Env {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Env{Theme: theme.New(theme.Options{NoColor: true}), Local: time.UTC, Now: func() time.Time { return now }}
}

func TestTextIsCutAndFilledToItsCells(t *testing.T) {
	th := testEnv().Theme
	ascii := theme.New(theme.Options{NoColor: true, ASCII: true})
	for _, tt := range []struct {
		got, want string
	}{
		{Fit(th, "abc", 5), "abc  "}, {Fit(th, "abc", 3), "abc"}, {Fit(th, "abcd", 3), "ab…"}, {Fit(th, "abc", 1), "…"}, {Fit(th, "abc", 0), ""}, {Fit(th, "", 2), "  "},
		{FitRight(th, "abc", 5), "  abc"}, {FitRight(th, "abcd", 3), "ab…"}, {FitRight(th, "abc", 3), "abc"}, {FitRight(th, "abc", 0), ""},
		{Fit(th, "日本", 3), "日…"}, {Fit(th, "日本", 4), "日本"}, {Fit(th, "日本語", 4), "日… "},
		{Fit(th, "a\tb", 6), "a    b"}, {Fit(th, "a\nb\r", 4), "a b "}, {Fit(th, "\x01é\x7f", 4), "?é? "}, {Fit(th, "\x01", 1), "?"}, {Fit(th, "\u0301x", 2), "x "},
		{Fit(th, "🇩🇪", 4), "🇩🇪  "}, {Fit(th, "🇩", 2), "D "}, {Fit(th, "\xff\xfe", 3), "   "}, {Fit(th, "\xffx", 3), "x  "},
		{Fit(ascii, "é日e\u0301x", 5), "??ex "}, {Fit(ascii, "a\u0301\u200d", 3), "a  "}, {Fit(ascii, "abcd", 3), Fit(ascii, "abcd", 3)[:3]},
		{NewLine(th, 5, false).Skipped(theme.Ink{}, "abcdef", 2).String(), "cdef "},
		{NewLine(th, 3, false).Skipped(theme.Ink{}, "abcdef", 2).String(), "cd…"},
		{NewLine(th, 4, false).Skipped(theme.Ink{}, "日本", 1).String(), " 本 "},
		{NewLine(th, 4, false).Skipped(theme.Ink{}, "日a", 2).String(), "a   "},
		{NewLine(th, 1, false).Skipped(theme.Ink{}, "\tab", 1).String(), "…"},
		{NewLine(th, 6, false).Skipped(theme.Ink{}, "\tab", 3).String(), " ab   "},
		{NewLine(th, 6, false).Put(theme.Ink{}, "ab").Gap(2).Col(theme.Ink{}, "c", 9, true).String(), "ab   c"},
		{NewLine(th, 6, false).Gap(9).Put(theme.Ink{}, "x").String(), "      "},
		{NewLine(th, 3, false).Gap(0).Gap(-1).Col(theme.Ink{}, "x", 0, true).Put(theme.Ink{}, "y").String(), "y  "},
		{NewLine(th, -1, false).Put(theme.Ink{}, "y").String(), ""},
		{Block([]string{"ab", "cd", "ef"}, 2, 2), "ab\ncd"}, {Block([]string{"ab"}, 2, 3), "ab\n  \n  "}, {Block([]string{"ab"}, 2, 0), ""}, {Block(nil, 2, 1), "  "},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for s, want := range map[string]int{"abc": 3, "日本": 4, "a\tb": 6, "": 0, "\x7f": 1, "a\x01": 2, "🇩🇪": 2} {
		if got := Width(th, s); got != want {
			t.Errorf("%q: got %d cells, want %d", s, got, want)
		}
	}
	_, used, more := cut(nil, "abcd", 0, 3, th)
	if used != 3 || !more {
		t.Errorf("cut: got %d cells, more %v, want 3, true", used, more)
	}
	if _, used, more := cut(nil, "abc", 0, 3, th); used != 3 || more {
		t.Errorf("what fits: got %d cells, more %v, want 3, false", used, more)
	}
	if _, used, more := cut(nil, "abc", 0, 0, th); used != 0 || !more {
		t.Errorf("no cells: got %d cells, more %v, want 0, true", used, more)
	}
	if _, _, more := cut(nil, "", 0, 0, th); more {
		t.Error("of nothing something is left")
	}
	l := NewLine(th, 5, false)
	l.Reserve(2)
	l.Put(theme.Ink{}, "abcd")
	l.Reserve(-2)
	if got, want := l.Put(theme.Ink{}, "z").String(), "ab…z "; got != want || l.Left() != 0 {
		t.Errorf("with two reserved: got %q, want %q", got, want)
	}
}

func TestTextIsWrappedAtSpaces(t *testing.T) {
	th := testEnv().Theme
	for _, tt := range []struct {
		text     string
		w, limit int
		want     string
	}{
		{"one two three", 7, 9, "one two|three"}, {"one two three", 8, 9, "one two|three"}, {"one two", 3, 9, "one|two"}, {"a bcdefgh", 6, 9, "a bcde|fgh"}, {"abcd efg", 6, 9, "abcd|efg"}, {"abc efgh", 6, 9, "abc ef|gh"},
		{"a\n\nb", 5, 9, "a||b"}, {"", 5, 9, ""}, {"日本", 1, 9, "|"}, {"one two three", 5, 2, "one|two…"}, {"abcde fghij x", 5, 2, "abcde|fghi…"}, {"a b", 1, 0, "NONE"}, {"a", 0, 9, "NONE"},
		{"abcdef", 6, 9, "abcdef"}, {"abcdefg", 6, 9, "abcdef|g"},
	} {
		got := "NONE"
		if lines := WrapText(th, tt.text, tt.w, tt.limit); len(lines) > 0 {
			got = strings.Join(lines, "|")
		}
		if got != tt.want {
			t.Errorf("%q in %d, at most %d: got %q, want %q", tt.text, tt.w, tt.limit, got, tt.want)
		}
	}
}

func TestFiguresHaveAsManyDigitsAsTheyNeed(t *testing.T) {
	f := Figures{"–"}
	now := time.Unix(10000000, 0)
	ago := func(d time.Duration) string { return f.Age(now, now.Add(-d)) }
	for _, tt := range []struct{ got, want string }{
		{f.Percent(0), "0.0%"}, {f.Percent(99.94), "99.9%"}, {f.Percent(99.95), "100%"}, {f.Percent(math.NaN()), "–"}, {f.Percent(math.Inf(1)), "–"},
		{f.Count(0), "0"}, {f.Count(999), "999"}, {f.Count(1000), "1,000"}, {f.Count(-1), "–"}, {f.Count(123456), "123,456"},
		{f.PerSecond(0.04), "0.0/s"}, {f.PerSecond(9.96), "10.0/s"}, {f.PerSecond(10), "10/s"}, {f.PerSecond(1234), "1,234/s"},
		{f.Rate(-1), "–"}, {f.Rate(0), "0 B/s"}, {f.Rate(2048), "2.0 KiB/s"},
		{f.Millis(0), "0 ms"}, {f.Millis(9.5), "9.5 ms"}, {f.Millis(9), "9 ms"}, {f.Millis(10.4), "10 ms"}, {f.Millis(9999), "9999 ms"}, {f.Millis(10000), "10.0 s"},
		{f.Span(0), "0s"}, {f.Span(59 * time.Second), "59s"}, {f.Span(time.Minute), "1m 00s"}, {f.Span(time.Hour - time.Second), "59m 59s"}, {f.Span(time.Hour), "1h 00m"}, {f.Span(24*time.Hour - time.Minute), "23h 59m"}, {f.Span(24 * time.Hour), "1d 00h"}, {f.Span(49 * time.Hour), "2d 01h"},
		{f.Age(now, time.Time{}), "–"}, {ago(4 * time.Second), "now"}, {ago(5 * time.Second), "5s"}, {ago(59 * time.Second), "55s"}, {ago(time.Minute), "1m"}, {ago(59 * time.Minute), "59m"}, {ago(time.Hour), "1h"}, {ago(47 * time.Hour), "47h"}, {ago(48 * time.Hour), "2d"}, {ago(-time.Hour), "now"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	e := testEnv()
	for at, want := range map[time.Time]string{
		{}: "–", e.Now(): "03:04:05 (now)", e.Now().Add(-time.Minute): "03:03:05 (1m ago)", e.Now().Add(time.Minute): "03:05:05 (in 1m 00s)",
		e.Now().Add(-24 * time.Hour): "2026-01-01 03:04:05 (24h ago)", e.Now().AddDate(-1, 0, 0): "2025-01-02 03:04:05 (365d ago)",
	} {
		if got := e.When(at); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSamplesAreDrawnByTheirHeight(t *testing.T) {
	th := testEnv().Theme
	low, high, mid := th.Sparks[0], th.Sparks[len(th.Sparks)-1], th.Sparks[len(th.Sparks)/2]
	for _, tt := range []struct {
		vs   []float64
		w    int
		top  float64
		want string
	}{
		{[]float64{0, 5, 10}, 3, 0, low + mid + high}, {[]float64{5}, 3, 10, th.Gap + th.Gap + mid}, {[]float64{1, 2, 10}, 1, 0, high}, {[]float64{0, 0}, 2, 0, low + low},
		{[]float64{-1, math.NaN(), 1}, 3, 0, th.Fail + th.Gap + high}, {[]float64{1}, 0, 0, ""}, {[]float64{20}, 1, 10, high},
	} {
		if got := Spark(th, tt.vs, tt.w, tt.top); got != tt.want {
			t.Errorf("%v in %d, top %v: got %q, want %q", tt.vs, tt.w, tt.top, got, tt.want)
		}
	}
	long := make([]float64, 11)
	for _, tt := range []struct {
		n, want int
		at      time.Time
	}{{11, 8, time.Unix(3, 0)}, {11, 11, time.Unix(5, 0)}, {11, 11, time.Time{}}, {10, 10, time.Unix(3, 0)}} {
		if got := len(Settled(long[:tt.n], tt.at)); got != tt.want {
			t.Errorf("%d samples at %v: got %d, want %d", tt.n, tt.at, got, tt.want)
		}
	}
	for _, tt := range []struct {
		vs   []float64
		w    int
		want []float64
	}{{[]float64{1, 2}, 2, []float64{1, 2}}, {[]float64{1, 2, 4}, 2, []float64{1, 3}}, {[]float64{-1, 0, -1, -1}, 2, []float64{0, -1}}} {
		got := squeeze(tt.vs, tt.w)
		if len(got) != len(tt.want) {
			t.Fatalf("%v in %d: got %v, want %v", tt.vs, tt.w, got, tt.want)
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%v in %d: got %v, want %v", tt.vs, tt.w, got, tt.want)
			}
		}
	}
}

// doc returns the lines of a detail.
func doc(w int, draw func(*Doc)) string {
	d := NewDoc(testEnv(), w)
	draw(d)
	return strings.ReplaceAll(PlainText(d.Lines), "\n", "|")
}

func TestADetailIsDrawnInItsWidth(t *testing.T) {
	e := testEnv()
	th := e.Theme
	show := func(v float64) string { return Figures{"–"}.Count(v) }
	hi, lo := th.Sparks[len(th.Sparks)-1], th.Sparks[0]
	for _, tt := range []struct {
		name string
		w    int
		draw func(*Doc)
		want string
	}{
		{"a pair of columns", 30, func(d *Doc) { d.KV("name", th.Text, "one two three four five") }, "name          one two three|              four five"},
		{"nothing to say", 30, func(d *Doc) { d.KV("name", th.Text, "") }, ""},
		{"at the least width of columns", 22, func(d *Doc) { d.KV("name", th.Text, "value") }, "name          value"},
		{"too narrow for columns", 21, func(d *Doc) { d.KV("name", th.Text, "value") }, "name: value"},
		{"headings stand apart", 30, func(d *Doc) { d.Gap().Head("A").Text(th.Text, "x").Head("B") }, "A|x||B"},
		{"a name and its value", 10, func(d *Doc) { d.Pair(th.Info, "A", th.Text, "b") }, "A=b"},
		{"a graph", 21, func(d *Doc) { d.Plot([]float64{0, 10, -1, 5}, 2, 0, show) }, "        10        " + hi + "|         0       " + lo + hi + " " + hi},
		{"a graph below its top", 21, func(d *Doc) { d.Plot([]float64{5}, 1, 10, show) }, "        10          " + th.Sparks[len(th.Sparks)/2-1]},
		{"a graph of zeros", 21, func(d *Doc) { d.Plot([]float64{0}, 2, 0, show) }, "         0|         0          " + lo},
		{"no room for a graph", 18, func(d *Doc) { d.Plot([]float64{5}, 1, 10, show) }, ""},
		{"the least room for a graph", 19, func(d *Doc) { d.Plot([]float64{10}, 1, 10, show) }, "        10        " + hi},
		{"no rows for a graph", 30, func(d *Doc) { d.Plot([]float64{5}, 0, 10, show) }, ""},
		{"down, tried later", 40, notice(state.Health{Status: state.Down, Err: "refused", NextTry: e.Now().Add(time.Minute)}), th.Wrong + " Redis: down|refused|tries again 03:05:05 (in 1m 00s)"},
		{"down, tried now", 40, notice(state.Health{Status: state.Down, Err: "refused", Attempt: 1}), th.Wrong + " Redis: down|refused|trying again now"},
		{"down, never tried", 40, notice(state.Health{Status: state.Down, Err: "refused"}), th.Wrong + " Redis: down|refused"},
		{"absent", 40, notice(state.Health{Status: state.Absent, Err: "looked at x"}), th.Off + " Redis: none here|looked at x"},
		{"connecting", 40, notice(state.Health{Status: state.Connecting}), th.Wait + " connecting…|"},
		{"known", 40, notice(state.Health{Status: state.Stale}), ""},
		{"stale", 60, stale(state.Health{Status: state.Stale, Err: "refused"}, 20), th.Caution + " stale: last answer –  refused"},
		{"not stale", 60, stale(state.Health{Status: state.OK, Err: "refused"}, 20), ""},
		{"why fits beside", 11, explain("what", "why\nx", true), "what  why x"},
		{"why stands under", 10, explain("what", "why x", true), "what|  why x"},
		{"why has no room", 10, explain("what", "why x", false), "what  why…"},
		{"why is too narrow", 7, explain("what", "why x", true), "what  …"},
		{"why goes over two lines", 10, explain("what", "one two three four", true), "what|  one two|  three…"},
	} {
		if got := doc(tt.w, tt.draw); got != tt.want {
			t.Errorf("%s: got\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
	d := NewDoc(e, 30)
	d.Find = "err"
	d.Text(th.Text, "no\nan ERR and an err\nİerr").Pair(th.Info, "A", th.Text, "xerr").Text(th.Text, "none")
	if got, want := PlainText(d.Lines), "no\nan ERR and an err\nİerr\nA=xerr\nnone"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(d.Hits) != 3 || d.Hits[0] != 1 || d.Hits[1] != 2 || d.Hits[2] != 3 {
		t.Errorf("hits: got %v, want [1 2 3]", d.Hits)
	}
	if got := strings.Count(strings.Join(d.Lines, ""), th.Match.Open(false)); got != 4 {
		t.Errorf("got %d marks, want 4", got)
	}
	if got := len(NewDoc(e, 5).Text(th.Text, strings.Repeat("x\n", MaxDocLines+9)).Lines); got != MaxDocLines {
		t.Errorf("got %d lines, want %d", got, MaxDocLines)
	}
}

func notice(h state.Health) func(*Doc) {
	return func(d *Doc) { d.Lines = Notice(d.Env, h, "Redis", d.Width) }
}

func stale(h state.Health, height int) func(*Doc) {
	return func(d *Doc) { d.Lines = StaleNotice(d.Env, h, d.Width, height) }
}

func explain(what, why string, room bool) func(*Doc) {
	return func(d *Doc) { d.Lines = Explain(d.Env, Span{d.Env.Theme.Text, what}, why, d.Width, room) }
}

func TestHealthAndStatusWordsHaveAShape(t *testing.T) {
	e := testEnv()
	th := e.Theme
	for status, want := range map[state.Status]string{state.OK: "", state.Stale: th.Caution + " stale 1m", state.Down: th.Wrong + " down", state.Absent: th.Off + " not here", state.Connecting: th.Wait + " connecting"} {
		if got := HealthWord(e, state.Health{Status: status, LastOK: e.Now().Add(-time.Minute)}).Text; got != want {
			t.Errorf("%s: got %q, want %q", status, got, want)
		}
	}
	for word, want := range map[string]string{"healthy": th.OK + " healthy", "paused": th.Caution + " paused", "dead": th.Wrong + " dead", "unknown": th.Wait + " unknown", "": th.Unknown, "created": th.Off + " created"} {
		if got, _ := StatusWord(th, word); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
