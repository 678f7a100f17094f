package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Copied is what a copy did.
type Copied struct {
	Files int
	Bytes int64
	// Skipped are what cannot be copied: devices, sockets, and what would have left the
	// folder that it was copied to.
	Skipped []string
	// To is where it went.
	To string
}

// maxSkipped bounds what is named of what was skipped.
const maxSkipped = 20

func (c *Copied) skip(name, why string) {
	if len(c.Skipped) < maxSkipped {
		c.Skipped = append(c.Skipped, state.Clean(name)+": "+why)
	}
}

// CopyOut copies from a container: a file to a file, or a file or folder into a
// folder. What the container sends is not trusted: nothing is written outside of
// the place that was named, whatever its names and links say; set-uid bits and
// owners are not taken over. progress, if not nil, has the bytes so far.
func (s *Source) CopyOut(ctx context.Context, id, from, to string, progress func(int64)) (Copied, error) {
	var c Copied
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return c, err
	}
	defer leave()
	fail := func(err error) (Copied, error) {
		return c, fmt.Errorf("docker: copy %s:%s to %s: %w", short(id), state.Clean(from), to, err)
	}
	dir, name := filepath.Split(filepath.Clean(to))
	if st, err := os.Stat(to); err == nil && st.IsDir() {
		dir, name = to, ""
	} else if strings.HasSuffix(to, string(filepath.Separator)) {
		return fail(errors.New("there is no such folder"))
	}
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	got, err := cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: from})
	if err != nil {
		return fail(copyError(err))
	}
	defer got.Content.Close()
	base := path.Base(got.Stat.Name)
	if name == "" {
		name = base
		if base == "/" || base == "." { // the container's whole root, or a folder's content
			name = ""
		}
	}
	c.To = filepath.Join(dir, name)
	err = c.extract(tar.NewReader(got.Content), root, base, name, progress)
	if err != nil {
		return fail(err)
	}
	return c, nil
}

// extract writes an archive below root, with the first part of its names, base,
// replaced by name.
func (c *Copied) extract(in *tar.Reader, root *os.Root, base, name string, progress func(int64)) error {
	type folder struct {
		path string
		mode fs.FileMode
	}
	var folders []folder // their modes come last: one may forbid to write into it
	place := func(entry string) (string, bool) {
		p := path.Clean("/" + entry)[1:]
		if rest, ok := strings.CutPrefix(p+"/", base+"/"); ok && base != "/" && base != "." {
			p = path.Join(name, rest)
		} else {
			p = path.Join(name, p)
		}
		p = filepath.FromSlash(p)
		return p, p == "" || p == "." || filepath.IsLocal(p)
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("what the engine sent is no archive: %s", state.Clean(err.Error()))
		}
		to, ok := place(h.Name)
		if !ok {
			c.skip(h.Name, "its name leaves the folder")
			continue
		}
		mode := h.FileInfo().Mode().Perm()
		if parent := filepath.Dir(to); parent != "." && h.Typeflag != tar.TypeDir {
			if err := root.MkdirAll(parent, 0o755); err != nil {
				return err
			}
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if to == "" || to == "." {
				continue
			}
			if err := root.MkdirAll(to, 0o755); err != nil {
				return err
			}
			folders = append(folders, folder{to, mode})
		case tar.TypeReg:
			// What stands there goes first: a link would be written through.
			if st, err := root.Lstat(to); err == nil && !st.Mode().IsRegular() {
				if st.IsDir() {
					return fmt.Errorf("%s is a folder", to)
				}
				if err := root.Remove(to); err != nil {
					return err
				}
			}
			f, err := root.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			n, err := io.Copy(f, &progressReader{r: in, at: c.Bytes, report: progress})
			c.Bytes += n
			if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
				return err
			}
			c.Files++
		case tar.TypeSymlink:
			if filepath.IsAbs(h.Linkname) || !filepath.IsLocal(filepath.Join(filepath.Dir(to), h.Linkname)) {
				c.skip(h.Name, "a link to "+state.Clean(h.Linkname)+", which is not among what is copied")
				continue
			}
			_ = root.Remove(to) // a link that is there already
			if err := root.Symlink(h.Linkname, to); err != nil {
				return err
			}
			c.Files++
		case tar.TypeLink:
			old, ok := place(h.Linkname)
			if !ok {
				c.skip(h.Name, "a link out of the folder")
				continue
			}
			_ = root.Remove(to)
			if err := root.Link(old, to); err != nil {
				c.skip(h.Name, "a link to what is not among what is copied")
				continue
			}
			c.Files++
		default:
			c.skip(h.Name, "neither a file, a folder nor a link")
		}
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if err := root.Chmod(folders[i].path, folders[i].mode); err != nil {
			return err
		}
	}
	return nil
}

// progressReader reports how much has been read.
type progressReader struct {
	r      io.Reader
	at     int64
	report func(int64)
}

// Read implements io.Reader.
func (c *progressReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.at += int64(n); c.report != nil && n > 0 {
		c.report(c.at)
	}
	return n, err
}

