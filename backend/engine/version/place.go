package version

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/opsdeck/opsdeck/backend/disk"
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

// Tidy brings rollbacks below modulesDir that were cut short to an end: a module's folder
// is there again, as it was or as it was to be, and nothing lies beside it. valid says
// whether a folder's name may be a module's. It returns why folders could not be put back,
// by folder.
func Tidy(modulesDir string, valid func(string) bool) map[string]error {
	var bad map[string]error
	left, _ := filepath.Glob(filepath.Join(modulesDir, "*", ".*.opsdeck-*"))
	for _, suffix := range []string{asideSuffix, stagedSuffix} {
		for _, path := range left {
			name, ok := strings.CutSuffix(strings.TrimPrefix(filepath.Base(path), "."), suffix)
			if !ok || !valid(name) {
				continue
			}
			if dir := filepath.Join(filepath.Dir(path), name); suffix == asideSuffix && !disk.Exists(dir) {
				if err := os.Rename(path, dir); err != nil {
					if bad == nil {
						bad = map[string]error{}
					}
					bad[dir] = err
				}
				continue
			}
			_ = os.RemoveAll(path)
		}
	}
	return bad
}

// Whole returns an error where a version cannot be put back: what is kept of it is gone,
// or damaged.
func (s *Store) Whole(v *Version) error {
	for _, p := range v.Parts {
		if p.Link == "" && p.Sum != "" {
			if _, err := s.Read(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// Place has a version's program files take the place of those in the folder home, whose
// data files stay. Where it fails, what was there is there.
func (s *Store) Place(home string, v *Version) error {
	staged, err := s.assemble(home, v)
	if err == nil {
		err = swap(home, staged)
	}
	if err != nil {
		_ = os.RemoveAll(besides(home, stagedSuffix))
	}
	return err
}

// assemble makes a folder beside the module's with a version's program files, and the
// data files that lie in the module's now: those are the same files, not copies.
func (s *Store) assemble(home string, v *Version) (string, error) {
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
		if err := s.putBack(root, home, p); err != nil {
			return "", fmt.Errorf("%s: %w", p.Name, err)
		}
		own(filepath.Join(to, p.Name))
	}
	return to, errors.Join(carryData(home, root, to, folder), syncTree(to))
}

// putBack writes one kept file.
func (s *Store) putBack(root *os.Root, home string, p Part) error {
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
	text, err := s.Read(p)
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
