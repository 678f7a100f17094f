package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
	full := filepath.Join(dir, "b.log")
	_, err = writeOut(full, func(w io.Writer) error { _ = text(w); return syscall.ENOSPC })
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := os.Stat(full); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
}
