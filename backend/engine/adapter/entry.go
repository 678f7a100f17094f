package adapter

import (
	"fmt"
	"os"
	"path/filepath"
)

// EntryPoint returns the name of an entry point, which must really lie in its folder.
func EntryPoint(dir, name string) (string, error) {
	home, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("its folder cannot be read: %w", err)
	}
	file, err := filepath.EvalSymlinks(filepath.Join(home, name))
	if err != nil {
		return "", fmt.Errorf("its entry point %s cannot be read: %w", name, err)
	}
	if rel, err := filepath.Rel(home, file); err != nil || !filepath.IsLocal(rel) || rel == "." {
		return "", fmt.Errorf("its entry point %s leads out of its folder, to %s: a file in the folder was expected", name, file)
	}
	if fi, err := os.Stat(file); err != nil || !fi.Mode().IsRegular() {
		return "", fmt.Errorf("its entry point %s is no regular file", name)
	}
	return name, nil
}
