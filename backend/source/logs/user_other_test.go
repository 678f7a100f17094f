//go:build !linux

package logs

// asNobody has do open files as a user without rights, which only Linux can do for one
// thread.
func asNobody(func()) bool { return false }
