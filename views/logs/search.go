package logs

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// How the stream of log lines is searched and filtered.

// lookFor searches for text from the cursor on; "" ends the search.
func (p *Pane) lookFor(text string) (tea.Cmd, error) {
	s, err := newPattern(text)
	if err != nil {
		return nil, err
	}
	p.dirty = true
	p.search = s
	p.hitsGen++
	if p.search.text == "" {
		return nil, nil
	}
	return p.toHit(), nil
}

// toHit goes to the search's first hit at the cursor or above, and counts all.
func (p *Pane) toHit() tea.Cmd {
	_, r := p.cur.cur()
	if p.beyond != nil {
		if r == nil || !p.search.in(r.Text) {
			return p.findBeyond(true)
		}
		p.refilterBeyond() // to be counted
		return nil
	}
	if r == nil || !p.search.in(r.Text) {
		if cmd := p.find(true); cmd != nil {
			return tea.Batch(cmd, p.count())
		}
	} else {
		p.pause()
	}
	return p.count()
}

// count counts the hits outside of the loop, on records that nobody changes.
func (p *Pane) count() tea.Cmd {
	p.hits, p.hitTimes = -1, nil
	gen, pat, streams := p.hitsGen, p.search, p.cur.s
	return func() tea.Msg {
		m := hitsMsg{gen: gen}
		for _, s := range streams {
			for i := range s.recs {
				if pat.in(s.recs[i].Text) {
					m.n++
					m.at = append(m.at, s.recs[i].Nanos)
				}
			}
		}
		slices.Sort(m.at)
		return m
	}
}

// find goes to the next record that matches, older if back.
func (p *Pane) find(back bool) tea.Cmd {
	if p.search.text == "" {
		return pane.Send(pane.NoticeMsg{Text: "nothing is searched for: / searches"})
	}
	if !p.seek(back, func(r *state.LogRecord) bool { return p.search.in(r.Text) }) {
		if p.seekBeyond(state.SeekMatch, back) {
			return nil
		}
		where := "below"
		if back {
			where = "above"
		}
		return pane.Send(pane.NoticeMsg{Text: fmt.Sprintf("no %q %s", p.search.text, where)})
	}
	p.reveal()
	return nil
}

// reveal scrolls sideways until the hit can be seen.
func (p *Pane) reveal() {
	_, r := p.cur.cur()
	if r == nil || p.wrap {
		return
	}
	text := p.text(r)
	i, _ := p.search.find(text)
	room := max(8, p.w/2)
	if col := pane.Width(p.env.Theme, text[:max(0, i)]); col < p.skip || col > p.skip+room {
		p.skip = max(0, col-room/2)
	}
}

// seek moves the cursor to the next record that ok accepts; it stays where there
// is none.
func (p *Pane) seek(back bool, ok func(*state.LogRecord) bool) bool {
	if !back {
		p.catchUp()
	}
	m := p.cur.clone()
	if _, r := m.cur(); back && p.following && r != nil && ok(r) {
		p.pause()
		return true
	}
	for {
		if back {
			if _, r := m.back(); r == nil {
				return false
			}
			if _, r := m.cur(); r == nil {
				return false
			} else if ok(r) {
				break
			}
		} else {
			_, r := m.forward()
			if r == nil {
				return false
			}
			if ok(r) {
				break
			}
		}
	}
	p.pause()
	p.cur, p.dirty = m, true
	p.row = p.h / 2
	return true
}
