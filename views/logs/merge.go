package logs

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// stream is the records of one log source that pass the filters, oldest first.
type stream struct {
	id, title string
	recs      []state.LogRecord
}

// merge walks several streams as one, by time, in either direction. at[k] is how
// many records of stream k lie behind the cursor; the record at the cursor is the
// latest of those. A step costs one comparison a stream, whatever their length.
type merge struct {
	s  []stream
	at []int
}

// mergeEnd returns a merge behind the newest record.
func mergeEnd(s []stream) merge {
	m := merge{s: s, at: make([]int, len(s))}
	for k := range s {
		m.at[k] = len(s[k].recs)
	}
	return m
}

func (m merge) clone() merge {
	at := make([]int, len(m.at))
	copy(at, m.at)
	return merge{m.s, at}
}

// cur returns the record at the cursor, or nil before the first.
func (m merge) cur() (k int, r *state.LogRecord) {
	k = -1
	for i := range m.s {
		if m.at[i] == 0 {
			continue
		}
		c := &m.s[i].recs[m.at[i]-1]
		if r == nil || c.Nanos >= r.Nanos {
			k, r = i, c
		}
	}
	return k, r
}

// back moves the cursor to the record before; it returns the one that it left, or
// nil when there was none.
func (m merge) back() (int, *state.LogRecord) {
	k, r := m.cur()
	if r != nil {
		m.at[k]--
	}
	return k, r
}

// forward moves the cursor to the next record and returns it, or nil at the end.
func (m merge) forward() (int, *state.LogRecord) {
	k, r := -1, (*state.LogRecord)(nil)
	for i := range m.s {
		if m.at[i] == len(m.s[i].recs) {
			continue
		}
		c := &m.s[i].recs[m.at[i]]
		if r == nil || c.Nanos < r.Nanos {
			k, r = i, c
		}
	}
	if r != nil {
		m.at[k]++
	}
	return k, r
}

// rebase returns the same place in other streams, by each source's record numbers.
func (m merge) rebase(s []stream) merge {
	out := merge{s: s, at: make([]int, len(s))}
	_, cur := m.cur()
	for k := range s {
		old := -1
		for i := range m.s {
			if m.s[i].id == s[k].id {
				old = i
			}
		}
		recs := s[k].recs
		switch {
		case old >= 0 && m.at[old] > 0:
			last := m.s[old].recs[m.at[old]-1].Seq
			out.at[k] = sort.Search(len(recs), func(i int) bool { return recs[i].Seq > last })
		case old < 0 && cur != nil:
			out.at[k] = sort.Search(len(recs), func(i int) bool { return recs[i].Nanos > cur.Nanos })
		}
	}
	return out
}

// pattern is text to look for: without regard to case unless it has a capital. Text
// between slashes is a regular expression.
type pattern struct {
	text  string
	exact bool
	re    *regexp.Regexp
}

func newPattern(s string) (pattern, error) {
	p := pattern{text: s, exact: strings.ToLower(s) != s}
	if expr, ok := strings.CutPrefix(s, "/"); ok && len(expr) > 1 && strings.HasSuffix(expr, "/") {
		re, err := regexp.Compile(strings.TrimSuffix(expr, "/"))
		if err != nil {
			return pattern{}, fmt.Errorf("search: %w", err)
		}
		p.re = re
	}
	return p, nil
}

// find returns where the text begins in s and ends, or -1.
func (p pattern) find(s string) (int, int) {
	n := len(p.text)
	if p.re != nil {
		if at := p.re.FindStringIndex(s); at != nil && at[1] > at[0] {
			return at[0], at[1]
		}
		return -1, -1
	}
	if n == 0 {
		return -1, -1
	}
	if p.exact || p.text[0] >= 0x80 {
		if i := strings.Index(s, p.text); i >= 0 {
			return i, i + n
		}
		return -1, -1
	}
	lo := p.text[0]
	up := lo
	if lo >= 'a' && lo <= 'z' {
		up = lo - 32
	}
	nextLo, nextUp := -2, -2
	for i := 0; i+n <= len(s); {
		if nextLo != -1 && nextLo < i {
			if nextLo = strings.IndexByte(s[i:], lo); nextLo >= 0 {
				nextLo += i
			}
		}
		if up == lo {
			nextUp = -1
		} else if nextUp != -1 && nextUp < i {
			if nextUp = strings.IndexByte(s[i:], up); nextUp >= 0 {
				nextUp += i
			}
		}
		switch {
		case nextLo < 0 && nextUp < 0:
			return -1, -1
		case nextLo < 0 || nextUp >= 0 && nextUp < nextLo:
			i = nextUp
		default:
			i = nextLo
		}
		if i+n > len(s) {
			return -1, -1
		}
		if strings.EqualFold(s[i:i+n], p.text) {
			return i, i + n
		}
		i++
	}
	return -1, -1
}

func (p pattern) in(s string) bool { i, _ := p.find(s); return i >= 0 }

// filtered remembers which records of one source passed the filters, so that each
// record is looked at once.
type filtered struct {
	recs []state.LogRecord
	last uint64 // the newest record looked at
}

// update looks at the records that are new in tail.
func (f *filtered) update(s filterSet, tail []state.LogRecord) {
	if len(tail) == 0 {
		return
	}
	first, last := tail[0].Seq, tail[len(tail)-1].Seq
	if last < f.last && (len(f.recs) == 0 || f.recs[0].Seq > last) {
		*f = filtered{} // the source began anew
	}
	from := sort.Search(len(tail), func(i int) bool { return tail[i].Seq > f.last })
	for i := from; i < len(tail); i++ {
		if s.passes(&tail[i]) {
			f.recs = append(f.recs, tail[i])
		}
	}
	f.last = max(f.last, last)
	f.recs = f.recs[sort.Search(len(f.recs), func(i int) bool { return f.recs[i].Seq >= first }):]
}

// upTo returns what passed of the records up to seq.
func (f *filtered) upTo(seq uint64) []state.LogRecord {
	n := sort.Search(len(f.recs), func(i int) bool { return f.recs[i].Seq > seq })
	return f.recs[:n:n]
}
