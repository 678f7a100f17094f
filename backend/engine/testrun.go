package engine

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed testshim.py
var testshimText string

// testPatience bounds one run of a module's tests.
const testPatience = 2 * time.Minute

// maxTestOutput is how much of what tests print is kept, in bytes.
const maxTestOutput = 16 << 10

// testModule carries out the action.
func (e *Engine) testModule(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	man, err := e.manifests.read(m.dir, e.rel(m.dir)+"/manifest.json", m.category, m.platform)
	if err != nil {
		return state.Outcome{}, err
	}
	progress("running its tests", -1)
	run := e.checks.runTests(ctx, m, man)
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
