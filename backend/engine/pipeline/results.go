package pipeline

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// results is data/pipeline.db: what /context serves and the jobs that failed, so
// that both survive a restart. What it lost with a power cut is fetched again, so
// commits do not wait for the disk.
type results struct{ db *sql.DB }

const createResults = `
CREATE TABLE IF NOT EXISTS results (
	module_id TEXT PRIMARY KEY, category TEXT NOT NULL, platform TEXT NOT NULL, fetched_at TEXT NOT NULL, newest TEXT,
	items INTEGER NOT NULL, truncated INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS failed_jobs (
	job_id TEXT PRIMARY KEY, module_id TEXT NOT NULL, category TEXT NOT NULL, platform TEXT NOT NULL, fetched_at TEXT NOT NULL,
	stage TEXT NOT NULL, cause TEXT NOT NULL, times INTEGER NOT NULL, raw BLOB, data BLOB)`

func openResults(ctx context.Context, path string) (*results, error) {
	db, err := disk.OpenDatabase(ctx, path, createResults, "journal_mode(WAL)", "synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	return &results{db}, nil
}

func (r *results) close() error { return r.db.Close() }

// load reads what was kept.
func (r *results) load(ctx context.Context) (kept []keptResult, failed []*Job, err error) {
	rows, err := r.db.QueryContext(ctx, `SELECT module_id, category, platform, fetched_at, coalesce(newest, ''), items, truncated, data FROM results`)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k keptResult
		var fetched, newest string
		var data []byte
		if err := rows.Scan(&k.module.Module, &k.category, &k.module.Platform, &fetched, &newest, &k.module.Items, &k.module.Truncated, &data); err != nil {
			return nil, nil, err
		}
		if json.Unmarshal(data, &k.module.Data) != nil {
			continue // one bad row does not hide the others
		}
		k.module.Fetched, k.module.Newest, k.module.Restored = disk.ParseTime(fetched), disk.ParseTime(newest), true
		kept = append(kept, k)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	bad, err := r.db.QueryContext(ctx, `SELECT job_id, module_id, category, platform, fetched_at, stage, cause, times, raw, data FROM failed_jobs ORDER BY fetched_at`)
	if err != nil {
		return nil, nil, err
	}
	defer bad.Close()
	for bad.Next() {
		j := &Job{status: "failed"}
		var fetched string
		var raw, data []byte
		if err := bad.Scan(&j.id, &j.module, &j.category, &j.platform, &fetched, &j.stage, &j.cause, &j.times, &raw, &data); err != nil {
			return nil, nil, err
		}
		j.fetched, j.raw = disk.ParseTime(fetched), raw
		if len(data) > 0 && json.Unmarshal(data, &j.items) != nil {
			continue
		}
		j.summary.Items = len(j.items)
		failed = append(failed, j)
	}
	return kept, failed, bad.Err()
}

// keptResult is one module's result with its category.
type keptResult struct {
	category string
	module   Module
}

// save writes changed results, forgets dropped ones, and, where bad is not nil, puts
// the failed jobs in place of those that are there; all in one commit.
func (r *results) save(ctx context.Context, changed []keptResult, dropped []string, bad []failedJob) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, k := range changed {
		m := k.module
		data, err := json.Marshal(m.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Module, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO results (module_id, category, platform, fetched_at, newest, items, truncated, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			m.Module, k.category, m.Platform, disk.FormatTime(m.Fetched), sql.NullString{String: disk.FormatTime(m.Newest), Valid: !m.Newest.IsZero()}, m.Items, m.Truncated, data); err != nil {
			return err
		}
	}
	for _, id := range dropped {
		if _, err := tx.ExecContext(ctx, `DELETE FROM results WHERE module_id = ?`, id); err != nil {
			return err
		}
	}
	if bad != nil {
		if _, err := tx.ExecContext(ctx, `DELETE FROM failed_jobs`); err != nil {
			return err
		}
		for _, b := range bad {
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO failed_jobs (job_id, module_id, category, platform, fetched_at, stage, cause, times, raw, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				b.ID, b.Module, b.category, b.platform, disk.FormatTime(b.At), b.Stage, b.Cause, b.Times, []byte(b.raw), []byte(b.data)); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

// failedJob is a failed job as it is kept.
type failedJob struct {
	state.Job
	category, platform string
	raw, data          json.RawMessage
}

// unsaved returns the failed jobs, where they changed since the last call; nil otherwise.
func (k *jobs) unsaved() []failedJob {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.changed {
		return nil
	}
	k.changed = false
	out := []failedJob{}
	for _, j := range k.bad {
		f := failedJob{Job: j.state(false, func(s string) string { return s }), category: j.category, platform: j.platform, raw: j.raw}
		if j.items != nil {
			f.data, _ = json.Marshal(j.items)
		}
		out = append(out, f)
	}
	return out
}

// restore takes over failed jobs of before a restart.
func (k *jobs) restore(bad []*Job) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, j := range bad {
		k.byID[j.id] = j
		k.bytes += j.size()
	}
	k.bad = append(bad, k.bad...)
}

// saveEvery is how often changed results are written.
const saveEvery = 2 * time.Second

// keepResults opens data/pipeline.db, takes over what it has, and writes changes to
// it until ctx ends. A file that cannot be used costs what a restart would keep,
// nothing else: it is said, and tried again.
func (p *Pipeline) keepResults(ctx context.Context) {
	var db *results
	var said string
	say := func(err error) {
		text := ""
		if err != nil {
			text = p.clean(fmt.Sprintf("results do not survive a restart: %s: %v", p.cfg.Name, err))
		}
		if text == said {
			return
		}
		if said = text; text != "" {
			p.cfg.Log.Error("pipeline", "problem", text)
		}
		p.mu.Lock()
		p.unkept = text
		p.mu.Unlock()
	}
	open := func() {
		var err error
		if db, err = openResults(ctx, p.cfg.Path); err != nil {
			say(err)
			return
		}
		kept, bad, err := db.load(ctx)
		say(err)
		if err != nil {
			return
		}
		kept = slices.DeleteFunc(kept, func(k keptResult) bool { return !p.cfg.Enabled(k.module.Module) })
		p.data.restore(kept)
		p.known.restore(bad)
	}
	save := func(ctx context.Context) {
		if db == nil {
			return
		}
		changed, dropped := p.data.unsaved()
		bad := p.known.unsaved()
		if len(changed)+len(dropped) == 0 && bad == nil {
			return
		}
		err := db.save(ctx, changed, dropped, bad)
		if err != nil {
			p.data.again(changed, dropped)
			p.known.again()
		}
		say(err)
	}
	open()
	defer func() {
		if db == nil {
			return
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		save(last)
		if err := db.close(); err != nil {
			p.cfg.Log.Error("pipeline", "err", err)
		}
	}()
	every(ctx, saveEvery, func() {
		if db == nil {
			open()
		}
		save(ctx)
	})
}

func (k *jobs) again() {
	k.mu.Lock()
	k.changed = true
	k.mu.Unlock()
}

// every calls f at an interval until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}
