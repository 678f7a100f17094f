package secrets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// KeepVersions is how many replaced rows are kept for each row name.
const KeepVersions = 5

// versionsFile is the file beside the store that keeps what was replaced.
const versionsFile = "opsdeck_secrets.db"

// ErrVersion: that version is no longer kept, or never was.
var ErrVersion = errors.New("secrets: that version of the credentials is not kept any more")

// versionStore keeps replaced rows, as encrypted as they were.
type versionStore struct{ db *sql.DB }

// keptRow is one replaced row; present is false where there was none.
type keptRow struct {
	row     row
	present bool
}

func openVersions(ctx context.Context, path string) (*versionStore, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, "rw"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS versions (
		version INTEGER PRIMARY KEY AUTOINCREMENT,
		row_name TEXT NOT NULL,
		org_id TEXT NOT NULL,
		encrypted_data TEXT,
		created_at TEXT NOT NULL,
		updated_at TEXT NOT NULL,
		kept_at TEXT NOT NULL,
		trial INTEGER NOT NULL
	);
	CREATE TABLE IF NOT EXISTS notes (
		row_name TEXT NOT NULL,
		org_id TEXT NOT NULL,
		used_at TEXT,
		expires_at TEXT,
		PRIMARY KEY (row_name, org_id)
	)`)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return &versionStore{db}, nil
}

func (s *versionStore) keep(ctx context.Context, name, org string, old *row, trial bool) (int64, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	var token any
	var created, updated string
	if old != nil {
		token, created, updated = old.token, old.created, old.updated
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO versions (row_name, org_id, encrypted_data, created_at, updated_at, kept_at, trial) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		name, org, token, created, updated, formatTime(time.Now()), trial)
	if err != nil {
		return 0, err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM versions WHERE row_name = ? AND org_id = ? AND trial = 0 AND version NOT IN
		(SELECT version FROM versions WHERE row_name = ? AND org_id = ? ORDER BY version DESC LIMIT ?)`, name, org, name, org, KeepVersions)
	if err != nil {
		return 0, err
	}
	return id, tx.Commit()
}

func (s *versionStore) accept(ctx context.Context, version int64) error {
	_, err := s.db.ExecContext(ctx, `UPDATE versions SET trial = 0 WHERE version = ?`, version)
	return err
}

func (s *versionStore) kept(ctx context.Context, version int64) (keptRow, error) {
	var k keptRow
	var token sql.NullString
	err := s.db.QueryRowContext(ctx, `SELECT row_name, org_id, encrypted_data, created_at, updated_at FROM versions WHERE version = ?`, version).
		Scan(&k.row.name, &k.row.org, &token, &k.row.created, &k.row.updated)
	if errors.Is(err, sql.ErrNoRows) {
		return k, fmt.Errorf("%w (version %d; the last %d are)", ErrVersion, version, KeepVersions)
	}
	k.row.token, k.present = token.String, token.Valid
	return k, err
}

// trials returns the versions replaced by changes that were never accepted, newest first.
func (s *versionStore) trials(ctx context.Context) ([]int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT version FROM versions WHERE trial = 1 ORDER BY version DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func (s *versionStore) tokens(ctx context.Context) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT encrypted_data FROM versions WHERE encrypted_data IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
