package logs

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// skipped are the members of a JSON record that the row shows already, as its
// time and level.
var skipped = map[string]bool{
	"timestamp": true, "time": true, "ts": true, "@timestamp": true, "level": true, "severity": true, "lvl": true, "loglevel": true,
}

// spoken are the members that hold a record's message, in the order in which
// loggers are asked.
var spoken = []string{"message", "msg", "event"}

// Readable returns a record that is a JSON object as people read it: its message
// first, then the other members as name=value, in their order. ok is false for
// text of any other kind, which is left as it is. Lines that continue the record
// stay behind it.
func Readable(text string) (s string, ok bool) {
	line, rest, more := strings.Cut(text, "\n")
	if len(line) < 2 || line[0] != '{' || len(line) > 16<<10 {
		return text, false
	}
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return text, false
	}
	var names []string
	values := map[string]json.RawMessage{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return text, false
		}
		name, _ := t.(string)
		var v json.RawMessage
		if dec.Decode(&v) != nil {
			return text, false
		}
		if _, twice := values[name]; !twice {
			names = append(names, name)
		}
		values[name] = v
	}
	if _, err := dec.Token(); err != nil || dec.More() {
		return text, false
	}
	var b strings.Builder
	b.Grow(len(line))
	said := ""
	for _, name := range spoken {
		if v, has := values[name]; has {
			said = name
			b.WriteString(bare(v))
			break
		}
	}
	for _, name := range names {
		if name == said || skipped[strings.ToLower(name)] {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ReplaceAll(state.Clean(name), "\n", "⏎"))
		b.WriteByte('=')
		v := bare(values[name])
		if strings.ContainsAny(v, " =") && values[name][0] == '"' {
			v = strconv.Quote(v)
		}
		b.WriteString(v)
	}
	if b.Len() == 0 {
		return text, false
	}
	if more {
		b.WriteByte('\n')
		b.WriteString(rest)
	}
	return b.String(), true
}

// unstamped returns a line without the ISO time that it begins with, which the row
// shows already: "2026-11-22 05:22:04,201 - ", "[2026-11-22T05:22:04Z] ". ok is
// false where it does not begin with one.
func unstamped(s string) (rest string, ok bool) {
	const date, clock = "0000-00-00", "00:00:00"
	at := strings.TrimPrefix(s, "[")
	if len(at) < len(date)+1+len(clock) || !shaped(at, date) || at[len(date)] != ' ' && at[len(date)] != 'T' || !shaped(at[len(date)+1:], clock) {
		return s, false
	}
	at = at[len(date)+1+len(clock):]
	if at != "" && (at[0] == '.' || at[0] == ',') {
		at = strings.TrimLeft(at[1:], "0123456789")
	}
	zone := strings.TrimPrefix(at, " ")
	switch {
	case strings.HasPrefix(at, "Z"):
		at = at[1:]
	case zone != "" && (zone[0] == '+' || zone[0] == '-') && (shaped(zone[1:], "00:00") || shaped(zone[1:], "0000")):
		at = strings.TrimLeft(zone[1:], "0123456789:")
	}
	at = strings.TrimPrefix(at, "]")
	at = strings.TrimLeft(at, " ")
	return strings.TrimPrefix(at, "- "), true
}

// shaped reports whether s begins with digits where form has zeros, and with its
// other characters where it has those.
func shaped(s, form string) bool {
	if len(s) < len(form) {
		return false
	}
	for i := range len(form) {
		if digit := s[i] >= '0' && s[i] <= '9'; form[i] == '0' && !digit || form[i] != '0' && s[i] != form[i] {
			return false
		}
	}
	return true
}

// bare returns a JSON value without its quotes; of an object, its members as
// name=value.
func bare(v json.RawMessage) string {
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case '"':
		var s string
		if json.Unmarshal(v, &s) == nil {
			// What was cleaned as JSON may hold control sequences behind its escapes.
			return strings.ReplaceAll(state.Clean(s), "\n", "⏎")
		}
	case '{':
		if s, ok := Readable(string(v)); ok {
			return s
		}
	}
	return string(v)
}
