package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A recipe is the change that a part of CONTRIBUTING.md describes: whole new files, and
// lines put into files that are there, by the files' paths from the root.
type recipe struct {
	t     *testing.T
	files map[string]string
}

var fence = regexp.MustCompile("(?ms)^```(go|diff) (\\S+)\n(.*?)^```$")

// readRecipe returns what the sections of CONTRIBUTING.md with these titles change.
func readRecipe(t *testing.T, titles ...string) *recipe {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, ".github", "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recipe{t, map[string]string{}}
	for _, title := range titles {
		_, text, ok := strings.Cut(string(b), "\n## "+title+"\n")
		if !ok {
			t.Fatalf("CONTRIBUTING.md has no section %q", title)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] == "go" {
				r.files[m[2]] = m[3]
			} else {
				r.change(m[2], m[3])
			}
		}
	}
	return r
}

// change puts the lines with "+" behind the one before them, and takes those with "-"
// out.
func (r *recipe) change(name, diff string) {
	r.t.Helper()
	text, ok := r.files[name]
	if !ok {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(b)
	}
	var before, after string
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '+':
			after += line[1:]
		case '-':
			before += line[1:]
		default:
			before += line[1:]
			after += line[1:]
		}
	}
	if strings.Count(text, before) != 1 {
		r.t.Fatalf("%s does not have once what CONTRIBUTING.md changes in it:\n%s", name, diff)
	}
	r.files[name] = strings.Replace(text, before, after, 1)
}

// overlay writes the recipe's files where the go command reads them in place of those of
// the repository, and returns the argument that says so.
func (r *recipe) overlay() string {
	r.t.Helper()
	dir := r.t.TempDir()
	replace := map[string]string{}
	abs, err := filepath.Abs(root)
	if err != nil {
		r.t.Fatal(err)
	}
	for name, text := range r.files {
		at := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
		replace[filepath.Join(abs, name)] = at
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return "-overlay=" + file
}

// gotool runs the go command at the root.
func gotool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestRecipesAddASection builds the program with the section that CONTRIBUTING.md adds,
// in two new files and two lines and an import, and looks for it everywhere.
func TestRecipesAddASection(t *testing.T) {
	r := readRecipe(t, "Add a section with a source and actions")
	added := 0
	for name := range r.files {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			added++
		}
	}
	if added != 2 || len(r.files) != 4 {
		t.Errorf("the recipe adds %d files and changes %d, want 2 and 2", added, len(r.files)-added)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "opsdeck")
	gotool(t, "build", r.overlay(), "-ldflags=-s -w", "-o", program, "./cmd/opsdeck")
	ws := filepath.Join(dir, "ws")
	for _, name := range []string{"mail/1", "mail/2", "print/1"} {
		at := filepath.Join(ws, "spool", name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(ws, "opsdeck.yaml"), []byte("listen: off\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(want int, args ...string) string {
		t.Helper()
		return runIn(t, program, ws, want, args...)
	}
	serve := exec.Command(program, "serve")
	serve.Dir, serve.Env = ws, homeless(dir)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait()
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for strings.TrimSpace(runIn(t, program, ws, -1, "socket")) == "" {
		<-tick.C
	}

	// Each of these is another process, so what it has came over the wire.
	wantIn(t, run(0, "spools", "list"), "SPOOL", "mail", "sending")
	wantIn(t, run(0, "spools", "list", "--json"), `"name": "mail"`, `"files": 2`)
	wantIn(t, run(0, "spools", "show", "print"), `"files": 1`)
	wantIn(t, run(-1, "status"), "spools", "2 spools")
	wantIn(t, run(0, "spools", "hold", "mail"), "held mail")
	wantIn(t, run(4, "status"), "spool mail is held with 2 files")
	wantIn(t, run(3, "spools", "hold", "mail"), "it is held already")
	wantIn(t, run(3, "spools", "hold", "nothing"), `there is no spool "nothing"`)
	wantIn(t, run(0, "render", "--pane", "spools", "--size", "100x12"), "Spools", "1 need attention", "mail", "held")
	wantIn(t, run(0, "undo"), "undone mail")
	wantIn(t, run(0, "spools", "list"), "mail   2      sending")
	wantIn(t, run(0, "journal", "list"), "spool.hold", "spool.release")
	wantIn(t, run(-1, "doctor"), "engine/spools", "2 spools")

	// A console that does not know the section keeps and names it.
	wantIn(t, runIn(t, "opsdeck", ws, -1, "status"), "spools", "the engine has it, and is newer than this opsdeck")
}

// TestRecipesAddAPane draws the pane of that section, beside the others, at every size.
func TestRecipesAddAPane(t *testing.T) {
	r := readRecipe(t, "Add a section with a source and actions", "Add a pane")
	gotool(t, "test", r.overlay(), "-count=1", "-run=TestEverySizeHolds|TestMorePanes|TestGoldenFrames|TestATwentieth|TestTheDigits|TestEveryList", "./tui")
}

// homeless returns an environment with an empty home and no servers.
func homeless(dir string) []string {
	return append(os.Environ(), "HOME="+filepath.Join(dir, "home"), "XDG_RUNTIME_DIR=", "DOCKER_HOST=unix:///nonexistent/docker.sock", "REDIS_URL=unix:///nonexistent/redis.sock")
}

// runIn runs a program in a folder and returns what it prints. It must end with code;
// -1 is for any.
func runIn(t *testing.T, program, dir string, code int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, homeless(filepath.Dir(dir))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", program, err)
	}
	if got := cmd.ProcessState.ExitCode(); code >= 0 && got != code {
		t.Fatalf("opsdeck %s ends with %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

func wantIn(t *testing.T, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("want %q in\n%s", w, got)
		}
	}
}
