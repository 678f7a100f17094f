package tui

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// nothing is a program that ends at once.
type nothing struct{}

func (nothing) Run() error          { return nil }
func (nothing) SetStdin(io.Reader)  {}
func (nothing) SetStdout(io.Writer) {}
func (nothing) SetStderr(io.Writer) {}

// hands gives the terminal away some times, and quits.
type hands struct {
	m    *Model
	left int
	held []int // eventpoll descriptors each time it has it back
}

func (h *hands) Init() tea.Cmd { return h.m.exec(nothing{}, func(error) tea.Msg { return back{} }) }

type back struct{}

func (h *hands) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(back); !ok {
		return h, nil
	}
	h.held = append(h.held, polls())
	if h.left--; h.left == 0 {
		return h, tea.Quit
	}
	return h, h.Init()
}

func (h *hands) View() tea.View { return tea.NewView("x") }

// polls counts this process's epoll descriptors.
func polls() (n int) {
	list, _ := os.ReadDir("/proc/self/fd")
	for _, f := range list {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.Contains(to, "eventpoll") {
			n++
		}
	}
	return n
}

func TestTerminalThatIsGivenAwayLeavesNoDescriptor(t *testing.T) {
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer feed.Close()
	h := &hands{m: &Model{}, left: 10}
	p := tea.NewProgram(h, tea.WithInput(in), tea.WithOutput(&bytes.Buffer{}), tea.WithoutSignalHandler())
	h.m.released = func() { closeReader(p) }
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	if first, last := h.held[0], h.held[len(h.held)-1]; last > first {
		t.Errorf("%d descriptors after the first time, %d after the last", first, last)
	}
}
