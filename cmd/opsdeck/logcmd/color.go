package logcmd

import (
	"os"
	"strings"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Records in colour: by level, with what was looked for in reverse. Only a terminal gets
// it, since the level of every record that is printed has to be read for it.

// The attributes are the 16 colours' own, so that the terminal's palette holds.
const (
	attrOff    = "\x1b[m"
	attrMatch  = "\x1b[7m"
	attrAgain  = "\x1b[27m" // after a match
	attrSource = "\x1b[36m"
)

var levelAttr = [state.LevelFatal + 1]string{
	state.LevelTrace: "\x1b[2m",
	state.LevelDebug: "\x1b[2m",
	state.LevelWarn:  "\x1b[33m",
	state.LevelError: "\x1b[31m",
	state.LevelFatal: "\x1b[1;31m",
}

// wantsColor reports whether a terminal is to be written to in colour.
func wantsColor(off bool) bool {
	return !off && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// marks returns what is marked in records that a query finds, or nil.
func marks(q scan.Query) *record.Search {
	switch {
	case q.Text != nil && !q.Invert:
		return q.Text
	case q.Text == nil && q.Where != nil:
		return q.Where.Required()
	}
	return nil
}

// paint appends a record, which is clean, in colour. Every line has its own, so that a
// pager may show any of them.
func paint(to []byte, text string, h scan.Hit, find *record.Search) []byte {
	attr := levelAttr[h.Level]
	if h.Context {
		attr, find = "\x1b[2m", nil
	}
	for line := range strings.Lines(text) {
		line, end := strings.CutSuffix(line, "\n")
		to = append(to, attr...)
		at, marked := 0, false
		if find != nil {
			for _, m := range find.Places(line) {
				to = append(append(append(append(to, line[at:m[0]]...), attrMatch...), line[m[0]:m[1]]...), attrAgain...)
				at, marked = m[1], true
			}
		}
		to = append(to, line[at:]...)
		if attr != "" || marked {
			to = append(to, attrOff...)
		}
		if end {
			to = append(to, '\n')
		}
	}
	return to
}
