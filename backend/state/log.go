package state

import (
	"strings"
	"time"
)

// Level is a log record's severity.
type Level uint8

// Levels, by rising severity.
const (
	LevelUnknown Level = iota
	LevelTrace
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	LevelFatal
)

var levelWords = [...]string{"", "trace", "debug", "info", "warn", "error", "fatal"}

// String returns the level in lower case, "" for unknown.
func (l Level) String() string {
	if int(l) < len(levelWords) {
		return levelWords[l]
	}
	return ""
}

// ParseLevel reads a level word of any of the common loggers: "warning", "ERR",
// "critical", "notice". It is case-insensitive; an unknown word is LevelUnknown.
func ParseLevel(s string) Level {
	switch strings.ToLower(s) {
	case "trace", "trc", "silly", "verbose", "finest":
		return LevelTrace
	case "debug", "dbg", "debu", "fine", "d":
		return LevelDebug
	case "info", "inf", "information", "notice", "http", "log", "i":
		return LevelInfo
	case "warn", "warning", "wrn", "w":
		return LevelWarn
	case "error", "err", "eror", "severe", "e":
		return LevelError
	case "fatal", "critical", "crit", "panic", "dpanic", "alert", "emerg", "emergency", "f":
		return LevelFatal
	}
	return LevelUnknown
}

// Logs is the section of the logs that are followed, with the newest records of each.
type Logs struct {
	Health  Health      `json:"health"`
	Sources []LogSource `json:"sources"` // files by path, then the others by title
	// Tails has each source's newest records, by source ID. A container's and the
	// journal's are present only while somebody looks.
	Tails map[string]Tail `json:"-"`
	// Views are stretches of files beyond their tails, for those who look at them.
	Views []LogWindow `json:"views,omitempty"`
	// Watches count records as they are written; Filters are the workspace's own, by name.
	Watches []LogWatch  `json:"watches,omitempty"`
	Filters []LogFilter `json:"filters,omitempty"`
}

// LogFilter is a filter, in the language of backend/record, that has a name.
type LogFilter struct {
	Name  string `json:"name"`
	Where string `json:"where"`
}

// LogWatch counts the records of some sources that pass a filter, from when it began on.
type LogWatch struct {
	Name string `json:"name"`
	// Source is the title or glob that is watched, Sources how many match it now.
	Source  string        `json:"source"`
	Sources int           `json:"sources"`
	Where   string        `json:"where"`
	Window  time.Duration `json:"window"`
	Since   time.Time     `json:"since"`
	// Matches is how many records passed since Since; Recent those within the window,
	// which is counted in 60 steps.
	Matches uint64 `json:"matches"`
	Recent  uint64 `json:"recent"`
	// Last is the newest record that passed, masked and cut, LastSource whose it was,
	// LastAt its time; zero for none yet.
	Last       string    `json:"last,omitempty"`
	LastSource string    `json:"last_source,omitempty"`
	LastAt     time.Time `json:"last_at,omitzero"`
}

// Watch returns the watch of that name, or nil.
func (l Logs) Watch(name string) *LogWatch {
	for i := range l.Watches {
		if l.Watches[i].Name == name {
			return &l.Watches[i]
		}
	}
	return nil
}

// LogSource is one thing that is followed.
type LogSource struct {
	// ID is "file:/abs/path", "remote:ssh://host/path", "container:<full id>" or "journal:".
	ID string `json:"id"`
	// Kind is "file", "remote" (a file on another host), "container" or "journal".
	Kind string `json:"kind"`
	// Title is short: a path relative to the workspace, host:path, a container's name.
	Title string `json:"title"`
	Path  string `json:"path,omitempty"`
	Size  int64  `json:"size,omitempty"` // bytes; files only
	// Lines and Errors count what was read since following began; Rate is lines a second.
	Lines  uint64    `json:"lines"`
	Errors uint64    `json:"errors"`
	Rate   float64   `json:"rate"`
	LastAt time.Time `json:"last_at,omitzero"`
	// Rotations and Truncations were survived, as far as they were noticed; at least
	// LostBytes were overwritten before they could be read.
	Rotations   int   `json:"rotations,omitempty"`
	Truncations int   `json:"truncations,omitempty"`
	LostBytes   int64 `json:"lost_bytes,omitempty"`
	// Err says why the source cannot be read now; "" when it can.
	Err string `json:"err,omitempty"`
	// Rotation says how T rotates it, "" when it cannot be rotated.
	Rotation string `json:"rotation,omitempty"`
}

// Tail is the newest records of one source, oldest first. The slice is never
// written below its length once published, so it may be kept.
type Tail struct {
	Records []LogRecord
	// Dropped counts records that fell out at the old end since following began.
	Dropped uint64
}

// LogRecord is one record: a line and the lines that continue it.
type LogRecord struct {
	// Seq rises by one with each record of its source, starting at 1.
	Seq uint64 `json:"seq"`
	// Nanos is the record's time in Unix nanoseconds.
	Nanos int64 `json:"ns"`
	// Guessed says that the line had no readable time and took its neighbour's
	// or the time of its arrival.
	Guessed bool  `json:"guessed,omitempty"`
	Level   Level `json:"level,omitempty"`
	// Text is the line as written, cleaned, masked, without its line end.
	// Continuation lines follow after "\n".
	Text string `json:"text"`
}

// Time returns the record's time.
func (r LogRecord) Time() time.Time { return time.Unix(0, r.Nanos) }

// Source returns the log source of that ID, path or title, or nil.
func (l Logs) Source(target string) *LogSource {
	if target == "" { // a container's path is empty
		return nil
	}
	for i := range l.Sources {
		if s := &l.Sources[i]; s.ID == target || s.Path == target || s.Title == target {
			return s
		}
	}
	return nil
}
