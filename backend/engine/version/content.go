package version

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxProgramFiles bounds how many program files a module has.
	maxProgramFiles = 1000
	// maxProgramFile bounds one that is read and kept, in bytes. A larger one is known
	// by its size and time alone, and is not kept.
	maxProgramFile = 16 << 20
	// maxProgramDepth bounds how deep folders nest.
	maxProgramDepth = 16
)

// programSuffixes are those of files that hold a program or what it is set up by:
// what an interpreter loads or runs, templates, and configuration as people write it.
var programSuffixes = []string{
	".py", ".pyw", ".pyi", ".pyx", ".pyc", ".pyd", ".so", ".pth", ".sh", ".bash", ".awk", ".sed", ".pl", ".rb", ".js", ".mjs", ".cjs",
	".ts", ".lua", ".php", ".jq", ".sql", ".wasm", ".jar", ".j2", ".jinja", ".tmpl", ".proto", ".graphql", ".toml", ".cfg", ".ini",
	".yaml", ".yml",
}

// programFile reports whether a file of that name and mode belongs to a module's
// program. The others are its data, which it may write itself.
func programFile(name string, mode fs.FileMode) bool {
	base := path.Base(name)
	return name == "manifest.json" || base == "requirements.txt" || mode&0o111 != 0 || slices.Contains(programSuffixes, strings.ToLower(path.Ext(base)))
}

// passedOver reports whether a file or folder is none of a module's: what editors,
// interpreters and version control leave. No import leads into such a folder.
func passedOver(base string, dir bool) bool {
	if dir {
		return base == "__pycache__" || base == "node_modules" || base == "venv" || strings.HasPrefix(base, ".")
	}
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, "~") || strings.HasPrefix(base, "#") ||
		strings.HasSuffix(base, ".swp") || strings.HasSuffix(base, ".swo") || strings.HasSuffix(base, ".tmp")
}

// Part is one program file of a module.
type Part struct {
	// Name is its path in the folder, with slashes.
	Name string `json:"name"`
	Size int64  `json:"size"`
	// Sum is the SHA-256 of what it holds, in hexadecimal; "" where it is too large
	// to be read, and for a link.
	Sum string `json:"sum,omitempty"`
	// Exec says that it may be executed; Link is where it leads, for a symbolic link.
	Exec bool   `json:"exec,omitempty"`
	Link string `json:"link,omitempty"`
	// When tells versions of a file apart that is too large to be read.
	When int64 `json:"when,omitempty"`
}

// digestOf names what a list of parts holds: the same for the same files.
func digestOf(parts []Part) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%q %t %d %s %q %d\n", p.Name, p.Exec, p.Size, p.Sum, p.Link, p.When)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// mark tells whether a file or folder was touched. It has the time of the last
// change of its inode, which no program can set.
type mark struct {
	size, mod, change int64
	dev, ino          uint64
	mode              uint32
}

func markOf(name string) (mark, error) {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return mark{}, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return mark{st.Size, st.Mtim.Nano(), st.Ctim.Nano(), uint64(st.Dev), st.Ino, uint32(st.Mode)}, nil
}

// Content is a module's program as it lies on disk. It is never changed once made.
type Content struct {
	Parts  []Part
	Digest string
	// Problems are what cannot be approved, nor kept.
	Problems []string
	marks    map[string]mark // of every folder and program file, by path
	sums     map[mark]string // of what was read
}

// Unchanged reports whether nothing was touched since: a stat a file.
func (c *Content) Unchanged() bool {
	if c == nil {
		return false
	}
	for name, was := range c.marks {
		if now, err := markOf(name); err != nil || now != was {
			return false
		}
	}
	return true
}

// Part returns the one of that name, or nil.
func (c *Content) Part(name string) *Part { return Find(c.Parts, name) }

func Find(parts []Part, name string) *Part {
	if i, ok := slices.BinarySearchFunc(parts, name, func(p Part, n string) int { return cmp.Compare(p.Name, n) }); ok {
		return &parts[i]
	}
	return nil
}

