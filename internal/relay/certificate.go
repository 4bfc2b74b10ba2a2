package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jwksharvest/harvest/internal/files"
)

// certificate is a pair of files. No handshake reads them: one that waits for a file server, or for
// the writer of a pipe, would hold up every consumer.
type certificate struct {
	cert, key string
	log       *slog.Logger

	pair  atomic.Pointer[tls.Certificate]
	stamp string // of the files, as they were looked at last
}

const (
	// lookAgain is how often the files are looked at.
	lookAgain = time.Second
	// lookLong is after how long a look that has not ended is told of.
	lookLong = 10 * time.Second
	// maxCertificate bounds each of the files.
	maxCertificate = 1 << 20
)

// load reads the files. The last good pair stays where they can't be used.
func (c *certificate) load() error {
	c.stamp = c.stampNow()
	pair, err := c.read()
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.cert, c.key, err)
	}
	c.pair.Store(&pair)
	return nil
}

func (c *certificate) read() (tls.Certificate, error) {
	cert, err := files.Regular(c.cert, maxCertificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := files.Regular(c.key, maxCertificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

func (c *certificate) stampNow() string {
	var stamp []byte
	for _, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil {
			stamp = fmt.Appendf(stamp, "%d %d ", info.Size(), info.ModTime().UnixNano())
		}
	}
	return string(stamp)
}

// keep reads the files again after each change, until ctx ends.
func (c *certificate) keep(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		slow := time.AfterFunc(lookLong, func() {
			c.log.Error("the relay's certificate can't be read at the moment; the old one stays", "cert", c.cert, "key", c.key)
		})
		c.look()
		slow.Stop()
	}
}

// look reads the files if they have changed.
func (c *certificate) look() {
	if c.stampNow() == c.stamp {
		return
	}
	if err := c.load(); err != nil { // told of once: the stamp is theirs
		c.log.Error("the relay's certificate was not reloaded; the old one stays", "error", err)
		return
	}
	c.log.Info("the relay's certificate was reloaded")
}

// get returns the certificate as the files had it last.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil }
