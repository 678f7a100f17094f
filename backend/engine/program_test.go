package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/state"
)

// scriptModule returns a module t/NAME that answers data and needs no Python.
func scriptModule(name, data string) map[string]string {
	return map[string]string{
		"modules/t/" + name + "/manifest.json": `{"name":"` + name + `","version":"1","category":"t","platform":"` + name + `","entry_point":"a.sh","status":"installed"}`,
		"modules/t/" + name + "/a.sh":          strings.Replace(shellAdapter, "DATA", data, 1),
	}
}

// as does an action as a user.
func (r *rig) as(user string, kind state.Kind, target string, args map[string]string) (state.Outcome, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return r.e.Execute(ctx, state.Action{Kind: kind, Target: target, Args: args, Actor: state.Actor{User: user, Via: "cli"}}, nil)
}

func (r *rig) must(user string, kind state.Kind, target string, args map[string]string) state.Outcome {
	r.t.Helper()
	out, err := r.as(user, kind, target, args)
	if err != nil {
		r.t.Fatalf("%s %s: %v", kind, target, err)
	}
	return out
}

// result waits until the module's last result is data.
func (r *rig) result(id, data string) *state.Module {
	r.t.Helper()
	return r.module(id, "gives "+data, func(m *state.Module) bool {
		return m.Status == state.ModuleInstalled && strings.Join(strings.Fields(m.LastResult), "") == data
	})
}

func TestChangedFilesWaitForAYes(t *testing.T) {
	r := newRig(t, scriptModule("x", "[1]"))
	r.start(Config{Python: "none"})
	m := r.result("t/x", "[1]")
	if len(m.Versions) != 1 || m.Versions[0].How != "found" || !m.Versions[0].Approved || !m.Versions[0].OnDisk || len(m.Files) != 2 {
		t.Fatalf("versions %+v, files %+v", m.Versions, m.Files)
	}
	pid := m.PID
	r.write("modules/t/x/a.sh", strings.Replace(shellAdapter, "DATA", "[2]", 1))
	r.write("modules/t/x/notes.txt", "data is not asked about\n")
	m = r.module("t/x", "is seen as changed", func(m *state.Module) bool { return m.Change != nil })
	if m.PID != pid || !m.Change.Held || !slices.Equal(m.Change.Modified, []string{"a.sh"}) || len(m.Change.Added) != 0 || m.Change.Plus != 1 || m.Change.Minus != 1 {
		t.Errorf("pid %d (was %d), change %+v", m.PID, pid, m.Change)
	}
	if !strings.Contains(m.Change.Diff, `-    '{"op":"fetch"'*) echo '{"op":"result","data":[1]}' ;;`) || !strings.Contains(m.Reason, "its files changed since they were approved on") {
		t.Errorf("reason %q, diff\n%s", m.Reason, m.Change.Diff)
	}
	for _, k := range []state.Kind{state.ModuleReload, state.ModuleRestart} {
		if _, err := r.as("ann", k, "t/x", nil); !errors.Is(err, ErrUnapproved) {
			t.Errorf("%s: got %v, want it refused", k, err)
		}
	}
	if err := r.e.Modules().MayRun("t/x"); !errors.Is(err, ErrUnapproved) {
		t.Errorf("MayRun: %v", err)
	}
	if m = r.snapshot().Modules.Module("t/x"); m.PID != pid || m.Failures > 0 {
		t.Errorf("what ran did not run on: pid %d (was %d), %d failures", m.PID, pid, m.Failures)
	}
	// Another change after what was shown is not approved with it.
	shown := m.Change.Digest
	r.write("modules/t/x/a.sh", strings.Replace(shellAdapter, "DATA", "[3]", 1))
	if _, err := r.as("ann", state.ModuleApprove, "t/x", map[string]string{"digest": shown}); err == nil || !strings.Contains(err.Error(), "changed again") {
		t.Errorf("approving what was shown before: %v", err)
	}
	if _, err := r.as("ann", state.ModuleApprove, "t/x", nil); err == nil {
		t.Error("approving without saying what was accepted")
	}
	c, digest, err := r.e.Modules().Changes("t/x")
	if err != nil || c == nil || c.Digest != digest {
		t.Fatalf("changes: %+v %q %v", c, digest, err)
	}
	out := r.must("ann", state.ModuleApprove, "t/x", map[string]string{"digest": digest})
	if !strings.Contains(out.Result, "fetched 1 item") || out.Undo == nil || out.Undo.Kind != state.ModuleRollback {
		t.Errorf("approve: %+v", out)
	}
	m = r.result("t/x", "[3]")
	if m.Change != nil || m.Versions[0].By != "ann" || m.Versions[0].How != "approved" || len(m.Versions) != 2 {
		t.Errorf("after the yes: %+v %+v", m.Change, m.Versions)
	}
	// Its undo puts back what ran before, and that has an undo too.
	back := r.must("bob", out.Undo.Kind, "t/x", out.Undo.Args)
	m = r.result("t/x", "[1]")
	if m.Versions[0].How != "rolled back" || m.Versions[0].By != "bob" || !m.Versions[0].Approved || !disk.Exists(filepath.Join(r.dir, "modules/t/x/notes.txt")) {
		t.Errorf("after the rollback: %+v", m.Versions)
	}
	r.must("bob", back.Undo.Kind, "t/x", back.Undo.Args)
	r.result("t/x", "[3]")
}

