package secrets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/fernet/fernet-go"
)

// KeyUse counts what is encrypted under one of the keys in force.
type KeyUse struct {
	// Fingerprint is that of [Fingerprint]; "" stands for entries that none of the
	// keys opens.
	Fingerprint string
	// Rows are credentials in use, Kept the replaced versions beside them.
	Rows, Kept int
}

// KeyUses returns what is encrypted under each key in force, the encrypting one first;
// entries that no key opens come last, if there are any.
func (s *Store) KeyUses() (uses []KeyUse, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		uses, err = s.keyUses(ctx)
		return err
	})
	return uses, err
}

func (s *Store) keyUses(ctx context.Context) ([]KeyUse, error) {
	uses := make([]KeyUse, len(s.keys)+1)
	for i, k := range s.keys {
		uses[i].Fingerprint = fingerprint(k)
	}
	rows, err := s.schema.all(ctx, s.db, "")
	if err != nil {
		return nil, err
	}
	kept, err := s.versions.tokens(ctx)
	if err != nil {
		return nil, err
	}
	at := func(token string) *KeyUse {
		if i, _ := opens(token, s.keys); i >= 0 {
			return &uses[i]
		}
		return &uses[len(s.keys)]
	}
	for _, r := range rows {
		at(r.token).Rows++
	}
	for _, t := range kept {
		at(t).Kept++
	}
	if last := uses[len(s.keys)]; last.Rows+last.Kept == 0 {
		uses = uses[:len(s.keys)]
	}
	return uses, nil
}

// SetKeys replaces the keys that the key function returns with these (the first
// encrypts, all decrypt) for as long as the process lives: for a key that was typed.
// "" restores the function's. It returns what Locked then does; keys that do not
// open the store are dropped again.
func (s *Store) SetKeys(keys string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	was := s.given
	s.given = keys
	why := s.unlock(ctx)
	if why != "" {
		s.given = was
		s.unlock(ctx)
	}
	s.locked = why
	return why
}

// Rekeyed is the result of a change of keys.
type Rekeyed struct {
	// Changed entries were re-encrypted, Already ones were under the first key.
	Changed, Already int
	// Left entries open with no key in force, and stay as they are.
	Left int
}

// Rekey encrypts every entry of the store, and every version kept beside it, under
// the first key, all in one transaction over both files: a kill leaves either all
// of it or nothing, and both are read while the old keys are still given. Times of
// change stay: the values did not.
func (s *Store) Rekey() (done Rekeyed, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		done, err = s.rekey(ctx)
		return err
	})
	return done, err
}

func (s *Store) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

func (s *Store) rekey(ctx context.Context) (done Rekeyed, err error) {
	// One connection has both files open, so that one transaction covers both.
	db, kept := s.versions.db, "main."
	if s.schema.exists {
		db, kept = s.db, "history."
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return done, fmt.Errorf("secrets: change the key: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if s.schema.exists {
		if _, err := conn.ExecContext(ctx, "ATTACH DATABASE ? AS history", filepath.Join(filepath.Dir(s.path), versionsFile)); err != nil {
			return done, fmt.Errorf("secrets: change the key: open the kept versions: %w", err)
		}
		defer func() {
			_, derr := conn.ExecContext(context.WithoutCancel(ctx), "DETACH DATABASE history")
			err = errors.Join(err, derr)
		}()
		if _, err := conn.ExecContext(ctx, "PRAGMA history.synchronous = FULL"); err != nil {
			return done, fmt.Errorf("secrets: change the key: %w", err)
		}
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return done, fmt.Errorf("secrets: change the key: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	s.at("begun")
	rows, err := s.schema.all(ctx, tx, "")
	if err != nil {
		return done, fmt.Errorf("secrets: change the key: read the store: %w", err)
	}
	for _, r := range rows {
		fresh, err := s.reencrypt(r.token, &done)
		if err != nil {
			return done, fmt.Errorf("secrets: change the key of %s: %w", r.name, err)
		}
		if fresh == "" {
			continue
		}
		where, args := s.schema.key+" = ?", []any{fresh, r.name}
		if s.schema.org {
			where, args = where+" AND coalesce(org_id, '') = ?", append(args, r.org)
		}
		// Only the value that was read is replaced: another program may have written.
		res, err := tx.ExecContext(ctx, "UPDATE credentials SET encrypted_data = ? WHERE "+where+" AND encrypted_data = ?", append(args, r.token)...)
		if err == nil {
			err = one(res)
		}
		if err != nil {
			return done, fmt.Errorf("secrets: change the key of %s: %w; nothing was changed", r.name, err)
		}
		s.at("row " + r.name)
	}
	if err := s.rekeyKept(ctx, tx, kept, &done); err != nil {
		return done, err
	}
	s.at("before commit")
	if err := tx.Commit(); err != nil {
		return done, fmt.Errorf("secrets: change the key: %w; nothing was changed", err)
	}
	s.at("after commit")
	return done, nil
}

// rekeyKept re-encrypts the kept versions, in the transaction of the others.
func (s *Store) rekeyKept(ctx context.Context, tx *sql.Tx, schema string, done *Rekeyed) error {
	rows, err := tx.QueryContext(ctx, "SELECT version, encrypted_data FROM "+schema+"versions WHERE encrypted_data IS NOT NULL")
	if err != nil {
		return fmt.Errorf("secrets: change the key of the kept versions: %w", err)
	}
	kept := map[int64]string{}
	for rows.Next() {
		var v int64
		var t string
		if err := rows.Scan(&v, &t); err != nil {
			return errors.Join(fmt.Errorf("secrets: change the key of the kept versions: %w", err), rows.Close())
		}
		kept[v] = t
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("secrets: change the key of the kept versions: %w", err)
	}
	for v, t := range kept {
		fresh, err := s.reencrypt(t, done)
		if err == nil && fresh != "" {
			_, err = tx.ExecContext(ctx, "UPDATE "+schema+"versions SET encrypted_data = ? WHERE version = ?", fresh, v)
		}
		if err != nil {
			return fmt.Errorf("secrets: change the key of kept version %d: %w; nothing was changed", v, err)
		}
	}
	return nil
}

// reencrypt returns the token under the first key, counted in done; "" where it is to
// stay as it is.
func (s *Store) reencrypt(token string, done *Rekeyed) (fresh string, err error) {
	i, text := opens(token, s.keys)
	switch i {
	case -1:
		done.Left++
		return "", nil
	case 0:
		done.Already++
		return "", nil
	}
	b, err := fernet.EncryptAndSign(text, s.keys[0])
	done.Changed++
	return string(b), err
}

func one(res sql.Result) error {
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = errors.New("another program changed it meanwhile")
	}
	return err
}

// String returns a summary.
func (r Rekeyed) String() string {
	entries := "entries"
	if r.Changed == 1 {
		entries = "entry"
	}
	out := []string{fmt.Sprintf("%d %s re-encrypted", r.Changed, entries)}
	if r.Already > 0 {
		out = append(out, fmt.Sprintf("%d were under the new key already", r.Already))
	}
	if r.Left > 0 {
		out = append(out, fmt.Sprintf("%d open with no key that is given and stay as they are", r.Left))
	}
	return strings.Join(out, ", ")
}
