package secrets

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fernet/fernet-go"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Sentinels; errors.Is finds them in what the store returns.
var (
	// ErrLocked: there is no key, or it is not the one that the file was written with.
	ErrLocked = errors.New("the credential store is locked")
	// ErrNone: there are no credentials of that name.
	ErrNone = errors.New("no credentials are stored")
)

// KeyVariable is the environment variable that operators set.
const KeyVariable = "MODULE_ENCRYPTION_KEY"

// timeout bounds each use of the files.
const timeout = 15 * time.Second

// Store is the credential store of one data folder. It is safe for concurrent use.
type Store struct {
	path string
	key  func() (string, error)
	mask *Mask
	// step is called between the steps of a change of keys; nil but in tests.
	step func(string)

	mu       sync.Mutex
	db       *sql.DB
	file     os.FileInfo // what db was opened on
	schema   schema
	keys     []*fernet.Key // the first encrypts, all decrypt
	given    string        // keys that came through SetKeys, in place of those of key
	locked   string
	versions *versionStore
}

// Open opens the store at path. The file need not exist: the first Set makes it,
// in the recorded schema. key returns MODULE_ENCRYPTION_KEY and is called again by
// [Store.Unlock]; mask, which may be nil, gets every value. A store that cannot
// be read is not an error but locked. One process at a time may have it open,
// since Open undoes what another's rotation has on trial.
func Open(path string, key func() (string, error), mask *Mask) *Store {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	s := &Store{path: path, key: key, mask: mask}
	s.Unlock()
	return s
}

// dsn opens path so that every commit is on disk before it returns and the
// recorded journal mode stays.
func dsn(path, mode string) string {
	u := url.URL{Scheme: "file", Path: path}
	q := url.Values{}
	q.Set("mode", mode)
	q.Add("_pragma", "busy_timeout(10000)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "foreign_keys(OFF)")
	q.Set("_txlock", "immediate")
	u.RawQuery = q.Encode()
	return u.String()
}

// Unlock reads the key and the file again, for when either was changed. It
// returns what Locked then does.
func (s *Store) Unlock() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.locked = s.unlock(ctx)
	return s.locked
}

func (s *Store) unlock(ctx context.Context) string {
	s.close()
	if err := s.open(ctx); err != nil {
		return fmt.Sprintf("the credential store %s cannot be read: %v; put back a good copy of it", s.path, err)
	}
	s.keys = nil
	text := s.given
	if text == "" && s.key != nil {
		var err error
		if text, err = s.key(); err != nil {
			return fmt.Sprintf("the key for %s cannot be had: %v", s.path, err)
		}
	}
	if strings.TrimSpace(text) == "" {
		return fmt.Sprintf("the credential store is locked: %s is not set; set it to the key that %s was written with and reload, or unlock it", KeyVariable, filepath.Base(s.path))
	}
	keys, err := parseKeys(text)
	if err != nil {
		return fmt.Sprintf("the credential store is locked: %v", err)
	}
	if s.mask != nil {
		s.mask.Add(SplitKeys(text)...)
	}
	rows, err := s.schema.all(ctx, s.db, "")
	if err != nil {
		return fmt.Sprintf("the credential store %s cannot be read: %v", s.path, err)
	}
	good := 0
	for _, r := range rows {
		if v, err := decrypt(r.token, keys); err == nil {
			good++
			s.addKnown(v)
		}
	}
	if len(rows) > 0 && good == 0 {
		return fmt.Sprintf("the credential store is locked: %s is not the key that %s was written with (none of its %d entries opens); nothing was changed", KeyVariable, filepath.Base(s.path), len(rows))
	}
	s.keys = keys
	if s.versions, err = openVersions(ctx, filepath.Join(filepath.Dir(s.path), versionsFile)); err != nil {
		s.keys = nil
		return fmt.Sprintf("the credential store is locked: the versions kept beside it cannot be read: %v", err)
	}
	kept, err := s.versions.tokens(ctx)
	if err != nil {
		s.keys = nil
		return fmt.Sprintf("the credential store is locked: the versions kept beside it cannot be read: %v", err)
	}
	for _, t := range kept {
		if v, err := decrypt(t, keys); err == nil {
			s.addKnown(v)
		}
	}
	if err := s.endTrials(ctx); err != nil {
		s.keys = nil
		return fmt.Sprintf("the credential store is locked: an unfinished rotation could not be taken back: %v", err)
	}
	return ""
}

