package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestFirstFrameNeedsNoSnapshot(t *testing.T) {
	out := Render(nil, still(), 120, 40)
	if n := strings.Count(out, "connecting"); n < 6 {
		t.Errorf("got %d panes connecting, want every one:\n%s", n, out)
	}
}

func TestQuitAsks(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("q")
	d.sees("Quit opsdeck?", "▸ Stay")
	d.press("enter")
	if d.quit {
		t.Fatal("enter on Stay quit")
	}
	d.press("1", "esc", "down", "enter") // who goes on means to stay
	if d.quit {
		t.Fatal("enter on a row quit")
	}
	d.sees("[Overview]")
	d.press("esc", "esc", "tab", "enter")
	if !d.quit {
		t.Fatal("it did not quit")
	}
}

func TestConfirmStartsOnCancel(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "j", "R")
	d.sees("Restart container web?", "▸ Cancel", "image registry.example/web:2.4")
	d.press("enter")
	if n := len(d.b.Submitted()); n != 0 {
		t.Fatalf("got %d actions after Cancel, want none", n)
	}
	d.press("R", "l", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Kind != state.ContainerRestart || got[0].Target != "web" || got[0].Confirmed != "yes" || got[0].Actor.User != "ada" {
		t.Fatalf("got %+v, want one restart of web, confirmed", got)
	}
}

func TestSafeActsAtOnce(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("6", "A")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Kind != state.AlertAck || got[0].Target != "ModuleFailed" {
		t.Fatalf("got %+v, want the alert acknowledged", got)
	}
}

