package docker

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// mounts are where this host's cgroup file systems are mounted.
type mounts struct {
	// v1 has each version 1 controller's mount.
	v1 map[string]mount
	// v2 is the unified hierarchy, its dir "" where there is none.
	v2 mount
}

// mount is a cgroup mount: dir shows the hierarchy from root on.
type mount struct{ dir, root string }

// path is where a cgroup of the hierarchy is found, or "".
func (m mount) path(cgroup string) string {
	if m.dir == "" {
		return ""
	}
	if m.root != "/" {
		rest, ok := strings.CutPrefix(cgroup, m.root)
		if !ok {
			return ""
		}
		cgroup = rest
	}
	return filepath.Join(m.dir, cgroup)
}

// readMounts reads /proc/self/mountinfo (proc(5)): fields 4 and 5 are the root
// and the mount point; after "-" come type, source and super options.
func readMounts() (mounts, error) {
	m := mounts{v1: map[string]mount{}}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(b)) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		at := mount{dir: unescape(l[4]), root: unescape(l[3])}
		switch r[0] {
		case "cgroup2":
			if m.v2.dir == "" {
				m.v2 = at
			}
		case "cgroup":
			for _, o := range strings.Split(r[2], ",") {
				switch o {
				case "cpuacct", "memory", "blkio", "pids":
					if _, have := m.v1[o]; !have {
						m.v1[o] = at
					}
				}
			}
		}
	}
	if len(m.v1) == 0 && m.v2.dir == "" {
		return m, errors.New("no cgroup file system is mounted")
	}
	return m, nil
}

