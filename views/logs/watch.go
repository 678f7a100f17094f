package logs

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Propose implements Proposer: what is to be watched, or to get a name, is what passes
// the filters and the search, in what is shown.
func (p *Pane) Propose(k state.Kind) map[string]string {
	if p.snap == nil {
		return nil
	}
	switch k {
	case state.LogWatchAdd:
		where := p.where()
		if where == "" {
			where = "level>=error"
		}
		return map[string]string{"name": p.freeName(where), "source": p.what(), "where": where}
	case state.LogFilterSave:
		name := p.where()
		if strings.HasPrefix(name, "@") {
			name = "my-" + name
		}
		return map[string]string{"name": slug(name), "where": p.where()}
	}
	return nil
}

// where returns the level, the filters and the search in force as one filter; "" for none.
func (p *Pane) where() string {
	var parts []string
	if p.filters.min > 0 {
		parts = append(parts, "level>="+p.filters.min.String())
	}
	for _, s := range p.filters.terms {
		text := s.text
		if s.drop {
			text = strings.TrimSpace(strings.TrimPrefix(text, "!"))
		}
		if strings.ContainsAny(text, " \t") && (s.drop || len(p.filters.terms) > 1 || len(parts) > 0 || p.search.text != "") {
			text = "(" + text + ")"
		}
		if s.drop {
			text = "not " + text
		}
		parts = append(parts, text)
	}
	if text := p.search.text; text != "" {
		if p.search.re == nil {
			text = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

// what returns the log that is shown, or a glob where several of one kind are; "" where
// there is none.
func (p *Pane) what() string {
	var files, boxes []string
	ids := p.Target().IDs
	for _, s := range p.snap.Logs.Sources {
		name := s.Path
		if name == "" {
			name = s.Title
		}
		switch {
		case len(ids) > 0 && !slices.Contains(ids, name) || !p.chosen(s.ID):
		case s.Kind == "container" && (len(ids) > 0 || p.solo != "" || len(p.marks) > 0): // else it is not in the stream
			boxes = append(boxes, s.Title)
		case s.Kind == "file", s.Kind == "remote":
			files = append(files, s.Title)
		}
	}
	switch {
	case len(files) == 1 && len(boxes) == 0:
		return files[0]
	case len(boxes) == 1 && len(files) == 0:
		return "container:" + boxes[0]
	case len(files) == 0 && len(boxes) > 1:
		return "container:*"
	case len(files) > 1 && len(boxes) == 0:
		glob := path.Dir(files[0]) + "/*" + path.Ext(files[0])
		if path.Dir(files[0]) == "." {
			glob = strings.TrimPrefix(glob, "./")
		}
		if !slices.ContainsFunc(files, func(f string) bool { ok, _ := path.Match(glob, f); return !ok }) {
			return glob
		}
	}
	return ""
}

// freeName returns a name that no watch has, from its filter.
func (p *Pane) freeName(where string) string {
	name := slug(where)
	for i := 2; p.snap.Logs.Watch(name) != nil; i++ {
		name = fmt.Sprintf("%s-%d", slug(where), i)
	}
	return name
}

// slug returns a short name made of the words of a filter.
func slug(where string) string {
	words := strings.FieldsFunc(strings.ToLower(where), func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	name := ""
	for _, w := range words {
		if name != "" && len(name)+len(w) > 30 {
			break
		}
		name = strings.TrimPrefix(name+"-"+w, "-")
	}
	if name = name[:min(len(name), 40)]; !record.ValidName(name) {
		return ""
	}
	return name
}
