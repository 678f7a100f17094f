package record

import (
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestNamedFiltersStandWhereConditionsDo(t *testing.T) {
	names := BuiltinFilters().With(Names{"noise": "healthz or metrics", "mine": "@server-errors not @noise", "a": "@b", "b": "x @a", "empty": " ", "bad": "(x"})
	for _, c := range []struct {
		filter, text string
		want         bool
	}{
		{"@mine", "path=/api status=503", true},
		{"@mine", "path=/healthz status=503", false},
		{"not @mine", "path=/healthz status=503", true},
		{"@server-errors (path=/api or @noise)", "path=/metrics status=500", true},
		{"@errors", "quiet", false},
		{`"@nobody"`, "mail to @nobody", true},
		{"@timestamp>2026", `{"@timestamp":"2027"}`, true}, // a field, not a name
		{"root@host", "mail from root@host", true},
	} {
		f, err := CompileWith(c.filter, names)
		if err != nil {
			t.Fatalf("%s: %v", c.filter, err)
		}
		if got := f.Match(state.LogRecord{Text: c.text}); got != c.want {
			t.Errorf("%s on %q: got %v, want %v", c.filter, c.text, got, c.want)
		}
		if f, err = CompileWith(f.Spelled(), nil); err != nil || f.Match(state.LogRecord{Text: c.text}) != c.want {
			t.Errorf("%s without its names: got %q, %v", c.filter, f, err)
		}
	}
	for filter, want := range map[string]string{
		"@nothing": "there is no saved filter @nothing: there are @a, @b,",
		"@a":       "stands for itself",
		"x @empty": "column 3: the saved filter @empty is empty",
		"@bad":     "in @bad: the filter \"(x\", at column 1: this ( is not closed",
	} {
		if _, err := CompileWith(filter, names); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", filter, err, want)
		}
	}
}

func TestBuiltinFiltersCompile(t *testing.T) {
	for _, name := range BuiltinFilters().Sorted() {
		if _, err := Compile("@" + name); err != nil {
			t.Error(err)
		}
		if !ValidName(name) {
			t.Errorf("%q is no good name", name)
		}
	}
}
