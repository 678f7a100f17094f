package routing

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// keepVersions is how many versions of the routing configuration are kept.
const keepVersions = 100

// history is data/routing.db: every version of the routing configuration that
// was in force, with who, how and why, and the change that is on trial. A commit has
// reached the disk when it returns: what is on trial is written down before it is in
// force, so that it can be undone whatever happens meanwhile.
type history struct{ db *sql.DB }

const createHistory = `
CREATE TABLE IF NOT EXISTS versions (
	version INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, by TEXT NOT NULL, how TEXT NOT NULL, why TEXT NOT NULL,
	tag TEXT NOT NULL, added INTEGER NOT NULL, removed INTEGER NOT NULL, text BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS trial (
	one INTEGER PRIMARY KEY CHECK (one = 1), at TEXT NOT NULL, until TEXT NOT NULL, by TEXT NOT NULL, why TEXT NOT NULL,
	before BLOB, tag TEXT NOT NULL)`

func openHistory(ctx context.Context, path string) (*history, error) {
	db, err := disk.OpenDatabase(ctx, path, createHistory, "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	return &history{db}, nil
}

func (h *history) close() error { return h.db.Close() }

// trial is a change that is undone unless it is confirmed.
type trial struct {
	state.RoutingTrial
	before []byte // nil where there was no configuration
	tag    string // of what is on trial
}

// begin writes down what is to be on trial, before it is put in force.
func (h *history) begin(ctx context.Context, t trial) error {
	by, err := json.Marshal(t.By)
	if err != nil {
		return err
	}
	_, err = h.db.ExecContext(ctx, `INSERT INTO trial (one, at, until, by, why, before, tag) VALUES (1, ?, ?, ?, ?, ?, ?)`,
		disk.FormatTime(t.At), disk.FormatTime(t.Until), string(by), t.Why, t.before, t.tag)
	return err
}

// onTrial returns the change on trial, nil for none.
func (h *history) onTrial(ctx context.Context) (*trial, error) {
	var t trial
	var at, until, by string
	err := h.db.QueryRowContext(ctx, `SELECT at, until, by, why, before, tag FROM trial`).Scan(&at, &until, &by, &t.Why, &t.before, &t.tag)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t.At, t.Until = disk.ParseTime(at), disk.ParseTime(until)
	_ = json.Unmarshal([]byte(by), &t.By)
	return &t, nil
}

// end takes the trial's note away.
func (h *history) end(ctx context.Context) error {
	_, err := h.db.ExecContext(ctx, `DELETE FROM trial`)
	return err
}

// add records a version that is in force now.
func (h *history) add(ctx context.Context, v state.RoutingVersion, text []byte) error {
	by, err := json.Marshal(v.By)
	if err != nil {
		return err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var last []byte
	var tag string
	err = tx.QueryRowContext(ctx, `SELECT text, tag FROM versions ORDER BY version DESC LIMIT 1`).Scan(&last, &tag)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if tag == Tag(text) {
		return nil // it is in force already
	}
	_, v.Added, v.Removed = unified(last, text)
	if _, err := tx.ExecContext(ctx, `INSERT INTO versions (at, by, how, why, tag, added, removed, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		disk.FormatTime(v.At), string(by), v.How, v.Why, Tag(text), v.Added, v.Removed, text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM versions WHERE version <= (SELECT max(version) FROM versions) - ?`, keepVersions); err != nil {
		return err
	}
	return tx.Commit()
}

// list returns the versions that are kept, newest first.
func (h *history) list(ctx context.Context) ([]state.RoutingVersion, error) {
	rows, err := h.db.QueryContext(ctx, `SELECT version, at, by, how, why, tag, added, removed FROM versions ORDER BY version DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []state.RoutingVersion
	for rows.Next() {
		var v state.RoutingVersion
		var at, by string
		if err := rows.Scan(&v.Version, &at, &by, &v.How, &v.Why, &v.Tag, &v.Added, &v.Removed); err != nil {
			return nil, err
		}
		v.At = disk.ParseTime(at)
		_ = json.Unmarshal([]byte(by), &v.By)
		out = append(out, v)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	return out, h.compare(ctx, out[:min(len(out), shownHistory)])
}

// compare fills in the differences of versions, newest first, each from the one before.
func (h *history) compare(ctx context.Context, list []state.RoutingVersion) error {
	var is []byte
	for i := range list {
		if i == 0 {
			var err error
			if is, err = h.text(ctx, list[0].Version); err != nil {
				return err
			}
		}
		var was []byte
		err := h.db.QueryRowContext(ctx, `SELECT text FROM versions WHERE version < ? ORDER BY version DESC LIMIT 1`, list[i].Version).Scan(&was)
		if errors.Is(err, sql.ErrNoRows) {
			return nil // the first of all has nothing to stand against
		}
		if err != nil {
			return err
		}
		diff, _, _ := unified(was, is)
		if at := strings.Index(diff, "@@"); at >= 0 { // its versions are named beside it
			diff = diff[at:]
		}
		list[i].Diff, is = cut(diff, maxPastDiff), was
	}
	return nil
}

// text returns one version as it was in force.
func (h *history) text(ctx context.Context, version int64) ([]byte, error) {
	var text []byte
	err := h.db.QueryRowContext(ctx, `SELECT text FROM versions WHERE version = ?`, version).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("version %d is not kept: the last %d are", version, keepVersions)
	}
	return text, err
}

// unified returns what makes one configuration into another, and how many lines it adds and
// removes. What is only written in another way is no difference.
func unified(was, is []byte) (diff string, added, removed int) {
	for _, text := range []*[]byte{&was, &is} {
		if plain, err := spaced(*text); err == nil {
			*text = plain
		}
	}
	diff = udiff.Unified("in force", "changed", string(was), string(is))
	for i, line := range strings.Split(diff, "\n") {
		switch {
		case i < 2: // the names
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		}
	}
	return diff, added, removed
}

// historyDeadline bounds each use of the history.
const historyDeadline = 10 * time.Second

// openedHistory opens data/routing.db at its first use; create makes it where it is missing.
// It is nil where there is none and none is made.
func (r *Service) openedHistory(create bool) (*history, error) {
	r.histMu.Lock()
	defer r.histMu.Unlock()
	if r.hist != nil {
		return r.hist, nil
	}
	path := filepath.Join(r.cfg.DataDir, "routing.db")
	if _, err := os.Stat(path); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
	defer cancel()
	h, err := openHistory(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("the history of the routing configuration, %s: %w", r.cfg.Rel(path), err)
	}
	r.hist = h
	return h, nil
}

func (r *Service) closeHistory() error {
	r.histMu.Lock()
	defer r.histMu.Unlock()
	h := r.hist
	if r.hist = nil; h == nil {
		return nil
	}
	return h.close()
}

// remember records the configuration in force, where it is another than the newest
// version, and what it came by. What cannot be recorded is said, and goes on.
func (r *Service) remember(by state.Actor, how, why string) {
	text := r.JSON()
	if text == nil {
		return
	}
	h, err := r.openedHistory(true)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
		defer cancel()
		err = h.add(ctx, state.RoutingVersion{At: time.Now(), By: by, How: how, Why: why}, text)
	}
	r.kept(err)
}

// kept says whether the history can be kept, and reads what it has.
func (r *Service) kept(err error) {
	var list []state.RoutingVersion
	var t *trial
	if err == nil {
		var h *history
		if h, err = r.openedHistory(false); h != nil {
			ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
			defer cancel()
			var terr error
			list, err = h.list(ctx)
			t, terr = h.onTrial(ctx)
			err = errors.Join(err, terr)
		}
	}
	text := ""
	if err != nil {
		text = r.clean(err.Error())
		r.cfg.Log.Error("routing", "err", text)
	}
	for i := range list {
		list[i].Why, list[i].Diff = r.clean(list[i].Why), r.clean(list[i].Diff)
	}
	r.mu.Lock()
	r.unkept, r.versions, r.onTrial = text, list, t
	r.mu.Unlock()
	r.changed()
}

// Version returns one version of the routing configuration as it was in force.
func (r *Service) Version(version int64) ([]byte, error) {
	h, err := r.openedHistory(false)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, errors.New("no version is kept yet")
	}
	ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
	defer cancel()
	return h.text(ctx, version)
}

// ReadVersion returns a version that the engine of a data folder keeps, or kept; the
// folder is not written.
func ReadVersion(ctx context.Context, dataDir string, version int64) ([]byte, error) {
	path := filepath.Join(dataDir, "routing.db")
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("no version is kept yet")
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, historyDeadline)
	defer cancel()
	h, err := openHistory(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("the history of the routing configuration, %s: %w", path, err)
	}
	text, err := h.text(ctx, version)
	return text, errors.Join(err, h.close())
}

// Versions returns the versions that are kept, newest first.
func (r *Service) Versions() []state.RoutingVersion {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]state.RoutingVersion{}, r.versions...)
}
