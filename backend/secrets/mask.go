package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf16"
)

// MinLength is the shortest secret, in bytes, that is masked: shorter ones
// ("admin", "true") occur in ordinary text.
const MinLength = 6

// Masked replaces a secret.
const Masked = "***"

// Mask replaces known secret values in text: as they are, in base64 (standard
// and URL alphabets, padded or not, alone or in the middle of other text),
// URL-escaped, and escaped as in JSON. The zero Mask knows none. It is safe for
// concurrent use.
type Mask struct {
	cur   atomic.Pointer[matcher]
	mu    sync.Mutex
	known map[string]struct{}
}

// Add adds secrets, for good: a value that was replaced still stands in
// old logs. Those shorter than [MinLength] are ignored.
func (m *Mask) Add(secrets ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]struct{}{}
	}
	before := len(m.known)
	for _, s := range secrets {
		m.add(s)
		// Multi-line secrets (private keys) are logged a line at a time.
		if strings.Contains(s, "\n") {
			for line := range strings.Lines(s) {
				if line = strings.TrimSpace(line); len(line) >= 3*MinLength {
					m.add(line)
				}
			}
		}
	}
	if len(m.known) == before {
		return
	}
	patterns := make([]string, 0, len(m.known))
	for p := range m.known {
		patterns = append(patterns, p)
	}
	m.cur.Store(newMatcher(patterns))
}

func (m *Mask) add(s string) {
	if len(s) < MinLength {
		return
	}
	for _, f := range forms(s) {
		if len(f) >= MinLength {
			m.known[f] = struct{}{}
		}
	}
}

// Len returns the number of patterns that are looked for.
func (m *Mask) Len() int {
	if cur := m.cur.Load(); cur != nil {
		return cur.n
	}
	return 0
}

// Mask returns s with every known secret replaced by [Masked]; s itself, without
// allocating, where there is none. Of overlapping secrets the leftmost longest
// is replaced. A nil Mask knows none.
func (m *Mask) Mask(s string) string {
	if m == nil {
		return s
	}
	cur := m.cur.Load()
	if cur == nil {
		return s
	}
	at, n := cur.find(s, 0)
	if at < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	from := 0
	for at >= 0 {
		b.WriteString(s[from:at])
		b.WriteString(Masked)
		from = at + n
		at, n = cur.find(s, from)
	}
	b.WriteString(s[from:])
	return b.String()
}

// Has reports whether s holds a known secret.
func (m *Mask) Has(s string) bool {
	if m == nil {
		return false
	}
	cur := m.cur.Load()
	if cur == nil {
		return false
	}
	at, _ := cur.find(s, 0)
	return at >= 0
}

// forms returns the forms in which a secret occurs in text.
func forms(s string) []string {
	out := []string{s, url.QueryEscape(s), url.PathEscape(s), jsonEscaped(s, true), jsonEscaped(s, false), asciiEscaped(s)}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		out = append(out, enc.EncodeToString([]byte(s)))
		out = append(out, within(s, enc)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within returns what base64 makes of s in the middle of other text, as in an HTTP Basic
// header: for each of the three places at which s may begin in a group of three
// bytes, the characters that s alone decides.
func within(s string, enc *base64.Encoding) []string {
	var out []string
	for before := range 3 {
		text := enc.EncodeToString(append(make([]byte, before, before+len(s)), s...))
		from, to := (before*8+5)/6, (before+len(s))*8/6
		out = append(out, text[from:to])
	}
	return out
}

func jsonEscaped(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

// asciiEscaped returns how Python's json.dumps writes s.
func asciiEscaped(s string) string {
	var b strings.Builder
	const hex = "0123456789abcdef"
	for _, r := range jsonEscaped(s, false) {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[u>>shift&15])
			}
		}
	}
	return b.String()
}

// matcher finds the leftmost longest of its patterns, after Wu and Manber: a
// window as wide as the shortest pattern slides over the text; shift says by
// how much it may, judged by the two bytes at its end.
type matcher struct {
	n     int // patterns
	width int
	shift [1 << 16]uint8
	// ending are the patterns whose first width bytes end in that pair, longest first.
	ending map[uint16][]string
}

// maxWidth bounds the window so that one shift fits a byte and short texts are searched too.
const maxWidth = 32

func newMatcher(patterns []string) *matcher {
	m := &matcher{n: len(patterns), width: maxWidth, ending: map[uint16][]string{}}
	for _, p := range patterns {
		m.width = min(m.width, len(p))
	}
	for i := range m.shift {
		m.shift[i] = uint8(m.width - 1)
	}
	for _, p := range patterns {
		for i := 1; i < m.width; i++ {
			pair := uint16(p[i-1])<<8 | uint16(p[i])
			m.shift[pair] = min(m.shift[pair], uint8(m.width-1-i))
		}
		last := uint16(p[m.width-2])<<8 | uint16(p[m.width-1])
		m.ending[last] = append(m.ending[last], p)
	}
	for _, ps := range m.ending {
		slices.SortFunc(ps, func(a, b string) int { return len(b) - len(a) })
	}
	return m
}

// find returns where the next pattern at or after from begins, and its length; -1 for none.
func (m *matcher) find(s string, from int) (at, n int) {
	for i := from + m.width - 1; i < len(s); {
		pair := uint16(s[i-1])<<8 | uint16(s[i])
		if sh := m.shift[pair]; sh > 0 {
			i += int(sh)
			continue
		}
		start := i - m.width + 1
		for _, p := range m.ending[pair] {
			if strings.HasPrefix(s[start:], p) {
				return start, len(p)
			}
		}
		i++
	}
	return -1, 0
}