// unescape undoes mountinfo's octal escapes.
func unescape(s string) string {
	for _, e := range [...][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// reader holds one container's descriptors.
type reader struct {
	cpu, mem, stat, pids, net *os.File
	blk                       []*os.File
	v2cpu, v2mem, v2blk       bool
	limit                     float64
	limitPath                 string
	hostMem                   float64
}

// errForeign says that the PID is not the container's here.
var errForeign = errors.New("the container's process is not on this host")

// open opens the cgroup files of the container whose init process is pid. It is
// errForeign when that process is not in a cgroup of the container's.
func (m mounts) open(id string, pid int, hostNet bool, hostMem float64) (*reader, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(proc + "/cgroup")
	if err != nil {
		return nil, errForeign
	}
	dirs := map[string]string{}
	unified := ""
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		path := containerCgroup(f[2], id)
		if path == "" {
			continue
		}
		if f[0] == "0" && f[1] == "" {
			unified = m.v2.path(path)
			continue
		}
		for _, c := range strings.Split(f[1], ",") {
			if at, ok := m.v1[c]; ok {
				dirs[c] = at.path(path)
			}
		}
	}
	if unified == "" && len(dirs) == 0 {
		return nil, errForeign
	}
	r := &reader{hostMem: hostMem, limit: -1}
	pick := func(controller, v1, v2 string) (*os.File, bool) {
		if d := dirs[controller]; d != "" {
			if f, err := os.Open(filepath.Join(d, v1)); err == nil {
				return f, false
			}
		}
		if unified != "" {
			if f, err := os.Open(filepath.Join(unified, v2)); err == nil {
				return f, true
			}
		}
		return nil, false
	}
	r.cpu, r.v2cpu = pick("cpuacct", "cpuacct.usage", "cpu.stat")
	r.mem, r.v2mem = pick("memory", "memory.usage_in_bytes", "memory.current")
	r.stat, _ = pick("memory", "memory.stat", "memory.stat")
	r.pids, _ = pick("pids", "pids.current", "pids.current")
	if d := dirs["memory"]; d != "" && !r.v2mem {
		r.limitPath = filepath.Join(d, "memory.limit_in_bytes")
	} else if unified != "" {
		r.limitPath = filepath.Join(unified, "memory.max")
	}
	if d := dirs["blkio"]; d != "" {
		// The first of these that has seen a device is the scheduler's own account;
		// the throttling layer's is the one that is always there.
		for _, name := range []string{"blkio.io_service_bytes_recursive", "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"} {
			if f, err := os.Open(filepath.Join(d, name)); err == nil {
				r.blk = append(r.blk, f)
			}
		}
	} else if unified != "" {
		if f, err := os.Open(filepath.Join(unified, "io.stat")); err == nil {
			r.blk, r.v2blk = append(r.blk, f), true
		}
	}
	if !hostNet {
		r.net, _ = os.Open(proc + "/net/dev")
	}
	if r.cpu == nil && r.mem == nil {
		r.close()
		return nil, errForeign
	}
	r.readLimit()
	return r, nil
}

// containerCgroup is the container's own cgroup in path, which may be a child of
// it; "" when the path does not hold the container's ID.
func containerCgroup(path, id string) string {
	at := strings.Index(path, id)
	if at < 0 {
		return ""
	}
	if end := strings.IndexByte(path[at:], '/'); end >= 0 {
		return path[:at+end]
	}
	return path
}

func (r *reader) close() {
	for _, f := range append([]*os.File{r.cpu, r.mem, r.stat, r.pids, r.net}, r.blk...) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// readLimit reads the memory limit anew; it changes only by docker update, which
// is an event.
func (r *reader) readLimit() {
	r.limit = r.hostMem
	b, err := os.ReadFile(r.limitPath)
	if err != nil {
		return
	}
	if v, ok := number(bytes.TrimSpace(b)); ok && (v < r.hostMem || r.hostMem <= 0) {
		r.limit = v
	}
}

// read takes a sample. buf is scratch space. It is false when nothing could be
// read: the container is gone.
func (r *reader) read(buf []byte) (sample, bool) {
	s := noSample()
	s.at = time.Now()
	got := func(f *os.File) []byte {
		if f == nil {
			return nil
		}
		n, err := f.ReadAt(buf, 0)
		if n == 0 && err != nil {
			return nil
		}
		return buf[:n]
	}
	if b := got(r.cpu); b != nil {
		if r.v2cpu {
			if v, ok := field(b, "usage_usec "); ok {
				s.cpu = v * 1000
			}
		} else if v, ok := number(bytes.TrimSpace(b)); ok {
			s.cpu = v
		}
	}
	s.at = time.Now()
	if b := got(r.mem); b != nil {
		if v, ok := number(bytes.TrimSpace(b)); ok {
			s.mem = v
		}
	}
	if b := got(r.stat); b != nil && s.mem >= 0 {
		name := "total_inactive_file "
		if r.v2mem {
			name = "inactive_file "
		}
		if v, ok := field(b, name); ok && v < s.mem {
			s.mem -= v
		}
	}
	s.limit = r.limit
	if b := got(r.pids); b != nil {
		if v, ok := number(bytes.TrimSpace(b)); ok {
			s.pids = v
		}
	}
	if r.net != nil {
		if b := got(r.net); b != nil {
			s.netRx, s.netTx = netDev(b)
		}
	} else {
		s.netRx, s.netTx = 0, 0
	}
	for _, f := range r.blk {
		s.blkRead, s.blkWrite = 0, 0
		b := got(f)
		var seen bool
		if r.v2blk {
			s.blkRead, s.blkWrite, seen = ioStat(b)
		} else {
			s.blkRead, s.blkWrite, seen = blkio(b)
		}
		if seen {
			break
		}
	}
	return s, s.cpu >= 0 || s.mem >= 0
}

// field is the number after name at the beginning of a line.
func field(b []byte, name string) (float64, bool) {
	for off := 0; ; {
		i := bytes.Index(b[off:], []byte(name))
		if i < 0 {
			return 0, false
		}
		i += off
		if i == 0 || b[i-1] == '\n' {
			rest := b[i+len(name):]
			if e := bytes.IndexByte(rest, '\n'); e >= 0 {
				rest = rest[:e]
			}
			return number(rest)
		}
		off = i + 1
	}
}

// netDev sums received and sent bytes over all interfaces but lo: columns 1 and 9
// of /proc/net/dev after the name.
func netDev(b []byte) (rx, tx float64) {
	for line := range bytes.Lines(b) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok || string(bytes.TrimSpace(name)) == "lo" {
			continue
		}
		col := 0
		for f := range bytes.FieldsSeq(rest) {
			switch col {
			case 0:
				v, _ := number(f)
				rx += v
			case 8:
				v, _ := number(f)
				tx += v
			}
			col++
		}
	}
	return rx, tx
}

// blkio sums "8:0 Read 4096" lines; seen says that there was a device.
func blkio(b []byte) (read, written float64, seen bool) {
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) != 3 {
			continue
		}
		v, _ := number(f[2])
		switch string(f[1]) {
		case "Read":
			read += v
			seen = true
		case "Write":
			written += v
			seen = true
		}
	}
	return read, written, seen
}

// ioStat sums "8:0 rbytes=1 wbytes=2 ..." lines.
func ioStat(b []byte) (read, written float64, seen bool) {
	for f := range bytes.FieldsSeq(b) {
		if v, ok := bytes.CutPrefix(f, []byte("rbytes=")); ok {
			n, _ := number(v)
			read += n
			seen = true
		} else if v, ok := bytes.CutPrefix(f, []byte("wbytes=")); ok {
			n, _ := number(v)
			written += n
			seen = true
		}
	}
	return read, written, seen
}

// hostMemory is the host's memory in bytes, or 0.
func hostMemory() float64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	if f := bytes.Fields(b); len(f) > 1 && string(f[0]) == "MemTotal:" {
		v, _ := number(f[1])
		return v * 1024
	}
	return 0
}
