package secrets

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fernet/fernet-go"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// contractDir holds what the real credential store wrote.
const contractDir = "../../testdata/contract/nexus"

func contractKey(t testing.TB) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(contractDir, "MODULE_ENCRYPTION_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	return string(key)
}

func is(key string) func() (string, error) { return func() (string, error) { return key, nil } }

// copyOf returns a copy of the recorded store, in a folder of its own.
func copyOf(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(contractDir, "module_credentials.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "module_credentials.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path, key string, mask *Mask) *Store {
	t.Helper()
	s := Open(path, is(key), mask)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func dump(t testing.TB, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out, mode string
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out += s + "\n"
	}
	return out + mode
}

func TestRecordedStoreDecryptsToWhatIsExpected(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(contractDir, "expected_credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	s := open(t, copyOf(t), contractKey(t), nil)
	if why := s.Locked(); why != "" {
		t.Fatal(why)
	}
	for id, fields := range want {
		v, err := s.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range fields {
			if v.Reveal()[k] != x {
				t.Errorf("%s.%s: got another value than expected", id, k)
			}
		}
		if v.Len() != len(fields) {
			t.Errorf("%s: got %v", id, v.Fields())
		}
		names, updated, err := s.Fields(id)
		if err != nil || len(names) != len(fields) || updated.Year() != 2026 {
			t.Errorf("%s: %v %v %v", id, names, updated, err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != len(want) {
		t.Errorf("%v %v", list, err)
	}
}

func TestWithoutTheRightKeyNothingIsChanged(t *testing.T) {
	var other fernet.Key
	if err := other.Generate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, key, want string }{
		{"none", "", "is not set"},
		{"malformed", "hunter2", "is not a Fernet key"},
		{"another", other.Encode(), "is not the key that module_credentials.db was written with (none of its 3 entries opens); nothing was changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := copyOf(t)
			before, _ := os.ReadFile(path)
			s := open(t, path, c.key, nil)
			if why := s.Locked(); !strings.Contains(why, c.want) {
				t.Errorf("got %q, want %q", why, c.want)
			}
			_, gerr := s.Get("weather/openweather")
			_, serr := s.Set("weather/openweather", NewValues(map[string]any{"a": "b"}), false)
			_, derr := s.Delete("weather/openweather")
			_, rerr := s.Restore(1)
			for _, err := range []error{gerr, serr, derr, rerr} {
				if !errors.Is(err, ErrLocked) {
					t.Errorf("got %v, want ErrLocked", err)
				}
			}
			if has, err := s.Has("weather/openweather"); !has || err != nil {
				t.Errorf("Has: %v, %v", has, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(list) != 1 {
				t.Errorf("files were made: %v", list)
			}
		})
	}
}

func TestChangesKeepTheRecordedSchemaAndCanBeUndone(t *testing.T) {
	path := copyOf(t)
	before := dump(t, path)
	s := open(t, path, contractKey(t), nil)
	v, err := ParseValues([]byte(`{"api_key": "new", "port": 12345678901234567890, "nested": {"a": [1.50, null, true]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Set("weather/openweather", v, false)
	if err != nil || c.Row != "weather/openweather" {
		t.Fatal(c, err)
	}
	got, err := s.Get("weather/openweather")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(got.Reveal())
	if want := `{"api_key":"new","nested":{"a":[1.50,null,true]},"port":12345678901234567890}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if _, err := s.Set("new/one", v, false); err != nil {
		t.Fatal(err)
	}
	d, err := s.Delete("gaming/clashroyale")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("gaming/clashroyale"); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
	for _, version := range []int64{c.Version, d.Version} {
		if _, err := s.Restore(version); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]string{"weather/openweather": "ow-4f1c-εξ", "gaming/clashroyale": "cr-jwt.eyJ0.abc"} {
		if v, err := s.Get(id); err != nil || v.Reveal()["api_key"] != want {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := s.Restore(9999); !errors.Is(err, ErrVersion) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := dump(t, path); after != before {
		t.Errorf("the schema changed:\n%s\n%s", before, after)
	}
	versions, err := os.ReadFile(filepath.Join(filepath.Dir(path), versionsFile))
	if err != nil || bytes.Contains(versions, []byte("ow-4f1c")) || bytes.Contains(versions, []byte("api_key")) {
		t.Errorf("what is kept aside is not encrypted (%v)", err)
	}
}

func TestAnOldReaderReadsWhatWasWritten(t *testing.T) {
	python := ""
	for _, p := range []string{"python3", "/usr/bin/python3"} { // the system's package is for the system's Python
		if python == "" && exec.Command(p, "-c", "import cryptography.fernet").Run() == nil {
			python = p
		}
	}
	if python == "" {
		sourcetest.Missing(t, "python3 with the package cryptography")
	}
	path := copyOf(t)
	s := open(t, path, contractKey(t), nil)
	if _, err := s.Set("weather/openweather", NewValues(map[string]any{"api_key": "ключ<&>"}), false); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", `
import sqlite3, json, sys
from datetime import datetime
from cryptography.fernet import Fernet
f = Fernet(sys.argv[2].strip().encode())
for i, d, c, u in sqlite3.connect(sys.argv[1]).execute("select module_id, encrypted_data, created_at, updated_at from credentials order by module_id"):
    assert datetime.fromisoformat(u).tzinfo is None and datetime.fromisoformat(u) >= datetime.fromisoformat(c), (c, u)
    print(i, json.dumps(json.loads(f.decrypt(d.encode())), sort_keys=True))`, path, contractKey(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), `weather/openweather {"api_key": "\u043a\u043b\u044e\u0447<&>"}`) || strings.Count(string(out), "\n") != 3 {
		t.Errorf("got %s", out)
	}
}

// Every age of the file works as it is, and stays as it is.
func TestVersionsOfTheFile(t *testing.T) {
	recorded := open(t, copyOf(t), contractKey(t), nil)
	var token string
	if err := recorded.db.QueryRow("SELECT encrypted_data FROM credentials WHERE module_id = 'weather/openweather'").Scan(&token); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, create, insert, row string }{
		{"by module with org_id", "CREATE TABLE credentials (module_id TEXT NOT NULL, org_id TEXT NOT NULL DEFAULT 'acme', encrypted_data TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (module_id, org_id))",
			"INSERT INTO credentials (module_id, org_id, encrypted_data, created_at, updated_at) VALUES ('weather/openweather', 'acme', ?, '2026-01-01T00:00:00.000001', '2026-01-01T00:00:00.000001')", "weather/openweather"},
		{"by platform", "CREATE TABLE credentials (platform TEXT PRIMARY KEY, encrypted_data TEXT NOT NULL, created_at TEXT, updated_at TEXT)",
			"INSERT INTO credentials (platform, encrypted_data) VALUES ('openweather', ?)", "openweather"},
		{"by platform, bare", "CREATE TABLE credentials (platform TEXT PRIMARY KEY, encrypted_data TEXT NOT NULL)",
			"INSERT INTO credentials (platform, encrypted_data) VALUES ('openweather', ?)", "openweather"},
		{"a platform alone", createRecorded,
			"INSERT INTO credentials VALUES ('openweather', ?, '2026-01-01T00:00:00', '2026-01-01T00:00:00')", "openweather"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "module_credentials.db")
			db, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(c.create); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(c.insert, token); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			before := dump(t, path)
			s := open(t, path, contractKey(t), nil)
			if why := s.Locked(); why != "" {
				t.Fatal(why)
			}
			v, err := s.Get("weather/openweather")
			if err != nil || v.Reveal()["api_key"] != "ow-4f1c-εξ" {
				t.Fatalf("%v %v", v.Fields(), err)
			}
			ch, err := s.Set("weather/openweather", v.With(map[string]any{"api_key": "changed"}), false)
			if err != nil || ch.Row != c.row {
				t.Fatalf("%+v %v, want row %s", ch, err, c.row)
			}
			if v, err := s.Get("weather/openweather"); err != nil || v.Reveal()["api_key"] != "changed" {
				t.Fatal(err)
			}
			if list, err := s.List(); err != nil || len(list) != 1 {
				t.Fatalf("%v %v", list, err)
			}
			if _, err := s.Set("other/thing", v, false); err != nil {
				t.Fatal(err)
			}
			if has, err := s.Has("other/thing"); !has || err != nil {
				t.Fatal(has, err)
			}
			if _, err := s.Restore(ch.Version); err != nil {
				t.Fatal(err)
			}
			if v, err := s.Get("weather/openweather"); err != nil || v.Reveal()["api_key"] != "ow-4f1c-εξ" {
				t.Fatal(err)
			}
			if after := dump(t, path); after != before {
				t.Errorf("the file was migrated:\n%s\n%s", before, after)
			}
		})
	}
}

func TestFileOfAnotherKindLocks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "module_credentials.db")
	for _, text := range []string{"this is no database, but it is long enough to be taken for one", ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := Open(path, is(contractKey(t)), nil)
		if locked := s.Locked() != ""; locked != (text != "") {
			t.Errorf("%q: locked %v: %s", text, locked, s.Locked())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if s := open(t, dir, contractKey(t), nil); s.Locked() == "" {
		t.Error("a folder is taken for a store")
	}
}

func TestTrialIsUndoneAtTheNextOpen(t *testing.T) {
	path, key := copyOf(t), contractKey(t)
	s := open(t, path, key, nil)
	next := NewValues(map[string]any{"api_key": "unproven"})
	for i, accept := range []bool{false, true} {
		c, err := s.Set("weather/openweather", next, true)
		if err != nil {
			t.Fatal(err)
		}
		if accept {
			if err := s.Accept(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path, key, nil)
		v, err := s.Get("weather/openweather")
		if err != nil || (v.Reveal()["api_key"] == "unproven") != accept {
			t.Errorf("%d: after a trial with accept %v: %v", i, accept, err)
		}
	}
}

func TestFirstSetMakesTheRecordedSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "module_credentials.db")
	s := open(t, path, contractKey(t), nil)
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Fatal(list, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading made the file")
	}
	if _, err := s.Set("a/b", NewValues(map[string]any{"k": "v"}), false); err != nil {
		t.Fatal(err)
	}
	if got, want := dump(t, path), dump(t, copyOf(t)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReplacedFileIsOpenedAgain(t *testing.T) {
	path := copyOf(t)
	s := open(t, path, contractKey(t), nil)
	if _, err := s.Set("weather/openweather", NewValues(map[string]any{"api_key": "later"}), false); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copyOf(t), path); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get("weather/openweather"); err != nil || v.Reveal()["api_key"] != "ow-4f1c-εξ" {
		t.Errorf("the restored backup is not read: %v", err)
	}
}

func TestValuesNeverShow(t *testing.T) {
	v := NewValues(map[string]any{"k": "hidden-value"})
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "v", v)
	text, _ := json.Marshal(map[string]any{"v": v})
	b.Write(text)
	fmt.Fprintf(&b, "%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v)
	if strings.Contains(b.String(), "hidden") || strings.Contains(b.String(), "686964") {
		t.Error(b.String())
	}
	if _, err := ParseValues([]byte(`{"k": hidden-value}`)); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "null", "[]", `"x"`, "{} {}"} {
		if _, err := ParseValues([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzToken opens what is no token, or one that was tampered with, as nothing.
func FuzzToken(f *testing.F) {
	key := strings.TrimSpace(contractKey(f))
	keys, err := parseKeys(key)
	if err != nil {
		f.Fatal(err)
	}
	good, err := fernet.EncryptAndSign([]byte(`{"api_key": "a"}`), keys[0])
	if err != nil {
		f.Fatal(err)
	}
	list, err := fernet.EncryptAndSign([]byte(`["no object"]`), keys[0])
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), string(list), "", "gAAAAA", string(good[:len(good)-4]), "\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		v, err := decrypt(token, keys)
		if (err == nil) != (v.Len() > 0) || err == nil && v.Reveal()["api_key"] != "a" {
			t.Errorf("%q: %v, %v", token, v.Fields(), err)
		}
		_ = CheckKey(token)
	})
}
