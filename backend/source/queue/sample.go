package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Bounds of a peek.
const (
	peekItems = 10
	peekBytes = 4 << 10
)

// point is a depth at a time, with what is known of all that went in and out.
type point struct {
	at               time.Time
	depth, added, rd float64 // negative where unknown
}

// track is one queue and its last minute.
type track struct {
	q state.Queue
	// rank is its place in the workspace's order.
	rank   int
	named  bool // by the workspace
	points []point
	depths []float64
	lastOK time.Time // when the key was last there
	oldest time.Time // of the oldest item, zero where unknown
	looked time.Time // when oldest was last read
}

// run is one connection. It belongs to Run's goroutine.
type run struct {
	s       *Source
	rdb     *redis.Client
	section state.Queues
	byKey   map[string]*track
	jobs    []*job
	next    int
	scanned string
}

func newQueue(key, kind string) state.Queue {
	return state.Queue{Key: key, Kind: kind, Depth: -1, In: -1, Out: -1, Drain: -1, Oldest: -1}
}

// publish makes the section, in the workspace's order, then by key.
func (r *run) publish() state.Queues {
	out := r.section
	ts := make([]*track, 0, len(r.byKey))
	for _, t := range r.byKey {
		ts = append(ts, t)
	}
	slices.SortFunc(ts, func(a, b *track) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.q.Key, b.q.Key))
	})
	out.List = make([]state.Queue, len(ts))
	for i, t := range ts {
		out.List[i] = t.q
		out.List[i].Key = state.Clean(t.q.Key)
	}
	out.Scan = r.scanned
	return out
}

// sample reads the size of every queue: one pipeline for types, one for sizes.
func (r *run) sample(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var ts []*track
	for _, t := range r.byKey {
		if t.q.Kind != "keys" {
			ts = append(ts, t)
		}
	}
	if len(ts) == 0 {
		if err := r.rdb.Ping(ctx).Err(); err != nil {
			return err
		}
		return r.peekWith(ctx)
	}
	types := make([]*redis.StatusCmd, len(ts))
	if _, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, t := range ts {
			types[i] = p.Type(ctx, t.q.Key)
		}
		return nil
	}); fatal(err) {
		return err
	}
	now := time.Now()
	answers := make([]answer, len(ts))
	if _, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, t := range ts {
			answers[i] = ask(ctx, p, t, types[i].Val(), now)
		}
		return nil
	}); fatal(err) {
		return err
	}
	for i, t := range ts {
		t.take(answers[i], now)
		if !t.named && now.Sub(t.lastOK) > forgetAfter {
			delete(r.byKey, t.q.Key)
		}
	}
	return r.peekWith(ctx)
}

// fatal reports whether the connection, not one key, is at fault.
func fatal(err error) bool {
	var re redis.Error
	if err == nil || errors.Is(err, redis.Nil) {
		return false
	}
	if errors.As(err, &re) {
		msg := re.Error()
		return strings.HasPrefix(msg, "NOAUTH") || strings.HasPrefix(msg, "LOADING") || strings.HasPrefix(msg, "NOPERM")
	}
	return true
}

// answer holds the commands of one queue.
type answer struct {
	kind        string
	size        *redis.IntCmd
	stream      *redis.XInfoStreamCmd
	groups      *redis.XInfoGroupsCmd
	head, last  *redis.StringCmd
	low         *redis.ZSliceCmd
	lookedAtAge bool
}

// ask adds a queue's commands to the pipeline.
func ask(ctx context.Context, p redis.Pipeliner, t *track, kind string, now time.Time) answer {
	a := answer{kind: kind}
	// The oldest item is read less often: an item may be large.
	if a.lookedAtAge = now.Sub(t.looked) >= 5*time.Second; a.lookedAtAge {
		t.looked = now
	}
	switch kind {
	case "list":
		a.size = p.LLen(ctx, t.q.Key)
		if a.lookedAtAge {
			a.head, a.last = p.LIndex(ctx, t.q.Key, 0), p.LIndex(ctx, t.q.Key, -1)
		}
	case "stream":
		a.size = p.XLen(ctx, t.q.Key)
		a.stream = p.XInfoStream(ctx, t.q.Key)
		a.groups = p.XInfoGroups(ctx, t.q.Key)
	case "zset":
		a.size = p.ZCard(ctx, t.q.Key)
		a.low = p.ZRangeWithScores(ctx, t.q.Key, 0, 0)
	}
	return a
}

