package tui

import (
	"io"
	"strings"
	"syscall"
	"testing"
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
