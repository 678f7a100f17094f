package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
)

// newTokensCreate makes the token here: the engine gets its hash alone.
func newTokensCreate(g *globals) *cobra.Command {
	var role, expires string
	var scopes []string
	cmd := &cobra.Command{Use: "create NAME", Short: "make a token and print it, this once", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&role, "role", string(admin.Viewer), "`ROLE` viewer (reads), operator (acts), admin (also makes tokens)")
	cmd.Flags().StringArrayVar(&scopes, "scope", nil, "only `SCOPE`: an action or pattern (container.restart, module.*), or a path and what is below; may be repeated")
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a `DURATION` such as 30d, or a time; default: never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		token, hash := admin.NewToken()
		a, err := admin.TokenAction(args[0], admin.Role(role), scopes, expires, hash)
		if err != nil {
			return exitError{exitUsage, err}
		}
		a.Confirmed = a.Target
		s, err := g.connect(cmd)
		if err != nil {
			return err
		}
		defer s.Stop()
		p, err := backend.Do(cmd.Context(), s, a, false, nil)
		if err != nil {
			return err
		}
		if p.Status != "done" {
			return exitError{exitFailed, fmt.Errorf("%s", p.Err)}
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": a.Target, "role": a.Args["role"], "token": token, "message": p.Result})
		}
		fmt.Fprintln(cmd.ErrOrStderr(), p.Result+"; it is shown this once:")
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	}
	return cmd
}

func newTokensList(g *globals) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "list tokens, without their values", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ws, err := g.load()
		if err != nil {
			return err
		}
		list, err := admin.NewTokens(filepath.Join(ws.Data, admin.TokensFile), nil).List()
		if err != nil {
			return err
		}
		if g.json {
			if list == nil {
				list = []admin.Token{}
			}
			return printJSON(cmd.OutOrStdout(), list)
		}
		var rows [][]string
		when := func(t time.Time) string {
			if t.IsZero() {
				return "never"
			}
			return t.Local().Format(time.DateTime)
		}
		for _, t := range list {
			end := when(t.Expires)
			if t.Expired(time.Now()) {
				end += " (over)"
			}
			rows = append(rows, []string{t.Name, string(t.Role), strings.Join(t.Scopes, ","), when(t.Created), end, when(t.Used)})
		}
		return table(cmd.OutOrStdout(), "NAME ROLE SCOPES CREATED EXPIRES USED", rows)
	}}
}
