package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// A version is put back in a folder beside the module's own, which then takes its
// name. The dot keeps both from being taken for modules.
const (
	stagedSuffix = ".opsdeck-new"
	asideSuffix  = ".opsdeck-old"
)

func besides(dir, suffix string) string {
	return filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+suffix)
}

// tidy brings rollbacks that were cut short to an end: a module's folder is there
// again, as it was or as it was to be, and nothing lies beside it.
func (e *Engine) tidy() {
	left, _ := filepath.Glob(filepath.Join(e.cfg.ModulesDir, "*", ".*.opsdeck-*"))
	for _, suffix := range []string{asideSuffix, stagedSuffix} {
		for _, path := range left {
			name, ok := strings.CutSuffix(strings.TrimPrefix(filepath.Base(path), "."), suffix)
			if !ok || !valid(name) {
				continue
			}
			if dir := filepath.Join(filepath.Dir(path), name); suffix == asideSuffix && !disk.Exists(dir) {
				if err := os.Rename(path, dir); err != nil {
					e.cfg.Log.Error("a rollback was cut short, and the folder cannot be put back", "folder", dir, "err", err)
				}
				continue
			}
			_ = os.RemoveAll(path)
		}
	}
}

// assemble makes a folder beside the module's with a version's program files, and the
// data files that lie in the module's now: those are the same files, not copies.
func (e *Engine) assemble(home string, v *version) (string, error) {
	to := besides(home, stagedSuffix)
	if err := os.RemoveAll(to); err != nil {
		return "", err
	}
	fi, err := os.Stat(home)
	if err != nil {
		return "", err
	}
	own := func(path string) {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok {
			_ = os.Lchown(path, int(st.Uid), int(st.Gid)) // only root may, and only root need
		}
	}
	if err := os.Mkdir(to, fi.Mode().Perm()|0o700); err != nil {
		return "", err
	}
	own(to)
	root, err := os.OpenRoot(to)
	if err != nil {
		return "", err
	}
	defer root.Close()
	folder := func(name string) error {
		for i, c := range name {
			if c == '/' {
				if err := root.Mkdir(name[:i], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				} else if err == nil {
					own(filepath.Join(to, name[:i]))
				}
			}
		}
		return nil
	}
	for _, p := range v.Parts {
		if err := folder(p.Name); err != nil {
			return "", err
		}
		if err := e.putBack(root, home, p); err != nil {
			return "", fmt.Errorf("%s: %w", p.Name, err)
		}
		own(filepath.Join(to, p.Name))
	}
	return to, errors.Join(carryData(home, root, to, folder), syncTree(to))
}

// putBack writes one kept file.
func (e *Engine) putBack(root *os.Root, home string, p part) error {
	if p.Link != "" {
		if filepath.IsAbs(p.Link) || !filepath.IsLocal(filepath.Join(filepath.Dir(p.Name), p.Link)) {
			return errors.New("it was a link that leads out of the folder")
		}
		return root.Symlink(p.Link, p.Name)
	}
	mode := fs.FileMode(0o644)
	if p.Exec {
		mode = 0o755
	}
	if p.Sum == "" { // too large to be kept: it is still there, or the version is not whole
		m, err := markOf(filepath.Join(home, p.Name))
		if err != nil || m.size != p.Size || m.change != p.When {
			return errors.New("it was too large to be kept, and is not the same any more")
		}
		return os.Link(filepath.Join(home, p.Name), filepath.Join(root.Name(), p.Name))
	}
	text, err := e.programs.read(p)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(p.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// carryData links all that is no program file into the staged folder.
func carryData(home string, root *os.Root, to string, folder func(string) error) error {
	return filepath.WalkDir(home, func(path string, de fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(home, path)
		if err != nil || rerr != nil || rel == "." {
			return errors.Join(err, rerr)
		}
		if de.IsDir() {
			if de.Name() == "__pycache__" {
				return filepath.SkipDir // it is of the program that goes
			}
			if err := folder(rel + "/"); err != nil {
				return err
			}
			return nil
		}
		fi, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		kept := !inPassedOver(rel) && !passedOver(de.Name(), false)
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			dest, err := os.Stat(path)
			if kept && (err != nil || dest.IsDir() || programFile(filepath.ToSlash(rel), dest.Mode())) {
				return nil
			}
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, filepath.Join(to, rel))
		case !fi.Mode().IsRegular(), kept && programFile(filepath.ToSlash(rel), fi.Mode()):
			return nil
		}
		if _, err := root.Lstat(rel); err == nil {
			return nil // a version has a program file of that name
		}
		if err := os.Link(path, filepath.Join(to, rel)); err == nil {
			return nil
		}
		return copyFile(path, filepath.Join(to, rel), fi.Mode().Perm())
	})
}

// inPassedOver reports whether a file lies in a folder that is none of the module's.
func inPassedOver(rel string) bool {
	dirs := strings.Split(filepath.ToSlash(rel), "/")
	return slices.ContainsFunc(dirs[:len(dirs)-1], func(d string) bool { return passedOver(d, true) })
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// syncTree has the names in a folder reach the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, de fs.DirEntry, err error) error {
		if err != nil || !de.IsDir() {
			return err
		}
		d, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(d.Sync(), d.Close())
	})
}

