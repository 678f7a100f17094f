package tui

import (
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestFiltersOfTheStreamAreStacked(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "&")
	d.typeText("status>=")
	d.press("enter")
	d.sees("column ") // what is wrong is said, and the text is there to be mended
	d.press("esc", "&")
	d.typeText("request")
	d.press("enter", "&")
	d.typeText("!handled in 38")
	d.press("enter")
	d.sees("keep request", "drop handled in 38", "request 1036 handled in 39 ms")
	d.lacks("slow upstream", "handled in 38 ms")
	d.press("esc")
	d.lacks("drop handled in 38")
	d.sees("keep request", "handled in 38 ms")
	d.press("esc")
	d.sees("slow upstream")
	d.press("&", "up")
	d.sees("!handled in 38") // it is there to be taken again
	d.press("up", "enter")
	d.sees("keep request")
}

func TestASourceSaysWhyItCannotBeRead(t *testing.T) {
	d := drive(t, "healthy", nil)
	l := d.snap.Logs
	l.Sources = append(slices.Clone(l.Sources), state.LogSource{ID: "remote:ssh://edge-1/var/log/app.log", Kind: "remote", Title: "edge-1:/var/log/app.log",
		Err: "/var/log/app.log over ssh: ssh: connect to host edge-1 port 22: No route to host: it is tried again"})
	d.show(d.snap, l)
	d.press("5", "f")
	d.sees("1 unreadable")
	d.lacks("it is tried again")
	d.press("[", "G")
	d.sees("edge-1:/var/log/app.log", "it is tried again")
	d.press("k")
	d.lacks("it is tried again")
	d.press("G", "enter")
	d.sees("only edge-1:/var/log/app.log", "it is tried again")
}

func TestASavedFilterIsCompletedByTab(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "&")
	d.typeText("@err")
	d.sees("@errors")
	d.press("tab", "enter")
	d.sees("keep @errors", "TypeError")
	d.lacks("handled in")
}

func TestPatternsAreCountedAndKept(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "#", "enter")
	d.sees("Pattern", "request <num> handled in <num> ms")
	d.press("enter")
	d.sees("request 1036 handled in 39 ms", "keep /request")
	d.lacks("Count", "slow upstream")
	d.press("esc", "#")
	d.typeText("service")
	d.press("enter")
	d.sees("values of service", "llm-gateway")
	d.press("enter")
	d.sees("slow upstream")
	d.lacks("handled in")
}

func TestGoingToATime(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "@")
	d.typeText("03:11:53")
	d.press("enter")
	if _, row := d.cursorRow(); !strings.Contains(row, "request 1018") {
		t.Errorf("the cursor is on %q, want the first line of that time", row)
	}
	d.press("@")
	d.typeText("lunch")
	d.press("enter")
	d.sees("is no time")
	d.press("esc", ">", ">")
	if _, row := d.cursorRow(); strings.Contains(row, "request 1018") {
		t.Error("the cursor did not move along the histogram")
	}
	d.press("h")
	if strings.Contains(strings.Split(d.screen(), "\n")[2], "▃") {
		t.Error("the histogram is still there")
	}
}

func TestWhatPassesIsWrittenToAFile(t *testing.T) {
	var name string
	var text strings.Builder
	full := false
	d := drive(t, "incident", func(o *Options) {
		o.File = func(n string, write func(io.Writer) error) (string, error) {
			if full {
				return "", syscall.ENOSPC
			}
			name = n
			return "/home/ada/" + n, write(&text)
		}
	})
	d.press("5", "f", "&")
	d.typeText("slow")
	d.press("enter", "W")
	d.typeText(".json")
	d.press("enter")
	d.sees("to /home/ada/opsdeck-logs-")
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if !strings.HasSuffix(name, ".log.json") || len(lines) < 3 || strings.Count(text.String(), `"level":"warn"`) != len(lines) {
		t.Errorf("%s holds %s", name, text.String())
	}
	full = true
	d.press("W", "enter")
	d.sees("not written", syscall.ENOSPC.Error())
}

func TestFieldsStandInColumns(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "|")
	d.typeText("service,ms")
	d.press("enter")
	d.sees("service     ms", "llm-gateway 940 slow upstream")
}

func TestWhatPassesIsWatchedAndGetsAName(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "&")
	d.typeText("@server-errors or slow")
	d.press("enter", "&")
	d.typeText("!healthz")
	d.press("enter", "A")
	d.sees("Watch log?", "server-errors-or-slow-not", "logs/*.log", "(@server-errors or slow) not healthz", "Fires above", "Runbook")
	d.press("tab", "tab", "tab")
	d.typeText("some") // takes the place of what is proposed
	d.press("enter", "enter", "enter", "enter", "enter")
	d.sees(`"some": expected a number of records`)
	d.press("esc", "S")
	d.sees("Save filter?", "(@server-errors or slow) not healthz")
	d.typeText("mine")
	d.press("enter", "enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Kind != state.LogFilterSave || got[0].Args["name"] != "mine" || got[0].Args["where"] != "(@server-errors or slow) not healthz" {
		t.Errorf("got %+v", got)
	}
}

func TestAWatchIsSubmittedAsItIsFilledIn(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "A")
	d.typeText("bad")
	d.press("enter", "enter", "enter")
	d.typeText("3")
	d.press("enter", "enter", "enter", "enter", "enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Kind != state.LogWatchAdd {
		t.Fatalf("got %+v", got)
	}
	want := map[string]string{"name": "bad", "source": "logs/*.log", "where": "level>=error", "above": "3", "window": "5m", "severity": "warning"}
	if !maps.Equal(got[0].Args, want) {
		t.Errorf("got %v, want %v", got[0].Args, want)
	}
}

func TestAnAlertOfAWatchShowsItsFilterAndLastMatch(t *testing.T) {
	d := drive(t, "incident", nil)
	s := *d.snap
	s.Logs.Watches = []state.LogWatch{{Name: "boom", Source: "logs/*.log", Sources: 2, Where: "status>=500", Window: 5 * time.Minute, Since: s.At, Matches: 7, Recent: 3,
		Last: "GET /api status=503", LastSource: "logs/api.log", LastAt: s.At}}
	s.Alerts.List = slices.Clone(s.Alerts.List)
	for i := range s.Alerts.List {
		s.Alerts.List[i].Labels = map[string]string{"watch": "boom", "log": "logs/*.log"}
		s.Alerts.List[i].Annotations = map[string]string{"filter": "older", "last_match": "older still"}
	}
	d.show(&s, s.Alerts, s.Logs)
	d.pass(time.Second)
	d.press("6", "f", "enter")
	d.sees("Watch", "status>=500", "logs/*.log, which is 2 logs now", "3 within 5m", "GET /api status=503", "in logs/api.log")
	d.lacks("older")
}
