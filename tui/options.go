package tui

import (
	"context"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Backend is everything that the console knows of what is behind it.
type Backend interface {
	// Wait returns the newest snapshot as soon as its version is beyond after.
	Wait(ctx context.Context, after uint64) (*state.Snapshot, error)
	// Submit asks for an action; its progress and outcome come with snapshots.
	Submit(ctx context.Context, a state.Action) (state.ActionID, error)
	// Watch says what is being looked at now. It does not block.
	Watch(state.Interests)
}

// Options say how the console looks and what it can reach.
type Options struct {
	Backend Backend
	// Actor is who sits here; actions carry it.
	Actor state.Actor
	// PID is this process's: where it is the engine's too, quitting ends the engine.
	PID int
	// Theme is one of theme.Names; "" is what the settings say, else "auto".
	Theme string
	// NoColor draws without colours, ASCII without other characters.
	NoColor, ASCII bool
	// Load and Save keep the layout over restarts; nil keeps nothing. Save is called
	// once, when the console ends.
	Load func() Settings
	Save func(Settings) error
	// Keys rebinds: the name of a command, as in [CheatSheet], to a key.
	Keys map[string]string
	// Copy puts text where the user can paste it, and says how; nil asks the
	// terminal (OSC 52).
	Copy func(text string) (how string, err error)
	// File writes a file that only the user can read and says where; the error says
	// what is wrong, and nothing is left behind. nil when there can be none.
	File func(name string, write func(io.Writer) error) (path string, err error)
	// Shell is a shell in the container of that ID; nil when there can be none, and
	// then NoShell says why.
	Shell   func(containerID string) (tea.ExecCommand, error)
	NoShell string
	// Edit opens text in the user's editor, at a line of it where line is above 0; read
	// returns the text once the editor has ended, and removes it. nil when there
	// is none, and then NoEdit says why.
	Edit   func(name, text string, line int) (cmd tea.ExecCommand, read func() (string, error), err error)
	NoEdit string
	// Pinned are the names of the panes that the digits focus, at most nine; none is the
	// first nine. More are panes beyond those of package views.
	Pinned []string
	More   []pane.Pane
	// Wall is the layout without chrome, which changes nothing.
	Wall bool
	// Pane is shown alone, full screen, at the start; "" is the overview.
	Pane string
	// Clock and Local are the time and its zone; nil is the machine's.
	Clock func() time.Time
	Local *time.Location
}

// Settings are kept over restarts.
type Settings struct {
	Theme   string                  `json:"theme,omitempty"`
	Mouse   bool                    `json:"mouse,omitempty"`
	Focus   string                  `json:"focus,omitempty"`
	Full    bool                    `json:"full,omitempty"`
	Weights map[string]float64      `json:"weights,omitempty"`
	Panes   map[string]PaneSettings `json:"panes,omitempty"`
	// History is the palette's, oldest first.
	History []string `json:"history,omitempty"`
	// Asked are the answers to what panes ask, by command, oldest first.
	Asked map[string][]string `json:"asked,omitempty"`
}

// PaneSettings are one pane's.
type PaneSettings struct {
	Sort     string `json:"sort,omitempty"`
	Reverse  bool   `json:"reverse,omitempty"`
	Filter   string `json:"filter,omitempty"`
	Detail   bool   `json:"detail,omitempty"`
	Selected string `json:"selected,omitempty"`
	// Columns are those that were chosen, nil for none; Folded the groups that are
	// folded, and Flat says that there are no groups.
	Columns []string `json:"columns,omitempty"`
	Folded  []string `json:"folded,omitempty"`
	Flat    bool     `json:"flat,omitempty"`
}
