package disk

import (
	"fmt"
	"io/fs"
	"syscall"
)

// fileID tells a file from another that took its name.
func fileID(fi fs.FileInfo) string {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d.%d.%d", st.Dev, st.Ino, fi.Mode())
	}
	return ""
}
