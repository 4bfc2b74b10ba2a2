package jwks

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jwksharvest/harvest/internal/text"
)

// TestTLSByCause: what goes wrong with TLS is named by its cause, and nothing is offered that was
// given already.
func TestTLSByCause(t *testing.T) {
	ca, namesake, other := newAuthority(t), newAuthority(t), newAuthorityOf(t, "another CA")
	later := time.Now().Add(time.Hour)
	caFile := writeFile(t, "ca.pem", ca.pem())
	otherCertificate, otherKey := other.issue(t, later)
	strange := TLS{CACert: caFile, ClientCert: writeFile(t, "c.pem", otherCertificate), ClientKey: writeFile(t, "k.pem", otherKey)}

	// with starts a server with a certificate, and the key of that or of another.
	with := func(certificate, key []byte) string {
		block, _ := pem.Decode(key)
		private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		require.NoError(t, err)
		block, _ = pem.Decode(certificate)
		pair := tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: private}
		return ca.serve(t, later, func(c *tls.Config) {
			// The test's server reads its own certificate, which these would not bear.
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
			}
		}).URL
	}
	plain := ca.serve(t, later, nil).URL
	mutual := ca.serve(t, later, func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AddCert(ca.certificate)
	}).URL
	certificate, key := ca.issue(t, later)
	_, wrongKey := ca.issue(t, later)
	nameless, namelessKey := ca.issueWith(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })
	ofClients, ofClientsKey := ca.issueWith(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })

	tests := map[string]struct {
		files          TLS
		url            string
		message, never string
	}{
		"negative serial number":  {TLS{CACert: caFile}, with(negative(t, certificate), key), "GODEBUG=x509negativeserial=1", ""},
		"no SAN":                  {TLS{CACert: caFile}, with(nameless, namelessKey), "has no subject alternative name (SAN)", "set the TLS server name"},
		"no SAN, name given":      {TLS{CACert: caFile, ServerName: "leaf"}, with(nameless, namelessKey), "has no subject alternative name (SAN)", "server name"},
		"key of another":          {TLS{CACert: caFile}, with(certificate, wrongKey), "the server has the key of another certificate", ""},
		"for clients":             {TLS{CACert: caFile}, with(ofClients, ofClientsKey), "serverAuth", ""},
		"another name, given":     {TLS{CACert: caFile, ServerName: "eu.nomad"}, plain, `the TLS server name that was given, "eu.nomad"`, "or set the TLS server name"},
		"no CA given":             {TLS{}, plain, "give the CA certificate that signed the server's", "that was given"},
		"another CA given":        {TLS{CACert: writeFile(t, "other.pem", other.pem())}, plain, "the CA certificate that was given didn't sign", ""},
		"a CA of that name":       {TLS{CACert: writeFile(t, "namesake.pem", namesake.pem())}, plain, "the CA was made again", ""},
		"no client certificate":   {TLS{CACert: caFile}, mutual, "give one, with its key", "that was given"},
		"of a client, of another": {strange, mutual, "the client certificate that was given", "give one"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := fetchTLS(t, test.files, false, test.url)
			require.ErrorContains(t, err, test.message)
			if test.never != "" {
				assert.NotContains(t, err.Error(), test.never)
			}
			assert.True(t, text.IsPrintable(err.Error()))
			given, ok := err.(interface{ GivenCA() bool })
			require.True(t, ok)
			assert.Equal(t, test.files.CACert != "", given.GivenCA())
		})
	}
}

// A firewall takes the connection and swallows the hello.
func TestTLSHandshakeSwallowed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}()
	client, err := TLS{}.HTTPClient()
	require.NoError(t, err)
	transport, ok := client.Transport.(*http.Transport)
	require.True(t, ok)
	require.Less(t, transport.TLSHandshakeTimeout, defaultLimits.header, "or the limit on the header comes first, and says nothing of TLS")
	transport.TLSHandshakeTimeout = 20 * time.Millisecond
	_, err = (&Client{HTTPClient: client}).fetch(t.Context(), "https://"+listener.Addr().String())
	require.ErrorContains(t, err, "GODEBUG=tlsmlkem=0")
	client.CloseIdleConnections()
}

// What is wrong with the files is named before any connection.
func TestTLSFilesByCause(t *testing.T) {
	ca := newAuthority(t)
	certificate, _ := ca.issue(t, time.Now().Add(time.Hour))
	_, wrongKey := ca.issue(t, time.Now().Add(time.Hour))
	broken := negative(t, ca.pem())
	_, err := TLS{CACert: writeFile(t, "ca.pem", broken)}.HTTPClient()
	require.ErrorContains(t, err, "ca.pem holds no certificate that can be read: x509: negative serial number")
	require.ErrorContains(t, err, "GODEBUG=x509negativeserial=1")
	_, err = TLS{CACert: writeFile(t, "both.pem", append(broken, ca.pem()...))}.HTTPClient()
	require.NoError(t, err, "a bundle is read without it")

	_, err = TLS{ClientCert: writeFile(t, "c.pem", certificate), ClientKey: writeFile(t, "k.pem", wrongKey)}.HTTPClient()
	require.ErrorContains(t, err, "k.pem")
	require.ErrorContains(t, err, "the key of another certificate")
}
