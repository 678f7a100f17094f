//go:build unix

package scan

import (
	"os"
	"syscall"
)

// FileID identifies a file, whatever its name.
type FileID struct{ Dev, Ino uint64 }

// IDOf returns the identity of a file; the zero FileID where the system has none.
func IDOf(st os.FileInfo) FileID {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return FileID{uint64(s.Dev), uint64(s.Ino)}
	}
	return FileID{}
}
