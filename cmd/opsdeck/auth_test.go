package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// TestAConsoleGoesNoFurtherThanItsToken attaches by HTTP as another host would.
func TestAConsoleGoesNoFurtherThanItsToken(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	j, err := journal.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	hub := backend.New(backend.Options{Journal: j, Log: log, Workspace: state.Workspace{Started: time.Now()}})
	tokens := admin.NewTokens(filepath.Join(dir, admin.TokensFile), log)
	hub.AddExecutor(tokens)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); hub.Run(ctx) }()
	defer func() { cancel(); <-done }()

	given := map[admin.Role]string{}
	for _, role := range admin.Roles {
		token, hash := admin.NewToken()
		a, err := admin.TokenAction(string(role), role, nil, "", hash)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := backend.Do(ctx, hub, a, false, nil); err != nil || p.Status != "done" {
			t.Fatalf("%+v %v", p, err)
		}
		given[role] = token
	}
	auth := admin.NewAuthenticator(admin.AuthConfig{Tokens: tokens, Latest: hub.Latest, Log: log,
		Owner: func(_, _ netip.AddrPort) (int, error) { return -1, errors.New("not known") }})
	h := remote.NewHandler(hub, "test", log)
	h.Authorize, h.Actor = auth.Authorize, auth.Actor
	srv := httptest.NewServer(auth.Guard("127.0.0.1:8003", h))
	defer srv.Close()

	for _, tt := range []struct {
		role admin.Role
		may  bool
	}{{admin.Viewer, false}, {admin.Operator, false}, {admin.Admin, true}} {
		c, err := remote.DialHTTP(ctx, srv.URL, remote.Access{Token: given[tt.role]}, state.Actor{User: "mallory", From: "pts/9", Via: "cli"})
		if err != nil {
			t.Fatalf("%s attaches: %v", tt.role, err)
		}
		if _, err := c.Wait(ctx, 0); err != nil {
			t.Errorf("%s looks: %v", tt.role, err)
		}
		c.Watch(nil)
		_, err = c.Submit(ctx, state.Action{Kind: state.TokenRevoke, Target: "nobody", Confirmed: "nobody"})
		refused := errors.Is(err, backend.ErrRefused) && strings.Contains(err.Error(), "is for the role")
		if refused == tt.may || tt.may && err != nil {
			t.Errorf("%s revokes a token: %v", tt.role, err)
		}
		c.Close()
	}
	if _, err := remote.DialHTTP(ctx, srv.URL, remote.Access{}, state.Actor{User: "mallory", Via: "console"}); err == nil {
		t.Error("a console without a token attaches")
	}
	err = journal.Read(filepath.Join(dir, "journal.jsonl"), func(e state.Entry) bool {
		if e.Kind == state.TokenRevoke && (e.Actor.User != "admin" || !strings.Contains(e.Actor.From, "as mallory")) {
			t.Errorf("the journal names %+v, want the token's name, and what the console said of itself", e.Actor)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

// certify writes a certificate for 127.0.0.1 with that name, and its key.
func certify(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	kb, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: kb}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestACertificateIsReadAgainWhenItChanges, and a bad one leaves the last in force.
func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	cert, key := certify(t, dir, "first")
	cfg, err := admin.TLS(cert, key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Listener = tls.NewListener(srv.Listener, cfg)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	srv.Start()
	defer srv.Close()
	name := func() string {
		c, err := tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) // its name is what is asked for
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	comes := func(want string) {
		t.Helper()
		sourcetest.Until(t, "the certificate is "+want, func() bool { return name() == want })
	}
	comes("first")
	certify(t, dir, "second")
	comes("second")
	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "second" {
		t.Errorf("with a bad file it is %q", got)
	}
	if _, err := admin.TLS(cert, key, nil); err == nil || !strings.Contains(err.Error(), "tls.cert and tls.key") {
		t.Errorf("a bad one at the start: %v", err)
	}
}
