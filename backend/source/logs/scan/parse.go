package scan

import (
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Parse reads one line of any of the formats that are known: JSON (winston, zap,
// logrus, slog, pino, bunyan), Python logging, logfmt, klog, nginx access and
// error logs, syslog, and plain text with a time or a level word. The text is
// cleaned, not masked. A line without a readable time has Nanos 0 and Guessed.
func Parse(line string) state.LogRecord {
	var p Parser
	line = strings.TrimRight(line, "\r\n")
	ns, ok, level := p.Line(line)
	return state.LogRecord{Nanos: ns, Guessed: !ok, Level: level, Text: state.Clean(line)}
}

// Parser reads lines of one source; it remembers the zone's offset of the hour
// that it saw last. The zero parser is ready.
type Parser struct {
	hour   string
	offset int64
	// now is the clock for formats without a year; nil is time.Now.
	now func() time.Time
}

// Line reads the time in Unix nanoseconds, whether there was one, and the level.
func (p *Parser) Line(s string) (ns int64, ok bool, level state.Level) {
	if len(s) == 0 {
		return 0, false, 0
	}
	switch c := s[0]; {
	case c == '{':
		if ns, ok, level, good := p.json(s); good {
			return ns, ok, level
		}
	case c == '<' && len(s) > 3:
		return p.syslog(s)
	case (c == 'I' || c == 'W' || c == 'E' || c == 'F') && len(s) > 21 && digit(s[1]):
		if ns, ok := p.klog(s); ok {
			return ns, true, state.ParseLevel(s[:1])
		}
	case c >= 'A' && c <= 'S' && len(s) > 15 && s[3] == ' ' && s[6] == ' ' && s[9] == ':':
		if ns, ok := p.bsdTime(s); ok {
			return ns, true, levelWord(s[15:])
		}
	}
	if i := strings.Index(s[:min(len(s), 400)], "level="); i >= 0 || strings.Contains(s[:min(len(s), 400)], "lvl=") {
		if ns, ok, level, good := p.logfmt(s); good {
			return ns, ok, level
		}
	}
	if i := strings.IndexByte(s[:min(len(s), 160)], '['); i >= 0 {
		if ns, level, good := p.access(s, i); good {
			return ns, true, level
		}
	}
	ns, n, ok := p.iso(s)
	if !ok && s[0] == '[' {
		ns, n, ok = p.iso(s[1:])
	}
	if !ok {
		// Behind a program's name or a level word: "INFO 2026-11-22 ...".
		for i, tries := strings.IndexByte(s[:min(len(s), 64)], ' '), 0; i >= 0 && i+1 < len(s) && tries < 3; tries++ {
			at := i + 1
			if s[at] == '[' && at+1 < len(s) {
				at++
			}
			if digit(s[at]) {
				if ns, _, ok = p.iso(s[at:]); ok {
					return ns, true, levelWord(s)
				}
			}
			next := strings.IndexByte(s[i+1:min(len(s), 64)], ' ')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	return ns, ok, levelWord(s[n:])
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// levelWord finds a level in the first part of a line: a word in capitals, or one
// in brackets or before a colon, as loggers write it.
func levelWord(s string) state.Level {
	s = s[:min(len(s), 120)]
	for i := 0; i < len(s); {
		c := s[i] | 0x20
		if c < 'a' || c > 'z' {
			i++
			continue
		}
		j := i
		upper, lower := false, false
		for j < len(s) {
			switch b := s[j]; {
			case b >= 'A' && b <= 'Z':
				upper = true
			case b >= 'a' && b <= 'z':
				lower = true
			default:
				goto end
			}
			j++
		}
	end:
		if n := j - i; n >= 3 && n <= 9 && (i == 0 || !wordByte(s[i-1])) && (j == len(s) || !wordByte(s[j])) {
			switch c {
			case 'i', 'w', 'e', 'd', 'f', 'c', 't', 'p', 'n', 's', 'a', 'v', 'l':
				word := s[i:j]
				marked := j < len(s) && (s[j] == ':' || i > 0 && (s[i-1] == '[' && s[j] == ']' || s[i-1] == '<' && s[j] == '>' || s[i-1] == '|' || s[i-1] == '(' && s[j] == ')'))
				if upper && !lower || marked || i == 0 && j < len(s) && s[j] == ' ' && !strings.EqualFold(word, "log") && !strings.EqualFold(word, "alert") {
					if l := state.ParseLevel(word); l != 0 && !strings.EqualFold(word, "http") && (marked || word != "LOG" && word != "FINE") {
						return l
					}
				}
			}
		}
		i = j
	}
	return 0
}

func wordByte(c byte) bool {
	return digit(c) || c == '_' || c == '-' || c == '/' || c == '.' || c == '=' || c >= 0x80
}

// Continues reports whether a line goes on with the record before it.
func Continues(s string) bool {
	if len(s) == 0 {
		return false
	}
	switch s[0] {
	case ' ', '\t':
		return true
	case 'T':
		return strings.HasPrefix(s, "Traceback (most recent call last)")
	case 'a':
		return strings.HasPrefix(s, "at ") && strings.ContainsAny(s, "(:")
	case 'C':
		return strings.HasPrefix(s, "Caused by:")
	case '.':
		return strings.HasPrefix(s, "... ") && strings.HasSuffix(s, "more")
	case 'D':
		return strings.HasPrefix(s, "During handling of the above exception")
	case '}', ']':
		return len(strings.TrimRight(s, " ,;")) == 1
	}
	return false
}
