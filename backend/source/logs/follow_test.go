package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// bench is a follower under a manual clock, and what it gave.
type rig struct {
	t     *testing.T
	f     *follower
	buf   []byte
	now   time.Time
	lines []string
	past  []string
}

func newRig(t *testing.T, fresh bool) *rig {
	path := filepath.Join(t.TempDir(), "a.log")
	r := &rig{t: t, f: newFollower(path, fresh), buf: make([]byte, 4096), now: time.Unix(1e9, 0)}
	t.Cleanup(r.f.close)
	return r
}

// pollAll polls until nothing more comes.
func (r *rig) pollAll() {
	split := func(to *[]string) sink {
		return func(b []byte) {
			if b[len(b)-1] != '\n' {
				r.t.Errorf("an unfinished line was given: %q", b)
			}
			*to = append(*to, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
		}
	}
	for {
		r.now = r.now.Add(10 * time.Millisecond)
		if _, more := r.f.poll(r.now, r.buf, split(&r.past), split(&r.lines)); !more {
			return
		}
	}
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) do(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) want(lines ...string) {
	r.t.Helper()
	r.pollAll()
	if got, want := strings.Join(r.lines, "|"), strings.Join(lines, "|"); got != want {
		r.t.Errorf("got  %q\nwant %q", got, want)
	}
	r.lines = nil
}

func TestFollowHoldsBackUnfinishedLines(t *testing.T) {
	r := newRig(t, true)
	r.write(r.f.path, "one\ntw")
	r.want("one")
	r.write(r.f.path, "o\nthree\n")
	r.want("two", "three")
}

func TestFollowBeginsAtALineNearTheEnd(t *testing.T) {
	r := newRig(t, false)
	line := strings.Repeat("x", 99) + "\n"
	r.write(r.f.path, strings.Repeat(line, 10_000))
	r.pollAll()
	if n := len(r.past); n < 2_500 || n > 2_700 || len(r.past[0]) != 99 || len(r.lines) != 0 {
		t.Errorf("history: %d lines, the first of %d bytes; %d live", n, len(r.past[0]), len(r.lines))
	}
	r.write(r.f.path, "new\n")
	r.want("new")
}

func TestFollowRename(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p, "1\n")
	r.want("1")
	r.do(os.Rename(p, p+".1"))
	r.write(p+".1", "2\n") // the writer has not reopened yet
	r.want("2")
	r.write(p, "4\n")
	r.write(p+".1", "3\n")
	r.want("3", "4")
	r.write(p+".1", "late\n")
	r.want("late")
	r.now = r.now.Add(rotatedIdle)
	r.pollAll()
	if len(r.f.old) != 0 || r.f.rotations != 1 || r.f.truncations != 0 || r.f.lost != 0 {
		t.Errorf("old %d, rotations %d, truncations %d, lost %d", len(r.f.old), r.f.rotations, r.f.truncations, r.f.lost)
	}
}

func TestFollowSeveralRenamesBetweenTwoPolls(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p+".2", "ancient\n")
	r.write(p, "1\n")
	r.want("1")
	r.write(p, "2\n")
	r.do(os.Rename(p, p+".3"))
	for i := range 3 {
		r.write(p, fmt.Sprintf("between %d\n", i))
		r.do(os.Rename(p, fmt.Sprintf("%s.1%d", p, i)))
		now := time.Unix(int64(1e9+i), 0)
		r.do(os.Chtimes(fmt.Sprintf("%s.1%d", p, i), now, now))
	}
	r.write(p, "last\n")
	r.want("2", "between 0", "between 1", "between 2", "last")
}

