package journal

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

func entry(phase state.Phase, id string) state.Entry {
	return state.Entry{Phase: phase, Action: state.ActionID(id), Kind: state.ModuleReload, Target: "weather/openweather",
		Actor: state.Actor{User: "ada", From: "pts/3 10.0.0.7", Via: "console"}, Args: map[string]string{"b": "2", "a": "1"}}
}

func TestEntriesSurviveReopeningAndVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	for round := range 3 {
		j, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			id := strconv.Itoa(10*round + i)
			if err := j.Append(entry(state.PhaseBegin, id)); err != nil {
				t.Fatal(err)
			}
			if err := j.Append(entry(state.PhaseEnd, id)); err != nil {
				t.Fatal(err)
			}
		}
		if got := j.Section(); got.Broken != "" || got.Entries[0].Seq != uint64(10*(round+1)) {
			t.Errorf("round %d: broken %q, newest %d", round, got.Broken, got.Entries[0].Seq)
		}
		j.Close()
	}
	if n, err := Verify(path); n != 30 || err != nil {
		t.Errorf("Verify = %d, %v, want 30 entries", n, err)
	}
}

func TestVerifyNamesTheEntryThatWasTamperedWith(t *testing.T) {
	lines := func(t *testing.T) (string, [][]byte) {
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		j, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			if err := j.Append(entry(state.PhaseEnd, strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		j.Close()
		b, _ := os.ReadFile(path)
		return path, bytes.SplitAfter(b, []byte("\n"))
	}
	for _, tt := range []struct {
		name   string
		tamper func([][]byte) [][]byte
		want   string
	}{
		{"changed", func(l [][]byte) [][]byte { l[2] = bytes.Replace(l[2], []byte("ada"), []byte("eve"), 1); return l }, ":3: entry 3 was changed"},
		{"removed", func(l [][]byte) [][]byte { return append(l[:2:2], l[3:]...) }, ":3: entry 4 does not follow entry 2"},
		{"swapped", func(l [][]byte) [][]byte { l[2], l[3] = l[3], l[2]; return l }, ":3: entry 4 does not follow"},
		{"torn", func(l [][]byte) [][]byte { l[5] = l[5][:10]; return l }, ":6: the last line is torn"},
		{"garbage", func(l [][]byte) [][]byte { l[0] = []byte("hello\n"); return l }, ":1: not a journal entry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, l := lines(t)
			if err := os.WriteFile(path, bytes.Join(tt.tamper(l), nil), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify: %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestAnActionThatNeverEndedIsReportedOnceAsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []state.Entry{entry(state.PhaseBegin, "a"), entry(state.PhaseBegin, "b"), entry(state.PhaseEnd, "a")} {
		if err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	for _, want := range []int{1, 0} {
		j, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := j.Interrupted()
		if len(got) != want || want == 1 && got[0].Action != "b" {
			t.Errorf("interrupted = %+v, want %d", got, want)
		}
		j.Close()
	}
	if _, err := Verify(path); err != nil {
		t.Error(err)
	}
}

// TestKilledWriterLosesNothingAcknowledged kills a writing process again and
// again. Each entry that it acknowledged on its standard output must be there.
func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if p := os.Getenv("JOURNAL_CHILD"); p != "" {
		child(p)
	}
	acked := 0
	for round := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriterLosesNothingAcknowledged$")
		cmd.Env = append(os.Environ(), "JOURNAL_CHILD="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		for range 1 + round%7 {
			if _, err := out.Read(buf); err != nil {
				t.Fatalf("child ended early: %v", err)
			}
			acked++
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if round%3 == 0 { // and a torn line, as a power cut leaves
			f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			_, _ = f.WriteString(`{"seq":`)
			f.Close()
		}
	}
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	ends := 0
	if err := Read(path, func(e state.Entry) bool {
		if e.Phase == state.PhaseVerdict {
			ends++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if ends < acked {
		t.Errorf("%d entries on disk, %d acknowledged", ends, acked)
	}
	if _, err := Verify(path); err != nil {
		t.Error(err)
	}
}

func child(path string) {
	j, err := Open(path)
	if err != nil {
		os.Exit(3)
	}
	for i := 0; ; i++ {
		if j.Append(entry(state.PhaseVerdict, strconv.Itoa(i))) != nil {
			os.Exit(4)
		}
		_, _ = os.Stdout.Write([]byte("."))
	}
}

func BenchmarkAppend(b *testing.B) {
	j, err := Open(filepath.Join(b.TempDir(), "journal.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for b.Loop() {
		if err := j.Append(entry(state.PhaseEnd, "x")); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAnEntryLargerThanTheTailIsFollowedNotForgotten(t *testing.T) {
	for _, torn := range []string{"", `{"seq":4,` + strings.Repeat("x", tailBytes)} {
		path := filepath.Join(t.TempDir(), "journal.jsonl")
		j, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		large := entry(state.PhaseBegin, "b")
		large.Args = map[string]string{"config": strings.Repeat("x", 2*tailBytes)}
		for _, e := range []state.Entry{entry(state.PhaseBegin, "a"), entry(state.PhaseEnd, "a"), large} {
			if err := j.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := j.f.WriteAt([]byte(torn), j.size); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if j, err = Open(path); err != nil {
			t.Fatal(err)
		}
		if got := j.Interrupted(); len(got) != 1 || got[0].Action != "b" {
			t.Errorf("interrupted = %d entries, want b", len(got))
		}
		j.Close()
		if _, err := Verify(path); err != nil {
			t.Error(err)
		}
	}
}

func TestTheReserveIsMadeAgainWhenThereIsRoom(t *testing.T) {
	j, err := Open(filepath.Join(t.TempDir(), "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	// As a full disk leaves it: removed, and it cannot be made again.
	if err := errors.Join(os.Remove(j.reserve()), os.Mkdir(j.reserve(), 0o700), os.WriteFile(filepath.Join(j.reserve(), "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	j.spent = true
	if err := j.Append(entry(state.PhaseBegin, "a")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(j.reserve()); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(entry(state.PhaseEnd, "a")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(j.reserve()); err != nil || st.Size() != reserveBytes {
		t.Errorf("the reserve is %v, %v", st, err)
	}
}
