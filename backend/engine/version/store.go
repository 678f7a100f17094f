package version

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
)

const (
	// keepVersions is how many versions of a module are kept beside the approved one.
	keepVersions = 20
	// maxIndex bounds an index file, in bytes.
	maxIndex = 16 << 20
)

// Version is one state of a module's program that was approved, or replaced.
type Version struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	// By is who approved it; How is "found", "enabled", "approved", "rolled back" or
	// "replaced".
	By  string `json:"by,omitempty"`
	How string `json:"how"`
	// Manifest is the version that its manifest names.
	Manifest string `json:"manifest_version,omitempty"`
	Parts    []Part `json:"files"`
}

// History is a module's index of versions.
type History struct {
	Module string `json:"module"`
	// Approved is the digest of the version that may run, "" for none; Pending of the
	// one that a rollback was putting in its place.
	Approved string `json:"approved,omitempty"`
	Pending  string `json:"pending,omitempty"`
	// Versions are the newest first.
	Versions []Version `json:"versions"`
}

// Find returns the version whose digest begins so; nil where there is none, or several.
func (h *History) Find(digest string) *Version {
	var got *Version
	for i := range h.Versions {
		switch v := &h.Versions[i]; {
		case v.Digest == digest:
			return v
		case digest != "" && strings.HasPrefix(v.Digest, digest) && got != nil:
			return nil
		case digest != "" && strings.HasPrefix(v.Digest, digest):
			got = v
		}
	}
	return got
}

// InForce returns the version that may run, or nil.
func (h *History) InForce() *Version {
	if h == nil || h.Approved == "" {
		return nil
	}
	return h.Find(h.Approved)
}

// before returns the version that was in force before digest, or nil.
func (h *History) before(digest string) *Version {
	at := slices.IndexFunc(h.Versions, func(v Version) bool { return v.Digest == digest })
	for i := at + 1; i < len(h.Versions); i++ {
		if h.Versions[i].Digest != digest {
			return &h.Versions[i]
		}
	}
	return nil
}

// Choose returns the version that a rollback leads to, with digest on disk: the one whose
// digest begins with want, or the one before where that is "".
func (h *History) Choose(digest, want string) (*Version, error) {
	if want == "" {
		if a := h.InForce(); a != nil && a.Digest != digest {
			return a, nil
		}
		if v := h.before(digest); v != nil {
			return v, nil
		}
		return nil, errors.New("no version before this one is kept")
	}
	v := h.Find(want)
	switch {
	case v == nil:
		return nil, fmt.Errorf("no single version of it begins with %q: opsdeck modules versions %s has them all", want, h.Module)
	case v.Digest == digest && v.Digest == h.Approved:
		return nil, errors.New("that version lies on disk, and is approved")
	}
	return v, nil
}

// ReplacedBy returns the index once v lies on disk, as the version that may run where
// approved is its digest.
func (h *History) ReplacedBy(v Version, approved string) *History {
	next := &History{Module: h.Module, Approved: approved, Versions: []Version{v}}
	for _, o := range h.Versions {
		if o.Digest != v.Digest {
			next.Versions = append(next.Versions, o)
		}
	}
	return next
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// readHistory reads an index. What does not hold is refused: digests become names
// of files, and names of files are written to.
func readHistory(text []byte) (*History, error) {
	var h History
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&h); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more after its end")
	}
	for _, s := range []string{h.Approved, h.Pending} {
		if s != "" && (!digestForm.MatchString(s) || h.Find(s) == nil) {
			return nil, fmt.Errorf("%q is none of its versions", s)
		}
	}
	for _, v := range h.Versions {
		if !digestForm.MatchString(v.Digest) || len(v.Parts) > maxProgramFiles {
			return nil, fmt.Errorf("the version %q is none", v.Digest)
		}
		for i, p := range v.Parts {
			if !filepath.IsLocal(filepath.FromSlash(p.Name)) || p.Name == "." || p.Size < 0 || p.Sum != "" && !digestForm.MatchString(p.Sum) || strings.ContainsRune(p.Name, 0) {
				return nil, fmt.Errorf("the file %q of version %s is none", p.Name, Short(v.Digest))
			}
			if i > 0 && cmp.Compare(v.Parts[i-1].Name, p.Name) >= 0 {
				return nil, fmt.Errorf("the files of version %s are not in order", Short(v.Digest))
			}
		}
		if digestOf(v.Parts) != v.Digest {
			return nil, fmt.Errorf("the version %s is not what its name says", Short(v.Digest))
		}
	}
	return &h, nil
}

// NewStore makes the store in a folder, which need not be there.
func NewStore(dir string) *Store { return &Store{dir: dir} }

// Store is data/module_versions: what was approved, by content. blobs/ has each
// file once, by the SHA-256 of what it holds; index/ has a file for each module,
// replaced as a whole. What is written of an index has reached the disk when it returns.
type Store struct {
	dir string
	mu  sync.Mutex // held while anything is written or collected
}

// Settled reports whether this workspace's modules were looked at before, as a whole.
func (s *Store) Settled() bool { return disk.Exists(filepath.Join(s.dir, "settled")) }

