package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Bounds of a scan.
const (
	scanCount  = 1000
	scanBudget = 20 * time.Millisecond // of the server's time, in a sweep
	// uniqueMax is up to how many keys a count leaves out those that a scan gives
	// twice, as it may while the keyspace is being resized.
	uniqueMax = 200_000
)

// job is a pass over the keyspace: for queues of a type, or for keys of a pattern.
type job struct {
	kind  string // "list", "stream", "zset", or "" for a pattern
	match string
	rank  int

	cursor uint64
	active bool
	steps  int
	took   time.Duration
	seen   map[string]bool
	count  int
	first  []string
	found  []string
	// What the last finished pass cost and found.
	passes   int
	lastTook time.Duration
	err      string
}

// plan decides what is read by name, what is counted and what is looked for.
func (r *run) plan() {
	if len(r.s.cfg.Keys) == 0 {
		for _, k := range []string{"list", "stream", "zset"} {
			r.jobs = append(r.jobs, &job{kind: k, rank: 1})
		}
		for _, p := range patterns {
			r.jobs = append(r.jobs, &job{match: p, rank: 2})
		}
		return
	}
	for i, k := range r.s.cfg.Keys {
		if strings.ContainsAny(k, "*?[") {
			r.jobs = append(r.jobs, &job{match: k, rank: i})
			r.byKey[k] = &track{q: newQueue(k, "keys"), rank: i, named: true}
			continue
		}
		r.byKey[k] = &track{q: newQueue(k, "list"), rank: i, named: true}
	}
}

// scan continues the passes for as long as this sweep's budget lasts. The time
// of a call is taken for the server's, which it is at most. The error is one of the
// connection; what the server refuses is shown beside the queues.
func (r *run) scan(ctx context.Context) error {
	if len(r.jobs) == 0 {
		return nil
	}
	left := scanBudget
	// Each pass is begun at most once a sweep.
	for range len(r.jobs) {
		j := r.jobs[r.next%len(r.jobs)]
		for left > 0 {
			began := time.Now()
			done, err := r.step(ctx, j)
			d := time.Since(began)
			left -= d
			j.took += d
			if err != nil {
				j.err = state.Clean(err.Error())
				j.reset()
				var refused redis.Error
				if !errors.As(err, &refused) && !errors.Is(err, errOldServer) {
					return err
				}
				break
			}
			if done {
				r.finish(j)
				break
			}
		}
		if left <= 0 && j.active {
			break
		}
		r.next++
		if left <= 0 {
			break
		}
	}
	r.describe(ctx)
	return nil
}

// errOldServer means that the server cannot scan for keys of a type.
var errOldServer = errors.New("this server is older than Redis 6 and cannot scan for queues: name them under redis.keys in opsdeck.yaml")

func (j *job) reset() {
	j.cursor, j.active, j.steps, j.took = 0, false, 0, 0
	j.seen, j.count, j.found = nil, 0, nil
}

// step scans the next keys. It reports whether the pass is over.
func (r *run) step(ctx context.Context, j *job) (bool, error) {
	if !j.active {
		j.active = true
		j.seen = map[string]bool{}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var keys []string
	var err error
	if j.kind != "" {
		keys, j.cursor, err = r.rdb.ScanType(ctx, j.cursor, "", scanCount, j.kind).Result()
		if err != nil && strings.Contains(err.Error(), "syntax error") {
			err = errOldServer
		}
	} else {
		keys, j.cursor, err = r.rdb.Scan(ctx, j.cursor, j.match, scanCount).Result()
	}
	if err != nil {
		return false, err
	}
	j.steps++
	for _, k := range keys {
		if len(j.seen) < uniqueMax {
			if j.seen[k] {
				continue
			}
			j.seen[k] = true
		}
		j.count++
		if len(j.found) < queueMax && j.kind != "" || len(j.found) < peekItems {
			j.found = append(j.found, k)
		}
	}
	return j.cursor == 0, nil
}

// finish publishes what a pass found.
func (r *run) finish(j *job) {
	j.err = ""
	j.passes++
	j.lastTook = j.took
	now := time.Now()
	if j.kind != "" {
		slices.Sort(j.found)
		for _, k := range j.found {
			if r.byKey[k] == nil && len(r.byKey) < queueMax {
				r.byKey[k] = &track{q: newQueue(k, j.kind), rank: j.rank, lastOK: now}
			}
		}
	} else {
		t := r.byKey[j.match]
		if t == nil && j.count > 0 {
			t = &track{q: newQueue(j.match, "keys"), rank: j.rank}
			r.byKey[j.match] = t
		}
		if t != nil {
			t.lastOK, t.q.Sampled, t.q.Err = now, now, ""
			j.first = slices.Sorted(slices.Values(j.found))
			t.add(point{at: now, depth: float64(j.count), added: -1, rd: -1})
		}
	}
	j.reset()
}

// describe returns how far the scans have come.
func (r *run) describe(ctx context.Context) {
	var took time.Duration
	waiting, errs := 0, ""
	for _, j := range r.jobs {
		took += j.lastTook
		if j.passes == 0 {
			waiting++
		}
		if j.err != "" {
			errs = j.err
			if t := r.byKey[j.match]; t != nil {
				t.q.Err = j.err
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	size, err := r.rdb.DBSize(ctx).Result()
	if err != nil {
		return
	}
	cur := r.jobs[r.next%len(r.jobs)]
	switch {
	case errs != "":
		r.scanned = "the scan failed: " + errs
	case cur.active && size > 0:
		pct := min(99, 100*float64(cur.steps*scanCount)/float64(size))
		r.scanned = fmt.Sprintf("%s keys, scan at %.0f %%, counts are of the last pass", thousands(size), pct)
		if waiting > 0 {
			r.scanned = fmt.Sprintf("%s keys, first scan at %.0f %%", thousands(size), pct)
		}
	default:
		r.scanned = fmt.Sprintf("%s keys in %d ms", thousands(size), max(1, took.Milliseconds()))
	}
}

// thousands writes 1204 as "1,204".
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
