package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// createModules is the table as NEXUS' registry creates it, to the byte.
const createModules = `CREATE TABLE IF NOT EXISTS modules (
                    module_id TEXT PRIMARY KEY,
                    name TEXT NOT NULL,
                    category TEXT NOT NULL,
                    platform TEXT NOT NULL,
                    status TEXT NOT NULL DEFAULT 'pending',
                    health_status TEXT NOT NULL DEFAULT 'unknown',
                    manifest_json TEXT NOT NULL,
                    installed_at TEXT,
                    updated_at TEXT,
                    failure_count INTEGER DEFAULT 0,
                    success_count INTEGER DEFAULT 0,
                    last_used TEXT
                )`

// Record is one row of the registry. Times are ISO 8601 in UTC without a zone, as
// the recorded files have them; "" stands for NULL.
type Record struct {
	ID, Name, Category, Platform string
	Status                       state.ModuleStatus
	Health                       string
	Manifest                     string
	Installed, Updated, LastUsed string
	FailureCount, SuccessCount   int64
}

// registry is data/module_registry.db. A write has reached the disk when it returns.
type registry struct {
	db   *sql.DB
	path string
	file os.FileInfo // what db was opened on
}

func openRegistry(ctx context.Context, path string) (*registry, error) {
	db, err := disk.OpenDatabase(ctx, path, createModules, "synchronous(FULL)")
	if err != nil {
		if _, missing := os.Stat(path); missing == nil {
			err = fmt.Errorf("%w; put back a good copy of it", err)
		}
		return nil, fmt.Errorf("engine: open the registry %s: %w", path, err)
	}
	r := &registry{db: db, path: path}
	// A file with other columns is found out here, not in the middle of an action.
	if _, err := r.all(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("engine: read the registry %s: %w; put back a good copy of it", path, err)
	}
	if r.file, err = os.Stat(path); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("engine: open the registry %s: %w", path, err)
	}
	return r, nil
}

// errReplaced says that another file has taken the registry's name.
var errReplaced = errors.New("engine: the registry was replaced by another file, as a restored backup does: it is read anew")

// replaced reports whether another file has taken the registry's name. One that is
// gone is not: what is open goes on.
func (r *registry) replaced() bool {
	now, err := os.Stat(r.path)
	return err == nil && !os.SameFile(now, r.file)
}

func (r *registry) close() error { return r.db.Close() }

const recordColumns = `module_id, name, category, platform, status, health_status, manifest_json,
	coalesce(installed_at, ''), coalesce(updated_at, ''), coalesce(last_used, ''), coalesce(failure_count, 0), coalesce(success_count, 0)`

func (r *registry) all(ctx context.Context) (map[string]Record, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT "+recordColumns+" FROM modules")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]Record{}
	for rows.Next() {
		var x Record
		if err := rows.Scan(&x.ID, &x.Name, &x.Category, &x.Platform, &x.Status, &x.Health, &x.Manifest,
			&x.Installed, &x.Updated, &x.LastUsed, &x.FailureCount, &x.SuccessCount); err != nil {
			return nil, err
		}
		out[x.ID] = x
	}
	return out, rows.Err()
}

// add registers a module; one that is there already stays as it is.
func (r *registry) add(ctx context.Context, x Record) error {
	_, err := r.db.ExecContext(ctx, `INSERT INTO modules (module_id, name, category, platform, status, health_status, manifest_json, installed_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(module_id) DO NOTHING`,
		x.ID, x.Name, x.Category, x.Platform, string(x.Status), x.Health, x.Manifest, null(x.Installed), null(x.Updated))
	if err != nil {
		return fmt.Errorf("engine: register %s: %w", x.ID, err)
	}
	return nil
}

// errMoved says that a row's status is not what the engine took it for.
var errMoved = errors.New("another program changed it")

// move changes a status, but only from the one given.
func (r *registry) move(ctx context.Context, id string, from, to state.ModuleStatus, now time.Time) error {
	res, err := r.db.ExecContext(ctx, `UPDATE modules SET status = ?, updated_at = ?,
		installed_at = CASE WHEN ? = 'installed' AND installed_at IS NULL THEN ? ELSE installed_at END
		WHERE module_id = ? AND status = ?`, string(to), disk.FormatTime(now), string(to), disk.FormatTime(now), id, string(from))
	if err != nil {
		return fmt.Errorf("engine: change %s from %s to %s in the registry: %w", id, from, to, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("engine: change %s from %s to %s in the registry: %w", id, from, to, errors.Join(errMoved, err))
	}
	return nil
}

// describe records the manifest in force.
func (r *registry) describe(ctx context.Context, id, name, manifest string, now time.Time) error {
	_, err := r.db.ExecContext(ctx, `UPDATE modules SET name = ?, manifest_json = ?, updated_at = ? WHERE module_id = ?`, name, manifest, disk.FormatTime(now), id)
	if err != nil {
		return fmt.Errorf("engine: record the manifest of %s: %w", id, err)
	}
	return nil
}

// tally is what fetches added since the last flush.
type tally struct {
	ok, failed int64
	health     string
	used       time.Time
}

// count adds tallies, all in one commit.
func (r *registry) count(ctx context.Context, ts map[string]tally, now time.Time) error {
	if len(ts) == 0 {
		return nil
	}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("engine: record fetches: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	for id, t := range ts {
		if _, err := tx.ExecContext(ctx, `UPDATE modules SET success_count = coalesce(success_count, 0) + ?, failure_count = coalesce(failure_count, 0) + ?,
			health_status = ?, last_used = coalesce(?, last_used), updated_at = ? WHERE module_id = ?`,
			t.ok, t.failed, t.health, null(disk.FormatTime(t.used)), disk.FormatTime(now), id); err != nil {
			return fmt.Errorf("engine: record fetches of %s: %w", id, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("engine: record fetches: %w", err)
	}
	return nil
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}
