package tui

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// edit is a configuration that was edited here, kept until it was taken: a mistake in
// it does not cost what was typed.
type edit struct {
	text, base string
	id         state.ActionID
}

// editMsg comes when the editor has ended.
type editMsg struct {
	text, base, was string
	staged          string // the tag of what was staged when it began
	err             error
}

// masked stands in place of a known secret.
const masked = "***"

// lineOf finds the line in an error such as "3:16: categories: an object was expected".
var lineOf = regexp.MustCompile(`(?:^|[ :])(\d+):\d+: `)

// edit opens what is staged, or in force, in the user's editor. Nothing changes with
// that: what comes of it is staged.
func (m *Model) edit() tea.Cmd {
	if m.pane().Info().Section != state.SectionRouting {
		m.nothing(pane.Edit)
		return nil
	}
	if m.shown == nil {
		m.say("nothing is known yet")
		return nil
	}
	if !m.past.live() {
		m.say("this is the past: esc comes back to now, where one can act")
		return nil
	}
	r := &m.shown.Routing
	text, base, staged, line := r.Prepared().JSON, r.Tag, "", 0
	if r.Staged != nil {
		staged = r.Staged.Tag
	}
	if e := m.edited; e.text != "" && e.base == base {
		if p := m.shown.Actions.Progress(e.id); p != nil && p.Status == "failed" {
			text = e.text
			if at := lineOf.FindStringSubmatch(p.Err); at != nil {
				line, _ = strconv.Atoi(at[1])
			}
		}
	}
	why := state.Why(m.shown, state.RoutingStage, "routing")
	switch {
	case m.o.Wall:
		why = "the wall layout only looks"
	case m.o.Edit == nil && m.o.NoEdit != "":
		why = m.o.NoEdit
	case m.o.Edit == nil:
		why = "this console has no editor"
	case why == "" && text == "":
		why = "there is no routing configuration: create config/routing_config.json"
	case why == "" && strings.Contains(text, masked):
		why = "a secret in it is masked here: edit the file itself"
	case m.held() != "":
		m.offer("editing the routing configuration")
		return nil
	}
	if why != "" {
		m.say("cannot edit: " + why)
		return nil
	}
	cmd, read, err := m.o.Edit("routing_config.json", text+"\n", line)
	if err != nil {
		m.say("cannot edit: " + err.Error())
		return nil
	}
	return m.exec(cmd, func(err error) tea.Msg {
		got, rerr := read()
		if err == nil {
			err = rerr
		}
		return editMsg{text: got, base: base, staged: staged, was: text, err: err}
	})
}

// takeEdit stages what came of an edit.
func (m *Model) takeEdit(msg editMsg) tea.Cmd {
	m.dirty = true
	switch {
	case msg.err != nil:
		m.say("edit: " + msg.err.Error() + "; nothing was staged")
		return nil
	case strings.TrimSpace(msg.text) == "":
		m.say("edit: the file is empty; nothing was staged")
		return nil
	case strings.TrimSpace(msg.text) == strings.TrimSpace(msg.was):
		m.say("edit: nothing was changed")
		return nil
	}
	m.edited = edit{text: strings.TrimRight(msg.text, "\n"), base: msg.base}
	a := state.Action{Kind: state.RoutingStage, Target: "routing", Args: map[string]string{"config": msg.text, "expect": msg.base, "staged": msg.staged}, Actor: m.o.Actor}
	return m.work.cmd(func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, submitWithin)
		defer cancel()
		id, err := m.o.Backend.Submit(ctx, a)
		return submitMsg{a: a, id: id, err: err}
	})
}
