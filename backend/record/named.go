package record

import (
	"maps"
	"slices"
	"strings"
)

// Names are filters by the name that stands for them behind an @ in other filters.
type Names map[string]string

// BuiltinFilters returns the common filters: those for which the operations guides use
// grep.
func BuiltinFilters() Names {
	return Names{
		"errors":         `level>=error`,
		"warnings":       `level>=warn`,
		"failed-tasks":   `/(?i)(task|job).{0,80}(fail|error|exception)|(fail|error).{0,40}(task|job)/`,
		"unauthorized":   `status=401 or status=403 or /(?i)unauthori[sz]ed|forbidden|invalid (token|api.?key|credential)|authentication failed/`,
		"module-enabled": `/(?i)module.{0,80}enabled|enabled.{0,40}module/`,
		"slow":           `duration>1s or duration_ms>1000 or response_time>1s`,
		"server-errors":  `status>=500`,
		"requests":       `/"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) / or method!=""`,
	}
}

// With returns the names and those of own, which win.
func (n Names) With(own Names) Names {
	all := make(Names, len(n)+len(own))
	maps.Copy(all, n)
	maps.Copy(all, own)
	return all
}

// Sorted returns the names, without the @.
func (n Names) Sorted() []string { return slices.Sorted(maps.Keys(n)) }

// ValidName reports whether name may be that of a filter: letters, digits, "-", "_" and
// ".", at most 64.
func ValidName(name string) bool {
	return name != "" && len(name) <= 64 && nameEnd(name) == len(name)
}

func nameEnd(s string) int {
	i := 0
	for i < len(s) && keyByte(s[i]) && s[i] != '@' {
		i++
	}
	return i
}

// named reads @name; ok is false if there is none.
func (p *filterParser) named(depth int) (n *node, err error, ok bool) {
	at := p.at
	if p.text[at] != '@' || p.terms != nil {
		return nil, nil, false
	}
	end := at + 1 + nameEnd(p.text[at+1:])
	if end == at+1 || end < len(p.text) && strings.IndexByte(" \t\r\n()", p.text[end]) < 0 {
		return nil, nil, false
	}
	name := p.text[at+1 : end]
	filter, known := p.names[name]
	switch {
	case !known:
		return nil, p.fail(at, "there is no saved filter @%s: there are @%s; quote it to look for the text", name, strings.Join(p.names.Sorted(), ", @")), true
	case slices.Contains(p.within, name):
		return nil, p.fail(at, "the saved filter @%s stands for itself", name), true
	}
	p.at = end
	inner := &filterParser{text: filter, names: p.names, within: append(slices.Clip(p.within), name)}
	if inner.space(); inner.at == len(filter) {
		return nil, p.fail(at, "the saved filter @%s is empty", name), true
	}
	n, err = inner.or(depth + 1)
	if err == nil && inner.at < len(filter) {
		err = inner.fail(inner.at, "there is no ( for this )")
	}
	if err != nil {
		return nil, p.fail(at, "in @%s: %v", name, err), true
	}
	p.before += p.text[p.spelt:at] + "(" + inner.spelled() + ")"
	p.spelt = end
	return n, nil, true
}

// spelled returns what was read, with each name replaced by what it stands for.
func (p *filterParser) spelled() string { return p.before + p.text[p.spelt:] }
