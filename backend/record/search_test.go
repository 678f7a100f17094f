package record

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lines returns the numbers of the lines that hold a match.
func lines(s *Search, text string) (out []int) {
	m := s.Matcher()
	m.Reset([]byte(text))
	for from := 0; ; {
		start, end, at := m.Next(from)
		if start < 0 {
			return out
		}
		if at < start || at > end {
			panic("the match lies outside its line")
		}
		out = append(out, strings.Count(text[:start], "\n"))
		from = end + 1
	}
}

func TestSearchFindsLines(t *testing.T) {
	text := "an ERROR here\nerror there\r\n\nnone\nErRoR at the end and error\nstatus=500 path=/x\nstatus=200 grün\nlast GRÜN"
	for _, tc := range []struct {
		expr string
		re   bool
		want []int
	}{
		{"ERROR", false, []int{0}},
		{"error", false, []int{0, 1, 4}},
		{"Error", false, nil},
		{"grün", false, []int{6, 7}},
		{"GRÜN", false, []int{7}},
		{"=", false, []int{5, 6}},
		{"d", false, []int{4}},
		{"", false, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"ERROR", true, []int{0}},
		{"(?i)error", true, []int{0, 1, 4}},
		{"^error", true, []int{1}},
		{"there$", true, []int{1}},
		{"status=5[0-9]+", true, []int{5}},
		{"none|last", true, []int{3, 7}},
		{"[0-9]{3}", true, []int{5, 6}},
		{"gr.n", true, []int{6}},
		{"gr[^x]+n", true, []int{6}},
		{"x*", true, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"^$", true, []int{2}},
		{`\bend\b`, true, []int{4}},
		{`(?s)here.error`, true, nil},
	} {
		s := Literal(tc.expr)
		if tc.re {
			var err error
			if s, err = Regexp(tc.expr); err != nil {
				t.Fatal(err)
			}
		}
		if got := lines(s, text); !slices.Equal(got, tc.want) {
			t.Errorf("%q (regexp %v): got lines %v, want %v", tc.expr, tc.re, got, tc.want)
		}
	}
}

func TestPlacesReturnsTheMatches(t *testing.T) {
	for _, tc := range []struct {
		s    *Search
		line string
		want string
	}{
		{Literal("er"), "Error after error", "[[Er]]ror aft[[er]] [[er]]ror"},
		{Literal("Er"), "Error after error", "[[Er]]ror after error"},
		{Literal("é"), "É and é", "[[É]] and [[é]]"},
		{Literal("aa"), "aaaaa", "[[aa]][[aa]]a"},
		{Literal(""), "abc", "abc"},
		{must(`[0-9]+`), "a1 b22", "a[[1]] b[[22]]"},
		{must(`x*`), "axxb", "a[[xx]]b"},
		{must(`nothing`), "abc", "abc"},
	} {
		got, at := "", 0
		for _, m := range tc.s.Places(tc.line) {
			got += tc.line[at:m[0]] + "[[" + tc.line[m[0]:m[1]] + "]]"
			at = m[1]
		}
		if got += tc.line[at:]; got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

func TestRegexpErrors(t *testing.T) {
	if _, err := Regexp("a(b"); err == nil || err.Error() != `the regular expression "a(b": missing closing ): "a(b"` {
		t.Errorf("got %v", err)
	}
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{"error", "ERR|WARN", "a.*b", "^x$", "[^a]b", `\bk`, "(?i)straße", "ä+", "(a|b)*c", `\d{2,3}ms`, "(?i)k", "."} {
		f.Add(s, "an error\nWARN ab\nxx\nstraSSe äö 12ms\r\nK \xff k")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 100 || len(text) > 10000 {
			return
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		s, err := Regexp(expr)
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		n := 0
		for line := range bytes.Lines([]byte(text)) {
			if re.Match(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) {
				want = append(want, n)
			}
			n++
		}
		if got := lines(s, text); !slices.Equal(got, want) {
			t.Errorf("%q in %q: got %v, want %v", expr, text, got, want)
		}
		if s := Literal(expr); expr != "" && !strings.Contains(expr, "\n") && strings.ToLower(expr) != expr {
			n, want := 0, []int(nil)
			for line := range strings.Lines(text) {
				if strings.Contains(line, expr) {
					want = append(want, n)
				}
				n++
			}
			if got := lines(s, text); !slices.Equal(got, want) && strings.ContainsFunc(expr, func(r rune) bool { return r >= 'A' && r <= 'Z' }) {
				t.Errorf("literal %q in %q: got %v, want %v", expr, text, got, want)
			}
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	line := `2026-11-22 05:22:04,201 - api.http - INFO - [seq=12] request completed status=200 path=/api/v1/orders/5512 duration_ms=12 upstream=10.0.3.7 cache=miss trace=00af13f51be21a04` + "\n"
	text := []byte(strings.Repeat(strings.Repeat(line, 19)+strings.Replace(line, "INFO", "ERROR", 1), 100))
	for _, bc := range []struct {
		name string
		s    *Search
	}{
		{"literal", Literal("ERROR")},
		{"literal, any case", Literal("error")},
		{"regexp with a literal", must("ERROR.*status=2")},
		{"regexp with two", must("ERROR|FATAL")},
		{"regexp without", must(`[5-9][0-9]{2}ms\b`)},
		{"regexp of classes", must(`\d+-\d+-\d+T`)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			m := bc.s.Matcher()
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				m.Reset(text)
				for from := 0; ; {
					_, end, _ := m.Next(from)
					if end < 0 {
						break
					}
					from = end + 1
				}
			}
		})
	}
}

func must(expr string) *Search {
	s, err := Regexp(expr)
	if err != nil {
		panic(err)
	}
	return s
}
