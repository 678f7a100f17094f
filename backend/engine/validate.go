package engine

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/secrets"
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

// errand runs one of the engine's own Python programs in a process as adapters have
// it: under their limits, without credentials, killed with its children. It gives
// what its main returned, and what was printed.
func (e *Engine) errand(ctx context.Context, m *module, code string, given any, lim adapter.Limits, patience time.Duration) (data json.RawMessage, printed string, err error) {
	e.mu.Lock()
	if e.life == nil {
		e.mu.Unlock()
		return nil, "", errNotRunning
	}
	e.wg.Add(1) // Run waits for it
	life, wg, launcher := e.life, e.wg, e.launcher
	e.mu.Unlock()
	defer wg.Done()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it did not end within %s, and was killed", patience))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(life, func() { stop(errStopping) })()
	py, err := e.interpreterNow().Await(ctx)
	if err != nil {
		return nil, "", err
	}
	return launcher.RunTask(ctx, py, m.dir, code, given, lim)
}

// validate checks a module as it lies on disk, and records what it found. Nothing of
// the module is executed but its tests, where they are asked for. The caller holds m.op.
func (e *Engine) validate(ctx context.Context, m *module, tests bool) []state.ModuleFinding {
	tree, err := e.look(m)
	var found []state.ModuleFinding
	add := func(severity, check, file string, line int, text, remedy string) {
		found = append(found, state.ModuleFinding{Severity: severity, Check: check, File: file, Line: line, Text: text, Remedy: remedy})
	}
	if err != nil {
		add("error", "files", "", 0, "its folder cannot be read: "+err.Error(), "")
	} else {
		for _, p := range tree.Problems {
			add("error", "files", "", 0, p, "")
		}
	}
	man, err := e.manifests.read(m.dir, "manifest.json", m.category, m.platform)
	var ps document.Problems
	if errors.As(err, &ps) {
		for _, p := range ps {
			text := p.Text
			if len(p.Path) > 0 {
				text = strings.Join(p.Path, ".") + ": " + text
			}
			add("error", "manifest", p.File, p.Line, text, "mend the manifest")
		}
	} else if err != nil {
		add("error", "manifest", "manifest.json", 0, err.Error(), "mend the manifest")
	}
	if man != nil && tree != nil {
		e.checkProgram(ctx, m, man, tree, add)
		e.checkCredentials(m, man, add)
		if (man.RequireTests || e.cfg.RequireTests) && tests && !slices.ContainsFunc(found, refusing) {
			if run := e.runTests(ctx, m, man); !run.OK() {
				file, line := man.TestFile, 0
				if len(run.Failures) > 0 {
					file, line = cmp.Or(run.Failures[0].File, file), run.Failures[0].Line
				}
				add("error", "tests", file, line, "its tests do not pass: "+run.Summary(), "see what failed: opsdeck modules test "+m.id)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b state.ModuleFinding) int { return cmp.Compare(a.Severity, b.Severity) })
	found = found[:min(len(found), maxFindings)]
	bad := slices.ContainsFunc(found, refusing)
	e.metrics.validation(!bad)
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range found {
		f := &found[i]
		f.File, f.Text, f.Remedy = e.clean(f.File), e.clean(f.Text), e.clean(f.Remedy)
	}
	m.findings, m.checked, m.recheck = found, time.Now(), false
	e.touched(m)
	return found
}

func refusing(f state.ModuleFinding) bool { return f.Severity == "error" }

// checkProgram checks the entry point, and Python's syntax and imports.
func (e *Engine) checkProgram(ctx context.Context, m *module, man *Manifest, tree *version.Content, add func(severity, check, file string, line int, text, remedy string)) {
	if man.HTTP != nil {
		return
	}
	if _, err := adapter.EntryPoint(m.dir, man.EntryPoint); err != nil {
		add("error", "entry point", man.EntryPoint, 0, err.Error(), "put it there, or name another in the manifest")
		return
	}
	if !man.Python() {
		if fi, err := os.Stat(filepath.Join(m.dir, man.EntryPoint)); err == nil && fi.Mode()&0o111 == 0 {
			add("error", "entry point", man.EntryPoint, 0, "an entry point that does not end in .py must be executable", "chmod +x "+e.rel(filepath.Join(m.dir, man.EntryPoint)))
		}
		return
	}
	files := []string{man.EntryPoint}
	for _, p := range tree.Parts {
		if strings.HasSuffix(p.Name, ".py") && p.Name != man.EntryPoint && p.Link == "" && p.Sum != "" && len(files) < maxCompiled {
			files = append(files, p.Name)
		}
	}
	given := map[string]any{"dir": m.dir, "workspace": e.cfg.Workspace, "shared": e.cfg.SharedDir, "entry_point": man.EntryPoint,
		"class_name": man.ClassName, "files": files, "dependencies": append([]string{}, man.Dependencies...)}
	data, _, err := e.errand(ctx, m, validateText, given, man.limits(), checkPatience)
	var list []state.ModuleFinding
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		add("warning", "syntax", man.EntryPoint, 0, "its Python could not be checked: "+err.Error(), "")
		return
	}
	for _, f := range list {
		add(f.Severity, f.Check, f.File, f.Line, f.Text, f.Remedy)
	}
}

// checkCredentials compares the names that are stored with those that it wants.
func (e *Engine) checkCredentials(m *module, man *Manifest, add func(severity, check, file string, line int, text, remedy string)) {
	if !man.NeedsCredentials {
		return
	}
	store := e.storeNow()
	info, err := store.Info(m.id)
	switch {
	case errors.Is(err, secrets.ErrNone):
		add("warning", "credentials", "", 0, "it authenticates, and no credentials are stored for it", "opsdeck credentials set "+m.id)
	case store.Locked() != "":
		add("warning", "credentials", "", 0, "the credential store is locked: whether it has what it needs cannot be told", "opsdeck credentials unlock")
	case err != nil:
		add("warning", "credentials", "", 0, "its credentials cannot be read: "+err.Error(), "")
	default:
		for _, name := range man.Required {
			if !slices.Contains(info.Fields, name) {
				add("error", "credentials", "", 0, fmt.Sprintf("its credentials have no field %q", name), "opsdeck credentials set "+m.id)
			}
		}
	}
}

// refusal is what findings that refuse a module say together.
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

// tallied is findings in a few words.
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

// validateModule is the action.
func (e *Engine) validateModule(ctx context.Context, m *module, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("checking its files", -1)
	e.inspect(ctx, m, nil)
	found := e.validate(ctx, m, true)
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
