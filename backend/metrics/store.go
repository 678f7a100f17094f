package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// Store is the embedded time series database with its query engine.
type Store struct {
	gather prometheus.Gatherer
	log    *slog.Logger
	parser parser.Parser
	engine *promql.Engine

	mu sync.RWMutex
	db *tsdb.DB
	// memoryOnly says why the database lies in a temporary folder; "" when it does not.
	memoryOnly string
	tmp        string

	refs   map[uint64]*ref
	round  uint64
	opened chan struct{}
}

// ref is one series that was appended.
type ref struct {
	id    storage.SeriesRef
	lset  labels.Labels
	round uint64
}

// NewStore makes a store of what gather gives. Open it before use.
func NewStore(gather prometheus.Gatherer, log *slog.Logger) *Store {
	return &Store{
		gather: gather, log: log, refs: map[uint64]*ref{}, opened: make(chan struct{}),
		parser: parser.NewParser(parser.Options{}),
		engine: promql.NewEngine(promql.EngineOpts{
			Logger: log, MaxSamples: 5_000_000, Timeout: 30 * time.Second, EnableAtModifier: true, EnableNegativeOffset: true,
			LookbackDelta: 5 * time.Minute,
		}),
	}
}

// Open opens the database in dir, keeping retention of data. A database that
// cannot be opened is set aside under a name of its own, never deleted, and a
// new one begun; where that fails too (a full or read-only disk), the series go
// to a temporary folder and warning says so.
func (s *Store) Open(dir string, retention time.Duration) (warning string, err error) {
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = retention.Milliseconds()
	opts.MinBlockDuration = (30 * time.Minute).Milliseconds()
	opts.MaxBlockDuration = max(opts.MinBlockDuration, retention.Milliseconds()/4)
	opts.StripeSize = 512
	opts.WALSegmentSize = 8 << 20
	opts.MaxBlockChunkSegmentSize = 32 << 20
	opts.HeadChunksWriteBufferSize = 64 << 10
	opts.HeadChunksWriteQueueSize = 0
	opts.NoLockfile = true // the workspace's lock covers it
	open := func(dir string) (*tsdb.DB, error) { return tsdb.Open(dir, s.log, nil, opts, nil) }

	db, err := open(dir)
	if err != nil {
		aside := dir + "-broken-" + time.Now().UTC().Format("20060102T150405")
		first := err
		if _, serr := os.Stat(dir); serr == nil && os.Rename(dir, aside) == nil {
			warning = fmt.Sprintf("the metrics could not be opened (%v); they were set aside as %s and new ones begun", first, filepath.Base(aside))
			db, err = open(dir)
		}
	}
	if err != nil {
		tmp, terr := os.MkdirTemp("", "opsdeck-metrics-")
		if terr != nil {
			return "", fmt.Errorf("metrics: open %s: %w: free some space or name another data folder", dir, err)
		}
		warning = fmt.Sprintf("metrics: %s cannot be written (%v): the series of this run are kept in %s and are gone when it ends", dir, err, tmp)
		s.tmp = tmp
		if db, err = open(tmp); err != nil {
			os.RemoveAll(tmp)
			return "", fmt.Errorf("metrics: open %s: %w", tmp, err)
		}
	}
	s.mu.Lock()
	s.db, s.memoryOnly = db, warning
	s.mu.Unlock()
	close(s.opened)
	return warning, nil
}

// Opened returns a channel that is closed once Open has succeeded.
func (s *Store) Opened() <-chan struct{} { return s.opened }

// Close closes the database.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	if s.tmp != "" {
		os.RemoveAll(s.tmp)
	}
	return err
}

