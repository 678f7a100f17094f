package logs

import (
	"bytes"
	"strings"
	"unsafe"
)

// The lines of one record lie side by side. These find where records begin and end
// in a block of raw lines by looking at the lines around a place, so that a block
// can be searched first and only what was found be taken apart. A block begins with
// a record's beginning. Lines without text belong to the record before them.

// text is the bytes as a string, which is valid for as long as they are not written.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// lineEnd is the place after the line's end, for a line that holds or begins at i.
func lineEnd(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(b)
}

// lineStart is the beginning of the line that holds i.
func lineStart(b []byte, i int) int { return bytes.LastIndexByte(b[:i], '\n') + 1 }

// trimmed is a line or record without its end and the lines without text behind it.
func trimmed(b []byte) []byte {
	n := len(b)
	for n > 0 && (b[n-1] == '\n' || b[n-1] == '\r') {
		n--
	}
	return b[:n]
}

// head reports whether the line [start, end) begins a record.
func head(b []byte, start, end int) bool {
	line := trimmed(b[start:end])
	if len(line) == 0 {
		return start == 0
	}
	if continues(text(line)) {
		return start == 0
	}
	if start == 0 || line[0] == '{' {
		return true
	}
	// The line that names the exception ends a traceback, unless it has a time.
	for start > 0 {
		prev := lineStart(b, start-1)
		p := trimmed(b[prev:start])
		switch {
		case len(p) == 0:
		case bytes.HasPrefix(p, traceback):
			var parse parser
			_, timed, _ := parse.line(text(line))
			return timed
		case !continues(text(p)):
			return true
		}
		start = prev
	}
	return true
}

var traceback = []byte("Traceback (most")

// recordStart is the beginning of the record that the line at start belongs to.
func recordStart(b []byte, start int) int {
	for start > 0 && !head(b, start, lineEnd(b, start)) {
		start = lineStart(b, start-1)
	}
	return start
}

// recordEnd is the place after the record that the line [start, end) belongs to.
func recordEnd(b []byte, start, end int) int {
	for end < len(b) {
		// Most lines begin with a digit or a brace and are records of their own.
		if plainHead(b[end]) && plainHead(b[start]) {
			return end
		}
		next := lineEnd(b, end)
		if head(b, end, next) {
			return end
		}
		start, end = end, next
	}
	return end
}

// plainHead reports whether a line that begins with c continues nothing.
func plainHead(c byte) bool { return c == '{' || c >= '0' && c <= '9' || c == '[' || c == '<' }

// lastHead is the beginning of the last record of which a whole line is there, not
// counting the first; 0 for none.
func lastHead(b []byte) int {
	end := bytes.LastIndexByte(b, '\n') + 1
	for end > 0 {
		start := lineStart(b, end-1)
		if start > 0 && head(b, start, end) {
			return start
		}
		end = start
	}
	return 0
}

// tracebackIn reports whether a record has a Python traceback in it, which makes
// it an error where it does not say otherwise.
func tracebackIn(rec string) bool {
	return strings.HasPrefix(rec, "Traceback (most") || strings.Contains(rec, "\nTraceback (most")
}
