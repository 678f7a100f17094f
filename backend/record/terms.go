package record

import (
	"fmt"
	"unicode/utf8"
)

// Terms defines the terms of a filter over the rows of a list, which are not log
// records.
type Terms[T any] struct {
	// Text returns what words, quoted text and /regular expressions/ are looked for in.
	Text func(T) string
	// Compare returns the test of a comparison: key, one of : = != < <= > >= ~ !~, and a
	// value, which may be empty. is is false where the term is no comparison, but text
	// with a sign in it; wrong says what is wrong with it, "" for nothing.
	Compare func(key, sign, value string) (test func(T) bool, is bool, wrong string)
}

// TermError is a mistake in a filter over terms.
type TermError struct {
	// Column is where the term begins, in characters from 1.
	Column     int
	Term, What string
}

// Error implements error.
func (e *TermError) Error() string {
	return fmt.Sprintf("at column %d, %s: %s", e.Column, e.Term, e.What)
}

// CompileTerms reads a filter in the one grammar of filters: words, "quoted text",
// /regular expressions/ and comparisons, joined by and, or, not and parentheses. It is
// meant for a filter that is being typed: the error, a [*TermError], is the first
// mistake, and keep is what the rest of the filter says; keep is nil where that is
// nothing.
func CompileTerms[T any](text string, terms Terms[T]) (keep func(T) bool, err error) {
	var tests []func(T) bool
	add := func(test func(T) bool) int {
		tests = append(tests, test)
		return len(tests) - 1
	}
	parser := &termParser{
		text: func(s *Search) int {
			f := newFinder(s)
			return add(func(x T) bool { return f.match(terms.Text(x)) })
		},
		compare: func(key, sign, value string) (int, bool, string) {
			test, is, wrong := terms.Compare(key, sign, value)
			if !is || wrong != "" {
				return 0, is, wrong
			}
			return add(test), true, ""
		},
	}
	p := &filterParser{text: text, terms: parser}
	var root *node
	for p.space(); p.at < len(text); p.space() {
		more, err := p.or(0)
		if err != nil {
			return nil, &TermError{1, text, err.Error()}
		}
		root = join(opAnd, root, more)
		if p.at < len(text) { // a ) without its (
			p.at++
			_, _ = p.wrong(p.at-1, p.at-1, "there is no ( for this )")
		}
	}
	if parser.err != nil {
		err = parser.err
	}
	if root == nil {
		return nil, err
	}
	return func(x T) bool { return root.holds(func(term int) bool { return tests[term](x) }) }, err
}

// holds reports whether a filter passes, given the tests of its terms.
func (n *node) holds(test func(term int) bool) bool {
	switch n.op {
	case opAnd:
		return n.a.holds(test) && n.b.holds(test)
	case opOr:
		return n.a.holds(test) || n.b.holds(test)
	case opNot:
		return !n.a.holds(test)
	}
	return test(n.term)
}

// termParser parses terms for a filterParser, and keeps the first mistake.
type termParser struct {
	text    func(*Search) int
	compare func(key, sign, value string) (term int, is bool, wrong string)
	err     *TermError
}

func (t *termParser) mistake(text string, start, end int, what string) {
	if t.err == nil {
		t.err = &TermError{utf8.RuneCountInString(text[:start]) + 1, text[start:max(end, min(start+1, len(text)))], what}
	}
}
