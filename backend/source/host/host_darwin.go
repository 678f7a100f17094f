package host

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opsdeck/opsdeck/backend/state"
)

// read fills in what sysctl and statfs give. The kernel reports CPU times and used
// memory only over Mach ports, which need cgo: they stay unknown.
func read(h *state.Host) error {
	h.OS = "macOS"
	if v, err := unix.Sysctl("kern.osproductversion"); err == nil {
		h.OS += " " + state.Clean(v)
	}
	if v, err := unix.SysctlUint64("hw.memsize"); err == nil {
		h.MemTotal = float64(v)
	}
	// struct loadavg: three 32-bit fixed-point numbers, padding, a 64-bit scale.
	if b, err := unix.SysctlRaw("vm.loadavg"); err == nil && len(b) >= 24 {
		if scale := float64(binary.LittleEndian.Uint64(b[16:])); scale > 0 {
			h.Load1 = float64(binary.LittleEndian.Uint32(b[0:])) / scale
			h.Load5 = float64(binary.LittleEndian.Uint32(b[4:])) / scale
			h.Load15 = float64(binary.LittleEndian.Uint32(b[8:])) / scale
		}
	}
	// struct xsw_usage: total, available and used in bytes.
	if b, err := unix.SysctlRaw("vm.swapusage"); err == nil && len(b) >= 24 {
		h.SwapTotal = float64(binary.LittleEndian.Uint64(b[0:]))
		h.SwapUsed = float64(binary.LittleEndian.Uint64(b[16:]))
	}
	if tv, err := unix.SysctlTimeval("kern.boottime"); err == nil {
		h.Uptime = time.Since(time.Unix(tv.Unix())).Seconds()
	}
	h.Disks = disks()
	return nil
}

// disks returns the file systems on local devices that are shown to users.
func disks() []state.Disk {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return nil
	}
	all := make([]unix.Statfs_t, n)
	if n, err = unix.Getfsstat(all, unix.MNT_NOWAIT); err != nil {
		return nil
	}
	var out []state.Disk
	for _, st := range all[:min(n, len(all))] {
		if st.Flags&unix.MNT_LOCAL == 0 || st.Flags&unix.MNT_DONTBROWSE != 0 && unix.ByteSliceToString(st.Mntonname[:]) != "/" || st.Blocks == 0 {
			continue
		}
		bs := float64(st.Bsize)
		out = append(out, state.Disk{Mount: state.Clean(unix.ByteSliceToString(st.Mntonname[:])), Device: state.Clean(unix.ByteSliceToString(st.Mntfromname[:])),
			FSType: unix.ByteSliceToString(st.Fstypename[:]), Total: float64(st.Blocks) * bs, Avail: float64(st.Bavail) * bs, Full: -1, Inodes: -1, InodesFree: -1})
	}
	return out
}

// processes cannot be read without cgo.
type processes struct{}

func newProcesses(func(string) string) *processes { return &processes{} }

func (*processes) read(h *state.Host) {
	h.Looked, h.Hidden = time.Now(), "processes are known on Linux only"
}