// ReadOut copies one file from a container to w.
func (s *Source) ReadOut(ctx context.Context, id, from string, w io.Writer) (Copied, error) {
	var c Copied
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return c, err
	}
	defer leave()
	fail := func(err error) (Copied, error) {
		return c, fmt.Errorf("docker: read %s:%s: %w", short(id), state.Clean(from), err)
	}
	got, err := cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: from})
	if err != nil {
		return fail(copyError(err))
	}
	defer got.Content.Close()
	in := tar.NewReader(got.Content)
	h, err := in.Next()
	if err != nil {
		return fail(err)
	}
	if h.Typeflag == tar.TypeSymlink {
		return fail(fmt.Errorf("it is a link to %s: name that", state.Clean(h.Linkname)))
	}
	if h.Typeflag != tar.TypeReg {
		return fail(errors.New("it is not a file: copy it into a folder"))
	}
	c.Bytes, err = io.Copy(w, in)
	if err != nil {
		return fail(err)
	}
	c.Files = 1
	return c, nil
}

// CopyIn copies a file or folder into a container: into a folder that is there, or
// to a new name in one. It belongs to the container's root then. progress, if not
// nil, has the bytes so far.
func (s *Source) CopyIn(ctx context.Context, from, id, to string, progress func(int64)) (Copied, error) {
	var c Copied
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return c, err
	}
	defer leave()
	fail := func(err error) (Copied, error) {
		return c, fmt.Errorf("docker: copy %s to %s:%s: %w", from, short(id), state.Clean(to), err)
	}
	if _, err := os.Stat(from); err != nil {
		return fail(err)
	}
	base, err := filepath.Abs(from)
	if err != nil {
		return fail(err)
	}
	if _, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); err != nil {
		return fail(copyError(err))
	}
	dir, name := path.Split(path.Clean("/" + to))
	if isDir, err := statDir(ctx, cli, id, to); err != nil {
		return fail(copyError(err))
	} else if isDir {
		dir, name = path.Clean("/"+to), filepath.Base(base)
	} else if strings.HasSuffix(to, "/") {
		return fail(errors.New("there is no such folder in the container"))
	}
	if isDir, err := statDir(ctx, cli, id, dir); err != nil {
		return fail(copyError(err))
	} else if !isDir {
		return fail(fmt.Errorf("there is no folder %s in the container", dir))
	}
	c.To = path.Join(dir, name)
	r, w := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := c.pack(w, from, name, progress)
		_ = w.CloseWithError(err)
		packed <- err
	}()
	_, err = cli.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: dir, Content: r})
	_ = r.CloseWithError(errors.New("the engine accepts no more"))
	perr := <-packed
	switch {
	case err != nil:
		return fail(copyError(err))
	case perr != nil:
		return fail(perr)
	}
	return c, nil
}

// statDir reports whether a path in the container is a folder, or a link to one;
// one that is not there is none.
func statDir(ctx context.Context, cli *client.Client, id, at string) (bool, error) {
	for range 10 {
		st, err := cli.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: at})
		switch {
		case errdefs.IsNotFound(err):
			return false, nil
		case err != nil:
			return false, err
		case st.Stat.LinkTarget == "" || st.Stat.Mode&fs.ModeSymlink == 0:
			return st.Stat.Mode.IsDir(), nil
		}
		if at = st.Stat.LinkTarget; !path.IsAbs(at) {
			return false, nil
		}
	}
	return false, nil
}

// pack writes from, a file or a folder, as an archive whose names begin with name.
func (c *Copied) pack(w io.Writer, from, name string, progress func(int64)) error {
	out := tar.NewWriter(w)
	from = filepath.Clean(from)
	if target, err := filepath.EvalSymlinks(from); err == nil { // a link that is named is followed
		from = target
	}
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() && !st.IsDir() && st.Mode()&fs.ModeSymlink == 0 {
			c.skip(rel, "neither a file, a folder nor a link")
			return nil
		}
		link := ""
		if st.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(st, link)
		if err != nil {
			return err
		}
		h.Name = path.Join(name, filepath.ToSlash(rel))
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		if st.IsDir() {
			h.Name += "/"
		}
		if !st.Mode().IsRegular() {
			return out.WriteHeader(h)
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		// One that grows meanwhile is copied as long as it was; one that shrank breaks off.
		n, err := io.Copy(out, &progressReader{r: io.LimitReader(f, h.Size), at: c.Bytes, report: progress})
		c.Bytes += n
		c.Files++
		if err == nil && n < h.Size {
			err = fmt.Errorf("%s became shorter while it was read", p)
		}
		return err
	})
	return errors.Join(err, out.Close())
}

// copyError returns the engine's refusal with what to do.
func copyError(err error) error {
	msg := state.Clean(err.Error())
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: what was copied until then stays", err)
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s: see opsdeck exec CONTAINER ls for what is there", msg)
	case strings.Contains(msg, "read-only"):
		return fmt.Errorf("%s: the container cannot be written to there: copy to one of its volumes", msg)
	}
	return errors.New(msg)
}
