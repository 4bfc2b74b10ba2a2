package jwks

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

// authority is a CA of the test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return newAuthorityOf(t, "test CA")
}

func newAuthorityOf(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{certificate, key}
}

// issue returns PEM of a certificate and its key.
func (a *authority) issue(t *testing.T, notAfter time.Time) (certificate, key []byte) {
	t.Helper()
	return a.issueWith(t, func(c *x509.Certificate) { c.NotAfter = notAfter })
}

func (a *authority) issueWith(t *testing.T, change func(*x509.Certificate)) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"server.global.nomad"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// negative returns a certificate in PEM with the sign of its serial number, of one byte, turned.
func negative(t *testing.T, certificate []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(certificate)
	version := []byte{0xa0, 3, 2, 1, 2, 2, 1} // and the beginning of the number
	at := bytes.Index(block.Bytes, version)
	require.Positive(t, at)
	block.Bytes[at+len(version)] |= 0x80
	return pem.EncodeToMemory(block)
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// serve starts a TLS server that serves a key set.
func (a *authority) serve(t *testing.T, notAfter time.Time, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	certificate, key := a.issue(t, notAfter)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(serve(keySet(rsaMember(0, nil))))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if change != nil {
		change(server.TLS)
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(name, data, 0o600))
	return name
}

// fetchTLS fetches with a client from files.
func fetchTLS(t *testing.T, files TLS, allow bool, url string) error {
	t.Helper()
	client, err := files.HTTPClient()
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	_, err = (&Client{HTTPClient: client, AllowPlaintext: allow, limits: quick}).fetch(t.Context(), url)
	return err
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	caFile := writeFile(t, "ca.pem", ca.pem())
	otherFile := writeFile(t, "other.pem", other.pem())
	certificate, key := ca.issue(t, later)
	certificateFile, keyFile := writeFile(t, "client.pem", certificate), writeFile(t, "client-key.pem", key)

	plain := ca.serve(t, later, nil)
	expired := ca.serve(t, time.Now().Add(-time.Hour), nil)
	mutual := ca.serve(t, later, func(c *tls.Config) {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = x509.NewCertPool()
		c.ClientCAs.AddCert(ca.certificate)
	})
	old := ca.serve(t, later, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	noTLS := newServer(t, serve("{}"))

	tests := map[string]struct {
		files   TLS
		allow   bool
		url     string
		message string
	}{
		"CA":                       {files: TLS{CACert: caFile}, url: plain.URL},
		"directory of CAs":         {files: TLS{CAPath: filepath.Dir(caFile)}, url: plain.URL},
		"file before directory":    {files: TLS{CACert: otherFile, CAPath: filepath.Dir(caFile)}, url: plain.URL, message: "unknown authority"},
		"server name":              {files: TLS{CACert: caFile, ServerName: "server.global.nomad"}, url: plain.URL},
		"expired":                  {files: TLS{CACert: caFile}, url: expired.URL, message: "renew"},
		"TLS 1.1":                  {files: TLS{CACert: caFile}, url: old.URL, message: "protocol version"},
		"no TLS":                   {files: TLS{CACert: caFile}, url: "https" + noTLS.URL[len("http"):], message: "doesn't speak TLS"},
		"client certificate":       {files: TLS{CACert: caFile, ClientCert: certificateFile, ClientKey: keyFile}, url: mutual.URL},
		"no verification":          {files: TLS{InsecureSkipVerify: true}, url: plain.URL, message: ErrPlaintext.Error()},
		"no verification, allowed": {files: TLS{InsecureSkipVerify: true}, allow: true, url: plain.URL},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := fetchTLS(t, test.files, test.allow, test.url)
			if test.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.message)
			assert.True(t, text.IsPrintable(err.Error()))
		})
	}
}

func TestTLSRefusesWhatAnyClientAccepts(t *testing.T) {
	ca := newAuthority(t)
	old := ca.serve(t, time.Now().Add(time.Hour), func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	lax := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}}}
	defer lax.CloseIdleConnections()
	_, err := (&Client{HTTPClient: lax}).fetch(t.Context(), old.URL)
	if fips140.Enabled() { // then the standard library offers nothing that old itself
		require.ErrorContains(t, err, "protocol version")
	} else {
		require.ErrorContains(t, err, "TLS 1.1")
	}

	skipping := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer skipping.CloseIdleConnections()
	_, err = (&Client{HTTPClient: skipping}).fetch(t.Context(), old.URL)
	require.ErrorIs(t, err, ErrPlaintext)
}

func TestTLSRenewsClientCertificate(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	mutual := ca.serve(t, later, func(c *tls.Config) {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = x509.NewCertPool()
		c.ClientCAs.AddCert(ca.certificate)
	})
	certificate, key := other.issue(t, later)
	files := TLS{CACert: writeFile(t, "ca.pem", ca.pem()), ClientCert: writeFile(t, "c.pem", certificate), ClientKey: writeFile(t, "k.pem", key)}
	client, err := files.HTTPClient()
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	_, err = (&Client{HTTPClient: client, limits: quick}).fetch(t.Context(), mutual.URL)
	require.Error(t, err)

	certificate, key = ca.issue(t, later)
	require.NoError(t, os.WriteFile(files.ClientCert, certificate, 0o600))
	require.NoError(t, os.WriteFile(files.ClientKey, key, 0o600))
	_, err = (&Client{HTTPClient: client, limits: quick}).fetch(t.Context(), mutual.URL)
	require.NoError(t, err)
}

func TestTLSFiles(t *testing.T) {
	ca := newAuthority(t)
	certificate, key := ca.issue(t, time.Now().Add(time.Hour))
	_, otherKey := ca.issue(t, time.Now().Add(time.Hour))
	certificateFile, keyFile := writeFile(t, "c.pem", certificate), writeFile(t, "k.pem", key)
	empty := writeFile(t, "empty.pem", nil)
	tests := map[string]struct {
		files   TLS
		message string
	}{
		"CA missing":          {TLS{CACert: "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
		"CA empty":            {TLS{CACert: empty}, "empty.pem holds no PEM certificate"},
		"CA is a key":         {TLS{CACert: keyFile}, "k.pem holds no PEM certificate"},
		"CA is a directory":   {TLS{CACert: t.TempDir()}, "directory"},
		"directory missing":   {TLS{CAPath: "/nonexistent"}, "/nonexistent"},
		"directory empty":     {TLS{CAPath: t.TempDir()}, "holds no files"},
		"directory is a file": {TLS{CAPath: certificateFile}, "c.pem"},
		"bad file in it":      {TLS{CAPath: filepath.Dir(empty)}, "empty.pem holds no PEM"},
		"no key":              {TLS{ClientCert: certificateFile}, "c.pem without its key"},
		"no certificate":      {TLS{ClientKey: keyFile}, "k.pem without its certificate"},
		"another's key":       {TLS{ClientCert: certificateFile, ClientKey: writeFile(t, "o.pem", otherKey)}, "o.pem"},
		"key missing":         {TLS{ClientCert: certificateFile, ClientKey: "/nonexistent/k.pem"}, "/nonexistent/k.pem"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, err := test.files.HTTPClient()
			require.ErrorContains(t, err, test.message)
			assert.Nil(t, client)
		})
	}
}
