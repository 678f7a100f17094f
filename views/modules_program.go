package views

import (
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// changedWord returns what a filter finds a module by whose files changed.
func changedWord(m *state.Module) string {
	if m.Change != nil {
		return "changed"
	}
	return ""
}

// moduleChanges draws how its files differ from what was approved.
func moduleChanges(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	t := d.Env.Theme
	c := m.Change
	if c == nil {
		d.Text(t.Dim, "its files: "+m.Approval())
		for _, f := range m.Files {
			d.KV(pane.FiguresOf(t).Bytes(float64(f.Size)), t.Text, f.Name)
		}
		return
	}
	d.KV("changed", t.Warn, c.Summary())
	d.KV("added", t.Text, strings.Join(c.Added, ", "))
	d.KV("removed", t.Text, strings.Join(c.Removed, ", "))
	d.KV("edited", t.Text, strings.Join(c.Modified, ", "))
	by := ""
	if c.By != "" {
		by = " by " + c.By
	}
	d.KV("approved", t.Text, fmt.Sprintf("%.12s%s, %s", c.Approved, by, d.Env.When(c.At)))
	d.KV("on disk", t.Text, fmt.Sprintf("%.12s", c.Digest))
	d.Gap()
	for line := range strings.Lines(c.Diff) {
		if len(d.Lines) >= pane.MaxDocLines {
			break
		}
		line = strings.TrimRight(line, "\n")
		ink := t.Text
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			ink = t.Strong
		case strings.HasPrefix(line, "@@"):
			ink = t.Info
		case strings.HasPrefix(line, "+"):
			ink = t.Good
		case strings.HasPrefix(line, "-"):
			ink = t.Bad
		}
		d.Text(ink, line)
	}
}

// moduleFindings draws what its last validation and its last tests found.
func moduleFindings(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	t := d.Env.Theme
	switch {
	case m.Checked.IsZero():
		d.Text(t.Dim, "it was not validated since the engine started")
	case len(m.Findings) == 0:
		d.Text(t.Good, t.OK+" nothing is wrong with it, "+d.Env.When(m.Checked))
	default:
		d.Text(t.Dim, "validated "+d.Env.When(m.Checked))
	}
	for _, f := range m.Findings {
		mark, ink := t.Caution, t.Warn
		if f.Severity == "error" {
			mark, ink = t.Wrong, t.Bad
		}
		d.Gap()
		d.Text(ink, mark+" "+f.Severity+": "+f.Check)
		d.KV("where", t.Text, f.Place())
		d.KV("what", t.Text, f.Text)
		d.KV("remedy", t.Text, f.Remedy)
	}
	r := m.Tests
	if r == nil {
		return
	}
	ink := t.Good
	if !r.OK() {
		ink = t.Bad
	}
	d.Head("Tests, " + d.Env.When(r.At))
	d.Text(ink, r.Summary())
	for _, f := range r.Failures {
		d.Gap()
		d.Text(t.Bad, t.Wrong+" "+f.Test)
		if f.File != "" {
			d.KV("where", t.Text, fmt.Sprintf("%s:%d", f.File, f.Line))
		}
		d.KV("what", t.Text, f.Text)
	}
	if r.Output != "" {
		d.Head("Printed")
		d.Text(t.Text, r.Output)
	}
}

// moduleVersions draws the versions of its files that are kept.
func moduleVersions(d *pane.Doc, _ *state.Snapshot, m *state.Module) {
	t := d.Env.Theme
	if len(m.Versions) == 0 {
		d.Text(t.Dim, "no version is kept: enabling it keeps the first")
	}
	for _, v := range m.Versions {
		text, ink := v.How, t.Text
		if v.By != "" {
			text += " by " + v.By
		}
		text += ", " + d.Env.When(v.At)
		if v.Version != "" {
			text += ", version " + v.Version
		}
		text += fmt.Sprintf(", %d files of %s", v.Files, pane.FiguresOf(t).Bytes(float64(v.Bytes)))
		if v.Approved {
			text += ", approved"
			ink = t.Good
		}
		if v.OnDisk {
			text += ", on disk"
		}
		d.KV(v.Digest[:min(len(v.Digest), 12)], ink, text)
	}
}
