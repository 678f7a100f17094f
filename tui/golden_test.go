package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

var update = flag.Bool("update", false, "write the golden frames anew")

var paneNames = []string{"overview", "modules", "pipeline", "containers", "queues", "logs", "alerts", "routing", "actions", "host"}

func still() Options {
	return Options{Clock: func() time.Time { return fake.Now }, Local: time.UTC, Theme: "dark"}
}

func frameOf(pane, snap string, w, h int) string {
	o := still()
	if pane != "overview" {
		o.Pane = pane
	}
	return Render(fake.Named(snap), o, w, h)
}

// checkFrame asserts that a frame has exactly its size, however a terminal counts.
func checkFrame(t testing.TB, name, out string, w, h int) {
	t.Helper()
	if w <= 0 || h <= 0 {
		if out != "" {
			t.Errorf("%s: got a frame at %dx%d, want none", name, w, h)
		}
		return
	}
	lines := strings.Split(out, "\n")
	if len(lines) != h {
		t.Errorf("%s: got %d lines, want %d", name, len(lines), h)
	}
	for i, l := range lines {
		if g, wc := ansi.StringWidth(l), ansi.StringWidthWc(l); g > w || wc > w || g != wc {
			t.Errorf("%s: line %d is %d cells wide (%d by wcwidth), want at most %d: %q", name, i, g, wc, w, ansi.Strip(l))
			return
		}
	}
}

func TestGoldenFrames(t *testing.T) {
	sizes := [][2]int{{80, 24}, {120, 40}, {200, 60}}
	for _, pane := range paneNames {
		for _, snap := range fake.Names {
			for i, size := range sizes {
				if i > 0 && snap != "incident" && snap != "healthy" {
					continue
				}
				w, h := size[0], size[1]
				name := fmt.Sprintf("%s-%s-%dx%d", pane, snap, w, h)
				t.Run(name, func(t *testing.T) {
					out := frameOf(pane, snap, w, h)
					checkFrame(t, name, out, w, h)
					checkGolden(t, name, out)
				})
			}
		}
	}
}