// Run samples the registry each interval until ctx ends.
func (s *Store) Run(ctx context.Context, interval time.Duration) {
	select {
	case <-ctx.Done():
		return
	case <-s.opened:
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := s.Sample(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("metrics: sample", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sample appends every metric of the registry at time now, and marks as stale
// the series that were there the last time and no longer are.
func (s *Store) Sample(ctx context.Context, now time.Time) error {
	families, err := s.gather.Gather()
	if len(families) == 0 && err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return tsdb.ErrNotReady
	}
	app := s.db.Appender(ctx)
	s.round++
	ts := now.UnixMilli()
	var first error
	add := func(name, extra, extraValue string, pairs []*dto.LabelPair, v float64) {
		if err := s.append(app, ts, name, extra, extraValue, pairs, v); err != nil && first == nil {
			first = err
		}
	}
	for _, f := range families {
		for _, m := range f.Metric {
			explode(f, m, add)
		}
	}
	for hash, r := range s.refs {
		if r.round == s.round {
			continue
		}
		_, _ = app.Append(r.id, r.lset, ts, math.Float64frombits(value.StaleNaN))
		delete(s.refs, hash)
	}
	if err := app.Commit(); err != nil {
		return err
	}
	return first
}

// explode calls add with each sample of a metric, as in the exposition format.
func explode(f *dto.MetricFamily, m *dto.Metric, add func(name, extra, extraValue string, pairs []*dto.LabelPair, v float64)) {
	name := f.GetName()
	switch {
	case m.Counter != nil:
		add(name, "", "", m.Label, m.Counter.GetValue())
	case m.Gauge != nil:
		add(name, "", "", m.Label, m.Gauge.GetValue())
	case m.Untyped != nil:
		add(name, "", "", m.Label, m.Untyped.GetValue())
	case m.Summary != nil:
		for _, q := range m.Summary.Quantile {
			add(name, "quantile", strconv.FormatFloat(q.GetQuantile(), 'g', -1, 64), m.Label, q.GetValue())
		}
		add(name+"_sum", "", "", m.Label, m.Summary.GetSampleSum())
		add(name+"_count", "", "", m.Label, float64(m.Summary.GetSampleCount()))
	case m.Histogram != nil:
		for _, b := range m.Histogram.Bucket {
			add(name+"_bucket", "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64), m.Label, float64(b.GetCumulativeCount()))
		}
		add(name+"_bucket", "le", "+Inf", m.Label, float64(m.Histogram.GetSampleCount()))
		add(name+"_sum", "", "", m.Label, m.Histogram.GetSampleSum())
		add(name+"_count", "", "", m.Label, float64(m.Histogram.GetSampleCount()))
	}
}

func (s *Store) append(app storage.Appender, ts int64, name, extra, extraValue string, pairs []*dto.LabelPair, v float64) error {
	ls := make([]labels.Label, 0, len(pairs)+2)
	ls = append(ls, labels.Label{Name: model.MetricNameLabel, Value: name})
	if extra != "" {
		ls = append(ls, labels.Label{Name: extra, Value: extraValue})
	}
	for _, p := range pairs {
		if p.GetValue() != "" {
			ls = append(ls, labels.Label{Name: p.GetName(), Value: p.GetValue()})
		}
	}
	slices.SortFunc(ls, func(a, b labels.Label) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	lset := labels.New(ls...)
	hash := lset.Hash()
	r := s.refs[hash]
	if r == nil || !labels.Equal(r.lset, lset) {
		r = &ref{lset: lset}
		s.refs[hash] = r
	}
	id, err := app.Append(r.id, r.lset, ts, v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.id, r.round = id, s.round
	return nil
}

// Parser returns the PromQL parser.
func (s *Store) Parser() parser.Parser { return s.parser }

// Engine returns the query engine.
func (s *Store) Engine() *promql.Engine { return s.engine }

// Querier implements storage.Queryable.
func (s *Store) Querier(mint, maxt int64) (storage.Querier, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return nil, tsdb.ErrNotReady
	}
	return s.db.Querier(mint, maxt)
}

// Appender implements storage.Appendable.
func (s *Store) Appender(ctx context.Context) storage.Appender {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return notReady{}
	}
	return s.db.Appender(ctx)
}

// notReady appends nothing: the database is not open yet, or closed already. Rules
// append plain samples only; the embedded interface, which is nil, stands for the
// rest.
type notReady struct{ storage.Appender }

func (notReady) SetOptions(*storage.AppendOptions) {}
func (notReady) Append(storage.SeriesRef, labels.Labels, int64, float64) (storage.SeriesRef, error) {
	return 0, tsdb.ErrNotReady
}
func (notReady) Commit() error   { return tsdb.ErrNotReady }
func (notReady) Rollback() error { return nil }

// Query evaluates a PromQL expression at one instant.
func (s *Store) Query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	q, err := s.engine.NewInstantQuery(ctx, s, nil, expr, at)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		return slices.Clone(v), nil
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V}}, nil
	}
	return nil, fmt.Errorf("query %q: it gives a %s, not an instant vector", expr, res.Value.Type())
}