func TestTypedRiskWantsTheName(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press(":")
	d.typeText("uninstall weather/noaa")
	d.press("enter")
	d.sees("Uninstall module weather/noaa?", "Type the name")
	d.typeText("weather/openweather")
	d.press("enter", "down", "enter")
	d.sees("type weather/noaa to confirm")
	if n := len(d.b.Submitted()); n != 0 {
		t.Fatalf("got %d actions for the wrong name, want none", n)
	}
	d.press("esc", ":", "up", "enter") // again, from the history
	d.typeText("weather/noaa")
	d.press("enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Confirmed != "weather/noaa" {
		t.Fatalf("got %+v, want one confirmed by name", got)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("T")
	d.sees("Rotate credentials weather/openweather?", "api_key")
	d.typeText("hunter2secret")
	d.lacks("hunter2secret")
	d.sees("•••••••••••••")
	d.press("enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Secrets["api_key"].Reveal() != "hunter2secret" || len(got[0].Args) != 0 {
		t.Fatalf("got %+v, want the secret among the secrets only", got)
	}
	for _, x := range d.m.mine {
		if len(x.a.Secrets) != 0 {
			t.Error("the console keeps the secret")
		}
	}
}

func TestSilenceAsksForItsDuration(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("6", "M")
	d.sees("Silence alert ModuleFailed?", "For", "1h")
	d.press("tab")
	d.typeText("deploy of q")
	d.press("enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Args["duration"] != "1h" || got[0].Args["comment"] != "deploy of q" {
		t.Fatalf("got %+v, want a silence of 1h with its comment", got)
	}
}

func TestWhatIsTypedTakesTheProposalsPlace(t *testing.T) {
	for _, tt := range []struct {
		keys []string
		text string
		want string
	}{
		{nil, "2h", "2h"},
		{[]string{"end", "backspace"}, "m", "1m"},
		{[]string{"backspace"}, "2h", "2h"},
		{[]string{"tab", "shift+tab"}, "30m", "30m"},
	} {
		d := drive(t, "incident", nil)
		d.press("6", "M")
		d.press(tt.keys...)
		d.typeText(tt.text)
		d.press("enter", "enter", "enter")
		if got := d.b.Submitted(); len(got) != 1 || got[0].Args["duration"] != tt.want {
			t.Errorf("%v %s: got %+v, want %s", tt.keys, tt.text, got, tt.want)
		}
	}
}

// A yes to changed files goes with what was on the screen when it was asked for, also
// where others came since.
func TestApprovalIsOfWhatWasShown(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("1", "f", "g")
	for range 10 {
		if _, row := d.cursorRow(); strings.Contains(row, "changed") {
			break
		}
		d.press("j")
	}
	d.press("enter", "]", "]", "]", "]")
	d.sees("1 added, 1 changed; +2 -1 lines", "+        return await helper.get(self.url)", "approved")
	d.press("]")
	d.sees("error: dependencies", "adapter.py:3", "python3 -m pip install httpx", "test_transform")
	d.press("]")
	d.sees("approved by grace")
	d.press("esc", "L")
	d.sees("Approve changed files and load module news/hackernews?", "added: helper.py", "error: adapter.py:3")
	shown := fake.Named("incident").Modules.Module("news/hackernews").Digest
	next := fake.Named("incident")
	next.Modules.List = slices.Clone(next.Modules.List)
	next.Modules.Module("news/hackernews").Digest = strings.Repeat("0", 64)
	d.show(next)
	d.press("y", "enter")
	if got := d.b.Submitted(); len(got) != 1 || got[0].Kind != state.ModuleApprove || got[0].Args["digest"] != shown {
		t.Fatalf("got %+v, want a yes to %s", got, shown)
	}
}

func TestActionsTakeTheMarked(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("3", "space", "space", "R")
	d.sees("Restart container (2)?", "api", "db")
	d.press("y", "enter")
	if got := d.b.Submitted(); len(got) != 2 || got[0].Target != "api" || got[1].Target != "db" {
		t.Fatalf("got %+v, want api and db", got)
	}
	d.press("esc", "g", "j", "v", "j", "j", "v", "x")
	d.sees("Actions on 3 marked")
}

// shop makes containers api and web two of one compose service, with limits.
func shop(s *state.Snapshot) state.Containers {
	c := s.Containers
	c.List = slices.Clone(c.List)
	for i, name := range []string{"api", "web"} {
		x := c.Container(name)
		x.State, x.Project, x.Service = "running", "shop", "front"
		x.Limits = state.Limits{Known: true, Memory: float64(64<<20) * float64(i+1), Restart: "always"}
	}
	c.Compose.Version = "docker-compose 1.29.2"
	c.Projects = map[string]state.Project{"shop": {Dir: "/srv/shop", Files: []string{"/srv/shop/compose.yaml"}}}
	return c
}

func TestWhatDiffersBetweenTheMarkedIsProposedForNone(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.show(d.snap, shop(d.snap))
	d.pass(time.Second)
	d.run(d.m.begin(state.SpecOf(state.ContainerUpdate), []string{"api", "web"}))
	if len(d.m.stack) == 0 {
		t.Fatal(d.screen())
	}
	box := d.m.stack[len(d.m.stack)-1].(*actionDialog)
	if got := []string{box.inputs[0].Value(), box.inputs[2].Value()}; got[0] != "" || got[1] != "always" {
		t.Errorf("memory and policy are proposed as %q", got)
	}
	d.typeText("lots")
	d.press("tab", "tab", "tab", "tab", "enter")
	d.sees(`"lots" is not a size`)
	if n := len(d.b.Submitted()); n != 0 {
		t.Fatalf("%d actions with a wrong argument", n)
	}
	d.press("esc")
	d.run(d.m.begin(state.SpecOf(state.ContainerRename), []string{"api", "web"}))
	d.sees("rename takes one container at a time")
}

func TestTheMarkedContainersOfAServiceAreOneTarget(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.show(d.snap, shop(d.snap))
	d.pass(time.Second)
	d.run(d.m.begin(state.SpecOf(state.ComposeRecreate), []string{"api", "web"}))
	d.sees("Recreate service shop/front?", "/srv/shop/compose.yaml")
	d.press("y", "enter")
	if got := d.b.Submitted(); len(got) != 1 || got[0].Target != "shop/front" {
		t.Errorf("submitted %+v", got)
	}
}

func TestWhatAnImpactNeedsIsFetchedWhileItIsAsked(t *testing.T) {
	d := drive(t, "healthy", nil)
	c := shop(d.snap)
	d.show(d.snap, c)
	d.pass(time.Second)
	d.run(d.m.begin(state.SpecOf(state.ContainerStop), []string{"web"}))
	d.press("tab", "tab")
	if in := d.b.Watched(); !slices.Equal(in[len(in)-1].Keys(state.LookAction(state.ContainerStop)), []string{"web"}) {
		t.Fatalf("watched %+v", in[len(in)-1])
	}
	d.lacks("established connections")
	c.Connections = map[string]state.Connections{c.Container("web").ID: {In: map[int]int{80: 3}}}
	d.show(d.snap, c)
	d.pass(time.Second)
	d.sees("established connections: 3 to port 80; they break")
	d.press("esc")
	if in := d.b.Watched(); len(in[len(in)-1].Keys(state.LookAction(state.ContainerStop))) > 0 {
		t.Errorf("nothing is asked any more: %+v", in[len(in)-1])
	}
}

func TestDisabledSaysWhy(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("1")
	d.press("G", "L")
	d.sees("cannot reload social/mastodon: it is disabled: enable it first")
	d.press("x")
	d.sees("reload module", "it is disabled: enable it first")
	d.press("esc", "4", "E")
	d.sees("E does nothing in queues: it acts in modules (enable module)")
	d.press("Z")
	d.sees("Z is not bound")
}

func TestFilterAndEscape(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("1", "/")
	d.typeText("weather")
	d.press("enter")
	d.sees("weather/noaa", "filter weather")
	d.lacks("mail/imap")
	d.press("/")
	for range "weather" {
		d.msg(tea.KeyPressMsg{Code: tea.KeyBackspace})
	}
	d.typeText("!weather")
	d.press("enter")
	d.lacks("weather/noaa")
	d.press("esc")
	d.sees("weather/noaa", "mail/imap")
}

func TestSelectionFollowsIdentity(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("3", "j", "j", "j") // on llm
	y, row := d.cursorRow()
	if !strings.Contains(row, "llm") {
		t.Fatalf("the cursor is on %q, want llm", row)
	}
	c := d.snap.Containers
	c.List = append([]state.Container(nil), c.List...)
	c.List[7].HealthWord = "unhealthy" // would sort above it
	extra := c.List[0]
	extra.ID, extra.Title, extra.HealthWord = strings.Repeat("e", 64), "aaa-new", "unhealthy"
	c.List = append(c.List, extra)
	d.show(d.snap, c)
	d.pass(time.Second)
	if y2, row := d.cursorRow(); y2 != y || !strings.Contains(row, "llm") {
		t.Errorf("the cursor moved from line %d to %d: %q", y, y2, row)
	}
	d.sees("+1 wait")
	d.lacks("aaa-new")
	d.pass(6 * time.Second)
	d.sees("aaa-new")
	if _, row := d.cursorRow(); !strings.Contains(row, "llm") {
		t.Errorf("the cursor is on %q, want llm still", row)
	}
	d.press("R")
	d.sees("Restart container llm?")
}

func TestSearchKeepsContext(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "/")
	d.typeText("slow upstream")
	d.press("enter")
	d.sees("slow upstream", "/slow upstream: 8", "request 10", "paused")
	_, before := d.cursorRow()
	d.press("n")
	_, after := d.cursorRow()
	if before == after || !strings.Contains(after, "slow upstream") {
		t.Errorf("n went from %q to %q, want an older hit", before, after)
	}
	d.press("N")
	if _, back := d.cursorRow(); back != before {
		t.Errorf("N went to %q, want %q", back, before)
	}
	d.press("esc", "F")
	d.sees("following")
}