// take turns the answers into figures.
func (t *track) take(a answer, now time.Time) {
	q := &t.q
	q.Sampled, q.Err = now, ""
	pt := point{at: now, added: -1, rd: -1}
	switch a.kind {
	case "none":
		// Redis removes what is empty.
		t.oldest = time.Time{}
		q.Groups = nil
		t.add(pt)
		return
	case "list", "stream", "zset":
		q.Kind = a.kind
	default:
		q.Err = fmt.Sprintf("it is a %s, not a list, stream or sorted set", state.Clean(a.kind))
		q.Depth, q.In, q.Out, q.Trend, q.Drain, q.Oldest = -1, -1, -1, 0, -1, -1
		return
	}
	t.lastOK = now
	n, err := a.size.Result()
	if err != nil {
		q.Err = state.Clean(err.Error())
		return
	}
	pt.depth = float64(n)
	switch a.kind {
	case "list":
		if a.lookedAtAge {
			t.oldest = older(itemTime(a.head.Val()), itemTime(a.last.Val()))
		}
	case "zset":
		t.oldest = time.Time{}
		if zs := a.low.Val(); len(zs) == 1 {
			t.oldest = epoch(zs[0].Score)
		}
	case "stream":
		t.oldest = time.Time{}
		if in, err := a.stream.Result(); err == nil {
			if in.EntriesAdded > 0 {
				pt.added = float64(in.EntriesAdded)
			}
			if ms, _, ok := strings.Cut(in.FirstEntry.ID, "-"); ok {
				if v, err := strconv.ParseFloat(ms, 64); err == nil {
					t.oldest = epoch(v)
				}
			}
		}
		q.Groups = nil
		gs, _ := a.groups.Result()
		for _, g := range gs {
			lag := float64(g.Lag)
			if g.Lag < 0 || g.Lag == 0 && g.EntriesRead == 0 && n > 0 && g.LastDeliveredID != "0-0" {
				lag = -1 // the server cannot say
			}
			q.Groups = append(q.Groups, state.StreamGroup{Title: state.Clean(g.Name), Consumers: int(g.Consumers), Pending: float64(g.Pending), Lag: lag})
			// The slowest group is the one that the stream waits for.
			if rd := float64(g.EntriesRead); rd > 0 && (pt.rd < 0 || rd < pt.rd) {
				pt.rd = rd
			}
		}
	}
	t.add(pt)
}

// add appends a point and works out rates, trend and what follows from them.
func (t *track) add(pt point) {
	q := &t.q
	t.points = append(t.points, pt)
	if len(t.points) > historyLen {
		t.points = slices.Clone(t.points[len(t.points)-historyLen:])
	}
	if len(t.depths) == cap(t.depths) {
		t.depths = append(make([]float64, 0, 4*historyLen), t.depths[max(0, len(t.depths)-historyLen+1):]...)
	}
	t.depths = append(t.depths, pt.depth)
	n := len(t.depths)
	q.Depths = t.depths[max(0, n-historyLen):n:n]
	q.Depth = pt.depth
	q.Oldest = -1
	if !t.oldest.IsZero() && pt.depth > 0 {
		q.Oldest = max(0, pt.at.Sub(t.oldest))
	}
	q.In, q.Out, q.NetOnly = rates(t.points)
	q.Trend = trend(t.points)
	q.Drain = -1
	if q.Trend < -1e-3 && q.Depth > 0 {
		if sec := q.Depth / -q.Trend; sec < 1e8 {
			q.Drain = time.Duration(sec * float64(time.Second))
		}
	}
}

