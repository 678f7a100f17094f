package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram lets go of the resident pages of the program's own file, of which a start
// needs twice as many as what follows it. Those that are needed again come back from the
// page cache. Only what nothing was written to is let go: it is in the file as it was in
// memory.
func unmapProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var from, to uintptr // of the mapping whose lines are read, where it is one
	for sc := bufio.NewScanner(maps); sc.Scan(); {
		line := sc.Text()
		var a, b uintptr
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &a, &b, &mode); n == 3 {
			if from, to = 0, 0; strings.HasPrefix(mode, "r-") && strings.HasSuffix(line, " "+exe) {
				from, to = a, b
			}
		}
		if kib, ok := strings.CutPrefix(line, "Anonymous:"); ok && to > from && strings.TrimSpace(kib) == "0 kB" {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
