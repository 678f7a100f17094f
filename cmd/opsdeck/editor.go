package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	tea "charm.land/bubbletea/v2"
)

// largestEdit bounds what is read back from an editor, in bytes.
const largestEdit = 1 << 20

// openEditor prepares the user's editor ($VISUAL, $EDITOR, else the first of nano, vim
// and vi) on a private copy of text, at a line of it where line is above 0. read gives
// the text as it was left, and removes the copy.
func openEditor(name, text string, line int) (cmd tea.ExecCommand, read func() (string, error), err error) {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"))
	for _, e := range []string{"nano", "vim", "vi"} {
		if editor == "" {
			if _, err := exec.LookPath(e); err == nil {
				editor = e
			}
		}
	}
	if editor == "" {
		return nil, nil, errors.New("there is no editor: set EDITOR")
	}
	dir, err := os.MkdirTemp("", "opsdeck-edit-") // for this user alone
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	// The variable may hold arguments, so that the shell takes it apart.
	args := []string{"-c", editor + ` "$@"`, "editor"}
	if line > 0 {
		args = append(args, fmt.Sprintf("+%d", line)) // as vi, nano, emacs and joe have it
	}
	return &editorCommand{exec.Command("/bin/sh", append(args, path)...)}, func() (string, error) {
		defer os.RemoveAll(dir)
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, largestEdit+1))
		if err == nil && len(b) > largestEdit {
			err = fmt.Errorf("it has more than %d bytes", largestEdit)
		}
		return string(b), err
	}, nil
}

// editorCommand is an editor in place of the console for a while.
type editorCommand struct{ *exec.Cmd }

// SetStdin implements tea.ExecCommand.
func (c *editorCommand) SetStdin(r io.Reader) { c.Stdin = r }

// SetStdout implements tea.ExecCommand.
func (c *editorCommand) SetStdout(w io.Writer) { c.Stdout = w }

// SetStderr implements tea.ExecCommand.
func (c *editorCommand) SetStderr(w io.Writer) { c.Stderr = w }
