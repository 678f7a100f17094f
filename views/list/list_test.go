package list

import "testing"

func TestPlainWordsFilter(t *testing.T) {
	for _, c := range []struct {
		filter, text string
		want         bool
	}{
		{"mail", "Mail/IMAP enabled", true}, {"mail enab", "mail/imap enabled", true}, {"mail off", "mail/imap enabled", false},
		{"!mail", "mail/imap", false}, {"!mail", "news", true}, {"imap !news", "mail/imap", true}, {"!mail !news", "news", false},
	} {
		if got := matcher(c.filter)(c.text); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.filter, c.text, got, c.want)
		}
	}
	if matcher("  ") != nil || matcher("!") != nil {
		t.Error("an empty filter keeps all")
	}
}
