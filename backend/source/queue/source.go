package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/opsdeck/opsdeck/backend/state"
)

// DefaultURL is where Redis is looked for when nothing is configured.
const DefaultURL = "redis://127.0.0.1:6379/0"

// Timings and bounds.
const (
	callTimeout = 3 * time.Second
	// historyLen is how many sweeps are remembered: a minute's.
	historyLen = 60
	// rateOver is how many sweeps a rate is taken over.
	rateOver = 5
	// queueMax bounds the queues that are discovered.
	queueMax = 500
	// forgetAfter is how long a discovered queue that is gone is shown as empty.
	forgetAfter = 10 * time.Minute
)

// patterns are counted where no keys are configured.
var patterns = []string{"task:in-progress:*", "worker:*"}

// Config selects the server and the keys.
type Config struct {
	// URL is "redis://[user:password@]host:port/db", rediss for TLS, or
	// "unix:///path?db=0"; empty is [DefaultURL].
	URL string
	// Keys are queues by name, and globs whose keys are counted. Empty discovers
	// lists, streams and sorted sets, and counts task:in-progress:* and worker:*.
	Keys []string
	// Interval is the time between sweeps; 0 is one second.
	Interval time.Duration
	// Mask hides known secrets in text; nil hides none.
	Mask func(string) string
}

// Source is the queues source. Its methods may be called from any goroutine.
type Source struct {
	cfg       Config
	interests atomic.Pointer[state.Interests]
	wake      chan struct{}
	seen      atomic.Bool

	mu  sync.Mutex
	rdb *redis.Client // of the present run, or nil
}

// quiet keeps the library from writing to standard error, which is the user's
// screen: what it would say comes back as an error as well.
var quiet = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

// Printf implements the library's logger.
func (discard) Printf(context.Context, string, ...any) {}

// New makes a source. It does not connect.
func New(cfg Config) *Source {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.Mask == nil {
		cfg.Mask = func(s string) string { return s }
	}
	quiet()
	return &Source{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Name implements state.Source.
func (s *Source) Name() string { return "redis" }

// Sections implements state.Source.
func (s *Source) Sections() []state.SectionName { return []state.SectionName{state.SectionQueues} }

// Interest implements state.Interested: the first items are read of these.
func (s *Source) Interest(in state.Interests) {
	s.interests.Store(&in)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// options reads the URL.
func (s *Source) options() (*redis.Options, string, error) {
	raw := s.cfg.URL
	if raw == "" {
		raw = DefaultURL
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse quotes the URL, password and all.
		return nil, "", errors.New("redis: the URL cannot be read: write it as redis://user:password@host:6379/0, with special characters of the password percent-encoded")
	}
	shown := state.Clean((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
	opt, err := redis.ParseURL(raw)
	if err != nil {
		return nil, shown, fmt.Errorf("redis: %s: %s: write it as redis://user:password@host:6379/0", shown, state.Clean(strings.ReplaceAll(err.Error(), raw, shown)))
	}
	opt.ClientName = "opsdeck"
	opt.DisableIdentity = true
	opt.Protocol = 2
	opt.MaxRetries = -1
	opt.PoolSize = 4
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = callTimeout, callTimeout, callTimeout
	opt.ContextTimeoutEnabled = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opt, shown, nil
}

// server returns the client of the present run, or an error where there is none.
func (s *Source) server() (*redis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rdb == nil {
		return nil, errors.New("redis: the server does not answer: see the queues pane for the reason")
	}
	return s.rdb, nil
}

func (s *Source) setServer(c *redis.Client) {
	s.mu.Lock()
	s.rdb = c
	s.mu.Unlock()
}

// Run implements state.Source.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	opt, shown, err := s.options()
	if err != nil {
		return err
	}
	rdb := redis.NewClient(opt)
	defer func() { _ = rdb.Close() }()
	info, err := rdb.Info(ctx, "server").Result()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.explain(shown, err)
	}
	s.seen.Store(true)
	s.setServer(rdb)
	defer s.setServer(nil)

	r := &run{s: s, rdb: rdb, byKey: map[string]*track{}}
	r.section = state.Queues{Server: shown, Version: infoField(info, "redis_version")}
	r.plan()
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for {
		err := r.scan(ctx)
		if err == nil {
			err = r.sample(ctx)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.explain(shown, err)
		}
		put(r.publish())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-s.wake:
			if err := r.peek(ctx); err != nil && ctx.Err() == nil {
				return s.explain(shown, err)
			}
			put(r.publish())
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	}
}

// infoField returns a field of INFO's answer.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return state.Clean(v)
		}
	}
	return ""
}

// explain turns a failure into what was tried, what happened and what to do.
func (s *Source) explain(shown string, err error) error {
	msg := state.Clean(err.Error())
	var op *net.OpError
	switch {
	case s.cfg.URL == "" && !s.seen.Load() && (errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && op.Op == "dial"):
		return state.Absence(fmt.Errorf("redis: %s: nothing answers there: start Redis, or set redis.url in opsdeck.yaml", shown))
	case strings.HasPrefix(msg, "NOAUTH"), strings.HasPrefix(msg, "WRONGPASS"), strings.Contains(msg, "invalid password"), strings.Contains(msg, "AUTH failed"):
		return fmt.Errorf("redis: %s: it refuses the password, or requires one: set redis.url in opsdeck.yaml to redis://user:password@host:6379/0", shown)
	case strings.HasPrefix(msg, "NOPERM"):
		return fmt.Errorf("redis: %s: %s: give this user +info +scan +type +llen +xlen +xinfo +zcard and read access (ACL SETUSER)", shown, msg)
	case strings.HasPrefix(msg, "LOADING"):
		return fmt.Errorf("redis: %s: it is loading its data: it will answer by itself", shown)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("redis: %s: connection refused: start Redis there, or fix redis.url in opsdeck.yaml", shown)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op) && op.Timeout():
		return fmt.Errorf("redis: %s: no answer within %s: it may be frozen or overloaded: see redis-cli --latency", shown, callTimeout)
	}
	return fmt.Errorf("redis: %s: %s: opsdeck keeps trying", shown, msg)
}
