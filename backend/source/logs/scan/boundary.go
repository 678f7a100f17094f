package scan

import (
	"bytes"
	"strings"
	"unsafe"
)

// The lines of one record lie side by side. These find where records begin and end
// in a block of raw lines by looking at the lines around a place, so that a block
// can be searched first and only what was found be taken apart. A block begins with
// a record's beginning. Lines without text belong to the record before them.

// Text returns the bytes as a string, which is valid for as long as they are not written.
func Text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// LineEnd returns the place after the line's end, for a line that holds or begins at i.
func LineEnd(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(b)
}

// LineStart returns the beginning of the line that holds i.
func LineStart(b []byte, i int) int { return bytes.LastIndexByte(b[:i], '\n') + 1 }

// trimmed returns a line or record without its end and the lines without text behind it.
func trimmed(b []byte) []byte {
	n := len(b)
	for n > 0 && (b[n-1] == '\n' || b[n-1] == '\r') {
		n--
	}
	return b[:n]
}

// BeginsRecord reports whether the line [start, end) begins a record.
func BeginsRecord(b []byte, start, end int) bool {
	line := trimmed(b[start:end])
	if len(line) == 0 {
		return start == 0
	}
	if Continues(Text(line)) {
		return start == 0
	}
	if start == 0 || line[0] == '{' {
		return true
	}
	// The line that names the exception ends a traceback, unless it has a time.
	for start > 0 {
		prev := LineStart(b, start-1)
		p := trimmed(b[prev:start])
		switch {
		case len(p) == 0:
		case bytes.HasPrefix(p, traceback):
			var parse Parser
			_, timed, _ := parse.Line(Text(line))
			return timed
		case !Continues(Text(p)):
			return true
		}
		start = prev
	}
	return true
}

var traceback = []byte("Traceback (most")

// RecordStart returns the beginning of the record that the line at start belongs to.
func RecordStart(b []byte, start int) int {
	for start > 0 && !BeginsRecord(b, start, LineEnd(b, start)) {
		start = LineStart(b, start-1)
	}
	return start
}

// recordEnd returns the place after the record that the line [start, end) belongs to.
func recordEnd(b []byte, start, end int) int {
	for end < len(b) {
		// Most lines begin with a digit or a brace and are records of their own.
		if plainHead(b[end]) && plainHead(b[start]) {
			return end
		}
		next := LineEnd(b, end)
		if BeginsRecord(b, end, next) {
			return end
		}
		start, end = end, next
	}
	return end
}

// plainHead reports whether a line that begins with c continues nothing.
func plainHead(c byte) bool { return c == '{' || c >= '0' && c <= '9' || c == '[' || c == '<' }

// LastHead returns the beginning of the last record of which a whole line is there, not
// counting the first; 0 for none.
func LastHead(b []byte) int {
	end := bytes.LastIndexByte(b, '\n') + 1
	for end > 0 {
		start := LineStart(b, end-1)
		if start > 0 && BeginsRecord(b, start, end) {
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
