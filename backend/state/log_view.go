package state

// LogView asks for a stretch of one log that lies beyond its tail: of the file and of
// its rotated files, as one. The zero LogView asks for nothing. It is comparable: the
// answer is found by it in [Logs.Views].
//
// Places rise through the log, from its oldest rotated file on, and stay what they are
// when it is rotated. They say nothing else: there are gaps between files.
type LogView struct {
	// Source is the log source's ID; files only.
	Source string `json:"source"`
	// At is the place of the record in the middle. A negative one is the log's end, 0
	// its beginning; with Time other than 0, the first record at or after that time, in
	// Unix nanoseconds, is meant.
	At   int64 `json:"at"`
	Time int64 `json:"time,omitempty"`
	// Seek asks for the record after that place that it names, with Back for the one
	// before it.
	Seek LogSeek `json:"seek,omitempty"`
	Back bool    `json:"back,omitempty"`
	// Rows is how many records are wanted on either side, at most [MaxViewRows].
	Rows int `json:"rows"`
	// Keep is a filter in the language of backend/record, and Least a level: records
	// that do not pass both are left out. Those that pass are counted in all of the log.
	Keep  string `json:"keep,omitempty"`
	Least Level  `json:"least,omitempty"`
	// Find is a filter whose matches among those are counted; "" for none.
	Find string `json:"find,omitempty"`
}

// LogSeek is what a view looks for.
type LogSeek string

// What a view may look for, among the records that pass.
const (
	SeekError LogSeek = "error" // a record of level error or above
	SeekMatch LogSeek = "match" // one that Find matches
)

// MaxViewRows bounds the records of a view on either side of its middle.
const MaxViewRows = 500

// LogWindow answers a [LogView], as far as it is known: records come at once, counts
// as the log is read.
type LogWindow struct {
	View LogView `json:"view"`
	// Records are in order; Offsets are their places. More may come.
	Records []LogRecord `json:"records"`
	Offsets []int64     `json:"offsets"`
	// Middle is the place of the record that the view means.
	Middle int64 `json:"middle"`
	// Pending says that it is still being looked for: Looked of ToLook bytes were read
	// for it. Missing says that there is none, and that Middle is where it began.
	Pending bool  `json:"pending,omitempty"`
	Looked  int64 `json:"looked,omitempty"`
	ToLook  int64 `json:"to_look,omitempty"`
	Missing bool  `json:"missing,omitempty"`
	// Filling says that records are still being looked for; First and Last that the
	// window begins with the log's first record that passes, or ends with its last.
	Filling bool `json:"filling,omitempty"`
	First   bool `json:"first,omitempty"`
	Last    bool `json:"last,omitempty"`
	// Size is that of all Files together, Before how much of it lies before Middle,
	// Indexed and Searched how much of it was read for Levels and Slots, and for Passed
	// and Matches, in bytes. A compressed file's size is what it unpacks to, once that is
	// known.
	Size     int64 `json:"size"`
	Before   int64 `json:"before"`
	Indexed  int64 `json:"indexed"`
	Searched int64 `json:"searched,omitempty"`
	Files    int   `json:"files"`
	// Unread are rotated files that cannot be read, and why.
	Unread []string `json:"unread,omitempty"`
	// Levels counts the log's records by level, Slots by time and level.
	Levels [LevelFatal + 1]uint64 `json:"levels"`
	Slots  []LogSlot              `json:"slots,omitempty"`
	// Passed is how many records Keep and Least let through in what was searched, and
	// Matches how many of those Find found.
	Passed  uint64 `json:"passed,omitempty"`
	Matches uint64 `json:"matches,omitempty"`
	// Err says why it cannot be answered.
	Err string `json:"err,omitempty"`
}

// LogSlot is a stretch of time in a log's histogram: how many records it has of each
// level, how many that pass, and of those how many that match, as far as both are asked
// for. Counts are to the resolution of some 256 KiB of the log.
type LogSlot struct {
	Start   int64                  `json:"start_ns"`
	Levels  [LevelFatal + 1]uint64 `json:"levels"`
	Passed  uint64                 `json:"passed,omitempty"`
	Matches uint64                 `json:"matches,omitempty"`
}

// Filters reports whether the view leaves records out.
func (v LogView) Filters() bool { return v.Keep != "" || v.Least > 0 }

// View returns the window of a view, or nil while there is none.
func (l Logs) View(v LogView) *LogWindow {
	for i := range l.Views {
		if l.Views[i].View == v {
			return &l.Views[i]
		}
	}
	return nil
}
