package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// keyRig returns an engine whose key lies in a file of its own.
func keyRig(t *testing.T, key string) (r *rig, file string) {
	needPython(t)
	r = newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	file = filepath.Join(r.dir, "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(Config{Interval: time.Hour, Watch: time.Millisecond,
		Key: func() (string, error) {
			b, err := os.ReadFile(file)
			return string(b), err
		},
		KeyFrom: func() string { return file },
		KeyFile: func(keys []string) (string, []byte, error) { return file, []byte(strings.Join(keys, "\n") + "\n"), nil },
	})
	return r, file
}

func TestRekeyChangesTheKeyWhereItLies(t *testing.T) {
	old, _ := contractKey(t)()
	old = strings.TrimSpace(old)
	r, file := keyRig(t, old)
	r.module(openweather, "runs", healthy)
	out, err := r.do(state.CredentialRekey, "credentials", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Result, "3 entries re-encrypted") || !strings.Contains(out.Result, "key has the new key, and the old one beside it") {
		t.Errorf("got %q", out.Result)
	}
	text, err := os.ReadFile(file)
	keys := secrets.SplitKeys(string(text))
	if err != nil || len(keys) != 2 || keys[0] == old || keys[1] != old {
		t.Fatalf("the key file has %d keys (%v)", len(keys), err)
	}
	if got := r.e.cfg.Mask.Mask("key " + keys[0]); got != "key ***" {
		t.Error("the new key is not masked")
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the key file's mode: %v, %v", st.Mode(), err)
	}
	s := r.until("everything is under the new key", func(s *state.Snapshot) bool {
		return len(s.Modules.Keys) == 2 && s.Modules.UnderOldKeys() == 0
	})
	if s.Modules.KeyFrom != "key" || s.Modules.Keys[0].Rows != 3 || s.Modules.Keys[0].Fingerprint != secrets.Fingerprint(keys[0]) {
		t.Errorf("got %+v from %q", s.Modules.Keys, s.Modules.KeyFrom)
	}
	if _, err := r.do(state.ModuleReload, openweather, nil, nil); err != nil {
		t.Errorf("a module after the change: %v", err)
	}
	if _, err := r.do(state.CredentialForget, "credentials", nil, nil); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); strings.TrimSpace(string(text)) != keys[0] {
		t.Error("the old key is still in the file")
	}
}

func TestRekeyToAGivenKeyGoesOnWhereItWasCutShort(t *testing.T) {
	old, _ := contractKey(t)()
	next, err := secrets.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	// As it is when the process was killed after the file was written.
	r, _ := keyRig(t, next+"\n"+old)
	r.module(openweather, "runs with the old key", healthy)
	s := r.until("the keys are told", func(s *state.Snapshot) bool { return len(s.Modules.Keys) == 2 })
	if got := s.Modules.UnderOldKeys(); got != 3 {
		t.Errorf("got %d entries under an old key, want 3", got)
	}
	if _, err := r.do(state.CredentialForget, "credentials", nil, nil); err == nil || !strings.Contains(err.Error(), "3 entries are still under the old key") {
		t.Errorf("an old key that is needed was forgotten: %v", err)
	}
	out, err := r.do(state.CredentialRekey, "credentials", nil, nil)
	if err != nil || !strings.Contains(out.Result, "3 entries re-encrypted") {
		t.Errorf("got %q, %v", out.Result, err)
	}
	r.until("nothing is under the old key", func(s *state.Snapshot) bool { return s.Modules.UnderOldKeys() == 0 })
	if _, err := r.do(state.CredentialRekey, "credentials", nil, map[string]state.Secret{"new_key": state.Secret(next)}); err == nil || !strings.Contains(err.Error(), "in force already") {
		t.Errorf("the same key again: %v", err)
	}
	if _, err := r.do(state.CredentialRekey, "credentials", nil, map[string]state.Secret{"new_key": "not-a-key-at-all"}); err == nil || strings.Contains(err.Error(), "not-a-key") {
		t.Errorf("no key at all: %v", err)
	}
}

func TestAKeyThatCannotBeWrittenChangesNothing(t *testing.T) {
	old, _ := contractKey(t)()
	r, _ := keyRig(t, old)
	r.e.cfg.KeyFile = func([]string) (string, []byte, error) { return "", nil, errors.New("it comes from the environment") }
	r.module(openweather, "runs", healthy)
	if _, err := r.do(state.CredentialRekey, "credentials", nil, nil); err == nil || !strings.Contains(err.Error(), "it comes from the environment") {
		t.Errorf("got %v", err)
	}
	uses, err := r.e.vault.storeNow().KeyUses()
	if err != nil || uses[0].Rows != 3 {
		t.Errorf("got %+v, %v", uses, err)
	}
}

func TestTypedKeyUnlocksAndLetsModulesRun(t *testing.T) {
	needPython(t)
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	r.start(Config{Key: func() (string, error) { return "", errors.New("no key anywhere") }})
	r.module(openweather, "is locked out", func(m *state.Module) bool { return m.Failures > 0 })
	if _, err := r.do(state.CredentialUnlock, "credentials", nil, map[string]state.Secret{"key": "hunter2-hunter2"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong key: %v", err)
	}
	key, _ := contractKey(t)()
	if _, err := r.do(state.CredentialUnlock, "credentials", nil, map[string]state.Secret{"key": state.Secret(key)}); err != nil {
		t.Fatal(err)
	}
	r.module(openweather, "runs", healthy)
}

func TestEndAndUseOfCredentialsAreTold(t *testing.T) {
	r := credentialRig(t)
	end := time.Now().Add(5*24*time.Hour + time.Hour).UTC()
	out, err := r.do(state.CredentialExpire, openweather, map[string]string{"at": "5d1h"}, nil)
	if err != nil {
		out, err = r.do(state.CredentialExpire, openweather, map[string]string{"at": end.Format(time.RFC3339)}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := r.module(openweather, "says when they end", func(m *state.Module) bool { return !m.CredentialsExpire.IsZero() })
	if !strings.Contains(m.Reason, "its credentials end in 5 days") || m.HealthWord != "degraded" || m.Status != state.ModuleInstalled {
		t.Errorf("got %q, %s", m.Reason, m.HealthWord)
	}
	r.e.vault.noteUses(true)
	r.module(openweather, "says when they were used", func(m *state.Module) bool { return time.Since(m.CredentialsUsed) < time.Hour })
	if _, err := r.do(out.Undo.Kind, out.Undo.Target, out.Undo.Args, nil); err != nil {
		t.Fatal(err)
	}
	r.module(openweather, "no longer ends", func(m *state.Module) bool { return m.CredentialsExpire.IsZero() && m.Reason == "" })
	if _, err := r.do(state.CredentialExpire, openweather, map[string]string{"at": "tomorrow"}, nil); err == nil || !strings.Contains(err.Error(), "is no moment") {
		t.Errorf("got %v", err)
	}
}
