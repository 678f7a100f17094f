package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend/state"
)

// readKey reads one master key from a file or standard input, as a secret of that name.
func readKey(cmd *cobra.Command, from, name string) (map[string]state.Secret, error) {
	var r io.Reader = cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("read the key: %w", err)}
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, 16<<10))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return map[string]state.Secret{name: state.Secret(strings.TrimSpace(string(b)))}, nil
}

// readSecrets reads values from a file, standard input or the terminal: never
// from arguments, which every user of the host can read.
func readSecrets(cmd *cobra.Command, from string, fields []state.Field) (map[string]state.Secret, error) {
	out := map[string]state.Secret{}
	if from == "" {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, usage("the values are needed: --from FILE, or --from - for standard input, as a JSON object")
		}
		for _, f := range fields {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", f.Label)
			b, err := term.ReadPassword(int(os.Stdin.Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", f.Label, err)
			}
			if len(b) == 0 {
				return nil, exitError{exitRefused, fmt.Errorf("%s is empty: nothing was changed", f.Label)}
			}
			out[f.Key] = state.Secret(b)
		}
		return out, nil
	}
	var r io.Reader = cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("read the credentials: %w", err)}
		}
		defer f.Close()
		r = f
	}
	var values map[string]any
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&values); err != nil {
		return nil, usage("the credentials are not a JSON object such as {\"api_key\": \"...\"}") // err might quote one
	}
	if len(values) == 0 {
		return nil, usage("the credentials hold no values")
	}
	b, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	out["@json"] = state.Secret(b) // the whole object, in place of what is stored
	return out, nil
}
