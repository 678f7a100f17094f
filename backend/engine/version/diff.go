package version

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"github.com/opsdeck/opsdeck/backend/state"
)

// maxProgramDiff bounds a diff that is shown, in bytes.
const maxProgramDiff = 64 << 10

// Diff returns how the program in dir, read as tree, differs from a version. clean makes
// text from files fit to be published.
func (s *Store) Diff(dir string, a *Version, tree *Content, clean func(string) string) *state.ProgramChange {
	c := &state.ProgramChange{Digest: tree.Digest, Approved: a.Digest, By: clean(a.By), At: a.At}
	var names []string
	for _, p := range append(slices.Clone(a.Parts), tree.Parts...) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	root, err := os.OpenRoot(dir)
	if err == nil {
		defer root.Close()
	}
	var b strings.Builder
	for _, name := range slices.Compact(names) {
		was, now := Find(a.Parts, name), tree.Part(name)
		switch {
		case was != nil && now != nil && *was == *now:
			continue
		case was == nil:
			c.Added = append(c.Added, clean(name))
		case now == nil:
			c.Removed = append(c.Removed, clean(name))
		default:
			c.Modified = append(c.Modified, clean(name))
		}
		b.WriteString(s.diffPart(c, root, name, was, now))
	}
	c.Diff = clean(b.String())
	if len(c.Diff) > maxProgramDiff {
		c.Diff = strings.ToValidUTF8(c.Diff[:maxProgramDiff], "") + "\n... (cut)"
	}
	return c
}

// diffPart returns the diff of one file.
func (s *Store) diffPart(c *state.ProgramChange, root *os.Root, name string, was, now *Part) string {
	label := func(p *Part, side string) string {
		if p == nil {
			return "/dev/null"
		}
		return side + "/" + name
	}
	head := fmt.Sprintf("--- %s\n+++ %s\n", label(was, "approved"), label(now, "disk"))
	say := func(format string, args ...any) string { return head + fmt.Sprintf(format, args...) + "\n" }
	switch {
	case was != nil && was.Link != "" || now != nil && now.Link != "":
		to := func(p *Part) string {
			if p == nil {
				return "nothing"
			}
			if p.Link == "" {
				return "a file"
			}
			return "a link to " + p.Link
		}
		return say("%s, and was %s", to(now), to(was))
	case was != nil && was.Sum == "" || now != nil && now.Sum == "":
		return say("it is too large to be compared (over %d MiB)", maxProgramFile>>20)
	}
	mode := ""
	if was != nil && now != nil && was.Exec != now.Exec {
		mode = fmt.Sprintf("executable: %t, and was %t\n", now.Exec, was.Exec)
	}
	var old, text []byte
	var err error
	if was != nil {
		if old, err = s.Read(*was); err != nil {
			return say("what was approved cannot be shown: %v", err)
		}
	}
	if now != nil {
		if root == nil {
			return say("it cannot be read")
		}
		if text, err = readPart(root, name); err != nil {
			return say("it cannot be read: %v", err)
		}
	}
	a, aok := textOf(old)
	b, bok := textOf(text)
	if !aok || !bok {
		return head + mode + fmt.Sprintf("no text: %d bytes, and was %d bytes\n", len(text), len(old))
	}
	diff := udiff.Unified(label(was, "approved"), label(now, "disk"), a, b)
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+"):
			c.Plus++
		case strings.HasPrefix(line, "-"):
			c.Minus++
		}
	}
	if diff == "" {
		diff = head
	}
	return diff + mode
}

// textOf returns a file as a diff shows it: ok is false for what is no text.
func textOf(b []byte) (text string, ok bool) {
	if strings.ContainsRune(string(b), 0) || len(b) > 1<<20 {
		return "", false
	}
	if !utf8.Valid(b) {
		// Text in another encoding still shows what changed in it.
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	}
	return string(b), true
}
