package logs

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of 1 MiB.
func mountSmall(t *testing.T, dir string) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		return err
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return nil
}
