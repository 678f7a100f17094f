package pane

import (
	"io"

	tea "charm.land/bubbletea/v2"
)

// Command names what a key or a palette entry has a pane do.
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

// CommandMsg gives a pane a command.
type CommandMsg struct{ Command Command }

// NoticeMsg tells the user something, briefly.
type NoticeMsg struct{ Text string }

// CopyMsg asks the console to copy text; What names it.
type CopyMsg struct{ Text, What string }

// FileMsg asks the console to write a file: what is shown, as it is shown, for others to
// read. Name is its proposed name or path; What names what is in it.
type FileMsg struct {
	Name, What string
	Write      func(io.Writer) error
}

// UnhandledMsg says that the command does nothing in this pane now.
type UnhandledMsg struct{ Command Command }

// ClosedMsg says that there was nothing left to go back from.
type ClosedMsg struct{}

// Send returns a command whose message is m.
func Send(m tea.Msg) tea.Cmd { return func() tea.Msg { return m } }
