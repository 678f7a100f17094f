package logcmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// logsFlags are the flags of opsdeck logs.
type logsFlags struct {
	follow, all, raw, invert, count, patterns bool
	noColor                                   bool
	since, until, newSince                    string
	grep, regexp, where, level, top           string
	lines, limit, before, after, around       int
}

const logsLong = `Prints records of logs, merged by time, and with -f follows them. What is a record
to its writer, such as a line and the stack trace under it, stays together.

A SOURCE is a file (gzip, zstd and bzip2 are unpacked), a glob, - for standard
input, a container's name (or container:NAME), journal or journal:UNIT, or
ssh://[user@]host/path. Without one, the workspace's log files on this host are
read.

  opsdeck logs -f --level warn                  the workspace's logs, warnings and worse
  opsdeck logs --grep timeout -C 3 app.log      with three records around each
  opsdeck logs --where 'status>=500 path~^/api duration>1s' --since 1h access.log
  opsdeck logs --patterns --since 10m api db    which kinds of lines, how many of each
  opsdeck logs -f --patterns                    the same as they come, until ctrl-c
  opsdeck logs --new-since 03:10 'logs/*.log'   kinds never seen before 03:10
  opsdeck logs --top ip --where status=401 access.log
  kubectl logs web | opsdeck logs --level error -

A filter (--where) is made of words, "quoted text", /regular expressions/, and
fields of JSON, key=value and access logs compared by = != < <= > >= ~ !~ with
values such as 500, 1.5s, 10MB; joined by and, or, not and parentheses. @name is a
filter with a name: opsdeck filters list has those that opsdeck and the workspace bring.

Exit codes: 0 something was found, 1 nothing was or reading failed, 2 wrong usage.`

// Program holds the functions of the surrounding program that the command uses.
type Program struct {
	// Load returns the workspace that the command line means; Named reports whether a flag
	// names one.
	Load  func() (*config.Workspace, error)
	Named func() bool
	// JSON reports whether answers are wanted in JSON.
	JSON func() bool
	// PrintJSON and Table write an answer in the form of every other command's.
	PrintJSON func(w io.Writer, v any) error
	Table     func(w io.Writer, titles string, rows [][]string) error
}

