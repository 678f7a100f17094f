package secrets

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLearnKnowsWhatIsAndWasStoredAndLeavesATrialAlone(t *testing.T) {
	path, key := copyOf(t), contractKey(t)
	s := open(t, path, key, nil)
	for i, value := range []string{"first-value-1", "second-value-2"} {
		if _, err := s.Set("new/one", NewValues(map[string]any{"api_key": value}), i == 1); err != nil {
			t.Fatal(err)
		}
	}
	var m Mask
	if err := LoadKnownSecrets(path, is(key), &m); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Mask("a first-value-1 b second-value-2"), "a *** b ***"; got != want {
		t.Errorf("masked = %q, want %q", got, want)
	}
	if v, err := s.Get("new/one"); err != nil || v.strings()[0] != "second-value-2" {
		t.Errorf("the value on trial is %v, %v", v, err)
	}
}

func TestLearnMakesNothingWhereThereIsNoStore(t *testing.T) {
	dir := t.TempDir()
	if err := LoadKnownSecrets(filepath.Join(dir, "module_credentials.db"), is(contractKey(t)), &Mask{}); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("it made %v, %v", entries, err)
	}
}
