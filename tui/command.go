package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// key sends a key where it belongs: the top overlay, the prompt, or a command.
// Alt chords are never bound, and tmux makes one of Esc and the key after it when
// they come close together: so they are taken for those two keys.
func (m *Model) key(k tea.KeyPressMsg) tea.Cmd {
	if k.Mod&tea.ModAlt != 0 {
		esc := m.key(tea.KeyPressMsg{Code: tea.KeyEscape})
		if k.Mod &^= tea.ModAlt; k.Mod == 0 && k.Text == "" && k.Code < 0x7f && k.Code > ' ' {
			k.Text = string(k.Code)
		}
		return tea.Sequence(esc, func() tea.Msg { return k })
	}
	if n := len(m.stack); n > 0 {
		top := m.stack[n-1]
		quit, quits := top.(*quitDialog)
		if k.String() == "ctrl+c" && !quits {
			k = tea.KeyPressMsg{Code: tea.KeyEscape}
		}
		done, cmd := top.key(m, k)
		if done {
			m.drop(top)
		}
		if quits && quit.stays {
			return m.key(k)
		}
		return cmd
	}
	if m.prompt != nil {
		return m.promptKey(k)
	}
	stream := m.pane().Info().Stream
	x := m.keys.lookup(k, stream)
	if x == nil {
		name := k.String()
		if y := m.keys.elsewhere(k, stream); y != nil {
			m.say(fmt.Sprintf("%s does nothing here: in %s it does: %s", name, map[bool]string{true: "lists", false: "streams"}[stream], y.key.Help().Desc))
		} else if len(name) <= 12 {
			m.say(fmt.Sprintf("%s is not bound %s %s shows the keys", name, m.env.Theme.Dot, m.keys.of(cmdHelp)))
		}
		return nil
	}
	if x.act != "" {
		return m.letter(x.act)
	}
	return m.do(x.cmd)
}

// do carries out a command.
func (m *Model) do(c pane.Command) tea.Cmd {
	m.dirty = true
	if n, ok := strings.CutPrefix(string(c), "pane-"); ok {
		i, _ := strconv.Atoi(n)
		if i < 1 || i > len(m.pinned) {
			m.say(fmt.Sprintf("no pane is pinned on %s: %s lists all panes", n, m.keys.of(cmdPanes)))
			return nil
		}
		m.focusOn(m.pinned[i-1])
		return nil
	}
	switch c {
	case cmdQuit:
		m.push(m.newQuit())
	case cmdHelp:
		m.push(&helpOverlay{pane: m.focus})
	case cmdPalette, cmdMenu:
		if m.o.Wall {
			m.say("the wall layout only looks")
			return nil
		}
		if c == cmdPalette {
			m.push(m.newPalette())
			return nil
		}
		m.push(m.newMenu())
	case cmdUndo:
		return m.undo()
	case pane.Columns:
		if o := m.newColumns(); o != nil {
			m.push(o)
			return nil
		}
		m.ask(c)
	case pane.Search, pane.Keep, pane.GoTo, pane.CountBy, pane.Save:
		m.ask(c)
	case cmdOlder, cmdNewer:
		m.travel(c == cmdOlder)
	case cmdFull:
		m.full = !m.full
		m.relayout()
	case cmdGrow, cmdShrink:
		m.grow(c == cmdGrow)
	case cmdNextPane, cmdPrevPane:
		listed := m.listed()
		n, step := len(listed), 1
		if c == cmdPrevPane {
			step = n - 1
		}
		m.focusOn(listed[(slices.Index(listed, m.focus)+step)%n])
	case cmdPanes:
		m.push(m.newPaneList())
	case cmdShell:
		return m.shell()
	case pane.Edit:
		return m.edit()
	case pane.Follow:
		if !m.past.live() {
			m.toNow()
			return nil
		}
		return m.pane().Update(pane.CommandMsg{Command: c})
	default:
		return m.pane().Update(pane.CommandMsg{Command: c})
	}
	return nil
}

func (m *Model) focusOn(i int) {
	m.focus = i
	m.relayout()
}

// back returns what esc does once the pane has nothing left to go back from.
func (m *Model) back() tea.Cmd {
	m.dirty = true
	switch {
	case !m.past.live():
		m.toNow()
	case m.full && m.o.Pane == "":
		m.full = false
		m.relayout()
	case m.pane().Info().Name == "actions" && m.o.Pane == "":
		m.focusOn(0)
	default:
		m.push(m.newQuit())
	}
	return nil
}

// nothing says that a key does nothing here.
func (m *Model) nothing(c pane.Command) {
	where := m.pane().Info()
	for i := range m.keys.binds {
		if x := &m.keys.binds[i]; x.cmd == c && x.scope != map[bool]scope{true: inLists, false: inStreams}[where.Stream] {
			m.say(fmt.Sprintf("%s (%s) does nothing in %s now", x.first(), x.key.Help().Desc, where.Name))
			return
		}
	}
}

// travel moves the time cursor.
func (m *Model) travel(older bool) {
	if m.live == nil {
		m.say("nothing is known yet")
		return
	}
	n := 1
	if !older {
		n = -1
	}
	if !m.past.move(n) {
		switch {
		case !older:
			m.say("this is now")
		case len(m.past.kept) == 0:
			m.say("nothing is kept yet: an instant is kept every 5 s")
		default:
			m.say("this is the oldest instant kept, " + m.now().In(m.o.Local).Format(time.TimeOnly))
		}
		return
	}
	if m.past.live() {
		m.toNow()
		return
	}
	m.showInstant(m.past.at())
}

