package tui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/logs"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Frames are at least this far apart while nobody touches anything. Those for new
// lines alone come faster and draw the one pane only: with the tenth of a second
// that the backend gathers for, a line is on the screen well within a quarter.
const (
	idleFrame = 200 * time.Millisecond
	lineFrame = 100 * time.Millisecond
	// watched is how long after a key, and after the start, all is shown at once.
	watched = 3 * time.Second
)

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.resize(msg.Width, msg.Height)
	case snapshotMsg:
		cmd = tea.Batch(m.take(msg.s), m.wait(msg.s.Version))
	case lostMsg:
		m.lost, m.dirty = msg.err.Error(), true
		cmd = tea.Tick(time.Second, func(time.Time) tea.Msg { return retryMsg{} })
	case retryMsg:
		v := uint64(0)
		if m.live != nil {
			v = m.live.Version
		}
		cmd = m.wait(v)
	case flushMsg:
		m.due = false
		m.showLive()
	case linesMsg:
		m.lineDue = false
		m.showLines()
	case tickMsg:
		m.second()
		cmd = tick()
	case tea.KeyPressMsg:
		m.fold()
		m.keyed, m.touched, m.dirty = m.o.Clock(), true, true
		cmd = m.key(msg)
	case tea.PasteMsg:
		m.dirty = true
		cmd = m.paste(msg)
	case tea.MouseWheelMsg:
		cmd = m.wheel(msg)
	case tea.MouseClickMsg:
		m.click(msg)
	case tea.ColorProfileMsg:
		m.look.Few = msg.Profile != colorprofile.TrueColor && msg.Profile != colorprofile.ANSI256
		m.look.NoColor = m.o.NoColor || msg.Profile == colorprofile.ASCII || msg.Profile == colorprofile.NoTTY
		m.retheme()
	case tea.BackgroundColorMsg:
		m.look.Light = !msg.IsDark()
		m.retheme()
	case submitMsg:
		m.submitted(msg)
	case copyMsg:
		if msg.err != nil {
			m.say("copy " + msg.what + ": " + msg.err.Error())
		} else {
			m.say("copied " + msg.what + ": " + msg.how)
		}
	case editMsg:
		cmd = m.takeEdit(msg)
	case shellMsg:
		if msg.err != nil {
			m.say("shell: " + msg.err.Error())
		}
	case tea.ResumeMsg:
		m.dirty = true
	case pane.NoticeMsg:
		m.say(msg.Text)
	case pane.CopyMsg:
		cmd = m.copy(msg)
	case pane.FileMsg:
		cmd = m.file(msg)
	case fileMsg:
		if msg.err != nil {
			m.say("not written: " + msg.err.Error())
		} else {
			m.say("wrote " + msg.what + " to " + msg.path)
		}
	case pane.UnhandledMsg:
		m.nothing(msg.Command)
	case pane.ClosedMsg:
		cmd = m.back()
	default:
		if msg != nil {
			var cmds []tea.Cmd
			for _, p := range m.panes {
				if c := p.Update(msg); c != nil {
					cmds = append(cmds, c)
				}
			}
			m.dirty = true
			cmd = tea.Batch(cmds...)
		}
	}
	m.watch()
	return m, cmd
}

// unknownNames returns the names of the sections that this program does not know.
func unknownNames(s *state.Snapshot) (names []string) {
	for n := range s.Unknown {
		names = append(names, string(n))
	}
	slices.Sort(names)
	return names
}

// take receives a snapshot and decides when to show it.
func (m *Model) take(s *state.Snapshot) tea.Cmd {
	old := m.live
	m.live = s
	m.noticed(old, s)
	if len(s.Unknown) > 0 && (old == nil || len(old.Unknown) < len(s.Unknown)) {
		m.say("the engine is newer than this console, which does not show: " + strings.Join(unknownNames(s), ", "))
	}
	if m.lost != "" {
		m.lost, m.dirty = "", true
	}
	if !m.past.live() {
		return nil
	}
	now := m.o.Clock()
	if old == nil || m.shown == nil || now.Sub(m.keyed) < watched || now.Sub(m.began) < watched {
		m.showLive()
		return nil
	}
	var lines tea.Cmd
	if !m.lineDue && m.newLines(m.lines, s) {
		if wait := min(lineFrame, lineFrame-now.Sub(m.lined)); wait > 0 {
			m.lineDue = true
			lines = tea.Tick(wait, func(time.Time) tea.Msg { return linesMsg{} })
		} else {
			m.showLines()
		}
	}
	if m.due || !m.urgent(m.shown, s) {
		return lines // the flush or the next tick shows the rest
	}
	if wait := min(idleFrame, idleFrame-now.Sub(m.applied)); wait > 0 {
		m.due = true
		return tea.Batch(lines, tea.Tick(wait, func(time.Time) tea.Msg { return flushMsg{} }))
	}
	m.showLive()
	return lines
}

