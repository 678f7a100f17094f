package views

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// sift is one filter of a stream: a text in the language of package record.
type sift struct {
	text   string
	drop   bool // what matches is left out
	filter *record.Filter
}

// searches are the filters that everybody is asked for, by the name that stands for
// them behind an @: what the operations guides look for with grep.
var searches = []struct{ name, filter string }{
	{"errors", `level>=error`},
	{"warnings", `level>=warn`},
	{"failed-tasks", `/(?i)(task|job).{0,80}(fail|error|exception)|(fail|error).{0,40}(task|job)/`},
	{"unauthorized", `status=401 or status=403 or /(?i)unauthori[sz]ed|forbidden|invalid (token|api.?key|credential)|authentication failed/`},
	{"module-enabled", `/(?i)module.{0,80}enabled|enabled.{0,40}module/`},
	{"slow", `duration>1s or duration_ms>1000 or response_time>1s`},
	{"server-errors", `status>=500`},
	{"requests", `/"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) / or method!=""`},
}

// newSift reads a filter: a leading ! drops what matches, @name is one of searches.
func newSift(text string) (sift, error) {
	s := sift{text: strings.TrimSpace(text)}
	rest, drop := strings.CutPrefix(s.text, "!")
	if drop && (strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "~")) {
		rest, drop = s.text, false
	}
	s.drop = drop
	if name, ok := strings.CutPrefix(strings.TrimSpace(rest), "@"); ok {
		i := slices.IndexFunc(searches, func(x struct{ name, filter string }) bool { return x.name == name })
		if i < 0 {
			var names []string
			for _, x := range searches {
				names = append(names, "@"+x.name)
			}
			return s, fmt.Errorf("there is no saved filter @%s: %s", name, strings.Join(names, " "))
		}
		rest = searches[i].filter
	}
	f, err := record.Compile(rest)
	s.filter = f
	return s, err
}

// String is the filter as the summary names it.
func (s sift) String() string {
	if s.drop {
		return "drop " + strings.TrimPrefix(s.text, "!")
	}
	return "keep " + s.text
}

// sieve lets records through by level and by filters, all of them.
type sieve struct {
	min   state.Level
	sifts []sift
}

func (s sieve) open() bool { return s.min == 0 && len(s.sifts) == 0 }

func (s sieve) lets(r *state.LogRecord) bool {
	if r.Level < s.min {
		return false
	}
	for i := range s.sifts {
		if s.sifts[i].filter.Match(*r) == s.sifts[i].drop {
			return false
		}
	}
	return true
}

// keep adds a filter to those in force.
func (p *Logs) keep(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	s, err := newSift(text)
	if wrong := (*record.SyntaxError)(nil); errors.As(err, &wrong) { // the text stands beside it
		return fmt.Errorf("column %d: %s", utf8.RuneCountInString(wrong.Text[:wrong.At])+1, wrong.What)
	}
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.sieve.sifts, func(x sift) bool { return x.text == s.text }) {
		p.sieve.sifts = append(slices.Clip(p.sieve.sifts), s)
		p.resift()
	}
	return nil
}

// unkeep takes the newest filter away.
func (p *Logs) unkeep() {
	p.sieve.sifts = p.sieve.sifts[:len(p.sieve.sifts)-1]
	p.resift()
}

func (p *Logs) resift() {
	p.sifted, p.worsts = map[string]*sifted{}, map[string]*worst{}
	p.restream()
}
