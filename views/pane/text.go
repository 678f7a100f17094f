package pane

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/theme"
)

// clusterMax is how many bytes of one cluster are looked at; more combining
// marks than that are nobody's language.
const clusterMax = 32

// next returns the first cluster of s as it may be drawn: its text, its width in
// cells, and how many bytes of s it took.
func next(s string, ascii bool) (text string, width, n int) {
	c := s[0]
	if c < 0x80 && (len(s) == 1 || s[1] < 0x80) {
		switch {
		case c >= 0x20 && c < 0x7f:
			return s[:1], 1, 1
		case c == '\t':
			return "    ", 4, 1
		case c == '\n' || c == '\r':
			return " ", 1, 1
		}
		return "?", 1, 1
	}
	head := s
	if len(head) > 256 {
		cut := 256
		for cut > 250 && !utf8.RuneStart(head[cut]) {
			cut--
		}
		head = head[:cut]
	}
	cl, _ := ansi.FirstGraphemeCluster(head, ansi.GraphemeWidth)
	n = len(cl)
	if n == 0 {
		return "?", 1, 1
	}
	if c < 0x20 || c == 0x7f {
		t, w, _ := next(s[:1], ascii)
		return t, w, n
	}
	if ascii {
		if c >= 0x20 && c < 0x7f {
			return s[:1], 1, n
		}
		if w := ansi.StringWidth(cl); w == 0 {
			return "", 0, n
		}
		return "?", 1, n
	}
	r, size := utf8.DecodeRuneInString(cl)
	w := ansi.StringWidth(cl)
	if n <= clusterMax && w == ansi.StringWidthWc(cl) && w <= 2 {
		if w == 0 {
			return "", 0, n // nothing for it to stand on
		}
		if standsAlone(r, size, cl) {
			return cl, w, n
		}
	}
	if r >= 0x1f1e6 && r <= 0x1f1ff { // a flag: its letters
		var b strings.Builder
		for _, r := range cl {
			if r >= 0x1f1e6 && r <= 0x1f1ff {
				b.WriteByte(byte('A' + r - 0x1f1e6))
			}
		}
		return b.String(), b.Len(), n
	}
	one := cl[:size]
	w = ansi.StringWidth(one)
	if r == utf8.RuneError || w != ansi.StringWidthWc(one) {
		return "?", 1, n
	}
	if w == 0 {
		return "", 0, n
	}
	if !standsAlone(r, size, one) {
		return "?", 1, n
	}
	return one, w, n
}

// standsAlone reports whether a cluster, which begins with r, stays one by itself
// between spaces: a lone mark would join the character before it, a border
// perhaps, and a prefix the one after.
func standsAlone(r rune, size int, cl string) bool {
	if size == len(cl) && (r >= 0xc0 && r < 0x300 || r >= 0x370 && r < 0x483 || r >= 0x3041 && r < 0x3097 || r >= 0x30a1 && r < 0xa000 || r >= 0xac00 && r < 0xd7a4) {
		return true
	}
	first, _ := ansi.FirstGraphemeCluster(" "+cl, ansi.GraphemeWidth)
	if first != " " {
		return false
	}
	own, _ := ansi.FirstGraphemeCluster(cl+" ", ansi.GraphemeWidth)
	return own == cl
}

// cut appends to b as much of s as fits into w cells, after leaving out the
// first skip cells. It reports the cells used and whether text was left over,
// and looks at no more of s than that takes.
func cut(b []byte, s string, skip, w int, t *theme.Theme) (out []byte, used int, more bool) {
	if w <= 0 {
		return b, 0, len(s) > 0
	}
	start := len(b)
	back, backUsed := start, 0 // where the text ends that leaves room for an ellipsis
	for len(s) > 0 {
		text, cw, n := next(s, t.ASCII)
		s = s[n:]
		if cw == 0 {
			continue
		}
		if skip > 0 {
			skip -= cw
			if skip < 0 { // half of it is visible
				for ; skip < 0 && used < w; skip++ {
					b = append(b, ' ')
					used++
				}
				skip = 0
			}
			continue
		}
		if used+cw > w {
			b = append(b[:back], t.Ellipsis...)
			return b, backUsed + 1, true
		}
		b = append(b, text...)
		used += cw
		if used <= w-1 {
			back, backUsed = len(b), used
		}
	}
	return b, used, false
}

// Fit returns s in exactly w cells: cut with an ellipsis, or filled with spaces.
func Fit(t *theme.Theme, s string, w int) string {
	if w <= 0 {
		return ""
	}
	if len(s) == w && plain(s) {
		return s
	}
	b := make([]byte, 0, w+8)
	b, used, _ := cut(b, s, 0, w, t)
	for ; used < w; used++ {
		b = append(b, ' ')
	}
	return string(b)
}

