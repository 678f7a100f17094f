package scan

import (
	"os"

	"golang.org/x/sys/unix"
)

// DataAt returns where the first data at or after off is, or off where that is unknown.
func DataAt(f *os.File, off int64) int64 {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err != nil {
		return off
	}
	return at
}

// emptyFrom reports whether nothing was written at off and behind it.
func emptyFrom(f *os.File, off int64) bool {
	_, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	return err == unix.ENXIO
}