func TestFollowTruncation(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p, "one\ntwo\nthree\n")
	r.want("one", "two", "three")
	r.do(os.Truncate(p, 0))
	r.write(p, "four\n")
	r.want("four")
	// Truncated and grown past the old place.
	r.do(os.Truncate(p, 0))
	r.write(p, "five is a good deal longer than what was there\n")
	r.want("five is a good deal longer than what was there")
	// To exactly the same size.
	r.do(os.Truncate(p, 0))
	r.write(p, "sixx is a good deal longer than what was there\n")
	now := time.Now().Add(time.Minute)
	r.do(os.Chtimes(p, now, now))
	r.want("sixx is a good deal longer than what was there")
	if r.f.truncations != 3 || r.f.lost != 0 {
		t.Errorf("truncations %d, lost %d", r.f.truncations, r.f.lost)
	}
}

func TestFollowCountsWhatTruncationDestroyed(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p, "one\n")
	r.want("one")
	// It was seen to be longer than what was read of it.
	r.f.cur.size = 104
	r.do(os.Truncate(p, 0))
	r.write(p, "x\n")
	r.want("x")
	if r.f.lost != 100 {
		t.Errorf("lost: got %d, want 100", r.f.lost)
	}
}

func TestFollowReadsTheCopyThatCopyTruncateMade(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p, "one\n")
	r.want("one")
	r.write(p, "two\nthr")
	b, err := os.ReadFile(p)
	r.do(err)
	r.write(p+".1", string(b)+"ee\n")
	r.do(os.Truncate(p, 0))
	r.write(p, "four\n")
	r.want("two", "three", "four")
	if r.f.truncations != 1 || r.f.lost != 0 {
		t.Errorf("truncations %d, lost %d", r.f.truncations, r.f.lost)
	}
}

func TestFollowAWriterThatKeepsItsPlaceOverATruncation(t *testing.T) {
	r := newRig(t, true)
	f, err := os.Create(r.f.path)
	r.do(err)
	defer func() { _ = f.Close() }()
	for range 1000 {
		_, err = f.WriteString("a line before\n")
		r.do(err)
	}
	r.pollAll()
	r.lines = nil
	r.do(os.Truncate(r.f.path, 0))
	_, err = f.WriteString("a line after\n")
	r.do(err)
	r.want("a line after")
	_, err = f.WriteString("and another\n")
	r.do(err)
	r.want("and another")
}

func TestFollowRemovalDirectoryAndReturn(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.pollAll()
	if r.f.err == "" {
		t.Error("a missing file must say so")
	}
	r.write(p, "1\n")
	r.want("1")
	r.do(os.Remove(p))
	r.pollAll()
	if r.f.err == "" {
		t.Error("a removed file must say so")
	}
	r.do(os.Mkdir(p, 0o755))
	r.pollAll()
	if !strings.Contains(r.f.err, "directory") {
		t.Errorf("a directory: %q", r.f.err)
	}
	r.do(os.Remove(p))
	r.write(p, "2\n")
	r.want("2")
	if r.f.err != "" {
		t.Errorf("it is back: %q", r.f.err)
	}
}

