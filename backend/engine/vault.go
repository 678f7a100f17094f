package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// vault is the credential store, and what is known of it. What is below is guarded by the
// fleet's lock: whom it serves is told with the modules.
type vault struct {
	*fleet

	store  *secrets.Store
	seen   disk.Stamp // of its file
	locked string     // why it is, as last seen
	keys   []state.KeyUse
	used   map[string]time.Time // modules whose credentials were used since the last note
	noted  time.Time            // when uses were last noted
}

// stored gives the module's credentials in the store, none where it has none.
func (va *vault) stored(m *module, man *Manifest, store *secrets.Store) func() (secrets.Values, error) {
	return func() (secrets.Values, error) {
		v, err := store.Get(m.id)
		switch {
		case err == nil:
			va.mu.Lock()
			if va.used == nil {
				va.used = map[string]time.Time{}
			}
			va.used[m.id] = time.Now()
			va.mu.Unlock()
		case errors.Is(err, secrets.ErrNone), errors.Is(err, secrets.ErrLocked) && !man.NeedsCredentials:
			return secrets.Values{}, nil
		}
		return v, err
	}
}

// refresh reads which modules have credentials.
func (va *vault) refresh() {
	va.mu.Lock()
	store := va.store
	va.mu.Unlock()
	seen, _ := disk.StampOf(filepath.Join(va.cfg.DataDir, "module_credentials.db"))
	list, err := store.List()
	if err != nil {
		va.cfg.Log.Error("the credential store cannot be listed", "err", err)
	}
	locked := store.Locked()
	rows := map[string]secrets.Info{}
	for _, i := range list {
		rows[i.Row] = i
	}
	uses, err := store.KeyUses()
	if err != nil && !errors.Is(err, secrets.ErrLocked) {
		va.cfg.Log.Error("the keys of the credential store cannot be told", "err", err)
	}
	var keys []state.KeyUse
	for _, u := range uses {
		keys = append(keys, state.KeyUse(u))
	}
	va.mu.Lock()
	defer va.mu.Unlock()
	va.seen, va.locked, va.keys = seen, state.Clean(locked), keys
	for _, m := range va.modules {
		m.rows = rows
		va.touched(m)
	}
	va.changed = true
}

// values returns the credentials that an action gives.
func (va *vault) values(m *module, a state.Action) (secrets.Values, error) {
	if text, ok := a.Secrets[SecretJSON]; ok {
		v, err := secrets.ParseValues([]byte(text.Reveal()))
		if err == nil && v.Len() == 0 {
			err = ErrNoValues
		}
		return v, err
	}
	fields := map[string]any{}
	for k, v := range a.Secrets {
		if v.Reveal() == "" {
			return secrets.Values{}, fmt.Errorf("the value of %s is empty", k)
		}
		fields[k] = v.Reveal()
	}
	if len(fields) == 0 {
		return secrets.Values{}, fmt.Errorf("%w: a value for each field was expected", ErrNoValues)
	}
	old, err := va.storeNow().Get(m.id)
	if err != nil && !errors.Is(err, secrets.ErrNone) && errors.Is(err, secrets.ErrLocked) {
		return secrets.Values{}, err
	}
	return old.With(fields), nil
}

func (va *vault) storeNow() *secrets.Store {
	va.mu.Lock()
	defer va.mu.Unlock()
	return va.store
}

// served returns the IDs of all other modules that a row serves; e.mu is held.
func (va *vault) served(m *module, row string) []string {
	var out []string
	for _, o := range va.modules {
		if _, own := o.rows[o.id]; o != m && !own && o.platform == row && o.status != state.ModuleUninstalled {
			out = append(out, o.id)
		}
	}
	slices.Sort(out)
	return out
}

// Unlock reads the key of the credential store again, and returns why it is
// locked still; "" when it is not.
func (va *vault) Unlock() string {
	store := va.storeNow()
	if store == nil {
		return errNotRunning.Error()
	}
	why := store.Unlock()
	va.refresh()
	return why
}
