package scan

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// packedSuffix is what rotation appends to a log file's name, compressed or not.
var packedSuffix = regexp.MustCompile(`^[.\-_]\d[\d.\-_T:]*(\.(gz|zst|bz2|xz))?$`)

// Rotations returns the rotated files of a log, compressed or not, oldest first. What
// was last written before since, where that is not zero, is left out.
func Rotations(path string, since time.Time) []string {
	type old struct {
		path string
		at   time.Time
		n    int
	}
	var olds []old
	EachRotated(path, packedSuffix, func(name, suffix string, st os.FileInfo) {
		if !since.IsZero() && st.ModTime().Before(since) {
			return
		}
		n := 0
		if num, _, _ := strings.Cut(suffix[1:], "."); len(num) < 6 {
			n, _ = strconv.Atoi(num)
		}
		olds = append(olds, old{name, st.ModTime(), n})
	})
	slices.SortStableFunc(olds, func(a, b old) int {
		if a.n > 0 && b.n > 0 { // .2.gz is older than .1
			return b.n - a.n
		}
		return a.at.Compare(b.at)
	})
	out := make([]string, len(olds))
	for i, o := range olds {
		out[i] = o.path
	}
	// A file that is being compressed is there twice for a moment.
	return slices.DeleteFunc(out, func(p string) bool {
		ext := filepath.Ext(p)
		return (ext == ".gz" || ext == ".zst" || ext == ".bz2") && slices.Contains(out, strings.TrimSuffix(p, ext))
	})
}

// EachRotated calls each with the regular files beside a path whose names are its own and a suffix.
func EachRotated(path string, suffixes *regexp.Regexp, each func(name, suffix string, st os.FileInfo)) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	ents, err := os.ReadDir(dir)
	if err != nil {
		return // the path itself says what is wrong there
	}
	for _, e := range ents {
		suffix, ok := strings.CutPrefix(e.Name(), base)
		if !ok || !suffixes.MatchString(suffix) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			each(filepath.Join(dir, e.Name()), suffix, st)
		}
	}
}
