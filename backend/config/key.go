package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The variables that hold the master key of the credential store, and old ones
// that only decrypt.
const (
	keyVariable = "MODULE_ENCRYPTION_KEY"
	oldVariable = "MODULE_ENCRYPTION_KEY_OLD"
)

// MasterKey is the master key of the credential store, and where it came from.
type MasterKey struct {
	// Text is the key, and after it, separated by white space, old keys.
	Text string
	// From is "the environment", "the systemd credential NAME", or a file's path.
	From string
	// File is that file, "" where the key comes from none that may be written. Env
	// says that it is one of NAME=value lines.
	File string
	Env  bool
}

// MasterKey returns MODULE_ENCRYPTION_KEY, read again at each call: in the environment,
// in the file of MODULE_ENCRYPTION_KEY_FILE or credentials.key_file, among systemd's
// credentials, in .env. Old keys in MODULE_ENCRYPTION_KEY_OLD are added. The error
// names the places that were searched.
func (w *Workspace) MasterKey() (MasterKey, error) {
	env := filepath.Join(w.Dir, ".env")
	dot := readDotEnv(env)
	old := cmp.Or(os.Getenv(oldVariable), dot[oldVariable])
	with := func(k MasterKey) (MasterKey, error) {
		k.Text = strings.TrimSpace(k.Text + " " + old)
		return k, nil
	}
	if v := os.Getenv(keyVariable); v != "" {
		return with(MasterKey{Text: v, From: "the environment"})
	}
	file := cmp.Or(os.Getenv(keyVariable+"_FILE"), w.Credentials.KeyFile, dot[keyVariable+"_FILE"])
	if file != "" && !filepath.IsAbs(file) {
		file = filepath.Join(w.Dir, file)
	}
	if file != "" {
		text, err := readKey(file)
		if err != nil {
			return MasterKey{}, fmt.Errorf("%s cannot be read from its file: %w", keyVariable, err)
		}
		return with(MasterKey{Text: text, From: file, File: file})
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		text, err := readKey(filepath.Join(dir, keyVariable))
		if err == nil {
			return with(MasterKey{Text: text, From: "the systemd credential " + keyVariable})
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return MasterKey{}, fmt.Errorf("%s cannot be read from systemd's credentials: %w", keyVariable, err)
		}
	}
	if v := dot[keyVariable]; v != "" {
		return with(MasterKey{Text: v, From: env, File: env, Env: true})
	}
	return MasterKey{}, fmt.Errorf("%s is not set: put it in the environment, in %s, or in a file that credentials.key_file names", keyVariable, env)
}

// maxKeyFile bounds a key file, in bytes: a key has 44.
const maxKeyFile = 16 << 10

func readKey(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxKeyFile {
		return "", fmt.Errorf("%s: a regular file of at most %d bytes was expected", path, maxKeyFile)
	}
	b, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = fmt.Errorf("%s is empty", path)
	}
	return strings.TrimSpace(string(b)), err
}

// Key returns the text of MasterKey.
func (w *Workspace) Key() (string, error) {
	k, err := w.MasterKey()
	return k.Text, err
}

// KeyFile returns the file that the master key came from, and its content with these
// keys in place of its own. The error says why the file cannot be written, and what
// to do by hand.
func (w *Workspace) KeyFile(keys []string) (path string, text []byte, err error) {
	k, err := w.MasterKey()
	if err != nil {
		return "", nil, err
	}
	if k.File == "" {
		return "", nil, fmt.Errorf("the key comes from %s, which opsdeck cannot change: put the new key there, the present one into %s beside it, start again, and change the key then", k.From, oldVariable)
	}
	if os.Getenv(oldVariable) != "" {
		return "", nil, fmt.Errorf("old keys come from %s in the environment, which opsdeck cannot change: move them into %s", oldVariable, k.File)
	}
	if !k.Env {
		return k.File, []byte(strings.Join(keys, "\n") + "\n"), nil
	}
	b, err := os.ReadFile(k.File)
	if err != nil {
		return "", nil, err
	}
	lines := setLine(strings.SplitAfter(string(b), "\n"), keyVariable, keys[0], "")
	lines = setLine(lines, oldVariable, strings.Join(keys[1:], ","), keyVariable)
	return k.File, []byte(strings.Join(lines, "")), nil
}

// setLine replaces the last line that sets the name, which is the one in force, with
// NAME=value; if there is none, it adds the line after that of behind. An empty value
// removes the lines. Everything else stays as it is.
func setLine(lines []string, name, value, behind string) []string {
	assigns := func(line, name string) bool {
		n, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		return ok && strings.TrimSpace(n) == name
	}
	out := make([]string, 0, len(lines)+1)
	at := -1
	for i, l := range lines {
		if assigns(l, name) {
			at = i
		}
	}
	for i, l := range lines {
		switch {
		case i == at && value != "":
			prefix := ""
			if strings.HasPrefix(strings.TrimSpace(l), "export ") {
				prefix = "export "
			}
			out = append(out, prefix+name+"="+value+"\n")
		case assigns(l, name): // one that is not in force, or that goes
		default:
			out = append(out, l)
			if at < 0 && value != "" && behind != "" && assigns(l, behind) {
				if !strings.HasSuffix(l, "\n") {
					out[len(out)-1] += "\n"
				}
				out = append(out, name+"="+value+"\n")
				value = ""
			}
		}
	}
	return out
}
