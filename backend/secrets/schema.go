package secrets

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// createRecorded is the table as NEXUS' credential store creates it, to the byte.
const createRecorded = `CREATE TABLE credentials (
                    module_id TEXT PRIMARY KEY,
                    encrypted_data TEXT NOT NULL,
                    created_at TEXT NOT NULL,
                    updated_at TEXT NOT NULL
                )`

// schema is the version of the table in a file.
type schema struct {
	exists bool
	// key is the column that names a row: "module_id", or "platform" in old files.
	key string
	// org is set where rows also carry org_id; orgDefault is what new rows get.
	org        bool
	orgDefault string
	created    bool
	updated    bool
}

// readSchema reads the columns of the table. Its error names what is missing.
func readSchema(ctx context.Context, db *sql.DB) (schema, error) {
	rows, err := db.QueryContext(ctx, `SELECT name, coalesce(dflt_value, '') FROM pragma_table_info('credentials')`)
	if err != nil {
		return schema{}, err
	}
	defer rows.Close()
	var s schema
	var names []string
	for rows.Next() {
		var name, dflt string
		if err := rows.Scan(&name, &dflt); err != nil {
			return schema{}, err
		}
		names = append(names, name)
		if name == "org_id" {
			s.org, s.orgDefault = true, strings.Trim(dflt, `'"`)
		}
	}
	if err := rows.Err(); err != nil || len(names) == 0 {
		return s, err
	}
	s.exists = true
	s.created = slices.Contains(names, "created_at")
	s.updated = slices.Contains(names, "updated_at")
	switch {
	case !slices.Contains(names, "encrypted_data"):
		return s, fmt.Errorf("its table credentials has the columns %s; encrypted_data was expected", strings.Join(names, ", "))
	case slices.Contains(names, "module_id"):
		s.key = "module_id"
	case slices.Contains(names, "platform"):
		s.key = "platform"
	default:
		return s, fmt.Errorf("its table credentials has the columns %s; module_id or platform was expected", strings.Join(names, ", "))
	}
	return s, nil
}

// names returns the row names that serve the module, the best first.
func (s schema) names(id string) []string {
	_, platform, ok := strings.Cut(id, "/")
	if !ok {
		return []string{id}
	}
	return []string{id, platform}
}

// fresh returns the name of a new row for the module.
func (s schema) fresh(id string) string {
	if s.key == "platform" {
		if _, platform, ok := strings.Cut(id, "/"); ok {
			return platform
		}
	}
	return id
}

// row is one row as it lies in the file.
type row struct {
	name, org        string
	token            string
	created, updated string
}

func (s schema) columns() string {
	col := func(has bool, name string) string {
		if has {
			return "coalesce(" + name + ", '')"
		}
		return "''"
	}
	return fmt.Sprintf("%s, %s, encrypted_data, %s, %s", s.key, col(s.org, "org_id"), col(s.created, "created_at"), col(s.updated, "updated_at"))
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

func (s schema) all(ctx context.Context, q querier, where string, args ...any) ([]row, error) {
	if !s.exists {
		return nil, nil
	}
	rows, err := q.QueryContext(ctx, "SELECT "+s.columns()+" FROM credentials "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.name, &r.org, &r.token, &r.created, &r.updated); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// serving returns the row that serves the module, or nil. Where several
// organisations have one, that of the default organisation is meant.
func (s schema) serving(ctx context.Context, q querier, id string) (*row, error) {
	for _, name := range s.names(id) {
		where, args := "WHERE "+s.key+" = ?", []any{name}
		if s.org {
			where += " ORDER BY coalesce(org_id, '') = ? DESC, coalesce(org_id, '') IN ('', 'default') DESC, org_id"
			args = append(args, s.orgDefault)
		}
		rows, err := s.all(ctx, q, where+" LIMIT 1", args...)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			return &rows[0], nil
		}
	}
	return nil, nil
}

// remove deletes exactly the row r.
func (s schema) remove(ctx context.Context, q querier, r row) error {
	where, args := s.key+" = ?", []any{r.name}
	if s.org {
		where, args = where+" AND coalesce(org_id, '') = ?", append(args, r.org)
	}
	_, err := q.ExecContext(ctx, "DELETE FROM credentials WHERE "+where, args...)
	return err
}

// write inserts r, or replaces the row of that name in one statement.
func (s schema) write(ctx context.Context, q querier, r row) error {
	set, sargs := []string{"encrypted_data = ?"}, []any{r.token}
	cols, vals := []string{s.key, "encrypted_data"}, []any{r.name, r.token}
	if s.created {
		cols, vals = append(cols, "created_at"), append(vals, r.created)
		set, sargs = append(set, "created_at = ?"), append(sargs, r.created)
	}
	if s.updated {
		cols, vals = append(cols, "updated_at"), append(vals, r.updated)
		set, sargs = append(set, "updated_at = ?"), append(sargs, r.updated)
	}
	where, wargs := s.key+" = ?", []any{r.name}
	if s.org {
		cols, vals = append(cols, "org_id"), append(vals, r.org)
		where, wargs = where+" AND coalesce(org_id, '') = ?", append(wargs, r.org)
	}
	res, err := q.ExecContext(ctx, "UPDATE credentials SET "+strings.Join(set, ", ")+" WHERE "+where, append(sargs, wargs...)...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = q.ExecContext(ctx, fmt.Sprintf("INSERT INTO credentials (%s) VALUES (?%s)", strings.Join(cols, ", "), strings.Repeat(", ?", len(cols)-1)), vals...)
	return err
}
