package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Prefix is where Handler is mounted.
const Prefix = "/profile/v1/"

// Kind is one kind of profile.
type Kind struct {
	// Name is its command and the last part of its path; Short is its description.
	Name, Short string
	// Timed is set where it is taken over a period.
	Timed bool
	// Ext ends the name of a file of it; Tool is the command that reads such a file, with
	// %s for its name.
	Ext, Tool string

	handler http.Handler
	query   string // of pprof's handler
}

// kinds are all kinds, in the order of the help.
var kinds = []Kind{
	{Name: "cpu", Short: "where the CPU time goes", Timed: true, Ext: "pprof", Tool: "go tool pprof -top %s", handler: http.HandlerFunc(pprof.Profile)},
	{Name: "heap", Short: "what is in memory, and who allocated it", Ext: "pprof", Tool: "go tool pprof -top %s", handler: pprof.Handler("heap"), query: "gc=1"},
	{Name: "goroutines", Short: "what every goroutine does or waits for", Ext: "txt", Tool: "less %s", handler: pprof.Handler("goroutine"), query: "debug=2"},
	{Name: "trace", Short: "what ran when, and what it waited for", Timed: true, Ext: "trace", Tool: "go tool trace %s", handler: http.HandlerFunc(pprof.Trace)},
}

// Kinds returns all kinds, in the order of the help.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// MaxDuration bounds the period over which a profile is taken.
const MaxDuration = 10 * time.Minute

// Handler returns the handler of all kinds, for a mux that a unix socket serves.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, k := range kinds {
		mux.HandleFunc("GET "+Prefix+k.Name, func(w http.ResponseWriter, r *http.Request) {
			if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || at.Network() != "unix" {
				http.NotFound(w, r)
				return
			}
			query := k.query
			if k.Timed {
				secs, err := strconv.Atoi(r.URL.Query().Get("seconds"))
				if err != nil || secs < 1 || time.Duration(secs)*time.Second > MaxDuration {
					http.Error(w, fmt.Sprintf("seconds=1 to %.0f was expected", MaxDuration.Seconds()), http.StatusBadRequest)
					return
				}
				query = "seconds=" + strconv.Itoa(secs)
			}
			own := *r
			own.URL = &url.URL{Path: r.URL.Path, RawQuery: query}
			k.handler.ServeHTTP(w, &own)
		})
	}
	return mux
}

// Errors of Fetch. Their text says what to do.
var (
	ErrNotOwner = errors.New("only the engine's own user and root may profile it")
	ErrOlder    = errors.New("the engine is an older opsdeck that serves no profiles: restart it with this version")
)

// Fetch requests a profile from the engine at a unix socket and writes it to w. A timed
// profile covers over, rounded to whole seconds.
func Fetch(ctx context.Context, socket string, k Kind, over time.Duration, w io.Writer) error {
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "unix", socket)
	}}
	at := "http://opsdeck" + Prefix + k.Name
	if k.Timed {
		at += fmt.Sprintf("?seconds=%d", int(over.Seconds()))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EACCES):
		return ErrNotOwner
	case err != nil:
		return fmt.Errorf("ask the engine for its %s: %w", k.Name, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if _, err := io.Copy(w, resp.Body); err != nil {
			return fmt.Errorf("read the engine's %s: %w", k.Name, err)
		}
		return nil
	case http.StatusForbidden, http.StatusUnauthorized:
		return ErrNotOwner
	case http.StatusNotFound:
		return ErrOlder
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return fmt.Errorf("the engine's %s: %s: another may be running: wait until it ends", k.Name, strings.TrimSpace(string(said)))
}