// Root may read everything, so it looks with another user's rights.
func TestFollowPermissionRevokedAndRestored(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	poll := r.pollAll
	if os.Geteuid() == 0 {
		for dir := filepath.Dir(p); dir != filepath.Clean(os.TempDir()); dir = filepath.Dir(dir) {
			r.do(os.Chmod(dir, 0o755))
		}
		poll = func() {
			if !asNobody(r.pollAll) {
				sourcetest.Missing(t, "the right to open files as another user")
			}
		}
	}
	want := func(lines ...string) {
		t.Helper()
		poll()
		if got, want := strings.Join(r.lines, "|"), strings.Join(lines, "|"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		r.lines = nil
	}
	r.write(p, "1\n")
	want("1")
	// The descriptor is held: taking the right away takes no line.
	r.do(os.Chmod(p, 0))
	f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
	if os.Geteuid() == 0 {
		r.do(err)
		_, err = f.WriteString("2\n")
		r.do(err)
		r.do(f.Close())
		want("2")
	}
	// The new file of a rotation may not be read, until it may.
	r.do(os.Rename(p, p+".1"))
	r.write(p, "3\n")
	r.do(os.Chmod(p, 0))
	want()
	if !strings.Contains(r.f.err, "permission denied: give this user the right to read it") {
		t.Errorf("it says %q", r.f.err)
	}
	r.do(os.Chmod(p, 0o644))
	r.write(p, "4\n")
	want("3", "4")
	if r.f.err != "" || r.f.lost != 0 {
		t.Errorf("it says %q, %d lost", r.f.err, r.f.lost)
	}
	// A folder that was moved away, and back.
	dir := filepath.Dir(p)
	r.do(os.Rename(dir, dir+".away"))
	want()
	if !strings.Contains(r.f.err, "gone") {
		t.Errorf("it says %q", r.f.err)
	}
	r.do(os.Rename(dir+".away", dir))
	r.write(p, "5\n")
	want("5")
}

func TestFollowEncodings(t *testing.T) {
	r := newRig(t, true)
	text := "héllo\nwörld 😀\n"
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u), byte(u>>8))
	}
	r.write(r.f.path, string(b[:len(b)-7]))
	r.want("héllo")
	r.write(r.f.path, string(b[len(b)-7:]))
	r.want("wörld 😀")

	r = newRig(t, true)
	r.write(r.f.path, "\xef\xbb\xbfone\n")
	r.want("one")
}

func TestFollowVeryLongLine(t *testing.T) {
	r := newRig(t, true)
	r.write(r.f.path, strings.Repeat("x", 10_000_000))
	r.want()
	r.write(r.f.path, "\nnext\n")
	r.pollAll()
	if len(r.lines) != 2 || len(r.lines[0]) > scan.MaxLine+200 || !strings.Contains(r.lines[0], "10000000 bytes") || r.lines[1] != "next" {
		t.Errorf("got %d lines, the first of %d bytes", len(r.lines), len(r.lines[0]))
	}
	if len(r.f.cur.split.part) != 0 || cap(r.f.cur.split.part) > 4096 {
		t.Error("the long line's space is still held")
	}
}

func TestFollowKnowsFromTheHoleWhatAWriterThatKeepsItsPlaceLost(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	w, err := os.Create(p)
	r.do(err)
	defer func() { _ = w.Close() }()
	_, err = w.WriteString("one\n")
	r.do(err)
	r.want("one")
	// A hundred bytes are written and truncated away between two looks.
	_, err = w.WriteString(strings.Repeat("x", 99) + "\n")
	r.do(err)
	r.do(os.Truncate(p, 0))
	_, err = w.WriteString("two\n")
	r.do(err)
	r.want("two")
	if r.f.truncations != 1 || r.f.lost != 100 {
		t.Errorf("truncations %d, lost %d, want 1 and 100", r.f.truncations, r.f.lost)
	}
}

// TestABlockThatWasTruncatedWhileItWasReadIsNotPassedOn stands between the two
// readings of a block's beginning.
func TestABlockThatWasTruncatedWhileItWasReadIsNotPassedOn(t *testing.T) {
	r := newRig(t, true)
	p := r.f.path
	r.write(p, "one\n")
	r.want("one")
	h := r.f.cur
	r.write(p, "two\n")
	block := make([]byte, 64)
	n, _ := h.f.ReadAt(block, h.off-int64(len(h.mark)))
	if !h.still(block[:n]) {
		t.Error("a block that stands is said to be gone")
	}
	r.do(os.Truncate(p, 0))
	if h.still(block[:n]) {
		t.Error("a block that was truncated away is said to stand")
	}
	r.write(p, "new\nnew again\n")
	if h.still(block[:n]) {
		t.Error("a block that was written over is said to stand")
	}
	r.want("new", "new again")
	if r.f.truncations != 1 {
		t.Errorf("truncations: got %d, want 1", r.f.truncations)
	}
}