func TestAChangeOutlivesARestartAndCanBePutBack(t *testing.T) {
	files := scriptModule("x", "[1]")
	r := newRig(t, files)
	r.start(Config{Python: "none"})
	r.result("t/x", "[1]")
	r.stop()
	r.write("modules/t/x/a.sh", strings.Replace(shellAdapter, "DATA", "[2]", 1))
	r.start(Config{Python: "none"})
	m := r.module("t/x", "does not start", func(m *state.Module) bool { return m.Change != nil && m.Status == state.ModuleFailed })
	if m.PID != 0 || m.Failures != 0 && m.LastError != "" || m.Decided != state.ModuleInstalled || m.HealthWord != "unhealthy" {
		t.Errorf("it runs, or counts as failing: %+v", m)
	}
	// Its own files again: it starts by itself.
	r.write("modules/t/x/a.sh", files["modules/t/x/a.sh"])
	r.result("t/x", "[1]")
	// A manifest that changed is not followed either, whatever it says.
	r.write("modules/t/x/manifest.json", strings.Replace(files["modules/t/x/manifest.json"], `"version":"1"`, `"version":"2"`, 1))
	m = r.module("t/x", "says that the manifest changed", func(m *state.Module) bool { return m.Change != nil })
	if m.Version != "1" || !slices.Equal(m.Change.Modified, []string{"manifest.json"}) {
		t.Errorf("version %s, %+v", m.Version, m.Change)
	}
	// A rollback without a name puts back what was approved.
	back := r.must("ann", state.ModuleRollback, "t/x", nil)
	m = r.module("t/x", "is as it was", func(m *state.Module) bool { return m.Change == nil && healthy(m) })
	if m.Versions[1].How != "replaced" {
		t.Errorf("what lay there is not kept: %+v", m.Versions)
	}
	if got := read(t, filepath.Join(r.dir, "modules/t/x/manifest.json")); got != files["modules/t/x/manifest.json"] {
		t.Errorf("the manifest is %s", got)
	}
	// Its undo puts the files back, and is no yes to them.
	out := r.must("ann", back.Undo.Kind, "t/x", back.Undo.Args)
	m = r.module("t/x", "is changed again", func(m *state.Module) bool { return m.Change != nil && m.Status == state.ModuleFailed })
	if !strings.Contains(out.Result, "nobody has approved") || m.Version != "1" || m.PID != 0 {
		t.Errorf("%s; version %s, process %d", out.Result, m.Version, m.PID)
	}
}

func TestWithoutApprovalChangesAreTakenAndVersionsKept(t *testing.T) {
	r := newRig(t, scriptModule("x", "[1]"))
	r.start(Config{Python: "none", NoApproval: true})
	r.result("t/x", "[1]")
	r.write("modules/t/x/a.sh", strings.Replace(shellAdapter, "DATA", "[2]", 1))
	r.must("ann", state.ModuleReload, "t/x", nil)
	r.result("t/x", "[2]")
	m := r.module("t/x", "keeps both", func(m *state.Module) bool { return len(m.Versions) == 2 })
	if m.Versions[0].How != "loaded" || m.Change != nil {
		t.Errorf("%+v %+v", m.Versions, m.Change)
	}
	r.must("ann", state.ModuleRollback, "t/x", nil)
	r.result("t/x", "[1]")
}

