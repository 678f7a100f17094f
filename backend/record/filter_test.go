package record

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestFilterMatches(t *testing.T) {
	for _, tc := range []struct {
		filter, text string
		level        state.Level
		want         bool
	}{
		{"", "anything", 0, true},
		{"  ", "anything", 0, true},
		{"level>=warn", "x", state.LevelError, true},
		{"level>=warn", "x", state.LevelInfo, false},
		{"level>=warn", "x", state.LevelUnknown, false},
		{"level<warn", "x", state.LevelUnknown, false},
		{"level=ERR", "x", state.LevelError, true},
		{"level!=info", "x", state.LevelError, true},
		{"status>=500", winston, 0, true},
		{"status >= 500", winston, 0, true},
		{"status>=501", winston, 0, false},
		{"status=500", `status=500.0`, 0, true},
		{"status<500", access, 0, true},
		{"status>500", "no status here", 0, false},
		{"duration>1s", logfmt, 0, true},
		{"duration>2s", logfmt, 0, false},
		{"duration>800ms", inside, 0, true},
		{"duration>900ms", inside, 0, false},
		{"duration>=1ms", winston, 0, true},
		{"duration>1ms", winston, 0, false},
		{"duration>1s", `{"duration":1.25}`, 0, true},
		{"duration_ms>=870", inside, 0, true},
		{"duration_ms>=0.8s", inside, 0, true},
		{"size>1kB", access, 0, true},
		{"size>2kB", access, 0, false},
		{"size>1KiB", `size="2 MiB"`, 0, true},
		{"size>1s", `size=2MB`, 0, false},
		{"user=anna", access, 0, true},
		{"user!=anna", access, 0, false},
		{"user!=anna", "no user", 0, true},
		{"user=bob", access, 0, false},
		{`msg="request \"done\""`, logfmt, 0, true},
		{"path~^/m", access, 0, true},
		{"path~^/(me|you)$", access, 0, true},
		{"(path~^/(me|you)$)", access, 0, true},
		{"path!~^/m", access, 0, false},
		{"path!~^/m", "no path", 0, true},
		{`path~/^\/m/`, access, 0, true},
		{"path~/me", access, 0, true},
		{"text~took.*ms", "took 12ms", 0, true},
		{"timeout", "Connection TIMEOUT", 0, true},
		{"Timeout", "Connection TIMEOUT", 0, false},
		{"grün", "GRÜN", 0, true},
		{`"timed out"`, "it timed out", 0, true},
		{`"timed out"`, "timed by an out", 0, false},
		{"/time(d )?out/", "it timed out", 0, true},
		{"GET /me", access, 0, true},
		{"GET /you", access, 0, false},
		{"GET and not curl", access, 0, false},
		{"GET !curl", access, 0, false},
		{"not (wget or curl)", access, 0, false},
		{"NOT wget", access, 0, true},
		{"wget or curl", access, 0, true},
		{"wget || status=404 && anna", access, 0, true},
		{"wget or status=404 bob", access, 0, false},
		{"order", "an order", 0, true},
		{"notable", "notable", 0, true},
		{"10.0.0.1", access, 0, true},
		{"a", "first\nsecond a", 0, true},
		{"version>1.2", "version=1.10", 0, false},
		{"zone>alpha", "zone=beta", 0, true},
	} {
		f, err := Compile(tc.filter)
		if err != nil {
			t.Errorf("%s: %v", tc.filter, err)
			continue
		}
		r := state.LogRecord{Text: tc.text, Level: tc.level}
		if got := f.Match(r); got != tc.want {
			t.Errorf("%s on %s %s: got %v", tc.filter, tc.level, tc.text, got)
		}
		if need := f.Required(); need != nil && tc.want && !need.Matcher().Match(tc.text) {
			t.Errorf("%s: what is required is not in %s", tc.filter, tc.text)
		}
	}
}

