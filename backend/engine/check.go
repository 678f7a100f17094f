package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/engine/version"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// checker finds what is wrong with a module as it lies on disk.
type checker struct {
	*fleet
	approval *approval
	vault    *vault
	fetcher  *fetcher
}

// validate checks a module as it lies on disk, and records what it found. Nothing of
// the module is executed but its tests, where they are asked for. The caller holds m.op.
func (ck *checker) validate(ctx context.Context, m *module, tests bool) []state.ModuleFinding {
	tree, err := ck.approval.look(m)
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
	man, err := ck.manifests.read(m.dir, "manifest.json", m.category, m.platform)
	var ps document.Problems
	if errors.As(err, &ps) {
		for _, p := range ps {
			text := p.Text
			if len(p.Path) > 0 {
				text = strings.Join(p.Path, ".") + ": " + text
			}
			add("error", "manifest", p.File, p.Line, text, "fix the manifest")
		}
	} else if err != nil {
		add("error", "manifest", "manifest.json", 0, err.Error(), "fix the manifest")
	}
	if man != nil && tree != nil {
		ck.checkProgram(ctx, m, man, tree, add)
		ck.checkCredentials(m, man, add)
		if (man.RequireTests || ck.cfg.RequireTests) && tests && !slices.ContainsFunc(found, refusing) {
			if run := ck.runTests(ctx, m, man); !run.OK() {
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
	ck.metrics.validation(!bad)
	ck.mu.Lock()
	defer ck.mu.Unlock()
	for i := range found {
		f := &found[i]
		f.File, f.Text, f.Remedy = ck.clean(f.File), ck.clean(f.Text), ck.clean(f.Remedy)
	}
	m.findings, m.checked, m.recheck = found, time.Now(), false
	ck.touched(m)
	return found
}

// checkProgram checks the entry point, and Python's syntax and imports.
func (ck *checker) checkProgram(ctx context.Context, m *module, man *Manifest, tree *version.Content, add func(severity, check, file string, line int, text, remedy string)) {
	if man.HTTP != nil {
		return
	}
	if _, err := adapter.EntryPoint(m.dir, man.EntryPoint); err != nil {
		add("error", "entry point", man.EntryPoint, 0, err.Error(), "put it there, or name another in the manifest")
		return
	}
	if !man.Python() {
		if fi, err := os.Stat(filepath.Join(m.dir, man.EntryPoint)); err == nil && fi.Mode()&0o111 == 0 {
			add("error", "entry point", man.EntryPoint, 0, "an entry point that does not end in .py must be executable", "chmod +x "+ck.rel(filepath.Join(m.dir, man.EntryPoint)))
		}
		return
	}
	files := []string{man.EntryPoint}
	for _, p := range tree.Parts {
		if strings.HasSuffix(p.Name, ".py") && p.Name != man.EntryPoint && p.Link == "" && p.Sum != "" && len(files) < maxCompiled {
			files = append(files, p.Name)
		}
	}
	given := map[string]any{"dir": m.dir, "workspace": ck.cfg.Workspace, "shared": ck.cfg.SharedDir, "entry_point": man.EntryPoint,
		"class_name": man.ClassName, "files": files, "dependencies": append([]string{}, man.Dependencies...)}
	data, _, err := ck.fetcher.task(ctx, m, validateText, given, man.limits(), checkPatience)
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
func (ck *checker) checkCredentials(m *module, man *Manifest, add func(severity, check, file string, line int, text, remedy string)) {
	if !man.NeedsCredentials {
		return
	}
	store := ck.vault.storeNow()
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

// runTests runs a module's tests as its adapter would run, without credentials, and
// records their results.
func (ck *checker) runTests(ctx context.Context, m *module, man *Manifest) *state.TestRun {
	from := time.Now()
	run := &state.TestRun{At: from}
	file := filepath.Join(m.dir, filepath.FromSlash(man.TestFile))
	printed := ""
	switch _, err := adapter.EntryPoint(m.dir, man.TestFile); {
	case !disk.Exists(file):
		run.Err = fmt.Sprintf("it has no tests: %s is not there", ck.rel(file))
	case err != nil:
		run.Err = strings.Replace(err.Error(), "entry point", "test file", 1)
	default:
		given := map[string]any{"dir": m.dir, "workspace": ck.cfg.Workspace, "shared": ck.cfg.SharedDir, "test_file": man.TestFile,
			"category": m.category, "platform": m.platform, "settings": man.Settings}
		var data json.RawMessage
		data, printed, err = ck.fetcher.task(ctx, m, testshimText, given, man.limits(), testPatience)
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
	run.At, run.Took, run.Output, run.Err = from, time.Since(from), ck.clean(printed), ck.clean(run.Err)
	for i := range run.Failures {
		f := &run.Failures[i]
		f.Test, f.File, f.Text = ck.clean(f.Test), ck.clean(f.File), ck.clean(f.Text)
	}
	ck.mu.Lock()
	defer ck.mu.Unlock()
	m.tests = run
	m.note(time.Now(), "its tests: %s", run.Summary())
	ck.touched(m)
	return run
}
