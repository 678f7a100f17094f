package state

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// ModuleFinding is one thing that a validation of a module found.
type ModuleFinding struct {
	// Severity is "error", which refuses the module, or "warning".
	Severity string `json:"severity"`
	// Check is "manifest", "files", "entry point", "syntax", "class", "dependencies",
	// "credentials" or "tests".
	Check string `json:"check"`
	// File and Line say where, from 1; "" and 0 where nowhere in particular.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Text says what is wrong, Remedy what to do about it.
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Place is "file:line", as far as they are known.
func (f ModuleFinding) Place() string {
	if f.File == "" || f.Line <= 0 {
		return f.File
	}
	return f.File + ":" + strconv.Itoa(f.Line)
}

// String returns the finding in one line: where, what, and what to do.
func (f ModuleFinding) String() string {
	out := f.Text
	if p := f.Place(); p != "" {
		out = p + ": " + out
	}
	if f.Remedy != "" {
		out += " (" + f.Remedy + ")"
	}
	return out
}

// ProgramFile is one file of a module's program: what it runs, and is set up by.
type ProgramFile struct {
	// Name is its path in the module's folder.
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
}

// ProgramChange is how a module's files differ from what was approved.
type ProgramChange struct {
	// Digest names what lies on disk: approving is approving that.
	Digest string `json:"digest"`
	// Approved names what was approved, By whom and At what time.
	Approved string    `json:"approved"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at"`
	// Added, Removed and Modified are files' names; Plus and Minus count lines.
	Added    []string `json:"added,omitempty"`
	Removed  []string `json:"removed,omitempty"`
	Modified []string `json:"modified,omitempty"`
	Plus     int      `json:"plus"`
	Minus    int      `json:"minus"`
	// ControlHeldBy says that they wait for a yes, as the workspace wants it.
	Held bool `json:"held,omitempty"`
	// Diff is a unified diff, cleaned and masked, cut at 64 KiB.
	Diff string `json:"diff"`
}

// Why says what holds the module back.
func (c *ProgramChange) Why() string {
	by := "they were approved"
	if c.By != "" {
		by = c.By + " approved them"
	}
	return "its files changed since " + by + " on " + c.At.UTC().Format("2006-01-02 15:04 MST") + ": see its Changes, then approve them"
}

// Summary returns the change in one line.
func (c *ProgramChange) Summary() string {
	out := ""
	for _, s := range []struct {
		n    int
		word string
	}{{len(c.Added), "added"}, {len(c.Removed), "removed"}, {len(c.Modified), "changed"}} {
		if s.n == 0 {
			continue
		}
		if out != "" {
			out += ", "
		}
		out += strconv.Itoa(s.n) + " " + s.word
	}
	return out + "; +" + strconv.Itoa(c.Plus) + " -" + strconv.Itoa(c.Minus) + " lines"
}

// Approval says of files that Change does not tell of whether they were approved.
func (m *Module) Approval() string {
	if slices.ContainsFunc(m.Versions, func(v ProgramVersion) bool { return v.Approved && v.OnDisk }) {
		return "as they were approved"
	}
	return "no approval of them is on record"
}

// ProgramVersion is one version of a module's files that is kept.
type ProgramVersion struct {
	// Digest names it.
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	// How it came to be kept: "found", "enabled", "approved", "rolled back", "loaded" or
	// "replaced"; By whom.
	How string `json:"how"`
	By  string `json:"by,omitempty"`
	// Version is what its manifest calls it.
	Version string `json:"version,omitempty"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"`
	// Approved says that it may run, OnDisk that it lies in the module's folder.
	Approved bool `json:"approved,omitempty"`
	OnDisk   bool `json:"on_disk,omitempty"`
}

// TestRun is the result of a module's own tests.
type TestRun struct {
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took"`
	// With is what ran them: "pytest" or "unittest".
	With    string `json:"with,omitempty"`
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Skipped int    `json:"skipped"`
	// Failures are the first 50 that failed; Output the end of what they printed.
	Failures []TestFailure `json:"failures,omitempty"`
	Output   string        `json:"output,omitempty"`
	// Err says why they could not be run; "" when they were.
	Err string `json:"err,omitempty"`
}

// TestFailure is one test that failed.
type TestFailure struct {
	Test string `json:"test"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

// OK reports whether tests were run and none failed.
func (t *TestRun) OK() bool { return t != nil && t.Err == "" && t.Failed == 0 && t.Passed > 0 }

// Summary returns the run in one line.
func (t *TestRun) Summary() string {
	if t.Err != "" {
		return t.Err
	}
	out := strconv.Itoa(t.Passed) + " passed"
	if t.Failed > 0 {
		out += ", " + strconv.Itoa(t.Failed) + " failed"
	}
	if t.Skipped > 0 {
		out += ", " + strconv.Itoa(t.Skipped) + " skipped"
	}
	return out + " in " + t.Took.Round(time.Millisecond).String()
}

// programImpact says what would run.
func programImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	var out []string
	if c := m.Change; c != nil {
		out = append(out, "its files changed since "+c.At.UTC().Format(time.DateOnly)+": "+c.Summary()+"; this approves them")
	}
	var size int64
	var names []string
	for i, f := range m.Files {
		if size += f.Size; i < 8 {
			names = append(names, f.Name+" ("+strconv.FormatInt(f.Size, 10)+" bytes)")
		}
	}
	if n := len(m.Files) - len(names); n > 0 {
		names = append(names, "and "+strconv.Itoa(n)+" more")
	}
	if len(names) > 0 {
		out = append(out, "this will run: "+strings.Join(names, ", "))
	}
	return append(append(out, findingsImpact(m)...), LastDone(s, t)...)
}

// findingsImpact tells of the last validation.
func findingsImpact(m *Module) []string {
	var out []string
	for i, f := range m.Findings {
		if i == 4 {
			out = append(out, strconv.Itoa(len(m.Findings)-i)+" more findings")
			break
		}
		out = append(out, f.Severity+": "+f.String())
	}
	return out
}

func changeImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	c := m.Change
	if c == nil {
		return programImpact(s, t)
	}
	out := []string{c.Summary()}
	for _, l := range []struct {
		word  string
		names []string
	}{{"added", c.Added}, {"removed", c.Removed}, {"changed", c.Modified}} {
		if len(l.names) > 0 {
			out = append(out, l.word+": "+strings.Join(l.names[:min(len(l.names), 8)], ", "))
		}
	}
	by := " as it was found"
	if c.By != "" {
		by = " by " + c.By
	}
	out = append(out, "approved before: "+c.Approved[:min(len(c.Approved), 12)]+by+", "+c.At.UTC().Format("2006-01-02 15:04 MST"))
	return append(append(out, findingsImpact(m)...), LastDone(s, t)...)
}

func testImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	out := []string{"its tests run as its adapter does: under limits, and without credentials"}
	if m.Change != nil {
		out = append(out, "they, and what they test, changed since they were approved: "+m.Change.Summary())
	}
	return out
}

// previous returns the version that a rollback leads to where none is named.
func previous(m *Module) string {
	past := false
	for _, v := range m.Versions {
		if past && !v.OnDisk || m.Change != nil && v.Approved {
			return v.Digest
		}
		past = past || v.Approved
	}
	return ""
}

func rollbackImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	out := []string{"the program files in " + m.Dir + " are replaced, and its data files stay; what lies there now is kept as a version"}
	for i, v := range m.Versions {
		if i == 5 {
			break
		}
		line := v.Digest[:min(len(v.Digest), 12)] + " " + v.How
		if v.By != "" {
			line += " by " + v.By
		}
		line += ", " + v.At.UTC().Format("2006-01-02 15:04 MST")
		if v.OnDisk {
			line += ", is on disk"
		}
		out = append(out, line)
	}
	return append(out, moduleImpact(s, t)...)
}
