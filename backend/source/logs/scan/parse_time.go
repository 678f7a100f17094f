package scan

import (
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// iso reads "2026-11-22T05:22:04.201Z", "2026-11-22 05:22:04,201",
// "2026/11/22 05:22:04", with or without a fraction and a zone, at the beginning
// of s, and how many bytes it took. Without a zone it is this host's.
func (p *Parser) iso(s string) (ns int64, n int, ok bool) {
	if len(s) < 19 || !digit(s[0]) || !(s[4] == '-' || s[4] == '/') || s[7] != s[4] || s[13] != ':' || s[16] != ':' ||
		s[10] != 'T' && s[10] != ' ' && s[10] != 't' {
		return 0, 0, false
	}
	y, ok1 := num(s[0:4])
	mo, ok2 := num(s[5:7])
	d, ok3 := num(s[8:10])
	h, ok4 := num(s[11:13])
	mi, ok5 := num(s[14:16])
	sec, ok6 := num(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60 || y < 1970 || y > 2200 {
		return 0, 0, false
	}
	n = 19
	frac := int64(0)
	if n+1 < len(s) && (s[n] == '.' || s[n] == ',') && digit(s[n+1]) {
		n++
		for unit := int64(1e8); n < len(s) && digit(s[n]); n++ {
			frac += int64(s[n]-'0') * unit
			unit /= 10
		}
	}
	unix := days(y, mo, d)*86400 + h*3600 + mi*60 + sec
	rest := s[n:]
	switch {
	case strings.HasPrefix(rest, "Z"):
		n++
	case strings.HasPrefix(rest, " UTC"), strings.HasPrefix(rest, " GMT"):
		n += 4
	default:
		at := 0
		if at < len(rest) && rest[at] == ' ' {
			at++
		}
		if off, used, ok := zone(rest[at:]); ok {
			n += at + used
			unix -= off
		} else {
			if p.hour != s[:13] {
				_, off := time.Date(int(y), time.Month(mo), int(d), int(h), int(mi), int(sec), 0, time.Local).Zone()
				p.hour, p.offset = strings.Clone(s[:13]), int64(off)
			}
			unix -= p.offset
		}
	}
	return unix*1e9 + frac, n, true
}

// zone reads "+01:00", "+0100" or "-08" in seconds east.
func zone(s string) (off int64, n int, ok bool) {
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, 0, false
	}
	h, ok := num(s[1:3])
	if !ok || h > 14 {
		return 0, 0, false
	}
	n = 3
	m := int64(0)
	if len(s) >= 6 && s[3] == ':' {
		if v, ok := num(s[4:6]); ok {
			m, n = v, 6
		}
	} else if len(s) >= 5 {
		if v, ok := num(s[3:5]); ok {
			m, n = v, 5
		}
	}
	if n == 3 && len(s) > 3 && s[3] != ' ' && s[3] != ']' {
		return 0, 0, false
	}
	off = h*3600 + m*60
	if s[0] == '-' {
		off = -off
	}
	return off, n, true
}

// num reads decimal digits; a leading space counts as a zero.
func num(s string) (int64, bool) {
	v := int64(0)
	for i := range len(s) {
		c := s[i]
		if c == ' ' && i == 0 {
			c = '0'
		}
		if !digit(c) {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, len(s) > 0
}

// days returns the number of days from 1970-01-01 to a date of the Gregorian calendar
// (Howard Hinnant's days_from_civil).
func days(y, m, d int64) int64 {
	if m <= 2 {
		y--
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*((m+9)%12)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

var months = [...]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

func month(s string) int64 {
	for i, m := range months {
		if s == m {
			return int64(i + 1)
		}
	}
	return 0
}

// yearless returns a time of this host's zone without its year, which is this one
// unless that were in the future.
func (p *Parser) yearless(mo, d, h, mi, sec, frac int64) int64 {
	now := time.Now()
	if p.now != nil {
		now = p.now()
	}
	at := time.Date(now.Year(), time.Month(mo), int(d), int(h), int(mi), int(sec), int(frac), time.Local)
	if at.After(now.Add(24 * time.Hour)) {
		at = at.AddDate(-1, 0, 0)
	}
	return at.UnixNano()
}

// klog reads "I1122 05:22:04.123456".
func (p *Parser) klog(s string) (int64, bool) {
	if s[5] != ' ' || s[8] != ':' || s[11] != ':' || s[14] != '.' {
		return 0, false
	}
	mo, ok1 := num(s[1:3])
	d, ok2 := num(s[3:5])
	h, ok3 := num(s[6:8])
	mi, ok4 := num(s[9:11])
	sec, ok5 := num(s[12:14])
	us, ok6 := num(s[15:21])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || mo < 1 || mo > 12 {
		return 0, false
	}
	return p.yearless(mo, d, h, mi, sec, us*1000), true
}

// bsdTime reads "Nov 22 05:22:04".
func (p *Parser) bsdTime(s string) (int64, bool) {
	if len(s) < 15 {
		return 0, false
	}
	mo := month(s[:3])
	d, ok1 := num(s[4:6])
	h, ok2 := num(s[7:9])
	mi, ok3 := num(s[10:12])
	sec, ok4 := num(s[13:15])
	if mo == 0 || !(ok1 && ok2 && ok3 && ok4) {
		return 0, false
	}
	return p.yearless(mo, d, h, mi, sec, 0), true
}

// syslog reads "<34>1 2026-11-22T..." (RFC 5424) and "<34>Nov 22 ..." (RFC 3164).
func (p *Parser) syslog(s string) (ns int64, ok bool, level state.Level) {
	end := strings.IndexByte(s[:min(len(s), 6)], '>')
	if end < 2 {
		return 0, false, levelWord(s)
	}
	pri, good := num(s[1:end])
	if !good || pri > 191 {
		return 0, false, levelWord(s)
	}
	level = [...]state.Level{state.LevelFatal, state.LevelFatal, state.LevelFatal, state.LevelError,
		state.LevelWarn, state.LevelInfo, state.LevelInfo, state.LevelDebug}[pri&7]
	rest := s[end+1:]
	if len(rest) > 2 && rest[1] == ' ' {
		ns, _, ok = p.iso(rest[2:])
	} else if ns, ok = p.bsdTime(rest); !ok {
		ns, _, ok = p.iso(rest)
	}
	return ns, ok, level
}

// access reads an access log's line: the time in brackets at i, and a level by
// the status behind the quoted request.
func (p *Parser) access(s string, i int) (ns int64, level state.Level, good bool) {
	// [22/Nov/2026:05:22:04 +0000] "GET / HTTP/1.1" 200 ...
	if len(s) < i+30 || s[i+3] != '/' || s[i+7] != '/' || s[i+12] != ':' || s[i+27] != ']' {
		return 0, 0, false
	}
	t := s[i+1 : i+27]
	d, ok1 := num(t[0:2])
	mo := month(t[3:6])
	y, ok2 := num(t[7:11])
	h, ok3 := num(t[12:14])
	mi, ok4 := num(t[15:17])
	sec, ok5 := num(t[18:20])
	off, _, ok6 := zone(t[21:])
	if mo == 0 || !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) {
		return 0, 0, false
	}
	ns = (days(y, mo, d)*86400 + h*3600 + mi*60 + sec - off) * 1e9
	level = state.LevelInfo
	if q := strings.IndexByte(s[i+28:], '"'); q >= 0 {
		if _, next := record.JSONString(s, i+28+q); next > 0 {
			if f := strings.TrimLeft(s[next:], " "); len(f) >= 3 {
				switch {
				case f[0] == '5' && digit(f[1]) && digit(f[2]):
					level = state.LevelError
				case f[0] == '4' && digit(f[1]) && digit(f[2]):
					level = state.LevelWarn
				}
			}
		}
	}
	return ns, level, true
}