// rates returns items a second in and out over the last points.
func rates(ps []point) (in, out float64, netOnly bool) {
	if len(ps) < 2 {
		return -1, -1, false
	}
	a, b := ps[max(0, len(ps)-1-rateOver)], ps[len(ps)-1]
	dt := b.at.Sub(a.at).Seconds()
	if dt <= 0 || a.depth < 0 || b.depth < 0 {
		return -1, -1, false
	}
	net := (b.depth - a.depth) / dt
	if a.added >= 0 && b.added >= a.added {
		in = (b.added - a.added) / dt
		if a.rd >= 0 && b.rd >= a.rd {
			return in, (b.rd - a.rd) / dt, false
		}
		return in, max(0, in-net), false
	}
	return max(0, net), max(0, -net), true
}

// trend returns the slope of depth over the points, in items a second, by least squares.
func trend(ps []point) float64 {
	if len(ps) < 2 {
		return 0
	}
	var sx, sy, sxx, sxy float64
	n := float64(len(ps))
	for _, p := range ps {
		x := p.at.Sub(ps[0].at).Seconds()
		sx += x
		sy += p.depth
		sxx += x * x
		sxy += x * p.depth
	}
	d := n*sxx - sx*sx
	if d == 0 {
		return 0
	}
	v := (n*sxy - sx*sy) / d
	if math.Abs(v) < 1e-9 {
		return 0
	}
	return v
}

func older(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// timeFields are the names under which queue items carry their time, in order.
var timeFields = []string{"enqueued_at", "enqueuedAt", "queued_at", "created_at", "createdAt", "timestamp", "time", "ts", "created", "failed_at", "failedAt"}

// itemTime returns the time that a JSON item carries, or zero.
func itemTime(item string) time.Time {
	if len(item) == 0 || item[0] != '{' || len(item) > 1<<20 {
		return time.Time{}
	}
	var m map[string]any
	if json.Unmarshal([]byte(item), &m) != nil {
		return time.Time{}
	}
	for _, f := range timeFields {
		switch v := m[f].(type) {
		case float64:
			if at := epoch(v); !at.IsZero() {
				return at
			}
		case string:
			if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return at
			}
			if n, err := strconv.ParseFloat(v, 64); err == nil {
				if at := epoch(n); !at.IsZero() {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// epoch returns a time of this century in seconds or milliseconds since 1970, or zero.
func epoch(v float64) time.Time {
	switch {
	case v >= 1e9 && v < 1e10:
		return time.UnixMilli(int64(v * 1e3))
	case v >= 1e12 && v < 1e13:
		return time.UnixMilli(int64(v))
	}
	return time.Time{}
}

// peek reads the first items of the queues that are shown.
func (r *run) peek(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.peekWith(ctx)
}

func (r *run) peekWith(ctx context.Context) error {
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	for key, t := range r.byKey {
		if !in.Has(state.LookQueue, state.Clean(key)) {
			t.q.Peek = nil
			continue
		}
		var items []string
		var err error
		switch t.q.Kind {
		case "list":
			items, err = r.rdb.LRange(ctx, key, 0, peekItems-1).Result()
		case "stream":
			var ms []redis.XMessage
			ms, err = r.rdb.XRangeN(ctx, key, "-", "+", peekItems).Result()
			for _, m := range ms {
				b, _ := json.Marshal(m.Values)
				items = append(items, m.ID+" "+string(b))
			}
		case "zset":
			var zs []redis.Z
			zs, err = r.rdb.ZRangeWithScores(ctx, key, 0, peekItems-1).Result()
			for _, z := range zs {
				items = append(items, fmt.Sprintf("%s %v", strconv.FormatFloat(z.Score, 'f', -1, 64), z.Member))
			}
		case "keys":
			for _, j := range r.jobs {
				if j.match == key {
					items = j.first
				}
			}
		}
		if fatal(err) {
			return err
		}
		t.q.Peek = make([]string, 0, len(items))
		for _, it := range items {
			if len(it) > peekBytes {
				it = fmt.Sprintf("%s ... [cut: the item has %d bytes]", it[:peekBytes-64], len(it))
			}
			t.q.Peek = append(t.q.Peek, state.Clean(r.s.cfg.Mask(it)))
		}
	}
	return nil
}
