package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

func TestSubjectsOfCommitsAreChecked(t *testing.T) {
	sourcetest.Program(t, "bash")
	const body = "\n\nSince it was not.\n"
	for _, tt := range []struct{ message, want string }{
		{"views: mark stale rows with their age" + body, ""},
		{"tui, backend/source/logs: embed what is embedded" + body, ""},
		{"README: say what it costs" + body, ""},
		{".ci: bring an engine of its own" + body, ""},
		{"Merge branch wave1-c\n", ""},
		{"views: marked stale rows" + body, `"marked" is not an imperative`},
		{"views: marking stale rows" + body, `"marking" is not an imperative`},
		{"views: adds an age" + body, `"adds" is not an imperative`},
		{"views: focus the first row" + body, ""},
		{"Views: mark stale rows" + body, "it does not begin with an area"},
		{"mark stale rows" + body, "it does not begin with an area"},
		{"views:mark stale rows" + body, "it does not begin with an area"},
		{"views: mark stale rows." + body, "it ends with a full stop"},
		{"views: mark " + strings.Repeat("ä", 60) + body, ""},
		{"views: mark " + strings.Repeat("ä", 61) + body, "it has 73 characters"},
		{"views: mark stale rows\n\n# a comment of git's\n", "the body does not say why"},
	} {
		file := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(file, []byte(tt.message), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("bash", filepath.Join(root, ".ci", "subjects"), "-m", file).Output()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), tt.want) || (err == nil) != (tt.want == "") || tt.want == "" && len(out) > 0 {
			t.Errorf("%q: %v, %q; want %q", tt.message, err, out, tt.want)
		}
	}
}

// TestHistoryBeforeTheRuleIsExempt commits before and after the script is there.
func TestHistoryBeforeTheRuleIsExempt(t *testing.T) {
	sourcetest.Program(t, "bash")
	sourcetest.Program(t, "git")
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	script, err := os.ReadFile(filepath.Join(root, ".ci", "subjects"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(where string) string {
		cmd := exec.Command("bash", filepath.Join(where, ".ci", "subjects"))
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, _ := cmd.Output()
		return string(out)
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "Whatever it was.")
	if err := os.Mkdir(filepath.Join(dir, ".ci"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".ci", "subjects"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	git("add", ".")
	git("commit", "-q", "-m", "the rule itself")
	git("commit", "-q", "--allow-empty", "-m", "a: keep it", "-m", "why")
	if got := check(dir); got != "" {
		t.Errorf("history is held against who comes after it: %s", got)
	}
	git("commit", "-q", "--allow-empty", "-m", "a: kept it", "-m", "why")
	git("commit", "-q", "--allow-empty", "-m", "a: adds it")
	shallow := filepath.Join(t.TempDir(), "shallow")
	git("clone", "-q", "--depth", "2", "file://"+dir, shallow)
	for _, where := range []string{dir, shallow} {
		if got := check(where); strings.Count(got, "a: adds it") != 2 || strings.Contains(got, "keep it") {
			t.Errorf("%s: %q, want two faults of the last commit, and none of a good one", where, got)
		}
	}
}
