package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// writeOut writes a new file that only its user can read, and says where it is. One
// that is there already is left alone, and of one that cannot be written to its end,
// as on a full disk, nothing is left.
func writeOut(name string, write func(io.Writer) error) (string, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("%s is there already: choose another name", path)
	}
	if err != nil {
		return "", err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		return path, nil
	}
	if gone := os.Remove(path); gone != nil {
		return "", fmt.Errorf("%w; a part of it is there still: %w", err, gone)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: free some space there, or name another place; the part that was written is removed", err)
	}
	return "", err
}
