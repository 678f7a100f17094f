package logs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// asNobody has do open files as a user without rights, on this thread alone. It reports
// whether this user may do so.
func asNobody(do func()) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	was, err := unix.SetfsuidRetUid(65534)
	if err != nil {
		return false
	}
	now, _ := unix.SetfsuidRetUid(65534) // it gives what is in force, whatever it was asked for
	do()
	_, _ = unix.SetfsuidRetUid(was)
	return now == 65534
}
