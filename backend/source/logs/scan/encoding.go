package scan

import (
	"bytes"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

// Encoding is a file's, by its byte order mark.
type Encoding uint8

const (
	utf8Plain Encoding = iota
	utf8Marked
	utf16LE
	utf16BE
)

// DetectEncoding returns the encoding of the byte order mark.
func DetectEncoding(f *os.File) Encoding {
	var b [3]byte
	n, _ := f.ReadAt(b[:], 0)
	switch {
	case n == 3 && bytes.Equal(b[:], []byte{0xef, 0xbb, 0xbf}):
		return utf8Marked
	case n >= 2 && b[0] == 0xff && b[1] == 0xfe:
		return utf16LE
	case n >= 2 && b[0] == 0xfe && b[1] == 0xff:
		return utf16BE
	}
	return utf8Plain
}

// Bom returns the mark's length in bytes.
func (e Encoding) Bom() int { return [...]int{0, 3, 2, 2}[e] }

// Align moves a place in the file to the beginning of a character's unit.
func (e Encoding) Align(off int64) int64 {
	if e >= utf16LE {
		return off &^ 1
	}
	return off
}

// Decode returns the text as UTF-8, and how many bytes of b it used: half a unit or
// half a surrogate pair is left for the next time.
func (e Encoding) Decode(b []byte) ([]byte, int) {
	if e < utf16LE {
		return b, len(b)
	}
	n := len(b) &^ 1
	unit := func(i int) uint16 {
		if e == utf16LE {
			return uint16(b[i]) | uint16(b[i+1])<<8
		}
		return uint16(b[i])<<8 | uint16(b[i+1])
	}
	out := make([]byte, 0, n)
	i := 0
	for i < n {
		u := unit(i)
		if utf16.IsSurrogate(rune(u)) && u < 0xdc00 {
			if i+4 > n {
				break
			}
			if r := utf16.DecodeRune(rune(u), rune(unit(i+2))); r != utf8.RuneError {
				out = utf8.AppendRune(out, r)
				i += 4
				continue
			}
		}
		out = utf8.AppendRune(out, rune(u))
		i += 2
	}
	return out, i
}
