package secrets

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test binary be the process that is killed in the middle of a
// change of keys.
func TestMain(m *testing.M) {
	if dir := os.Getenv("OPSDECK_SECRETS_CHILD"); dir != "" {
		rekeyUntilKilled(dir, os.Getenv("OPSDECK_SECRETS_STEP"))
		return
	}
	os.Exit(m.Run())
}

func rekeyUntilKilled(dir, at string) {
	n := 0
	s := Open(filepath.Join(dir, "module_credentials.db"), func() (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, "key"))
		return string(b), err
	}, nil)
	s.step = func(string) {
		if n++; fmt.Sprint(n) == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	done, err := s.Rekey()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(done)
}

func newKey(t testing.TB) string {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// expected returns what the recorded store holds.
func expected(t testing.TB) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(contractDir, "expected_credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// holds fails the test unless the store gives exactly the recorded credentials.
func holds(t *testing.T, s *Store) {
	t.Helper()
	for id, fields := range expected(t) {
		v, err := s.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(v.Reveal())
		want, _ := json.Marshal(fields)
		if string(got) != string(want) {
			t.Errorf("%s: other credentials than were stored", id)
		}
	}
}

func TestRekeyPutsEverythingUnderTheFirstKey(t *testing.T) {
	path, old, next := copyOf(t), strings.TrimSpace(contractKey(t)), newKey(t)
	s := open(t, path, old, nil)
	c, err := s.Set("weather/openweather", NewValues(map[string]any{"api_key": "another-value"}), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(c.Version); err != nil { // so that versions are kept
		t.Fatal(err)
	}
	if why := s.SetKeys(next + "\n" + old); why != "" {
		t.Fatal(why)
	}
	before, err := s.KeyUses()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := before[1].Rows, 3; got != want || before[1].Kept == 0 || before[0].Rows != 0 {
		t.Errorf("before: got %+v, want %d rows under the old key", before, want)
	}
	updated, err := s.Info("gaming/clashroyale")
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Rekey()
	if err != nil {
		t.Fatal(err)
	}
	if done.Changed != 3+before[1].Kept || done.Left != 0 {
		t.Errorf("got %+v", done)
	}
	after, err := s.KeyUses()
	if err != nil {
		t.Fatal(err)
	}
	if after[0].Rows != 3 || after[1].Rows+after[1].Kept != 0 {
		t.Errorf("after: got %+v", after)
	}
	if now, err := s.Info("gaming/clashroyale"); err != nil || !now.Updated.Equal(updated.Updated) {
		t.Errorf("the time of change went from %v to %v (%v)", updated.Updated, now.Updated, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alone := open(t, path, next, nil)
	if why := alone.Locked(); why != "" {
		t.Fatal(why)
	}
	holds(t, alone)
	if _, err := alone.Restore(c.Version + 1); err != nil {
		t.Errorf("a version kept under the old key: %v", err)
	}
	if old := open(t, path, old, nil); old.Locked() == "" {
		t.Error("the old key still opens the store")
	}
}

func TestRekeyKilledAtAnyStepLosesNothing(t *testing.T) {
	if s := dump(t, copyOf(t)); !strings.HasSuffix(s, "delete") {
		t.Fatalf("journal mode: %s", s)
	}
	killed := 0
	for step := 1; ; step++ {
		path, old, next := copyOf(t), strings.TrimSpace(contractKey(t)), newKey(t)
		dir := filepath.Dir(path)
		s := open(t, path, old, nil)
		if _, err := s.Set("gaming/clashroyale", NewValues(expected(t)["gaming/clashroyale"]), false); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		both := next + "\n" + old + "\n"
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(both), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OPSDECK_SECRETS_CHILD="+dir, fmt.Sprintf("OPSDECK_SECRETS_STEP=%d", step))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !(errors.As(err, &exit) && exit.ProcessState.Sys().(syscall.WaitStatus).Signaled()) {
			t.Fatalf("step %d: %v: %s", step, err, out)
		}
		s = open(t, path, both, nil)
		if why := s.Locked(); why != "" {
			t.Fatalf("step %d: %s", step, why)
		}
		holds(t, s)
		uses, err := s.KeyUses()
		if err != nil {
			t.Fatal(err)
		}
		if (uses[0].Rows != 0 || uses[0].Kept != 0) == (uses[1].Rows != 0 || uses[1].Kept != 0) {
			t.Errorf("step %d: half is under either key: %+v", step, uses)
		}
		if _, err := s.Rekey(); err != nil {
			t.Fatalf("step %d: again: %v", step, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		holds(t, open(t, path, next, nil))
		if cmd.ProcessState.Success() {
			break // there are fewer steps than that
		}
		killed++
	}
	if killed < 6 {
		t.Errorf("killed at %d steps only", killed)
	}
}

func TestEntriesOfAnUnknownKeySurviveAChangeOfKeys(t *testing.T) {
	path, old := copyOf(t), strings.TrimSpace(contractKey(t))
	lost := newKey(t)
	s := open(t, path, lost+" "+old, nil)
	if _, err := s.Set("weather/openweather", NewValues(map[string]any{"api_key": "of-another-key"}), false); err != nil {
		t.Fatal(err)
	}
	next := newKey(t)
	if why := s.SetKeys(next + " " + old); why != "" {
		t.Fatal(why)
	}
	done, err := s.Rekey()
	if err != nil {
		t.Fatal(err)
	}
	if done.Left != 1 || !strings.Contains(done.String(), "1 open with no key") {
		t.Errorf("got %+v: %s", done, done)
	}
	if why := s.SetKeys(lost); why != "" {
		t.Fatal(why)
	}
	if v, err := s.Get("weather/openweather"); err != nil || v.Reveal()["api_key"] != "of-another-key" {
		t.Errorf("got %v, %v", v.Fields(), err)
	}
}

func TestTypedKeyUnlocksOnlyWhereItOpens(t *testing.T) {
	s := open(t, copyOf(t), "", nil)
	if why := s.SetKeys(newKey(t)); !strings.Contains(why, "is not the key") {
		t.Errorf("a wrong key: got %q", why)
	}
	if s.Locked() == "" {
		t.Error("a wrong key opened the store")
	}
	if why := s.SetKeys(contractKey(t)); why != "" {
		t.Fatal(why)
	}
	holds(t, s)
}
