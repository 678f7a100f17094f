package tui

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views"
	"github.com/opsdeck/opsdeck/views/pane"
)

// submitWithin is how long the backend may take to accept an action; it does not
// limit the action itself.
const submitWithin = 15 * time.Second

// submission is an action of this console that its footer still speaks of.
type submission struct {
	id state.ActionID
	a  state.Action
	// asked is when it was; over and judged when its end and its verdict were first
	// seen.
	asked, over, judged time.Time
}

// newest returns when there was last something new to say of it.
func (d *submission) newest() time.Time {
	switch {
	case !d.judged.IsZero():
		return d.judged
	case !d.over.IsZero():
		return d.over
	}
	return d.asked
}

// sameKey is how soon a second request for the same counts as the same key
// pressed twice.
const sameKey = time.Second

// askedJustNow reports whether the same was asked of the same targets a moment
// ago, and remembers what is asked.
func (m *Model) askedJustNow(kind state.Kind, targets []string) bool {
	what, now := string(kind)+" "+strings.Join(targets, " "), m.o.Clock()
	again := what == m.lastAsked && now.Sub(m.lastAskedAt) < sameKey
	m.lastAsked, m.lastAskedAt = what, now
	return again
}

// submit hands an action on each target to the backend; given are further arguments
// of each.
func (m *Model) submit(spec *state.Spec, targets []string, args map[string]string, given map[string]map[string]string, secrets map[string]state.Secret, confirmed string) tea.Cmd {
	var cmds []tea.Cmd
	for _, id := range targets {
		args := args
		if more := given[id]; len(more) > 0 {
			args = maps.Clone(args)
			if args == nil {
				args = map[string]string{}
			}
			maps.Copy(args, more)
		}
		a := state.Action{Kind: spec.Kind, Target: id, Args: args, Secrets: secrets, Actor: m.o.Actor, Confirmed: confirmed}
		if confirmed != "" && confirmed != "yes" {
			a.Confirmed = id
		}
		cmds = append(cmds, m.work.cmd(func() tea.Msg {
			if m.o.Backend == nil {
				return submitMsg{a: a, err: errors.New("there is no engine behind this screen")}
			}
			ctx, cancel := context.WithTimeout(m.ctx, submitWithin)
			defer cancel()
			got, err := m.o.Backend.Submit(ctx, a)
			return submitMsg{a: a, id: got, err: err}
		}))
	}
	if len(targets) == 1 {
		m.say(fmt.Sprintf("%s: asked", (&state.Action{Kind: spec.Kind, Target: m.called(spec, targets[0])}).Title()))
	} else {
		m.say(fmt.Sprintf("%s: asked for %d", spec.Title(), len(targets)))
	}
	return tea.Batch(cmds...)
}

func (m *Model) submitted(msg submitMsg) {
	m.dirty = true
	if msg.err != nil {
		m.say(msg.a.Title() + ": " + msg.err.Error())
		m.noteEnd = m.noteEnd.Add(10 * time.Second)
		return
	}
	m.note = ""
	if msg.a.Kind == state.RoutingStage {
		m.edited.id = msg.id
	}
	msg.a.Secrets = nil
	m.mine = append(m.mine, submission{id: msg.id, a: msg.a, asked: m.o.Clock()})
	if len(m.mine) > 20 {
		m.mine = m.mine[1:]
	}
}

// doing returns what the footer says of this console's actions: the one that has
// something new to say last, and how many more there are; nil for nothing.
func (m *Model) doing() []pane.Span {
	if m.shown == nil {
		return nil
	}
	t := m.env.Theme
	now := m.o.Clock()
	others, failed := 0, 0
	var best *submission
	var p *state.Progress
	for i := range m.mine {
		d := &m.mine[i]
		q := m.shown.Actions.Progress(d.id)
		if q == nil {
			continue
		}
		if q.Done() && d.over.IsZero() {
			d.over, m.unfolded = now, now
		}
		if q.Verdict != nil && d.judged.IsZero() {
			d.judged, m.unfolded = now, now
		}
		if q.Done() && now.Sub(d.over) >= 8*time.Second &&
			(q.Verdict != nil || !now.Before(q.Settling)) && (q.Verdict == nil || now.Sub(d.judged) >= 15*time.Second) {
			continue
		}
		others++
		if q.Done() && q.Status != "done" {
			failed++
		}
		if best == nil || !d.newest().Before(best.newest()) {
			best, p = d, q
		}
	}
	if best == nil {
		return nil
	}
	if others--; p.Done() && p.Status != "done" {
		failed--
	}
	name := (&state.Action{Kind: p.Action.Kind, Target: m.called(state.SpecOf(p.Action.Kind), p.Action.Target)}).Title()
	said := views.Said(p)
	var out []pane.Span
	switch {
	case !p.Done():
		out = []pane.Span{{Ink: t.Accent, Text: t.Wait + " " + name}, {Ink: t.Text, Text: "  " + p.Status}}
	case p.Err != "" || p.Status != "done":
		out = []pane.Span{{Ink: t.Bad, Text: t.Wrong + " " + name + " " + p.Status}}
	case p.Verdict != nil:
		said = p.Verdict.Summary()
		ink := t.Good
		if p.Verdict.Word == "worse" {
			ink = t.Bad
		} else if p.Verdict.Word != "better" {
			ink = t.Text
		}
		out = []pane.Span{{Ink: ink, Text: t.OK + " " + name}}
	default:
		out = []pane.Span{{Ink: t.Good, Text: t.OK + " " + name}}
	}
	if p.Done() && p.Undo != nil && !p.Undone {
		out = append(out, pane.Span{Ink: t.Key, Text: "  " + m.keys.of(cmdUndo)}, pane.Span{Ink: t.Dim, Text: " undoes it"})
	}
	if others > 0 {
		more := fmt.Sprintf("  %d more in pane %s", others, m.paneKey("actions"))
		if failed > 0 {
			more = fmt.Sprintf("  %d more in pane %s, %d failed", others, m.paneKey("actions"), failed)
		}
		out = append(out, pane.Span{Ink: t.Dim, Text: more})
	}
	if said != "" {
		out = append(out, pane.Span{Ink: t.Text, Text: "  " + said})
	}
	if p.Done() && p.Verdict == nil && now.Before(p.Settling) {
		out = append(out, pane.Span{Ink: t.Dim, Text: "  watching whether it helps"})
	}
	return out
}
