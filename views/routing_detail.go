package views

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

func routeStaged(d *pane.Doc, s *state.Snapshot, _ *state.Route) {
	e := d.Env
	t, g := e.Theme, s.Routing.Staged
	if g == nil {
		d.Text(t.Dim, "nothing is staged: change a row with x, or the whole with e")
		return
	}
	d.KV("changes", t.Text, g.What)
	d.KV("by", t.Text, g.By.User+", "+e.When(g.At))
	for _, w := range g.Warnings {
		d.KV("odd", t.Warn, w)
	}
	d.Head("What the last delegations would have done")
	if len(g.ReplayDiff) == 0 {
		d.Text(t.Dim, "no delegations with their complexity are known: they are read from JSON log lines, or sent to /admin/delegations")
	}
	for _, line := range g.ReplayDiff {
		d.Text(t.Text, line)
	}
	d.Head("Difference")
	diffText(d, g.Diff)
}

// diffText draws a unified diff.
func diffText(d *pane.Doc, diff string) {
	t := d.Env.Theme
	for line := range strings.Lines(diff) {
		ink := t.Text
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "@@"):
			ink = t.Dim
		case strings.HasPrefix(line, "+"):
			ink = t.Good
		case strings.HasPrefix(line, "-"):
			ink = t.Bad
		}
		d.Text(ink, strings.TrimSuffix(line, "\n"))
	}
}

func routeHistory(d *pane.Doc, s *state.Snapshot, _ *state.Route) {
	t := d.Env.Theme
	if s.Routing.Unkept != "" {
		d.Text(t.Warn, s.Routing.Unkept)
	}
	if len(s.Routing.History) == 0 {
		d.Text(t.Dim, "no version is kept yet: the first change begins the history")
		return
	}
	for i, v := range s.Routing.History {
		now := ""
		if i == 0 {
			now = " (in force)"
		}
		d.Head(fmt.Sprintf("version %d, %s by %s, %s%s", v.Version, v.How, cmp.Or(v.By.User, "unknown"), d.Env.When(v.At), now))
		d.Text(t.Dim, fmt.Sprintf("+%d -%d lines  %s", v.Added, v.Removed, v.Tag[:min(len(v.Tag), 12)]))
		if v.Why != "" {
			d.Text(t.Text, v.Why)
		}
		if i < len(s.Routing.History)-1 { // the first of all differs from nothing
			diffText(d, v.Diff)
		}
	}
}

// routeTests draws the answers to routing.test.
func routeTests(d *pane.Doc, s *state.Snapshot, _ *state.Route) {
	t := d.Env.Theme
	if len(s.Routing.Tests) == 0 {
		d.Text(t.Dim, "nothing was asked yet: x on a category tests where a request of it goes")
		return
	}
	for _, q := range s.Routing.Tests {
		head := fmt.Sprintf("%s at complexity %g %s %s, %s", q.Category, q.Complexity, t.Arrow, cmp.Or(q.Tier, "nowhere"), q.Strategy)
		if q.Staged {
			head += " (as staged)"
		}
		d.Head(head)
		d.KV("endpoint", t.Text, q.Endpoint)
		d.KV("model", t.Text, strings.TrimSpace(q.Provider+" "+q.Model))
		for i, step := range q.Steps {
			label := ""
			if i == 0 {
				label = "why"
			}
			d.KV(label, t.Text, step)
		}
		word := "asked"
		if q.Tag != s.Routing.Tag && (s.Routing.Staged == nil || q.Tag != s.Routing.Staged.Tag) {
			word = "asked, of another configuration than now,"
		}
		d.Text(t.Dim, word+" by "+q.By.User+", "+d.Env.When(q.At))
	}
}

// routeReplay draws the answer to routing.replay.
func routeReplay(d *pane.Doc, s *state.Snapshot, _ *state.Route) {
	t, r := d.Env.Theme, s.Routing.Replay
	d.Text(t.Dim, fmt.Sprintf("%d delegations are known; x replays them under another threshold, or those of a time", s.Routing.Delegations))
	if r == nil {
		return
	}
	d.Head(r.What)
	for _, line := range r.Lines {
		d.Text(t.Text, line)
	}
	d.Text(t.Dim, "asked by "+r.By.User+", "+d.Env.When(r.At))
}

func routeJSON(d *pane.Doc, s *state.Snapshot, _ *state.Route) {
	d.Text(d.Env.Theme.Text, s.Routing.JSON)
}
