package logs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// filterRun is one filter of a stream: a text in the language of package record.
type filterRun struct {
	text   string
	drop   bool // what matches is left out
	filter *record.Filter
}

// expr returns the filter with its sign, in the language of package record and without names.
func (s filterRun) expr() string {
	if s.drop {
		return "not (" + s.filter.Spelled() + ")"
	}
	return "(" + s.filter.Spelled() + ")"
}

// names returns the filters that a name stands for: those that opsdeck brings and the
// workspace's own.
func (p *Pane) names() record.Names {
	names := record.BuiltinFilters()
	if p.snap != nil {
		for _, f := range p.snap.Logs.Filters {
			names[f.Name] = f.Where
		}
	}
	return names
}

// newFilterRun reads a filter: a leading ! drops what matches, @name is one of names.
func newFilterRun(text string, names record.Names) (filterRun, error) {
	s := filterRun{text: strings.TrimSpace(text)}
	rest, drop := strings.CutPrefix(s.text, "!")
	if drop && (strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "~")) {
		rest, drop = s.text, false
	}
	s.drop = drop
	f, err := record.CompileWith(rest, names)
	s.filter = f
	return s, err
}

// String returns the filter as the summary names it.
func (s filterRun) String() string {
	if s.drop {
		return "drop " + strings.TrimPrefix(s.text, "!")
	}
	return "keep " + s.text
}

// filterSet lets records through by level and by filters, all of them.
type filterSet struct {
	min   state.Level
	terms []filterRun
}

func (s filterSet) open() bool { return s.min == 0 && len(s.terms) == 0 }

func (s filterSet) passes(r *state.LogRecord) bool {
	if r.Level < s.min {
		return false
	}
	for i := range s.terms {
		if s.terms[i].filter.Match(*r) == s.terms[i].drop {
			return false
		}
	}
	return true
}

// keep adds a filter to those in force.
func (p *Pane) keep(text string) (tea.Cmd, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	s, err := newFilterRun(text, p.names())
	if wrong := (*record.SyntaxError)(nil); errors.As(err, &wrong) { // the text stands beside it
		return nil, fmt.Errorf("column %d: %s", utf8.RuneCountInString(wrong.Text[:wrong.At])+1, wrong.What)
	}
	if err != nil || slices.ContainsFunc(p.filters.terms, func(x filterRun) bool { return x.text == s.text }) {
		return nil, err
	}
	p.filters.terms = append(slices.Clip(p.filters.terms), s)
	return p.refilter(), nil
}

// unkeep takes the newest filter away.
func (p *Pane) unkeep() tea.Cmd {
	p.filters.terms = p.filters.terms[: len(p.filters.terms)-1 : len(p.filters.terms)-1]
	return p.refilter()
}

// siftAtOnce is how much text is put through the filters while a key is answered, in
// bytes: of more, a regular expression could take longer than a key may.
const siftAtOnce = 1 << 20

// filteredMsg carries the records that passed the filter.
type filteredMsg struct {
	gen      int
	filtered map[string]*filtered
}

// refilter puts what is kept through the filters anew. Until a lot of it is done, the
// stream stays as it is.
func (p *Pane) refilter() tea.Cmd {
	p.dirty = true
	p.siftGen++
	p.filtering = false
	p.filtered, p.worsts = map[string]*filtered{}, map[string]*worst{}
	p.refilterBeyond()
	size := 0
	tails := map[string][]state.LogRecord{}
	for id, t := range p.base.Tails {
		if tails[id] = t.Records; p.chosen(id) {
			for i := range t.Records {
				size += len(t.Records[i].Text)
			}
		}
	}
	if p.filters.open() || size <= siftAtOnce {
		if p.beyond == nil {
			p.restream()
		}
		return nil
	}
	p.filtering = true
	gen, sv := p.siftGen, p.filters
	return func() tea.Msg {
		m := filteredMsg{gen, map[string]*filtered{}}
		for id, recs := range tails {
			f := &filtered{}
			f.update(sv, recs)
			m.filtered[id] = f
		}
		return m
	}
}

// takeFiltered shows what passed.
func (p *Pane) takeFiltered(m filteredMsg) {
	if m.gen != p.siftGen {
		return
	}
	p.filtered, p.filtering = m.filtered, false
	if p.beyond == nil {
		p.restream()
	}
}
