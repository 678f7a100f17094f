package admin

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Role says how far a caller may go.
type Role string

// Roles. Each may do what those before it may.
const (
	// Viewer reads, and streams.
	Viewer Role = "viewer"
	// Operator also submits actions.
	Operator Role = "operator"
	// Admin also decides who may do what: see [state.Spec.Admin].
	Admin Role = "admin"
)

// Roles are all of them, the least first.
var Roles = []Role{Viewer, Operator, Admin}

// covers reports whether who has the role r may do what needs the role need.
func (r Role) covers(need Role) bool {
	switch r {
	case Admin:
		return true
	case Operator:
		return need != Admin
	case Viewer:
		return need == Viewer
	}
	return false
}

// Principal is a caller that is known.
type Principal struct {
	// Name is the token's name, or the user's.
	Name string
	Role Role
	// Scopes narrow a token further; none for all that the role may. One that begins
	// with "/" is a path and all below it: nothing outside of such paths is reached.
	// Another is an action's kind or a pattern of kinds ("module.*"): no other kind
	// is submitted.
	Scopes []string
	// How tells by what the caller is known: "token", "uid 1000", "uid 0, pid 4242".
	How string
	// Local principals came by the unix socket; what a console there says of its own
	// terminal is believed.
	Local bool
}

func (p Principal) under(where string) (hit, any bool) {
	for _, s := range p.Scopes {
		if !strings.HasPrefix(s, "/") {
			continue
		}
		any = true
		base := strings.TrimRight(s, "/*")
		if where == base || strings.HasPrefix(where, base+"/") {
			return true, true
		}
	}
	return false, any
}

// reaches reports whether the scopes let p read at a path.
func (p Principal) reaches(where string) bool {
	hit, any := p.under(where)
	return hit || !any
}

// submits reports whether the scopes let p submit an action of a kind at a path.
func (p Principal) submits(kind state.Kind, where string) bool {
	if len(p.Scopes) == 0 {
		return true
	}
	kinds := false
	for _, s := range p.Scopes {
		if strings.HasPrefix(s, "/") {
			continue
		}
		kinds = true
		if ok, _ := path.Match(s, string(kind)); ok {
			return p.reaches(where)
		}
	}
	hit, _ := p.under(where)
	return hit && !kinds
}

// scopeFault says what is wrong with a scope; "" when it holds.
func scopeFault(s string) string {
	switch {
	case len(s) > 200 || state.Clean(s) != s || strings.ContainsAny(s, " \t\n"):
		return fmt.Sprintf("the scope %q is not a word of at most 200 bytes", s)
	case strings.HasPrefix(s, "/"):
		return ""
	}
	if _, err := path.Match(s, ""); err != nil {
		return fmt.Sprintf("the scope %q is not a pattern of action kinds", s)
	}
	for _, spec := range state.Specs() {
		if ok, _ := path.Match(s, string(spec.Kind)); ok {
			return ""
		}
	}
	return fmt.Sprintf("the scope %q names no action and no path: container.restart, module.* or /admin/modules were expected", s)
}

type contextKey int

const (
	principalKey contextKey = iota
	requestKey
	peerKey
)

// PrincipalFrom returns who makes the request that ctx is of; false without an authenticator.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey).(Principal)
	return p, ok
}

// Denied is why a caller that is known may not do something.
type Denied string

// Error implements error.
func (d Denied) Error() string { return string(d) }

// Authorize says why the caller of r may not submit a; nil when it may. It counts
// against the caller's rate of changes: the error is then a [Busy].
func (d *Authenticator) Authorize(r *http.Request, a state.Action) error {
	p, ok := PrincipalFrom(r.Context())
	if !ok {
		return Denied("the caller is not known: the request was not authenticated")
	}
	if err := d.permit(p, a.Kind, r.URL.Path); err != nil {
		return err
	}
	// Undoing and cancelling are acts of the kind that they are done to.
	if a.Kind == state.ActionUndo || a.Kind == state.ActionCancel {
		other := d.cfg.Latest().Actions.Progress(state.ActionID(a.Target))
		if other != nil {
			kind := other.Action.Kind
			if a.Kind == state.ActionUndo && other.Undo != nil {
				kind = other.Undo.Kind
			}
			if err := d.permit(p, kind, r.URL.Path); err != nil {
				return err
			}
		}
	}
	if wait := d.changes.take(p.key()); wait > 0 {
		return Busy{wait}
	}
	return nil
}

func (d *Authenticator) permit(p Principal, kind state.Kind, where string) error {
	need := Operator
	if spec := state.SpecOf(kind); spec != nil && spec.Admin {
		need = Admin
	}
	if !p.Role.covers(need) {
		return Denied(fmt.Sprintf("%s (%s) has the role %s: %s is for the role %s%s", p.Name, p.How, p.Role, kind, need, p.remedy()))
	}
	if !p.submits(kind, where) {
		return Denied(fmt.Sprintf("the token %s is for %s alone, not for %s", p.Name, strings.Join(p.Scopes, ", "), kind))
	}
	return nil
}

// remedy says where who is known by uid gets more.
func (p Principal) remedy() string {
	if strings.HasPrefix(p.How, "uid") && !p.Local {
		return "; without a token that is the workspace's unix socket"
	}
	return ""
}

// key tells principals apart where they are counted.
func (p Principal) key() string { return p.How + " " + p.Name }

// Actor returns who the journal names for the request r. sent is what a console says of
// itself; the zero Actor where nothing does. A name is believed of those alone who
// came by the unix socket.
func (d *Authenticator) Actor(r *http.Request, sent state.Actor) state.Actor {
	p, _ := PrincipalFrom(r.Context())
	a := state.Actor{User: p.Name, Via: "api"}
	if sent.User == "" { // a console's is that of its whole stream, and tells nothing
		a.Request = requestID(r.Context())
	}
	where := r.RemoteAddr
	if where == "" || where == "@" {
		where = "unix socket"
	}
	if sent.Via == "console" || sent.Via == "wall" || sent.Via == "cli" {
		a.Via = sent.Via
	}
	switch {
	case sent.User != "" && p.Local:
		a.User = state.Clean(sent.User)
		a.From = strings.TrimSpace(cut(sent.From, 120) + ", " + p.How)
		return a
	case sent.User != "":
		where += " " + cut(sent.From, 80)
		if sent.User != p.Name {
			where += " as " + cut(sent.User, 40)
		}
	case r.UserAgent() != "":
		where += " " + cut(r.UserAgent(), 80)
	}
	a.From = fmt.Sprintf("%s (%s, %s)", where, p.Role, p.How)
	return a
}

// cut returns text from outside, at most n bytes of it.
func cut(s string, n int) string {
	return state.Clean(strings.ToValidUTF8(s[:min(len(s), n)], ""))
}
