//go:build !linux

package backend

import "syscall"

// residentBytes returns the process's largest resident memory so far: what this
// system tells without a library.
func residentBytes() uint64 {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return uint64(ru.Maxrss)
}
