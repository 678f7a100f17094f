package list

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

func TestRowsAreFilteredInTheOneGrammar(t *testing.T) {
	type row struct {
		name, state string
		depth       float64
	}
	rows := []row{{"Mail/IMAP", "enabled", 12}, {"news feed", "failed", 0}, {"disabled/one", "disabled", -1}}
	env := &pane.Env{Theme: theme.New(theme.Options{Name: "none"}), Now: time.Now, Local: time.UTC}
	spec := Spec[row]{
		Cols: []Column[row]{
			{Title: "Name", Cell: func(_ *pane.Env, r *row) (string, theme.Ink) { return r.name, theme.Ink{} }},
			{Title: "State", Cell: func(_ *pane.Env, r *row) (string, theme.Ink) { return "x " + r.state, theme.Ink{} }},
			{Title: "Depth", Cell: func(*pane.Env, *row) (string, theme.Ink) { return "", theme.Ink{} }, Num: func(_ *pane.Env, r *row) float64 { return r.depth }},
			{Title: "!", Cell: func(*pane.Env, *row) (string, theme.Ink) { return "", theme.Ink{} }},
		},
		Text: func(r *row) string { return r.name + " " + r.state },
	}
	for _, tt := range []struct{ filter, want, wrong string }{
		{"", "Mail/IMAP news feed disabled/one", ""},
		{"  ", "Mail/IMAP news feed disabled/one", ""},
		{"!", "Mail/IMAP news feed disabled/one", ""},
		{"mail enab", "Mail/IMAP", ""},
		{"mail off", "", ""},
		{"!mail", "news feed disabled/one", ""},
		{"not mail", "news feed disabled/one", ""},
		{"!mail !news", "disabled/one", ""},
		{"mail or news", "Mail/IMAP news feed", ""},
		{"(mail or news) failed", "news feed", ""},
		{`"news feed"`, "news feed", ""},
		{"/^news|^mail/", "news feed", ""},
		{"/(?i)^news|^mail/", "Mail/IMAP news feed", ""},
		{"state:failed", "news feed", ""},
		{"state:abled", "", ""}, // the beginning of a word of the cell
		{"state!=failed", "Mail/IMAP disabled/one", ""},
		{"state~^x.f", "news feed", ""},
		{"state!~^x.f", "Mail/IMAP disabled/one", ""},
		{"depth>0", "Mail/IMAP", ""},
		{"depth!=12", "news feed", ""}, // what is not known is not compared
		{"state:failed or depth>=12", "Mail/IMAP news feed", ""},
		{"mail/imap:993", "", ""}, // no field: text
		{"depth>x mail", "Mail/IMAP", `at column 1, depth>x: "x" is no value of it`},
		{"mail (", "Mail/IMAP", `at column 6, (: this ( is not closed`},
		{"mail )", "Mail/IMAP", `at column 6, ): there is no ( for this )`},
		{"mail or", "Mail/IMAP", ""}, // it is being typed
		{`mail "open`, "Mail/IMAP", "the quote is not closed"},
		{"sate:failed", "Mail/IMAP news feed disabled/one", "state was meant?"},
		{"state:", "Mail/IMAP news feed disabled/one", "what shall it be?"},
		{"state~( mail", "Mail/IMAP", "at column 1, state~("},
	} {
		keep, err := Query(env, tt.filter, spec.fields(env), spec.Text)
		var got []string
		for i := range rows {
			if keep == nil || keep(&rows[i]) {
				got = append(got, rows[i].name)
			}
		}
		if g := strings.Join(got, " "); g != tt.want {
			t.Errorf("%q keeps %q, want %q", tt.filter, g, tt.want)
		}
		if said := ""; err != nil || tt.wrong != "" {
			if err != nil {
				said = err.Error()
			}
			if tt.wrong == "" || !strings.Contains(said, tt.wrong) {
				t.Errorf("%q: %q, want %q", tt.filter, said, tt.wrong)
			}
		}
	}
}
