package pane

import (
	"slices"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/theme"
)

func TestTextIsCutToItsCells(t *testing.T) {
	th := theme.New(theme.Options{Name: "none"})
	for _, tt := range []struct {
		s          string
		w          int
		fit, right string
	}{
		{"abc", 0, "", ""},
		{"abc", -1, "", ""},
		{"abc", 1, "…", "…"},
		{"abc", 2, "a…", "a…"},
		{"abc", 3, "abc", "abc"},
		{"abc", 5, "abc  ", "  abc"},
		{"日本", 3, "日…", "日…"},
		{"日本", 2, "… ", " …"},
		{"日本", 4, "日本", "日本"},
		{"a\tb", 6, "a    b", "a    b"},
		{"a\nb\rc", 5, "a b c", "a b c"},
		{"a\x01b\x7f", 4, "a?b?", "a?b?"},
		{"🇩🇪", 3, "🇩🇪 ", " 🇩🇪"},
		{"🇩x", 3, "Dx ", " Dx"}, // half a flag is its letter
		{"é", 1, "é", "é"},
		{"", 2, "  ", "  "},
	} {
		if got := Fit(th, tt.s, tt.w); got != tt.fit {
			t.Errorf("Fit(%q, %d): got %q, want %q", tt.s, tt.w, got, tt.fit)
		}
		if got := FitRight(th, tt.s, tt.w); got != tt.right {
			t.Errorf("FitRight(%q, %d): got %q, want %q", tt.s, tt.w, got, tt.right)
		}
	}
}

func TestASCIIReplacesEachCluster(t *testing.T) {
	th := theme.New(theme.Options{Name: "none", ASCII: true})
	for s, want := range map[string]string{"é": "?", "日本": "??", "e\u0301x": "ex", "a\u200bb": "ab", "~": "~"} {
		if got := strings.TrimRight(Fit(th, s, 6), " "); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestWidthCountsCells(t *testing.T) {
	th := theme.New(theme.Options{Name: "none"})
	for s, want := range map[string]int{"": 0, "abc": 3, "a\tb": 6, "日本": 4, "\x7f": 1, "a\u0301": 1, "~": 1, "\x1f": 1} {
		if got := Width(th, s); got != want {
			t.Errorf("%q: got %d, want %d", s, got, want)
		}
	}
}

func TestPlainTextIsPrintableASCII(t *testing.T) {
	for s, want := range map[string]bool{"": true, " ": true, "~": true, "\x1f": false, "\x7f": false, "é": false} {
		if got := plain(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestScrolledTextBeginsAfterWhatIsSkipped(t *testing.T) {
	th := theme.New(theme.Options{Name: "none"})
	for _, tt := range []struct {
		s       string
		skip, w int
		want    string
	}{
		{"abcdef", 0, 3, "ab…"},
		{"abcdef", 2, 4, "cdef"},
		{"abcdef", 6, 3, "   "},
		{"日本語x", 1, 6, " 本語x"}, // half a character is a space
		{"日本語x", 2, 5, "本語x"},
		{"日本語x", 1, 1, "…"},
		{"a\tb", 2, 5, "   b "},
	} {
		if got := NewLine(th, tt.w, false).Skipped(th.Text, tt.s, tt.skip).String(); got != tt.want {
			t.Errorf("%q without %d in %d: got %q, want %q", tt.s, tt.skip, tt.w, got, tt.want)
		}
	}
}

func TestTextWrapsAtSpaces(t *testing.T) {
	th := theme.New(theme.Options{Name: "none"})
	for _, tt := range []struct {
		s        string
		w, limit int
		want     []string
	}{
		{"abc", 0, 9, nil},
		{"abc def", 3, 9, []string{"abc", "def"}},
		{"abc def", 5, 9, []string{"abc", "def"}},
		{"abc def", 7, 9, []string{"abc def"}},
		{"a bcdefgh", 4, 9, []string{"a bc", "defg", "h"}}, // a space that leaves little is not taken
		{" abcd", 4, 9, []string{" abc", "d"}},
		{"ab\n\ncd", 4, 9, []string{"ab", "", "cd"}},
		{"abc def ghi", 3, 2, []string{"abc", "de…"}},
		{"ab cd", 4, 1, []string{"ab …"}},
		{"abc", 3, 0, nil},
		{"日本", 3, 9, []string{"日", "本"}},
		{"日a", 1, 9, []string{"", "a"}}, // no room for the first
	} {
		if got := WrapText(th, tt.s, tt.w, tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("%q in %d, %d lines: got %q, want %q", tt.s, tt.w, tt.limit, got, tt.want)
		}
	}
}

func TestLinesAreFilledToTheirWidth(t *testing.T) {
	th := theme.New(theme.Options{Name: "none"})
	for _, tt := range []struct {
		what string
		make func(*Line) *Line
		want string
	}{
		{"nothing", func(l *Line) *Line { return l }, "        "},
		{"text and a gap", func(l *Line) *Line { return l.Put(th.Text, "ab").Gap(2).Put(th.Text, "c") }, "ab  c   "},
		{"more than there is", func(l *Line) *Line { return l.Put(th.Text, "abcdefghij").Put(th.Text, "x") }, "abcdefg…"},
		{"columns", func(l *Line) *Line { return l.Col(th.Text, "a", 3, false).Col(th.Text, "b", 3, true) }, "a    b  "},
		{"a column without room", func(l *Line) *Line { return l.Gap(8).Col(th.Text, "a", 3, false) }, "        "},
		{"a column cut short", func(l *Line) *Line { return l.Gap(6).Col(th.Text, "abc", 3, false) }, "      a…"},
		{"a gap too long", func(l *Line) *Line { return l.Put(th.Text, "a").Gap(20) }, "a       "},
		{"reserved cells", func(l *Line) *Line {
			l.Reserve(2)
			l.Put(th.Text, "abcdefgh")
			l.Reserve(-2)
			return l.Put(th.Text, "!")
		}, "abcde…! "},
	} {
		if got := tt.make(NewLine(th, 8, false)).String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
	if got := NewLine(th, -3, false).String(); got != "" {
		t.Errorf("a line without room: got %q, want nothing", got)
	}
	if got := NewLine(th, 8, false).Put(th.Text, "abc").Left(); got != 5 {
		t.Errorf("got %d cells left, want 5", got)
	}
}

func TestASelectedLineHasItsBackgroundThroughout(t *testing.T) {
	th := theme.New(theme.Options{Name: "dark"})
	got := NewLine(th, 4, true).Put(th.Bad, "a").String()
	if want := th.Bad.Paint("a", true) + th.Text.Paint("   ", true); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestABlockHasItsHeight(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		w, h  int
		want  string
	}{
		{[]string{"ab"}, 2, 0, ""},
		{[]string{"ab"}, 2, -1, ""},
		{[]string{"ab"}, 2, 2, "ab\n  "},
		{[]string{"ab", "cd"}, 2, 2, "ab\ncd"},
		{[]string{"ab", "cd"}, 2, 1, "ab"},
		{nil, -1, 2, "\n"},
	} {
		if got := Block(tt.lines, tt.w, tt.h); got != tt.want {
			t.Errorf("%q in %dx%d: got %q, want %q", tt.lines, tt.w, tt.h, got, tt.want)
		}
	}
}
