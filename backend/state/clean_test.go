package state

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanShowsControlSequencesInsteadOfObeyingThem(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain\ttext\nhere", "plain\ttext\nhere"},
		{"\x1b[2Jgone", "^[[2Jgone"},
		{"a\rb", "a^Mb"},
		{"bell\a", "bell^G"},
		{"\x7f", "^?"},
		{"\u009b31m", "<U+009B>31m"},
		{"\xff\xfe", `\xFF\xFE`},
		{"rtl \u202etxt", "rtl <U+202E>txt"},
		{"日本 🧪 é", "日本 🧪 é"},
		{"👨‍👩‍👧", "👨‍👩‍👧"},
		{"\ufeffx", "<U+FEFF>x"},
	} {
		if got := Clean(tt.in); got != tt.want {
			t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b]0;x\a", "\xff", "\u202e", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !utf8.ValidString(got) {
			t.Errorf("Clean(%q) = %q: not UTF-8", s, got)
		}
		if i := strings.IndexFunc(got, unsafeRune); i >= 0 {
			t.Errorf("Clean(%q) = %q: unsafe at %d", s, got, i)
		}
		if again := Clean(got); again != got {
			t.Errorf("Clean is not idempotent: %q, then %q", got, again)
		}
	})
}

func BenchmarkCleanOfCleanLine(b *testing.B) {
	s := strings.Repeat("2026-11-22 05:22:04,201 - api - INFO - request completed ", 3)
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		Clean(s)
	}
}
