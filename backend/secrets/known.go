package secrets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LoadKnownSecrets adds to mask the keys, and every value that the store at path holds
// or once held, as far as they open them. It only reads, so that it may be called while another
// process has the store open. A store that does not exist adds nothing.
func LoadKnownSecrets(path string, key func() (string, error), mask *Mask) error {
	text, err := key()
	if err != nil {
		return err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return err
	}
	mask.Add(SplitKeys(text)...)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var tokens []string
	err = reading(path, func(db *sql.DB) error {
		sch, err := readSchema(ctx, db)
		if err != nil || !sch.exists {
			return err
		}
		rows, err := sch.all(ctx, db, "")
		for _, r := range rows {
			tokens = append(tokens, r.token)
		}
		return err
	})
	err = errors.Join(err, reading(filepath.Join(filepath.Dir(path), versionsFile), func(db *sql.DB) error {
		kept, err := (&versionStore{db}).tokens(ctx)
		tokens = append(tokens, kept...)
		return err
	}))
	for _, t := range tokens {
		if v, err := decrypt(t, keys); err == nil {
			mask.Add(v.strings()...)
		}
	}
	if err != nil {
		return fmt.Errorf("read the credential store %s: %w", path, err)
	}
	return nil
}

// reading calls f with the database at path, opened for reading, if it exists.
func reading(path string, f func(*sql.DB) error) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := sql.Open("sqlite", dsn(path, "ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	return f(db)
}
