package sourcetest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallDisk returns a folder on a file system of 1 MiB.
func SmallDisk(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		Missing(t, fmt.Sprintf("the right to mount a small file system (%v)", err))
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}
