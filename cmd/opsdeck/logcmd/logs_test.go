package logcmd

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestTimesAsPeopleTypeThem(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 30, 0, 0, time.UTC)
	for _, tc := range []struct{ text, want string }{
		{"10m", "2026-11-22T03:20:00Z"},
		{"-2h", "2026-11-22T01:30:00Z"},
		{"1d", "2026-11-21T03:30:00Z"},
		{"now", "2026-11-22T03:30:00Z"},
		{"today", "2026-11-22T00:00:00Z"},
		{"yesterday", "2026-11-21T00:00:00Z"},
		{"03:10", "2026-11-22T03:10:00Z"},
		{"23:50", "2026-11-21T23:50:00Z"},
		{"03:10:05", "2026-11-22T03:10:05Z"},
		{"2026-11-20", "2026-11-20T00:00:00Z"},
		{"2026-11-20 05:22", "2026-11-20T05:22:00Z"},
		{"2026-11-20 05:22:04,201", "2026-11-20T05:22:04.201Z"},
		{"2026-11-20T05:22:04.201Z", "2026-11-20T05:22:04.201Z"},
		{"2026-11-20T05:22:04+01:00", "2026-11-20T04:22:04Z"},
		{"soon", ""}, {"", ""}, {"25:00", ""},
	} {
		at, err := parseTime(tc.text, now)
		if got := at.UTC().Format(time.RFC3339Nano); (err == nil) != (tc.want != "") || err == nil && got != tc.want {
			t.Errorf("%q: got %s, %v, want %s", tc.text, got, err, tc.want)
		}
	}
}

func TestRecordsInColourHaveItOnEveryLine(t *testing.T) {
	for _, tc := range []struct {
		text string
		h    scan.Hit
		find *record.Search
		want string
	}{
		{"one\n  two", scan.Hit{Level: state.LevelError}, nil, "<31m>one<m>\n<31m>  two<m>"},
		{"plain", scan.Hit{Level: state.LevelInfo}, nil, "plain"},
		{"a timeout, Timeout", scan.Hit{}, record.Literal("timeout"), "a <7m>timeout<27m>, <7m>Timeout<27m><m>"},
		{"timeout\nnone", scan.Hit{Level: state.LevelWarn}, record.Literal("timeout"), "<33m><7m>timeout<27m><m>\n<33m>none<m>"},
		{"timeout beside", scan.Hit{Level: state.LevelError, Context: true}, record.Literal("timeout"), "<2m>timeout beside<m>"},
	} {
		got := strings.ReplaceAll(string(paint(nil, tc.text, tc.h, tc.find)), "\x1b[", "<")
		got = regexp.MustCompile(`<[0-9;]*m`).ReplaceAllString(got, "$0>")
		if got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.want)
		}
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if !wantsColor(false) || wantsColor(true) {
		t.Error("--no-color alone must turn it off")
	}
	t.Setenv("NO_COLOR", "1")
	if wantsColor(false) {
		t.Error("NO_COLOR must turn it off")
	}
}

func TestDrawingInPlaceTakesAwayWhatWasDrawn(t *testing.T) {
	var b strings.Builder
	s := inPlace{out: &b}
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{[]string{"one", "wide 界界界"}, "one<K>\nwide 界<K>\n<J>"},
		{[]string{"a"}, "\r<2A>a<K>\n<J>"},
		{nil, "\r<1A><J>"},
		{nil, ""},
	} {
		b.Reset()
		var err error
		if tc.lines == nil {
			err = s.erase()
		} else {
			err = s.draw(tc.lines, 9)
		}
		got := regexp.MustCompile("\x1b\\[([0-9]*[A-Z])").ReplaceAllString(b.String(), "<$1>")
		if err != nil || got != tc.want {
			t.Errorf("%q: got %q, want %q, %v", tc.lines, got, tc.want, err)
		}
	}
}
