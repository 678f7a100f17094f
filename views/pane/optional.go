package pane

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Filterer is a pane whose rows can be filtered as one types.
type Filterer interface {
	// Filter returns the filter in force, "" for none.
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
	// Question returns what a command asks for; ok is false where it asks for nothing now.
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

// ColumnChoice is one column as a dialog offers it.
type ColumnChoice struct {
	Title string
	Shown bool
	// Fixed says that it is always shown.
	Fixed bool
}

// Columner is a pane whose columns can be chosen.
type Columner interface {
	// ColumnChoices returns all columns in their order. Which of the shown ones are on the
	// screen depends on its width.
	ColumnChoices() []ColumnChoice
	// Columns returns the titles of those chosen, nil where nobody has chosen.
	Columns() []string
	// SetColumns chooses; nil goes back to what the pane shows by itself. Titles that
	// the pane does not know are left out.
	SetColumns([]string)
}

// Folder is a pane whose rows stand in groups that can be folded.
type Folder interface {
	// Folds returns whether there are no groups at all, and the keys of those folded, in
	// order. What names the grouping, "" where the pane has none.
	Folds() (what string, flat bool, shut []string)
	SetFolds(flat bool, shut []string)
}

// Finder is a pane whose open detail can be searched.
type Finder interface {
	// Finds reports whether a search would look into the detail now, rather than filter
	// the list.
	Finds() bool
	// Find looks for text in the detail, in any case, and goes to the first hit; ""
	// ends the search.
	Find(text string) tea.Cmd
}

// Proposer is a pane that knows what an action's fields most likely are to be, from
// what it shows.
type Proposer interface {
	// Propose gives values by field; nil for none.
	Propose(state.Kind) map[string]string
}