func (m *Model) showInstant(s *state.Snapshot) {
	m.apply(s)
	for _, p := range m.panes {
		if x, ok := p.(pane.Instant); ok {
			x.SetInstant(s.At)
		}
	}
}

func (m *Model) toNow() {
	m.past.back = 0
	m.apply(m.live)
	for _, p := range m.panes {
		if x, ok := p.(pane.Instant); ok {
			x.SetInstant(time.Time{})
		}
	}
	m.say("back to now")
}

// letter returns a capital: the first action of this pane with that key that the
// target allows.
func (m *Model) letter(letter string) tea.Cmd {
	info := m.pane().Info()
	if m.o.Wall {
		m.say("the wall layout only looks: opsdeck without --wall acts")
		return nil
	}
	target := m.pane().Target()
	var reason string
	var found *state.Spec
	specs := state.Specs()
	for i := range specs {
		s := &specs[i]
		if s.Key != letter || s.Hidden || !hasSection(info, s.Section) {
			continue
		}
		if found == nil {
			found = s
		}
		if s.Global != "" {
			return m.begin(s, []string{s.Global})
		}
		if len(target.IDs) == 0 || m.shown == nil {
			continue
		}
		for _, id := range target.IDs {
			why := state.Why(m.shown, s.Kind, id)
			if why == "" {
				return m.begin(s, target.IDs)
			}
			if reason == "" {
				reason = why
			}
		}
	}
	key := m.keys.ofAct(letter)
	switch {
	case found == nil:
		m.say(fmt.Sprintf("%s does nothing in %s%s", key, info.Name, m.whereIs(letter)))
	case len(target.IDs) == 0 && info.Stream:
		m.say(fmt.Sprintf("%s what? %s goes to the sources: choose one there", found.Verb, m.keys.of(pane.TabPrev)))
	case len(target.IDs) == 0:
		m.say("no row to " + found.Verb)
	default:
		m.say(fmt.Sprintf("cannot %s %s: %s", found.Verb, m.called(found, target.IDs[0]), reason))
	}
	return nil
}

// whereIs says in which panes a letter acts.
func (m *Model) whereIs(letter string) string {
	var in []string
	for _, p := range m.panes {
		specs := state.Specs()
		for i := range specs {
			if s := &specs[i]; s.Key == letter && hasSection(p.Info(), s.Section) {
				in = append(in, fmt.Sprintf("%s (%s %s)", p.Info().Name, s.Verb, s.Noun))
				break
			}
		}
	}
	if len(in) == 0 {
		return ""
	}
	return ": it acts in " + strings.Join(in, ", ")
}

func hasSection(info pane.Info, n state.SectionName) bool {
	for _, s := range info.Acts {
		if s == n {
			return true
		}
	}
	return false
}

// undo takes back the newest action that can be.
func (m *Model) undo() tea.Cmd {
	if m.shown == nil {
		m.say("nothing is known yet")
		return nil
	}
	spec := state.SpecOf(state.ActionUndo)
	if m.pane().Info().Section == state.SectionActions { // the selected one
		if t := m.pane().Target(); len(t.IDs) == 1 {
			return m.begin(spec, t.IDs)
		}
	}
	for _, p := range m.shown.Actions.List {
		if p.Undo != nil && !p.Undone && p.Done() {
			return m.begin(spec, []string{string(p.ID)})
		}
	}
	m.say("there is nothing to undo")
	return nil
}

func (m *Model) shell() tea.Cmd {
	t := m.pane().Target()
	switch {
	case m.o.Wall:
		m.say("the wall layout only looks")
	case t.Container == "":
		m.say("! is a shell in a container: choose one in containers")
	case m.o.Shell == nil:
		why := m.o.NoShell
		if why == "" {
			why = "this console has no way into containers"
		}
		m.say("no shell: " + why)
	case m.held() != "":
		m.offer("a shell in a container")
	case m.noShell(t.Container) != "":
		m.say("no shell: " + m.noShell(t.Container))
	default:
		c, err := m.o.Shell(t.Container)
		if err != nil {
			m.say("no shell: " + err.Error())
			return nil
		}
		return m.exec(c, func(err error) tea.Msg { return shellMsg{err} })
	}
	return nil
}

// noShell returns why there can be no shell in that container, "" if there can.
func (m *Model) noShell(id string) string {
	if m.live == nil {
		return "nothing is known yet"
	}
	if !m.past.live() {
		return "this is the past"
	}
	if c := m.live.Containers.Container(id); c != nil && c.State != "running" {
		return "it is not running: it is " + c.State
	}
	return ""
}

func (m *Model) grow(more bool) {
	name := m.pane().Info().Name
	w := m.weight[name]
	if w == 0 {
		w = 1
	}
	if more {
		w = min(4, w*1.25)
	} else {
		w = max(0.3, w/1.25)
	}
	m.weight[name] = w
	m.relayout()
}

func (m *Model) wheel(w tea.MouseWheelMsg) tea.Cmd {
	if len(m.stack) > 0 {
		return nil
	}
	m.dirty, m.keyed = true, m.o.Clock()
	if i := m.paneAt(w.X, w.Y); i >= 0 && i != m.focus {
		m.focusOn(i)
	}
	c := pane.Down
	if w.Button == tea.MouseWheelUp {
		c = pane.Up
	}
	return tea.Batch(m.pane().Update(pane.CommandMsg{Command: c}), m.pane().Update(pane.CommandMsg{Command: c}))
}

func (m *Model) click(c tea.MouseClickMsg) {
	if len(m.stack) > 0 {
		return
	}
	m.dirty, m.keyed = true, m.o.Clock()
	if i := m.paneAt(c.X, c.Y); i >= 0 {
		m.focusOn(i)
	}
}
