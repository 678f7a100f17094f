package logs

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// What the pane of logs asks for in a line of text.

// Question implements Asker.
func (p *Pane) Question(c pane.Command) (pane.Question, bool) {
	switch c {
	case pane.Search:
		return pane.Question{Label: "search", Hint: "a capital makes case count, /between slashes/ is a regular expression"}, true
	case pane.Keep:
		words := p.names().Sorted()
		for i := range words {
			words[i] = "@" + words[i]
		}
		return pane.Question{Label: "keep lines with (! drops)", Hint: "timeout status>=500 level>=warn duration>1s user=anna /re/ and or not; @ and tab: saved ones", Words: append(words, p.fieldNames()...)}, true
	case pane.GoTo:
		return pane.Question{Label: "go to", Hint: "14:03, 14:03:05, 2026-11-24 14:03, -10m"}, true
	case pane.Columns:
		return pane.Question{Label: "fields as columns", Hint: "status,path,duration; nothing: none", Text: strings.Join(p.columns, ","), Words: p.fieldNames()}, true
	case pane.CountBy:
		return pane.Question{Label: "count by field", Hint: "ip, status, path, module; nothing: by pattern", Words: p.fieldNames()}, true
	case pane.Save:
		return pane.Question{Label: "write what passes to", Hint: "a file; one that ends in .json gets JSON lines", Text: "opsdeck-logs-" + p.env.Now().In(p.env.Local).Format("20060102-150405") + ".log"}, true
	}
	return pane.Question{}, false
}

// Answer implements Asker.
func (p *Pane) Answer(c pane.Command, text string) (tea.Cmd, error) {
	p.dirty = true
	text = strings.TrimSpace(text)
	switch c {
	case pane.Search:
		return p.lookFor(text)
	case pane.Keep:
		return p.keep(text)
	case pane.GoTo:
		return p.goTo(text)
	case pane.Columns:
		p.columns = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		return nil, nil
	case pane.CountBy:
		return p.countBy(text), nil
	case pane.Save:
		return p.save(text)
	}
	return nil, nil
}

// fieldNames returns the fields of the record at the cursor.
func (p *Pane) fieldNames() []string {
	_, r := p.cur.cur()
	if r == nil {
		return nil
	}
	var names []string
	for name := range record.Fields(r.Text) {
		if names = append(names, name); len(names) == 64 {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// goTo moves the cursor to the first record at or after a time, the newest of that
// clock time that has passed.
func (p *Pane) goTo(text string) (tea.Cmd, error) {
	if text == "" {
		return nil, nil
	}
	at, err := moment(text, p.env.Now(), p.env.Local)
	if err != nil {
		return nil, err
	}
	p.pause()
	if from, _, ok := p.span(); ok && at.UnixNano() < from && p.theFile() != nil || p.beyond != nil {
		return p.goBack(at.UnixNano()), nil
	}
	p.cur, p.row = p.cur.atTime(at.UnixNano()), p.h/2
	switch from, to, ok := p.span(); {
	case !ok:
	case at.UnixNano() >= to:
		return pane.Send(pane.NoticeMsg{Text: "no line is as new as " + at.In(p.env.Local).Format(time.DateTime) + ": this is the newest"}), nil
	case at.UnixNano() < from:
		return pane.Send(pane.NoticeMsg{Text: "no line that is kept is as old as " + at.In(p.env.Local).Format(time.DateTime) + ": this is the oldest"}), nil
	}
	return nil, nil
}

// moment reads a time: a clock time, which is the last such, a date and time, or a
// span before now.
func moment(text string, now time.Time, zone *time.Location) (time.Time, error) {
	now = now.In(zone)
	if d, err := state.ParseDuration(strings.TrimPrefix(strings.TrimSuffix(text, " ago"), "-")); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"15:04", "15:04:05", "15:04:05.000"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	for _, layout := range []string{time.DateTime, "2006-01-02 15:04", time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: write 14:03, 14:03:05, 2026-11-24 14:03 or -10m", text)
}

// save has what passes the filters written to a file, oldest first, known secrets
// masked as on the screen.
func (p *Pane) save(name string) (tea.Cmd, error) {
	if name == "" {
		return nil, nil
	}
	m := merge{s: slices.Clone(p.cur.s), at: make([]int, len(p.cur.s))}
	n := 0
	for _, s := range m.s {
		n += len(s.recs)
	}
	if n == 0 {
		return nil, fmt.Errorf("no line passes: there is nothing to write")
	}
	asJSON := strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl")
	return pane.Send(pane.FileMsg{Name: name, What: state.Plural(n, "record"), Write: func(w io.Writer) error {
		out := bufio.NewWriterSize(w, 256<<10)
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		for {
			k, r := m.forward()
			if r == nil {
				return out.Flush()
			}
			var err error
			if asJSON {
				err = enc.Encode(struct {
					Time   string `json:"time"`
					Level  string `json:"level,omitempty"`
					Source string `json:"source"`
					Text   string `json:"text"`
				}{r.Time().UTC().Format(time.RFC3339Nano), r.Level.String(), m.s[k].title, r.Text})
			} else {
				_, err = out.WriteString(r.Text + "\n")
			}
			if err != nil {
				return err
			}
		}
	}}), nil
}
