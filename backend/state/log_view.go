package state

// LogView asks for a stretch of one log that lies beyond its tail. The zero LogView
// asks for nothing. It is comparable: the answer is found by it in [Logs.Views].
type LogView struct {
	// Source is the log source's ID; files only.
	Source string `json:"source"`
	// At is the place of the record in the middle, in bytes from the file's beginning.
	// A negative one is the file's end; with Time other than 0, the first record at or
	// after that time, in Unix nanoseconds, is meant.
	At   int64 `json:"at"`
	Time int64 `json:"time,omitempty"`
	// Rows is how many records are wanted on either side, at most [MaxViewRows].
	Rows int `json:"rows"`
	// Find is a filter in the language of backend/record whose matches in the whole
	// file are counted; "" for none.
	Find string `json:"find,omitempty"`
}

// MaxViewRows bounds the records of a view on either side of its middle.
const MaxViewRows = 500

// LogWindow answers a [LogView], as far as it is known: records come at once, counts
// as the file is read.
type LogWindow struct {
	View LogView `json:"view"`
	// Records are in order; Offsets are their places in the file.
	Records []LogRecord `json:"records"`
	Offsets []int64     `json:"offsets"`
	// Middle is the place of the record that At or Time means.
	Middle int64 `json:"middle"`
	// Size is the file's, Indexed and Searched how much of it was read for Levels and
	// Slots, and for Matches, in bytes.
	Size     int64 `json:"size"`
	Indexed  int64 `json:"indexed"`
	Searched int64 `json:"searched,omitempty"`
	// Levels counts the file's records by level, Slots by time and level.
	Levels [LevelFatal + 1]uint64 `json:"levels"`
	Slots  []LogSlot              `json:"slots,omitempty"`
	// Matches is how many records Find found in what was searched; Previous and Next
	// are the places of those nearest to Middle, -1 for none known.
	Matches  uint64 `json:"matches,omitempty"`
	Previous int64  `json:"previous"`
	Next     int64  `json:"next"`
	// Err says why it cannot be answered.
	Err string `json:"err,omitempty"`
}

// LogSlot is a stretch of time in a file's histogram.
type LogSlot struct {
	Start  int64                  `json:"start_ns"`
	Levels [LevelFatal + 1]uint64 `json:"levels"`
}

// View is the window of a view, or nil while there is none.
func (l Logs) View(v LogView) *LogWindow {
	for i := range l.Views {
		if l.Views[i].View == v {
			return &l.Views[i]
		}
	}
	return nil
}
