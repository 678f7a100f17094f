package tui

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// driver runs a console synchronously, under a clock that only it moves.
type driver struct {
	t    *testing.T
	m    *Model
	b    *fake.Backend
	now  time.Time
	quit bool
	snap *state.Snapshot
}

func drive(t *testing.T, snap string, change func(*Options)) *driver {
	t.Helper()
	d := &driver{t: t, now: fake.Now, snap: fake.Named(snap)}
	d.b = fake.NewBackend(d.snap)
	o := Options{Backend: d.b, Actor: state.Actor{User: "ada", Via: "console"}, Clock: func() time.Time { return d.now }, Local: time.UTC, Theme: "none"}
	if change != nil {
		change(&o)
	}
	d.m = New(o)
	// The test hands over the snapshots itself: with this context, waiting for one
	// ends at once.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.m.ctx = ctx
	d.msg(tea.WindowSizeMsg{Width: 120, Height: 40})
	d.show(d.snap)
	return d
}

// show gives the console a snapshot with the next version.
func (d *driver) show(s *state.Snapshot, secs ...state.Section) {
	d.t.Helper()
	v := uint64(100)
	if d.m.live != nil {
		v = d.m.live.Version + 1
	}
	if len(secs) == 0 {
		for _, n := range state.SectionNames() {
			secs = append(secs, s.Section(n))
		}
	}
	d.snap = s.With(v, d.now, secs...)
	_, cmd := d.m.Update(snapshotMsg{d.snap})
	d.run(cmd)
}

func (d *driver) msg(m tea.Msg) {
	d.t.Helper()
	_, cmd := d.m.Update(m)
	d.run(cmd)
}

// run runs a command until nothing more comes of it. Snapshots and the clock are
// the test's own business.
func (d *driver) run(cmd tea.Cmd) {
	d.t.Helper()
	if cmd == nil {
		return
	}
	msg := cmd()
	switch v := reflect.ValueOf(msg); {
	case msg == nil:
		return
	case v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]():
		for i := range v.Len() {
			d.run(v.Index(i).Interface().(tea.Cmd))
		}
		return
	}
	switch msg := msg.(type) {
	case tea.QuitMsg:
		d.quit = true
	case snapshotMsg, tickMsg:
	default:
		d.msg(msg)
	}
}

// press presses keys: single characters, or names in angle brackets.
func (d *driver) press(keys ...string) {
	d.t.Helper()
	for _, k := range keys {
		var msg tea.KeyPressMsg
		switch k {
		case "enter":
			msg = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "esc":
			msg = tea.KeyPressMsg{Code: tea.KeyEscape}
		case "tab":
			msg = tea.KeyPressMsg{Code: tea.KeyTab}
		case "shift+tab":
			msg = tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
		case "up":
			msg = tea.KeyPressMsg{Code: tea.KeyUp}
		case "down":
			msg = tea.KeyPressMsg{Code: tea.KeyDown}
		case "end":
			msg = tea.KeyPressMsg{Code: tea.KeyEnd}
		case "backspace":
			msg = tea.KeyPressMsg{Code: tea.KeyBackspace}
		case "space":
			msg = tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
		case "ctrl+c":
			msg = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
		default:
			r := []rune(k)
			msg = tea.KeyPressMsg{Code: r[0], Text: k}
		}
		d.msg(msg)
	}
}

func (d *driver) typeText(s string) {
	d.t.Helper()
	for _, r := range s {
		if r == ' ' {
			d.press("space")
			continue
		}
		d.press(string(r))
	}
}

// pass lets time go by, with its ticks.
func (d *driver) pass(t time.Duration) {
	d.t.Helper()
	for ; t > 0; t -= time.Second {
		d.now = d.now.Add(min(t, time.Second))
		d.m.Update(tickMsg(d.now))
	}
}

func (d *driver) screen() string {
	v := d.m.View()
	checkFrame(d.t, d.t.Name(), v.Content, d.m.w, d.m.h)
	return ansi.Strip(v.Content)
}

func (d *driver) sees(what ...string) {
	d.t.Helper()
	s := d.screen()
	for _, w := range what {
		if !strings.Contains(s, w) {
			d.t.Fatalf("the screen lacks %q:\n%s", w, s)
		}
	}
}

func (d *driver) lacks(what ...string) {
	d.t.Helper()
	s := d.screen()
	for _, w := range what {
		if strings.Contains(s, w) {
			d.t.Fatalf("the screen has %q:\n%s", w, s)
		}
	}
}

// row is the screen's line that has the cursor of the focused list.
func (d *driver) cursorRow() (int, string) {
	for i, l := range strings.Split(d.screen(), "\n") {
		if strings.Contains(l, "▸") {
			return i, l
		}
	}
	return -1, ""
}
