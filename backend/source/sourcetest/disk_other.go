//go:build !linux

package sourcetest

import "testing"

// SmallDisk returns a folder on a file system of 1 MiB.
func SmallDisk(t testing.TB) string {
	t.Helper()
	Missing(t, "a way to mount a small file system")
	return ""
}
