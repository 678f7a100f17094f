package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// terminal is a shell in a tmux server of its own.
type terminal struct {
	t   *testing.T
	env []string
}

func newTerminal(t *testing.T, w, h int) *terminal {
	t.Helper()
	sourcetest.Program(t, "tmux")
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, env: []string{"TMUX_TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "TERM=xterm-256color", "TZ=UTC"}}
	term.tmux("new-session", "-d", "-x", fmt.Sprint(w), "-y", fmt.Sprint(h), "-s", "s", "-c", home,
		"exec env -i PATH='"+os.Getenv("PATH")+"' HOME='"+home+"' LANG=C.UTF-8 TERM=tmux-256color TZ=UTC PS1='ready> ' sh")
	t.Cleanup(func() { term.tmux("kill-server") })
	term.until("the shell is ready", func(s string) bool { return strings.Contains(s, "ready>") })
	return term
}

// tmux runs one command of tmux.
func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-L", "opsdeck-test", "-f", "/dev/null", "-u"}, args...)...)
	cmd.Env = term.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// press sends keys by name, text what is typed.
func (term *terminal) press(keys ...string) {
	term.tmux(append([]string{"send-keys", "-t", "s"}, keys...)...)
}
func (term *terminal) text(s string) { term.tmux("send-keys", "-t", "s", "-l", s) }

func (term *terminal) screen() string { return term.tmux("capture-pane", "-p", "-t", "s") }

// until waits until ok holds of the screen, and returns it.
func (term *terminal) until(what string, ok func(screen string) bool) string {
	term.t.Helper()
	var s string
	defer func() {
		if term.t.Failed() {
			term.t.Logf("the screen is\n%s", s)
		}
	}()
	sourcetest.Until(term.t, what, func() bool { s = term.screen(); return ok(s) })
	return s
}

// holds waits until all words are on the screen, line breaks aside.
func (term *terminal) holds(words ...string) string {
	term.t.Helper()
	return term.until(fmt.Sprintf("the screen holds %q", words), func(s string) bool {
		flat := strings.Join(strings.Fields(s), " ")
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(flat, w) })
	})
}

// row waits until a line of the screen matches.
func (term *terminal) row(pattern string) {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	term.until("a row matches "+pattern, func(s string) bool { return slices.ContainsFunc(strings.Split(s, "\n"), re.MatchString) })
}

// givenBack wants the terminal as a shell needs it: echo, the main screen, the
// cursor, no mouse.
func (term *terminal) givenBack(n int) {
	term.t.Helper()
	term.until("the shell asks for a command on the main screen", func(s string) bool {
		return strings.HasSuffix(strings.TrimSpace(s), "ready>") && strings.TrimSpace(term.tmux("display", "-p", "-t", "s", "#{alternate_on}")) == "0"
	})
	term.text(fmt.Sprintf("echo the'%d'end; stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon -e isig | sort | xargs", n))
	term.press("Enter")
	s := term.holds(fmt.Sprintf("the%dend echo icanon isig", n))
	if !strings.Contains(s, fmt.Sprintf("echo the'%d'end;", n)) {
		term.t.Errorf("what is typed is not echoed:\n%s", s)
	}
	if got := strings.TrimSpace(term.tmux("display", "-p", "-t", "s", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}")); got != "0 0 1" {
		term.t.Errorf("alternate screen, mouse, cursor are %q, want 0 0 1", got)
	}
}