// checkGolden compares a frame with its file, or writes it: its text, then its styles, a
// letter for each cell that is not plain text.
func checkGolden(t *testing.T, name, out string) {
	t.Helper()
	got := trimmed(ansi.Strip(out)) + "--- styles\n" + trimmed(styleMap(t, out))
	file := filepath.Join("..", "testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./tui -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("the frame differs from %s\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// trimmed takes the spaces at the ends of lines away.
func trimmed(text string) string {
	var b strings.Builder
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	return b.String()
}

// styleLetters are the inks of the tests' themes by the sequence that opens them: the
// letter of one on a selected row is a capital, or what stands behind it here.
var styleLetters = func() map[string]byte {
	letters := map[string]byte{"": ' '}
	for _, name := range []string{"dark", "none"} {
		th := theme.New(theme.Options{Name: name})
		for _, ink := range []struct {
			theme.Ink
			plain, selected byte
		}{
			{th.Text, ' ', '_'}, {th.Dim, '.', ':'}, {th.Faint, ',', ';'}, {th.Border, ' ', ' '}, {th.Focus, 'f', 'F'}, {th.Bad, 'r', 'R'}, {th.Warn, 'w', 'W'},
			{th.Good, 'g', 'G'}, {th.Accent, 'a', 'A'}, {th.Info, 'i', 'I'}, {th.Extra, 'x', 'X'}, {th.Strong, 's', 'S'}, {th.Key, 'k', 'K'},
			{th.Badge, '!', '!'}, {th.Banner, '?', '?'}, {th.Match, 'm', 'M'}, {th.MatchHere, '*', '*'},
		} {
			for open, letter := range map[string]byte{ink.Open(false): ink.plain, ink.Open(true): ink.selected} {
				if _, taken := letters[open]; !taken {
					letters[open] = letter
				}
			}
		}
	}
	return letters
}()

// styleMap draws a frame with the letter of each cell's ink in place of its text; "u" is
// one that is no ink's, such as an input's.
func styleMap(t *testing.T, frame string) string {
	var b strings.Builder
	open, state := "", byte(0)
	for len(frame) > 0 {
		seq, width, n, next := ansi.DecodeSequence(frame, state, nil)
		frame, state = frame[n:], next
		switch {
		case seq == "\n":
			b.WriteByte('\n')
		case width > 0:
			letter, known := styleLetters[open]
			if !known {
				letter = 'u'
			}
			b.WriteString(strings.Repeat(string(letter), width))
		case seq == "\x1b[m" || seq == "\x1b[0m":
			open = ""
		case strings.HasPrefix(seq, "\x1b[") && strings.HasSuffix(seq, "m"):
			open += seq
		case seq[0] < ' ':
			t.Errorf("the frame has the sequence %q", seq)
		}
	}
	return b.String()
}

// The details of modules whose process is not simply running: one that left until its
// next fetch, one whose circuit is open, one whose old data is served, and a request.
func TestGoldenModuleDetails(t *testing.T) {
	for title, id := range map[string]string{"idle": "finance/stocks", "open": "weather/openweather", "stale": "mail/imap", "request": "weather/noaa"} {
		name := "modules-detail-" + title + "-120x40"
		t.Run(name, func(t *testing.T) {
			o := still()
			o.Pane = "modules"
			o.Load = func() Settings {
				return Settings{Panes: map[string]PaneSettings{"modules": {Detail: true, Selected: id}}}
			}
			out := Render(fake.Named("incident"), o, 120, 40)
			checkFrame(t, name, out, 120, 40)
			checkGolden(t, name, out)
		})
	}
}

func TestEverySizeHolds(t *testing.T) {
	snaps := map[string]*state.Snapshot{"nil": nil}
	for _, n := range fake.Names {
		snaps[n] = fake.Named(n)
	}
	step := 7
	for _, pane := range paneNames {
		for name, s := range snaps {
			o := still()
			if pane != "overview" {
				o.Pane = pane
			}
			m := New(o)
			if s != nil {
				m.live = s
				m.apply(s)
			}
			for w := 0; w <= 300; w += 1 + step*(w/20) {
				for h := 0; h <= 100; h += 1 + step*(h/15) {
					m.resize(w, h)
					checkFrame(t, fmt.Sprintf("%s %s %dx%d", pane, name, w, h), m.draw(), w, h)
					if t.Failed() {
						return
					}
				}
			}
		}
	}
}

func TestASCIIAndNoColor(t *testing.T) {
	for _, snap := range fake.Names {
		o := still()
		o.ASCII, o.NoColor = true, true
		for _, pane := range paneNames {
			o.Pane = strings.TrimPrefix(pane, "overview")
			out := Render(fake.Named(snap), o, 100, 30)
			checkFrame(t, snap+" "+pane, out, 100, 30)
			for i, r := range out {
				if r > 0x7e {
					t.Fatalf("%s %s: %q at %d is not ASCII: %q", snap, pane, r, i, ansi.Strip(out[max(0, i-60):i]))
				}
			}
			if strings.Contains(out, "\x1b[38") || strings.Contains(out, "\x1b[48") || strings.Contains(out, ";38;") {
				t.Fatalf("%s %s: there is colour in the frame", snap, pane)
			}
		}
	}
}

// Each tab of the routing pane, with all that it can say.
func TestGoldenTabsOfRouting(t *testing.T) {
	for i, tab := range []string{"overview", "test", "staged", "replay", "history", "json"} {
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			d := drive(t, "incident", func(o *Options) { o.Pane = "routing" })
			d.msg(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			d.press("enter")
			for range i {
				d.press("]")
			}
			d.screen()
			checkGolden(t, fmt.Sprintf("routing-%s-tab-%dx%d", tab, size[0], size[1]), d.m.View().Content)
		}
	}
}

// Each tab of a container's detail, and that of a heading.
func TestGoldenTabsOfContainers(t *testing.T) {
	tabs := []string{"overview", "graphs", "logs", "top", "inspect", "env", "mounts", "network", "health", "image", "events", "diff", "engine"}
	for i, tab := range tabs {
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			d := drive(t, "incident", func(o *Options) { o.Pane = "containers" })
			d.msg(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			d.press("/")
			d.typeText("name:api")
			d.press("enter", "enter")
			for range i {
				d.press("]")
			}
			d.screen()
			checkGolden(t, fmt.Sprintf("containers-%s-tab-%dx%d", tab, size[0], size[1]), d.m.View().Content)
		}
	}
	d := drive(t, "incident", func(o *Options) { o.Pane = "containers" })
	d.press("g", "p")
	d.screen()
	checkGolden(t, "containers-project-120x40", d.m.View().Content)
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
		name := fmt.Sprintf("containers-hosts-%dx%d", size[0], size[1])
		out := frameOf("containers", "hosts", size[0], size[1])
		checkFrame(t, name, out, size[0], size[1])
		checkGolden(t, name, out)
	}
}

// Every kind of overlay: menus, dialogs that ask, with fields and for a name, the palette,
// the panes, the columns, help and the question before quitting.
func TestGoldenOverlays(t *testing.T) {
	act := func(kind state.Kind, target string) func(*driver) {
		return func(d *driver) { d.run(d.m.begin(state.SpecOf(kind), []string{target})) }
	}
	keys := func(keys ...string) func(*driver) { return func(d *driver) { d.press(keys...) } }
	for name, open := range map[string]func(*driver){
		"menu-module":       keys("1", "x"),
		"menu-container":    keys("3", "j", "x"),
		"menu-alert":        keys("6", "x"),
		"menu-logs":         keys("5", "x"),
		"dialog-confirm":    act(state.ContainerRestart, "web"),
		"dialog-typed":      act(state.ModuleUninstall, "weather/openweather"),
		"dialog-fields":     act(state.AlertSilence, fake.Named("incident").Alerts.List[0].ID),
		"dialog-secrets":    act(state.CredentialRotate, "weather/openweather"),
		"dialog-many":       func(d *driver) { d.run(d.m.begin(state.SpecOf(state.ContainerStop), []string{"web", "api", "db"})) },
		"palette":           keys(":"),
		"palette-found":     func(d *driver) { d.press(":"); d.typeText("restart") },
		"panes":             keys("0"),
		"columns":           keys("3", "|"),
		"help-modules":      keys("1", "?"),
		"help-logs":         keys("5", "?"),
		"quit":              keys("q"),
		"prompt-filter":     keys("1", "/"),
		"prompt-filter-bad": func(d *driver) { d.press("3", "/"); d.typeText("cpu>much") },
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
			name := fmt.Sprintf("overlay-%s-%dx%d", name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				d := drive(t, "incident", func(o *Options) { o.Theme = "dark" })
				d.msg(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				open(d)
				d.screen()
				checkGolden(t, name, d.m.View().Content)
			})
		}
	}
}