// open opens the file where it exists and reads its schema.
func (s *Store) open(ctx context.Context) error {
	fi, err := os.Stat(s.path)
	if errors.Is(err, os.ErrNotExist) {
		s.schema, s.file = schema{key: "module_id"}, nil
		return nil
	}
	if err != nil {
		return err
	}
	if s.db, err = sql.Open("sqlite", dsn(s.path, "rw")); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	s.file = fi
	if s.schema, err = readSchema(ctx, s.db); err != nil {
		s.close()
		return err
	}
	if !s.schema.exists {
		s.schema = schema{key: "module_id"}
	}
	return nil
}

// create makes the file and the recorded table, for the first Set.
func (s *Store) create(ctx context.Context) error {
	if s.schema.exists {
		return nil
	}
	if s.db == nil {
		if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		if err := s.open(ctx); err != nil {
			return err
		}
	}
	if s.schema.exists {
		return nil
	}
	if _, err := s.db.ExecContext(ctx, createRecorded); err != nil {
		return err
	}
	var err error
	s.schema, err = readSchema(ctx, s.db)
	return err
}

// fresh opens the file again where another one has taken its place, as a restore
// of a backup does.
func (s *Store) fresh(ctx context.Context) {
	fi, err := os.Stat(s.path)
	gone := errors.Is(err, os.ErrNotExist)
	switch {
	case gone && s.file == nil:
	case err == nil && s.file != nil && os.SameFile(fi, s.file):
	case err != nil && !gone:
	default:
		s.locked = s.unlock(ctx)
	}
}

func (s *Store) close() {
	if s.db != nil {
		_ = s.db.Close()
		s.db = nil
	}
	if s.versions != nil {
		_ = s.versions.db.Close()
		s.versions = nil
	}
}

// Close closes both files. The store may not be used afterwards.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
	s.locked, s.keys = "the credential store is closed", nil
	return nil
}

// Locked returns why the store cannot be read; "" if it can.
func (s *Store) Locked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked
}

func (s *Store) lockedErr() error {
	if s.locked != "" {
		return lockedError{s.locked}
	}
	return nil
}

// lockedError is ErrLocked with its reason.
type lockedError struct{ why string }

func (e lockedError) Error() string        { return e.why }
func (e lockedError) Is(target error) bool { return target == ErrLocked }

func (s *Store) addKnown(v Values) {
	if s.mask != nil {
		s.mask.Add(v.strings()...)
	}
}

// use runs f under the lock, on an up-to-date file, with a deadline.
func (s *Store) use(f func(ctx context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.fresh(ctx)
	return f(ctx)
}

// Info describes a row, without its values.
type Info struct {
	// Row is the name of the row: a module's ID, or a platform alone.
	Row string
	// Fields are the names of the fields, sorted; nil while the store is locked.
	Fields  []string
	Updated time.Time
	// Used is when an adapter that this row serves last fetched with it, to the
	// minute; zero where that is not known.
	Used time.Time
	// Expires is when the credentials expire, as recorded or as their own fields say; zero
	// if unknown. ExpiresBy is the source of it.
	Expires   time.Time
	ExpiresBy string
	// Err is why the row does not open, though others do.
	Err string
}

// Has reports whether a row serves the module; it needs no key.
func (s *Store) Has(id string) (has bool, err error) {
	err = s.use(func(ctx context.Context) error {
		r, err := s.schema.serving(ctx, s.db, id)
		has = r != nil
		return err
	})
	return has, err
}

// Info returns the description of the row that serves the module; ErrNone if there is
// none. Row and Updated are set even while the store is locked.
func (s *Store) Info(id string) (info Info, err error) {
	err = s.use(func(ctx context.Context) error {
		r, err := s.schema.serving(ctx, s.db, id)
		if err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("%w for %s", ErrNone, id)
		}
		ns, err := s.notes(ctx)
		info = s.info(*r, ns)
		return err
	})
	return info, err
}

