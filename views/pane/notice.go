package pane

import (
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// HealthWord says how far a section can be believed, with its shape.
func HealthWord(e *Env, h state.Health) Span {
	t, f := e.Theme, FiguresOf(e.Theme)
	switch h.Status {
	case state.OK:
		return Span{t.Dim, ""}
	case state.Stale:
		return Span{t.Warn, t.Caution + " stale " + f.Age(e.Now(), h.LastOK)}
	case state.Down:
		return Span{t.Bad, t.Wrong + " down"}
	case state.Absent:
		return Span{t.Dim, t.Off + " not here"}
	}
	return Span{t.Dim, t.Wait + " connecting"}
}

// Notice returns what a pane shows in place of rows when it has none to show, or nil
// when the section is known.
func Notice(e *Env, h state.Health, what string, w int) []string {
	t := e.Theme
	if h.Known() {
		return nil
	}
	d := NewDoc(e, w)
	switch h.Status {
	case state.Down:
		d.Text(t.Bad, t.Wrong+" "+what+": down")
		d.Text(t.Text, h.Err)
		if !h.NextTry.IsZero() {
			d.Text(t.Dim, "tries again "+e.When(h.NextTry))
		} else if h.Attempt > 0 {
			d.Text(t.Dim, "trying again now")
		}
	case state.Absent:
		d.Text(t.Dim, t.Off+" "+what+": none here")
		d.Text(t.Text, h.Err)
	default:
		d.Text(t.Dim, t.Wait+" connecting"+t.Ellipsis)
		d.Text(t.Dim, h.Err)
	}
	return d.Lines
}

// StaleNotice returns the warning over rows that are old, in a pane of some height; empty where they
// are not.
func StaleNotice(e *Env, h state.Health, w, height int) []string {
	if h.Status != state.Stale {
		return nil
	}
	return Explain(e, Span{e.Theme.Warn, e.Theme.Caution + " stale: last answer " + e.When(h.LastOK)}, h.Err, w, height >= 12)
}

// Explain returns what is wrong and why: beside it where it fits, else under it in at most two
// lines, where there is room for them.
func Explain(e *Env, what Span, why string, w int, room bool) []string {
	t := e.Theme
	why = strings.ReplaceAll(why, "\n", " ")
	l := NewLine(t, w, false).Put(what.Ink, what.Text)
	if Width(t, what.Text)+2+Width(t, why) <= w || w < 8 || !room {
		return []string{l.Put(t.Dim, "  "+why).String()}
	}
	out := []string{l.String()}
	for _, s := range WrapText(t, why, w-2, 2) {
		out = append(out, NewLine(t, w, false).Gap(2).Put(t.Dim, s).String())
	}
	return out
}

// StatusInk returns the shape and ink of a status word.
func StatusInk(t *theme.Theme, word string) (string, theme.Ink) {
	switch word {
	case "healthy", "running", "enabled", "ok", "done", "present", "better":
		return t.OK, t.Good
	case "degraded", "starting", "restarting", "validating", "pending", "warning", "backoff", "queued", "paused", "open", "half-open":
		return t.Caution, t.Warn
	case "unhealthy", "failed", "down", "dead", "error", "firing", "critical", "missing", "locked", "worse", "refused", "interrupted":
		return t.Wrong, t.Bad
	case "", "unknown":
		return t.Wait, t.Dim
	}
	return t.Off, t.Dim
}

// StatusWord returns a word with its shape.
func StatusWord(t *theme.Theme, word string) (string, theme.Ink) {
	g, ink := StatusInk(t, word)
	if word == "" {
		return t.Unknown, t.Dim
	}
	return g + " " + word, ink
}
