package pane

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// Pane is one part of the screen.
type Pane interface {
	// Info returns what the pane is; it never changes.
	Info() Info
	// Resize tells the pane its size inside the border, in cells; either may be 0.
	Resize(w, h int)
	// Apply shows the snapshot; nil means that none has come yet.
	Apply(*state.Snapshot)
	// Update takes a [CommandMsg], or a message of the pane's own.
	Update(tea.Msg) tea.Cmd
	// View returns exactly h lines of at most w cells each.
	View() string
	// Summary returns the pane in a few words, for its border or its collapsed line.
	Summary() []Span
	// Target returns what an action would act on: the marked rows, else the selected one.
	Target() Target
	// Focus tells the pane whether keys go to it.
	Focus(bool)
	// Touch tells the pane that time has passed, so that ages are drawn anew.
	Touch()
}

// Info describes a pane.
type Info struct {
	// Name is the word that commands use: "modules". Title heads it: "Modules".
	Name, Title string
	// Section is the one whose health and age it shows; Acts are those whose actions
	// have keys here, Section among them.
	Section state.SectionName
	Acts    []state.SectionName
	// Stream says that the pane is a stream of lines, not a list.
	Stream bool
	// Band is the band of the overview that the pane stands in, from the top, beside the
	// others of it; 0 is for a pane that is not in the overview. Weight is its natural
	// size there, 1 where it is 0.
	Band   int
	Weight float64
	// About is one paragraph of help.
	About string
	// Keys are the pane's own keys beyond those of every list: command and what it does.
	Keys []KeyHelp
	// Filters are the forms of the pane's filter language, for help.
	Filters []FilterHelp
}

// FilterHelp says what a form of a filter keeps.
type FilterHelp struct{ Form, Keeps string }

// KeyHelp says what a command does in a pane.
type KeyHelp struct {
	Command Command
	Does    string
}

// Span is a piece of text in an ink.
type Span struct {
	Ink  theme.Ink
	Text string
}

// Target names the rows that an action would act on.
type Target struct {
	// IDs are the names that the actions know: module ID, container title, file path.
	IDs []string
	// Marked says that they were marked, not merely selected.
	Marked bool
	// Name is what a heading stands for whose rows the IDs are: "project shop"; else "".
	Name string
	// Container is the full ID of the container that a shell would be opened in.
	Container string
	// Looks are what is being looked at.
	Looks state.Interests
}

// Env holds the theme, the clock and the time zone that all panes share.
type Env struct {
	Theme *theme.Theme
	// Now is the time on the screen: the clock's, or the time cursor's.
	Now func() time.Time
	// Local is the zone in which times are shown.
	Local *time.Location
}
