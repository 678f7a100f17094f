package scan

import (
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// json reads level and time from the top-level members of a JSON object, and
// stops as soon as it has both. Values are skipped, not decoded. good is false
// for what is not an object.
func (p *Parser) json(s string) (ns int64, ok bool, level state.Level, good bool) {
	i := skipSpace(s, 1)
	for i < len(s) {
		if s[i] == '}' {
			return ns, ok, level, true
		}
		if s[i] != '"' {
			return ns, ok, level, false
		}
		key, next := record.JSONString(s, i)
		if next < 0 {
			return ns, ok, level, ok || level != 0
		}
		i = skipSpace(s, next)
		if i >= len(s) || s[i] != ':' {
			return ns, ok, level, ok || level != 0
		}
		i = skipSpace(s, i+1)
		start := i
		i = record.JSONSkip(s, i)
		if i < 0 {
			return ns, ok, level, ok || level != 0
		}
		value := s[start:i]
		switch key {
		case "level", "severity", "lvl", "levelname", "log.level", "level_name", "@level", "loglevel":
			if level == 0 {
				level = jsonLevel(value)
			}
		case "time", "timestamp", "ts", "@timestamp", "t", "asctime", "datetime", "date":
			if !ok {
				ns, ok = p.jsonTime(value)
			}
		}
		if ok && level != 0 {
			return ns, ok, level, true
		}
		i = skipSpace(s, i)
		if i < len(s) && s[i] == ',' {
			i = skipSpace(s, i+1)
		}
	}
	return ns, ok, level, ok || level != 0
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

// jsonLevel reads a word, slog's "ERROR+2", or pino's and bunyan's number.
func jsonLevel(v string) state.Level {
	if len(v) > 1 && v[0] == '"' {
		w := v[1 : len(v)-1]
		if i := strings.IndexAny(w, "+-"); i > 0 {
			w = w[:i]
		}
		if strings.HasPrefix(w, `\u001b[`) { // winston's colours
			if i := strings.IndexByte(w, 'm'); i >= 0 {
				w, _, _ = strings.Cut(w[i+1:], `\`)
			}
		}
		return state.ParseLevel(w)
	}
	n, err := strconv.Atoi(v)
	switch {
	case err != nil || n < 10:
		return 0
	case n < 20:
		return state.LevelTrace
	case n < 30:
		return state.LevelDebug
	case n < 40:
		return state.LevelInfo
	case n < 50:
		return state.LevelWarn
	case n < 60:
		return state.LevelError
	}
	return state.LevelFatal
}

// jsonTime reads an ISO time, or an epoch in seconds, milli-, micro- or nanoseconds.
func (p *Parser) jsonTime(v string) (int64, bool) {
	if len(v) > 2 && v[0] == '"' {
		v = v[1 : len(v)-1]
		if ns, _, ok := p.iso(v); ok {
			return ns, true
		}
	}
	return epoch(v)
}

// epoch reads a number of seconds or finer units since 1970, for times since 2001.
func epoch(v string) (int64, bool) {
	whole, frac, _ := strings.Cut(v, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 1e9 {
		return 0, false
	}
	unit := int64(1)
	switch {
	case n < 1e11:
		unit = 1e9
	case n < 1e14:
		unit = 1e6
	case n < 1e17:
		unit = 1e3
	}
	ns := n * unit
	for _, c := range []byte(frac) {
		if unit /= 10; unit == 0 || !digit(c) {
			break
		}
		ns += int64(c-'0') * unit
	}
	return ns, true
}

// logfmt reads level= and time= members, whose values may be quoted.
func (p *Parser) logfmt(s string) (ns int64, ok bool, level state.Level, good bool) {
	for i := 0; i < len(s); {
		for i < len(s) && s[i] == ' ' {
			i++
		}
		start := i
		for i < len(s) && s[i] != '=' && s[i] != ' ' {
			i++
		}
		if i >= len(s) || s[i] == ' ' {
			continue
		}
		key := s[start:i]
		i++
		value := ""
		if i < len(s) && s[i] == '"' {
			v, next := record.JSONString(s, i)
			if next < 0 {
				break
			}
			value, i = v, next
		} else {
			start = i
			for i < len(s) && s[i] != ' ' {
				i++
			}
			value = s[start:i]
		}
		switch key {
		case "level", "lvl", "severity":
			if level == 0 {
				level = state.ParseLevel(value)
			}
		case "time", "ts", "t", "timestamp":
			if !ok {
				if ns, _, ok = p.iso(value); !ok {
					ns, ok = epoch(value)
				}
			}
		}
		if ok && level != 0 {
			break
		}
	}
	if level != 0 && !ok {
		// "2026-11-22T05:22:04Z level=info ...": the time may stand before.
		ns, _, ok = p.iso(s)
	}
	return ns, ok, level, level != 0
}