// FitRight returns s in exactly w cells, at their right end.
func FitRight(t *theme.Theme, s string, w int) string {
	if w <= 0 {
		return ""
	}
	b := make([]byte, 0, w+8)
	b, used, _ := cut(b, s, 0, w, t)
	if used >= w {
		return string(b)
	}
	return strings.Repeat(" ", w-used) + string(b)
}

// Width returns how many cells s takes when drawn.
func Width(t *theme.Theme, s string) int {
	if plain(s) {
		return len(s)
	}
	w := 0
	for len(s) > 0 {
		_, cw, n := next(s, t.ASCII)
		w += cw
		s = s[n:]
	}
	return w
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// WrapText breaks s into lines of at most w cells, at most limit of them, preferring
// to break at spaces. Line ends in s are kept.
func WrapText(t *theme.Theme, s string, w, limit int) []string {
	if w <= 0 {
		return nil
	}
	var out []string
	for _, para := range strings.Split(s, "\n") {
		for first := true; first || para != ""; first = false {
			if len(out) == limit {
				if limit > 0 {
					out[limit-1] = Fit(t, out[limit-1]+t.Ellipsis, min(w, Width(t, out[limit-1])+1))
				}
				return out
			}
			head, rest := breakAt(t, para, w)
			out = append(out, head)
			para = rest
		}
	}
	return out
}

// breakAt splits s after at most w cells, at the last space where that leaves
// more than half a line. The head is as it may be drawn.
func breakAt(t *theme.Theme, s string, w int) (head, rest string) {
	b := make([]byte, 0, min(len(s), 4*w))
	used, i := 0, 0
	spaceB, spaceI, spaceUsed := -1, 0, 0
	for i < len(s) {
		text, cw, n := next(s[i:], t.ASCII)
		if used+cw > w {
			if s[i] == ' ' {
				return string(b), s[i+1:]
			}
			if spaceB >= 0 && spaceUsed > w/2 {
				return string(b[:spaceB]), s[spaceI:]
			}
			if used == 0 { // one cluster wider than the line
				return "", s[i+n:]
			}
			return string(b), s[i:]
		}
		if s[i] == ' ' {
			spaceB, spaceI, spaceUsed = len(b), i+n, used
		}
		b = append(b, text...)
		used += cw
		i += n
	}
	return string(b), ""
}

// Line builds one line of exactly its width.
type Line struct {
	t    *theme.Theme
	b    []byte
	left int
	sel  bool
}

// NewLine starts a line of w cells; selected lines have the selection's background.
func NewLine(t *theme.Theme, w int, selected bool) *Line {
	return &Line{t: t, left: max(0, w), sel: selected, b: make([]byte, 0, w+64)}
}

// Put adds s in ink, as much of it as fits.
func (l *Line) Put(ink theme.Ink, s string) *Line {
	if l.left == 0 || s == "" {
		return l
	}
	open := ink.Open(l.sel)
	l.b = append(l.b, open...)
	var used int
	l.b, used, _ = cut(l.b, s, 0, l.left, l.t)
	if open != "" {
		l.b = append(l.b, "\x1b[m"...)
	}
	l.left -= used
	return l
}

// Skipped adds s without its first skip cells.
func (l *Line) Skipped(ink theme.Ink, s string, skip int) *Line {
	if l.left == 0 || s == "" {
		return l
	}
	open := ink.Open(l.sel)
	l.b = append(l.b, open...)
	var used int
	l.b, used, _ = cut(l.b, s, skip, l.left, l.t)
	if open != "" {
		l.b = append(l.b, "\x1b[m"...)
	}
	l.left -= used
	return l
}

// Col adds s in exactly w cells, at their right end if right.
func (l *Line) Col(ink theme.Ink, s string, w int, right bool) *Line {
	w = min(w, l.left)
	if w <= 0 {
		return l
	}
	if right {
		s = FitRight(l.t, s, w)
	} else {
		s = Fit(l.t, s, w)
	}
	l.b = append(l.b, ink.Paint(s, l.sel)...)
	l.left -= w
	return l
}

// Gap adds n spaces.
func (l *Line) Gap(n int) *Line {
	n = min(n, l.left)
	if n > 0 {
		l.b = append(l.b, l.t.Text.Paint(strings.Repeat(" ", n), l.sel)...)
		l.left -= n
	}
	return l
}

// Left returns how many cells are free.
func (l *Line) Left() int { return l.left }

// Reserve keeps the last n cells from being filled, until Reserve(-n) frees them.
func (l *Line) Reserve(n int) { l.left -= n }

// String fills the line up and returns it.
func (l *Line) String() string {
	l.Gap(l.left)
	return string(l.b)
}

// Block makes exactly h lines of w cells from lines.
func Block(lines []string, w, h int) string {
	if h <= 0 {
		return ""
	}
	if len(lines) > h {
		lines = lines[:h]
	}
	blank := strings.Repeat(" ", max(0, w))
	for len(lines) < h {
		lines = append(lines, blank)
	}
	return strings.Join(lines, "\n")
}