// TestDemoIsMendedFromTheKeyboard plays the demo as its user does: the console in
// a real terminal, a module that fails, new credentials, and out again.
func TestDemoIsMendedFromTheKeyboard(t *testing.T) {
	sourcetest.Program(t, "tmux")
	sourcetest.Program(t, "python3")
	dir := filepath.Join(t.TempDir(), "demo")
	term := newTerminal(t, 200, 50)
	const wrong = "depot-wrong-key-1"

	// All six panes, live.
	term.text("opsdeck demo --listen off --dir '" + dir + "'")
	term.press("Enter")
	term.until("all six panes are live", func(s string) bool {
		for _, title := range []string{"1 Modules", "2 Pipeline", "3 Containers", "4 Queues", "5 Logs", "6 Alerts",
			"host/load", "ingest", "pipeline deliver", "integrity check done", "ModulesInFail"} {
			if !strings.Contains(s, title) {
				return false
			}
		}
		return !strings.Contains(s, "connecting")
	})
	term.row(`✗ failed +depot/inventory +unhealthy`)
	term.row(`● enabled +host/load +healthy`)
	term.row(`● enabled +host/disk +healthy`)
	term.row(`● enabled +host/uptime +healthy`)
	term.row(`✗ firing +ModulesInFail`)

	// A wrong key touches nothing, and is never shown.
	term.press("1", "g")
	term.row(`▸ ✗ failed +depot/inventory`)
	term.press("T")
	term.holds("Rotate credentials depot/inventory?", "api_key")
	term.text(wrong)
	term.holds("••••••••••••")
	term.press("Enter")
	term.holds("▸ Rotate")
	term.press("Enter")
	s := term.holds("the new credentials do not work: PermissionError: the depot answers 401", "the old ones were kept")
	if strings.Contains(s, wrong) {
		t.Errorf("the key is on the screen:\n%s", s)
	}
	term.row(`✗ failed +depot/inventory +unhealthy`)

	// Esc leaves a dialog without doing anything.
	term.press("T")
	term.holds("Rotate credentials depot/inventory?")
	term.press("Escape")
	term.until("the dialog is gone", func(s string) bool { return !strings.Contains(s, "Rotate credentials depot/inventory?") })

	// The right one mends it.
	key, err := os.ReadFile(filepath.Join(dir, "DEPOT_KEY.txt"))
	if err != nil {
		t.Fatal(err)
	}
	right := strings.TrimSpace(string(key))
	term.press("T")
	term.holds("Rotate credentials depot/inventory?")
	term.text(right)
	term.press("Enter")
	term.holds("▸ Rotate")
	term.press("Enter")
	s = term.holds("rotated and checked: fetched")
	if strings.Contains(s, right) {
		t.Errorf("the key is on the screen:\n%s", s)
	}
	term.row(`● enabled +depot/inventory +healthy`)

	// Out: it asks, and stays where one does not mean it.
	term.press("q")
	term.holds("Quit opsdeck?", "▸ Stay")
	term.press("Enter")
	term.until("it stays", func(s string) bool { return !strings.Contains(s, "Quit opsdeck?") })
	term.press("q")
	term.holds("Quit opsdeck?")
	term.press("y")
	term.givenBack(1)
	noneLeft(t, dir)

	var ends []string
	for _, e := range entries(t, dir) {
		if e.Phase == state.PhaseEnd {
			ends = append(ends, fmt.Sprintf("%s %s %s via %s", e.Kind, e.Target, e.Outcome, e.Actor.Via))
		}
	}
	// The demo itself enables a module that its manifest leaves to the operator.
	want := []string{"module.enable host/disk ok via console", "credential.rotate depot/inventory failed via console", "credential.rotate depot/inventory ok via console"}
	if !slices.Equal(ends, want) {
		t.Errorf("the journal has\n%s\nwant\n%s", strings.Join(ends, "\n"), strings.Join(want, "\n"))
	}
	nowhere(t, dir, wrong)

	// Again in the same folder, where it is mended still; this time it is told to end.
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		term.text("clear; opsdeck demo --listen off --dir '" + dir + "'")
		term.press("Enter")
		term.row(`● enabled +depot/inventory +healthy`)
		owner, err := remote.ReadOwner(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(owner.PID, sig); err != nil {
			t.Fatal(err)
		}
		term.givenBack(2 + i)
		noneLeft(t, dir)
	}
}
