package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// authority issues certificates, and writes them as docker's files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

// issue writes a certificate and its key as name.pem and name-key.pem.
func (a *authority) issue(name string, use []x509.ExtKeyUsage) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: use, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: use == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, b := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// An engine behind TLS that asks for a certificate is reached with the configured files
// or those of a context, and its failures say what to set.
func TestAnEngineBehindTLS(t *testing.T) {
	ca := newAuthority(t)
	server, key := ca.issue("server", []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth})
	ca.issue("cert", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})
	e := newScripted(t, "web")
	srv := httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{server.Raw}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(func() { e.cut(); srv.Close() })
	host := "tcp://" + srv.Listener.Addr().String()
	full := Config{Host: host, CA: ca.file("ca.pem"), Cert: ca.file("cert.pem"), Key: ca.file("cert-key.pem")}

	shows := func(t *testing.T, src state.Source) {
		t.Helper()
		sourcetest.Wait(sourcetest.Run(t, src), "web", func(s state.Containers) bool { return has(s, "web", func(*state.Container) bool { return true }) })
	}
	t.Run("configured files", func(t *testing.T) { shows(t, New(full)) })
	t.Run("a context", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("DOCKER_CONFIG", dir)
		meta, _ := json.Marshal(map[string]any{"Name": "far", "Endpoints": map[string]any{"docker": map[string]string{"Host": host}}})
		sum := sha256.Sum256([]byte("far"))
		at := func(kind string) string {
			path := filepath.Join(dir, "contexts", kind, hex.EncodeToString(sum[:]))
			if err := os.MkdirAll(filepath.Join(path, "docker"), 0o700); err != nil {
				t.Fatal(err)
			}
			return path
		}
		if err := os.WriteFile(filepath.Join(at("meta"), "meta.json"), meta, 0o600); err != nil {
			t.Fatal(err)
		}
		files := filepath.Join(at("tls"), "docker")
		for to, from := range map[string]string{"ca.pem": "ca.pem", "cert.pem": "cert.pem", "key.pem": "cert-key.pem"} {
			b, err := os.ReadFile(ca.file(from))
			if err == nil {
				err = os.WriteFile(filepath.Join(files, to), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		shows(t, New(Config{Context: "far"}))
	})
	other := newAuthority(t)
	other.issue("cert", []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})
	for _, tc := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no files", Config{Host: host}, "the engine speaks TLS: set ca, cert and key of this host in opsdeck.yaml"},
		{"no certificate of our own", Config{Host: host, CA: full.CA}, "it asks for a certificate: set cert and key of this host in opsdeck.yaml"},
		{"another authority's certificate", Config{Host: host, CA: full.CA, Cert: other.file("cert.pem"), Key: other.file("cert-key.pem")}, "it refuses our certificate"},
		{"another authority", Config{Host: host, CA: other.file("ca.pem"), Cert: full.Cert, Key: full.Key}, "its certificate is not one of " + other.file("ca.pem")},
		{"an engine without TLS", Config{Host: e.host(), CA: full.CA, Cert: full.Cert, Key: full.Key}, "the engine does not speak TLS there: leave out ca, cert and key"},
		{"a file that is not there", Config{Host: host, CA: ca.file("none.pem")}, "none.pem"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := sourcetest.Run(t, New(tc.cfg)).WaitErr(0, tc.want)
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
