package state

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside safe to put on a terminal: control characters
// (C0 but for tab and newline, DEL, C1) become visible escapes in caret or hex
// form, invalid UTF-8 becomes "\xNN", and the invisible format characters that
// reorder or hide text (bidirectional overrides and isolates, zero-width spaces,
// the byte order mark, line and paragraph separators) become "<U+202E>". Joiners
// and variation selectors, which scripts and emoji need, stay.
//
// It returns s itself, without allocating, where there is nothing to do.
func Clean(s string) string {
	i := 0
	for i < len(s) && (s[i] >= 0x20 && s[i] < 0x7f || s[i] == '\t' || s[i] == '\n') {
		i++
	}
	if i == len(s) {
		return s
	}
	dirty := -1
	for j := i; j < len(s); {
		r, n := utf8.DecodeRuneInString(s[j:])
		if r == utf8.RuneError && n == 1 || unsafeRune(r) {
			dirty = j
			break
		}
		j += n
	}
	if dirty < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:dirty])
	for j := dirty; j < len(s); {
		r, n := utf8.DecodeRuneInString(s[j:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[j]>>4])
			b.WriteByte(hexDigits[s[j]&15])
		case !unsafeRune(r):
			b.WriteString(s[j : j+n])
		case r < 0x20:
			b.WriteByte('^')
			b.WriteByte(byte(r) + 0x40)
		case r == 0x7f:
			b.WriteString("^?")
		default:
			b.WriteString("<U+")
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hexDigits[(r>>shift)&15])
			}
			b.WriteByte('>')
		}
		j += n
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

func unsafeRune(r rune) bool {
	switch {
	case r == '\t' || r == '\n':
		return false
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return true
	case r < 0x200b:
		return r == 0xad || r == 0x61c || r == 0x180e
	case r == 0x200b || r == 0x200e || r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffb:
		return true
	}
	return r <= 0xffff && unicode.Is(unicode.Noncharacter_Code_Point, r)
}