func (s *Store) info(r row, ns notes) Info {
	info := Info{Row: r.name, Updated: parseTime(r.updated)}
	if s.locked != "" {
		return info
	}
	n := ns[noteKey{r.name, r.org}]
	info.Used, info.Expires = n.used, n.expires
	if !info.Expires.IsZero() {
		info.ExpiresBy = "noted"
	}
	v, err := decrypt(r.token, s.keys)
	if err != nil {
		info.Err = err.Error()
		return info
	}
	info.Fields = v.Fields()
	if info.Expires.IsZero() {
		info.Expires, info.ExpiresBy = v.expiry()
	}
	return info
}

// Fields returns the names of the module's stored fields and when they were last
// changed. ErrNone where there are none, ErrLocked while the store is locked.
func (s *Store) Fields(id string) ([]string, time.Time, error) {
	info, err := s.Info(id)
	if err != nil {
		return nil, time.Time{}, err
	}
	if why := s.Locked(); why != "" {
		return nil, info.Updated, lockedError{why}
	}
	if info.Err != "" {
		return nil, info.Updated, fmt.Errorf("secrets: read %s: %s", info.Row, info.Err)
	}
	return info.Fields, info.Updated, nil
}

// List returns a description of every row, by name.
func (s *Store) List() (list []Info, err error) {
	err = s.use(func(ctx context.Context) error {
		rows, err := s.schema.all(ctx, s.db, "")
		if err != nil {
			return err
		}
		ns, err := s.notes(ctx)
		for _, r := range rows {
			list = append(list, s.info(r, ns))
		}
		return err
	})
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Row, b.Row) })
	return list, err
}

// Get returns the module's credentials: those of its own row, else of its platform's.
func (s *Store) Get(id string) (v Values, err error) {
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
		if v, err = decrypt(r.token, s.keys); err != nil {
			return fmt.Errorf("secrets: read %s: %w", r.name, err)
		}
		return nil
	})
	return v, err
}

// Change is one change of a row, which can be undone.
type Change struct {
	// Row is the name of the row that was written.
	Row string
	// Version names what was there before, for Restore.
	Version int64
}

// Set stores v for the module: in the row that serves it, else in a new one of
// its own. What was there is kept aside first. With trial, the change is undone
// at the next Open unless Accept was called: for a rotation under check.
func (s *Store) Set(id string, v Values, trial bool) (c Change, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		text, err := v.encode()
		if err != nil {
			return fmt.Errorf("secrets: set %s: %w", id, scrub(err))
		}
		token, err := fernet.EncryptAndSign(text, s.keys[0])
		if err != nil {
			return fmt.Errorf("secrets: set %s: %w", id, err)
		}
		if err := s.create(ctx); err != nil {
			return fmt.Errorf("secrets: set %s: %w", id, err)
		}
		old, err := s.schema.serving(ctx, s.db, id)
		if err != nil {
			return fmt.Errorf("secrets: set %s: %w", id, err)
		}
		now := formatTime(time.Now())
		next := row{name: s.schema.fresh(id), org: s.schema.orgDefault, token: string(token), created: now, updated: now}
		if s.schema.org && next.org == "" {
			next.org = "default"
		}
		if old != nil {
			next.name, next.org, next.created = old.name, old.org, old.created
		}
		// Old values are masked before new ones exist, so that neither can leak.
		s.addKnown(v)
		if c.Version, err = s.versions.keep(ctx, next.name, next.org, old, trial); err != nil {
			return fmt.Errorf("secrets: set %s: keep the old credentials: %w", id, err)
		}
		c.Row = next.name
		if err := s.schema.write(ctx, s.db, next); err != nil {
			return fmt.Errorf("secrets: set %s: %w", id, err)
		}
		if old == nil {
			return nil
		}
		// What was recorded of the old ones does not hold for the new ones.
		return s.versions.recordExpiry(ctx, noteKey{next.name, next.org}, time.Time{})
	})
	return c, err
}

