package engine

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed validate.py
var validateText string

const (
	// checkPatience bounds the check of one module's Python.
	checkPatience = 30 * time.Second
	// maxFindings bounds what is kept of a validation.
	maxFindings = 100
	// maxCompiled bounds how many Python files beside the adapter are compiled.
	maxCompiled = 200
)

func refusing(f state.ModuleFinding) bool { return f.Severity == "error" }

// refusal returns what findings that refuse a module say together.
func refusal(found []state.ModuleFinding) string {
	var bad, warn []string
	for _, f := range found {
		if refusing(f) {
			bad = append(bad, f.String())
		} else {
			warn = append(warn, f.String())
		}
	}
	out := plural(len(bad), "error") + ": " + strings.Join(bad[:min(len(bad), 10)], "; ")
	if len(warn) > 0 {
		out += "; " + plural(len(warn), "warning") + ": " + strings.Join(warn[:min(len(warn), 5)], "; ")
	}
	return out
}

// tallied returns findings in a few words.
func tallied(found []state.ModuleFinding) string {
	bad := 0
	for _, f := range found {
		if refusing(f) {
			bad++
		}
	}
	if len(found) == 0 {
		return "nothing is wrong with it"
	}
	return plural(bad, "error") + ", " + plural(len(found)-bad, "warning")
}

// validateModule carries out the action.
func (e *Engine) validateModule(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("checking its files", -1)
	e.discovery.inspect(ctx, m, nil)
	found := e.checks.validate(ctx, m, true)
	if ctx.Err() != nil {
		return state.Outcome{}, context.Cause(ctx)
	}
	e.mu.Lock()
	status := m.status
	m.note(time.Now(), "validated: %s", tallied(found))
	e.mu.Unlock()
	bad := slices.ContainsFunc(found, refusing)
	switch {
	case bad && slices.Contains(unsettled, status):
		_ = e.move(ctx, m, evCheck, evRefuse)
	case !bad && status == state.ModuleFailed, !bad && status == state.ModulePending:
		_ = e.move(ctx, m, evCheck, evPass)
	}
	out := tallied(found)
	if bad {
		out += "; the first: " + found[0].String()
	}
	return state.Outcome{Result: out}, nil
}

// unsettled are the statuses in which nothing was decided yet: what a check finds
// moves the module.
var unsettled = []state.ModuleStatus{state.ModulePending, state.ModuleValidating, state.ModuleValidated, state.ModuleApproved, state.ModuleFailed}
