package alerting

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Watch is a watch of logs that is an alert too: it fires while more than Above records
// passed its filter within its window, for longer than For.
type Watch struct {
	Name, Source string
	Window       time.Duration
	Above        int
	For          time.Duration
	// Severity is a label, by default "warning"; Runbook an annotation, "" for none.
	Severity, Runbook string
}

// SetWatches replaces the watches. Alerts of unchanged watches continue.
func (s *Source) SetWatches(ws []Watch) {
	s.setWatches(ws)
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *Source) setWatches(ws []Watch) {
	if len(ws) == 0 {
		s.watches.Store(nil)
		return
	}
	b := watchRules(ws)
	s.watches.Store(&b)
}

// watchRules returns the watches as a rule file: a group for each, so that a change of one
// does not restart the others.
func watchRules(ws []Watch) []byte {
	type rule struct {
		Alert       string            `yaml:"alert"`
		Expr        string            `yaml:"expr"`
		For         string            `yaml:"for,omitempty"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	}
	type group struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	}
	var groups []group
	for _, w := range ws {
		r := rule{Alert: w.Name, Expr: fmt.Sprintf("opsdeck_log_watch_matches{watch=%q} > %d", w.Name, w.Above),
			Labels:      map[string]string{"severity": cmp.Or(w.Severity, "warning"), "watch": w.Name, "log": plain(w.Source)},
			Annotations: map[string]string{"summary": fmt.Sprintf("{{ $value }} of %s passed the filter within %s, more than %d", plain(w.Source), state.ShortDuration(w.Window), w.Above)}}
		if w.For > 0 {
			r.For = fmt.Sprintf("%dms", w.For.Milliseconds())
		}
		if w.Runbook != "" {
			key := "runbook"
			if strings.Contains(w.Runbook, "://") {
				key = "runbook_url"
			}
			r.Annotations[key] = plain(w.Runbook)
		}
		groups = append(groups, group{Name: "watch " + w.Name, Rules: []rule{r}})
	}
	b, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil { // strings and numbers can always be written
		return []byte("# " + strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return b
}

// plain returns text escaped so that a template renders it literally.
func plain(s string) string { return strings.ReplaceAll(s, "{{", `{{"{{"}}`) }
