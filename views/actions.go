package views

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// actionRow is one row of the pane of actions: a submitted action, or the end of one
// that only the journal remembers.
type actionRow struct {
	p *state.Progress
	j *state.Entry
}

func actionRows(s *state.Snapshot) []actionRow {
	out := make([]actionRow, 0, len(s.Actions.List)+len(s.Journal.Entries))
	seen := make(map[state.ActionID]bool, len(s.Actions.List))
	for i := range s.Actions.List {
		out = append(out, actionRow{p: &s.Actions.List[i]})
		seen[s.Actions.List[i].ID] = true
	}
	for i := range s.Journal.Entries {
		j := &s.Journal.Entries[i]
		if (j.Phase == state.PhaseEnd || j.Phase == state.PhaseInterrupted) && !seen[j.Action] {
			seen[j.Action] = true
			out = append(out, actionRow{j: j})
		}
	}
	return out
}

func (d *actionRow) at() time.Time {
	if d.p != nil {
		return d.p.Queued
	}
	return d.j.At
}

func (d *actionRow) id() state.ActionID {
	if d.p != nil {
		return d.p.ID
	}
	return d.j.Action
}

func (d *actionRow) what() (state.Kind, string, state.Actor) {
	if d.p != nil {
		return d.p.Action.Kind, d.p.Action.Target, d.p.Action.Actor
	}
	return d.j.Kind, d.j.Target, d.j.Actor
}

// title returns the action in words: "restart container".
func (d *actionRow) title() string {
	k, _, _ := d.what()
	if s := state.SpecOf(k); s != nil {
		return s.Title()
	}
	return string(k)
}

// outcome returns how it stands, in one word.
func (d *actionRow) outcome() string {
	switch {
	case d.p == nil && d.j.Phase == state.PhaseInterrupted:
		return "interrupted"
	case d.p == nil && d.j.Outcome == "ok":
		return "done"
	case d.p == nil:
		return d.j.Outcome
	case d.p.Undone:
		return "undone"
	}
	return d.p.Status
}

// said returns the result in one line.
func (d *actionRow) said() string {
	if d.p == nil {
		return d.j.Detail
	}
	return Said(d.p)
}

// Said returns what there is to say of an action: its step, its result or its error,
// and the verdict.
func Said(p *state.Progress) string {
	var s string
	switch {
	case p.Err != "":
		s = p.Err
	case !p.Done():
		s = p.Step
		if p.Percent >= 0 && p.Percent <= 100 && p.Status == "running" && p.Percent > 0 {
			s = strings.TrimSpace(fmt.Sprintf("%s %.0f%%", s, p.Percent))
			if p.Left > 0 {
				s += ", about " + p.Left.String() + " left"
			}
		}
	default:
		s = p.Result
	}
	if p.Verdict != nil {
		if s != "" {
			s += ": "
		}
		s += p.Verdict.Summary()
	}
	return s
}

// NewActions makes the pane of what was done.
func NewActions(env *pane.Env) pane.Pane {
	return list.New(env, list.Spec[actionRow]{
		Info: pane.Info{
			Name: "actions", Title: "Actions", Section: state.SectionActions,
			Acts:  []state.SectionName{state.SectionActions, state.SectionJournal, state.SectionWorkspace},
			About: "What was done here, by whom, from where, and with which result, from this console and from every other, the command line and the API. The journal is append-only and hash-chained.",
		},
		Cols: []list.Column[actionRow]{
			{Title: "When", W: 8, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) {
				at, now := d.at().In(e.Local), e.Now().In(e.Local)
				if now.Sub(at) > 20*time.Hour {
					return at.Format("01-02"), e.Theme.Dim
				}
				return at.Format(time.TimeOnly), e.Theme.Dim
			}, Cmp: func(a, b *actionRow) int { return b.at().Compare(a.at()) }},
			{Title: "Outcome", W: 13, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) { return pane.StatusWord(e.Theme, d.outcome()) },
				Cmp: func(a, b *actionRow) int { return cmp.Compare(a.outcome(), b.outcome()) }},
			{Title: "Action", W: 16, Flex: 1, Rank: 1, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) { return d.title(), e.Theme.Text },
				Cmp: func(a, b *actionRow) int { return cmp.Compare(a.title(), b.title()) }},
			{Title: "On", W: 12, Flex: 1, Rank: 1, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) {
				_, on, _ := d.what()
				return on, e.Theme.Text
			}, Cmp: func(a, b *actionRow) int {
				_, x, _ := a.what()
				_, y, _ := b.what()
				return cmp.Compare(x, y)
			}},
			{Title: "By", W: 12, Rank: 3, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) {
				_, _, by := d.what()
				return by.User, e.Theme.Dim
			}},
			{Title: "Via", W: 7, Rank: 4, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) {
				_, _, by := d.what()
				return by.Via, e.Theme.Dim
			}},
			{Title: "Result", W: 16, Flex: 5, Rank: 1, Cell: func(e *pane.Env, d *actionRow) (string, theme.Ink) { return d.said(), e.Theme.Dim }},
		},
		Rows:   actionRows,
		ID:     func(d *actionRow) string { return string(d.id()) },
		Target: func(d *actionRow) string { return string(d.id()) },
		Text: func(d *actionRow) string {
			_, on, by := d.what()
			return d.title() + " " + on + " " + by.User + " " + d.outcome() + " " + d.said()
		},
		Health: func(s *state.Snapshot) state.Health {
			if s.Actions.Health.Known() || s.Journal.Health.Status == "" {
				return s.Actions.Health
			}
			return s.Journal.Health
		},
		Deps: []state.SectionName{state.SectionActions, state.SectionJournal, state.SectionWorkspace},
		Head: actionsHead,
		Empty: func(*state.Snapshot) string {
			return "nothing has been done yet. x in a list shows what can be done to a row, : every action"
		},
		Summary: func(e *pane.Env, s *state.Snapshot) []pane.Span {
			running := 0
			for _, p := range s.Actions.List {
				if !p.Done() {
					running++
				}
			}
			out := []pane.Span{{Ink: e.Theme.Dim, Text: fmt.Sprintf("%d recent", len(s.Actions.List))}}
			if running > 0 {
				out = append(out, pane.Span{Ink: e.Theme.Accent, Text: fmt.Sprintf("%d running", running)})
			}
			if s.Journal.Broken != "" {
				out = append(out, pane.Span{Ink: e.Theme.Bad, Text: e.Theme.Wrong + " journal broken"})
			}
			return out
		},
		Tabs: []list.Tab[actionRow]{{Title: "Overview", Draw: actionOverview}, {Title: "Journal", Draw: actionJournal}},
	})
}

