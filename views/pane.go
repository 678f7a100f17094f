package views

import (
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// Pane is one part of the screen.
type Pane interface {
	// Info says what the pane is; it never changes.
	Info() Info
	// Resize tells the pane its size inside the border, in cells; either may be 0.
	Resize(w, h int)
	// Apply shows the snapshot; nil means that none has come yet.
	Apply(*state.Snapshot)
	// Update takes a Do, or a message of the pane's own.
	Update(tea.Msg) tea.Cmd
	// View is exactly h lines of at most w cells each.
	View() string
	// Summary is the pane in a few words, for its border or its collapsed line.
	Summary() []Span
	// Target is what an action would act on: the marked rows, else the selected one.
	Target() Target
	// Focus tells the pane whether keys go to it.
	Focus(bool)
	// Touch tells the pane that time has passed, so that ages are drawn anew.
	Touch()
}

// Filterer is a pane whose rows can be filtered as one types.
type Filterer interface {
	// Filter is the filter in force, "" for none.
	Filter() string
	SetFilter(string)
	// Wrong says what is wrong with the filter, and where; nil for nothing. What can be
	// understood of it is in force.
	Wrong() error
}

// Follower is a pane that follows a stream.
type Follower interface {
	Following() bool
}

// Asker is a pane some of whose commands want a line of text.
type Asker interface {
	// Question is what a command asks for; ok is false where it asks for nothing now.
	Question(Command) (q Question, ok bool)
	// Answer carries the command out. An error says what is wrong with the text, and
	// the question stays.
	Answer(c Command, text string) (tea.Cmd, error)
}

// Question asks for a line of text.
type Question struct {
	// Label stands before the text: "go to a time"; Hint behind it while it is empty.
	Label, Hint string
	// Text is there to begin with; Words are what tab completes.
	Text  string
	Words []string
}

// Detailer is a pane with a detail beside its rows.
type Detailer interface {
	// Detail reports whether the detail is shown beside the list, and whether it
	// has taken the whole pane.
	Detail() (beside, open bool)
	SetDetail(beside bool)
}

// Sorter is a pane whose order can be kept over restarts.
type Sorter interface {
	Sort() (column string, reverse bool)
	SetSort(column string, reverse bool)
}

// Instant is a pane that needs to be told of the time cursor because its data is
// not in the snapshot alone. The zero time is now.
type Instant interface{ SetInstant(time.Time) }

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

// Target is what an action would act on.
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

// Env is what all panes share.
type Env struct {
	Theme *theme.Theme
	// Now is the time on the screen: the clock's, or the time cursor's.
	Now func() time.Time
	// Local is the zone in which times are shown.
	Local *time.Location
}

// Command is what a key means.
type Command string

// Commands that panes understand.
const (
	Up        Command = "up"
	Down      Command = "down"
	Left      Command = "left"
	Right     Command = "right"
	Top       Command = "top"
	Bottom    Command = "bottom"
	HalfUp    Command = "half-page-up"
	HalfDown  Command = "half-page-down"
	PageUp    Command = "page-up"
	PageDown  Command = "page-down"
	Open      Command = "open"
	Back      Command = "back"
	Beside    Command = "detail"
	Mark      Command = "mark"
	MarkRange Command = "mark-range"
	SortNext  Command = "sort"
	TabNext   Command = "tab-next"
	TabPrev   Command = "tab-prev"
	CopyRow   Command = "copy"
	Follow    Command = "follow"
	FindNext  Command = "find-next"
	FindPrev  Command = "find-prev"
	ErrNext   Command = "error-next"
	ErrPrev   Command = "error-prev"
	Times     Command = "timestamps"
	Wrap      Command = "wrap"
	Raw       Command = "raw"
	Bookmark  Command = "bookmark"
	BookNext  Command = "bookmark-next"
	LevelNext Command = "level"
	Search    Command = "search"
	Keep      Command = "keep"
	GoTo      Command = "go-to"
	Columns   Command = "columns"
	CountBy   Command = "count-by"
	Save      Command = "save"
	Bars      Command = "histogram"
	Earlier   Command = "earlier"
	Later     Command = "later"
	Edit      Command = "edit"
	FoldAll   Command = "fold-all"
	GroupRows Command = "group"
)

// Do is a command given to a pane.
type Do struct{ Command Command }

// Note is a pane's word to the user, shown briefly.
type Note struct{ Text string }

// Copy asks the console to copy text; What names it.
type Copy struct{ Text, What string }

// File asks the console to write a file: what is shown, as it is shown, for others to
// read. Name is its proposed name or path; What names what is in it.
type File struct {
	Name, What string
	Write      func(io.Writer) error
}

// Unhandled says that the command does nothing in this pane now.
type Unhandled struct{ Command Command }

// Closed says that there was nothing left to go back from.
type Closed struct{}

// All makes every pane, in the order of their numbers.
func All(env *Env) []Pane {
	return []Pane{
		NewModules(env),
		NewPipeline(env),
		NewContainers(env),
		NewQueues(env),
		NewLogs(env),
		NewAlerts(env),
		NewRouting(env),
		NewActions(env),
		NewHost(env),
	}
}

func send(m tea.Msg) tea.Cmd { return func() tea.Msg { return m } }
