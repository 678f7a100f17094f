package record

import (
	"cmp"
	"container/list"
	"hash/maphash"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Sizes of the pattern tree.
const (
	// DefaultPatterns is how many patterns are kept.
	DefaultPatterns = 1000
	// maxTokens is how many tokens of a line count, maxPatternText how many bytes.
	maxTokens      = 64
	maxPatternText = 2048
	// similar is the part of tokens in which a line must agree with a pattern to join it.
	similar = 0.5
	// leading is how many first tokens lead through the tree.
	leading = 3
	// formsEach bounds the masked forms that lead to a pattern without the tree.
	formsEach = 8
	// maxForgotten bounds the dropped patterns that are remembered as having been seen.
	maxForgotten = 64 << 10
	// exampleBytes is how much of an example is kept.
	exampleBytes = 1024
)

// wild stands for a token that varies.
const wild = "<*>"

// Pattern is a kind of line.
type Pattern struct {
	// ID is the pattern's for as long as the Patterns live.
	ID uint64 `json:"id"`
	// Template is the line with what varies masked: "took <num>ms for <ip>".
	Template string `json:"template"`
	Count    uint64 `json:"count"`
	// First and Last are when it was seen, in Unix nanoseconds of the records' times.
	First int64 `json:"first_ns"`
	Last  int64 `json:"last_ns"`
	// Example is the text of the newest record, at most 1 KiB.
	Example string `json:"example"`
	// Level is that of its records.
	Level state.Level `json:"level,omitempty"`
	// Rate is in records a second, over the last minute or two before Last.
	Rate float64 `json:"rate"`
}

// Patterns clusters records. Its memory is bounded: of more patterns than its
// limit the least recently used fall out, and are counted. It belongs to one
// goroutine.
type Patterns struct {
	limit int
	seed  maphash.Seed
	buf   []byte
	toks  []string
	// byForm has the pattern of a masked form; tree the patterns by number of tokens
	// and first tokens.
	byForm map[uint64]*cluster
	tree   map[uint64][]*cluster
	used   *list.List // of *cluster, the most recently used in front
	lastID uint64
	// gone are forms of patterns that fell out, with the time of their first sight.
	gone            map[uint64]int64
	dropped, missed uint64
}

type cluster struct {
	Pattern
	tokens []string
	branch uint64
	forms  []uint64
	place  *list.Element
	// minute, was and now count the records of a minute and of the one before it.
	minute   int64
	was, now uint64
}

// NewPatterns returns a set of at most limit patterns, 0 for [DefaultPatterns].
func NewPatterns(limit int) *Patterns {
	if limit <= 0 {
		limit = DefaultPatterns
	}
	return &Patterns{limit: limit, seed: maphash.MakeSeed(), byForm: map[uint64]*cluster{}, tree: map[uint64][]*cluster{},
		used: list.New(), gone: map[uint64]int64{}}
}

// Add counts a record and returns the ID of its pattern. isNew says that the
// pattern was never seen before.
func (p *Patterns) Add(r state.LogRecord) (id uint64, isNew bool) {
	p.buf = mask(p.buf[:0], message(r.Text))
	return p.count(r, 1)
}

// count counts n records with the masked form in buf.
func (p *Patterns) count(r state.LogRecord, n uint64) (id uint64, isNew bool) {
	p.buf = append(p.buf, byte(r.Level)) // the same words at another level are another pattern
	form := maphash.Bytes(p.seed, p.buf)
	p.buf = p.buf[:len(p.buf)-1]
	c := p.byForm[form]
	if c == nil {
		c, isNew = p.place(form, r.Level)
		if isNew {
			c.First = r.Nanos
			if first, ok := p.gone[form]; ok {
				c.First, isNew = min(first, r.Nanos), false
			}
		}
	}
	p.used.MoveToFront(c.place)
	c.Count += n
	c.First = min(c.First, r.Nanos)
	if r.Nanos >= c.Last || c.Example == "" {
		c.Last = r.Nanos
		// The example is copied only now and then: a copy for every line would cost more
		// than all else.
		if c.Count&(c.Count-1) == 0 || c.Example == "" {
			c.Example = strings.Clone(r.Text[:min(len(r.Text), exampleBytes)])
		}
	}
	c.Level = r.Level
	switch minute := r.Nanos / int64(time.Minute); {
	case minute == c.minute:
		c.now += n
	case minute == c.minute+1:
		c.minute, c.was, c.now = minute, c.now, n
	case minute > c.minute:
		c.minute, c.was, c.now = minute, 0, n
	}
	return c.ID, isNew
}

// place finds or makes the pattern of the masked form in buf.
func (p *Patterns) place(form uint64, level state.Level) (c *cluster, isNew bool) {
	text := unsafe.String(unsafe.SliceData(p.buf), len(p.buf))
	p.toks = p.toks[:0]
	for tok := range strings.FieldsSeq(text) {
		if p.toks = append(p.toks, tok); len(p.toks) == maxTokens {
			break
		}
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	h.WriteByte(byte(len(p.toks)))
	h.WriteByte(byte(level))
	for _, tok := range p.toks[:min(leading, len(p.toks))] {
		if strings.IndexByte(tok, '<') >= 0 {
			tok = wild
		}
		h.WriteString(tok)
		h.WriteByte(0)
	}
	branch := h.Sum64()
	var best *cluster
	most := -1
	for _, c := range p.tree[branch] {
		same, all := 0, 0
		for i, tok := range p.toks {
			if hasWord(tok) {
				all++
				if tok == c.tokens[i] {
					same++
				}
			}
		}
		if same > most && float64(same) >= similar*float64(all) {
			best, most = c, same
		}
	}
	if best == nil {
		isNew = true
		for p.used.Len() >= p.limit {
			p.drop(p.used.Back().Value.(*cluster))
		}
		p.lastID++
		best = &cluster{Pattern: Pattern{ID: p.lastID}, branch: branch, tokens: make([]string, len(p.toks))}
		for i, tok := range p.toks {
			best.tokens[i] = strings.Clone(tok)
		}
		best.place = p.used.PushFront(best)
		p.tree[branch] = append(p.tree[branch], best)
	} else {
		for i, tok := range best.tokens {
			if tok != p.toks[i] {
				best.tokens[i] = wild
			}
		}
	}
	if len(best.forms) == formsEach {
		delete(p.byForm, best.forms[0])
		best.forms = append(best.forms[:0], best.forms[1:]...)
	}
	best.forms = append(best.forms, form)
	p.byForm[form] = best
	return best, isNew
}

// hasWord reports whether a token has a word in it that is not masked: two lines are not
// similar for their dashes, times and numbers.
func hasWord(tok string) bool {
	masked := false
	for i := range len(tok) {
		switch c := tok[i]; {
		case c == '<':
			masked = true
		case c == '>':
			masked = false
		case !masked && wordByte(c):
			return true
		}
	}
	return false
}

// drop removes a pattern and counts it.
func (p *Patterns) drop(c *cluster) {
	p.dropped++
	p.missed += c.Count
	for _, f := range c.forms {
		delete(p.byForm, f)
		if len(p.gone) < maxForgotten {
			p.gone[f] = c.First
		}
	}
	p.used.Remove(c.place)
	kept := slices.DeleteFunc(p.tree[c.branch], func(o *cluster) bool { return o == c })
	if len(kept) == 0 {
		delete(p.tree, c.branch)
	} else {
		p.tree[c.branch] = kept
	}
}

// List returns all patterns, the most frequent first.
func (p *Patterns) List() []Pattern {
	out := make([]Pattern, 0, p.used.Len())
	for e := p.used.Front(); e != nil; e = e.Next() {
		c := e.Value.(*cluster)
		c.Template = strings.Join(c.tokens, " ")
		c.Rate = float64(c.was+c.now) / (60 + float64(c.Last%int64(time.Minute))/1e9)
		if c.was == 0 { // it began in this minute
			c.Rate = float64(c.now) / max(1, float64(c.Last-max(c.First, c.minute*int64(time.Minute)))/1e9)
		}
		out = append(out, c.Pattern)
	}
	slices.SortFunc(out, func(a, b Pattern) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// NewSince returns the patterns that were never seen before a time, in Unix
// nanoseconds, the most frequent first.
func (p *Patterns) NewSince(ns int64) []Pattern {
	return slices.DeleteFunc(p.List(), func(c Pattern) bool { return c.First < ns })
}

// Dropped returns how many patterns fell out, and how many records they had counted.
func (p *Patterns) Dropped() (patterns, records uint64) { return p.dropped, p.missed }

// Merge adds what other counted. other must not be used afterwards.
func (p *Patterns) Merge(other *Patterns) {
	for e := other.used.Back(); e != nil; e = e.Prev() { // the most recently used are used last
		o := e.Value.(*cluster)
		p.buf = append(p.buf[:0], strings.Join(o.tokens, " ")...)
		p.count(state.LogRecord{Nanos: o.Last, Text: o.Example, Level: o.Level}, 0)
		c := p.used.Front().Value.(*cluster)
		c.Count += o.Count
		c.First = min(c.First, o.First)
		switch {
		case o.minute == c.minute:
			c.was, c.now = c.was+o.was, c.now+o.now
		case o.minute+1 == c.minute:
			c.was += o.now
		}
	}
	p.dropped += other.dropped
	p.missed += other.missed
}

// message returns the part of a record that says what happened: its first line, and of
// a JSON object the message, or where that is none all that is not time or level.
func message(text string) string {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	if len(text) > 0 && text[0] == '{' {
		for _, key := range [...]string{"message", "msg", "event", "error"} {
			v, ok, _ := member(text, 0, key, maxDepth)
			if ok && len(v) > 2 && v[0] == '"' {
				text = v[1 : len(v)-1]
				break
			}
		}
	}
	return text[:min(len(text), maxPatternText)]
}

// mask appends text with what varies masked: times, numbers (their unit stays),
// hexadecimal numbers, UUIDs, addresses and quoted text.
func mask(to []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\'':
			// Quoted text, unless it is a JSON member's name or an apostrophe.
			if c == '"' || i == 0 || !wordByte(s[i-1]) {
				if n := strings.IndexByte(s[i+1:], c); n >= 0 {
					end := i + 1 + n + 1
					if end < len(s) && s[end] == ':' && c == '"' {
						to = append(to, s[i:end]...)
					} else {
						to = append(to, "<str>"...)
					}
					i = end
					continue
				}
			}
			to = append(to, c)
			i++
		case !wordByte(c):
			to = append(to, c)
			i++
		default:
			to, i = maskWord(to, s, i)
		}
	}
	return to
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// maskWord masks the word that begins at i, with what belongs to it.
func maskWord(to []byte, s string, i int) ([]byte, int) {
	end, digits, hex := i, 0, 0
	for end < len(s) && wordByte(s[end]) {
		if isDigit(s[end]) {
			digits++
		}
		if isHex(s[end]) {
			hex++
		}
		end++
	}
	n := end - i
	if digits == 0 && (hex < n || n < 8) {
		// "::1" and "fe80::1" are rare; words are not.
		return append(to, s[i:end]...), end
	}
	if n == 4 && digits == 4 {
		if at := timeAt(s, i); at > 0 {
			return append(to, "<time>"...), at
		}
	}
	if n == 8 && hex == 8 && len(s) >= i+36 && uuid(s[i:i+36]) && (len(s) == i+36 || !wordByte(s[i+36])) {
		return append(to, "<uuid>"...), i + 36
	}
	if digits == n && n <= 3 {
		if at := ipv4(s, i); at > 0 {
			return append(to, "<ip>"...), at
		}
		if n <= 2 && end+5 < len(s) && s[end] == ':' && isDigit(s[end+1]) && isDigit(s[end+2]) && s[end+3] == ':' && isDigit(s[end+4]) {
			at := end + 4
			for at < len(s) && (isDigit(s[at]) || s[at] == '.' || s[at] == ',') {
				at++
			}
			return append(to, "<time>"...), at
		}
	}
	if hex == n && n <= 4 && end < len(s) && s[end] == ':' {
		if at := ipv6(s, i); at > 0 {
			return append(to, "<ip>"...), at
		}
	}
	if n > 2 && s[i] == '0' && (s[i+1] == 'x' || s[i+1] == 'X') && hex == n-1 || hex == n && (n >= 8 && digits < n || n >= 16) {
		return append(to, "<hex>"...), end
	}
	if isDigit(s[i]) {
		at := i
		for at < len(s) && (isDigit(s[at]) || (s[at] == '.' || s[at] == ',') && at+1 < len(s) && isDigit(s[at+1])) {
			at++
		}
		unit := at
		for unit < len(s) && wordByte(s[unit]) && !isDigit(s[unit]) {
			unit++
		}
		if unit-at <= 5 && (unit == len(s) || !wordByte(s[unit])) {
			to = append(to, "<num>"...)
			return append(to, s[at:unit]...), unit
		}
		if at > end {
			end = at
		}
		for end < len(s) && wordByte(s[end]) {
			end++
		}
		return append(to, "<id>"...), end
	}
	// A name with a number at its end keeps its name; anything else is an identifier.
	at := i
	for at < end && !isDigit(s[at]) {
		at++
	}
	if digits == end-at {
		to = append(to, s[i:at]...)
		return append(to, "<num>"...), end
	}
	return append(to, "<id>"...), end
}

// timeAt returns the place after the date or time that begins at i with its year, or -1.
func timeAt(s string, i int) int {
	if len(s) < i+10 || s[i+4] != '-' && s[i+4] != '/' || s[i+7] != s[i+4] || !isDigit(s[i+5]) || !isDigit(s[i+6]) || !isDigit(s[i+8]) || !isDigit(s[i+9]) {
		return -1
	}
	at := i + 10
	if len(s) >= at+9 && (s[at] == 'T' || s[at] == ' ') && isDigit(s[at+1]) && s[at+3] == ':' && s[at+6] == ':' {
		at += 9
		for at < len(s) && (isDigit(s[at]) || (s[at] == '.' || s[at] == ',') && at+1 < len(s) && isDigit(s[at+1])) {
			at++
		}
		if at < len(s) && s[at] == 'Z' {
			at++
		} else if len(s) >= at+5 && (s[at] == '+' || s[at] == '-') && isDigit(s[at+1]) {
			for at++; at < len(s) && (isDigit(s[at]) || s[at] == ':'); at++ {
			}
		}
	}
	return at
}

func uuid(s string) bool {
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i]) {
			return false
		}
	}
	return true
}

// ipv4 returns the place after the address, and its port, that begins at i, or -1.
func ipv4(s string, i int) int {
	for part := range 4 {
		if part > 0 {
			if i >= len(s) || s[i] != '.' {
				return -1
			}
			i++
		}
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if i == start || i-start > 3 {
			return -1
		}
	}
	if i < len(s) && (s[i] == '.' && i+1 < len(s) && isDigit(s[i+1])) {
		return -1
	}
	if i+1 < len(s) && s[i] == ':' && isDigit(s[i+1]) {
		for i++; i < len(s) && isDigit(s[i]); i++ {
		}
	}
	return i
}

// ipv6 returns the place after an address of at least three groups that begins at i, or -1.
func ipv6(s string, i int) int {
	colons, start := 0, i
	for i < len(s) && (isHex(s[i]) || s[i] == ':') {
		if s[i] == ':' {
			colons++
		}
		i++
	}
	if colons < 2 || colons > 7 || colons < 7 && !strings.Contains(s[start:i], "::") {
		return -1
	}
	return i
}
