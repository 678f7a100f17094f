// Package host is the source of the host section: CPU, memory, swap, load, disks
// and uptime of the machine that the engine runs on.
//
// It owns nothing but the last sample, and refuses to start programs. On Linux all
// is read from /proc and statfs; on macOS what sysctl and statfs give, and what
// they do not is unknown (negative), never zero. No other package writes [state.Host].
//
// # Adding a figure
//
// Add its field to [state.Host], unknown in newHost, and read it in
// host_linux.go and host_darwin.go.
//
// # Why statfs has a time limit of its own
//
// statfs on a dead network mount hangs for ever, and nothing can interrupt it. Only
// file systems on local devices are queried, and a sweep that hangs is reported
// instead of being waited for.
package host