// Settle notes that they were: from now on a module that appears waits for a yes.
func (s *Store) Settle() error {
	if s.Settled() {
		return nil
	}
	if err := s.make(); err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(s.dir, "settled"), []byte(time.Now().UTC().Format(time.RFC3339)+"\n"))
}

func (s *Store) make() error {
	for _, d := range []string{"", "blobs", "index"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// indexFile returns where a module's index lies; no slug has a plus sign.
func (s *Store) indexFile(id string) string {
	return filepath.Join(s.dir, "index", strings.Replace(id, "/", "+", 1)+".json")
}

// Load reads a module's index; one without any is empty.
func (s *Store) Load(id string) (*History, error) {
	h, err := readIndex(s.indexFile(id))
	if errors.Is(err, fs.ErrNotExist) {
		return &History{Module: id}, nil
	}
	if err == nil && h.Module != id {
		err = fmt.Errorf("it is of the module %q", h.Module)
	}
	if err != nil {
		return nil, fmt.Errorf("the versions of %s cannot be read: %s: %w: move it away to begin anew", id, s.indexFile(id), err)
	}
	return h, nil
}

func readIndex(file string) (*History, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxIndex {
		return nil, fmt.Errorf("over %d MiB", maxIndex>>20)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return readHistory(text)
}

// Save replaces a module's index and removes what no index speaks of any more.
func (s *Store) Save(h *History) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.make(); err != nil {
		return err
	}
	return s.write(h)
}

// write returns save; s.mu is held.
func (s *Store) write(h *History) error {
	dropped := false
	for len(h.Versions) > keepVersions {
		last := len(h.Versions) - 1
		for last > 0 && (h.Versions[last].Digest == h.Approved || h.Versions[last].Digest == h.Pending) {
			last--
		}
		h.Versions = slices.Delete(h.Versions, last, last+1)
		dropped = true
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(s.indexFile(h.Module), append(text, '\n')); err != nil {
		return err
	}
	if dropped {
		s.collect()
	}
	return nil
}

// keepParts puts what content holds among the versions, as the newest; read gives a
// file's text. change, where it is not nil, is made in the same write. The index
// given is not changed: the new one is returned.
func (s *Store) keepParts(h *History, v Version, read func(string) ([]byte, error), change func(*History)) (*History, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.make(); err != nil {
		return nil, err
	}
	for _, p := range v.Parts {
		if p.Sum == "" || disk.Exists(s.blob(p.Sum)) {
			continue
		}
		text, err := read(p.Name)
		if err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != p.Sum {
			return nil, fmt.Errorf("%s changed while it was read: look again", p.Name)
		}
		if err := s.store(p.Sum, text, v.How != "found"); err != nil {
			return nil, err
		}
	}
	next := &History{Module: h.Module, Approved: h.Approved, Pending: h.Pending, Versions: []Version{v}}
	for _, o := range h.Versions {
		if o.Digest != v.Digest {
			next.Versions = append(next.Versions, o)
		}
	}
	if change != nil {
		change(next)
	}
	return next, s.write(next)
}

// Keep puts what lies in dir, read as tree, among the versions of h: v says the rest
// of it. See keep.
func (s *Store) Keep(h *History, dir string, tree *Content, v Version, change func(*History)) (*History, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	v.Digest, v.Parts = tree.Digest, tree.Parts
	return s.keepParts(h, v, func(name string) ([]byte, error) { return readPart(root, name) }, change)
}

// store writes one file. Those that are approved as they are found are many at once,
// and lie in the modules' folders too: these may reach the disk later, and what a loss
// of power leaves of them is found out by its sum.
func (s *Store) store(sum string, text []byte, sync bool) error {
	if sync {
		return disk.WriteFile(s.blob(sum), text)
	}
	tmp := filepath.Join(s.dir, "blobs", ".new")
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.blob(sum))
}

func (s *Store) blob(sum string) string { return filepath.Join(s.dir, "blobs", sum) }

// Read gives a kept file's text, which must be what its name says.
func (s *Store) Read(p Part) ([]byte, error) {
	if p.Sum == "" {
		return nil, fmt.Errorf("%s was too large to be kept", p.Name)
	}
	text, err := os.ReadFile(s.blob(p.Sum))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != p.Sum {
		return nil, fmt.Errorf("what is kept of %s is damaged: %s", p.Name, s.blob(p.Sum))
	}
	return text, nil
}

// collect removes files that no version holds. Where an index cannot be read nothing
// is: what it speaks of is not known.
func (s *Store) collect() {
	list, err := os.ReadDir(filepath.Join(s.dir, "index"))
	if err != nil {
		return
	}
	used := map[string]bool{}
	for _, de := range list {
		if !strings.HasSuffix(de.Name(), ".json") || strings.HasPrefix(de.Name(), ".") {
			continue
		}
		h, err := readIndex(filepath.Join(s.dir, "index", de.Name()))
		if err != nil {
			return
		}
		for _, v := range h.Versions {
			for _, p := range v.Parts {
				used[p.Sum] = true
			}
		}
	}
	blobs, _ := os.ReadDir(filepath.Join(s.dir, "blobs"))
	for _, de := range blobs {
		if !used[de.Name()] {
			_ = os.Remove(filepath.Join(s.dir, "blobs", de.Name()))
		}
	}
}
