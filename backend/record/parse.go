package record

import (
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// filterParser reads the one grammar of filters.
type filterParser struct {
	text string
	at   int
	// names are what @name may stand for, within the names that are being read.
	names  Names
	within []string
	// before is the text up to spelt without names.
	before string
	spelt  int
	// terms says what terms mean where the filter is not one of records; nil is records.
	terms *termParser
}

// maxNesting bounds parentheses and nots.
const maxNesting = 100

func (p *filterParser) fail(at int, format string, args ...any) error {
	return &SyntaxError{Text: p.text, At: at, What: fmt.Sprintf(format, args...)}
}

func (p *filterParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// wrong records a mistake in what begins at start. Where the rest of the filter is to be in
// force all the same, it is kept, and what is wrong is left out.
func (p *filterParser) wrong(start, at int, format string, args ...any) (*node, error) {
	if p.terms == nil {
		return nil, p.fail(at, format, args...)
	}
	p.terms.mistake(p.text, start, p.at, fmt.Sprintf(format, args...))
	return nil, nil
}

// word consumes a keyword or its sign, and reports whether it did.
func (p *filterParser) word(word, sign string) bool {
	p.space()
	rest := p.text[p.at:]
	if strings.HasPrefix(rest, sign) {
		p.at += len(sign)
		return true
	}
	if len(rest) >= len(word) && (rest[:len(word)] == word || rest[:len(word)] == strings.ToUpper(word)) &&
		(len(rest) == len(word) || strings.IndexByte(" \t\r\n()", rest[len(word)]) >= 0) {
		p.at += len(word)
		return true
	}
	return false
}

func (p *filterParser) or(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, p.fail(p.at, "this is nested too deeply: at most %d levels", maxNesting)
	}
	a, err := p.and(depth)
	for err == nil && p.word("or", "||") {
		var b *node
		if b, err = p.and(depth); err == nil {
			a = join(opOr, a, b)
		}
	}
	return a, err
}

func (p *filterParser) and(depth int) (*node, error) {
	a, err := p.not(depth)
	for err == nil {
		if !p.word("and", "&&") {
			at := p.at
			if p.at == len(p.text) || p.text[p.at] == ')' || p.word("or", "||") {
				p.at = at
				break
			}
		}
		var b *node
		if b, err = p.not(depth); err == nil {
			a = join(opAnd, a, b)
		}
	}
	return a, err
}

func (p *filterParser) not(depth int) (*node, error) {
	if depth > maxNesting {
		return nil, p.fail(p.at, "this is nested too deeply: at most %d levels", maxNesting)
	}
	if p.word("not", "!") {
		a, err := p.not(depth + 1)
		if a == nil {
			return nil, err
		}
		return &node{op: opNot, a: a}, err
	}
	p.space()
	at := p.at
	switch {
	case at == len(p.text) && p.terms != nil:
		return nil, nil // it is being typed
	case at == len(p.text):
		return nil, p.fail(at, "a condition is missing here: a word, level>=warn, field=value, /regexp/ or (...)")
	case p.text[at] == ')':
		return p.wrong(at, at, "a condition is missing before this )")
	case p.text[at] == '(':
		p.at++
		a, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		p.space()
		if p.at == len(p.text) {
			_, err := p.wrong(at, at, "this ( is not closed")
			return a, err
		}
		p.at++
		return a, nil
	case p.text[at] == '"':
		v, err := p.quoted()
		if err != nil && p.terms != nil {
			return p.wrong(at, at, `the quote is not closed: end it with "`)
		}
		return p.literal(v), err
	case p.text[at] == '/':
		if expr, ok := p.slashed(); ok {
			s, err := Regexp(expr)
			if err != nil {
				return p.wrong(at, at, "%v", err)
			}
			return p.found(s), nil
		}
	}
	if n, err, ok := p.comparison(); ok {
		return n, err
	}
	if n, err, ok := p.named(depth); ok {
		return n, err
	}
	start := p.at
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n()", p.text[p.at]) < 0 {
		p.at++
	}
	word := p.text[start:p.at]
	if word == "or" || word == "and" || word == "||" || word == "&&" {
		return p.wrong(start, start, "%s stands between two conditions: quote it to look for the word", word)
	}
	if i := strings.IndexAny(word[:1], "=<>~"); i == 0 && p.terms == nil {
		return nil, p.fail(start, "%s needs a field before it, as in status%s500", word[:1], word[:1])
	}
	return p.literal(word), nil
}

