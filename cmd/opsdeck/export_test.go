package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

func TestAnExportIsWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.log")
	text := func(w io.Writer) error { _, err := io.WriteString(w, "line\n"); return err }
	path, err := writeOut(name, text)
	if err != nil || path != name {
		t.Fatalf("%q, %v", path, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 || fi.Size() != 5 {
		t.Errorf("%+v, %v", fi, err)
	}
	if _, err := writeOut(name, text); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over another file: %v", err)
	}
	broken := filepath.Join(dir, "b.log")
	_, err = writeOut(broken, func(w io.Writer) error { _ = text(w); return syscall.EIO })
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("a broken disk: %v", err)
	}
	if _, err := os.Stat(broken); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
}

func TestAnExportToAFullDiskSaysSoAndLeavesNothing(t *testing.T) {
	dir := sourcetest.SmallDisk(t)
	name := filepath.Join(dir, "a.log")
	_, err := writeOut(name, func(w io.Writer) error {
		for range 20_000 {
			if _, err := io.WriteString(w, strings.Repeat("x", 99)+"\n"); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space there, or name another place; the part that was written is removed") {
		t.Errorf("got %v", err)
	}
	if ents, err := os.ReadDir(dir); err != nil || len(ents) > 0 {
		t.Errorf("left over: %v, %v", ents, err)
	}
}
