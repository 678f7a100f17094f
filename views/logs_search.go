package views

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
)

// How the stream of log lines is searched and filtered.

// Drop implements Follower.
func (p *Logs) Drop() string { return p.drop }

// SetDrop implements Follower.
func (p *Logs) SetDrop(s string) {
	p.drop = s
	p.sieve.want = newPattern(s)
	p.sifted = map[string]*sifted{}
	p.restream()
}

// Search implements Follower.
func (p *Logs) Search(text string) tea.Cmd {
	p.dirty = true
	p.search = newPattern(text)
	p.search.drop = false
	p.hitsGen++
	if p.search.text == "" {
		return nil
	}
	_, r := p.cur.cur()
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
func (p *Logs) count() tea.Cmd {
	p.hits = -1
	gen, pat, streams := p.hitsGen, p.search, p.cur.s
	return func() tea.Msg {
		n := 0
		for _, s := range streams {
			for i := range s.recs {
				if pat.in(s.recs[i].Text) {
					n++
				}
			}
		}
		return hitsMsg{gen, n}
	}
}

// find goes to the next record that matches, older if back.
func (p *Logs) find(back bool) tea.Cmd {
	if p.search.text == "" {
		return send(Note{"nothing is searched for: / searches"})
	}
	if !p.seek(back, func(r *state.LogRecord) bool { return p.search.in(r.Text) }) {
		where := "below"
		if back {
			where = "above"
		}
		return send(Note{fmt.Sprintf("no %q %s", p.search.text, where)})
	}
	p.reveal()
	return nil
}

// reveal scrolls sideways until the hit can be seen.
func (p *Logs) reveal() {
	_, r := p.cur.cur()
	if r == nil || p.wrap {
		return
	}
	i, _ := p.search.find(r.Text)
	room := max(8, p.w/2)
	if col := Width(p.env.Theme, r.Text[:max(0, i)]); col < p.skip || col > p.skip+room {
		p.skip = max(0, col-room/2)
	}
}

// seek moves the cursor to the next record that ok accepts; it stays where there
// is none.
func (p *Logs) seek(back bool, ok func(*state.LogRecord) bool) bool {
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
