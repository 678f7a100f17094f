package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/opsdeck/opsdeck/backend/state"
)

// writer is a process that has a file open to write to it.
type writer struct {
	pid  int
	name string
	// appends says that it writes at the end, wherever that is.
	appends bool
}

// String returns the process as people call it.
func (w writer) String() string { return fmt.Sprintf("process %d (%s)", w.pid, w.name) }

// writers returns the processes that write to a file, this one aside, as far as this user
// may know.
func writers(st os.FileInfo) (out []writer) {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	self := strconv.Itoa(os.Getpid())
	for _, fd := range fds {
		parts := strings.Split(fd, "/")
		if parts[2] == self {
			continue
		}
		if now, err := os.Stat(fd); err != nil || !os.SameFile(now, st) {
			continue
		}
		b, err := os.ReadFile("/proc/" + parts[2] + "/fdinfo/" + parts[4])
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), "flags:")
		line, _, _ := strings.Cut(rest, "\n")
		flags, err := strconv.ParseInt(strings.TrimSpace(line), 8, 64)
		if err != nil || flags&syscall.O_ACCMODE == syscall.O_RDONLY {
			continue
		}
		pid, _ := strconv.Atoi(parts[2])
		name, _ := os.ReadFile("/proc/" + parts[2] + "/comm")
		out = append(out, writer{pid, state.Clean(strings.TrimSpace(string(name))), flags&syscall.O_APPEND != 0})
	}
	return out
}