func (m *Model) showLive() {
	if m.live != nil && m.past.live() && m.live != m.shown {
		m.apply(m.live)
	}
}

// showLines shows the newest lines, and leaves every other pane as it is.
func (m *Model) showLines() {
	if m.live == nil || m.live == m.lines || !m.past.live() {
		return
	}
	m.lines, m.lined, m.dirty = m.live, m.o.Clock(), true
	m.panes[m.logs].Apply(m.live)
}

// urgent reports whether b says something that should not wait for the tick.
func (m *Model) urgent(a, b *state.Snapshot) bool {
	for _, d := range state.Descriptors() {
		if a.Versions[d.Name] == b.Versions[d.Name] {
			continue
		}
		if a.HealthOf(d.Name).Status != b.HealthOf(d.Name).Status || d.Urgent != nil && d.Urgent(a, b) {
			return true
		}
	}
	return false
}

// newLines reports whether log lines have come that can be seen.
func (m *Model) newLines(a, b *state.Snapshot) bool {
	if a.Versions[state.SectionLogs] == b.Versions[state.SectionLogs] || !m.visible(m.logs) {
		return false
	}
	if f, ok := m.panes[m.logs].(pane.Follower); ok && !f.Following() {
		return false // they wait below; the tick counts them
	}
	if len(a.Logs.Sources) != len(b.Logs.Sources) {
		return true
	}
	for i := range b.Logs.Sources {
		if a.Logs.Sources[i].Lines != b.Logs.Sources[i].Lines {
			return true
		}
	}
	return false
}

// second does what happens once a second.
func (m *Model) second() {
	m.dirty = true
	if m.live != nil {
		m.past.keep(m.live)
	}
	m.showLive()
	for i, p := range m.panes {
		if m.visible(i) {
			p.Touch()
		}
	}
	if m.note != "" && m.o.Clock().After(m.noteEnd) {
		m.note = ""
	}
}

// watch tells the backend what is being looked at, when that has changed.
func (m *Model) watch() {
	if m.o.Backend == nil {
		return
	}
	var in state.Interests
	for i, p := range m.panes {
		if !m.visible(i) {
			continue
		}
		t := p.Target()
		for _, look := range t.Looks {
			in = in.Add(look.Topic, look.Key)
		}
	}
	if m.keyed.Sub(m.toldKeys) >= keysEvery {
		m.toldKeys = m.keyed
		m.keysTold++
	}
	if m.keysTold > 0 {
		in = in.Add(state.LookKeys, strconv.FormatUint(m.keysTold, 10))
	}
	for _, o := range m.stack {
		if d, ok := o.(*actionDialog); ok {
			in = in.Add(state.LookAction(d.spec.Kind), d.targets...)
		}
	}
	if !slices.Equal(in, m.told) {
		m.told = in
		m.o.Backend.Watch(in)
	}
}

func (m *Model) retheme() {
	m.env.Theme = theme.New(m.look)
	m.redraw()
}

// redraw forgets everything drawn.
func (m *Model) redraw() {
	m.dirty = true
	for i, p := range m.panes {
		p.Touch()
		m.frames[i] = frame{}
	}
	m.resize(m.w, m.h)
	if l, ok := m.panes[m.logs].(*logs.Pane); ok {
		l.Redraw()
	}
}

// fileMsg says what came of writing a file.
type fileMsg struct {
	what, path string
	err        error
}

func (m *Model) file(f pane.FileMsg) tea.Cmd {
	if m.o.File == nil {
		m.say("this console writes no files")
		return nil
	}
	m.say("writing " + f.What)
	return func() tea.Msg {
		path, err := m.o.File(f.Name, f.Write)
		return fileMsg{f.What, path, err}
	}
}

func (m *Model) copy(c pane.CopyMsg) tea.Cmd {
	if m.o.Copy == nil {
		m.say("copied " + c.What + ": asked the terminal (OSC 52)")
		return tea.SetClipboard(c.Text)
	}
	return func() tea.Msg {
		how, err := m.o.Copy(c.Text)
		return copyMsg{c.What, how, err}
	}
}
