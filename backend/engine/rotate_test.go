package engine

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// credentialRig runs testdata/modules with the recorded credentials.
func credentialRig(t *testing.T) *rig {
	needPython(t)
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	r.start(Config{Key: contractKey(t), Interval: time.Hour, Watch: time.Millisecond})
	r.module("weather/openweather", "runs", healthy)
	return r
}

const openweather = "weather/openweather"

func stored(t *testing.T, r *rig) any {
	t.Helper()
	v, err := r.e.vault.storeNow().Get(openweather)
	if err != nil {
		t.Fatal(err)
	}
	return v.Reveal()["api_key"]
}

func TestRotation(t *testing.T) {
	r := credentialRig(t)
	out, err := r.do(state.CredentialRotate, openweather, nil, map[string]state.Secret{"api_key": "ow-new-value"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.Result, "rotated and checked: fetched 1 item") || strings.Contains(out.Result, "ow-new") {
		t.Errorf("got %q", out.Result)
	}
	if got := stored(t, r); got != "ow-new-value" {
		t.Errorf("got %v", got)
	}
	if out.Undo == nil || out.Undo.Kind != state.CredentialUndo {
		t.Fatalf("no undo: %+v", out)
	}
	again, err := r.do(out.Undo.Kind, out.Undo.Target, out.Undo.Args, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := stored(t, r); got != "ow-4f1c-εξ" {
		t.Errorf("after undo: got %v", got)
	}
	if again.Undo == nil {
		t.Fatal("an undo cannot be undone")
	}
}

func TestRotationThatFailsItsProbeTouchesNothing(t *testing.T) {
	r := credentialRig(t)
	pid := r.module(openweather, "runs", healthy).PID
	_, err := r.do(state.CredentialRotate, openweather, nil, map[string]state.Secret{"api_key": "wrong-secret-value"})
	if err == nil || !strings.Contains(err.Error(), "the old ones were kept") || !strings.Contains(err.Error(), "401 Unauthorized: invalid API key ***") {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("the error gives the secret away: %v", err)
	}
	if got := stored(t, r); got != "ow-4f1c-εξ" {
		t.Errorf("got %v", got)
	}
	m := r.module(openweather, "works on", func(m *state.Module) bool { return healthy(m) && m.Reason == "" })
	if m.PID != pid || m.Failures != 0 {
		t.Errorf("the module that serves was disturbed: process %d, then %d; %d failures", pid, m.PID, m.Failures)
	}
	for _, text := range []string{m.LastError, m.Traceback, m.LastResult} {
		if strings.Contains(text, "wrong-secret") || strings.Contains(text, "ow-4f1c") {
			t.Errorf("a secret is published: %s", text)
		}
	}
}

// agingAdapter works with a key as often as the key says: "works-2-times".
const agingAdapter = `
import os, re
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        key = config.credentials["api_key"]
        seen = os.path.join(os.path.dirname(__file__), "..", "..", "seen-" + key)
        with open(seen, "a") as f:
            f.write(".")
        if os.path.getsize(seen) > int(re.sub("[^0-9]", "", key)):
            raise RuntimeError("401: this key is used up")
        return [{"ok": True}]
`

func agingRig(t *testing.T, platforms ...string) *rig {
	needPython(t)
	files := map[string]string{}
	for _, p := range platforms {
		for name, text := range adapterOf("shared_one", agingAdapter) {
			files[strings.Replace(name, "t/shared_one", p+"/shared_one", 1)] = strings.ReplaceAll(text, `"category": "t"`, `"category": "`+p+`"`)
		}
	}
	r := newRig(t, files)
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	r.start(Config{Key: contractKey(t), Interval: time.Hour, Watch: time.Millisecond})
	store := secrets.Open(filepath.Join(r.dir, "data/module_credentials.db"), contractKey(t), nil)
	if _, err := store.Set("shared_one", secrets.NewValues(map[string]any{"api_key": "works-900-times"}), false); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range platforms {
		r.module(p+"/shared_one", "has its credentials", func(m *state.Module) bool { return m.Credentials == state.CredentialsPresent })
		if _, err := r.do(state.ModuleReload, p+"/shared_one", nil, nil); err != nil {
			t.Fatal(err)
		}
		r.module(p+"/shared_one", "works", func(m *state.Module) bool { return m.Successes > 0 && m.Status == state.ModuleInstalled })
	}
	return r
}

func TestRotationThatFailsWhileWatchedPutsTheOldOnesBack(t *testing.T) {
	for _, c := range []struct {
		name, key, want string
		platforms       []string
	}{
		{"at the first fetch after the probe", "works-1-time", "this key is used up", []string{"a"}},
		{"while it is watched", "works-2-times", "after 1ms", []string{"a"}},
		{"in another module that they serve", "works-2-times", "b/shared_one, which they serve too", []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := agingRig(t, c.platforms...)
			_, err := r.do(state.CredentialRotate, "a/shared_one", nil, map[string]state.Secret{"api_key": state.Secret(c.key)})
			if err == nil || !strings.Contains(err.Error(), "the old ones were put back") || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want it to say %q", err, c.want)
			}
			v, err := r.e.vault.storeNow().Get("a/shared_one")
			if err != nil || v.Reveal()["api_key"] != "works-900-times" {
				t.Errorf("the old credentials are not there (%v)", err)
			}
			for _, p := range c.platforms {
				r.module(p+"/shared_one", "works again", func(m *state.Module) bool { return m.Status == state.ModuleInstalled && m.HealthWord == "healthy" })
			}
		})
	}
}

