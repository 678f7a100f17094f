package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// noteEvery is how often uses of credentials are noted: they are told to the minute.
const noteEvery = time.Minute

// noteUses notes which credentials were used since the last time, at most once in
// noteEvery unless now is given. A fetch uses what its adapter was given.
func (va *vault) noteUses(now bool) {
	va.mu.Lock()
	if !now && time.Since(va.noted) < noteEvery || va.store == nil {
		va.mu.Unlock()
		return
	}
	used, store := va.used, va.store
	if used == nil {
		used = map[string]time.Time{}
	}
	for id, m := range va.modules {
		if _, has := m.credentials(); has && m.lastFetch.After(va.noted) {
			used[id] = m.lastFetch
		}
	}
	va.used, va.noted = nil, time.Now()
	va.mu.Unlock()
	if len(used) == 0 {
		return
	}
	if err := store.RecordUse(used); err != nil {
		va.cfg.Log.Error("uses of credentials were not noted", "err", err)
		return
	}
	va.refresh()
}

// noteExpiry notes when a module's credentials end.
func (va *vault) noteExpiry(_ context.Context, m *module, a state.Action, _ func(string, float64)) (out state.Outcome, err error) {
	at, err := moment(a.Args["at"], time.Now())
	if err != nil {
		return out, err
	}
	was, err := va.storeNow().RecordExpiry(m.id, at)
	if err != nil {
		return out, err
	}
	va.refresh()
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	out.Undo = &state.Action{Kind: state.CredentialExpire, Target: m.id, Args: map[string]string{"at": text(was)}, Actor: a.Actor}
	if out.Result = "noted that the credentials end at " + text(at); at.IsZero() {
		out.Result = "the credentials are no longer noted to end"
	}
	return out, nil
}

// moment reads a date, a date with a time, or a duration from now; "" is the zero time.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	d, err := state.ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no moment: a date such as 2027-01-31, or a duration such as 90d was expected", text)
	}
	return now.Add(d).Truncate(time.Second), nil
}

// errNoKeyFile: there is nothing to write a key to.
var errNoKeyFile = errors.New("this engine was given its key by its caller: start opsdeck with another one")

// rekey puts the whole store under another master key. The new key is written
// beside the old one before anything is encrypted under it, and the old one stays
// there: whenever this is cut short, both are given at the next start, everything
// opens, and the same action goes on.
func (va *vault) rekey(a state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() { va.metrics.credential("rekey", err == nil) }()
	defer va.refresh()
	store := va.storeNow()
	if store == nil {
		return out, errNotRunning
	}
	uses, err := store.KeyUses()
	if err != nil {
		return out, err
	}
	key := a.Secrets["new_key"].Reveal()
	old := 0
	for _, u := range uses[1:] {
		old += u.Rows + u.Kept
	}
	where := ""
	if key != "" || old == 0 {
		progress("writing the new key beside the old one", 20)
		if where, err = va.addKey(store, key); err != nil {
			return out, err
		}
	}
	progress("encrypting everything under the new key", 50)
	done, err := store.Rekey()
	if err != nil {
		return out, fmt.Errorf("%w; both keys are given, everything opens: do it again", err)
	}
	progress("checking that everything opens with it", 90)
	if uses, err = store.KeyUses(); err != nil {
		return out, err
	}
	for _, u := range uses[1:] {
		if n := u.Rows + u.Kept; n > 0 && u.Fingerprint != "" {
			return out, fmt.Errorf("%d entries are under the old key %s again: another program wrote them; do it again when that one has the new key", n, u.Fingerprint)
		}
	}
	out.Result = done.String()
	if where != "" {
		out.Result += "; " + va.rel(where) + " has the new key, and the old one beside it for backups taken before: other programs that read the store need the new one"
	}
	return out, nil
}

// addKey puts a key (a new one for "") before those that are given, and in force. It
// returns the file that it stands in.
func (va *vault) addKey(store *secrets.Store, key string) (path string, err error) {
	given, err := va.givenKeys()
	if err != nil {
		return "", err
	}
	if key == "" {
		if key, err = secrets.NewKey(); err != nil {
			return "", err
		}
	} else if err := secrets.CheckKey(key); err != nil || len(secrets.SplitKeys(key)) != 1 {
		return "", errors.New("the new key is not a Fernet key: url-safe base64 of 32 bytes was expected")
	}
	if secrets.Fingerprint(key) == secrets.Fingerprint(given[0]) {
		return "", errors.New("that is the key which is in force already")
	}
	given = slices.DeleteFunc(given, func(k string) bool { return secrets.Fingerprint(k) == secrets.Fingerprint(key) })
	va.cfg.Mask.Add(key)
	return va.saveKeys(store, append([]string{key}, given...))
}

// givenKeys returns the keys as their source gives them.
func (va *vault) givenKeys() ([]string, error) {
	if va.cfg.KeyFile == nil || va.cfg.Key == nil {
		return nil, errNoKeyFile
	}
	text, err := va.cfg.Key()
	if err != nil {
		return nil, fmt.Errorf("%w: there is nowhere to write a new key to", err)
	}
	keys := secrets.SplitKeys(text)
	if len(keys) == 0 {
		return nil, errNoKeyFile
	}
	return keys, nil
}

// saveKeys writes the keys to where they come from, and puts them in force.
func (va *vault) saveKeys(store *secrets.Store, keys []string) (path string, err error) {
	path, text, err := va.cfg.KeyFile(keys)
	if err != nil {
		return "", err
	}
	if err := disk.WriteFile(path, text); err != nil {
		return "", fmt.Errorf("write the key to %s: %w; nothing was changed", path, err)
	}
	if why := store.SetKeys(""); why != "" {
		return path, errors.New(why)
	}
	return path, nil
}

// forgetKeys drops old keys, under which nothing is any more.
func (va *vault) forgetKeys() (out state.Outcome, err error) {
	defer va.refresh()
	store := va.storeNow()
	if store == nil {
		return out, errNotRunning
	}
	given, err := va.givenKeys()
	if err != nil {
		return out, err
	}
	uses, err := store.KeyUses()
	if err != nil {
		return out, err
	}
	for _, u := range uses[1:] {
		if n := u.Rows + u.Kept; n > 0 && u.Fingerprint != "" {
			return out, fmt.Errorf("%d entries are still under the old key %s: change the key first", n, u.Fingerprint)
		}
	}
	path, err := va.saveKeys(store, given[:1])
	if err != nil {
		return out, err
	}
	return state.Outcome{Result: fmt.Sprintf("%s has one key now; %s gone from it", va.rel(path), are(len(given)-1, "old key"))}, nil
}

func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

// unlock opens the store with a key that was typed.
func (va *vault) unlock(a state.Action) (out state.Outcome, err error) {
	store := va.storeNow()
	if store == nil {
		return out, errNotRunning
	}
	key := a.Secrets["key"].Reveal()
	if key == "" {
		return out, errors.New("no key was given")
	}
	va.cfg.Mask.Add(secrets.SplitKeys(key)...)
	why := store.SetKeys(key)
	va.refresh()
	if why != "" {
		return out, errors.New(why)
	}
	va.mu.Lock()
	for _, m := range va.modules {
		if m.sup != nil && m.failure != nil {
			select {
			case m.sup.due <- struct{}{}:
			default:
			}
		}
	}
	va.mu.Unlock()
	return state.Outcome{Result: "unlocked until opsdeck ends; modules that waited for their credentials are tried now"}, nil
}
