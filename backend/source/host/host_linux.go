package host

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/opsdeck/opsdeck/backend/state"
)

// userHz is the unit of /proc/stat, fixed at 100 for all of Linux's user space.
const userHz = 100

// cpuModes are /proc/stat's columns (proc(5)). guest is part of user, so left out.
var cpuModes = [...]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

// read fills in what /proc and statfs say.
func read(h *state.Host) error {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return fmt.Errorf("read /proc/stat: %w: is /proc mounted?", err)
	}
	h.CPUSeconds = parseStat(string(stat))
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 2 {
			h.Load1, h.Load5, h.Load15 = number(f[0]), number(f[1]), number(f[2])
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		parseMeminfo(h, string(b))
	}
	if b, err := os.ReadFile("/proc/uptime"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 0 {
			h.Uptime = number(f[0])
		}
	}
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
				h.OS = state.Clean(strings.Trim(v, `"'`))
			}
		}
	}
	if b, err := os.ReadFile("/proc/self/mounts"); err == nil {
		h.Disks = disks(string(b))
	}
	readNets(h)
	readClock(h)
	readCounts(h)
	return nil
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return -1
	}
	return v
}

func parseStat(text string) cpuTimes {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 5 || f[0] != "cpu" {
		return nil
	}
	out := cpuTimes{}
	for i, mode := range cpuModes {
		if i+1 < len(f) {
			out[mode] = number(f[i+1]) / userHz
		}
	}
	return out
}

func parseMeminfo(h *state.Host, text string) {
	kb := map[string]float64{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 {
			kb[strings.TrimSuffix(f[0], ":")] = number(f[1]) * 1024
		}
	}
	total, ok := kb["MemTotal"]
	if !ok {
		return
	}
	h.MemTotal = total
	if avail, ok := kb["MemAvailable"]; ok {
		h.MemUsed = total - avail
	}
	h.SwapTotal, h.SwapUsed = kb["SwapTotal"], kb["SwapTotal"]-kb["SwapFree"]
}

// disks returns the mounted file systems on local block devices, each device once, by
// its first mount; network, memory and image file systems are left out.
func disks(mounts string) []state.Disk {
	seen := map[string]bool{}
	var out []state.Disk
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 || seen[f[0]] {
			continue
		}
		device, fstype := f[0], f[2]
		if !strings.HasPrefix(device, "/dev/") && fstype != "zfs" && fstype != "btrfs" && fstype != "overlay" ||
			strings.HasPrefix(device, "/dev/loop") || fstype == "squashfs" || fstype == "iso9660" || fstype == "devtmpfs" {
			continue
		}
		if fstype == "overlay" && f[1] != "/" {
			continue
		}
		mount := unescape(f[1]) // of hundreds, on a host with as many containers
		var st unix.Statfs_t
		if unix.Statfs(mount, &st) != nil || st.Blocks == 0 {
			continue
		}
		if fi, err := os.Stat(mount); err == nil && !fi.IsDir() {
			continue // a file that is mounted over, as in containers
		}
		seen[f[0]] = true
		bs := float64(st.Bsize)
		out = append(out, state.Disk{Mount: state.Clean(mount), Device: state.Clean(device), FSType: state.Clean(fstype),
			Total: float64(st.Blocks) * bs, Avail: float64(st.Bavail) * bs, Full: -1,
			Inodes: inodes(st.Files), InodesFree: inodes(min(st.Ffree, st.Files)), ReadOnly: st.Flags&unix.ST_RDONLY != 0})
	}
	return out
}

// inodes returns a count of them, negative where the file system makes them as it needs.
func inodes(n uint64) float64 {
	if n == 0 {
		return -1
	}
	return float64(n)
}

// readNets counts what went over each interface: the rates are made of two sweeps.
func readNets(h *state.Host) {
	fs, err := procfs.NewFS("/proc")
	if err != nil {
		return
	}
	devs, err := fs.NetDev()
	if err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(devs)) {
		d := devs[name]
		if name == "lo" || d.RxBytes == 0 && d.TxBytes == 0 || strings.HasPrefix(name, "veth") { // a veth is a container's, which has its own row
			continue
		}
		h.Nets = append(h.Nets, state.NetInterface{Name: state.Clean(name), RxRate: float64(d.RxBytes), TxRate: float64(d.TxBytes),
			Errors: float64(d.RxErrors + d.TxErrors + d.RxDropped + d.TxDropped)})
	}
}

// readClock reads from the kernel how well its clock is synchronised (adjtimex(2)).
func readClock(h *state.Host) {
	var t unix.Timex
	st, err := unix.Adjtimex(&t)
	if err != nil {
		return
	}
	h.ClockSet = st != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	if h.ClockSet {
		h.ClockErr = float64(t.Maxerror) / 1e6 // in microseconds
	}
}

func readCounts(h *state.Host) {
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 3 {
			if _, all, ok := strings.Cut(f[3], "/"); ok {
				h.Tasks = number(all)
			}
		}
	}
	if b, err := os.ReadFile("/proc/sys/fs/file-nr"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 2 {
			h.Files, h.FilesMax = number(f[0]), number(f[2])
		}
	}
}

// unescape undoes the octal escapes of mount tables.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
