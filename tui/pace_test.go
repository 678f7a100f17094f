package tui

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
)

// told notes what it is told.
type told []time.Duration

func (t *told) Reset(d time.Duration) { *t = append(*t, d) }

func TestFramesAreLookedForWhenTheyAreDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got told
		f := &pace{ticker: &got}
		f.drawn()
		time.Sleep(time.Millisecond)
		f.drawn()
		for range 20 { // steady: a look must not be put off by the next frame
			time.Sleep(2 * time.Millisecond)
			f.drawn()
		}
		time.Sleep(time.Second)
		f.drawn()
		time.Sleep(time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		if want := (told{soon, busy, rest, soon, rest}); !slices.Equal(got, want) {
			t.Errorf("its ticker was told %v, want %v", got, want)
		}
	})
}

// once quits after its first frame.
type once struct{}

func (once) Init() tea.Cmd { return tea.Quit }

func (o once) Update(tea.Msg) (tea.Model, tea.Cmd) { return o, nil }

func (once) View() tea.View { return tea.NewView("x") }

func TestTickerOfBubbleTeaIsFound(t *testing.T) {
	p := tea.NewProgram(once{}, tea.WithInput(nil), tea.WithOutput(&bytes.Buffer{}), tea.WithoutSignalHandler())
	if f := paceOf(p); f.ticker != nil {
		t.Error("it has one before it runs")
	}
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	if paceOf(p).ticker == nil {
		t.Error("it was not found: the console's looks cost a percent of a core")
	}
}
