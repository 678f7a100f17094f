package engine

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed testshim.py
var testshimText string

// testPatience bounds one run of a module's tests.
const testPatience = 2 * time.Minute

// maxTestOutput is how much of what tests print is kept, in bytes.
const maxTestOutput = 16 << 10

// runTests runs a module's tests as its adapter would run, without credentials, and
// records what came of them.
func (e *Engine) runTests(ctx context.Context, m *module, man *Manifest) *state.TestRun {
	from := time.Now()
	run := &state.TestRun{At: from}
	file := filepath.Join(m.dir, filepath.FromSlash(man.TestFile))
	printed := ""
	switch _, err := adapter.EntryPoint(m.dir, man.TestFile); {
	case !disk.Exists(file):
		run.Err = fmt.Sprintf("it has no tests: %s is not there", e.rel(file))
	case err != nil:
		run.Err = strings.Replace(err.Error(), "entry point", "test file", 1)
	default:
		given := map[string]any{"dir": m.dir, "workspace": e.cfg.Workspace, "shared": e.cfg.SharedDir, "test_file": man.TestFile,
			"category": m.category, "platform": m.platform, "settings": man.Settings}
		var data json.RawMessage
		data, printed, err = e.errand(ctx, m, testshimText, given, man.limits(), testPatience)
		if err == nil {
			err = json.Unmarshal(data, run)
		}
		if err != nil {
			run.Err = "its tests could not be run: " + err.Error()
		}
	}
	if len(printed) > maxTestOutput {
		printed = "... (cut)\n" + strings.ToValidUTF8(printed[len(printed)-maxTestOutput:], "")
	}
	run.At, run.Took, run.Output, run.Err = from, time.Since(from), e.clean(printed), e.clean(run.Err)
	for i := range run.Failures {
		f := &run.Failures[i]
		f.Test, f.File, f.Text = e.clean(f.Test), e.clean(f.File), e.clean(f.Text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m.tests = run
	m.note(time.Now(), "its tests: %s", run.Summary())
	e.touched(m)
	return run
}

// testModule is the action.
func (e *Engine) testModule(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	man, err := e.manifests.read(m.dir, e.rel(m.dir)+"/manifest.json", m.category, m.platform)
	if err != nil {
		return state.Outcome{}, err
	}
	progress("running its tests", -1)
	run := e.runTests(ctx, m, man)
	if ctx.Err() != nil {
		return state.Outcome{}, context.Cause(ctx)
	}
	if run.Err != "" {
		return state.Outcome{}, fmt.Errorf("%s", run.Err)
	}
	out := run.Summary()
	if len(run.Failures) > 0 {
		f := run.Failures[0]
		first, _, _ := strings.Cut(f.Text, "\n")
		out += fmt.Sprintf("; the first: %s (%s:%d): %s", f.Test, f.File, f.Line, first)
	}
	return state.Outcome{Result: out}, nil
}
