package secrets

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// noteKey names the row that a note is of.
type noteKey struct{ row, org string }

// note is what is recorded of a row beside its values.
type note struct{ used, expires time.Time }

type notes map[noteKey]note

// notes returns those of all rows; none while the store is locked.
func (s *Store) notes(ctx context.Context) (notes, error) {
	if s.versions == nil {
		return nil, nil
	}
	rows, err := s.versions.db.QueryContext(ctx, `SELECT row_name, org_id, coalesce(used_at, ''), coalesce(expires_at, '') FROM notes`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := notes{}
	for rows.Next() {
		var k noteKey
		var used, expires string
		if err := rows.Scan(&k.row, &k.org, &used, &expires); err != nil {
			return nil, err
		}
		out[k] = note{parseTime(used), parseTime(expires)}
	}
	return out, rows.Err()
}

func (s *versionStore) recordExpiry(ctx context.Context, k noteKey, at time.Time) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO notes (row_name, org_id, expires_at) VALUES (?, ?, ?)
		ON CONFLICT (row_name, org_id) DO UPDATE SET expires_at = excluded.expires_at`, k.row, k.org, sqlTime(at))
	return err
}

func sqlTime(t time.Time) sql.NullString {
	return sql.NullString{String: formatTime(t), Valid: !t.IsZero()}
}

// RecordExpiry records when the credentials that serve the module expire; the zero time
// removes that. It returns what was recorded before.
func (s *Store) RecordExpiry(id string, at time.Time) (was time.Time, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		r, err := s.schema.serving(ctx, s.db, id)
		if err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("%w for %s", ErrNone, id)
		}
		ns, err := s.notes(ctx)
		if err != nil {
			return err
		}
		k := noteKey{r.name, r.org}
		was = ns[k].expires
		return s.versions.recordExpiry(ctx, k, at)
	})
	return was, err
}

// RecordUse records when the rows that serve these modules were last used, all in one
// commit. A locked store records nothing: nothing was used.
func (s *Store) RecordUse(used map[string]time.Time) error {
	return s.use(func(ctx context.Context) (err error) {
		if s.locked != "" || len(used) == 0 {
			return nil
		}
		tx, err := s.versions.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		for id, at := range used {
			r, err := s.schema.serving(ctx, s.db, id)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO notes (row_name, org_id, used_at) VALUES (?, ?, ?)
				ON CONFLICT (row_name, org_id) DO UPDATE SET used_at = max(coalesce(used_at, ''), excluded.used_at)`, r.name, r.org, formatTime(at)); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
}

// expiryFields are the fields of credentials that hold their own expiry.
var expiryFields = []string{"expires_at", "expiry", "expires", "expires_on", "expiration", "token_expiry", "valid_until"}

// expiry returns the expiry that the credentials hold, and the field that holds it; the
// zero time if none does. A token that is renewed with a refresh token expires
// without anything breaking, so its expiry does not count.
func (v Values) expiry() (at time.Time, by string) {
	if r, _ := v.m["refresh_token"].(string); r != "" {
		return time.Time{}, ""
	}
	for _, name := range expiryFields {
		if t, err := timeOf(v.m[name]); err == nil {
			return t, "field " + name
		}
	}
	for _, name := range v.Fields() {
		text, _ := v.m[name].(string)
		if t := jwtExpiry(text); !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at, by = t, "the token in "+name
		}
	}
	return at, by
}

var errNoTime = errors.New("not a point in time")

// timeOf reads ISO 8601 text, or seconds or milliseconds since 1970.
func timeOf(x any) (time.Time, error) {
	var f float64
	switch x := x.(type) {
	case json.Number:
		f, _ = x.Float64()
	case float64:
		f = x
	case string:
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", time.DateOnly} {
			if t, err := time.Parse(layout, x); err == nil {
				return t.UTC(), nil
			}
		}
		f, _ = strconv.ParseFloat(x, 64)
	}
	if f > 1e11 { // milliseconds
		f /= 1000
	}
	if !(f > 1e8 && f < 1e11) { // between 1973 and 5138
		return time.Time{}, errNoTime
	}
	return time.Unix(int64(f), int64((f-math.Floor(f))*1e9)).UTC(), nil
}

// jwtExpiry returns the "exp" of a JSON Web Token (RFC 7519), unverified; zero where the
// text is none, or has none.
func jwtExpiry(text string) time.Time {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > 16<<10 {
		return time.Time{}
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Exp json.Number `json:"exp"`
	}
	if json.Unmarshal(body, &claims) != nil {
		return time.Time{}
	}
	t, err := timeOf(claims.Exp)
	if err != nil {
		return time.Time{}
	}
	return t
}
