package disk

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAReplacedFileKeepsItsLinkAndItsPermissions(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "real", "f"), filepath.Join(dir, "link")
	if err := WriteFile(file, []byte("a")); err != nil { // its folder is made
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	before, err := StampOf(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("b")); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", fi.Mode(), err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "b" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", fi.Mode(), err)
	}
	if after, err := StampOf(link); err != nil || after == before {
		t.Errorf("the change shows in no stamp: %+v, %v", after, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "real", ".*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestTimesAreReadAsTheyAreWritten(t *testing.T) {
	at := time.Date(2026, 2, 11, 12, 0, 0, 123456000, time.FixedZone("", 3600))
	if got := FormatTime(at); got != "2026-02-11T11:00:00.123456" {
		t.Errorf("got %s", got)
	}
	for text, want := range map[string]time.Time{
		FormatTime(at): at, "2026-02-11 11:00:00": at.Truncate(time.Second), "2026-02-11T12:00:00+01:00": at.Truncate(time.Second), "": {}, "soon": {},
	} {
		if got := ParseTime(text); !got.Equal(want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
