package pane

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func darkEnv() *Env {
	return &Env{Theme: theme.New(theme.Options{Name: "dark"}), Local: time.UTC, Now: func() time.Time { return noon }}
}

// inkOf names an ink of a theme.
func inkOf(t *theme.Theme, ink theme.Ink) string {
	for name, x := range map[string]theme.Ink{"bad": t.Bad, "warn": t.Warn, "good": t.Good, "dim": t.Dim} {
		if x.Open(false) == ink.Open(false) {
			return name
		}
	}
	return "?"
}

func TestHealthIsAWordWithItsShape(t *testing.T) {
	e := darkEnv()
	for _, tt := range []struct {
		h         state.Health
		text, ink string
	}{
		{state.Health{Status: state.OK}, "", "dim"},
		{state.Health{Status: state.Stale, LastOK: noon.Add(-40 * time.Second)}, "▲ stale 40s", "warn"},
		{state.Health{Status: state.Down}, "✗ down", "bad"},
		{state.Health{Status: state.Absent}, "○ not here", "dim"},
		{state.Health{Status: state.Connecting}, "◌ connecting", "dim"},
		{state.Health{}, "◌ connecting", "dim"},
	} {
		got := HealthWord(e, tt.h)
		if got.Text != tt.text || inkOf(e.Theme, got.Ink) != tt.ink {
			t.Errorf("%s: got %q in %s, want %q in %s", tt.h.Status, got.Text, inkOf(e.Theme, got.Ink), tt.text, tt.ink)
		}
	}
}

func TestANoticeStandsForRowsThatAreNotKnown(t *testing.T) {
	for _, tt := range []struct {
		what string
		h    state.Health
		want string
	}{
		{"ok", state.Health{Status: state.OK}, ""},
		{"stale", state.Health{Status: state.Stale, Err: "refused"}, ""},
		{"down, with a next try", state.Health{Status: state.Down, Err: "refused", Attempt: 2, NextTry: noon.Add(8 * time.Second)}, "✗ Queues: down|refused|tries again 12:00:08 (in 8s)"},
		{"down, in a try", state.Health{Status: state.Down, Err: "refused", Attempt: 1}, "✗ Queues: down|refused|trying again now"},
		{"down, not tried again", state.Health{Status: state.Down, Err: "refused"}, "✗ Queues: down|refused"},
		{"absent", state.Health{Status: state.Absent, Err: "no socket"}, "○ Queues: none here|no socket"},
		{"connecting", state.Health{Status: state.Connecting}, "◌ connecting…|"},
	} {
		got := strings.ReplaceAll(PlainText(Notice(darkEnv(), tt.h, "Queues", 60)), "\n", "|")
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestStaleRowsSayWhyWhereThereIsRoom(t *testing.T) {
	h := state.Health{Status: state.Stale, LastOK: noon.Add(-time.Minute), Err: "docker: connection\nrefused"}
	for _, tt := range []struct {
		what      string
		h         state.Health
		w, height int
		want      string
	}{
		{"current", state.Health{Status: state.OK}, 80, 20, ""},
		{"beside it", h, 80, 20, "▲ stale: last answer 11:59:00 (1m ago)  docker: connection refused"},
		{"under it", h, 45, 12, "▲ stale: last answer 11:59:00 (1m ago)|  docker: connection refused"},
		{"a low pane", h, 45, 11, "▲ stale: last answer 11:59:00 (1m ago)  dock…"},
	} {
		got := strings.ReplaceAll(PlainText(StaleNotice(darkEnv(), tt.h, tt.w, tt.height)), "\n", "|")
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}

func TestAnExplanationStandsBesideWhereItFitsExactly(t *testing.T) {
	e := darkEnv()
	for _, tt := range []struct {
		w    int
		want string
	}{
		{9, "down  why"},
		{8, "down|  why"},
		{7, "down  …"}, // too narrow for two lines
	} {
		got := strings.ReplaceAll(PlainText(Explain(e, Span{e.Theme.Bad, "down"}, "why", tt.w, true)), "\n", "|")
		if got != tt.want {
			t.Errorf("in %d cells: got %q, want %q", tt.w, got, tt.want)
		}
	}
}

func TestStatusWordsHaveTheirShapeAndInk(t *testing.T) {
	th := darkEnv().Theme
	for want, words := range map[string]string{
		"● good": "healthy running enabled ok done present better",
		"▲ warn": "degraded starting restarting validating pending warning backoff queued paused open half-open",
		"✗ bad":  "unhealthy failed down dead error firing critical missing locked worse refused interrupted",
		"◌ dim":  "unknown",
		"○ dim":  "exited created anything",
	} {
		for word := range strings.FieldsSeq(words) {
			shape, ink := StatusInk(th, word)
			if got := shape + " " + inkOf(th, ink); got != want {
				t.Errorf("%s: got %s, want %s", word, got, want)
			}
			if got, _ := StatusWord(th, word); got != shape+" "+word {
				t.Errorf("%s: got %q, want its shape before it", word, got)
			}
		}
	}
	if got, ink := StatusWord(th, ""); got != "–" || inkOf(th, ink) != "dim" {
		t.Errorf("no word: got %q in %s, want a dash", got, inkOf(th, ink))
	}
}