// literal returns the node of a text that is searched for: in a record's in any case unless it
// has a capital, in a row's in any case.
func (p *filterParser) literal(text string) *node {
	if p.terms != nil {
		text = strings.ToLower(text)
	}
	return p.found(Literal(text))
}

// found returns the node of a text that is searched for.
func (p *filterParser) found(s *Search) *node {
	if p.terms != nil {
		return &node{op: opTerm, term: p.terms.text(s)}
	}
	return &node{op: opText, find: newFinder(s)}
}

// quoted reads "text", with \" and \\ in it.
func (p *filterParser) quoted() (string, error) {
	start := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return b.String(), nil
		case c == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '"' || p.text[p.at+1] == '\\'):
			p.at++
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fail(start, `this " is not closed`)
}

// slashed reads /expr/, unless what begins with a slash is a path.
func (p *filterParser) slashed() (string, bool) {
	for i := p.at + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '/':
			if i+1 < len(p.text) && strings.IndexByte(" \t\r\n)", p.text[i+1]) < 0 || i == p.at+1 {
				return "", false
			}
			expr := strings.ReplaceAll(p.text[p.at+1:i], `\/`, "/")
			p.at = i + 1
			return expr, true
		}
	}
	return "", false
}

var relations = []struct {
	sign string
	rel  relation
}{{">=", atLeast}, {"<=", atMost}, {"!=", unequal}, {"!~", differs}, {"=~", matches}, {"==", equal}, {"=", equal}, {"~", matches}, {">", more}, {"<", less}}

// comparison reads field, sign and value; ok is false if there is none.
func (p *filterParser) comparison() (n *node, err error, ok bool) {
	i := p.at
	for i < len(p.text) && keyByte(p.text[i]) {
		i++
	}
	key := p.text[p.at:i]
	if key == "" {
		return nil, nil, false
	}
	for i < len(p.text) && p.text[i] == ' ' {
		i++
	}
	var sign string
	n = &node{op: opField, key: key}
	for _, r := range relations {
		if strings.HasPrefix(p.text[i:], r.sign) {
			sign, n.rel = r.sign, r.rel
			break
		}
	}
	if sign == "" && p.terms != nil && strings.HasPrefix(p.text[i:], ":") && i == p.at+len(key) {
		sign = ":"
	}
	if sign == "" {
		return nil, nil, false
	}
	start := p.at
	p.at = i + len(sign)
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	valueAt := p.at
	switch {
	case p.at < len(p.text) && p.text[p.at] == '"':
		if n.value, err = p.quoted(); err != nil {
			if p.terms != nil {
				_, err = p.wrong(start, start, `the quote is not closed: end it with "`)
			}
			return nil, err, true
		}
	default:
		if p.at < len(p.text) && p.text[p.at] == '/' && (n.rel == matches || n.rel == differs) {
			if expr, ok := p.slashed(); ok {
				n.value = expr
				break
			}
		}
		// A parenthesis that was opened in the value is closed in it: path~^/(a|b).
		depth := 0
	value:
		for ; p.at < len(p.text); p.at++ {
			switch p.text[p.at] {
			case ' ', '\t', '\r', '\n':
				break value
			case '(':
				depth++
			case ')':
				if depth--; depth < 0 {
					break value
				}
			}
		}
		if n.value = p.text[valueAt:p.at]; n.value == "" && p.terms == nil {
			return nil, p.fail(valueAt, "a value is missing behind %s%s", key, sign), true
		}
	}
	if p.terms != nil {
		term, is, wrong := p.terms.compare(key, sign, n.value)
		switch {
		case wrong != "":
			_, err = p.wrong(start, start, "%s", wrong)
			return nil, err, true
		case !is:
			p.at = start
			return nil, nil, false
		}
		return &node{op: opTerm, term: term}, nil, true
	}
	switch {
	case n.rel == matches || n.rel == differs:
		s, err := Regexp(n.value)
		if err != nil {
			return nil, p.fail(valueAt, "%v", err), true
		}
		n.find = newFinder(s)
	case key == "level" || key == "lvl" || key == "severity":
		if n.level = state.ParseLevel(n.value); n.level == state.LevelUnknown {
			return nil, p.fail(valueAt, "%q is no level: expected trace, debug, info, warn, error or fatal", n.value), true
		}
		n.op = opLevel
	default:
		if n.num, n.kind, n.numeric = quantity(n.value); n.kind == seconds {
			for _, u := range inUnits {
				n.inUnits = append(n.inUnits, key+u.suffix)
			}
		}
	}
	return n, nil, true
}
