package routing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/document"
)

// edited returns base with a change: args["config"] is a whole new configuration, of which
// with args["keep"]="true" members that it does not name stay; args["category"] names
// the category, or args["tier"] the tier, that args["patch"], a JSON object, is merged
// into, or that args["delete"]="true" removes (categories only). What is not named
// keeps its order and its unknown members. what says in a few words what changes.
func edited(base []byte, args map[string]string) (text []byte, what string, err error) {
	whole := strings.TrimSpace(args["config"])
	kind, name := "category", args["category"]
	if args["tier"] != "" {
		kind, name = "tier", args["tier"]
	}
	what = kind + " " + name
	_, named := args["category"]
	if args["tier"] == "" && !named {
		what = "the routing configuration"
	}
	if args["tier"] == "" && !named && whole == "" && args["patch"] == "" {
		return nil, what, errors.New(`the argument "config", "patch", or "category" or "tier" with "patch" or "delete", was expected`)
	}
	if whole != "" && args["keep"] != "true" {
		return []byte(whole), what, nil
	}
	if base == nil {
		base = []byte("{}")
	}
	tree, err := parseOrdered(bytes.TrimPrefix(base, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, what, err
	}
	at, fields := tree, whole
	switch {
	case whole != "":
	case args["delete"] == "true":
		if kind == "tier" {
			return nil, what, errors.New("a tier is removed by editing the whole configuration")
		}
		if !tree.child("categories").remove(name) {
			return nil, what, fmt.Errorf("%w: %q", ErrNoCategory, name)
		}
		return tree.text(), what, nil
	default:
		fields = args["patch"]
		if named || args["tier"] != "" {
			if name == "" || !utf8.ValidString(name) {
				return nil, what, fmt.Errorf("the %s's name is %q: text was expected", kind, name)
			}
			list := "categories"
			if kind == "tier" {
				list = "tiers"
			}
			at = tree.child(list).child(name)
		}
	}
	d, err := document.Parse("", []byte(fields))
	if err != nil {
		return nil, what, err
	}
	if _, ok := d.Value.(map[string]any); !ok {
		return nil, what, document.Problems{d.ProblemAt(0, nil, "an object was expected")}
	}
	patch, err := parseOrdered([]byte(fields))
	if err != nil {
		return nil, what, err
	}
	for _, m := range patch.members {
		if inner, ok := m.value.(json.RawMessage); ok && whole == "" && at == tree && len(inner) > 0 && inner[0] == '{' {
			// One level deep, so that one constraint can be changed and the others stay.
			into, err := parseOrdered(inner)
			if err != nil {
				return nil, what, err
			}
			for _, x := range into.members {
				at.child(m.name).set(x.name, x.value)
			}
			continue
		}
		at.set(m.name, m.value)
	}
	return tree.text(), what, nil
}