func TestRotationOfADisabledModuleIsCheckedToo(t *testing.T) {
	r := credentialRig(t)
	if _, err := r.do(state.ModuleDisable, openweather, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.do(state.CredentialRotate, openweather, nil, map[string]state.Secret{"api_key": "wrong-secret-value"}); err == nil {
		t.Error("wrong credentials were taken")
	}
	if got := stored(t, r); got != "ow-4f1c-εξ" {
		t.Errorf("got %v", got)
	}
	if valid, _, err := r.e.Modules().CheckCredentials(context.Background(), "openweather"); !valid || err != nil {
		t.Errorf("check: %v, %v", valid, err)
	}
	info, err := r.e.Modules().Credentials("openweather")
	if err != nil || !info.Has || len(info.Fields) != 1 || info.Fields[0] != "api_key" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestSetAndDelete(t *testing.T) {
	r := credentialRig(t)
	out, err := r.do(state.CredentialSet, openweather, nil, map[string]state.Secret{SecretJSON: `{"api_key":"ow-other","retries":3}`})
	if err != nil {
		t.Fatal(err)
	}
	m := r.module(openweather, "has both fields", func(m *state.Module) bool { return len(m.CredentialFields) == 2 })
	if m.CredentialFields[1] != "retries" {
		t.Error(m.CredentialFields)
	}
	if _, err = r.do(state.CredentialDelete, openweather, nil, nil); err != nil {
		t.Fatal(err)
	}
	r.module(openweather, "fails without", func(m *state.Module) bool {
		return m.Credentials == state.CredentialsMissing && m.Status == state.ModuleFailed && strings.Contains(m.LastError, "no credentials stored")
	})
	if _, err = r.do(out.Undo.Kind, out.Undo.Target, out.Undo.Args, nil); err != nil {
		t.Fatal(err)
	}
	r.module(openweather, "works again", func(m *state.Module) bool {
		return healthy(m) && m.Credentials == state.CredentialsPresent && len(m.CredentialFields) == 1
	})
}

func TestLockedStoreSaysSoAndStopsOnlyWhatNeedsIt(t *testing.T) {
	needPython(t)
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	key := ""
	r.start(Config{Key: func() (string, error) { return key, nil }})
	r.module("host/disk", "runs", healthy)
	m := r.module(openweather, "is locked out", func(m *state.Module) bool { return m.Failures > 0 })
	if m.Credentials != state.CredentialsLocked || !strings.Contains(m.LastError, secrets.KeyVariable+" is not set") {
		t.Errorf("%s %q", m.Credentials, m.LastError)
	}
	if _, err := r.do(state.CredentialRotate, openweather, nil, map[string]state.Secret{"api_key": "ow-x"}); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("rotate: %v", err)
	}
	key, _ = contractKey(t)()
	if why := r.e.vault.Unlock(); why != "" {
		t.Fatal(why)
	}
	r.module(openweather, "runs with the key", healthy)
	if s := r.until("unlocked", func(s *state.Snapshot) bool { return s.Modules.Locked == "" }); s == nil {
		t.Fatal()
	}
}

func TestSecretsAreMaskedWhereverResultsGo(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("openweather", `
import sys
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        print("logging in with", config.credentials["api_key"])
        return [{"url": "https://x/?key=" + config.credentials["api_key"]}]
`))
	r.copyFile(filepath.Join(contractDir, "module_credentials.db"), "data/module_credentials.db")
	sqlite(t, filepath.Join(r.dir, "data/module_credentials.db"), "UPDATE credentials SET module_id = 't/openweather' WHERE module_id = 'weather/openweather'")
	r.start(Config{Key: contractKey(t)})
	r.module("t/openweather", "runs", healthy)
	r.until("it is delivered", func(s *state.Snapshot) bool { _, ok := r.e.Delivered().Category("t"); return ok && s.Version > 0 })
	cat, _ := r.e.Delivered().Category("t")
	if got := string(cat.Modules[0].Data[0]); got != `{"url":"https://x/?key=***"}` {
		t.Errorf("/context serves %s", got)
	}
	log, err := r.e.Modules().Log("t/openweather")
	if err != nil || !strings.Contains(log, "logging in with ***") {
		t.Errorf("the log reads %q (%v)", log, err)
	}
}
