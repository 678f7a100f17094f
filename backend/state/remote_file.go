package state

import (
	"errors"
	"net/url"
	"strings"
)

// ParseRemoteFile takes the address of a file on another host apart, which the ssh command
// reads: ssh://[user@]host[:port]/path. A path of /~/x is x in the user's home. Its errors
// do not hold the address.
func ParseRemoteFile(at string) (*url.URL, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, errors.New("it is not an address: expected ssh://[user@]host[:port]/path/to/file")
	}
	_, secret := u.User.Password()
	switch {
	case secret:
		return nil, errors.New("a password does not belong in an address, which others can read: let ssh ask for it, or have a key")
	case u.Scheme != "ssh" || u.Hostname() == "" || len(u.Path) < 2 || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?")
	case strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-"):
		return nil, errors.New("neither the host nor the user can begin with -")
	case strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return nil, errors.New("the path has a control character")
	}
	return u, nil
}
