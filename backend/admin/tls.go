package admin

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateLook is how often the files of a certificate are looked at.
const certificateLook = time.Second

// certificate is a certificate that is read again when its files change; one that is
// not good leaves the last one in force.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	looked time.Time
	stamp  [2]string
}

// TLS returns what the API is served with, from a certificate chain and its key in PEM.
func TLS(cert, key string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{cert: cert, key: key, log: log, stamp: stamps(cert, key)}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w: tls.cert and tls.key must name a certificate and its key in PEM", err)
	}
	c.now, c.looked = &pair, time.Now()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// stamps tell whether the files were changed.
func stamps(files ...string) (out [2]string) {
	for i, f := range files {
		if fi, err := os.Stat(f); err == nil {
			out[i] = fmt.Sprint(fi.Size(), fi.ModTime().UnixNano())
		}
	}
	return out
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		if st := stamps(c.cert, c.key); st != c.stamp {
			c.stamp = st
			pair, err := tls.LoadX509KeyPair(c.cert, c.key)
			if err != nil {
				c.log.Error("tls: the new certificate is not good; the last one stays in force", "cert", c.cert, "err", err)
			} else {
				c.now = &pair
				c.log.Info("tls: a new certificate is in force", "cert", c.cert)
			}
		}
	}
	return c.now, nil
}