func TestStreamFilters(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "&")
	d.typeText("!request")
	d.press("enter")
	d.sees("drop request", "GET /health")
	d.lacks("request 10")
	d.press("esc", "l", "l")
	d.sees("errors only", "TypeError")
	d.lacks("GET /health")
	d.press("l", "e")
	if _, row := d.cursorRow(); !strings.Contains(row, "TypeError") {
		t.Errorf("e went to %q, want the error", row)
	}
	d.press("enter")
	d.sees("at handle (/app/server.js:41:7)")
}

func TestPausedStreamStays(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "f", "k", "k")
	_, before := d.cursorRow()
	l := d.snap.Logs
	l.Tails = map[string]state.Tail{}
	id := l.Sources[0].ID
	recs := append([]state.LogRecord(nil), d.snap.Logs.Tails[id].Records...)
	for i := range 500 {
		recs = append(recs, state.LogRecord{Seq: uint64(71 + i), Nanos: fake.Now.UnixNano() + int64(i), Text: fmt.Sprintf("later %d", i)})
	}
	l.Tails[id] = state.Tail{Records: recs[100:]}
	d.show(d.snap, l)
	if _, now := d.cursorRow(); now != before {
		t.Errorf("the cursor's line changed from %q to %q", before, now)
	}
	d.sees("500 new below")
	d.lacks("later")
	d.press("F")
	d.sees("later 499")
}

func TestTimeCursorShowsThePast(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.pass(time.Second)
	d.now = d.now.Add(9 * time.Second)
	d.show(fake.Named("incident"))
	d.pass(2 * time.Second)
	d.sees("✗ 1 failed")
	d.press("o", "o")
	d.sees("PAST 03:12:40", "6 of 7 enabled")
	d.lacks("✗ 1 failed")
	d.press("3", "R")
	d.sees("this is the past")
	d.press("esc")
	d.sees("✗ 1 failed")
	d.lacks("PAST")
}

