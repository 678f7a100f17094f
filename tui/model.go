package tui

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Model is the console.
type Model struct {
	o    Options
	ctx  context.Context
	work *jobs
	// suspend stops the process until the shell continues it; nil where nothing can.
	suspend func()
	// released is called whenever the terminal has been given away; nil where nothing is
	// to be done.
	released func()
	// pace is told of what is drawn; nil where nothing looks for it.
	pace func() *pace
	env  *pane.Env
	look theme.Options
	keys keymap

	panes   []pane.Pane
	pinned  []int // panes that the digits focus, at most nine
	focus   int
	full    bool
	weight  map[string]float64
	mouse   bool
	w, h    int
	regions []region
	frames  []frame

	live    *state.Snapshot // the newest
	shown   *state.Snapshot // what the panes show
	applied time.Time
	logs    int // the pane of log lines
	// lines is what the pane of log lines shows, drawn at lined; it may be newer
	// than what the others do.
	lines   *state.Snapshot
	lined   time.Time
	lineDue bool // new lines are on their way to the screen
	due     bool // a flush is on its way
	keyed   time.Time
	began   time.Time // when it was made
	lost    string    // why the backend does not answer
	past    past

	stack   []overlay
	prompt  *prompt
	note    string
	noteEnd time.Time
	// unfolded is when the footer last had something new to say: until a key folds
	// it, it takes as many lines as it needs.
	unfolded time.Time
	touched  bool // a key has been pressed
	mine     []submission
	edited   edit // the configuration that was last edited here
	// lastAsked is the last action that was asked for without a dialog.
	lastAsked   string
	lastAskedAt time.Time
	history     []string
	asked       map[string][]string // answers to what panes ask, by command, oldest first
	told        state.Interests
	keysTold    uint64            // how often others were told that keys are pressed
	toldKeys    time.Time         // when they last were
	restore     map[string]string // selections to find again, by pane

	dirty   bool
	content string
}

// Messages of the console's own.
type (
	snapshotMsg struct{ s *state.Snapshot }
	lostMsg     struct{ err error }
	retryMsg    struct{}
	flushMsg    struct{}
	linesMsg    struct{}
	tickMsg     time.Time
	submitMsg   struct {
		a   state.Action
		id  state.ActionID
		err error
	}
	copyMsg struct {
		what, how string
		err       error
	}
	shellMsg struct{ err error }
)

// New makes a console.
func New(o Options) *Model {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Local == nil {
		o.Local = time.Local
	}
	m := &Model{o: o, ctx: context.Background(), work: &jobs{}, keys: newKeymap(o.Keys), weight: map[string]float64{}, restore: map[string]string{}, dirty: true}
	var set Settings
	if o.Load != nil {
		set = o.Load()
	}
	m.look = theme.Options{Name: o.Theme, NoColor: o.NoColor, ASCII: o.ASCII}
	if m.look.Name == "" {
		m.look.Name = set.Theme
	}
	m.env = &pane.Env{Theme: theme.New(m.look), Now: m.now, Local: o.Local}
	m.panes = append(views.All(m.env), o.More...)
	m.pinned = m.pins(o.Pinned)
	m.logs, m.began = m.paneNamed("logs"), o.Clock()
	m.frames = make([]frame, len(m.panes))
	m.set(set)
	if o.Pane != "" {
		if i := m.paneNamed(o.Pane); i >= 0 {
			m.focus, m.full = i, true
		}
	}
	return m
}

// set takes over settings.
func (m *Model) set(s Settings) {
	m.mouse, m.full, m.history = s.Mouse, s.Full, s.History
	m.asked = map[string][]string{}
	maps.Copy(m.asked, s.Asked)
	for k, v := range s.Weights {
		if v >= 0.2 && v <= 5 {
			m.weight[k] = v
		}
	}
	if i := m.paneNamed(s.Focus); i >= 0 {
		m.focus = i
	}
	for _, p := range m.panes {
		name := p.Info().Name
		ps := s.Panes[name]
		if x, ok := p.(pane.Sorter); ok && ps.Sort != "" {
			x.SetSort(ps.Sort, ps.Reverse)
		}
		if x, ok := p.(pane.Filterer); ok && ps.Filter != "" {
			x.SetFilter(ps.Filter)
		}
		if x, ok := p.(pane.Detailer); ok && ps.Detail {
			x.SetDetail(true)
		}
		if x, ok := p.(pane.Folder); ok {
			x.SetFolds(ps.Flat, ps.Folded)
		}
		if x, ok := p.(pane.Columner); ok && ps.Columns != nil {
			x.SetColumns(ps.Columns)
		}
		if ps.Selected != "" {
			m.restore[name] = ps.Selected
		}
	}
}

