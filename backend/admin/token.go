package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/opsdeck/opsdeck/backend/state"
)

// TokenPrefix begins every token, so that scanners and masks know one.
const TokenPrefix = "opsdeck_"

const (
	// TokensFile is the tokens' file in the data folder.
	TokensFile = "api_tokens.json"
	// maxTokens and maxTokensFile bound the file, in tokens and bytes.
	maxTokens     = 1000
	maxTokensFile = 1 << 20
	// useEvery is how often the time of a token's last use is written.
	useEvery = time.Minute
	// tokensLockWait bounds the wait for another writer.
	tokensLockWait = 5 * time.Second
)

// TokenSecret is the secret argument of token.create: the token's SHA-256 in hex.
const TokenSecret = "sha256"

// Token is one token of the file. The token itself is nowhere.
type Token struct {
	Name   string   `json:"name"`
	Role   Role     `json:"role"`
	Scopes []string `json:"scopes,omitempty"`
	// Hash is the SHA-256 of the token, in hex.
	Hash    string    `json:"sha256,omitempty"`
	Created time.Time `json:"created"`
	// Expires is when it ends; zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// Used is when it was last presented, to the minute.
	Used time.Time `json:"last_used,omitzero"`
}

// Expired reports whether the token is over at now.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// NewToken makes a token and its hash. It is 256 random bits, so that nothing
// slower than SHA-256 is wanted: a slow hash makes up for guessable passwords,
// here there is nothing to guess, and one is made at every request.
func NewToken() (token, hash string) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	token = TokenPrefix + hex.EncodeToString(b[:])
	return token, hashOf(token)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Tokens is the tokens' file. It is read again whenever it was changed, also by
// hand; while it is not good, none of its tokens is valid.
type Tokens struct {
	path string
	log  *slog.Logger

	mu   sync.Mutex
	seen os.FileInfo
	list []Token
	err  error
	used map[string]time.Time // not written yet
	last time.Time            // when the uses were written
}

type tokensJSON struct {
	Version int     `json:"version"`
	Tokens  []Token `json:"tokens"`
}

// NewTokens returns the tokens in the file at path, which may not exist yet.
func NewTokens(path string, log *slog.Logger) *Tokens {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Tokens{path: path, log: log, used: map[string]time.Time{}, last: time.Now()}
}

// List returns every token without its hash, by name, and why the file is not good.
func (t *Tokens) List() ([]Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	out := slices.Clone(t.list)
	for i := range out {
		out[i].Hash = ""
		if at := t.used[out[i].Name]; at.After(out[i].Used) {
			out[i].Used = at
		}
	}
	return out, t.err
}

// check returns the token that was presented; false where it is none of the file's or
// is over. Every hash is compared, each in constant time.
func (t *Tokens) check(presented string, now time.Time) (found Token, ok bool) {
	if t == nil || !strings.HasPrefix(presented, TokenPrefix) {
		return Token{}, false
	}
	sum := []byte(hashOf(presented))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	for _, tok := range t.list {
		if subtle.ConstantTimeCompare(sum, []byte(tok.Hash)) == 1 {
			found, ok = tok, true
		}
	}
	if !ok || found.Expired(now) {
		return found, false
	}
	t.used[found.Name] = now.UTC().Truncate(time.Second)
	if now.Sub(t.last) >= useEvery {
		t.last = now
		if err := t.change(func(list []Token) ([]Token, error) { return list, nil }); err != nil {
			t.log.Warn("the last use of tokens is not written", "err", err)
		}
	}
	return found, true
}

// refresh reads the file where it was changed; t.mu is held.
func (t *Tokens) refresh() {
	fi, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		t.seen, t.list, t.err = nil, nil, nil
		return
	}
	if err == nil && t.seen != nil && os.SameFile(fi, t.seen) && fi.ModTime().Equal(t.seen.ModTime()) && fi.Size() == t.seen.Size() && fi.Mode() == t.seen.Mode() {
		return
	}
	t.seen = fi
	t.list, t.err = readTokens(t.path, fi, err)
	if t.err != nil {
		t.log.Error("no token is valid", "err", t.err)
	}
}