// actionsHead says what is wrong with the workspace itself: its journal, its file,
// its API. It leaves half of the pane to the rows.
func actionsHead(e *pane.Env, s *state.Snapshot, w, h int) (out []string) {
	t := e.Theme
	say := func(ink theme.Ink, text string) {
		for _, l := range pane.WrapText(t, text, max(1, w-2), 4) {
			out = append(out, pane.NewLine(t, w, false).Put(ink, l).String())
		}
	}
	if s.Journal.Broken != "" {
		say(t.Bad, t.Wrong+" the journal's chain is broken: "+s.Journal.Broken)
	}
	for _, p := range s.Workspace.Problems {
		say(t.Warn, t.Caution+" "+p)
	}
	if why := s.Workspace.ListenErr; why != "" {
		say(t.Dim, t.Dot+" "+why)
	}
	return out[:min(len(out), h/2)]
}

func actionOverview(d *pane.Doc, s *state.Snapshot, x *actionRow) {
	e := d.Env
	t := e.Theme
	kind, on, by := x.what()
	word, ink := pane.StatusWord(t, x.outcome())
	d.KV("outcome", ink, word)
	d.KV("action", t.Text, x.title()+" ("+string(kind)+")")
	d.KV("on", t.Text, on)
	from := by.User + " via " + by.Via
	if by.From != "" {
		from += ", from " + by.From
	}
	d.KV("by", t.Text, from)
	if x.p == nil {
		d.KV("ended", t.Text, e.When(x.j.At))
		d.KV("result", t.Text, x.j.Detail)
		return
	}
	p := x.p
	d.KV("asked", t.Text, e.When(p.Queued))
	if !p.Started.IsZero() {
		d.KV("began", t.Text, e.When(p.Started))
	}
	if !p.Ended.IsZero() {
		d.KV("ended", t.Text, e.When(p.Ended))
	}
	d.KV("step", t.Text, p.Step)
	d.KV("result", t.Text, p.Result)
	d.KV("error", t.Bad, p.Err)
	if len(p.Action.Args) > 0 {
		d.Head("With")
		pairs(d, p.Action.Args)
	}
	if v := p.Verdict; v != nil {
		word, ink := pane.StatusWord(t, v.Word)
		d.Head("Verdict")
		d.KV("it is", ink, word)
		d.KV("but", t.Text, v.Note)
		for i, b := range v.Before {
			if i < len(v.After) {
				d.KV(b.Title, t.Text, b.String()+" "+t.Arrow+" "+v.After[i].String())
			}
		}
	} else if !p.Settling.IsZero() {
		d.KV("verdict", t.Dim, "watching until "+e.When(p.Settling))
	}
	switch {
	case p.Undone:
		d.KV("undo", t.Dim, "undone already")
	case p.Undo != nil:
		d.KV("undo", t.Accent, "u takes it back")
	default:
		d.KV("undo", t.Dim, "it cannot be undone")
	}
}

func actionJournal(d *pane.Doc, s *state.Snapshot, x *actionRow) {
	t := d.Env.Theme
	for i := len(s.Journal.Entries) - 1; i >= 0; i-- {
		j := &s.Journal.Entries[i]
		if j.Action != x.id() {
			continue
		}
		d.KV(fmt.Sprintf("#%d", j.Seq), t.Text, strings.TrimSpace(d.Env.When(j.At)+"  "+string(j.Phase)+" "+j.Outcome+"  "+j.Detail))
		d.KV("", t.Faint, j.Hash)
	}
	if len(d.Lines) == 0 {
		d.Text(t.Dim, "the journal's newest entries have nothing of it")
	}
}