// Settings returns what is to survive a restart.
func (m *Model) Settings() Settings {
	s := Settings{Theme: m.look.Name, Mouse: m.mouse, Full: m.full, Focus: m.panes[m.focus].Info().Name,
		Weights: m.weight, History: m.history, Asked: m.asked, Panes: map[string]PaneSettings{}}
	for _, p := range m.panes {
		var ps PaneSettings
		if x, ok := p.(pane.Sorter); ok {
			ps.Sort, ps.Reverse = x.Sort()
		}
		if x, ok := p.(pane.Filterer); ok {
			ps.Filter = x.Filter()
		}
		if x, ok := p.(pane.Detailer); ok {
			ps.Detail, _ = x.Detail()
		}
		if x, ok := p.(pane.Folder); ok {
			_, ps.Flat, ps.Folded = x.Folds()
		}
		if x, ok := p.(pane.Columner); ok {
			ps.Columns = x.Columns()
		}
		if t := p.Target(); len(t.IDs) > 0 && !t.Marked {
			ps.Selected = t.IDs[0]
		}
		s.Panes[p.Info().Name] = ps
	}
	return s
}

// pins returns the panes of those names, each once, at most nine: the first nine of all
// where none is named. Names of no pane are left out.
func (m *Model) pins(names []string) (pinned []int) {
	for _, n := range names {
		if i := m.paneNamed(n); i >= 0 && !slices.Contains(pinned, i) {
			pinned = append(pinned, i)
		}
	}
	if len(pinned) == 0 {
		for i := range m.panes {
			pinned = append(pinned, i)
		}
	}
	return pinned[:min(9, len(pinned))]
}

func (m *Model) paneNamed(name string) int {
	return slices.IndexFunc(m.panes, func(p pane.Pane) bool { return p.Info().Name == name })
}

// now returns the time on the screen.
func (m *Model) now() time.Time {
	if s := m.past.at(); s != nil {
		return s.At
	}
	return m.o.Clock()
}

func (m *Model) pane() pane.Pane { return m.panes[m.focus] }

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	return tea.Batch(m.wait(0), tick(), tea.RequestBackgroundColor)
}

func tick() tea.Cmd {
	return tea.Every(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// wait asks for the snapshot after that version.
func (m *Model) wait(after uint64) tea.Cmd {
	if m.o.Backend == nil {
		return nil
	}
	return m.work.cmd(func() tea.Msg {
		s, err := m.o.Backend.Wait(m.ctx, after)
		if err != nil {
			if m.ctx.Err() != nil {
				return nil
			}
			return lostMsg{err}
		}
		return snapshotMsg{s}
	})
}

// jobs counts the commands that use the backend, so that Run can wait for them.
type jobs struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	closed bool
}

func (j *jobs) cmd(f func() tea.Msg) tea.Cmd {
	return func() tea.Msg {
		j.mu.Lock()
		if j.closed {
			j.mu.Unlock()
			return nil
		}
		j.wg.Add(1)
		j.mu.Unlock()
		defer j.wg.Done()
		return f()
	}
}

// close lets no more begin and waits for those that run.
func (j *jobs) close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.wg.Wait()
}

// apply shows a snapshot in every pane.
func (m *Model) apply(s *state.Snapshot) {
	m.shown, m.lines, m.dirty = s, s, true
	m.applied = m.o.Clock()
	m.lined = m.applied
	for _, p := range m.panes {
		p.Apply(s)
		name := p.Info().Name
		if id := m.restore[name]; id != "" && s != nil {
			if x, ok := p.(interface{ Restore(string) bool }); ok && x.Restore(id) {
				delete(m.restore, name)
			}
		}
	}
}

// View implements tea.Model.
func (m *Model) View() tea.View {
	if m.dirty {
		m.content = m.draw()
		m.dirty = false
		if m.pace != nil {
			m.pace().drawn()
		}
	}
	v := tea.NewView(m.content)
	v.AltScreen = true
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

// say shows a note for some seconds, a long one for longer.
func (m *Model) say(s string) {
	now := m.o.Clock()
	m.note, m.noteEnd, m.dirty = s, now.Add(5*time.Second+time.Duration(min(len(s), 600))*40*time.Millisecond), true
	m.unfolded = now
}

// fold brings the footer back to one line once a key is pressed after it could be
// seen.
func (m *Model) fold() {
	if m.o.Clock().Sub(m.unfolded) > time.Second {
		m.unfolded = time.Time{}
	}
}
