package docker

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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

// path returns where a cgroup of the hierarchy is found, or "".
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
	cpu, mem, stat, pids, net descriptor
	blk                       []descriptor
	v2cpu, v2mem, v2blk       bool
	limit                     float64
	limitPath                 string
	hostMem                   float64
	// cache is how much of usage can be reclaimed at once, as read at cacheAt: the
	// kernel counts it again for each read, which costs more than all else.
	usage, cache float64
	cacheAt      time.Time
}

// descriptor is an open file of the kernel's. There are some ten for each container: an
// [os.File] would be asked for its kind and offered to the poller each.
type descriptor int

const none descriptor = -1

// open returns none where there is no such file.
func open(path string) descriptor {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch err {
		case nil:
			return descriptor(fd)
		case unix.EINTR:
		default:
			return none
		}
	}
}

// read returns what the file holds, as far as buf does; nil where nothing can be read.
func (d descriptor) read(buf []byte) []byte {
	for d != none {
		n, err := unix.Pread(int(d), buf, 0)
		switch {
		case err == nil:
			return buf[:n]
		case err != unix.EINTR:
			return nil
		}
	}
	return nil
}

func (d descriptor) close() {
	if d != none {
		_ = unix.Close(int(d))
	}
}

// peek returns what a file holds, as far as buf does; nil where it cannot be read.
func peek(path string, buf []byte) []byte {
	d := open(path)
	defer d.close()
	return d.read(buf)
}

// cacheFor is how long that amount is trusted while the usage is the same.
const cacheFor = 5 * time.Second

// errOtherNamespace means that the PID is not the container's here.
var errOtherNamespace = errors.New("the container's process is not on this host")

// open opens the cgroup files of the container whose init process is pid. It is
// errOtherNamespace when that process is not in a cgroup of the container's. buf is scratch space.
func (m mounts) open(id string, pid int, hostMem float64, buf []byte) (*reader, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	b := peek(proc+"/cgroup", buf)
	if b == nil {
		return nil, errOtherNamespace
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
		return nil, errOtherNamespace
	}
	r := &reader{hostMem: hostMem, limit: -1}
	pick := func(controller, v1, v2 string) (descriptor, bool) {
		if d := dirs[controller]; d != "" {
			if f := open(d + "/" + v1); f != none {
				return f, false
			}
		}
		if unified != "" {
			if f := open(unified + "/" + v2); f != none {
				return f, true
			}
		}
		return none, false
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
			if f := open(d + "/" + name); f != none {
				r.blk = append(r.blk, f)
			}
		}
	} else if unified != "" {
		if f := open(unified + "/io.stat"); f != none {
			r.blk, r.v2blk = append(r.blk, f), true
		}
	}
	r.net = open(proc + "/net/dev")
	if r.cpu == none && r.mem == none {
		r.close()
		return nil, errOtherNamespace
	}
	r.readLimit()
	return r, nil
}

// maxDepth is how far below the root of its hierarchy a container's cgroup is looked
// for: orchestrators put it below a slice for each pod.
const maxDepth = 6

// containerID is a container's ID within the name of its cgroup: the name itself, or
// within docker-ID.scope and the like.
var containerID = regexp.MustCompile(`[0-9a-f]{64}`)

// processes finds the processes of all running containers by the containers' cgroups.
// buf is scratch space, and bounds how many of one container.
func (m mounts) processes(buf []byte) map[string][]int {
	root := m.v2.dir
	for _, c := range []string{"cpuacct", "memory", "pids"} {
		if at, ok := m.v1[c]; ok {
			root = at.dir
			break
		}
	}
	found := map[string][]int{}
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		id := containerID.FindString(d.Name())
		if id == "" {
			if strings.Count(path[len(root):], "/") >= maxDepth {
				return fs.SkipDir
			}
			return nil
		}
		for line := range strings.Lines(string(peek(path+"/cgroup.procs", buf))) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				found[id] = append(found[id], pid)
			}
		}
		return fs.SkipDir
	})
	return found
}

// openRunning opens every running container that has a cgroup here, and measures it.
func (m mounts) openRunning(hostMem float64) (readers []earlyReader) {
	buf := make([]byte, 64<<10)
	for id, pids := range m.processes(buf) {
		for _, pid := range pids { // one that has ended since says nothing
			r, err := m.open(id, pid, hostMem, buf)
			if err != nil {
				continue
			}
			if first, ok := r.read(buf); ok {
				readers = append(readers, earlyReader{id, pid, r, first})
				break
			}
			r.close()
		}
	}
	return readers
}

// containerCgroup returns the container's own cgroup in path, which may be a child of
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

// leaveNet stops reading the network, whose figures are unknown from then on.
func (r *reader) leaveNet() {
	r.net.close()
	r.net = none
}

func (r *reader) close() {
	for _, f := range append([]descriptor{r.cpu, r.mem, r.stat, r.pids, r.net}, r.blk...) {
		f.close()
	}
}

// readLimit reads the memory limit again; it changes only by docker update, which
// is an event.
func (r *reader) readLimit() {
	r.limit = r.hostMem
	if v, ok := number(bytes.TrimSpace(peek(r.limitPath, make([]byte, 64)))); ok && (v < r.hostMem || r.hostMem <= 0) {
		r.limit = v
	}
}

// read returns a sample. buf is scratch space. It returns false when nothing could be
// read: the container is gone.
func (r *reader) read(buf []byte) (sample, bool) {
	s := noSample()
	s.at = time.Now()
	if b := r.cpu.read(buf); b != nil {
		if r.v2cpu {
			if v, ok := field(b, "usage_usec "); ok {
				s.cpu = v * 1000
			}
		} else if v, ok := number(bytes.TrimSpace(b)); ok {
			s.cpu = v
		}
	}
	s.at = time.Now()
	if b := r.mem.read(buf); b != nil {
		if v, ok := number(bytes.TrimSpace(b)); ok {
			s.mem = v
		}
	}
	if s.mem >= 0 {
		if s.mem != r.usage || s.at.Sub(r.cacheAt) >= cacheFor {
			name := "total_inactive_file "
			if r.v2mem {
				name = "inactive_file "
			}
			v, ok := field(r.stat.read(buf), name)
			if !ok {
				v = 0
			}
			r.usage, r.cache, r.cacheAt = s.mem, v, s.at
		}
		if r.cache < s.mem {
			s.mem -= r.cache
		}
	}
	s.limit = r.limit
	if b := r.pids.read(buf); b != nil {
		if v, ok := number(bytes.TrimSpace(b)); ok {
			s.pids = v
		}
	}
	if r.net != none {
		if b := r.net.read(buf); b != nil {
			s.netRx, s.netTx = netDev(b)
		}
	} else {
		s.netRx, s.netTx = 0, 0
	}
	for _, f := range r.blk {
		s.blkRead, s.blkWrite = 0, 0
		b := f.read(buf)
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

// field returns the number after name at the beginning of a line.
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

// hostMemory returns the host's memory in bytes, or 0.
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