// Read reads the program in a module's folder. Of what was read before, only
// what was touched is read again.
func Read(dir string, before *Content) (*Content, error) {
	c := &Content{marks: map[string]mark{}, sums: map[mark]string{}}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	if real != dir { // where it leads may change too
		if c.marks[dir], err = markOf(dir); err != nil {
			return nil, err
		}
		dir = real
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := c.walk(root, dir, ".", 0, before); err != nil {
		return nil, err
	}
	slices.SortFunc(c.Parts, func(a, b Part) int { return cmp.Compare(a.Name, b.Name) })
	c.Digest = digestOf(c.Parts)
	return c, nil
}

func (c *Content) walk(root *os.Root, dir, in string, depth int, before *Content) error {
	// The mark comes before the list: what is added in between shows at the next look.
	m, err := markOf(filepath.Join(dir, in))
	if err != nil {
		return err
	}
	c.marks[filepath.Join(dir, in)] = m
	f, err := root.Open(in)
	if err != nil {
		return err
	}
	list, err := f.ReadDir(-1)
	_ = f.Close()
	if err != nil {
		return err
	}
	for _, de := range list {
		name := path.Join(in, de.Name())
		if passedOver(de.Name(), de.IsDir()) {
			continue
		}
		if de.IsDir() {
			if depth == maxProgramDepth {
				c.Problems = append(c.Problems, fmt.Sprintf("%s nests over %d folders deep", name, maxProgramDepth))
				continue
			}
			if err := c.walk(root, dir, name, depth+1, before); err != nil {
				return err
			}
			continue
		}
		if err := c.add(root, dir, name, before); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(c.Parts) > maxProgramFiles {
			c.Parts = c.Parts[:maxProgramFiles]
			c.Problems = append(c.Problems, fmt.Sprintf("it has over %d program files: keep libraries out of its folder", maxProgramFiles))
			return nil
		}
	}
	return nil
}

// add takes one file into the content, where it belongs to the program.
func (c *Content) add(root *os.Root, dir, name string, before *Content) error {
	full := filepath.Join(dir, name)
	m, err := markOf(full)
	if err != nil {
		return err
	}
	switch m.mode & unix.S_IFMT {
	case unix.S_IFLNK:
		to, err := root.Readlink(name)
		if err != nil {
			return err
		}
		fi, err := root.Stat(name) // which follows it, and refuses to leave the folder
		if err != nil || filepath.IsAbs(to) {
			c.Problems = append(c.Problems, fmt.Sprintf("%s is a link that leads out of its folder, or nowhere (to %s): put the file itself there", name, to))
		}
		if err != nil || fi.IsDir() || programFile(name, fi.Mode()) {
			c.marks[full] = m
			c.Parts = append(c.Parts, Part{Name: name, Link: to})
		}
		return nil
	case unix.S_IFREG:
	default:
		c.Problems = append(c.Problems, name+" is neither a file nor a folder")
		return nil
	}
	if !programFile(name, fs.FileMode(m.mode&0o777)) {
		return nil
	}
	c.marks[full] = m
	p := Part{Name: name, Size: m.size, Exec: m.mode&0o111 != 0}
	if m.size > maxProgramFile {
		p.When = m.change
		c.Parts = append(c.Parts, p)
		return nil
	}
	if before != nil {
		p.Sum = before.sums[m]
	}
	if p.Sum == "" {
		text, err := readPart(root, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		p.Sum, p.Size = hex.EncodeToString(sum[:]), int64(len(text))
	}
	c.sums[m] = p.Sum
	c.Parts = append(c.Parts, p)
	return nil
}

// readPart reads a program file, which must not have become something else.
func readPart(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file any more", name)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(f, maxProgramFile+1)); err != nil {
		return nil, err
	}
	if b.Len() > maxProgramFile {
		return nil, fmt.Errorf("%s grows while it is read", name)
	}
	return b.Bytes(), nil
}

// Short returns enough of a digest to tell versions of one module apart.
func Short(d string) string { return d[:min(len(d), 12)] }
