package docker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// endpoint is where the engine is, and how that was found out.
type endpoint struct {
	host string
	// ca, cert and key are TLS files, "" for none.
	ca, cert, key string
	// ssh is the host whose socket is forwarded; nil where it is reached without.
	ssh *url.URL
	// origin names who chose it: "configured", "DOCKER_HOST", "context x", "default".
	origin string
	// chosen is set when this host was configured, so that its absence is an error.
	chosen bool
}

// local returns the path of the engine's socket on this host, or "".
func (e endpoint) local() string {
	if p, ok := strings.CutPrefix(e.host, "unix://"); ok {
		return p
	}
	return ""
}

// configDir returns where the docker command keeps its settings and contexts, or "".
func configDir() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker")
}

// resolve finds the engine as the docker command does: the configured host or
// context, DOCKER_HOST, DOCKER_CONTEXT or the current context, the default socket.
func (c Config) resolve() (endpoint, error) {
	switch {
	case c.Host != "":
		return endpoint{host: c.Host, ca: c.CA, cert: c.Cert, key: c.Key, origin: "configured", chosen: true}.check()
	case c.Context == "default":
		return endpoint{host: client.DefaultDockerHost, origin: "context default", chosen: true}, nil
	case c.Context != "":
		e, err := readContext(configDir(), c.Context)
		if err != nil {
			return e, err
		}
		return e.check()
	}
	return resolve()
}

// Contexts returns the names of the docker command's contexts, in order, "default"
// first.
func Contexts() []string {
	names := []string{"default"}
	files, _ := filepath.Glob(filepath.Join(configDir(), "contexts", "meta", "*", "meta.json"))
	for _, f := range files {
		var meta struct{ Name string }
		if b, err := os.ReadFile(f); err == nil && json.Unmarshal(b, &meta) == nil && meta.Name != "" {
			names = append(names, meta.Name)
		}
	}
	slices.Sort(names[1:])
	return names
}

// resolve returns the engine where none is configured.
func resolve() (endpoint, error) {
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		e := endpoint{host: h, origin: "DOCKER_HOST", chosen: true}
		if dir := os.Getenv("DOCKER_CERT_PATH"); dir != "" && strings.HasPrefix(h, "tcp://") {
			e.ca, e.cert, e.key = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		}
		return e.check()
	}
	dir := configDir()
	name := os.Getenv("DOCKER_CONTEXT")
	if name == "" && dir != "" {
		var cfg struct{ CurrentContext string }
		if b, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
			if err := json.Unmarshal(b, &cfg); err != nil {
				return endpoint{}, fmt.Errorf("docker: read the current context from %s: %w: fix the file or set docker.host in opsdeck.yaml", filepath.Join(dir, "config.json"), err)
			}
			name = cfg.CurrentContext
		}
	}
	if name != "" && name != "default" {
		e, err := readContext(dir, name)
		if err != nil {
			return e, err
		}
		return e.check()
	}
	return endpoint{host: client.DefaultDockerHost, origin: "default"}, nil
}

// check refuses what this package cannot speak, with what to do instead.
func (e endpoint) check() (endpoint, error) {
	u, err := url.Parse(e.host)
	if err != nil {
		return e, fmt.Errorf("docker: host (%s): it is no address: write it as unix:///path, tcp://host:port or ssh://user@host", e.origin)
	}
	if _, has := u.User.Password(); has {
		e.host = u.Redacted()
	}
	switch u.Scheme {
	case "unix", "tcp", "http", "https":
		return e, nil
	case "ssh":
		e.ssh = u
		return e, nil
	}
	return e, fmt.Errorf("docker: host %q (%s): unknown scheme: write it as unix:///path, tcp://host:port or ssh://user@host", u.Redacted(), e.origin)
}

// readContext reads a docker context from its store: meta.json and TLS files in
// folders that are named for the SHA-256 of the context's name.
func readContext(dir, name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	e := endpoint{origin: "context " + name, chosen: true}
	path := filepath.Join(dir, "contexts", "meta", id, "meta.json")
	b, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return e, fmt.Errorf("docker: context %q: there is no %s: choose another with docker context use", name, path)
		}
		return e, fmt.Errorf("docker: context %q: %w", name, err)
	}
	var meta struct {
		Endpoints map[string]struct{ Host string }
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return e, fmt.Errorf("docker: context %q: %s: %w", name, path, err)
	}
	e.host = meta.Endpoints["docker"].Host
	if e.host == "" {
		return e, fmt.Errorf("docker: context %q: %s names no docker host", name, path)
	}
	tls := filepath.Join(dir, "contexts", "tls", id, "docker")
	for file, to := range map[string]*string{"ca.pem": &e.ca, "cert.pem": &e.cert, "key.pem": &e.key} {
		if p := filepath.Join(tls, file); fileExists(p) {
			*to = p
		}
	}
	return e, nil
}

// explainTLS returns what is wrong between the endpoint's TLS files and the engine, or "".
// What the other end says comes as text alone.
func (e endpoint) explainTLS(said string) string {
	const files = " of this host in opsdeck.yaml (or of the context, or in DOCKER_CERT_PATH)"
	switch {
	case strings.Contains(said, "HTTP request to an HTTPS server"):
		return "the engine speaks TLS: set ca, cert and key" + files
	case strings.Contains(said, "HTTP response to HTTPS client"):
		return "the engine does not speak TLS there: leave out ca, cert and key" + files + ", or take its TLS port (2376)"
	case strings.Contains(said, "tls: certificate required"):
		return "it asks for a certificate: set cert and key" + files
	case strings.Contains(said, "remote error: tls: "):
		_, why, _ := strings.Cut(said, "remote error: ")
		return fmt.Sprintf("it refuses our certificate %s (%s): set cert and key%s to ones that its authority has issued", e.cert, state.Clean(why), files)
	case strings.Contains(said, "failed to verify certificate"):
		_, why, _ := strings.Cut(said, "failed to verify certificate: ")
		return fmt.Sprintf("its certificate is not one of %s (%s): set ca%s to the authority that issued it, and name the host as the certificate does", cmp.Or(e.ca, "the system's authorities"), state.Clean(why), files)
	}
	return ""
}

func fileExists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

// link is a client, and what it needs to reach its engine.
type link struct {
	*client.Client
	tunnel *tunnel // nil where there is none
}

// Close closes the client and the tunnel.
func (l *link) Close() error {
	err := l.Client.Close()
	if l.tunnel != nil {
		l.tunnel.close()
	}
	return err
}

// dial makes a client for the endpoint. Nothing is sent yet, but for a tunnel.
func (e endpoint) dial(ctx context.Context) (*link, error) {
	host, l := e.host, &link{}
	if e.ssh != nil {
		var err error
		if l.tunnel, err = openTunnel(ctx, e.ssh); err != nil {
			return nil, fmt.Errorf("docker: %s (%s): %w", e.host, e.origin, err)
		}
		host = "unix://" + l.tunnel.socket
	}
	opts := []client.Opt{client.WithHost(host)}
	if e.ca != "" || e.cert != "" {
		opts = append(opts, client.WithTLSClientConfig(e.ca, e.cert, e.key))
	}
	c, err := client.New(opts...)
	if err != nil {
		if l.tunnel != nil {
			l.tunnel.close()
		}
		return nil, fmt.Errorf("docker: %s (%s): %w", e.host, e.origin, err)
	}
	l.Client = c
	return l, nil
}
