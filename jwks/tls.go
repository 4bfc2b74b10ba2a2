package jwks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/jwksharvest/harvest/internal/files"
	"github.com/jwksharvest/harvest/internal/nethint"
)

// TLS names the files and rules of a TLS connection, as Nomad's command does
// (NOMAD_CACERT, NOMAD_CAPATH, NOMAD_CLIENT_CERT, NOMAD_CLIENT_KEY, NOMAD_TLS_SERVER_NAME,
// NOMAD_SKIP_VERIFY). The zero value is the system's roots and no client certificate.
type TLS struct {
	CACert, CAPath        string // PEM; a file, and a directory of files, used where there is no CACert; both instead of the system's roots
	ClientCert, ClientKey string // PEM; read again at each handshake, so that they may be renewed
	ServerName            string // the certificate must be for this name; "" is the host of the URL
	InsecureSkipVerify    bool   // refused by Client without AllowPlaintext
}

// HTTPClient returns a client for these files and rules: TLS 1.2 or newer, HTTP/2, limits on
// connecting, the environment's proxies. It reads the files. The error names a file that can't be
// read or holds no certificate, or says that a certificate comes without its key or a key without
// its certificate.
func (t TLS) HTTPClient() (*http.Client, error) {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // Client refuses it without AllowPlaintext
	}
	switch {
	case t.CACert != "":
		config.RootCAs = x509.NewCertPool()
		if err := addCertificates(config.RootCAs, t.CACert); err != nil {
			return nil, fmt.Errorf("CA certificate: %w", err)
		}
	case t.CAPath != "":
		pool, err := certificatesIn(t.CAPath)
		if err != nil {
			return nil, fmt.Errorf("CA certificates: %w", err)
		}
		config.RootCAs = pool
	}
	switch {
	case t.ClientCert != "" && t.ClientKey == "":
		return nil, fmt.Errorf("client certificate %s without its key", t.ClientCert)
	case t.ClientCert == "" && t.ClientKey != "":
		return nil, fmt.Errorf("client key %s without its certificate", t.ClientKey)
	case t.ClientCert != "":
		if _, err := t.clientCertificate(nil); err != nil {
			return nil, err
		}
		config.GetClientCertificate = t.clientCertificate
	}
	return &http.Client{Transport: newTransport(config)}, nil
}

// maxCertificates bounds a file with certificates or a key, in bytes.
const maxCertificates = 16 * MaxDocument

// clientCertificate returns the client certificate as its files have it now; see
// tls.Config.GetClientCertificate. Nothing ends the reading of a file on a server that is away: so
// there is one such reading at a time, and a handshake doesn't wait for it for ever.
func (t TLS) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	limit := time.NewTimer(handshakeTimeout)
	defer limit.Stop()
	var err error
	select {
	case read := <-reading.DoChan(t.ClientCert+"\x00"+t.ClientKey, func() (any, error) { return t.readPair() }):
		if pair, ok := read.Val.(*tls.Certificate); ok && read.Err == nil {
			return pair, nil
		}
		err = read.Err
	case <-limit.C:
		err = fmt.Errorf("not read within %v", handshakeTimeout)
	}
	err = fmt.Errorf("client certificate %s with key %s: %w", t.ClientCert, t.ClientKey, err)
	if strings.Contains(err.Error(), "does not match public key") {
		err = fmt.Errorf("%w: this is the key of another certificate; give the key that belongs to it", err)
	}
	return nil, err
}

// reading has the client certificates that are being read, by the names of their files.
var reading singleflight.Group

func (t TLS) readPair() (*tls.Certificate, error) {
	cert, err := files.Regular(t.ClientCert, maxCertificates)
	if err != nil {
		return nil, err
	}
	key, err := files.Regular(t.ClientKey, maxCertificates)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	return &pair, err
}

// certificatesIn returns the certificates of the files of a directory, not of those below.
func certificatesIn(directory string) (*x509.CertPool, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	pool, found := x509.NewCertPool(), false
	for _, entry := range entries {
		name := filepath.Join(directory, entry.Name())
		info, err := os.Stat(name) // follows links, as mounted secrets are
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			continue
		}
		if err := addCertificates(pool, name); err != nil {
			return nil, err
		}
		found = true
	}
	if !found {
		return nil, fmt.Errorf("%s holds no files", directory)
	}
	return pool, nil
}

// addCertificates adds the certificates of a file, at least one.
func addCertificates(pool *x509.CertPool, name string) error {
	data, _, err := files.Named(context.Background(), name, maxCertificates)
	if err != nil {
		return err
	}
	if pool.AppendCertsFromPEM(data) {
		return nil
	}
	if err := firstUnread(data); err != nil {
		return fmt.Errorf("%s holds no certificate that can be read: %w", name, err)
	}
	return fmt.Errorf("%s holds no PEM certificate", name)
}

// firstUnread returns why the first certificate of a file can't be read; nil where there is none. A
// pool passes over them in silence.
func firstUnread(data []byte) error {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		_, err := x509.ParseCertificate(block.Bytes)
		if err != nil && strings.Contains(err.Error(), "negative serial number") {
			err = fmt.Errorf("%w (%s)", err, nethint.NegativeSerial)
		}
		return err
	}
	return nil
}

// sharedTransport is the transport of clients without one of their own, so that they
// share connections.
var sharedTransport = sync.OnceValue(func() *http.Transport {
	return newTransport(&tls.Config{MinVersion: tls.VersionTLS12})
})

// handshakeTimeout bounds a TLS handshake.
const handshakeTimeout = 10 * time.Second

// newTransport doesn't start from http.DefaultTransport, which any package may change.
// There is no limit on the wait for a header: Client sets its own, and a blocking query
// waits long on purpose.
func newTransport(config *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    handshakeTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    100, // an agent is asked for many regions at once
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// A held query keeps its connection and the buffers of it. What passes is a short
		// request and a short reply; longer ones take more reads.
		ReadBufferSize:  1 << 10,
		WriteBufferSize: 1 << 10,
		// A connection that died in silence, behind a failover or a NAT, must not swallow
		// one request after the other.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
