package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// keepJobs is how many of the last jobs can be followed by ID.
	keepJobs = 2000
	// keepFailed is how many failed jobs are kept for a retry, and keepFailedBytes how
	// much of what they hold.
	keepFailed      = 100
	keepFailedBytes = 32 << 20
	// shownJobs is how many of the last jobs are always published, and listedJobs how
	// many while somebody looks at them.
	shownJobs, listedJobs = 8, 200
)

// stageFetch is where a job failed that gave nothing to take in.
const stageFetch = "fetch"

// Job is one fetch's way through the stages. It is worked on by one stage at a time;
// what its trace says is guarded by mu.
type Job struct {
	id                         string
	module, category, platform string
	fetched                    time.Time
	raw                        json.RawMessage
	items                      []json.RawMessage
	newest                     time.Time
	truncated                  bool
	summary                    Summary

	mu     sync.Mutex
	status string
	stage  string // where it is, or where it failed
	cause  string
	times  int
	steps  []state.JobStep
}

// NewJob makes one of what a module's fetch gave at a time; raw is nil where it gave nothing.
func NewJob(module, category, platform string, fetched time.Time, raw json.RawMessage) *Job {
	return &Job{module: module, category: category, platform: platform, fetched: fetched, raw: raw}
}

func (j *Job) enter(stage string, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status, j.stage, j.cause = "waiting", stage, ""
	j.steps = append(j.steps, state.JobStep{Stage: stage, Queued: now})
}

func (j *Job) start(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status = "running"
	j.steps[len(j.steps)-1].Started = now
}

func (j *Job) end(now time.Time, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := &j.steps[len(j.steps)-1]
	if st.Ended = now; err != nil {
		st.Err = err.Error()
	}
}

// queued returns when it came into the queue that it is in.
func (j *Job) queued() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.steps[len(j.steps)-1].Queued
}

// size returns about what it holds, in bytes.
func (j *Job) size() int {
	n := len(j.raw)
	if n == 0 {
		for _, it := range j.items {
			n += len(it)
		}
	}
	return n
}

// state returns the job as published; full has its steps.
func (j *Job) state(full bool, clean func(string) string) state.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := state.Job{ID: j.id, Module: j.module, Status: j.status, At: j.fetched, Items: j.summary.Items, Stage: j.stage, Cause: clean(j.cause), Times: j.times}
	if full {
		out.Steps = slices.Clone(j.steps)
		for i := range out.Steps {
			out.Steps[i].Err = clean(out.Steps[i].Err)
		}
	}
	return out
}

// jobs remembers the last jobs, and keeps those that failed.
type jobs struct {
	prefix string

	mu      sync.Mutex
	seq     uint64
	ring    []*Job // the last keepJobs, in a ring that begins at next
	next    int
	byID    map[string]*Job
	bad     []*Job // those that failed, oldest first
	bytes   int
	changed bool // the failed ones differ from what is on disk
}

func newJobs(now time.Time) *jobs {
	return &jobs{prefix: strconv.FormatInt(now.UnixMilli(), 36), byID: map[string]*Job{}}
}

// add gives a job its ID and remembers it.
func (k *jobs) add(j *Job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seq++
	j.id = k.prefix + "-" + strconv.FormatUint(k.seq, 36)
	if len(k.ring) < keepJobs {
		k.ring = append(k.ring, j)
	} else {
		if old := k.ring[k.next]; !slices.Contains(k.bad, old) {
			delete(k.byID, old.id)
		}
		k.ring[k.next] = j
		k.next = (k.next + 1) % keepJobs
	}
	k.byID[j.id] = j
}

// done ends a job that was delivered. What failed before it of the same module is
// made up for.
func (k *jobs) done(j *Job) {
	j.mu.Lock()
	j.status, j.stage = "done", "delivered"
	j.mu.Unlock()
	j.raw, j.items = nil, nil // /context has them
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range slices.Clone(k.bad) {
		if b.module == j.module && !b.fetched.After(j.fetched) {
			b.mu.Lock()
			b.status = "superseded"
			b.mu.Unlock()
			k.drop(b)
		}
	}
}

// failed keeps a job with its cause. Of failures of one module in the same place the
// newest is kept, and how many there were.
func (k *jobs) failed(j *Job, stage string, err error) {
	j.mu.Lock()
	j.status, j.stage, j.cause, j.times = "failed", stage, err.Error(), 1
	j.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.bad {
		if b != j && b.module == j.module && b.stage == stage {
			b.mu.Lock()
			b.status = "superseded"
			times := b.times
			b.mu.Unlock()
			j.mu.Lock()
			j.times += times
			j.mu.Unlock()
			k.drop(b)
			break
		}
	}
	k.bad = append(k.bad, j)
	k.bytes += j.size()
	k.changed = true
	for len(k.bad) > keepFailed || k.bytes > keepFailedBytes && len(k.bad) > 1 {
		k.drop(k.bad[0])
	}
}

// drop forgets what a failed job holds; k.mu is held.
func (k *jobs) drop(j *Job) {
	i := slices.Index(k.bad, j)
	if i < 0 {
		return
	}
	k.bad = slices.Delete(k.bad, i, i+1)
	k.bytes -= j.size()
	j.raw, j.items = nil, nil
	k.changed = true
}

var errNoJob = errors.New("there is no failed job of that ID: it was retried, made up for by a later fetch, or dropped")

// take takes a failed job out, for a retry.
func (k *jobs) take(id string) (*Job, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, b := range k.bad {
		if b.id == id {
			k.bad = slices.Delete(k.bad, i, i+1)
			k.bytes -= b.size()
			k.changed = true
			return b, nil
		}
	}
	return nil, fmt.Errorf("job %s: %w", id, errNoJob)
}

// list returns the failed jobs and the last others, newest first; all gives more of them.
// Those wanted come with their steps.
func (k *jobs) list(all bool, want []string, clean func(string) string) []state.Job {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := shownJobs
	if all {
		n = listedJobs
	}
	var out []state.Job
	in := map[string]bool{}
	put := func(j *Job) {
		if !in[j.id] {
			in[j.id] = true
			out = append(out, j.state(slices.Contains(want, j.id), clean))
		}
	}
	for i := len(k.ring) - 1; i >= 0 && len(out) < n; i-- {
		put(k.ring[(k.next+i)%len(k.ring)])
	}
	for _, j := range k.bad {
		put(j)
	}
	for _, id := range want {
		if j := k.byID[id]; j != nil {
			put(j)
		}
	}
	slices.SortFunc(out, func(a, b state.Job) int { return b.At.Compare(a.At) })
	return out
}

// job returns one of those that are remembered; false where it is not.
func (k *jobs) job(id string, clean func(string) string) (state.Job, bool) {
	k.mu.Lock()
	j := k.byID[id]
	k.mu.Unlock()
	if j == nil {
		return state.Job{}, false
	}
	return j.state(true, clean), true
}