// Stage adds values to the mask before they are tried, and returns an error if they
// could not be stored; nothing is stored.
func (s *Store) Stage(v Values) error {
	return s.use(func(context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		if _, err := v.encode(); err != nil {
			return fmt.Errorf("secrets: stage: %w", scrub(err))
		}
		s.addKnown(v)
		return nil
	})
}

// Accept ends the trial of a change.
func (s *Store) Accept(c Change) error {
	return s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		return s.versions.accept(ctx, c.Version)
	})
}

// Delete removes the row that serves the module; what was there is kept aside.
func (s *Store) Delete(id string) (c Change, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		old, err := s.schema.serving(ctx, s.db, id)
		if err != nil {
			return fmt.Errorf("secrets: delete %s: %w", id, err)
		}
		if old == nil {
			return fmt.Errorf("%w for %s", ErrNone, id)
		}
		if c.Version, err = s.versions.keep(ctx, old.name, old.org, old, false); err != nil {
			return fmt.Errorf("secrets: delete %s: keep the old credentials: %w", id, err)
		}
		c.Row = old.name
		if err := s.schema.remove(ctx, s.db, *old); err != nil {
			return fmt.Errorf("secrets: delete %s: %w", id, err)
		}
		return nil
	})
	return c, err
}

// Restore restores what a change replaced. The present row is kept aside in turn, so
// that a Restore can be undone too.
func (s *Store) Restore(version int64) (c Change, err error) {
	err = s.use(func(ctx context.Context) error {
		if err := s.lockedErr(); err != nil {
			return err
		}
		c, err = s.restore(ctx, version)
		return err
	})
	return c, err
}

func (s *Store) restore(ctx context.Context, version int64) (Change, error) {
	k, err := s.versions.kept(ctx, version)
	if err != nil {
		return Change{}, err
	}
	if err := s.create(ctx); err != nil {
		return Change{}, fmt.Errorf("secrets: restore %s: %w", k.row.name, err)
	}
	where, args := "WHERE "+s.schema.key+" = ?", []any{k.row.name}
	if s.schema.org {
		where, args = where+" AND coalesce(org_id, '') = ?", append(args, k.row.org)
	}
	now, err := s.schema.all(ctx, s.db, where, args...)
	if err != nil {
		return Change{}, fmt.Errorf("secrets: restore %s: %w", k.row.name, err)
	}
	var cur *row
	if len(now) > 0 {
		cur = &now[0]
	}
	c := Change{Row: k.row.name}
	if c.Version, err = s.versions.keep(ctx, k.row.name, k.row.org, cur, false); err != nil {
		return Change{}, fmt.Errorf("secrets: restore %s: keep the present credentials: %w", k.row.name, err)
	}
	if k.present {
		err = s.schema.write(ctx, s.db, k.row)
	} else if cur != nil {
		err = s.schema.remove(ctx, s.db, *cur)
	}
	if err != nil {
		return Change{}, fmt.Errorf("secrets: restore %s: %w", k.row.name, err)
	}
	return c, s.versions.accept(ctx, version)
}

// endTrials restores every row that was on trial when the process ended.
func (s *Store) endTrials(ctx context.Context) error {
	on, err := s.versions.trials(ctx)
	if err != nil {
		return err
	}
	for _, v := range on {
		if _, err := s.restore(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// formatTime writes what Python's datetime.isoformat() does, in UTC, without a zone.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

func parseTime(s string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
