package tui

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	pastEvery = 5 * time.Second
	pastKept  = 120 // ten minutes
	// pastRows bounds the containers of all kept instants together, 130 bytes each: an
	// engine with thousands of stopped ones has fewer instants. A few there always are.
	pastRows  = 60_000
	pastLeast = 3
	// pastProcesses is how many of the host's processes are kept of an instant: the busiest.
	pastProcesses = 20
)

// past is the time cursor and the instants that it moves over, oldest first.
type past struct {
	kept []*instant
	// back counts from the newest kept; 0 is now.
	back int
	// drawn is the snapshot of the instant under the cursor once it was asked for.
	drawn   *state.Snapshot
	drawnOf *instant
}

func (p *past) live() bool { return p.back == 0 }

// at returns the snapshot under the time cursor, nil for now.
func (p *past) at() *state.Snapshot {
	if p.back == 0 || p.back > len(p.kept) {
		return nil
	}
	if k := p.kept[len(p.kept)-p.back]; p.drawnOf != k {
		p.drawn, p.drawnOf = k.snapshot(), k
	}
	return p.drawn
}

// keep remembers s if the last one kept is old enough. While the cursor is in the
// past nothing moves under it.
func (p *past) keep(s *state.Snapshot) {
	var before *instant
	if n := len(p.kept); n > 0 {
		if before = p.kept[n-1]; s.At.Sub(before.rest.At) < pastEvery {
			return
		}
	}
	p.kept = append(p.kept, newInstant(s, before))
	if p.back > 0 {
		p.back++
	}
	rows := 0
	for _, k := range p.kept {
		rows += len(k.rows)
	}
	for n := len(p.kept); n > pastKept || n > pastLeast && rows > pastRows; n = len(p.kept) {
		rows -= len(p.kept[0].rows)
		p.kept[0] = nil
		p.kept = p.kept[1:]
		p.back = min(p.back, len(p.kept))
	}
}

// move goes n snapshots back, or forward if negative; false where there are none.
func (p *past) move(n int) bool {
	to := p.back + n
	if to < 0 || to > len(p.kept) {
		return false
	}
	p.back = to
	return true
}

// instant is a snapshot that is kept: without log lines, which the stream holds itself,
// and with what does not change of a container in one place for all instants. 200
// containers would take 14 MiB in ten minutes.
type instant struct {
	rest state.Snapshot
	rows []row
}

// row is a container at an instant. Its figures have the precision of a screen.
type row struct {
	facts      *state.Container
	figures    [14]float32
	sampled    int64 // in nanoseconds since 1970; 0 for never
	cpus, mems []float64
}

// figures returns what changes from one instant to the next.
func figures(c *state.Container) [14]*float64 {
	return [...]*float64{
		&c.CPUPercent, &c.CPUSeconds, &c.MemBytes, &c.MemPercent, &c.MemUsage, &c.NetRx, &c.NetTx, &c.NetRxRate, &c.NetTxRate,
		&c.BlkRead, &c.BlkWrite, &c.BlkReadRate, &c.BlkWrRate, &c.PIDs,
	}
}

// newInstant keeps s, and shares with the instant before it, which may be nil, what is
// the same.
func newInstant(s *state.Snapshot, before *instant) *instant {
	k := &instant{rest: *s, rows: make([]row, len(s.Containers.List))}
	k.rest.Logs.Tails, k.rest.Logs.Views, k.rest.Containers.List = nil, nil, nil
	k.rest.Host.Processes = busiest(s.Host.Processes)
	var byID map[string]*state.Container // made where the order has changed
	known := func(i int, id string) *state.Container {
		switch {
		case before == nil:
			return nil
		case i < len(before.rows) && before.rows[i].facts.ID == id:
			return before.rows[i].facts
		case byID == nil:
			byID = make(map[string]*state.Container, len(before.rows))
			for _, r := range before.rows {
				byID[r.facts.ID] = r.facts
			}
		}
		return byID[id]
	}
	for i := range s.Containers.List {
		c, r := &s.Containers.List[i], &k.rows[i]
		r.cpus, r.mems = c.CPUHistory, c.MemHistory
		if !c.Sampled.IsZero() {
			r.sampled = c.Sampled.UnixNano()
		}
		for n, f := range figures(c) {
			r.figures[n] = float32(*f)
		}
		if r.facts = known(i, c.ID); r.facts == nil || !sameFacts(r.facts, c) {
			facts := *c
			facts.CPUHistory, facts.MemHistory = nil, nil
			r.facts = &facts
		}
	}
	return k
}

// snapshot returns the instant as it was.
func (k *instant) snapshot() *state.Snapshot {
	s := k.rest
	s.Containers.List = make([]state.Container, len(k.rows))
	for i := range k.rows {
		r, c := &k.rows[i], &s.Containers.List[i]
		*c = *r.facts
		c.CPUHistory, c.MemHistory, c.Sampled = r.cpus, r.mems, time.Time{}
		if r.sampled != 0 {
			c.Sampled = time.Unix(0, r.sampled)
		}
		for n, f := range figures(c) {
			*f = float64(r.figures[n])
		}
	}
	return &s
}

// busiest returns the processes that are kept: those with the most CPU.
func busiest(all []state.Process) []state.Process {
	if len(all) <= pastProcesses {
		return all
	}
	some := slices.Clone(all)
	slices.SortStableFunc(some, func(a, b state.Process) int { return cmp.Compare(b.CPUPercent, a.CPUPercent) })
	return slices.Clone(some[:pastProcesses])
}

// sameFacts reports whether two containers differ in their figures alone.
func sameFacts(a, b *state.Container) bool {
	return a.ID == b.ID && a.Title == b.Title && a.Host == b.Host && a.Twin == b.Twin && a.Image == b.Image &&
		a.State == b.State && a.HealthWord == b.HealthWord && a.ExitCode == b.ExitCode && a.OOMKilled == b.OOMKilled &&
		a.Created.Equal(b.Created) && a.Started.Equal(b.Started) && a.Finished.Equal(b.Finished) && a.Restarts == b.Restarts &&
		a.Project == b.Project && a.Service == b.Service && a.Limits == b.Limits && a.NetworkOf == b.NetworkOf &&
		a.PIDsLimit == b.PIDsLimit && a.MemLimit == b.MemLimit &&
		maps.Equal(a.Labels, b.Labels) && slices.Equal(a.Ports, b.Ports) && slices.Equal(a.Volumes, b.Volumes)
}