func TestFilterMistakesSayWhatAndWhere(t *testing.T) {
	for _, tc := range []struct{ filter, want string }{
		{"level>=loud", `the filter "level>=loud", at column 8: "loud" is no level: expected trace, debug, info, warn, error or fatal`},
		{"status>=", `the filter "status>=", at column 9: a value is missing behind status>=`},
		{"(a or b", `the filter "(a or b", at column 1: this ( is not closed`},
		{"a or b)", `the filter "a or b)", at column 7: there is no ( for this )`},
		{"a or", `the filter "a or", at column 5: a condition is missing here: a word, level>=warn, field=value, /regexp/ or (...)`},
		{"or a", `the filter "or a", at column 1: or stands between two conditions: quote it to look for the word`},
		{"not", `the filter "not", at column 4: a condition is missing here: a word, level>=warn, field=value, /regexp/ or (...)`},
		{`a "b`, `the filter "a \"b", at column 3: this " is not closed`},
		{"ä path~(", "the filter \"ä path~(\", at column 8: the regular expression \"(\": missing closing ): \"(\""},
		{"/a(/", "the filter \"/a(/\", at column 1: the regular expression \"a(\": missing closing ): \"a(\""},
		{">=5", `the filter ">=5", at column 1: > needs a field before it, as in status>500`},
		{"a ()", `the filter "a ()", at column 4: a condition is missing before this )`},
	} {
		_, err := Compile(tc.filter)
		var se *SyntaxError
		if !errors.As(err, &se) {
			t.Errorf("%s: got %v", tc.filter, err)
		} else if err.Error() != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.filter, err, tc.want)
		}
	}
}

func TestFilterKnowsTheLeastLevelThatPasses(t *testing.T) {
	for text, want := range map[string]state.Level{
		"":                                  state.LevelUnknown,
		"timeout":                           state.LevelUnknown,
		"level>=warn":                       state.LevelWarn,
		"level>warn":                        state.LevelError,
		"level>fatal":                       state.LevelFatal,
		"level=error":                       state.LevelError,
		"level<error":                       state.LevelUnknown,
		"level!=error":                      state.LevelUnknown,
		"not level>=error":                  state.LevelUnknown,
		"timeout (level>=warn status=500)":  state.LevelWarn,
		"level=error or level=fatal":        state.LevelError,
		"level=error or timeout":            state.LevelUnknown,
		"level>=info level>=error not fine": state.LevelError,
	} {
		f, err := Compile(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Least(); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		for l := range f.Least() {
			if f.Match(state.LogRecord{Level: l, Text: "timeout status=500"}) {
				t.Errorf("%q lets %v through", text, l)
			}
		}
	}
}

func TestFilterMatchesWithoutAllocating(t *testing.T) {
	f, err := Compile(`level>=warn (status>=500 or duration>1s or path~^/api or user=anna) not healthz`)
	if err != nil {
		t.Fatal(err)
	}
	r := state.LogRecord{Text: inside, Level: state.LevelError}
	if n := testing.AllocsPerRun(100, func() { f.Match(r) }); n > 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"level>=warn status>=500", "a or (b and not c)", `path~^/(a|b) "x\"y"`, "/a/ !b", "((((", "duration>1s or size>=10MB", "a=", `"`} {
		f.Add(s, winston)
		f.Add(s, access)
	}
	f.Fuzz(func(t *testing.T, filter, text string) {
		c, err := Compile(filter)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || se.At < 0 || se.At > len(filter) || utf8.ValidString(filter) && !utf8.ValidString(err.Error()) {
				t.Errorf("%q: %v", filter, err)
			}
			return
		}
		r := state.LogRecord{Text: text, Level: state.LevelInfo}
		ok := c.Match(r)
		if need := c.Required(); ok && need != nil && !need.Matcher().Match(text) {
			t.Errorf("%q passes %q without what it requires", filter, text)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	for _, filter := range []string{"level>=warn", "status>=500", "duration>1s", "path~^/api", "failed or timeout"} {
		b.Run(filter, func(b *testing.B) {
			f, err := Compile(filter)
			if err != nil {
				b.Fatal(err)
			}
			r := state.LogRecord{Text: inside, Level: state.LevelError}
			b.ReportAllocs()
			for b.Loop() {
				f.Match(r)
			}
		})
	}
}