// New returns opsdeck logs without its subcommands.
func New(program Program) *cobra.Command {
	var fl logsFlags
	cmd := &cobra.Command{
		Use:   "logs [-f] [SOURCE...]",
		Short: "print, search, follow and rotate logs",
		Long:  logsLong,
		RunE:  func(cmd *cobra.Command, args []string) error { return run(cmd, program, &fl, args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&fl.follow, "follow", "f", false, "wait for more")
	f.StringVar(&fl.since, "since", "", "only from this `TIME` on: 10m (ago), 14:05, 2026-11-22, 2026-11-22T05:22:04Z")
	f.StringVar(&fl.until, "until", "", "only before this `TIME`")
	f.StringVar(&fl.grep, "grep", "", "only records with this `TEXT`; case counts where it has a capital")
	f.StringVarP(&fl.regexp, "regexp", "e", "", "only records with a line that this `EXPRESSION` matches")
	f.BoolVarP(&fl.invert, "invert", "v", false, "only records without it")
	f.StringVar(&fl.where, "where", "", "only records that pass this `FILTER`, as in 'status>=500 path~^/api'")
	f.StringVar(&fl.level, "level", "", "only records of this `LEVEL` and above")
	f.IntVarP(&fl.lines, "lines", "n", -1, "only the last `N` records of each source (default: all; 10 with -f)")
	f.IntVarP(&fl.after, "after", "A", 0, "also `N` records after each")
	f.IntVarP(&fl.before, "before", "B", 0, "also `N` records before each")
	f.IntVarP(&fl.around, "context", "C", 0, "also `N` records around each")
	f.BoolVarP(&fl.count, "count", "c", false, "print only how many there are")
	f.BoolVar(&fl.patterns, "patterns", false, "print the kinds of lines by how many there are; with -f as they come")
	f.StringVar(&fl.newSince, "new-since", "", "with --patterns, only kinds never seen before this `TIME`")
	f.StringVar(&fl.top, "top", "", "print the values of this `FIELD` by how many there are")
	f.IntVar(&fl.limit, "limit", 20, "the first `N` rows of --patterns and --top; 0 for all")
	f.BoolVar(&fl.all, "all", false, "read the rotated files too")
	f.BoolVar(&fl.noColor, "no-color", false, "no colours on a terminal, as NO_COLOR in the environment does")
	f.BoolVar(&fl.raw, "raw", false, "print control sequences as they are; not to a terminal")
	return cmd
}

// query returns what the flags ask for. It fails with usage errors.
func (fl *logsFlags) query(names record.Names, now time.Time) (q scan.Query, newSince int64, err error) {
	if fl.level != "" {
		if q.Least = state.ParseLevel(fl.level); q.Least == state.LevelUnknown {
			return q, 0, usage("--level %q: expected trace, debug, info, warn, error or fatal", fl.level)
		}
	}
	switch {
	case fl.grep != "" && fl.regexp != "":
		return q, 0, usage("--grep and --regexp cannot be had together: --where '%q /%s/' looks for both", fl.grep, fl.regexp)
	case fl.grep != "":
		q.Text = record.Literal(fl.grep)
	case fl.regexp != "":
		if q.Text, err = record.Regexp(fl.regexp); err != nil {
			return q, 0, usage("--regexp: %v", err)
		}
	case fl.invert:
		return q, 0, usage("--invert needs --grep or --regexp; in a filter, write not")
	}
	q.Invert = fl.invert
	if fl.where != "" {
		if q.Where, err = record.CompileWith(fl.where, names); err != nil {
			return q, 0, usage("--where: %v", err)
		}
	}
	for _, t := range []struct {
		flag, text string
		to         *int64
	}{{"since", fl.since, &q.Since}, {"until", fl.until, &q.Until}, {"new-since", fl.newSince, &newSince}} {
		if t.text == "" {
			continue
		}
		at, err := parseTime(t.text, now)
		if err != nil {
			return q, 0, usage("--%s: %v", t.flag, err)
		}
		*t.to = at.UnixNano()
	}
	if q.Since != 0 && q.Until != 0 && q.Since >= q.Until {
		return q, 0, usage("--since %s is not before --until %s: nothing lies between", fl.since, fl.until)
	}
	if fl.newSince != "" {
		fl.patterns = true
	}
	if fl.around < 0 || fl.before < 0 || fl.after < 0 {
		return q, 0, usage("-A, -B and -C take a number of records, 0 or more")
	}
	q.Before, q.After = max(fl.before, fl.around), max(fl.after, fl.around)
	answers := 0
	for _, on := range []bool{fl.count, fl.patterns, fl.top != ""} {
		if on {
			answers++
		}
	}
	switch {
	case answers > 1:
		return q, 0, usage("--count, --patterns and --top each print something else: ask for one of them")
	case answers == 1 && fl.follow && !fl.patterns:
		return q, 0, usage("--count and --top are known at the end, which -f never reaches: leave one away")
	case answers == 1:
		q.Before, q.After = 0, 0
	}
	return q, newSince, nil
}

// timeLayouts are the forms of a time that are read, in this host's zone where they
// have none.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

// parseTime reads a time, or a duration before now.
func parseTime(text string, now time.Time) (time.Time, error) {
	if d, err := state.ParseDuration(strings.TrimPrefix(text, "-")); err == nil {
		return now.Add(-d), nil
	}
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return midnight.AddDate(0, 0, -1), nil
	}
	for _, layout := range timeLayouts {
		if at, err := time.ParseInLocation(layout, strings.Replace(text, ",", ".", 1), now.Location()); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			at = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, now.Location())
			if at.After(now) { // at night the last evening is meant
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: expected one such as 10m (ago), 14:05, 2026-11-22, 2026-11-22T14:05:00Z or yesterday", text)
}

// run carries the command out.
func run(cmd *cobra.Command, program Program, fl *logsFlags, args []string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100) // nothing that is read stays: the start's generosity would only cost memory
	}
	now := time.Now()
	ws, err := program.Load()
	if err != nil {
		if len(args) == 0 || program.Named() {
			return err
		}
		// A broken workspace file is no reason not to show a log.
		fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck: credentials are not masked:", err)
		ws = nil
	}
	names := record.BuiltinFilters()
	if ws != nil {
		names = ws.Names()
	}
	q, newSince, err := fl.query(names, now)
	if err != nil {
		return err
	}
	toTerminal := isTerminal(cmd.OutOrStdout())
	if fl.raw && toTerminal {
		return usage("--raw would let what the log holds drive this terminal: send it into a file or a pipe")
	}
	p := &logPrinter{
		errOut: cmd.ErrOrStderr(), out: cmd.OutOrStdout(), program: program, json: program.JSON(), raw: fl.raw, mask: maskOf(cmd, ws).Mask,
		q: q, lines: fl.lines, workers: max(2, runtime.GOMAXPROCS(0)),
	}
	if p.color = toTerminal && !program.JSON() && wantsColor(fl.noColor); p.color && !fl.count {
		p.q.Parse, p.find = true, marks(q)
	}
	if fl.follow && p.lines < 0 && q.Since == 0 {
		p.lines = 10
	}
	r := &sourceResolver{ws: ws, in: cmd.InOrStdin(), fl: fl, since: q.Since, until: q.Until, now: now, query: q, workers: p.workers}
	inputs, err := r.resolve(cmd.Context(), args)
	if err != nil {
		return err
	}
	switch {
	case fl.count:
		err = p.count(cmd.Context(), inputs)
	case fl.patterns && fl.follow:
		var size func() (int, int)
		if f, ok := cmd.OutOrStdout().(*os.File); ok && toTerminal && !program.JSON() {
			size = func() (int, int) {
				w, h, err := term.GetSize(int(f.Fd()))
				if err != nil {
					return 80, 24
				}
				return w, h
			}
		}
		err = p.livePatterns(cmd.Context(), inputs, r.appearing(), newSince, fl.limit, size)
	case fl.patterns:
		err = p.patterns(cmd.Context(), inputs, newSince, fl.limit)
	case fl.top != "":
		err = p.top(cmd.Context(), inputs, fl.top, fl.limit)
	case fl.follow:
		err = p.follow(cmd.Context(), inputs, r.appearing())
	default:
		err = p.print(cmd.Context(), inputs)
	}
	switch {
	case cmd.Context().Err() != nil && fl.follow:
		return nil
	case cmd.Context().Err() != nil:
		return ExitError{Code: exitInterrupted}
	case err != nil:
		var ee ExitError
		if errors.As(err, &ee) {
			return err
		}
		return ExitError{exitFailed, err}
	case p.matched == 0 && q.Selects():
		return ExitError{Code: exitFailed}
	}
	return nil
}

// maskOf knows the workspace's secrets.
func maskOf(cmd *cobra.Command, ws *config.Workspace) *secrets.Mask {
	mask := &secrets.Mask{}
	if ws == nil {
		return mask
	}
	mask.Add(ws.Getenv("OPSDECK_TOKEN"))
	if _, err := ws.Key(); err == nil {
		if err := secrets.LoadKnownSecrets(filepath.Join(ws.Data, "module_credentials.db"), ws.Key, mask); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck: credentials are not masked:", err)
		}
	}
	return mask
}
