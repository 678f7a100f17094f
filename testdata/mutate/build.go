package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// screen is the package whose tests look at what others say, and skipped its test that
// draws everything at every size: it takes longer than all others together.
const (
	screen  = "tui"
	skipped = "^TestEverySizeHolds$"
)

// shown are the packages that the tests of screen try as well.
var shown = regexp.MustCompile(`^(views(/.*)?|backend/state|backend/policy)$`)

// pkg is one package as "go list" has it, with its faults.
type pkg struct {
	Dir, ImportPath, Name string
	GoFiles               []string
	TestGoFiles           []string
	XTestGoFiles          []string
	Module                struct{ Path string }

	points  []*point
	sampled []*point
	want    int
}

// builder compiles the packages with the faults in them.
type builder struct {
	ctx      context.Context
	dir      string
	packages []*pkg
	screen   *pkg
	binaries map[*pkg]*binary
}

func (b *builder) goCommand(args ...string) (out []byte, err error) {
	cmd := exec.CommandContext(b.ctx, "go", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.Bytes())
	}
	return append(stdout.Bytes(), stderr.Bytes()...), err
}

func (b *builder) describe(patterns ...string) (all []*pkg, err error) {
	cmd := exec.CommandContext(b.ctx, "go", append([]string{"list", "-json"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		p := &pkg{}
		if err := d.Decode(p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// list finds the packages, and that of the screen where they need it.
func (b *builder) list(patterns []string) (err error) {
	if b.packages, err = b.describe(patterns...); err != nil {
		return err
	}
	for _, p := range b.packages {
		if p.short() == screen {
			b.screen = p
		}
	}
	if b.screen == nil && slices.ContainsFunc(b.packages, func(p *pkg) bool { return shown.MatchString(p.short()) }) {
		all, err := b.describe("./" + screen)
		if err != nil {
			return err
		}
		b.screen = all[0]
	}
	return nil
}

func (p *pkg) short() string { return strings.TrimPrefix(p.ImportPath, p.Module.Path+"/") }

func (p *pkg) tested() bool { return len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 }

// killers returns the packages whose tests try the faults of p, in this order.
func (b *builder) killers(p *pkg) (all []*pkg) {
	if p.tested() {
		all = append(all, p)
	}
	if shown.MatchString(p.short()) {
		all = append(all, b.screen)
	}
	return all
}

// compile writes the sources with the faults in them and compiles the tests. A fault that
// does not compile gives way to another.
func (b *builder) compile() error {
	overlay := filepath.Join(b.dir, "overlay.json")
	var paths []string
	for _, p := range b.packages {
		paths = append(paths, p.ImportPath)
	}
	build := append([]string{"build", "-buildvcs=false", "-gcflags=-e", "-overlay=" + overlay, "-o", os.DevNull}, paths...)
	for round := 0; ; round++ {
		if err := b.write(overlay); err != nil {
			return err
		}
		out, err := b.goCommand(build...)
		if err == nil {
			break
		}
		if dropped := b.drop(string(out)); dropped == 0 || round == 20 {
			return fmt.Errorf("the sources do not compile with the faults in them: %w", err)
		}
	}
	b.binaries = map[*pkg]*binary{}
	for _, p := range b.packages {
		for _, k := range b.killers(p) {
			if b.binaries[k] != nil {
				continue
			}
			bin := &binary{pkg: k, path: filepath.Join(b.dir, strconv.Itoa(len(b.binaries))+".test")}
			b.binaries[k] = bin
			if _, err := b.goCommand("test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay="+overlay, "-o", bin.path, k.ImportPath); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is a line of a compiler's message.
var place = regexp.MustCompile(`(?m)^(\S+\.go):(\d+):`)

// drop leaves out the faults in the lines that the compiler names, and returns how many.
func (b *builder) drop(out string) (n int) {
	for _, m := range place.FindAllStringSubmatch(out, -1) {
		line, _ := strconv.Atoi(m[2])
		name, err := filepath.Abs(m[1])
		if err != nil {
			continue
		}
		// Those of the line itself, before those that reach over it.
		var on, over []*point
		for _, p := range b.packages {
			for _, pt := range p.sampled {
				switch {
				case pt.file.path != name && pt.file.copied(b.dir) != name:
				case pt.line == line:
					on = append(on, pt)
				case pt.line <= line && line <= pt.end:
					over = append(over, pt)
				}
			}
		}
		if len(on) == 0 {
			on = over
		}
		for _, pt := range on {
			if !pt.dropped {
				pt.dropped = true
				n++
			}
		}
	}
	for _, p := range b.packages {
		p.fill()
	}
	return n
}

// copied returns where the file's copy with faults is.
func (f *file) copied(dir string) string {
	return filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(f.path, "/"), "/", "@"))
}

// write numbers the faults and writes the sources with them, and the overlay.
func (b *builder) write(overlay string) error {
	replace := map[string]string{}
	id := 0
	for _, p := range b.packages {
		files := map[*file][]*point{}
		for _, pt := range p.sampled {
			id++
			pt.id = id
			files[pt.file] = append(files[pt.file], pt)
		}
		if len(files) == 0 {
			continue
		}
		for f, points := range files {
			replace[f.path] = f.copied(b.dir)
			if err := os.WriteFile(f.copied(b.dir), f.with(points), 0o600); err != nil {
				return err
			}
		}
		h := &file{path: filepath.Join(p.Dir, "zz_mutant.go")}
		replace[h.path] = h.copied(b.dir)
		if err := os.WriteFile(h.copied(b.dir), []byte("package "+p.Name+"\n"+helper), 0o600); err != nil {
			return err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return errors.Join(errors.New("overlay"), err)
	}
	return os.WriteFile(overlay, text, 0o600)
}

// with returns the source with the faults in it.
func (f *file) with(points []*point) []byte {
	type numbered struct {
		edit
		seq int
	}
	var all []numbered
	for _, pt := range points {
		for _, e := range pt.edits {
			e.text = strings.ReplaceAll(e.text, "mutant(#)", "mutant("+strconv.Itoa(pt.id)+")")
			all = append(all, numbered{e, pt.seq})
		}
	}
	slices.SortStableFunc(all, func(a, b numbered) int {
		switch {
		case a.at != b.at:
			return cmp.Compare(a.at, b.at)
		case a.closes != b.closes:
			if a.closes {
				return -1
			}
			return 1
		case a.closes:
			return cmp.Or(cmp.Compare(a.span, b.span), cmp.Compare(b.seq, a.seq))
		}
		return cmp.Or(cmp.Compare(b.span, a.span), cmp.Compare(a.seq, b.seq))
	})
	var out bytes.Buffer
	at := 0
	for _, e := range all {
		out.Write(f.src[at:e.at])
		out.WriteString(e.text)
		at = e.end
	}
	out.Write(f.src[at:])
	return out.Bytes()
}
