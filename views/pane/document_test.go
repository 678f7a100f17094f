package pane

import (
	"slices"
	"strings"
	"testing"
)

func docText(d *Doc) string { return strings.ReplaceAll(PlainText(d.Lines), "\n", "|") }

func TestDetailsAlignTheirValues(t *testing.T) {
	e := asciiEnv()
	for _, tt := range []struct {
		what string
		w    int
		make func(*Doc)
		want string
	}{
		{"a value", 30, func(d *Doc) { d.KV("state", e.Theme.Text, "running") }, "state         running"},
		{"an empty value is left out", 30, func(d *Doc) { d.KV("state", e.Theme.Text, "") }, ""},
		{"a long value goes on under itself", 24, func(d *Doc) { d.KV("why", e.Theme.Text, "it was asked to") }, "why           it was|              asked to"},
		{"the narrowest with two columns", 22, func(d *Doc) { d.KV("state", e.Theme.Text, "up") }, "state         up"},
		{"a narrow one has one column", 21, func(d *Doc) { d.KV("state", e.Theme.Text, "up") }, "state: up"},
		{"nothing begins with a gap", 30, func(d *Doc) { d.Gap().Head("Files").KV("a", e.Theme.Text, "b") }, "Files|a             b"},
		{"a heading stands apart", 30, func(d *Doc) { d.Text(e.Theme.Text, "x").Head("Files") }, "x||Files"},
		{"a pair", 30, func(d *Doc) { d.Pair(e.Theme.Dim, "HOME", e.Theme.Text, "/root") }, "HOME=/root"},
		{"a long pair", 8, func(d *Doc) { d.Pair(e.Theme.Dim, "HOME", e.Theme.Text, "/root/x") }, "HOME=/ro|ot/x"},
	} {
		d := NewDoc(e, tt.w)
		tt.make(d)
		if got := docText(d); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestADetailHasALimit(t *testing.T) {
	d := NewDoc(asciiEnv(), 10)
	d.Text(d.Env.Theme.Text, strings.Repeat("x\n", MaxDocLines+5))
	if got := len(d.Lines); got != MaxDocLines {
		t.Errorf("got %d lines, want %d", got, MaxDocLines)
	}
}

func TestWhatIsSearchedForIsMarked(t *testing.T) {
	for _, tt := range []struct {
		find, text string
		hits       []int
		marked     string // with [] around what is marked
	}{
		{"", "an Error", nil, "an Error"},
		{"err", "an Error, no error|fine|ERR", []int{0, 2}, "an [Err]or, no [err]or|fine|[ERR]"},
		{"an", "an Error", []int{0}, "[an] Error"},
		{"none", "an Error", nil, "an Error"},
		{"x", "İ x", []int{0}, "İ [x]"}, // its lower case is longer
	} {
		e := darkEnv()
		d := NewDoc(e, 40)
		d.Find = tt.find
		d.Text(e.Theme.Text, strings.ReplaceAll(tt.text, "|", "\n"))
		if !slices.Equal(d.Hits, tt.hits) {
			t.Errorf("%q in %q: got hits in %v, want %v", tt.find, tt.text, d.Hits, tt.hits)
		}
		text := strings.Join(d.Lines, "\n")
		for _, part := range strings.Split(tt.marked, "[")[1:] {
			hit, _, _ := strings.Cut(part, "]")
			if !strings.Contains(text, e.Theme.Match.Paint(hit, false)) {
				t.Errorf("%q in %q: %q is not marked in %q", tt.find, tt.text, hit, text)
			}
		}
		if got, want := docText(d), strings.NewReplacer("[", "", "]", "").Replace(tt.marked); got != want {
			t.Errorf("%q: got the text %q, want %q", tt.find, got, want)
		}
	}
}

func TestAPairThatIsSearchedMarksItsName(t *testing.T) {
	e := darkEnv()
	d := NewDoc(e, 40)
	d.Find = "home"
	d.Pair(e.Theme.Dim, "HOME", e.Theme.Text, "/root")
	if want := e.Theme.Match.Paint("HOME", false); !strings.HasPrefix(d.Lines[0], want) || len(d.Hits) != 1 {
		t.Errorf("got %q with hits %v, want the name marked", d.Lines[0], d.Hits)
	}
}