func TestProgressAndVerdict(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "j", "R", "l", "enter")
	acts := d.snap.Actions
	p := state.Progress{ID: "f-1", Action: state.Action{Kind: state.ContainerRestart, Target: "web"}, Status: "running", Step: "waiting for health", Percent: 30, Queued: d.now}
	acts.List = []state.Progress{p}
	d.show(d.snap, acts)
	d.sees("restart container web", "waiting for health 30%")
	p.Status, p.Result, p.Ended, p.Undo = "done", "restarted in 2 s", d.now, &state.Action{Kind: state.ContainerStop}
	p.Verdict = policy.Judge([]state.Figure{{Title: "health", Value: 3, Text: "unhealthy", Weight: 100}}, []state.Figure{{Title: "health", Value: 0, Text: "healthy", Weight: 100}})
	acts.List = []state.Progress{p}
	d.show(d.snap, acts)
	d.sees("better: health unhealthy -> healthy", "u undoes it")
	d.press("u")
	d.sees("Undo last action")
	d.press("y", "enter")
	if got := d.b.Submitted(); len(got) != 2 || got[1].Kind != state.ActionUndo || got[1].Target != "f-1" {
		t.Fatalf("got %+v, want the undo of f-1", got)
	}
}

func TestRefusalIsSaid(t *testing.T) {
	d := drive(t, "incident", nil)
	d.b.Refuse(errors.New("the engine is stopping"))
	d.press("6", "A")
	d.sees("the engine is stopping")
}

func TestInterestFollowsTheLook(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "j", "enter")
	in := d.b.Watched()
	web := d.snap.Containers.Container("web").ID
	if len(in) == 0 || !in[len(in)-1].Has(state.LookContainer, web) || len(in[len(in)-1].Keys(state.LookLog)) != 1 {
		t.Fatalf("got %+v, want the container web looked at", in)
	}
	d.press("esc")
	if in := d.b.Watched(); len(in[len(in)-1].Keys(state.LookContainer)) > 0 {
		t.Errorf("got %+v, want nothing looked at", in[len(in)-1])
	}
}

func TestSettingsSurvive(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("3", "s", "+", "p", "j", "j")
	set := d.m.Settings()
	e := drive(t, "healthy", func(o *Options) { o.Load = func() Settings { return set } })
	if got, want := fmt.Sprint(e.m.Settings()), fmt.Sprint(set); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRebindingAndClashes(t *testing.T) {
	if c := Clashes(nil); len(c) != 0 {
		t.Errorf("the defaults clash: %v", c)
	}
	for own, want := range map[[2]string]string{
		{"palette", "ctrl-b"}:    "tmux",
		{"help", "j"}:            "both",
		{"no-such", "a"}:         "no command",
		{"full-screen", "alt+f"}: "Alt",
	} {
		c := strings.Join(Clashes(map[string]string{own[0]: own[1]}), "\n")
		if !strings.Contains(c, want) {
			t.Errorf("%v: got %q, want %q in it", own, c, want)
		}
	}
	d := drive(t, "healthy", func(o *Options) { o.Keys = map[string]string{"help": "H"} })
	d.press("H")
	d.sees("Help: Modules")
	for _, c := range strings.Split(CheatSheet(), "\n") {
		if c != "" && !strings.HasPrefix(c, "|") {
			t.Errorf("the cheat sheet has a line that is no table: %q", c)
		}
	}
}

func TestHostileTextIsNotObeyed(t *testing.T) {
	for _, snap := range []string{"wide", "long"} {
		d := drive(t, snap, nil)
		for _, k := range []string{"1", "enter", "]", "esc", "3", "p", "5", "f", "w", "k", "enter", "esc", "x", "esc", "?", "esc", ":"} {
			d.press(k)
			if s := d.m.View().Content; strings.Contains(s, "\x1b[2J") || strings.Contains(s, "\x1b]0;") || strings.ContainsAny(s, "\x07\x00") {
				t.Fatalf("%s: after %s the frame has the data's control sequences", snap, k)
			}
			d.screen()
		}
	}
}

func TestWallChangesNothing(t *testing.T) {
	d := drive(t, "incident", func(o *Options) { o.Wall = true })
	d.press("3", "j", "R", "x", "enter", ":")
	if n := len(d.b.Submitted()) + len(d.m.stack); n != 0 {
		t.Errorf("the wall opened or did %d things", n)
	}
}

func TestLostBackendSaysSo(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.m.Update(lostMsg{errors.New("unix socket closed")})
	d.sees("the engine does not answer: unix socket closed")
	d.show(d.snap)
	d.lacks("does not answer")
}

func TestIdleFiguresWaitForTheTick(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.pass(10 * time.Second)
	c := d.snap.Containers
	c.List = append([]state.Container(nil), c.List...)
	c.List[0].CPUPercent = 77.7
	d.now = d.now.Add(300 * time.Millisecond)
	d.show(d.snap, c)
	d.lacks("77.7%")
	d.pass(time.Second)
	d.sees("77.7%")
	c.List = append([]state.Container(nil), c.List...)
	c.List[0].State, c.List[0].ExitCode = "exited", 137
	d.now = d.now.Add(300 * time.Millisecond)
	d.show(d.snap, c)
	d.sees("exited 137") // at once
}