// swap gives the staged folder the module's name, and removes what had it. Where the
// file system can exchange two names there is no moment without the folder; elsewhere
// tidy mends what a kill leaves.
func swap(home, staged string) error {
	if err := exchange(home, staged); err == nil {
		err = syncDir(filepath.Dir(home))
		_ = os.RemoveAll(staged)
		return err
	}
	old := besides(home, asideSuffix)
	_ = os.RemoveAll(old)
	if err := os.Rename(home, old); err != nil {
		return fmt.Errorf("%w; a folder that is a mount point cannot be replaced", err)
	}
	if err := os.Rename(staged, home); err != nil {
		return errors.Join(err, os.Rename(old, home))
	}
	err := syncDir(filepath.Dir(home))
	_ = os.RemoveAll(old)
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// rollback is the action: a kept version's files take the place of those on disk, and
// run where the module is enabled. What lay there is kept as a version, so that this
// too can be taken back. The index names what it is about to do before it does it,
// and that it is done after: a kill leaves either version whole and approved.
func (e *Engine) rollback(ctx context.Context, m *module, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("looking at its files", 5)
	e.inspect(ctx, m, nil)
	tree, err := e.look(m)
	if err != nil {
		return state.Outcome{}, fmt.Errorf("its files cannot be read: %w", err)
	}
	e.mu.Lock()
	h, barred, status := m.past, m.barred, m.status
	e.mu.Unlock()
	if barred != "" || h == nil {
		return state.Outcome{}, errors.New(barred)
	}
	v, err := choose(h, tree, a.Args["version"])
	if err != nil {
		return state.Outcome{}, err
	}
	for _, p := range v.Parts { // before anything is touched
		if p.Link == "" && p.Sum != "" {
			if _, err := e.programs.read(p); err != nil {
				return state.Outcome{}, fmt.Errorf("%w; nothing was changed", err)
			}
		}
	}
	progress("keeping what lies there", 20)
	if next, err := e.beginRollback(m, h, tree, v, a.Actor.User); err != nil {
		return state.Outcome{}, fmt.Errorf("what lies there cannot be kept: %w; nothing was changed", err)
	} else {
		h = next
	}
	home, err := filepath.EvalSymlinks(m.dir)
	if err != nil {
		return state.Outcome{}, err
	}
	progress("putting the version back", 40)
	e.stop(m) // it writes no data while its folder changes
	staged, err := e.assemble(home, v)
	if err == nil {
		err = swap(home, staged)
	}
	if err != nil {
		_ = os.RemoveAll(besides(home, stagedSuffix))
		e.inspect(ctx, m, make(chan fetched, 1))
		return state.Outcome{}, fmt.Errorf("its version cannot be put back: %w; what was there is there", err)
	}
	if err := e.endRollback(m, h, v, a.Actor.User); err != nil {
		return state.Outcome{}, err
	}
	out := state.Outcome{Result: "rolled back to version " + briefDigest(v.Digest),
		Undo: &state.Action{Kind: state.ModuleRollback, Target: m.id, Args: map[string]string{"version": tree.digest}, Actor: a.Actor}}
	switch {
	case e.unseen(v):
		e.inspect(ctx, m, nil)
		out.Result += ", which nobody has approved: it does not run until somebody does"
	case status == state.ModuleInstalled:
		progress("loading its adapter", 70)
		out.Result += e.takeUp(ctx, m)
	default:
		e.inspect(ctx, m, nil)
	}
	return out, nil
}

// unseen reports whether nobody has approved a version: it lay there and was replaced.
// Putting such files back, as an undo does, is no yes to them.
func (e *Engine) unseen(v *version) bool { return v.How == "replaced" && !e.cfg.NoApproval }

// choose is the version that a rollback is to lead to.
func choose(h *history, tree *content, want string) (*version, error) {
	if want == "" {
		if a := h.approved(); a != nil && a.Digest != tree.digest {
			return a, nil
		}
		if v := h.before(tree.digest); v != nil {
			return v, nil
		}
		return nil, errors.New("no version before this one is kept")
	}
	v := h.find(want)
	switch {
	case v == nil:
		return nil, fmt.Errorf("no single version of it begins with %q: opsdeck modules versions %s has them all", want, h.Module)
	case v.Digest == tree.digest && v.Digest == h.Approved:
		return nil, errors.New("that version lies on disk, and is approved")
	}
	return v, nil
}

// beginRollback keeps what lies on disk, and notes what is to take its place.
func (e *Engine) beginRollback(m *module, h *history, tree *content, v *version, by string) (*history, error) {
	how, who := "replaced", by
	if o := h.find(tree.digest); o != nil { // it is kept already, with who approved it
		how, who = o.How, o.By
	}
	next, err := e.keepContent(m, h, tree, how, who, func(h *history) { h.Pending = v.Digest })
	if err == nil {
		e.mu.Lock()
		m.past = next
		e.mu.Unlock()
	}
	return next, err
}

// endRollback notes that the version lies on disk, and may run.
func (e *Engine) endRollback(m *module, h *history, v *version, by string) error {
	now, approved := *v, v.Digest
	if e.unseen(v) {
		approved = h.Approved
	} else {
		now.At, now.By, now.How = time.Now().UTC(), by, "rolled back"
	}
	next := &history{Module: h.Module, Approved: approved, Versions: []version{now}}
	for _, o := range h.Versions {
		if o.Digest != v.Digest {
			next.Versions = append(next.Versions, o)
		}
	}
	if err := e.programs.save(next); err != nil {
		return fmt.Errorf("its version is put back, and cannot be noted as approved: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if m.past = next; approved == v.Digest {
		m.change, m.known = nil, v.Digest
	}
	m.note(time.Now(), "rolled back to version %s by %s", briefDigest(v.Digest), by)
	e.touched(m)
	return nil
}