func readTokens(path string, fi os.FileInfo, err error) ([]Token, error) {
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	// Whoever can write the file can make himself an admin.
	if fi.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s can be written by others (%s): chmod 600 it, and look at what is in it", path, fi.Mode().Perm())
	}
	if fi.Size() > maxTokensFile {
		return nil, fmt.Errorf("%s has %d bytes: at most %d were expected", path, fi.Size(), maxTokensFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	var f tokensJSON
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%s is not JSON that can be read: fix it, or remove it and make the tokens anew", path)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("%s is of version %d: this opsdeck reads version 1", path, f.Version)
	}
	names := map[string]bool{}
	for _, tok := range f.Tokens {
		if why := tok.fault(); why != "" {
			return nil, fmt.Errorf("%s: token %q: %s", path, tok.Name, why)
		}
		if names[tok.Name] {
			return nil, fmt.Errorf("%s: there are two tokens %q", path, tok.Name)
		}
		names[tok.Name] = true
	}
	slices.SortFunc(f.Tokens, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return f.Tokens, nil
}

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	hashText  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// fault says what is wrong with a token; "" when it holds.
func (t Token) fault() string {
	switch {
	case !tokenName.MatchString(t.Name):
		return "its name must be of at most 64 letters, digits and ._@-"
	case !slices.Contains(Roles, t.Role):
		return fmt.Sprintf("its role is %q: viewer, operator or admin was expected", string(t.Role))
	case !hashText.MatchString(t.Hash):
		return "its hash is not a SHA-256 in hex"
	case len(t.Scopes) > 50:
		return "it has more than 50 scopes"
	}
	for _, s := range t.Scopes {
		if why := scopeFault(s); why != "" {
			return why
		}
	}
	return ""
}

// change writes the file anew through f, with the uses not written yet, in one step
// that survives a kill; t.mu is held. The lock is for another process that does so.
func (t *Tokens) change(f func([]Token) ([]Token, error)) error {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	lock := flock.New(t.path+".lock", flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), tokensLockWait)
	defer cancel()
	if ok, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil || !ok {
		return fmt.Errorf("write the tokens: another process holds %s.lock: %w", t.path, err)
	}
	defer func() { _ = lock.Unlock() }()
	t.refresh()
	if t.err != nil {
		return t.err
	}
	list, err := f(slices.Clone(t.list))
	if err != nil {
		return err
	}
	for i := range list {
		if at := t.used[list[i].Name]; at.After(list[i].Used) {
			list[i].Used = at
		}
	}
	b, err := json.MarshalIndent(tokensJSON{Version: 1, Tokens: list}, "", "  ")
	if err != nil {
		return err
	}
	if err := replaceFile(t.path, append(b, '\n')); err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	clear(t.used)
	t.seen = nil // whoever replaced it after us counts too
	t.refresh()
	return t.err
}

// replaceFile puts text in the place of a file that only its owner reads.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Kinds implements state.Executor.
func (t *Tokens) Kinds() []state.Kind { return []state.Kind{state.TokenCreate, state.TokenRevoke} }

// Execute implements state.Executor. token.create takes Args role, scopes (separated
// by spaces or commas) and expires (RFC 3339; "" for never), and Secrets
// [TokenSecret]: who asks makes the token and keeps it, so that it passes nobody.
func (t *Tokens) Execute(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch a.Kind {
	case state.TokenCreate:
		return t.create(a)
	case state.TokenRevoke:
		err := t.change(func(list []Token) ([]Token, error) {
			n := len(list)
			list = slices.DeleteFunc(list, func(tok Token) bool { return tok.Name == a.Target })
			if len(list) == n {
				return nil, fmt.Errorf("there is no token %q: opsdeck tokens list names them", a.Target)
			}
			return list, nil
		})
		if err != nil {
			return state.Outcome{}, fmt.Errorf("revoke token %s: %w", a.Target, err)
		}
		return state.Outcome{Result: "revoked token " + a.Target + ": it is refused from now on"}, nil
	}
	return state.Outcome{}, fmt.Errorf("tokens: there is no action %q here", string(a.Kind))
}

func (t *Tokens) create(a state.Action) (state.Outcome, error) {
	fail := func(format string, args ...any) (state.Outcome, error) {
		return state.Outcome{}, fmt.Errorf("create token %s: "+format, append([]any{a.Target}, args...)...)
	}
	now := time.Now().UTC().Truncate(time.Second)
	tok := Token{Name: a.Target, Role: Role(a.Args["role"]), Scopes: splitScopes(a.Args["scopes"]), Created: now, Hash: a.Secrets[TokenSecret].Reveal()}
	if e := a.Args["expires"]; e != "" {
		at, err := time.Parse(time.RFC3339, e)
		if err != nil {
			return fail("expires is %q: a time such as %s was expected", e, now.Add(720*time.Hour).Format(time.RFC3339))
		}
		if tok.Expires = at.UTC(); tok.Expired(now) {
			return fail("it would be over already: it expires %s", e)
		}
	}
	if why := tok.fault(); why != "" {
		return fail("%s", why)
	}
	err := t.change(func(list []Token) ([]Token, error) {
		if slices.ContainsFunc(list, func(o Token) bool { return o.Name == tok.Name }) {
			return nil, errors.New("there is one of that name: revoke it first, or take another name")
		}
		if len(list) >= maxTokens {
			return nil, fmt.Errorf("there are %d tokens already: revoke some", len(list))
		}
		return append(list, tok), nil
	})
	if err != nil {
		return fail("%w", err)
	}
	result := fmt.Sprintf("token %s, role %s", tok.Name, tok.Role)
	if len(tok.Scopes) > 0 {
		result += ", for " + strings.Join(tok.Scopes, ", ") + " alone"
	}
	if !tok.Expires.IsZero() {
		result += ", until " + tok.Expires.Format(time.RFC3339)
	}
	return state.Outcome{Result: result}, nil
}

func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

var _ state.Executor = (*Tokens)(nil)
