//go:build unix

package logs

import (
	"os"
	"syscall"
)

// deleted reports whether no name leads to the file any more.
func deleted(f *os.File) bool {
	st, err := f.Stat()
	if err != nil {
		return true
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}

// keepOwner sets a rotated file's owner to that of the original, where this user may.
func keepOwner(f *os.File, st os.FileInfo) {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(s.Uid), int(s.Gid))
	}
}
