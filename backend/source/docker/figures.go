package docker

import (
	"context"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// historyLen is how many samples a container's histories hold.
const historyLen = 60

// sample is one reading of a container's totals. Negative is unknown.
type sample struct {
	at                time.Time
	cpu               float64 // nanoseconds since start
	mem, limit, pids  float64
	netRx, netTx      float64
	blkRead, blkWrite float64
}

// noSample returns a reading of which nothing is known.
func noSample() sample {
	return sample{cpu: -1, mem: -1, limit: -1, pids: -1, netRx: -1, netTx: -1, blkRead: -1, blkWrite: -1}
}

// track is one container, and what is needed to follow it.
type track struct {
	c   state.Container
	pid int
	// hostNet says that it uses the host's network, of which no figure is its own.
	hostNet bool
	// known says that it has been inspected since it was last told of.
	known bool
	// reader holds its descriptors; nil until opened. tried is the PID for which
	// opening was last tried.
	reader *reader
	tried  int
	// first is when it was measured before the engine had told of it; zero if not.
	first  time.Time
	prev   sample
	cpu    history
	mem    history
	past   past
	events []state.ContainerEvent // the last ones, oldest first
}

// running reports whether there is anything to measure.
func (t *track) running() bool {
	return t.c.State == "running" || t.c.State == "paused"
}

// earlyReader is a container that was found by its cgroup, and its first figures.
type earlyReader struct {
	id     string
	pid    int
	reader *reader
	first  sample
}

// read sets the reader that measures the container from now on.
func (t *track) read(r *reader) {
	if t.reader = r; t.hostNet {
		r.leaveNet()
	}
}

// closeReader closes its descriptors.
func (t *track) closeReader() {
	if t.reader != nil {
		t.reader.close()
		t.reader = nil
	}
	t.tried, t.first = 0, time.Time{}
	t.prev = sample{}
}

// unknown forgets the figures, not the histories: what a container did before it
// died is what one wants to see.
func (t *track) unknown() {
	c := &t.c
	c.CPUPercent, c.CPUSeconds, c.MemBytes, c.MemLimit, c.MemPercent = -1, -1, -1, -1, -1
	c.NetRx, c.NetTx, c.NetRxRate, c.NetTxRate = -1, -1, -1, -1
	c.BlkRead, c.BlkWrite, c.BlkReadRate, c.BlkWrRate = -1, -1, -1, -1
	c.PIDs = -1
	t.prev = sample{}
}

// apply turns a reading into figures.
func (t *track) apply(s sample) {
	c, p := &t.c, t.prev
	dt := 0.0
	if !p.at.IsZero() {
		dt = s.at.Sub(p.at).Seconds()
	}
	c.Sampled = s.at
	rate := func(now, before float64) float64 {
		if dt <= 0 || now < 0 || before < 0 || now < before {
			return -1
		}
		return (now - before) / dt
	}
	c.CPUPercent = -1
	if r := rate(s.cpu, p.cpu); r >= 0 {
		c.CPUPercent = r / 1e7
	}
	c.CPUSeconds = -1
	if s.cpu >= 0 {
		c.CPUSeconds = s.cpu / 1e9
	}
	c.MemBytes, c.MemLimit, c.MemPercent = s.mem, s.limit, -1
	if s.mem >= 0 && s.limit > 0 {
		c.MemPercent = 100 * s.mem / s.limit
	}
	c.NetRx, c.NetTx = s.netRx, s.netTx
	c.NetRxRate, c.NetTxRate = rate(s.netRx, p.netRx), rate(s.netTx, p.netTx)
	c.BlkRead, c.BlkWrite = s.blkRead, s.blkWrite
	c.BlkReadRate, c.BlkWrRate = rate(s.blkRead, p.blkRead), rate(s.blkWrite, p.blkWrite)
	c.PIDs = s.pids
	if c.CPUPercent >= 0 {
		c.CPUHistory = t.cpu.add(c.CPUPercent)
	}
	if c.MemBytes >= 0 {
		c.MemHistory = t.mem.add(c.MemBytes)
	}
	t.past.add([6]float64{c.CPUPercent, c.MemBytes, c.NetRxRate, c.NetTxRate, c.BlkReadRate, c.BlkWrRate})
	t.prev = s
}

// past is a container's figures over the last minute: for graphs, which are copied out
// only while it is shown. Older figures are in the store.
type past struct{ minute ring }

// point are CPU, memory, network in and out, block read and written. Half the
// precision is plenty for a graph.
type point [6]float32

// ring holds the last figures of a container. It is empty until there is one: most
// containers of a full host are stopped.
type ring struct {
	buf []point
	at  int // the oldest, once it is full
}

func (r *ring) add(v point, most int) {
	if len(r.buf) < most {
		r.buf = append(r.buf, v)
		return
	}
	r.buf[r.at] = v
	r.at = (r.at + 1) % most
}

// series copies the ring out.
func (r *ring) series(step time.Duration) state.Series {
	s := state.Series{Step: step}
	for i, to := range []*[]float64{&s.CPU, &s.Mem, &s.NetRx, &s.NetTx, &s.BlkRead, &s.BlkWrite} {
		vs := make([]float64, len(r.buf))
		for n := range vs {
			vs[n] = float64(r.buf[(r.at+n)%len(r.buf)][i])
		}
		*to = vs
	}
	return s
}

func (p *past) add(v [6]float64) {
	var now point
	for i, x := range v {
		now[i] = float32(x)
	}
	p.minute.add(now, 60)
}

// history is the last samples. What add returned is never written again: the
// buffer only grows behind it, and is left to its readers when it is full.
type history struct{ buf []float64 }

// add appends v and returns the last historyLen values, oldest first.
func (h *history) add(v float64) []float64 {
	if len(h.buf) == cap(h.buf) {
		keep := h.buf[max(0, len(h.buf)-historyLen+1):]
		h.buf = append(make([]float64, 0, 4*historyLen), keep...)
	}
	h.buf = append(h.buf, v)
	n := len(h.buf)
	return h.buf[max(0, n-historyLen):n:n]
}

// number reads decimal digits; anything else ("max") is false.
func number(b []byte) (float64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return float64(v), true
}

// adoptReader takes over the reader that was opened before the list arrived. It returns when that was
// measured, the zero time where there was nothing.
func (r *run) adoptReader(readers []earlyReader) (measured time.Time) {
	for _, m := range readers {
		t := r.byID[m.id]
		if t == nil || !t.running() {
			m.reader.close()
			continue
		}
		t.pid, t.tried = m.pid, m.pid
		t.read(m.reader)
		t.first = m.first.at
		t.apply(m.first)
		measured = m.first.at
	}
	return measured
}

// sweep measures every running container. It reports whether figures came.
func (r *run) sweep(ctx context.Context) bool {
	var ask []string
	got := false
	for _, t := range r.order {
		if !t.running() || t.pid == 0 {
			continue
		}
		if r.local && t.reader == nil && t.tried != t.pid {
			t.tried = t.pid
			if rd, err := r.mounts.open(t.c.ID, t.pid, r.hostMem, r.buf); err == nil {
				t.read(rd)
			}
		}
		if t.reader == nil {
			ask = append(ask, t.c.ID)
			continue
		}
		if sm, ok := t.reader.read(r.buf); ok {
			t.apply(sm)
			got = true
		} else {
			t.unknown()
		}
	}
	if len(ask) > 0 && !r.sweeping {
		r.fetchStats(ctx, ask)
	}
	return got
}
