package pane

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// exact asserts that s is w cells wide, however it is counted.
func exact(t interface {
	Fatalf(string, ...any)
	Helper()
}, s string, w int) {
	t.Helper()
	if g, wc := ansi.StringWidth(s), ansi.StringWidthWc(s); g != w || wc != w {
		t.Fatalf("got %d cells (%d by wcwidth), want %d: %q", g, wc, w, s)
	}
	if strings.ContainsAny(s, "\n\t\r\x1b\x00") {
		t.Fatalf("control characters are left in %q", s)
	}
}

func TestFitIsExact(t *testing.T) {
	for _, ascii := range []bool{false, true} {
		th := theme.New(theme.Options{NoColor: true, ASCII: ascii})
		rapid.Check(t, func(t *rapid.T) {
			s := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
				"👩‍👩‍👧‍👦 family", "🇩🇪🇫🇷", "❤️ heart", "नमस्ते", "ไทย", "שלום", "e\u0301x", "\u0301", "日本語", "\x1b[2Jx", "a\tb\nc", strings.Repeat("\u0335", 300), "한글", "ｆｕｌｌ",
			}), rapid.Map(rapid.String(), state.Clean)).Draw(t, "s")
			w := rapid.IntRange(0, 40).Draw(t, "w")
			exact(t, Fit(th, s, w), w)
			exact(t, FitRight(th, s, w), w)
			l := NewLine(th, w, false).Skipped(th.Text, s, rapid.IntRange(0, 10).Draw(t, "skip")).String()
			exact(t, l, w)
			for _, x := range WrapText(th, s, max(1, w), 10) {
				if g := ansi.StringWidth(x); g > max(1, w) {
					t.Fatalf("a wrapped line has %d cells, want at most %d: %q", g, w, x)
				}
			}
			if ascii {
				for _, r := range Fit(th, s, w) {
					if r >= utf8.RuneSelf {
						t.Fatalf("%q is not ASCII", r)
					}
				}
			}
		})
	}
}

func TestLongLinesAreCutEarly(t *testing.T) {
	th := theme.New(theme.Options{NoColor: true})
	s := strings.Repeat("日本 ", 1<<20)
	if n := testing.AllocsPerRun(10, func() { Fit(th, s, 80) }); n > 200 {
		t.Errorf("got %v allocations, want no more than the cells need", n)
	}
	exact(t, Fit(th, s, 80), 80)
}

func TestWrapKeepsEveryWord(t *testing.T) {
	th := theme.New(theme.Options{NoColor: true})
	s := "the quick brown fox jumps over averyveryverylongword and\nanother line"
	got := strings.Join(WrapText(th, s, 10, 100), " ")
	want := strings.ReplaceAll(s, "\n", " ")
	if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got %q, want all of %q", got, want)
	}
}

func TestFiguresNameTheUnknown(t *testing.T) {
	f := Figures{"–"}
	for got, want := range map[string]string{
		f.Bytes(-1): "–", f.Bytes(0): "0 B", f.Bytes(1536): "1.5 KiB", f.Percent(-1): "–", f.Percent(99.99): "100%",
		f.Count(1234567): "1,234,567", f.PerSecond(-1): "–", f.PerSecond(0): "0/s", f.Millis(-1): "–", f.Millis(12345): "12.3 s",
		f.Span(-1): "–", f.Span(3e9): "3s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestStampsFitBesideTheirEvents(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &Env{Local: time.UTC, Now: func() time.Time { return now }}
	for ago, want := range map[time.Duration]string{
		time.Hour: "02:04:05", 4 * time.Hour: "01-01 23:04", 30 * time.Hour: "2025-12-31", -time.Minute: "03:05:05",
	} {
		if got := e.Stamp(now.Add(-ago)); got != want {
			t.Errorf("%s ago is %q, want %q", ago, got, want)
		}
	}
}