func TestModuleThatAppearsWaitsWhateverItsManifestSays(t *testing.T) {
	r := newRig(t, scriptModule("x", "[1]"))
	r.start(Config{Python: "none"})
	r.result("t/x", "[1]")
	r.until("the first look is over", func(*state.Snapshot) bool { return r.e.approval.store.Settled() })
	for name, text := range scriptModule("y", "[1]") {
		r.write(name, text)
	}
	m := r.module("t/y", "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	if m.PID != 0 || len(m.Versions) != 0 {
		t.Errorf("%+v", m)
	}
	// Approved and not enabled is a status of its own, and a change takes it away.
	m = r.module("t/y", "has its files", func(m *state.Module) bool { return len(m.Files) == 2 })
	r.must("ann", state.ModuleApprove, "t/y", map[string]string{"digest": m.Digest})
	r.module("t/y", "is approved", func(m *state.Module) bool { return m.Status == state.ModuleApproved })
	r.write("modules/t/y/a.sh", strings.Replace(shellAdapter, "DATA", "[7]", 1))
	r.module("t/y", "is only validated", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	r.must("ann", state.ModuleEnable, "t/y", nil)
	if m = r.result("t/y", "[7]"); m.Versions[0].How != "enabled" || m.Versions[0].By != "ann" {
		t.Errorf("%+v", m.Versions)
	}
}

func TestIdleModuleDoesNotComeBackChanged(t *testing.T) {
	needPython(t)
	files := adapterOf("x", works)
	files["modules/t/x/manifest.json"] = strings.Replace(files["modules/t/x/manifest.json"], `"timeout_seconds"`, `"resident": false, "timeout_seconds"`, 1)
	r := newRig(t, files)
	r.start(Config{})
	r.module("t/x", "is idle", func(m *state.Module) bool { return m.Successes > 0 && m.Runner == "idle" })
	r.write("modules/t/x/helper.py", "import os\n")
	m := r.module("t/x", "is not forked", func(m *state.Module) bool { return m.Failures > 0 })
	if !strings.Contains(m.LastError, "its files changed since") || !slices.Equal(m.Change.Added, []string{"helper.py"}) {
		t.Errorf("%q %+v", m.LastError, m.Change)
	}
	if err := os.Remove(filepath.Join(r.dir, "modules/t/x/helper.py")); err != nil {
		t.Fatal(err)
	}
	r.module("t/x", "is forked again", func(m *state.Module) bool { return m.Status == state.ModuleInstalled && m.Change == nil })
}

func TestValidationFindsWhatIsWrong(t *testing.T) {
	needPython(t)
	manifest := `{
  "name": "x", "version": "1", "category": "t", "platform": "x",
  "python_dependencies": [
    "no-such-distribution-xyz>=2",
    "pip>=9999"
  ], "require_tests": REQUIRE, "requires_api_key": true
}`
	cases := []struct {
		name, adapter, require string
		test                   string
		want                   []string // severity check file:line text, as far as they matter
	}{
		{"syntax", "import os\ndef f(:\n", "false", "", []string{"error|syntax|adapter.py:2|SyntaxError", "warning|credentials"}},
		{"imports", "import os, json\nimport nonexistent_xyz\nimport yaml.nothing\nfrom . import other\nfrom shared.schemas import none\ntry:\n    import guarded_xyz\nexcept ImportError:\n    pass\ndef f():\n    import later_xyz\nclass A: pass\n", "false", "",
			[]string{"error|dependencies|adapter.py:2|nonexistent_xyz", "error|dependencies|adapter.py:4|relative", "error|dependencies|adapter.py:5|shared.schemas", "warning|dependencies|adapter.py:7|guarded_xyz", "warning|class|adapter.py:1"}},
		{"declared", "class A: pass\n", "false", "", []string{"error|dependencies|manifest.json:4|no-such-distribution-xyz"}},
		{"helper", "import helper\nclass A: pass\n", "false", "", []string{"error|syntax|helper.py:1"}},
		{"tests", strings.TrimPrefix(works, "\n"), "true", "def test_no():\n    assert 1 == 2\n", []string{"error|tests|test_adapter.py:2|1 failed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(manifest, "REQUIRE", c.require, 1)
			if c.name == "tests" {
				text = `{"name": "x", "version": "1", "category": "t", "platform": "x", "require_tests": true}`
			}
			files := map[string]string{"modules/t/x/manifest.json": text, "modules/t/x/adapter.py": "from shared.adapters.base import *\n" + c.adapter}
			if c.name != "tests" {
				files["modules/t/x/adapter.py"] = c.adapter
			}
			if c.name == "helper" {
				files["modules/t/x/helper.py"] = "def f(:\n"
			}
			if c.test != "" {
				files["modules/t/x/test_adapter.py"] = c.test
			}
			r := newRig(t, files)
			r.start(Config{})
			r.module("t/x", "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
			_, err := r.as("ann", state.ModuleEnable, "t/x", nil)
			if err == nil || !strings.Contains(err.Error(), "it was refused") {
				t.Errorf("enable: %v", err)
			}
			m := r.module("t/x", "is failed", func(m *state.Module) bool { return m.Status == state.ModuleFailed && m.Decided == state.ModuleFailed })
			var got []string
			for _, f := range m.Findings {
				got = append(got, f.Severity+"|"+f.Check+"|"+f.Place()+"|"+f.Text)
			}
			for _, want := range c.want {
				parts := strings.Split(want, "|")
				if !slices.ContainsFunc(got, func(g string) bool {
					return strings.HasPrefix(g, strings.Join(parts[:min(3, len(parts))], "|")) && (len(parts) < 4 || strings.Contains(g, parts[3]))
				}) {
					t.Errorf("%q is not among\n%s", want, strings.Join(got, "\n"))
				}
			}
			for _, g := range got {
				if strings.Contains(g, "later_xyz") {
					t.Errorf("an import inside a function counts: %s", g)
				}
			}
			if len(m.Versions) != 0 || m.PID != 0 {
				t.Errorf("what was refused was approved, or runs: %+v", m.Versions)
			}
		})
	}
}

func TestRefusedModuleIsWellAgainWhenItIsMended(t *testing.T) {
	needPython(t)
	files := adapterOf("x", "def f(:\n")
	files["modules/t/x/manifest.json"] = strings.Replace(files["modules/t/x/manifest.json"], `"status": "installed", `, "", 1)
	r := newRig(t, files)
	r.start(Config{})
	r.module("t/x", "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	if _, err := r.as("ann", state.ModuleEnable, "t/x", nil); err == nil {
		t.Fatal("it was enabled")
	}
	r.module("t/x", "says why", func(m *state.Module) bool { return strings.Contains(m.Reason, "adapter.py:3: SyntaxError") })
	r.write("modules/t/x/adapter.py", adapterOf("x", works)["modules/t/x/adapter.py"])
	m := r.module("t/x", "is validated by itself", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
	if len(m.Findings) != 0 || m.Checked.IsZero() {
		t.Errorf("findings %+v, checked %s", m.Findings, m.Checked)
	}
	r.must("ann", state.ModuleEnable, "t/x", nil)
	r.module("t/x", "runs", healthy)
}

func TestLinksThatLeadOutAreRefused(t *testing.T) {
	r := newRig(t, scriptModule("x", "[1]"))
	outside := filepath.Join(r.dir, "secret.py")
	if err := errors.Join(os.WriteFile(outside, []byte("x = 1\n"), 0o644), os.Symlink(outside, filepath.Join(r.dir, "modules/t/x/out.py")),
		os.Symlink("a.sh", filepath.Join(r.dir, "modules/t/x/in.sh"))); err != nil {
		t.Fatal(err)
	}
	c, err := version.Read(filepath.Join(r.dir, "modules/t/x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Problems) != 1 || !strings.Contains(c.Problems[0], "out.py is a link that leads out") || c.Part("in.sh") == nil || c.Part("in.sh").Link != "a.sh" {
		t.Errorf("problems %q, parts %+v", c.Problems, c.Parts)
	}
	r.start(Config{Python: "none"})
	r.result("t/x", "[1]") // it came with the workspace
	r.must("ann", state.ModuleDisable, "t/x", nil)
	if _, err := r.as("ann", state.ModuleEnable, "t/x", nil); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("enable: %v", err)
	}
}

func TestScaffoldedModulesPassTheirTestsAndValidation(t *testing.T) {
	needPython(t)
	r := newRig(t, nil)
	modules := filepath.Join(r.dir, "modules")
	for _, shape := range Shapes {
		if _, err := Scaffold(modules, "demo/my-"+shape, shape); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"../x", "a/../b", "a", "a/b/c", "/a", ".a/b", "demo/my-full", "a/b\x1b[2J"} {
		if _, err := Scaffold(modules, bad, "full"); err == nil {
			t.Errorf("%q was written", bad)
		}
	}
	r.start(Config{Interval: time.Hour})
	for _, shape := range Shapes {
		id := "demo/my-" + shape
		r.module(id, "waits", func(m *state.Module) bool { return m.Status == state.ModuleValidated })
		r.must("ann", state.ModuleTest, id, nil)
		m := r.module(id, "was tested", func(m *state.Module) bool { return m.Tests != nil })
		if !m.Tests.OK() {
			t.Errorf("%s: %+v", id, m.Tests)
		}
		r.must("ann", state.ModuleValidate, id, nil)
		if m = r.module(id, "was validated", func(m *state.Module) bool { return !m.Checked.IsZero() }); len(m.Findings) > 0 {
			t.Errorf("%s: %+v", id, m.Findings)
		}
		if shape != "http" { // nothing answers there
			if out := r.must("ann", state.ModuleEnable, id, nil); !strings.Contains(out.Result, "fetched 1 item") {
				t.Errorf("%s: %s", id, out.Result)
			}
		}
	}
}

func TestModulesTestsAreRunAsAdaptersAre(t *testing.T) {
	needPython(t)
	t.Setenv("MODULE_ENCRYPTION_KEY", "not-for-tests")
	files := adapterOf("x", works)
	files["modules/t/x/test_adapter.py"] = `import asyncio, os, unittest
from adapter import A

def test_passes():
    assert A().transform(1) == [1]

async def test_async():
    await asyncio.sleep(0)
    assert "MODULE_ENCRYPTION_KEY" not in os.environ

def test_fails():
    print("something printed")
    assert {"a": 1} == {"a": 2}, "they differ"

def test_with_fixture(tmp_path):
    pass

class Cases(unittest.TestCase):
    def test_inside(self):
        self.assertEqual(1, 2)
    @unittest.skip("not now")
    def test_skipped(self):
        pass
`
	for name, text := range adapterOf("none", works) {
		files[name] = text
	}
	for name, text := range adapterOf("dies", works) {
		files[name] = text
	}
	files["modules/t/dies/test_adapter.py"] = "import os\ndef test_it():\n    os._exit(3)\n"
	r := newRig(t, files)
	r.start(Config{Interval: time.Hour})
	r.module("t/x", "runs", healthy)
	r.must("ann", state.ModuleTest, "t/x", nil)
	run := r.module("t/x", "was tested", func(m *state.Module) bool { return m.Tests != nil }).Tests
	if run.With == "unittest" && (run.Passed != 2 || run.Failed != 2 || run.Skipped != 2) {
		t.Errorf("%+v", run)
	}
	for test, line := range map[string]int{"test_fails": 13, "test_inside": 20} {
		i := slices.IndexFunc(run.Failures, func(f state.TestFailure) bool { return strings.Contains(f.Test, test) })
		if i < 0 || run.Failures[i].File != "test_adapter.py" || run.Failures[i].Line != line || !strings.Contains(run.Failures[i].Text, "AssertionError") {
			t.Errorf("%s: %+v", test, run.Failures)
		}
	}
	if run.With == "unittest" && !strings.Contains(run.Output, "something printed") {
		t.Errorf("output %q", run.Output)
	}
	if _, err := r.as("ann", state.ModuleTest, "t/none", nil); err == nil || !strings.Contains(err.Error(), "test_adapter.py is not there") {
		t.Errorf("without tests: %v", err)
	}
	if _, err := r.as("ann", state.ModuleTest, "t/dies", nil); err == nil || !strings.Contains(err.Error(), "exited with code 3") {
		t.Errorf("tests that end the interpreter: %v", err)
	}
}
