package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func (s *Server) whoami(w http.ResponseWriter, r *http.Request) {
	p, _ := PrincipalFrom(r.Context())
	scopes := p.Scopes
	if scopes == nil {
		scopes = []string{}
	}
	s.reply(w, http.StatusOK, map[string]any{"name": p.Name, "role": p.Role, "scopes": scopes, "how": p.How})
}

func (s *Server) tokens(w http.ResponseWriter, _ *http.Request) {
	out := []any{}
	if ts := s.cfg.Authenticator.Tokens(); ts != nil {
		list, err := ts.List()
		if err != nil {
			s.fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		for _, t := range list {
			out = append(out, struct {
				Token
				Expired bool `json:"expired"`
			}{t, t.Expired(time.Now())})
		}
	}
	s.reply(w, http.StatusOK, map[string]any{"tokens": out})
}

// Expiry returns when a token ends that is made now: "" is never, "30d" or "12h" from now,
// or a time of RFC 3339.
func Expiry(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "never" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	d, err := state.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, fmt.Errorf("%q: a duration such as 30d or 12h, a time such as 2027-01-31T00:00:00Z, or never was expected", text)
	}
	return now.Add(d), nil
}

// TokenAction returns the action that records a token with that hash; expires is as in
// [Expiry], role viewer where it is "".
func TokenAction(name string, role Role, scopes []string, expires, hash string) (state.Action, error) {
	at, err := Expiry(expires, time.Now())
	if err != nil {
		return state.Action{}, fmt.Errorf("expires %w", err)
	}
	if role == "" {
		role = Viewer
	}
	a := state.Action{Kind: state.TokenCreate, Target: name, Args: map[string]string{"role": string(role)}, Secrets: map[string]state.Secret{TokenSecret: state.Secret(hash)}}
	if len(scopes) > 0 {
		a.Args["scopes"] = strings.Join(scopes, " ")
	}
	if !at.IsZero() {
		a.Args["expires"] = at.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	tok := Token{Name: name, Role: role, Scopes: splitScopes(a.Args["scopes"]), Hash: hash}
	if why := tok.fault(); why != "" {
		return a, fmt.Errorf("token %q: %s", cut(name, 80), why)
	}
	return a, nil
}

func (s *Server) createToken(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Name    string   `json:"name"`
		Role    Role     `json:"role"`
		Scopes  []string `json:"scopes"`
		Expires string   `json:"expires"`
	}
	if !s.body(w, r, &req) {
		return
	}
	token, hash := NewToken()
	a, err := TokenAction(req.Name, req.Role, req.Scopes, req.Expires, hash)
	if err != nil {
		s.unprocessable(w, invalid{[]any{"body"}, err.Error(), "value_error"})
		return
	}
	if ts := s.cfg.Authenticator.Tokens(); ts != nil {
		list, _ := ts.List()
		if slices.ContainsFunc(list, func(t Token) bool { return t.Name == req.Name }) {
			s.fail(w, http.StatusConflict, fmt.Sprintf("there is a token %q: revoke it first, or take another name", req.Name))
			return
		}
	}
	p, ok := s.do(w, r, a)
	if !ok {
		return
	}
	// The one place where it is shown; the mask learns it when it is first presented.
	s.reply(w, http.StatusOK, map[string]any{"name": req.Name, "role": a.Args["role"], "token": token, "message": p.Result})
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	list, err := []Token(nil), error(nil)
	if ts := s.cfg.Authenticator.Tokens(); ts != nil {
		list, err = ts.List()
	}
	if err != nil {
		s.fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	for _, t := range list {
		if t.Name != name {
			continue
		}
		if p, ok := s.do(w, r, state.Action{Kind: state.TokenRevoke, Target: name}); ok {
			s.reply(w, http.StatusOK, map[string]any{"success": true, "message": p.Result})
		}
		return
	}
	s.fail(w, http.StatusNotFound, fmt.Sprintf("there is no token %q: GET /admin/tokens lists them", cut(name, longestName)))
}
